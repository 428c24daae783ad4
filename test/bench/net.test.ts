// The `net` suite, once and briefly: every case has its rows, or says what is missing here.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Row, Skip, Target } from '../../bench/harness/measurement.js'
import { assert, needs, test } from '../harness.js'

const MAIN = new URL('../../bench/main.ts', import.meta.url).pathname

/** Who must be there, by what the name of a case begins with. */
const CONTENDERS: Readonly<Record<string, readonly string[]>> = {
  'echo, 64 B': ['uring', 'uring-sink', 'uring-stream', 'node:net', 'c-liburing'],
  'echo, 65536 B': ['uring', 'uring-copies', 'uring-stream', 'node:net', 'c-liburing'],
  HTTP: ['uring', 'node:net'],
  '500 idle': ['uring', 'uring-sink', 'node:net', 'c-liburing'],
}

test(
  'a quick net run measures servers of ours, of Node and of C, or says what is missing',
  needs({ linux: '6.0' }, async () => {
    const args = ['--import', 'tsx', MAIN, 'net', '--quick', '--runs', '1', '--json']
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args)
    const { rows, skipped, targets } = JSON.parse(stdout) as {
      rows: Row[]
      skipped: Skip[]
      targets: Target[]
    }
    const cases = [...stderr.matchAll(/^# net: ((?:echo|HTTP|\d+ idle).*)$/gm)].map((match) => match[1]!)
    assert.is(cases.length, 5, stderr)
    for (const name of cases) {
      const isHere = (contender: string) => (item: Row | Skip) =>
        item.case === name && item.contender === contender
      const contenders = Object.entries(CONTENDERS).find(([beginning]) => name.startsWith(beginning))?.[1]
      assert.ok(contenders, name)
      for (const contender of contenders) {
        assert.ok(rows.some(isHere(contender)) || skipped.some(isHere(contender)), `${contender} in ${name}`)
      }
    }
    for (const row of rows) assert.ok(row.opsPerSec > 0, `${row.case}, ${row.contender}: ${row.opsPerSec}`)
    assert.is(targets.length, 20)
  }),
)

test.run()
