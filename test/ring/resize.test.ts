// resize(): a live ring gets other queues, and what is in them moves along.

import { prepRead } from '../../src/ring/prep/read-write.js'
import { Ring } from '../../src/ring/ring.js'
import {
  IORING_SETUP_CLAMP,
  IORING_SETUP_CQE32,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_NO_MMAP,
  IORING_SETUP_NO_SQARRAY,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SQE128,
  IORING_SETUP_TASKRUN_FLAG,
} from '../../src/syscalls/abi/index.js'
import { close, write } from '../../src/syscalls/libc.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { assert, needs, test } from '../harness.js'
import {
  complete,
  nextSqe,
  openPipe,
  queueNops,
  range,
  reap,
  ringDescriptors,
  ringMappings,
  thrown,
} from './drive.js'

const defer = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN
const resizable = needs.bind(null, { register: 'IORING_REGISTER_RESIZE_RINGS' })

for (const [name, more] of [
  ['an SQ array', 0],
  ['NO_SQARRAY', IORING_SETUP_NO_SQARRAY],
  ['CQE32', IORING_SETUP_CQE32],
  ['SQE128 and NO_SQARRAY', IORING_SETUP_SQE128 | IORING_SETUP_NO_SQARRAY],
  ['TASKRUN_FLAG', IORING_SETUP_TASKRUN_FLAG],
] as const) {
  for (const entries of [4, 16, 64]) {
    test(
      `resize() from 8 to ${entries} entries with ${name}: entries queued and completions unseen move along`,
      resizable(() => {
        const flags = defer | more
        const ring = Ring.open({ entries: 8, flags })
        // Counters in mid-lap, so that what moves changes its slot.
        for (let lap = 0; lap < 7; lap++) {
          queueNops(ring, lap)
          ring.submitAndWait(1)
          reap(ring)
        }
        queueNops(ring, ...range(1, 5))
        ring.submitAndWait(5)
        const seen: number[] = []
        const stop = (low: number): void => {
          seen.push(low)
          if (low === 2) throw new Error('enough')
        }
        assert.throws(() => ring.forEachCqe(stop), /enough/)
        queueNops(ring, ...range(6, 8))
        const stale = nextSqe(ring).setUserData(9)

        ring.resize({ entries })
        assert.equal([ring.sqEntries, ring.cqEntries], [entries, 2 * entries])
        assert.equal([ring.sqPending, ring.sqSpaceLeft, ring.cqReady], [4, entries - 4, 3])
        assert.is(ring.flags, flags)
        stale.setUserData(99)

        assert.is(ring.submitAndWait(4), 4)
        for (let pass = reap(ring); pass.length > 0; pass = reap(ring)) seen.push(...pass)
        assert.equal(seen, range(1, 9))
        for (let lap = 0; lap < 3; lap++) {
          queueNops(ring, ...range(1, entries))
          assert.is(ring.getSqe(), null)
          assert.is(ring.submitAndWait(entries), entries)
          assert.equal(reap(ring), range(1, entries))
        }
        ring.close()
        assert.equal([ringDescriptors(), ringMappings()], [[], []])
      }),
    )
  }
}

test(
  'resize() with reads in flight: they complete in the new queue',
  resizable(() => {
    const ring = Ring.open({ entries: 8, flags: defer })
    assert.is(ring.registerRingFd(), 0)
    const { readEnd, writeEnd } = openPipe()
    const bytes = Buffer.from(new ArrayBuffer(8))
    prepRead(nextSqe(ring), readEnd, addressOf(bytes), 8, 0).setUserData(1)
    ring.submit()
    ring.resize({ entries: 32, cqEntries: 256 })
    ring.resize({ entries: 2, cqEntries: 4 })
    assert.equal([ring.sqEntries, ring.cqEntries], [2, 4])
    write(writeEnd, addressOf(Buffer.from('moved')), 5)
    assert.equal([...complete(ring, 1)], [[1, 5]])
    assert.is(bytes.toString('latin1', 0, 5), 'moved')
    // Closed with one in flight, counted since before the resize: its memory is left alone.
    prepRead(nextSqe(ring), readEnd, addressOf(bytes), 8, 0).setUserData(2)
    ring.submit()
    ring.resize({ entries: 8 })
    bytes.fill(0)
    ring.close()
    write(writeEnd, addressOf(Buffer.from('late')), 4)
    assert.ok(bytes.every((byte) => byte === 0))
    close(readEnd)
    close(writeEnd)
  }),
)

test(
  'resize() many times over',
  resizable(() => {
    const ring = Ring.open({ entries: 1, flags: defer })
    let next = 0
    const seen: number[] = []
    for (const entries of [2, 4, 1024, 8, 32_768, 1, 16, 2, 64]) {
      ring.resize({ entries })
      const first = next
      while (next < first + Math.min(entries, 5) - 1) queueNops(ring, next++)
      ring.submitAndWait(0)
      seen.push(...reap(ring))
      // One entry that nobody has submitted moves along each time.
      queueNops(ring, next++)
    }
    ring.submitAndWait(0)
    seen.push(...reap(ring))
    assert.equal(seen, range(0, next - 1))
    ring.close()
  }),
)

test(
  'resize() that the kernel refuses changes nothing',
  resizable(() => {
    const plain = Ring.open({ entries: 4 })
    assert.is(thrown(() => plain.resize({ entries: 8 })).code, 'EINVAL')

    const crowded = Ring.open({ entries: 8, flags: defer })
    queueNops(crowded, ...range(1, 8))
    const overflow = thrown(() => crowded.resize({ entries: 4 }))
    assert.equal([overflow.code, overflow.syscall], ['EOVERFLOW', 'io_uring_register'])

    // Memory of one's own would have to be given anew.
    const own = Ring.open({ entries: 4, flags: defer | IORING_SETUP_NO_MMAP })
    assert.is(thrown(() => own.resize({ entries: 8 })).syscall, 'io_uring_register')

    queueNops(plain, 1)
    queueNops(own, 1)
    for (const [ring, count] of [
      [plain, 1],
      [crowded, 8],
      [own, 1],
    ] as const) {
      assert.is(ring.submitAndWait(count), count)
      assert.equal(reap(ring), range(1, count))
      ring.close()
    }
  }),
)

test(
  'resize() clamps when the ring was set up so',
  resizable(() => {
    const ring = Ring.open({ entries: 4, flags: defer | IORING_SETUP_CLAMP })
    ring.resize({ entries: 40_000 })
    assert.equal([ring.sqEntries, ring.cqEntries], [32_768, 65_536])
    ring.close()
  }),
)

test.run()
