// What enter(2) may answer instead of doing its work, injected at the three-call seam: the ring repeats within a bound,
// says what happened, and loses nothing.

import { spawn } from 'node:child_process'
import { prepTimeout } from '../../src/ring/prep/timeouts.js'
import { Ring } from '../../src/ring/ring.js'
import {
  IORING_ENTER_GETEVENTS,
  IORING_SETUP_IOPOLL,
  IOSQE_CQE_SKIP_SUCCESS,
  KERNEL_TIMESPEC,
} from '../../src/syscalls/abi/index.js'
import { Struct } from '../../src/syscalls/struct.js'
import { kernelCalls, type UringCalls } from '../../src/syscalls/uring-calls.js'
import { assert, needs, test } from '../harness.js'
import { PATIENCE } from '../patience.js'
import { nextSqe, queueNops, range, reap, spied, thrown } from './drive.js'
import { FakeRing } from './fake-ring.js'

const BOUND = 16

/** Real calls whose next enters answer `refusals`, one each. */
function refusing(refusals: number[]): UringCalls & { log: number[] } {
  const log: number[] = []
  return {
    ...kernelCalls,
    log,
    enter(fd, toSubmit, minComplete, flags, arg, argBytes) {
      log.push(toSubmit)
      return refusals.shift() ?? kernelCalls.enter(fd, toSubmit, minComplete, flags, arg, argBytes)
    },
  }
}

function timeoutIn(ms: number): Struct<keyof typeof KERNEL_TIMESPEC.fields> {
  return Struct.alloc(KERNEL_TIMESPEC).set('tv_nsec', ms * 1e6)
}

for (const [code, errno] of [
  ['EINTR', -4],
  ['EAGAIN', -11],
] as const) {
  test(
    `${code} is outlasted up to a bound`,
    needs({ ring: true }, () => {
      const calls = refusing(new Array(BOUND).fill(errno))
      const ring = Ring.open({ entries: 8 }, calls)
      queueNops(ring, 1, 2, 3)
      assert.is(ring.submitAndWait(3), 3)
      assert.is(calls.log.length, BOUND + 1)
      assert.equal(reap(ring), [1, 2, 3])
      ring.close()
    }),
  )

  test(
    `${code} without end is thrown, and nothing is lost`,
    needs({ ring: true }, () => {
      const calls = refusing(new Array(BOUND + 1).fill(errno))
      const ring = Ring.open({ entries: 8 }, calls)
      queueNops(ring, 1, 2, 3)
      const error = thrown(() => ring.submit())
      assert.equal([error.code, error.errno, error.syscall], [code, errno, 'io_uring_enter'])
      assert.is(calls.log.length, BOUND + 1)
      assert.is(ring.sqPending, 3)
      queueNops(ring, 4)
      assert.is(ring.submit(), 4)
      assert.equal(reap(ring), [1, 2, 3, 4])
      ring.close()
    }),
  )
}

test('EBUSY has the overflow flushed before each repetition', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 4 }, fake)
  queueNops(ring, 1, 2)
  fake.refusals.push(-16, 0, -16, 0)
  assert.is(ring.submit(), 2)
  assert.equal(
    fake.enters.map(({ toSubmit, flags }) => [toSubmit, flags]),
    [
      [2, 0],
      [0, IORING_ENTER_GETEVENTS],
      [2, 0],
      [0, IORING_ENTER_GETEVENTS],
      [2, 0],
    ],
  )
  assert.equal(reap(ring), [1, 2])
  ring.close()
  fake.dispose()
})

test('EBUSY without end is thrown with what to do, and nothing is lost', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 4 }, fake)
  queueNops(ring, 1, 2)
  fake.refusals.push(...new Array(2 * BOUND + 1).fill(-16))
  const error = thrown(() => ring.submit())
  assert.is(error.code, 'EBUSY')
  assert.match(error.message, /reap completions, then submit again/)
  assert.is(fake.refusals.length, 0)
  assert.is(ring.submit(), 2)
  assert.equal(reap(ring), [1, 2])
  ring.close()
  fake.dispose()
})

for (const [code, errno] of [
  ['EBADF', -9],
  ['EFAULT', -14],
  ['EINVAL', -22],
  ['ENOTSUP', -95],
  ['EEXIST', -17],
  ['EOWNERDEAD', -130],
] as const) {
  test(`${code} is thrown at once, and nothing is lost`, () => {
    const fake = new FakeRing()
    const ring = Ring.open({ entries: 4 }, fake)
    queueNops(ring, 1, 2)
    fake.refusals.push(errno)
    assert.is(thrown(() => ring.submit()).code, code)
    assert.is(fake.enters.length, 1)
    assert.is(ring.submit(), 2)
    assert.equal(reap(ring), [1, 2])
    ring.close()
    fake.dispose()
  })
}

test('the end of a timed wait is no error, also when the wait was interrupted first', () => {
  const [EINTR, ETIME] = [-4, -62]
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 4 }, fake)
  for (const interruptions of [0, 1, BOUND - 1, BOUND]) {
    fake.refusals.push(...new Array(interruptions).fill(EINTR), ETIME)
    assert.is(ring.submitAndWait(1, 5), 0)
    assert.is(fake.refusals.length, 0)
  }
  ring.close()
  fake.dispose()
})

test('a short submit keeps the rest, in order', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 8 }, fake)
  queueNops(ring, ...range(1, 8))
  fake.limits.push(3, 0, 1)
  assert.equal([ring.submit(), ring.submit(), ring.submit()], [3, 0, 1])
  assert.equal([ring.sqPending, ring.sqSpaceLeft], [4, 4])
  queueNops(ring, ...range(9, 12))
  assert.is(ring.getSqe(), null)
  assert.is(ring.submit(), 8)
  assert.equal(reap(ring), range(1, 12))
  ring.close()
  fake.dispose()
})

test(
  'submitAndWait() goes on waiting when a signal ended the wait after the entries were taken',
  needs({ ring: true }, () => {
    let cutShort = 3
    const calls = spied({
      enter(fd, toSubmit, minComplete, flags, arg, argBytes) {
        const least = minComplete > 0 && cutShort-- > 0 ? 0 : minComplete
        return kernelCalls.enter(fd, toSubmit, least, flags, arg, argBytes)
      },
    })
    const ring = Ring.open({ entries: 4 }, calls)
    const time = timeoutIn(20 * PATIENCE)
    prepTimeout(nextSqe(ring), time.address).setUserData(1)
    assert.is(ring.submitAndWait(1), 1)
    assert.equal(reap(ring), [1])
    // One submits without waiting, three waits are cut short, one goes through.
    assert.is(calls.counts.enter, 5)
    ring.close()
  }),
)

test(
  'submitAndWait() survives real signals',
  needs({ ring: true, command: 'sh' }, async () => {
    let signals = 0
    process.on('SIGUSR2', () => signals++)
    const ring = Ring.open({ entries: 4 })
    const script = `for i in 1 2 3 4; do sleep 0.05; kill -USR2 ${process.pid}; done`
    const sender = spawn('sh', ['-c', script], { stdio: 'ignore' })
    const time = timeoutIn(400)
    prepTimeout(nextSqe(ring), time.address).setUserData(1)
    assert.is(ring.submitAndWait(1), 1)
    assert.equal(reap(ring), [1])
    const begin = performance.now()
    prepTimeout(nextSqe(ring), time.address).setUserData(2)
    ring.submit()
    ring.submitAndWait(1)
    assert.ok(performance.now() - begin > 390)
    assert.equal(reap(ring), [2])
    ring.close()
    if (sender.exitCode === null) await new Promise((settle) => sender.once('exit', settle))
    await new Promise((settle) => setTimeout(settle, 10))
    assert.ok(signals > 0)
    process.removeAllListeners('SIGUSR2')
  }),
)

for (const [name, flags, enters] of [
  // One enter submits without waiting, one waits, the others repeat it.
  ['is repeated within a bound', 0, BOUND + 2],
  ['of an IOPOLL ring is left at that', IORING_SETUP_IOPOLL, 1],
] as const) {
  test(`a wait that ends with nothing there ${name}`, () => {
    const fake = new FakeRing()
    const ring = Ring.open({ entries: 4, flags }, fake)
    // The fake takes it and posts nothing.
    nextSqe(ring).setFlags(IOSQE_CQE_SKIP_SUCCESS)
    assert.is(ring.submitAndWait(1), 1)
    assert.is(fake.enters.length, enters)
    ring.close()
    fake.dispose()
  })
}

test.run()
