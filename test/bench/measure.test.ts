import type { Contender } from '../../bench/harness/contender.js'
import { measureCase, summarize } from '../../bench/harness/measure.js'
import type { Measurement } from '../../bench/harness/measurement.js'
import { assert, test } from '../harness.js'

const EFFORT = { rounds: 3, runMs: 5, warmUpRuns: 1 }

/** Answers with the given speeds in turn, after one warm-up run, and writes down what it was asked. */
function fake(name: string, speeds: readonly number[], log: string[], skip: string | null = null): Contender {
  const answers = [1, ...speeds]
  return {
    name,
    async start() {
      log.push(`start ${name}`)
      return skip
    },
    async run(milliseconds) {
      assert.is(milliseconds, EFFORT.runMs)
      log.push(`run ${name}`)
      return { ops: answers.shift()!, seconds: 1, cpuMicros: 10 }
    },
    async stop() {
      log.push(`stop ${name}`)
    },
  }
}

test('measureCase() lets contenders run in turns, each round beginning with another one', async () => {
  const log: string[] = []
  const contenders = [fake('uring', [1, 1, 1], log), fake('c', [1, 1, 1], log)]
  await measureCase({ suite: 's', name: 'n', contenders }, EFFORT)
  const runs = log.filter((line) => line.startsWith('run')).map((line) => line.slice(4))
  assert.equal(runs.slice(2), ['uring', 'c', 'c', 'uring', 'uring', 'c'])
})

test('measureCase() drops warm-up runs and takes ratios within each round', async () => {
  const contenders = [fake('uring', [80, 40, 90], []), fake('c', [100, 50, 60], [])]
  const { rows } = await measureCase({ suite: 's', name: 'n', contenders }, EFFORT)
  const [uring, c] = rows
  assert.is(uring!.opsPerSec, 80)
  assert.is(uring!.ratioToUring, 1)
  assert.is(c!.opsPerSec, 60)
  assert.is(c!.runs, 3)
  // The ratios are 0.8, 0.8 and 1.5; the ratio of the medians, 80 / 60, would compare two different rounds.
  assert.is(c!.ratioToUring, 0.8)
  assert.is(c!.cpuMicrosPerOp, 10 / 60)
})

test('measureCase() reports a contender that cannot run, with its reason, and measures the others', async () => {
  const log: string[] = []
  const contenders = [fake('uring', [], log, 'no io_uring here'), fake('c', [1, 2, 3], log)]
  const { rows, skipped } = await measureCase({ suite: 's', name: 'n', contenders }, EFFORT)
  assert.equal(skipped, [{ suite: 's', case: 'n', contender: 'uring', reason: 'no io_uring here' }])
  assert.equal(
    rows.map((row) => row.contender),
    ['c'],
  )
  assert.is(rows[0]!.ratioToUring, null)
})

test('measureCase() stops every contender when one fails', async () => {
  const log: string[] = []
  const failing: Contender = {
    ...fake('c', [], log),
    async run() {
      throw new Error('lost')
    },
  }
  const subject = { suite: 's', name: 'n', contenders: [fake('uring', [1, 1, 1], log), failing] }
  const failure = await measureCase(subject, EFFORT).then(
    () => null,
    (error: Error) => error,
  )
  assert.is(failure?.message, 'lost')
  assert.ok(log.includes('stop uring'))
  assert.ok(log.includes('stop c'))
})

test('summarize() takes the median of each detail', () => {
  const run = (bytes: number): Measurement => ({ ops: 2, seconds: 1, cpuMicros: 4, details: { bytes } })
  const [row] = summarize('s', 'n', new Map([['uring', [run(7), run(1), run(3)]]]))
  assert.equal(row!.details, { bytes: 3 })
  assert.is(row!.cpuMicrosPerOp, 2)
})

test('summarize() has no details when no run has any', () => {
  const [row] = summarize('s', 'n', new Map([['uring', [{ ops: 1, seconds: 1, cpuMicros: 0 }]]]))
  assert.not('details' in row!)
})

test.run()
