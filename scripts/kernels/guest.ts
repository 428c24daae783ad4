// Boots a kernel under qemu in software emulation, shows its console, and takes the results from a disk.

import { spawn } from 'node:child_process'
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { run } from './commands.js'
import type { DebianArchitecture } from './debian.js'
import type { BootableKernel } from './kernel.js'

const RESULT_BYTES = 64 * 1024 * 1024

export interface GuestOptions {
  readonly kernel: BootableKernel
  readonly architecture: DebianArchitecture
  readonly userland: string
  readonly checkout: string
  /** Where the console's log and the results go. */
  readonly folder: string
  readonly minutes: number
  readonly memoryMegabytes: number
}

/** What came out of a guest. */
export interface GuestResult {
  /** Null where the guest got to its end. */
  readonly failure: string | null
  /** Files by name; empty when the guest did not get that far. */
  readonly files: Readonly<Record<string, string>>
  readonly elapsedMs: number
}

/** The emulator's arguments. Nothing of the guest's writes stays: disks are snapshots, but for the results. */
export function emulatorArguments(options: GuestOptions, results: string): string[] {
  const { kernel, architecture, userland, checkout, memoryMegabytes } = options
  const isArm = architecture === 'arm64'
  const disks = [
    [userland, 'snapshot=on,cache=unsafe'],
    [checkout, 'snapshot=on,cache=unsafe'],
    [results, 'cache=writeback'],
  ] as const
  const console = isArm ? 'ttyAMA0' : 'ttyS0'
  return [
    ...(isArm ? ['-machine', 'virt,gic-version=max'] : ['-machine', 'q35']),
    '-accel',
    'tcg,thread=multi',
    // What takes the emulator long is left out: vectors of AVX, and the cipher that signs pointers on ARM.
    '-cpu',
    isArm ? 'max,pauth-impdef=on' : 'qemu64',
    '-smp',
    '2',
    '-m',
    String(memoryMegabytes),
    '-kernel',
    kernel.image,
    '-initrd',
    kernel.initramfs,
    '-append',
    `console=${console} quiet loglevel=3 panic=-1 mitigations=off nowatchdog`,
    '-nographic',
    '-no-reboot',
    '-nodefaults',
    '-serial',
    'stdio',
    ...disks.flatMap(([file, mode], index) => [
      '-drive',
      `if=none,id=disk${index},format=raw,file=${file},${mode}`,
      '-device',
      `virtio-blk-pci,drive=disk${index}`,
    ]),
  ]
}

function readResults(disk: string, folder: string): Record<string, string> {
  const names = ['release', 'node', 'doctor.txt', 'doctor.json', 'tests.log', 'exit', 'kernel-complaints']
  const files: Record<string, string> = {}
  try {
    run('tar', ['-xf', disk, '-C', folder])
  } catch {
    return files
  }
  for (const name of names) {
    const path = join(folder, name)
    if (existsSync(path)) files[name] = readFileSync(path, 'utf8')
  }
  return files
}

/** Boots, waits for the end and returns what the guest left. Each line of the console goes to `show`. */
export async function runGuest(options: GuestOptions, show: (line: string) => void): Promise<GuestResult> {
  const start = performance.now()
  const { folder, architecture, minutes } = options
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const disk = join(folder, 'results.img')
  writeFileSync(disk, '')
  truncateSync(disk, RESULT_BYTES)
  const program = architecture === 'arm64' ? 'qemu-system-aarch64' : 'qemu-system-x86_64'
  const emulator = spawn(program, emulatorArguments(options, disk), { stdio: ['ignore', 'pipe', 'pipe'] })
  const log = createWriteStream(join(folder, 'console.log'))
  let rest = ''
  let complaint = ''
  let panicked = false
  let shown = ''
  emulator.stdout.setEncoding('utf8').on('data', (text: string) => {
    log.write(text)
    const lines = (rest + text).split(/\r?\n/)
    rest = lines.pop()!
    for (const line of lines) {
      if (line.includes('Kernel panic')) panicked = true
      shown += `${line}\n`
      show(line)
    }
  })
  emulator.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text
  })
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    emulator.kill('SIGKILL')
  }, minutes * 60_000)
  const stop = (): void => {
    emulator.kill('SIGKILL')
    process.exit(1)
  }
  process.once('SIGINT', stop).once('SIGTERM', stop)
  const code = await new Promise<number | null>((settle, fail) => {
    emulator.on('error', fail)
    emulator.on('close', settle)
  })
  process.off('SIGINT', stop).off('SIGTERM', stop)
  clearTimeout(timer)
  log.end()
  const files = readResults(disk, folder)
  // A guest that was cut short has shown what it had done by then.
  files['tests.log'] ??= shown
  rmSync(disk)
  const elapsedMs = performance.now() - start
  let failure: string | null = null
  if (timedOut) failure = `no end within ${minutes} minutes`
  else if (panicked) failure = 'the kernel panicked'
  else if (code !== 0) failure = `the emulator ended with ${code}: ${complaint.trim().split('\n').at(-1)}`
  else if (files['exit'] === undefined) failure = 'the guest left no results'
  return { failure, files, elapsedMs }
}
