// Runs the suites of the layers that have a fallback (fs, net, transfer) in an environment that refuses io_uring, or a
// part of it, and asks the doctor there. `npm test` leaves out the files that take long; with TEST_ENVIRONMENTS=all none is left
// out, with =few most are.

import { spawn, spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Diagnosis } from '../../src/cli/doctor.js'
import { assert, note } from '../harness.js'

const TESTS = fileURLToPath(new URL('..', import.meta.url))
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const TSX = import.meta.resolve('tsx')

export const SUITES = ['fs', 'net', 'transfer'] as const
export type SuiteName = (typeof SUITES)[number]

/** What goes on in an environment in every run of `npm test`: what each layer promises, without its endurance tests. */
const QUICK: Readonly<Record<SuiteName, RegExp>> = {
  fs: /^(current-position|differential-disabled|exports|file-handle|names|read-file|validation|write-file)\./,
  net: /^(connecting|endings|options|serving|stream|udp)\./,
  transfer: /^(apply-delta|bad-input|basis|copy-file|plan)\./,
}

/** What goes on where each file takes minutes, on an emulated processor. */
const FEW: Readonly<Record<SuiteName, RegExp>> = {
  fs: /^(names|write-file)\./,
  net: /^(options|serving)\./,
  transfer: /^(basis|copy-file)\./,
}

/** How a process is put into an environment. */
export interface Environment {
  /** A command that runs the command after it: setpriv, prlimit. */
  readonly launcher?: readonly string[]
  /** Every io_uring call is answered with this errno by a seccomp filter, which children inherit. */
  readonly refuseWith?: number
}

/** The test files of a suite that are run here. */
export function filesOf(suite: SuiteName): string[] {
  let files: string[]
  try {
    files = readdirSync(join(TESTS, suite), { recursive: true, encoding: 'utf8' })
  } catch {
    return []
  }
  const choice = process.env['TEST_ENVIRONMENTS']
  const wanted = choice === 'all' ? /./ : choice === 'few' ? FEW[suite] : QUICK[suite]
  return files
    .filter((file) => file.endsWith('.test.ts') && wanted.test(file))
    .map((file) => relative(ROOT, join(TESTS, suite, file)))
    .sort()
}

function commandFor(environment: Environment, script: string, args: readonly string[]): [string, string[]] {
  const { launcher = [], refuseWith } = environment
  const filter = fileURLToPath(new URL('children/refuse.ts', import.meta.url))
  const preload = refuseWith === undefined ? [] : ['--import', filter]
  const [command = '', ...rest] = [
    ...launcher,
    process.execPath,
    '--import',
    TSX,
    ...preload,
    join(ROOT, script),
    ...args,
  ]
  return [command, rest]
}

function variables(environment: Environment): NodeJS.ProcessEnv {
  const { refuseWith } = environment
  // Skips are what this is about. Node 24 has rings of its own, which must not be taken away in mid-flight.
  const env: NodeJS.ProcessEnv = { ...process.env, TEST_NO_SKIPS: '', UV_USE_IO_URING: '0' }
  if (refuseWith !== undefined) env['TEST_REFUSE_WITH'] = String(refuseWith)
  return env
}

/** Runs a suite in the environment. Fails unless every test passes or is skipped, and says how many. */
export async function runSuite(title: string, environment: Environment, suite: SuiteName): Promise<void> {
  const [command, args] = commandFor(environment, 'test/run.ts', filesOf(suite))
  const child = spawn(command, args, {
    cwd: ROOT,
    env: variables(environment),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const code = await new Promise<number | null>((settle, fail) => {
    child.on('error', fail)
    child.on('close', settle)
  })
  const totals = /^(\d+) passed, (\d+) failed, (\d+) skipped$/m.exec(output)
  assert.is(code, 0, output)
  assert.ok(totals !== null && Number(totals[1]) > 0, output)
  note(`${suite}, ${title}: ${totals[0]}`)
}

/** What the doctor finds in the environment. */
export function askDoctor(environment: Environment): Diagnosis {
  const [command, args] = commandFor(environment, 'src/cli/main.ts', ['doctor', '--json'])
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: ROOT,
    env: variables(environment),
    encoding: 'utf8',
  })
  assert.is(status, 0, stderr)
  return JSON.parse(stdout) as Diagnosis
}

// The kernel charges memory and threads to a user, so each environment has one of its own, whom nobody else runs as.
let nextUid = 200_000 + (process.pid % 10_000) * 20

/** A launcher that gives up root for a user of its own. */
export function asNewUser(...limits: readonly string[]): string[] {
  const uid = nextUid++
  const user = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--']
  return limits.length === 0 ? user : ['prlimit', ...limits, ...user]
}

/** Whether another user can read this checkout and run this Node: true, or why not. */
export function othersCanRead(): true | string {
  const [command = '', ...args] = [
    ...asNewUser(),
    process.execPath,
    '-e',
    'require("fs").readFileSync("package.json")',
  ]
  const { status } = spawnSync(command, args, { cwd: ROOT })
  return status === 0 || 'another user cannot read this checkout, or not run this Node'
}
