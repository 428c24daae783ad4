// `npm run fuzz`: structured fuzzing of the public functions and of the delta parser, in processes of their own, so that
// a crash or a hang is seen, and named by the seed and the case that it came with.
//
//   npm run fuzz -- --minutes 5                      both kinds, seeds that nobody has chosen
//   npm run fuzz -- --only delta --seed 42 --batches 1   one batch again

import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'

export const KINDS = ['api', 'delta'] as const
export type Kind = (typeof KINDS)[number]

/** Cases of one process. */
const RUNS: Readonly<Record<Kind, number>> = { api: 150, delta: 400 }
const BATCH_TIMEOUT_MS = 180_000
const NOBODY = 65_534

export interface BatchOutcome {
  readonly inputs: number
  readonly failure: string | null
}

/** The program of a batch as one file: it starts quickly, and another user can read it. */
export async function buildProgram(): Promise<string> {
  const folder = fileURLToPath(new URL('../../node_modules/.cache/uring/', import.meta.url))
  mkdirSync(folder, { recursive: true })
  const outfile = join(folder, `fuzz-${process.pid}.mjs`)
  await build({
    entryPoints: [fileURLToPath(new URL('batch.ts', import.meta.url))],
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    define: { CORPUS_URL: JSON.stringify(new URL('./corpus/', import.meta.url).href) },
    outfile,
    logLevel: 'error',
  })
  process.on('exit', () => rmSync(outfile, { force: true }))
  return outfile
}

/** Runs one batch. As root, it runs as nobody: garbage must not reach what is not its own. */
export function runBatch(
  program: string,
  kind: Kind,
  seed: number,
  runs = RUNS[kind],
): Promise<BatchOutcome> {
  const folder = mkdtempSync(join(tmpdir(), 'uring-fuzz-'))
  chmodSync(folder, 0o777)
  const isRoot = process.getuid?.() === 0
  const child = spawn(process.execPath, [program, kind, String(seed), String(runs), folder], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: folder, TMPDIR: folder },
    ...(isRoot && { uid: NOBODY, gid: NOBODY }),
  })
  let trace = ''
  let stderr = ''
  child.stdio[3]!.on('data', (text: Buffer) => {
    // The last case is what counts.
    trace = (trace + text).slice(-100_000)
  })
  child.stderr!.on('data', (text: Buffer) => {
    stderr = (stderr + text).slice(-4000)
  })
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    child.kill('SIGKILL')
  }, BATCH_TIMEOUT_MS)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      rmSync(folder, { recursive: true, force: true })
      const done = /^# done (\d+)$/m.exec(trace)
      if (done !== null) {
        resolve({ inputs: Number(done[1]), failure: null })
        return
      }
      const failed = /^# failed (.+)$/m.exec(trace)
      const last = [...trace.matchAll(/^# case (.+)$/gm)].at(-1)?.[1] ?? 'none'
      const what = isLate
        ? `no end within ${BATCH_TIMEOUT_MS} ms`
        : `the process ended with ${signal ?? code}`
      const failure =
        failed === null ? `${what}; last case: ${last}\n${stderr}` : (JSON.parse(failed[1]!) as string)
      resolve({ inputs: 0, failure: `${kind}, seed ${seed}: ${failure}` })
    })
  })
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '5' },
      seed: { type: 'string' },
      only: { type: 'string' },
      batches: { type: 'string' },
    },
  })
  const deadline = performance.now() + Number(values.minutes) * 60_000
  const most = values.batches === undefined ? Number.POSITIVE_INFINITY : Number(values.batches)
  const first = Number(values.seed ?? Math.floor(Math.random() * 2 ** 30))
  const kinds = KINDS.filter((kind) => values.only === undefined || values.only === kind)
  const program = await buildProgram()
  const inputs: Record<string, number> = {}
  const failures = new Set<string>()
  let next = 0
  console.log(`seeds from ${first} on`)
  const worker = async (): Promise<void> => {
    while (performance.now() < deadline && next < most) {
      const seed = first + next
      const kind = kinds[next++ % kinds.length]!
      const outcome = await runBatch(program, kind, seed)
      inputs[kind] = (inputs[kind] ?? 0) + outcome.inputs
      if (outcome.failure === null) continue
      failures.add(outcome.failure)
      console.log(outcome.failure)
    }
  }
  await Promise.all([worker(), worker()])
  const counts = kinds.map((kind) => `${kind}: ${inputs[kind] ?? 0} inputs`).join(', ')
  console.log(`${next} batches; ${counts}; ${failures.size} failures`)
  process.exitCode = failures.size > 0 ? 1 : 0
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main()
