import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Machine } from '../../bench/harness/machine.js'
import type { Row, Skip, Target } from '../../bench/harness/measurement.js'
import { assert, needs, test } from '../harness.js'

const execute = promisify(execFile)
const MAIN = new URL('../../bench/main.ts', import.meta.url).pathname

function bench(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return execute(process.execPath, ['--import', 'tsx', MAIN, ...args])
}

test(
  'a quick nop run prints valid JSON and draws a chart',
  needs({ ring: true }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'uring-bench-test-'))
    try {
      const svg = join(folder, 'nop.svg')
      const { stdout, stderr } = await bench('nop', '--quick', '--runs', '1', '--json', '--svg', svg)
      const output = JSON.parse(stdout) as {
        machine: Machine
        rows: Row[]
        skipped: Skip[]
        targets: Target[]
      }

      assert.is(output.machine.node, process.version)
      assert.ok(output.machine.kernel.length > 0)
      const uring = output.rows.filter((row) => row.contender === 'uring')
      assert.ok(uring.length >= 2, `${uring.length} rows of uring`)
      for (const row of output.rows) {
        assert.is(row.suite, 'nop')
        assert.is(row.runs, 1)
        assert.ok(row.opsPerSec > 0, `${row.case}: ${row.opsPerSec} ops/s`)
        assert.ok(row.cpuMicrosPerOp > 0)
        assert.ok(row.ratioToUring !== null && row.ratioToUring > 0)
      }
      // The C peer was measured, or the reason why not is there.
      const cases = new Set(uring.map((row) => row.case))
      for (const name of cases) {
        const isC = ({ case: caseName, contender }: Row | Skip) =>
          caseName === name && contender === 'c-liburing'
        assert.ok(output.rows.some(isC) || output.skipped.some(isC), `c-liburing in ${name}`)
      }
      assert.is(output.targets.length, 6)
      assert.match(stderr, /# nop: flags 0, batch 1\n/)

      const drawing = readFileSync(svg, 'utf8')
      assert.match(drawing, /^<svg /)
      assert.match(drawing, /million ops\/s/)
    } finally {
      rmSync(folder, { recursive: true })
    }
  }),
)

test('an unknown suite ends with exit code 2 and names those there are', async () => {
  const failure = await bench('nopes').then(
    () => null,
    (error: { code: number; stderr: string }) => error,
  )
  assert.is(failure?.code, 2)
  assert.match(failure!.stderr, /No such suite: nopes\. There are: nop, read, /)
})

test.run()
