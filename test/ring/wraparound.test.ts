// The four counters run modulo 2^32. A fake kernel starts them just below, so that every operation crosses the end.

import { Ring } from '../../src/ring/ring.js'
import {
  IORING_FEAT_NODROP,
  IORING_SETUP_CQE_MIXED,
  IORING_SETUP_CQE32,
  IORING_SETUP_NO_SQARRAY,
  IORING_SETUP_SQE_MIXED,
  IORING_SETUP_SQPOLL,
} from '../../src/syscalls/abi/index.js'
import { assert, test } from '../harness.js'
import { nextSqe, queueNops, range, reap } from './drive.js'
import { FakeRing } from './fake-ring.js'

// 16 before the end, and 3 before it: laps that end with the counter, and laps that do not.
const STARTS = [0xffff_fff0, 0xffff_fffd, 0x7fff_fffe] as const

const VARIANTS = [
  ['one mapping', {}, {}],
  ['two mappings', { features: IORING_FEAT_NODROP }, {}],
  ['NO_SQARRAY', {}, { flags: IORING_SETUP_NO_SQARRAY }],
  ['CQE32', {}, { flags: IORING_SETUP_CQE32 }],
  ['CQE_MIXED', {}, { flags: IORING_SETUP_CQE_MIXED }],
  ['as many CQ as SQ entries', {}, { cqEntries: 4 }],
] as const

for (const start of STARTS) {
  const from = `from 0x${start.toString(16)}`

  for (const [name, fakeOptions, ringOptions] of VARIANTS) {
    test(`counters cross 2^32 ${from}: ${name}`, () => {
      const fake = new FakeRing({ start, ...fakeOptions })
      const ring = Ring.open({ entries: 4, ...ringOptions }, fake)
      assert.equal([ring.sqPending, ring.sqSpaceLeft, ring.cqReady], [0, 4, 0])
      let next = 1
      for (const count of [1, 2, 3, 4, 4, 4, 3, 2, 1, 4]) {
        const expected = range(next, next + count - 1)
        next += count
        queueNops(ring, ...expected)
        assert.equal([ring.sqPending, ring.sqSpaceLeft], [count, 4 - count])
        assert.is(ring.submit(), count)
        assert.equal([ring.sqPending, ring.sqSpaceLeft, ring.cqReady], [0, 4, count])
        assert.equal(reap(ring), expected)
        assert.is(ring.cqReady, 0)
      }
      for (const [side, counter] of [
        ['sq', 'head'],
        ['sq', 'tail'],
        ['cq', 'head'],
        ['cq', 'tail'],
      ] as const) {
        assert.is(fake.word(side, counter), (start + 28) >>> 0, `${side}.${counter}`)
      }
      ring.close()
      fake.dispose()
    })
  }

  test(`getSqe() answers null when the queue is full ${from}`, () => {
    const fake = new FakeRing({ start })
    const ring = Ring.open({ entries: 8 }, fake)
    for (let lap = 0; lap < 4; lap++) {
      queueNops(ring, ...range(1, 8))
      assert.is(ring.getSqe(), null)
      assert.is(ring.getSqe128(), null)
      assert.equal([ring.sqPending, ring.sqSpaceLeft], [8, 0])
      fake.limits.push(5)
      assert.is(ring.submit(), 5)
      queueNops(ring, ...range(9, 13))
      assert.is(ring.getSqe(), null)
      assert.is(ring.submit(), 8)
      assert.equal(reap(ring), range(1, 13))
    }
    ring.close()
    fake.dispose()
  })

  test(`an overflow is flushed in order ${from}`, () => {
    const fake = new FakeRing({ start })
    const ring = Ring.open({ entries: 4, cqEntries: 8 }, fake)
    for (const first of range(0, 7).map((lap) => lap * 4)) {
      queueNops(ring, ...range(first, first + 3))
      ring.submit()
    }
    assert.is(fake.overflowed.length, 24)
    const seen: number[] = []
    for (let pass = reap(ring); pass.length > 0; pass = reap(ring)) {
      assert.is(pass.length, 8)
      seen.push(...pass)
    }
    assert.equal(seen, range(0, 31))
    ring.close()
    fake.dispose()
  })

  test(`SQPOLL: the thread's head is followed ${from}`, () => {
    const fake = new FakeRing({ start })
    const ring = Ring.open({ entries: 4, flags: IORING_SETUP_SQPOLL }, fake)
    let next = 0
    for (let lap = 0; lap < 12; lap++) {
      while (ring.getSqe()?.setUserData(next)) next++
      assert.is(ring.submit(), 4)
      assert.is(ring.getSqe(), null)
      assert.is(ring.sqSpaceLeft, 0)
      fake.take(3)
      assert.equal([ring.sqPending, ring.sqSpaceLeft], [1, 3])
      nextSqe(ring).setUserData(next++)
      fake.take(1)
      assert.equal(reap(ring), range(next - 5, next - 2))
      ring.submit()
      fake.take(1)
      assert.equal(reap(ring), [next - 1])
    }
    ring.close()
    fake.dispose()
  })

  test(`CQE_MIXED: big completions and the filler before the wrap ${from}`, () => {
    const fake = new FakeRing({ start })
    const ring = Ring.open({ entries: 4, cqEntries: 8, flags: IORING_SETUP_CQE_MIXED }, fake)
    const seen: number[][] = []
    for (const userData of range(1, 60)) {
      const isBig = userData % 3 !== 0
      if (isBig) fake.post(userData, 0xffff_fff0, -userData, 0, [userData, 2, 3, 0xffff_ffff])
      else fake.post(userData, 0, userData, 0)
      const count = ring.forEachBigCqe((low, high, res, _flags, ...extra) =>
        seen.push([low, high, res, ...extra]),
      )
      assert.is(count, 1)
      const big = [userData, 0xffff_fff0, -userData, userData, 2, 3, 0xffff_ffff]
      assert.equal(seen.pop(), isBig ? big : [userData, 0, userData, 0, 0, 0, 0])
    }
    ring.close()
    fake.dispose()
  })

  test(`SQE_MIXED: a wide entry never wraps ${from}`, () => {
    const fake = new FakeRing({ start })
    const ring = Ring.open({ entries: 8, flags: IORING_SETUP_SQE_MIXED }, fake)
    const NOP128 = 63
    const expected: number[] = []
    for (let lap = 0; lap < 20; lap++) {
      for (const isWide of [true, false, true]) {
        const userData = expected.length + 1
        const sqe = isWide ? ring.getSqe128() : ring.getSqe()
        assert.ok(sqe)
        assert.is(sqe.words.length, isWide ? 32 : 16)
        assert.ok(sqe.words.every((word) => word === 0))
        if (isWide) sqe.words.fill(userData, 12)
        if (isWide) sqe.words[0] = NOP128
        sqe.setUserData(userData)
        expected.push(userData)
      }
      ring.submit()
      assert.is(ring.sqPending, 0)
      assert.equal(reap(ring), expected.slice(-3))
    }
    const wide = fake.taken.filter((words) => words.length === 32)
    assert.is(wide.length, 40)
    assert.ok(wide.every((words) => words.slice(12).every((word) => word === words[8])))
    ring.close()
    fake.dispose()
  })
}

test('SQE_MIXED: a wide entry finds no room in two slots when one of them is the last of the lap', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 8, flags: IORING_SETUP_SQE_MIXED }, fake)
  queueNops(ring, ...range(1, 7))
  assert.is(ring.submit(), 7)
  queueNops(ring, 8)
  assert.is(ring.submit(), 1)
  queueNops(ring, ...range(9, 15))
  assert.is(ring.getSqe128(), null, 'one slot')
  fake.limits.push(1)
  ring.submit()
  assert.is(ring.getSqe128(), null, 'two slots, but not neighbours')
  fake.limits.push(1)
  ring.submit()
  const wide = ring.getSqe128()
  assert.ok(wide, 'three slots: a filler and two neighbours')
  assert.is(ring.sqSpaceLeft, 0)
  ring.close()
  fake.dispose()
})

test.run()
