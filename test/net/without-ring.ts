// Runs test files of this folder once more with URING_DISABLE=1: on node:net and node:dgram the same tests have the same
// results. fallback.test.ts and fallback-heavy.test.ts share them, for each file of tests has its time limit.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { assert, needs, test } from '../harness.js'
import { IS_EMULATED, PATIENCE } from '../patience.js'

const folder = new URL('./', import.meta.url)
const TSX = import.meta.resolve('tsx')
/** Files at a time: most of them wait most of the time. */
const JOBS = 4
const LONGEST_MS = 100_000 * PATIENCE
/** For a file whose tests have ended: what a failed test leaves open would keep its process for ever. */
const GRACE_MS = 10_000 * PATIENCE

interface Outcome {
  readonly output: string
  readonly code: number | null
}

async function runWithoutRing(name: string): Promise<Outcome> {
  const child = spawn(process.execPath, ['--import', TSX, fileURLToPath(new URL(name, folder))], {
    env: { ...process.env, URING_DISABLE: '1', NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  // Sooner than the runner's patience with this file ends, so that it is known which one it was.
  const timers = [setTimeout(() => child.kill('SIGKILL'), LONGEST_MS)]
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      if (timers.length === 1 && text.includes('  Total: ')) {
        timers.push(setTimeout(() => child.kill('SIGKILL'), GRACE_MS))
      }
    })
  }
  const [code] = (await once(child, 'close')) as [number | null]
  for (const timer of timers) clearTimeout(timer)
  return { output: stripVTControlCharacters(output), code }
}

/** Those that take long: many connections, much data. */
const HEAVY: ReadonlySet<string> = new Set(
  ['endings', 'pressure', 'traffic', 'workers', 'fuzz'].map((name) => `${name}.test.ts`),
)

/** Registers a test for each file of one kind. */
export function testWithoutRing(isHeavy: boolean): void {
  const files = readdirSync(folder).filter(
    (name) => name.endsWith('.test.ts') && !name.startsWith('fallback') && HEAVY.has(name) === isHeavy,
  )
  const outcomes = new Map<string, Promise<Outcome>>()
  const waiting = [...files]

  /** Starts the next file; each that ends starts another. */
  function startNext(): void {
    const name = waiting.shift()
    if (name === undefined) return
    const outcome = runWithoutRing(name)
    outcomes.set(name, outcome)
    void outcome.then(startNext)
  }

  async function outcomeOf(name: string): Promise<Outcome> {
    for (;;) {
      const outcome = outcomes.get(name)
      if (outcome !== undefined) return outcome
      await Promise.race(outcomes.values())
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  // What goes on for long says nothing of io_uring here, and an emulated processor takes minutes for it.
  const when = (): true | string => !isHeavy || !IS_EMULATED || 'needs a processor that is not emulated'
  if (when() === true) for (let job = 0; job < JOBS; job++) startNext()
  for (const name of files) {
    test(
      `${name} passes without a ring`,
      needs({ when }, async () => {
        const { output, code } = await outcomeOf(name)
        const totals = /^ {2}Total: +(\d+)\n {2}Passed: +(\d+)$/m.exec(output)
        assert.ok(totals !== null, `printed no totals, exit code ${code}:\n${output}`)
        assert.is(totals[2], totals[1], output)
        assert.is(code, 0, output)
      }),
    )
  }
}
