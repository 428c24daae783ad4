// What a binding owes the kernel (docs/obligations.md), obligations 1 to 3: each shared word read once, completions copied before
// they are given back, entries published whole. Obligation 2 at length: million.test.ts.

import { IS_TOTAL_STORE_ORDER } from '../../src/ring/memory-order.js'
import { prepNop } from '../../src/ring/prep/nop.js'
import { Ring } from '../../src/ring/ring.js'
import { IORING_SETUP_NO_MMAP, IORING_SETUP_SQPOLL } from '../../src/syscalls/abi/index.js'
import { assert, needs, test } from '../harness.js'
import { block, eventually, queueNops, range, reap } from './drive.js'
import { FakeRing } from './fake-ring.js'

/** Runs `action` and counts the atomic loads of each word; `after` runs right after each of them. */
function countLoads(action: () => void, after?: (index: number) => void): Map<number, number> {
  const counts = new Map<number, number>()
  const load = Atomics.load
  Atomics.load = ((array: Int32Array, index: number): number => {
    const value = load(array, index)
    counts.set(index, (counts.get(index) ?? 0) + 1)
    after?.(index)
    return value
  }) as typeof Atomics.load
  try {
    action()
  } finally {
    Atomics.load = load
  }
  return counts
}

test('obligation 1: each shared word is loaded once per operation', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 4, flags: IORING_SETUP_NO_MMAP }, fake)
  const [tail, head, flags, overflow] = [
    fake.at('cq', 'tail'),
    fake.at('sq', 'head'),
    fake.at('sq', 'flags'),
    fake.at('cq', 'overflow'),
  ]
  queueNops(ring, 1, 2, 3)
  ring.submit()
  // The tail is loaded by Atomics, or right behind enter(2) by a load that is one because the processor orders it.
  assert.equal([...countLoads(() => reap(ring))], IS_TOTAL_STORE_ORDER ? [] : [[tail, 1]])
  // With nothing there: what does the kernel hold back, and has it lost any?
  assert.equal(
    [...countLoads(() => reap(ring))].sort(),
    [
      [tail, 1],
      [flags, 1],
      [overflow, 1],
    ].sort(),
  )
  queueNops(ring, 4, 5, 6, 7)
  assert.equal([...countLoads(() => assert.is(ring.getSqe(), null))], [[head, 1]])
  ring.close()
})

test('obligation 1: under SQPOLL submit() loads sq.head and sq.flags once', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 4, flags: IORING_SETUP_SQPOLL }, fake)
  queueNops(ring, 1, 2)
  const loads = countLoads(() => assert.is(ring.submit(), 2))
  assert.equal(
    [...loads].sort(),
    [
      [fake.at('sq', 'head'), 1],
      [fake.at('sq', 'flags'), 1],
    ].sort(),
  )
  ring.close()
  fake.dispose()
})

test('obligation 1: what changes after the load is not looked at', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 8, flags: IORING_SETUP_NO_MMAP }, fake)
  const tail = fake.at('cq', 'tail')
  queueNops(ring, 1, 2, 3)
  ring.submit()
  let seen: number[] = []
  let changes = 0
  const scribble = (index: number): void => {
    // After the ring has read the tail: one completion more, and then a tail that is nonsense.
    if (index === tail && changes++ === 0) fake.setWord('cq', 'tail', 1000)
  }
  countLoads(() => {
    seen = reap(ring)
  }, scribble)
  assert.equal(seen, [1, 2, 3])
  assert.is(fake.word('cq', 'head'), 3)
  ring.close()
})

test('obligation 1: every index is masked', () => {
  const fake = new FakeRing({ start: 1_000_003 })
  const ring = Ring.open({ entries: 4, cqEntries: 8, flags: IORING_SETUP_NO_MMAP }, fake)
  const before = new Int32Array(fake.sq)
  for (let lap = 0; lap < 5; lap++) {
    queueNops(ring, 1, 2, 3, 4)
    assert.is(ring.submit(), 4)
    assert.equal(reap(ring), [1, 2, 3, 4])
  }
  // The words in front of the completions that are not ours to write are as they were.
  for (const [side, name] of [
    ['sq', 'ring_mask'],
    ['sq', 'ring_entries'],
    ['sq', 'dropped'],
    ['cq', 'ring_mask'],
    ['cq', 'ring_entries'],
    ['cq', 'overflow'],
  ] as const) {
    assert.is(fake.sq[fake.at(side, name)], before[fake.at(side, name)], `${side}.${name}`)
  }
  ring.close()
})

test('obligation 2: a CQE is copied before cq.head is stored, and not read after', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 4 }, fake)
  queueNops(ring, 1, 2)
  ring.submit()
  const headsSeen: number[] = []
  const seen: number[] = []
  ring.forEachCqe((low) => {
    headsSeen.push(fake.word('cq', 'head'))
    // As the kernel would, had the slot been given back.
    fake.cq.fill(-1, fake.at('cq', 'cqes'), fake.at('cq', 'cqes') + (seen.length + 1) * 4)
    seen.push(low)
  })
  assert.equal(seen, [1, 2])
  assert.equal(headsSeen, [0, 0])
  assert.is(fake.word('cq', 'head'), 2)
  ring.close()
  fake.dispose()
})

test(
  'obligation 3: an entry is published whole, and its slot reused only when sq.head has passed it',
  needs({ setup: 'IORING_SETUP_SQPOLL' }, () => {
    const ring = Ring.open({ entries: 4, cqEntries: 4096, flags: IORING_SETUP_SQPOLL, sqThreadIdleMs: 50 })
    // The thread is awake and looks: what is handed out and not submitted is invisible to it.
    queueNops(ring, 1)
    block(5)
    assert.is(ring.cqReady, 0)
    const seen: number[] = []
    for (let userData = 2; userData <= 3000; userData++) {
      let sqe = ring.getSqe()
      while (sqe === null) {
        ring.waitForSqSpace()
        sqe = ring.getSqe()
      }
      prepNop(sqe).setUserData(userData)
      ring.submit()
    }
    assert.ok(eventually(() => seen.push(...reap(ring)) === 3000))
    assert.equal(seen, range(1, 3000))
    ring.close()
  }),
)

test.run()
