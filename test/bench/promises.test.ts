// The suites of promises, in their quick form: they run, and print what they promise.

import { assert, needs, test } from '../harness.js'
import { assertMeasured, quick } from './quick.js'

const here = needs.bind(null, { ring: true } as const)

test(
  'promises measures reads and the memory of operations that wait',
  here(async () => {
    const output = await quick('promises')
    assertMeasured(output, ['uring', 'fs.readSync', 'fs.promises', 'uring-signal'])
    const waiting = output.rows.filter((row) => row.case.endsWith('issued in one turn'))
    assert.is(waiting.length, 3)
    for (const { contender, details } of waiting) {
      const bytes = details!['heapBytesPerOperation']!
      assert.ok(bytes > 20 && bytes < 4000, `${contender}: ${bytes} bytes an operation`)
    }
    assert.is(output.targets.length, 3)
  }),
)

test(
  'fairness measures the delay of an interval beside busy loops',
  here(async () => {
    const output = await quick('fairness')
    assertMeasured(output, ['uring', 'uring-files', 'fs.promises', 'idle'])
    for (const { contender, details } of output.rows) {
      assert.ok(details!['p99DelayMs']! > 0.5, `${contender}: ${details!['p99DelayMs']} ms`)
    }
    assert.is(output.targets.length, 2)
  }),
)

test.run()
