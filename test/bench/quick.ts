// Runs a suite of the bench in its quick form, and checks what every suite promises.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Row, Skip, Target } from '../../bench/harness/measurement.js'
import { assert } from '../harness.js'

const execute = promisify(execFile)
const MAIN = new URL('../../bench/main.ts', import.meta.url).pathname

export interface Output {
  readonly rows: Row[]
  readonly skipped: Skip[]
  readonly targets: Target[]
}

export async function quick(suite: string): Promise<Output> {
  const args = ['--import', 'tsx', MAIN, suite, '--quick', '--runs', '1', '--json']
  const { stdout } = await execute(process.execPath, args)
  const output = JSON.parse(stdout) as Output
  for (const row of output.rows) {
    assert.is(row.suite, suite)
    assert.ok(row.opsPerSec > 0, `${row.case}, ${row.contender}: ${row.opsPerSec} ops/s`)
    assert.ok(row.ratioToUring !== null && row.ratioToUring > 0)
  }
  return output
}

/** Every one of the contenders was measured in some case. */
export function assertMeasured({ rows }: Output, contenders: readonly string[]): void {
  for (const name of contenders) {
    assert.ok(
      rows.some((row) => row.contender === name),
      `no row of ${name}`,
    )
  }
}
