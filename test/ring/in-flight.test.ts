// close() knows whether operations may be in flight: it counts what the kernel took and what has ended. Only then does it
// plant the pipe that hangs up with the ring, which costs time.

import { Ring } from '../../src/ring/ring.js'
import type { RingOptions } from '../../src/ring/setup.js'
import {
  IORING_CQE_F_MORE,
  IORING_REGISTER_FILES,
  IORING_SETUP_CQE_MIXED,
  IORING_SETUP_CQE32,
  IORING_SETUP_NO_SQARRAY,
  IORING_SETUP_SQ_REWIND,
  IORING_SETUP_SQPOLL,
  IOSQE_CQE_SKIP_SUCCESS,
} from '../../src/syscalls/abi/index.js'
import { assert, needs, test, unmet } from '../harness.js'
import { nextSqe, queueNops, range, reap, spied } from './drive.js'
import { FakeRing } from './fake-ring.js'

/** Whether close() waited, after `life`. */
function closeWaits(options: Partial<RingOptions>, life: (ring: Ring, fake: FakeRing) => void): boolean {
  // Counters that wrap in every life.
  const rewinds = ((options.flags ?? 0) & IORING_SETUP_SQ_REWIND) !== 0
  const fake = new FakeRing({ start: rewinds ? 0 : 0xffff_fffd })
  const ring = Ring.open({ entries: 4, ...options }, fake)
  life(ring, fake)
  ring.close()
  fake.dispose()
  return fake.registers.includes(IORING_REGISTER_FILES)
}

/** Queues an operation that completes when the test says so: the fake posts nothing for it. */
function begin(ring: Ring): void {
  nextSqe(ring).setFlags(IOSQE_CQE_SKIP_SUCCESS)
}

for (const [name, options] of [
  ['plain', {}],
  ['CQE32', { flags: IORING_SETUP_CQE32 }],
  ['CQE_MIXED', { flags: IORING_SETUP_CQE_MIXED }],
  ['SQ_REWIND', { flags: IORING_SETUP_NO_SQARRAY | IORING_SETUP_SQ_REWIND }],
] as const satisfies readonly (readonly [string, Partial<RingOptions>])[]) {
  const waits = closeWaits.bind(null, options)

  test(`close() does not wait when nothing was begun: ${name}`, () => {
    assert.is(
      waits(() => {}),
      false,
    )
    assert.is(
      waits((ring) => queueNops(ring, 1, 2)),
      false,
    )
  })

  test(`close() does not wait when everything has ended, seen or not: ${name}`, () => {
    const live = (ring: Ring): void => {
      for (const lap of range(1, 5)) {
        queueNops(ring, lap, lap, lap)
        ring.submit()
        if (lap < 5) reap(ring)
      }
    }
    assert.is(waits(live), false)
    const short = (ring: Ring, fake: FakeRing): void => {
      queueNops(ring, 1, 2, 3)
      fake.limits.push(2)
      ring.submit()
    }
    assert.is(waits(short), false)
  })

  test(`close() waits for what has not ended: ${name}`, () => {
    const live = (ring: Ring): void => {
      queueNops(ring, 1, 2)
      begin(ring)
      ring.submit()
      reap(ring)
    }
    assert.is(waits(live), true)
  })

  test(`a completion with more to come ends nothing: ${name}`, () => {
    const multishot =
      (isEnded: boolean) =>
      (ring: Ring, fake: FakeRing): void => {
        begin(ring)
        ring.submit()
        for (const userData of range(1, 6)) {
          fake.post(userData, 0, 0, IORING_CQE_F_MORE)
          if (userData !== 6) reap(ring)
        }
        if (isEnded) fake.post(7, 0, 0, 0)
      }
    assert.is(waits(multishot(false)), true)
    assert.is(waits(multishot(true)), false)
    // One that goes on, and five that ended: the sum alone would do.
    const oneShot = (ring: Ring, fake: FakeRing): void => {
      begin(ring)
      ring.submit()
      fake.post(1, 0, 0, IORING_CQE_F_MORE)
      reap(ring)
    }
    assert.is(waits(oneShot), true)
  })
}

test('big completions and fillers of a mixed queue are counted as what they are', () => {
  const life =
    (isEnded: boolean) =>
    (ring: Ring, fake: FakeRing): void => {
      for (const userData of range(1, 30)) {
        begin(ring)
        ring.submit()
        if (userData % 3 === 0) fake.post(userData, 0, 0, 0)
        else if (userData < 30 || isEnded) fake.post(userData, 0, 0, 0, [1, 2, 3, 4])
        reap(ring)
      }
      begin(ring)
      ring.submit()
      fake.post(31, 0, 0, isEnded ? 0 : IORING_CQE_F_MORE, [1, 2, 3, 4])
    }
  const options = { cqEntries: 8, flags: IORING_SETUP_CQE_MIXED }
  assert.is(closeWaits(options, life(true)), false)
  assert.is(closeWaits(options, life(false)), true)
})

test('under SQPOLL what was published counts as begun, taken or not', () => {
  const flags = IORING_SETUP_SQPOLL
  const live =
    (taken: number, isPublished = true) =>
    (ring: Ring, fake: FakeRing): void => {
      queueNops(ring, 1, 2, 3)
      if (isPublished) ring.submit()
      fake.take(taken)
    }
  assert.is(closeWaits({ flags }, live(3)), false)
  assert.is(closeWaits({ flags }, live(2)), true)
  assert.is(closeWaits({ flags }, live(0, false)), false)
})

test(
  'an ordinary ring is closed at once, also with completions that nobody looked at',
  needs({ ring: true }, () => {
    const opcodes: number[] = []
    const base = spied()
    const calls = spied({
      register(fd, opcode, arg, count) {
        opcodes.push(opcode)
        return base.register(fd, opcode, arg, count)
      },
    })
    for (const options of [{ flags: 0 }, { flags: 0x3000 }, { flags: 0, cqEntries: 4 }]) {
      if (unmet({ setup: options.flags }) !== null) continue
      const ring = Ring.open({ entries: 4, ...options }, calls)
      for (let lap = 0; lap < 2; lap++) {
        queueNops(ring, 1, 2, 3, 4)
        ring.submit()
      }
      ring.close()
    }
    assert.not(opcodes.includes(IORING_REGISTER_FILES))
  }),
)

test.run()
