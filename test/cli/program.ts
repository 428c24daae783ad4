// The `uring` command as a program: run to its end, on a terminal, or until it is killed.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'

/**
 * The program in one file, bundled once for a test file: loading its hundred modules through a transpiler takes longer than
 * most commands. Two folders below package.json, as it is when it is installed.
 */
export const MAIN = bundle()

function bundle(): string {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const folder = join(root, 'node_modules', `.uring-program-${process.pid}`)
  const outfile = join(folder, 'main.mjs')
  buildSync({
    entryPoints: [join(root, 'src/cli/main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    logLevel: 'error',
  })
  process.once('exit', () => fs.rmSync(folder, { recursive: true, force: true }))
  return outfile
}

export interface Outcome {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Runs a command to its end, without a terminal. */
export function uring(args: readonly string[], env: NodeJS.ProcessEnv = {}): Outcome {
  const run = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  if (run.status === null) throw new Error(`uring ${args.join(' ')} ended with ${run.signal}: ${run.stderr}`)
  return { code: run.status, out: run.stdout, err: run.stderr }
}

/** Runs a command on a pseudo-terminal, of util-linux `script`. What it shows has both streams in it. */
export function uringOnTerminal(args: readonly string[], env: NodeJS.ProcessEnv = {}): Outcome {
  const words = [process.execPath, MAIN, ...args]
  const line = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
  const run = spawnSync('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
    encoding: 'utf8',
    env: { ...process.env, TERM: 'xterm', ...env },
    input: '',
  })
  return { code: run.status, out: run.stdout, err: run.stderr }
}

/** Starts a command; `isUnderway` says when it is in the middle of its work, at which it gets the signal. */
export async function uringKilled(
  args: readonly string[],
  signal: NodeJS.Signals,
  isUnderway: (pid: number) => boolean,
  env: NodeJS.ProcessEnv = {},
): Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly err: string }> {
  const child: ChildProcess = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  let err = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  child.stdout!.resume()
  const exited = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  while (child.exitCode === null && child.signalCode === null && !isUnderway(child.pid!)) await sleep(1)
  child.kill(signal)
  const [code, by] = await exited
  return { code, signal: by, err }
}

const SIGHUP_BIT = 1n

/** Whether the program listens for the signals that end it: Node by itself has no handler for this one. */
export function listensForSignals(pid: number): boolean {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'latin1')
  return (BigInt(`0x${/SigCgt:\s*(\w+)/.exec(status)![1]}`) & SIGHUP_BIT) !== 0n
}

/** A folder for one test, removed at its end. */
export async function inFolder(work: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = fs.mkdtempSync(join(tmpdir(), 'uring-cli-'))
  try {
    await work(folder)
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
}

/** Names in a folder, and in those in it, that unfinished work has left. */
export function unfinished(folder: string): string[] {
  const names = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return names.filter((name) => name.endsWith('.partial'))
}
