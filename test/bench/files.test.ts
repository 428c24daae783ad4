// The suites of files, in their quick form: they run, and print what they promise.

import type { Row, Skip } from '../../bench/harness/measurement.js'
import { assert, needs, test } from '../harness.js'
import { assertMeasured, quick } from './quick.js'

const here = needs.bind(null, { ring: true } as const)

test(
  'fs measures handles, appends, large files and streams',
  here(async () => {
    const output = await quick('fs')
    assertMeasured(output, ['uring', 'fs.promises', 'fs.read', 'fs.read+io_uring', 'fs.readFileSync'])
    const appends = output.rows.filter(
      (row) => row.case.startsWith('durable append') && row.contender === 'uring',
    )
    assert.is(appends.length, 2)
    for (const { details } of appends) {
      const enters = details!['entersPerOperation']!
      assert.ok(enters > 0 && enters < 4, `${enters} enters an append`)
    }
    assert.is(output.targets.length, 9)
  }),
)

test(
  'smallfiles measures reading and writing, and says so when Bun is missing',
  here(async () => {
    const output = await quick('smallfiles')
    assertMeasured(output, ['uring', 'uring-readFiles', 'fs.promises', 'fs.readFileSync', 'fs.writeFileSync'])
    const isBun = ({ contender }: Row | Skip): boolean => contender === 'bun'
    assert.ok(output.rows.some(isBun) || output.skipped.some(isBun))
    assert.is(output.targets.length, 5)
  }),
)

test.run()
