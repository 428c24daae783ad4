// A contender of the suite `copy`: <what> <how> <source> <folder>. Each run makes one copy, under a new name, and has it
// written back afterwards, outside the time taken: nobody pays for the copy before.

import { spawnSync } from 'node:child_process'
import { closeSync, fdatasyncSync, openSync, promises, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Uring } from '../../src/index.js'
import { copyFile, copyTree } from '../../src/transfer/index.js'
import type { Measurement } from '../harness/measurement.js'
import { serve, skip } from '../harness/serve.js'

const [what, how, source, folder] = process.argv.slice(2) as [string, string, string, string]
const POSIX_FADV_DONTNEED = 4
const TICKS_PER_SECOND = 100

/** Runs `cp`; the bench is worth nothing when it fails. */
function cp(target: string): void {
  const { status, stderr } = spawnSync('cp', ['-r', source, target], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`cp: ${stderr}`)
}

const WAYS: Readonly<Record<string, (target: string) => unknown>> = {
  'tree uring': (target) => copyTree(source, target),
  'tree fs.promises.cp': (target) => promises.cp(source, target, { recursive: true }),
  'tree cp': cp,
  'file uring': (target) => copyFile(source, target),
  'file uring-ring': (target) => copyFile(source, target, { methods: ['ring'] }),
  'file fs.copyFile': (target) => promises.copyFile(source, target),
  'file cp': cp,
  'cold uring': (target) => copyFile(source, target, { direct: 'source' }),
  'cold uring-both': (target) => copyFile(source, target, { direct: true }),
  'cold uring-buffered': (target) => copyFile(source, target),
  'cold fs.copyFile': (target) => promises.copyFile(source, target),
  'cold cp': cp,
}

/** Takes the source out of the page cache. */
async function dropCache(uring: Uring): Promise<void> {
  const fd = openSync(source, 'r')
  fdatasyncSync(fd)
  await uring.fadvise(fd, 0, 0, POSIX_FADV_DONTNEED)
  closeSync(fd)
}

/** Processor time of ended children, in microseconds; the kernel counts it in hundredths of a second. */
function childMicros(): number {
  // After the name in parentheses: fields 16 and 17.
  const fields = readFileSync('/proc/self/stat', 'latin1').split(') ')[1]!.split(' ')
  return ((Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND) * 1e6
}

const way = WAYS[`${what} ${how}`]!
if (how === 'cp' && spawnSync('cp', ['--version']).error !== undefined) skip('cp is not installed')
if (how.startsWith('uring') && !Uring.available) skip(Uring.availability().reason)
const dropper = what === 'cold' ? Uring.open() : null
let copies = 0

await serve(async (): Promise<Measurement> => {
  if (dropper !== null) await dropCache(dropper)
  const target = join(folder, `${how}-${process.pid}-${copies++}`)
  const [cpu, ended] = [process.cpuUsage(), childMicros()]
  const started = performance.now()
  await way(target)
  const seconds = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const cpuMicros = user + system + childMicros() - ended
  spawnSync('sync', ['-f', target])
  // Files are few and large. Trees stay until the bench ends: an ext4 without a journal is slow for minutes to give out
  // inodes again that were freed.
  if (what !== 'tree') rmSync(target)
  return { ops: 1, seconds, cpuMicros }
})
await dropper?.close()
