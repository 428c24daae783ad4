// `uring bench` as a program: it measures, with a terminal and without, and leaves nothing behind.

import { readdirSync } from 'node:fs'
import { assert, needs, test } from '../harness.js'
import { inFolder, uring, uringKilled, uringOnTerminal } from './program.js'

test(
  'uring bench measures from the package alone',
  needs({ swift: true }, () =>
    inFolder((folder) => {
      for (const env of [{}, { URING_DISABLE: '1' }]) {
        const { code, out, err } = uring(['bench', '--json', `--folder=${folder}`], env)
        assert.is(code, 0, err)
        const { rows } = JSON.parse(out) as { rows: { uring: number | null; node: number }[] }
        assert.is(rows.length, 3)
        for (const row of rows) {
          assert.ok(row.node > 0)
          if ('URING_DISABLE' in env) assert.is(row.uring, null)
        }
      }
      assert.equal(readdirSync(folder), [], 'nothing is left behind')
    }),
  ),
)

test(
  'uring bench prints a table on a terminal',
  needs({ swift: true, command: 'script' }, () =>
    inFolder((folder) => {
      const { code, out } = uringOnTerminal(['bench'], { TMPDIR: folder })
      assert.is(code, 0, out)
      assert.match(out, /reads of 4 KiB, 64 at a time/)
    }),
  ),
)

test(
  'uring bench that is interrupted leaves nothing behind',
  needs({ swift: true }, () =>
    inFolder(async (folder) => {
      const isUnderway = (): boolean => readdirSync(folder, { recursive: true }).length > 1000
      const { code, err } = await uringKilled(['bench', `--folder=${folder}`], 'SIGINT', isUnderway)
      assert.is(code, 130, err)
      assert.equal(readdirSync(folder), [])
    }),
  ),
)

test.run()
