// `npm run faults`: runs with many seeds. A process of its own runs each hundred of them, so that a crash is seen, too,
// and named by its seed.
//
//   npm run faults                                1000 seeds of the driver, 200 of uring/fs, 200 of uring/net
//   npm run faults -- --seeds 20000 --seed 5000   so many, from that one on
//   npm run faults -- --only driver --seed 4711 --seeds 1

import { spawn } from 'node:child_process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { type RunReport, runDriver } from './driver-run.js'
import { runFiles } from './files-run.js'
import { runNet } from './net-run.js'

const RUNS: Readonly<Record<string, (seed: number) => Promise<RunReport>>> = {
  driver: runDriver,
  files: runFiles,
  net: runNet,
}
/** Seeds of one process. */
const CHUNK = 100
const CHUNK_TIMEOUT_MS = 180_000

export interface SeedsReport {
  readonly seeds: number
  readonly operations: number
  readonly injected: Readonly<Record<string, number>>
  /** What is wrong, each with the seed to have it again. */
  readonly failures: readonly string[]
}

/** In the child: one line before each seed, one with its outcome after it. */
async function runChunk(kind: string, first: number, count: number): Promise<void> {
  for (let seed = first; seed < first + count; seed++) {
    process.stdout.write(`# seed ${seed}\n`)
    try {
      const report = await RUNS[kind]!(seed)
      process.stdout.write(`# done ${JSON.stringify(report)}\n`)
    } catch (error) {
      process.stdout.write(`# failed ${JSON.stringify((error as Error).message)}\n`)
      // What a failed run leaves behind would only confuse the next.
      process.exit(2)
    }
  }
  process.exit(0)
}

interface ChunkOutcome {
  readonly done: number
  readonly operations: number
  readonly injected: Record<string, number>
  readonly failure: string | null
}

function spawnChunk(kind: string, first: number, count: number): Promise<ChunkOutcome> {
  const args = ['--import', import.meta.resolve('tsx'), fileURLToPath(import.meta.url)]
  const child = spawn(process.execPath, [...args, '--child', kind, String(first), String(count)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), CHUNK_TIMEOUT_MS)
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (text) => {
    stdout += text
  })
  child.stderr.on('data', (text) => {
    stderr += text
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      const injected: Record<string, number> = {}
      let done = 0
      let operations = 0
      let seed = first
      let failure: string | null = null
      for (const line of stdout.split('\n')) {
        if (line.startsWith('# seed ')) seed = Number(line.slice(7))
        else if (line.startsWith('# failed ')) failure = JSON.parse(line.slice(9))
        else if (line.startsWith('# done ')) {
          const report = JSON.parse(line.slice(7)) as RunReport
          done++
          operations += report.operations
          for (const [what, times] of Object.entries(report.injected)) {
            injected[what] = (injected[what] ?? 0) + times
          }
        }
      }
      if (failure === null && code !== 0) {
        failure = `seed ${seed}: the process ended with ${signal ?? code}\n${stderr.trimEnd().slice(-2000)}`
      }
      resolve({ done, operations, injected, failure })
    })
  })
}

/** Runs `count` seeds from `first` on, in processes of their own, `jobs` at a time. */
export async function runSeeds(kind: string, first: number, count: number, jobs = 2): Promise<SeedsReport> {
  const injected: Record<string, number> = {}
  const failures: string[] = []
  let seeds = 0
  let operations = 0
  const rest: (readonly [first: number, count: number])[] = []
  for (let at = 0; at < count; at += CHUNK) rest.push([first + at, Math.min(CHUNK, count - at)])
  const worker = async (): Promise<void> => {
    for (let chunk = rest.shift(); chunk !== undefined; chunk = rest.shift()) {
      const [start, size] = chunk
      const outcome = await spawnChunk(kind, start, size)
      seeds += outcome.done
      operations += outcome.operations
      for (const [what, times] of Object.entries(outcome.injected))
        injected[what] = (injected[what] ?? 0) + times
      if (outcome.failure === null) continue
      failures.push(outcome.failure)
      // On with the seeds behind the one that failed.
      const used = outcome.done + 1
      if (used < size && failures.length < 10) rest.unshift([start + used, size - used])
    }
  }
  await Promise.all(Array.from({ length: jobs }, worker))
  return { seeds, operations, injected, failures }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { seeds: { type: 'string' }, seed: { type: 'string' }, only: { type: 'string' } },
  })
  const first = Number(values.seed ?? 1)
  const start = performance.now()
  let failed = 0
  for (const kind of Object.keys(RUNS)) {
    if (values.only !== undefined && values.only !== kind) continue
    const count = values.seeds === undefined ? (kind === 'driver' ? 1000 : 200) : Number(values.seeds)
    const { seeds, operations, injected, failures } = await runSeeds(kind, first, count)
    for (const failure of failures) console.log(`${kind}: ${failure}`)
    const faults = Object.values(injected).reduce((sum, times) => sum + times, 0)
    console.log(
      `${kind}: seeds ${first} to ${first + count - 1}: ${seeds} passed, ${failures.length} failed; ` +
        `${operations} operations, ${faults} faults ${JSON.stringify(injected)}`,
    )
    failed += failures.length
  }
  console.log(
    `${failed === 0 ? 'nothing lost' : `${failed} seeds failed`}, ${Math.round((performance.now() - start) / 1000)} s`,
  )
  process.exitCode = failed > 0 ? 1 : 0
}

if (process.argv[2] === '--child') {
  await runChunk(process.argv[3]!, Number(process.argv[4]), Number(process.argv[5]))
} else if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await main()
}
