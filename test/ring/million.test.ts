// One million operations, each with a user_data of its own: none is lost, none completes twice, on every kind of ring
// that moves completions in a way of its own.

import { prepNop } from '../../src/ring/prep/nop.js'
import { Ring } from '../../src/ring/ring.js'
import {
  IORING_SETUP_COOP_TASKRUN,
  IORING_SETUP_CQE32,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_NO_SQARRAY,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SQPOLL,
  IORING_SQ_CQ_OVERFLOW,
} from '../../src/syscalls/abi/index.js'
import { assert, needs, test } from '../harness.js'
import { nextSqe } from './drive.js'

const MILLION = 1_000_000

/** What has completed, and whether it was what had been asked. */
class Ledger {
  completed = 0
  readonly #seen = new Uint8Array(MILLION)
  #wrong = 0

  queue(ring: Ring, userData: number): void {
    prepNop(nextSqe(ring)).setUserData(userData, (userData ^ 0x5a5a_5a5a) >>> 0)
  }

  readonly visit = (low: number, high: number, res: number): void => {
    this.completed++
    if (high !== (low ^ 0x5a5a_5a5a) >>> 0 || res !== 0 || this.#seen[low] !== 0) this.#wrong++
    this.#seen[low] = 1
  }

  check(): void {
    assert.equal([this.completed, this.#wrong], [MILLION, 0])
    assert.ok(this.#seen.every((value) => value === 1))
  }
}

const defer = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN

for (const [name, options, reapEvery] of [
  ['a plain ring', { flags: 0 }, 1],
  ['a DEFER_TASKRUN ring', { flags: defer | IORING_SETUP_NO_SQARRAY }, 1],
  ['a DEFER_TASKRUN ring with CQE32', { flags: defer | IORING_SETUP_CQE32 }, 1],
  ['a ring that overflows all the time', { cqEntries: 256, flags: IORING_SETUP_COOP_TASKRUN }, 3],
] as const) {
  test(
    `a million operations on ${name}`,
    needs({ setup: options.flags }, () => {
      const ring = Ring.open({ entries: 256, ...options })
      const ledger = new Ledger()
      let submitted = 0
      let overflows = 0
      for (let round = 1; submitted < MILLION; round++) {
        for (let room = ring.sqSpaceLeft; room > 0 && submitted < MILLION; room--)
          ledger.queue(ring, submitted++)
        ring.submit()
        if (ring.sqFlags & IORING_SQ_CQ_OVERFLOW) overflows++
        if (round % reapEvery === 0) while (ring.forEachCqe(ledger.visit) > 0);
      }
      while (ring.forEachCqe(ledger.visit) > 0);
      ledger.check()
      assert.is(overflows > 0, reapEvery > 1)
      assert.equal([ring.sqPending, ring.cqReady], [0, 0])
      ring.close()
    }),
  )
}

test(
  'a million operations under SQPOLL, through waitForSqSpace()',
  needs({ setup: 'IORING_SETUP_SQPOLL' }, () => {
    const ring = Ring.open({ entries: 256, cqEntries: 1024, flags: IORING_SETUP_SQPOLL, sqThreadIdleMs: 5 })
    const ledger = new Ledger()
    let fullQueues = 0
    for (let submitted = 0; submitted < MILLION; submitted++) {
      while (ring.sqSpaceLeft === 0) {
        fullQueues++
        ring.submit()
        ring.forEachCqe(ledger.visit)
        ring.waitForSqSpace()
      }
      ledger.queue(ring, submitted)
    }
    ring.submit()
    while (ledger.completed < MILLION) if (ring.forEachCqe(ledger.visit) === 0) ring.submitAndWait(1, 1000)
    ledger.check()
    assert.ok(fullQueues > 0)
    assert.equal([ring.sqPending, ring.cqReady], [0, 0])
    ring.close()
  }),
)

test.run()
