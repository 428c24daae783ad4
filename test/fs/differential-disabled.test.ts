// The same sequences without io_uring.

import { test } from '../harness.js'
import { scaled } from '../patience.js'
import { compareSequences } from './random-operations.js'

// Looked at on every call, so it may be set after the imports.
process.env['URING_DISABLE'] = '1'

const OPERATIONS = scaled(2000)

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(`${OPERATIONS} random operations end as in node:fs/promises when URING_DISABLE=1 (seed ${seed})`, async () => {
    await compareSequences(seed, OPERATIONS)
  })
}

test.run()
