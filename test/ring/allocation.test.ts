// The way of an operation through the ring allocates nothing: the heap does not grow with the number of operations.

import { prepNop } from '../../src/ring/prep/nop.js'
import { Ring } from '../../src/ring/ring.js'
import {
  IORING_SETUP_CQE_MIXED,
  IORING_SETUP_CQE32,
  IORING_SETUP_SQPOLL,
} from '../../src/syscalls/abi/index.js'
import { collectGarbage } from '../garbage.js'
import { assert, needs, test } from '../harness.js'

const OPERATIONS = 1_000_000
const BATCH = 250

/** Bytes by which the heap grew. */
function growth(ring: Ring, operations: number): number {
  let sum = 0
  const visit = (low: number): void => {
    sum += low
  }
  let done = 0
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  for (let submitted = 0; submitted < operations; submitted += BATCH) {
    for (let index = 0; index < BATCH; index++) {
      // An SQPOLL thread shows that it has taken entries only after their completions.
      let sqe = ring.getSqe()
      while (sqe === null) {
        ring.waitForSqSpace()
        sqe = ring.getSqe()
      }
      prepNop(sqe).setUserData(index)
    }
    ring.submitAndWait(BATCH)
    done += ring.forEachCqe(visit)
  }
  const after = process.memoryUsage().heapUsed
  assert.is(done, operations)
  assert.is(sum, (operations / BATCH) * ((BATCH * (BATCH - 1)) / 2))
  return after - before
}

for (const [name, flags] of [
  ['plain', 0],
  ['CQE32', IORING_SETUP_CQE32],
  ['CQE_MIXED', IORING_SETUP_CQE_MIXED],
  ['SQPOLL', IORING_SETUP_SQPOLL],
] as const) {
  test(
    `a million operations allocate nothing each: ${name}`,
    needs({ setup: flags }, () => {
      const ring = Ring.open({ entries: 256, flags })
      growth(ring, 100_000)
      const bytes = growth(ring, OPERATIONS)
      // Less than a byte for each: what remains is by the batch, made by the call through koffi.
      assert.ok(bytes < OPERATIONS, `${bytes} bytes for ${OPERATIONS} operations`)
      ring.close()
    }),
  )
}

test.run()
