// Random walks over everything a ring can do, held against a ledger: each operation completes once with its own result,
// whatever the order of submits, waits, passes that throw or nest, resizes and registrations. A failure prints its seed.

import { prepNop, prepNopResult } from '../../src/ring/prep/nop.js'
import { Ring } from '../../src/ring/ring.js'
import {
  IORING_SETUP_COOP_TASKRUN,
  IORING_SETUP_CQE_MIXED,
  IORING_SETUP_CQE32,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_NO_SQARRAY,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SQE128,
  IORING_SETUP_SQPOLL,
  IORING_SETUP_SUBMIT_ALL,
  IORING_SETUP_TASKRUN_FLAG,
  IOSQE_ASYNC,
  IOSQE_IO_HARDLINK,
} from '../../src/syscalls/abi/index.js'
import { assert, needs, ringIsAtLeast, test, unmet } from '../harness.js'
import { nextSqe, ringDescriptors, ringMappings } from './drive.js'

/** A NOP has the result that its entry asks for. */
const canInject = ringIsAtLeast('6.10')
const canResize = unmet({ register: 'IORING_REGISTER_RESIZE_RINGS' }) === null

/** A generator of numbers below a bound, the same ones for the same seed (xorshift). */
function randomFrom(seed: number): (bound: number) => number {
  let state = seed | 1
  return (bound) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % bound
  }
}

class Walk {
  readonly #ring: Ring
  readonly #random: (bound: number) => number
  readonly #isResizable: boolean
  /** Result of each operation that was queued and has not completed, by user_data. */
  readonly #expected = new Map<number, number>()
  #next = 1

  constructor(seed: number, flags: number) {
    this.#random = randomFrom(seed)
    this.#isResizable = canResize && (flags & IORING_SETUP_DEFER_TASKRUN) !== 0
    // A queue of mixed completions has two slots at least.
    const entries = 2 << this.#random(5)
    const cqEntries = entries << this.#random(3)
    const idle = flags & IORING_SETUP_SQPOLL ? { sqThreadIdleMs: 1 + this.#random(3) } : {}
    this.#ring = Ring.open({ entries, cqEntries, flags, ...idle })
  }

  run(steps: number): void {
    for (let step = 0; step < steps; step++) this.#steps[this.#random(this.#steps.length)]!()
    const deadline = performance.now() + 5000
    while (this.#expected.size > 0 && performance.now() < deadline) {
      this.#ring.submitAndWait(1, 50)
      while (this.#ring.forEachCqe(this.#visit) > 0);
    }
    assert.is(this.#expected.size, 0, 'operations were lost')
    assert.equal([this.#ring.sqPending, this.#ring.cqReady], [0, 0])
    this.#ring.close()
  }

  readonly #visit = (low: number, high: number, res: number): void => {
    assert.is(high, ~low >>> 0)
    assert.is(this.#expected.get(low), res, `operation ${low}`)
    this.#expected.delete(low)
  }

  /** What a step may be; those that are named twice happen twice as often. */
  readonly #steps: readonly (() => unknown)[] = [
    () => this.#queue(1 + this.#random(this.#ring.sqEntries)),
    () => this.#queue(1 + this.#random(this.#ring.sqEntries)),
    () => this.#queue(1 + this.#random(3)),
    () => this.#ring.submit(),
    () => this.#ring.submitAndGetEvents(),
    () => this.#ring.submitAndWait(Math.min(this.#expected.size, this.#random(4), this.#ring.cqEntries), 20),
    () => this.#ring.forEachCqe(this.#visit),
    () => this.#ring.forEachCqe(this.#visit),
    () => this.#ring.forEachBigCqe(this.#visit),
    () => this.#passThatThrows(),
    () => this.#passThatWanders(),
    () => this.#change(),
  ]

  #queue(count: number): void {
    const random = this.#random
    for (let room = Math.min(count, this.#ring.sqSpaceLeft); room > 0; room--) {
      const low = this.#next++
      const wanted = random(3) === 0 ? -1 - random(100) : random(1 << 20)
      const res = canInject ? wanted : 0
      const entry = nextSqe(this.#ring)
      const sqe = canInject ? prepNopResult(entry, res) : prepNop(entry)
      sqe.setUserData(low, ~low >>> 0)
      // A hard link holds whatever the result of the one before.
      if (random(8) === 0) sqe.addFlags(IOSQE_ASYNC)
      if (random(8) === 0 && room > 1) sqe.addFlags(IOSQE_IO_HARDLINK)
      this.#expected.set(low, res)
    }
  }

  #passThatThrows(): void {
    let left = this.#random(4)
    try {
      this.#ring.forEachCqe((low, high, res) => {
        this.#visit(low, high, res)
        if (left-- === 0) throw new RangeError('on purpose')
      })
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
    }
  }

  #passThatWanders(): void {
    const ring = this.#ring
    let turns = 3
    ring.forEachCqe((low, high, res) => {
      this.#visit(low, high, res)
      if (turns-- <= 0) return
      this.#queue(this.#random(3))
      if (this.#random(2) === 0) ring.submit()
      if (this.#random(4) === 0) ring.forEachCqe(this.#visit)
      if (this.#random(8) === 0) this.#change()
    })
  }

  #change(): void {
    const ring = this.#ring
    if (this.#random(2) === 0) {
      if (ring.registerRingFd() !== 0) ring.unregisterRingFd()
      return
    }
    if (!this.#isResizable) return
    const entries = 1 << this.#random(7)
    try {
      ring.resize({ entries, cqEntries: entries << this.#random(3) })
    } catch (error) {
      // What is queued does not fit, or the overflow list has to be emptied first.
      if (!['EOVERFLOW', 'EBUSY'].includes((error as { code: string }).code)) throw error
    }
  }
}

const defer = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN

for (const [name, flags, walks] of [
  ['plain', IORING_SETUP_SUBMIT_ALL, 60],
  ['no flag', 0, 60],
  ['CQE32, COOP_TASKRUN', IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQE32 | IORING_SETUP_COOP_TASKRUN, 40],
  ['DEFER_TASKRUN', IORING_SETUP_SUBMIT_ALL | defer, 60],
  [
    'DEFER_TASKRUN, flagged, SQE128, NO_SQARRAY',
    IORING_SETUP_SUBMIT_ALL |
      defer |
      IORING_SETUP_TASKRUN_FLAG |
      IORING_SETUP_SQE128 |
      IORING_SETUP_NO_SQARRAY,
    60,
  ],
  ['CQE_MIXED', IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQE_MIXED, 40],
  ['SQPOLL', IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SQPOLL, 15],
] as const) {
  test(
    `random walks: ${name}`,
    needs({ setup: flags }, () => {
      const first = Number(process.env['WALK_SEED'] ?? 1)
      for (let seed = first; seed < first + walks; seed++) {
        try {
          new Walk(seed * 2_654_435_761, flags).run(300)
        } catch (error) {
          console.log(`# WALK_SEED=${seed}`)
          throw error
        }
      }
      assert.equal([ringDescriptors(), ringMappings()], [[], []])
    }),
  )
}

test.run()
