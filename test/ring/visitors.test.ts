// What a visitor of completions may do: throw, visit, submit, wait, resize, close. What it has seen is never shown again,
// what it has not seen stays.

import { prepNop } from '../../src/ring/prep/nop.js'
import { prepTimeout } from '../../src/ring/prep/timeouts.js'
import { Ring } from '../../src/ring/ring.js'
import {
  IORING_SETUP_CQE_MIXED,
  IORING_SETUP_CQE32,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_SINGLE_ISSUER,
  KERNEL_TIMESPEC,
} from '../../src/syscalls/abi/index.js'
import { Struct } from '../../src/syscalls/struct.js'
import { assert, needs, test } from '../harness.js'
import { nextSqe, queueNops, range, reap, ringDescriptors, ringMappings, thrown } from './drive.js'
import { FakeRing } from './fake-ring.js'

const defer = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN

for (const [name, options, forEach] of [
  ['forEachCqe()', { flags: 0 }, 'forEachCqe'],
  ['forEachCqe() of big completions', { flags: IORING_SETUP_CQE32 }, 'forEachCqe'],
  ['forEachBigCqe()', { flags: IORING_SETUP_CQE_MIXED }, 'forEachBigCqe'],
  ['forEachCqe() with DEFER_TASKRUN', { flags: defer }, 'forEachCqe'],
] as const) {
  const inRing = needs.bind(null, { setup: options.flags })

  /** A ring of 8 entries with the completions 1 to `count`. */
  const openWith = (count: number): Ring => {
    const ring = Ring.open({ entries: 8, cqEntries: 8, ...options })
    queueNops(ring, ...range(1, count))
    ring.submitAndWait(count)
    return ring
  }

  test(
    `${name}: a visitor that throws is told once what it has seen, and the rest stays`,
    inRing(() => {
      const ring = openWith(6)
      const seen: number[] = []
      const visit = (low: number): void => {
        seen.push(low)
        if (low % 2 === 0) throw new Error(`at ${low}`)
      }
      assert.is(thrown(() => ring[forEach](visit)).message, 'at 2')
      assert.is(ring.cqReady, 4)
      assert.is(thrown(() => ring[forEach](visit)).message, 'at 4')
      assert.is(thrown(() => ring[forEach](visit)).message, 'at 6')
      assert.is(ring[forEach](visit), 0)
      assert.equal(seen, range(1, 6))
      queueNops(ring, 7)
      ring.submitAndWait(1)
      assert.is(ring[forEach](visit), 1)
      assert.is(seen.at(-1), 7)
      ring.close()
    }),
  )

  test(
    `${name}: a nested pass takes what is left`,
    inRing(() => {
      const ring = openWith(5)
      const outer: number[] = []
      const inner: number[] = []
      let innerCount = -1
      const count = ring[forEach]((low: number) => {
        outer.push(low)
        if (low === 2) innerCount = ring[forEach]((innerLow: number) => inner.push(innerLow))
      })
      assert.equal([outer, inner], [range(1, 2), range(3, 5)])
      assert.equal([count, innerCount, ring.cqReady], [2, 3, 0])
      ring.close()
    }),
  )

  test(
    `${name}: a nested pass that throws ends both`,
    inRing(() => {
      const ring = openWith(5)
      const seen: number[] = []
      const fail = (low: number): void => {
        seen.push(low)
        throw new Error('inner')
      }
      const error = thrown(() =>
        ring[forEach]((low: number) => {
          seen.push(low)
          if (low === 2) ring[forEach](fail)
        }),
      )
      assert.is(error.message, 'inner')
      assert.equal([seen, ring.cqReady], [[1, 2, 3], 2])
      ring[forEach]((low: number) => seen.push(low))
      assert.equal(seen, range(1, 5))
      ring.close()
    }),
  )

  test(
    `${name}: a visitor that submits is not shown new completions in the same pass, and loses none`,
    inRing(() => {
      const ring = openWith(8)
      const passes: number[] = []
      const seen: number[] = []
      while (seen.length < 100) {
        const count = ring[forEach]((low: number) => {
          seen.push(low)
          if (seen.length > 92) return
          queueNops(ring, low + 8)
          assert.is(ring.submit(), 1)
        })
        passes.push(count)
      }
      assert.equal(seen, range(1, 100))
      assert.ok(passes.every((count) => count <= 8))
      assert.is(reap(ring).length, 0)
      ring.close()
    }),
  )

  test(
    `${name}: a visitor that closes the ring is the last one called`,
    inRing(() => {
      const ring = openWith(5)
      const seen: number[] = []
      const count = ring[forEach]((low: number) => {
        seen.push(low)
        if (low === 3) ring.close()
      })
      assert.equal([seen, count], [[1, 2, 3], 3])
      assert.equal([ringDescriptors(), ringMappings()], [[], []])
    }),
  )

  test(
    `${name}: a nested pass may close the ring`,
    inRing(() => {
      const ring = openWith(5)
      const seen: number[] = []
      ring[forEach]((low: number) => {
        seen.push(low)
        if (low !== 2) return
        ring[forEach]((innerLow: number) => {
          seen.push(innerLow)
          ring.close()
        })
        assert.throws(() => ring[forEach](() => {}), /closed/)
      })
      assert.equal(seen, [1, 2, 3])
    }),
  )

  test(
    `${name}: a wait in a visitor waits for what has not been seen`,
    inRing(() => {
      const ring = openWith(3)
      const time = Struct.alloc(KERNEL_TIMESPEC).set('tv_nsec', 20e6)
      const seen: number[] = []
      ring[forEach]((low: number) => {
        seen.push(low)
        if (low !== 3) return
        prepTimeout(nextSqe(ring), time.address).setUserData(4)
        // The three that have been seen are not three to wait for.
        ring.submitAndWait(1)
        assert.is(ring.cqReady, 1)
      })
      // What arrived after the pass began belongs to the next one.
      assert.equal(seen, [1, 2, 3])
      assert.equal(reap(ring), [4])
      ring.close()
    }),
  )
}

test(
  'a visitor that resizes the ring: what has been seen stays behind, the rest moves along',
  needs({ register: 'IORING_REGISTER_RESIZE_RINGS' }, () => {
    const ring = Ring.open({ entries: 8, flags: defer })
    queueNops(ring, ...range(1, 6))
    ring.submitAndWait(6)
    const seen: number[] = []
    const count = ring.forEachCqe((low) => {
      seen.push(low)
      if (low === 3) ring.resize({ entries: 16 })
    })
    assert.equal([count, seen, ring.cqReady], [3, [1, 2, 3], 3])
    assert.equal(reap(ring), [4, 5, 6])
    ring.close()
  }),
)

test('a visitor that enters the kernel gives back the slots of what it has seen', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 4, cqEntries: 4 }, fake)
  queueNops(ring, 1, 2, 3, 4)
  ring.submit()
  const heads: number[] = []
  ring.forEachCqe((low) => {
    if (low === 3) {
      prepNop(nextSqe(ring)).setUserData(5)
      ring.submit()
    }
    heads.push(fake.word('cq', 'head'))
  })
  assert.equal(heads, [0, 0, 3, 3])
  assert.is(fake.overflowed.length, 0)
  assert.equal(reap(ring), [5])
  ring.close()
  fake.dispose()
})

test('a visitor that is no function is refused before a completion is taken', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 4 }, fake)
  queueNops(ring, 1, 2)
  ring.submit()
  for (const call of [ring.forEachCqe, ring.forEachBigCqe]) {
    const error = thrown(() => call.call(ring, undefined as unknown as () => void))
    assert.is(error.code, 'ERR_INVALID_ARG_TYPE')
  }
  assert.is(ring.cqReady, 2)
  ring.close()
  fake.dispose()
})

test.run()
