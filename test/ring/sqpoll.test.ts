// A ring whose submission queue is read by a kernel thread: it sleeps and is woken, it takes entries by itself, and
// what it has not taken is still there.

import { prepRead } from '../../src/ring/prep/read-write.js'
import { Ring } from '../../src/ring/ring.js'
import {
  IORING_SETUP_R_DISABLED,
  IORING_SETUP_SQPOLL,
  IORING_SQ_NEED_WAKEUP,
} from '../../src/syscalls/abi/index.js'
import { close, write } from '../../src/syscalls/libc.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { kernelCalls } from '../../src/syscalls/uring-calls.js'
import { assert, needs, test } from '../harness.js'
import {
  block,
  complete,
  eventually,
  nextSqe,
  openPipe,
  queueNops,
  range,
  reap,
  spied,
  sqpollThreads,
  thrown,
} from './drive.js'
import { FakeRing } from './fake-ring.js'

const sqpoll = needs.bind(null, { setup: 'IORING_SETUP_SQPOLL' })

function open(sqThreadIdleMs = 1, entries = 8): Ring {
  return Ring.open({ entries, flags: IORING_SETUP_SQPOLL, sqThreadIdleMs })
}

function asleep(ring: Ring): boolean {
  return (ring.sqFlags & IORING_SQ_NEED_WAKEUP) !== 0
}

test(
  'SQPOLL: a thread that sleeps is woken by every way to submit',
  sqpoll(() => {
    const ring = open()
    const ways = [
      () => ring.submit(),
      () => ring.submitAndWait(1),
      () => ring.submitAndWait(1, 1000),
      () => ring.submitAndGetEvents(),
    ]
    for (const [index, way] of [...ways, ...ways].entries()) {
      assert.ok(eventually(() => asleep(ring)))
      queueNops(ring, index)
      assert.ok(way() <= 1)
      assert.ok(
        eventually(() => ring.cqReady === 1),
        `way ${index}`,
      )
      assert.equal(reap(ring), [index])
    }
    ring.close()
  }),
)

test(
  'SQPOLL: hundreds of sleeps and wakeups at the edge of the idle time lose nothing',
  sqpoll(() => {
    const ring = open()
    for (let userData = 0; userData < 400; userData++) {
      // Pauses around the idle time of 1 ms, so that submits hit the moment at which the thread falls asleep.
      block(userData % 4 === 0 ? 1.2 + (userData % 7) / 10 : 0.8)
      queueNops(ring, userData)
      ring.submit()
      assert.ok(eventually(() => ring.cqReady === 1, 2000))
      assert.equal(reap(ring), [userData])
    }
    ring.close()
  }),
)

test(
  'SQPOLL: an awake thread takes entries without a system call',
  sqpoll(() => {
    const calls = spied()
    const ring = Ring.open({ entries: 8, flags: IORING_SETUP_SQPOLL, sqThreadIdleMs: 5000 }, calls)
    queueNops(ring, 0)
    assert.equal([...complete(ring, 1).keys()], [0])
    const before = calls.counts.enter
    for (const first of range(0, 99)) {
      queueNops(ring, first, 1000)
      ring.submit()
      assert.ok(eventually(() => ring.cqReady === 2))
      assert.equal(reap(ring), [first, 1000])
    }
    assert.is(calls.counts.enter, before)
    ring.close()
  }),
)

test(
  'waitForSqSpace() returns at once with room, and with room when the queue was full',
  sqpoll(() => {
    const calls = spied()
    const ring = Ring.open({ entries: 4, flags: IORING_SETUP_SQPOLL, sqThreadIdleMs: 1 }, calls)
    ring.waitForSqSpace()
    assert.is(calls.counts.enter, 0)
    for (const userData of range(1, 200)) {
      // A full queue that was never submitted is submitted by the wait: otherwise there would be no room, ever.
      while (ring.sqSpaceLeft === 0) ring.waitForSqSpace()
      queueNops(ring, userData)
      if (userData % 50 === 0) assert.ok(eventually(() => asleep(ring)))
    }
    ring.submit()
    const seen: number[] = []
    assert.ok(eventually(() => seen.push(...reap(ring)) === 200))
    // In any order: what finds the completion queue full is told after what comes when there is room again (before
    // Linux 6.1).
    seen.sort((a, b) => a - b)
    assert.equal(seen, range(1, 200))
    ring.close()
  }),
)

test('waitForSqSpace() is for SQPOLL rings', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 4 }, fake)
  assert.is(thrown(() => ring.waitForSqSpace()).code, 'ERR_INVALID_STATE')
  assert.is(fake.enters.length, 0)
  ring.close()
  fake.dispose()
})

test(
  'SQPOLL: submit() tells how many entries wait, and sqPending how many still do',
  sqpoll(() => {
    let deaf = true
    const calls = spied({
      enter: (fd, toSubmit, ...rest) => (deaf ? toSubmit : kernelCalls.enter(fd, toSubmit, ...rest)),
    })
    const ring = Ring.open({ entries: 4, flags: IORING_SETUP_SQPOLL, sqThreadIdleMs: 1 }, calls)
    assert.ok(eventually(() => asleep(ring)))
    queueNops(ring, 1, 2)
    assert.is(ring.submit(), 2)
    queueNops(ring, 3)
    assert.is(ring.submit(), 3)
    assert.equal([ring.sqPending, ring.sqSpaceLeft], [3, 1])
    deaf = false
    ring.submit()
    assert.ok(eventually(() => ring.sqPending === 0))
    assert.is(ring.sqSpaceLeft, 4)
    assert.is(ring.submit(), 0)
    ring.close()
  }),
)

test(
  'SQPOLL: several rings share one thread',
  sqpoll(() => {
    const first = open(20)
    assert.ok(eventually(() => sqpollThreads().length === 1))
    const others = [1, 2].map(() =>
      Ring.open({ entries: 8, flags: IORING_SETUP_SQPOLL, sqThreadIdleMs: 20, attachTo: first }),
    )
    block(10)
    assert.ok(eventually(() => sqpollThreads().length === 1))
    for (const ring of [first, ...others]) {
      queueNops(ring, 1, 2)
      assert.equal([...complete(ring, 2).keys()], [1, 2])
    }
    first.close()
    // The thread stays for those that are left.
    for (const ring of others) {
      queueNops(ring, 3)
      assert.equal([...complete(ring, 1).keys()], [3])
      ring.close()
    }
    assert.ok(eventually(() => sqpollThreads().length === 0))
  }),
)

test(
  'SQPOLL: the thread keeps to its processor',
  needs({ setup: 'IORING_SETUP_SQPOLL' }, () => {
    const ring = Ring.open({ entries: 8, flags: IORING_SETUP_SQPOLL, sqThreadIdleMs: 20, sqThreadCpu: 0 })
    queueNops(ring, 1)
    assert.equal([...complete(ring, 1).keys()], [1])
    ring.close()
    const error = thrown(() => Ring.open({ entries: 8, flags: IORING_SETUP_SQPOLL, sqThreadCpu: 100_000 }))
    assert.equal([error.code, error.syscall], ['EINVAL', 'io_uring_setup'])
  }),
)

test(
  'SQPOLL: a disabled ring takes its entries once it is enabled',
  needs({ setup: ['IORING_SETUP_SQPOLL', 'IORING_SETUP_R_DISABLED'] }, () => {
    const flags = IORING_SETUP_SQPOLL | IORING_SETUP_R_DISABLED
    const ring = Ring.open({ entries: 8, flags, sqThreadIdleMs: 20 })
    queueNops(ring, 1)
    assert.is(thrown(() => ring.submitAndGetEvents()).code, 'EBADFD')
    assert.is(ring.sqPending, 1)
    ring.enable()
    assert.equal([...complete(ring, 1).keys()], [1])
    ring.close()
  }),
)

test(
  'SQPOLL: bad arguments of a wait publish nothing',
  sqpoll(() => {
    const ring = open(1000)
    queueNops(ring, 1)
    assert.throws(() => ring.submitAndWait(1, Number.NaN))
    assert.throws(() => ring.submitAndWait(9999))
    block(5)
    assert.equal([ring.sqPending, ring.cqReady], [1, 0])
    ring.submit()
    assert.ok(eventually(() => ring.cqReady === 1))
    ring.close()
  }),
)

test(
  'SQPOLL: close() with entries that the thread has not seen, and with reads in flight',
  sqpoll(() => {
    for (let round = 0; round < 10; round++) {
      const ring = open()
      const { readEnd, writeEnd } = openPipe()
      const bytes = Buffer.from(new ArrayBuffer(16))
      prepRead(nextSqe(ring), readEnd, addressOf(bytes), 16, 0)
      ring.submit()
      if (round % 2 === 0) assert.ok(eventually(() => ring.sqPending === 0))
      queueNops(ring, 1, 2, 3)
      ring.close()
      write(writeEnd, addressOf(Buffer.from('late')), 4)
      block(2)
      assert.ok(bytes.every((byte) => byte === 0))
      close(readEnd)
      close(writeEnd)
    }
    assert.ok(eventually(() => sqpollThreads().length === 0))
  }),
)

test.run()
