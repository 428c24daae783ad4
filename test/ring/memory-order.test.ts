// Which looks at the completion queue are plain loads, and that a look without a system call before it never is: V8 could
// use an old one again. docs/decisions/atomics-where-they-order.md has the reasons.

import { IS_TOTAL_STORE_ORDER } from '../../src/ring/memory-order.js'
import { prepNop } from '../../src/ring/prep/nop.js'
import { Ring } from '../../src/ring/ring.js'
import { IORING_SETUP_NO_MMAP, IOSQE_ASYNC } from '../../src/syscalls/abi/index.js'
import { assert, test } from '../harness.js'
import { PATIENCE } from '../patience.js'
import { nextSqe, queueNops, reap } from './drive.js'
import { FakeRing } from './fake-ring.js'

/** Runs `action`, and counts the atomic accesses to the word `index`. */
function countAccesses(index: number, action: () => void): { loads: number; stores: number } {
  const { load, store } = Atomics
  const counts = { loads: 0, stores: 0 }
  Atomics.load = ((array: Int32Array, at: number) => {
    if (at === index) counts.loads++
    return load(array, at)
  }) as typeof Atomics.load
  Atomics.store = ((array: Int32Array, at: number, value: number) => {
    if (at === index) counts.stores++
    return store(array, at, value)
  }) as typeof Atomics.store
  try {
    action()
  } finally {
    Atomics.load = load
    Atomics.store = store
  }
  return counts
}

test('forEachCqe() looks atomically, but for the first look after enter(2) on x86-64', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 4, flags: IORING_SETUP_NO_MMAP }, fake)
  const tail = fake.at('cq', 'tail')
  const look = () => countAccesses(tail, () => reap(ring)).loads
  const plain = IS_TOTAL_STORE_ORDER ? 0 : 1
  assert.is(look(), 1, 'before the first enter(2)')
  queueNops(ring, 1, 2)
  ring.submit()
  assert.is(look(), plain, 'right after it')
  assert.is(look(), 1, 'once more')
  queueNops(ring, 3)
  ring.submit()
  const ready = () => countAccesses(tail, () => assert.is(ring.cqReady, 1)).loads
  assert.equal([ready(), ready()], [1, 1], 'cqReady, which programs wait on')
  assert.is(look(), plain)
  ring.close()
})

test('forEachCqe() gives slots back by a plain store on x86-64, by an atomic one elsewhere', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 4, flags: IORING_SETUP_NO_MMAP }, fake)
  queueNops(ring, 1, 2, 3)
  ring.submit()
  const { stores } = countAccesses(fake.at('cq', 'head'), () => reap(ring))
  assert.is(stores, IS_TOTAL_STORE_ORDER ? 0 : 1)
  assert.is(fake.word('cq', 'head'), 3)
  ring.close()
})

test('forEachCqe() right after enter(2) looks at the tail once', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 8, flags: IORING_SETUP_NO_MMAP }, fake)
  queueNops(ring, 1, 2, 3)
  ring.submit()
  const seen: number[] = []
  ring.forEachCqe((low) => {
    seen.push(low)
    fake.setWord('cq', 'tail', 1000)
  })
  assert.equal(seen, [1, 2, 3])
  assert.is(fake.word('cq', 'head'), 3)
  ring.close()
})

// Warmed up, so that the loop is one that V8 has optimized before it has to end.
const ROUNDS = 2000

test('a loop on forEachCqe() sees what another thread completes, without a system call', () => {
  const ring = Ring.open({ entries: 4 })
  const deadline = performance.now() + 20_000 * PATIENCE
  let seen = 0
  for (let round = 0; round < ROUNDS; round++) {
    prepNop(nextSqe(ring)).setUserData(1).setFlags(IOSQE_ASYNC)
    ring.submit()
    let looks = 0
    for (let count = 0; count === 0; looks++) {
      count = ring.forEachCqe((low) => {
        seen += low
      })
      // Not a clock at each look: it would be the call behind which a load is a fresh one.
      if (looks > 1e8 && performance.now() > deadline) throw new Error('the completion was never seen')
    }
  }
  assert.is(seen, ROUNDS)
  ring.close()
})

test('a loop on cqReady sees what another thread completes, without a system call', () => {
  const ring = Ring.open({ entries: 4 })
  const deadline = performance.now() + 20_000 * PATIENCE
  for (let round = 0; round < ROUNDS; round++) {
    prepNop(nextSqe(ring)).setFlags(IOSQE_ASYNC)
    ring.submit()
    for (let looks = 0; ring.cqReady === 0; looks++) {
      if (looks > 1e8 && performance.now() > deadline) throw new Error('the completion was never seen')
    }
    assert.is(reap(ring).length, 1)
  }
  ring.close()
})

test.run()
