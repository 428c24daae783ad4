import { defaultUring } from '../../src/runtime/index.js'
import { descriptorCount } from '../descriptors.js'
import { assert, needs, test } from '../harness.js'
import { scaled } from '../patience.js'
import { compareSequences } from './random-operations.js'
import '../settled.js'

const OPERATIONS = scaled(2000)

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(
    `${OPERATIONS} random operations end as in node:fs/promises (seed ${seed})`,
    needs({ ring: true }, async () => {
      const succeeded = await compareSequences(seed, OPERATIONS)
      assert.ok(
        succeeded > OPERATIONS / 3,
        `only ${succeeded} operations succeeded: the sequence compares little`,
      )
    }),
  )
}

test(
  'sequences side by side do not disturb one another',
  needs({ ring: true }, async () => {
    await Promise.all(Array.from({ length: 16 }, (_, index) => compareSequences(100 + index, scaled(250))))
  }),
)

test(
  'nothing is left: no operation, no memory of the driver, no descriptor',
  needs({ ring: true }, async () => {
    const { driver } = defaultUring()!
    const before = descriptorCount()
    await compareSequences(200, 300)
    await new Promise((resolve) => setImmediate(resolve))
    assert.is(driver.inFlight, 0)
    assert.is(driver.arena.blocksInUse, 0)
    assert.ok(descriptorCount() <= before)
  }),
)

test.run()
