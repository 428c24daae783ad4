import { assert, needs, test } from '../harness.js'
import { compareSequences } from './random-operations.js'

const OPERATIONS = 2000

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(
    `${OPERATIONS} random operations end as in node:fs/promises (seed ${seed})`,
    needs({ ring: true }, async () => {
      const succeeded = await compareSequences(seed, OPERATIONS)
      assert.ok(
        succeeded > OPERATIONS / 4,
        `only ${succeeded} operations succeeded: the sequence compares nothing`,
      )
    }),
  )
}

test.run()
