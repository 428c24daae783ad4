// Waiting for completions: how long, for how many, by which clock, and on kernels whose enter(2) has no timeout.

import { prepRead } from '../../src/ring/prep/read-write.js'
import { prepLinkTimeout, prepTimeout } from '../../src/ring/prep/timeouts.js'
import { Ring } from '../../src/ring/ring.js'
import {
  IO_URING_PARAMS,
  IORING_ENTER_ABS_TIMER,
  IORING_ENTER_EXT_ARG,
  IORING_ENTER_GETEVENTS,
  IORING_ENTER_NO_IOWAIT,
  IORING_FEAT_EXT_ARG,
  IORING_FEAT_MIN_TIMEOUT,
  IORING_FEAT_NO_IOWAIT,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_SINGLE_ISSUER,
  IOSQE_IO_LINK,
  KERNEL_TIMESPEC,
} from '../../src/syscalls/abi/index.js'
import { close, viewMemory } from '../../src/syscalls/libc.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { Struct } from '../../src/syscalls/struct.js'
import { kernelCalls, type UringCalls } from '../../src/syscalls/uring-calls.js'
import { assert, needs, test } from '../harness.js'
import { nextSqe, openPipe, queueNops, reap, thrown } from './drive.js'
import { FakeRing } from './fake-ring.js'

const defer = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN

// Timeouts in flight point to these; they stay for the life of the file.
const times: unknown[] = []

/** Queues a timeout that completes with user_data `ms` after `ms` milliseconds. */
function queueTimeout(ring: Ring, ms: number): void {
  const time = Struct.alloc(KERNEL_TIMESPEC).set('tv_nsec', ms * 1e6)
  times.push(time)
  prepTimeout(nextSqe(ring), time.address).setUserData(ms)
}

/** Queues what completes after `ms` without being a timeout, of which any ends every wait: two CQEs. */
function queueDelay(ring: Ring, ms: number, pipe: { readEnd: number }): void {
  const time = Struct.alloc(KERNEL_TIMESPEC).set('tv_nsec', ms * 1e6)
  const bytes = new Uint8Array(new ArrayBuffer(8))
  times.push(time, bytes)
  prepRead(nextSqe(ring), pipe.readEnd, addressOf(bytes), 8, 0).setUserData(ms).setFlags(IOSQE_IO_LINK)
  prepLinkTimeout(nextSqe(ring), time.address).setUserData(ms)
}

/** How many milliseconds `action` takes. */
function duration(action: () => void): number {
  const begin = performance.now()
  action()
  return performance.now() - begin
}

function hiding(features: number, log: number[] = []): UringCalls {
  return {
    ...kernelCalls,
    setup(entries, address) {
      const fd = kernelCalls.setup(entries, address)
      const params = new Struct(IO_URING_PARAMS, new Uint8Array(viewMemory(address, IO_URING_PARAMS.size)))
      params.set('features', params.get('features') & ~features)
      return fd
    },
    enter(fd, toSubmit, minComplete, flags, arg, argBytes) {
      log.push(flags)
      return kernelCalls.enter(fd, toSubmit, minComplete, flags, arg, argBytes)
    },
  }
}

for (const [name, hidden, flags] of [
  ['by EXT_ARG', 0, 0],
  ['by EXT_ARG, DEFER_TASKRUN', 0, defer],
  ['by poll(2)', IORING_FEAT_EXT_ARG, 0],
  ['by poll(2), DEFER_TASKRUN', IORING_FEAT_EXT_ARG, defer],
] as const) {
  const real = needs.bind(null, { feature: 'IORING_FEAT_EXT_ARG', setup: flags })
  const open = (log?: number[]): Ring => Ring.open({ entries: 8, flags }, hiding(hidden, log))

  test(
    `a wait that runs out returns how many entries were taken, and is no error: ${name}`,
    real(() => {
      const log: number[] = []
      const ring = open(log)
      assert.ok(duration(() => assert.is(ring.submitAndWait(1, 30), 0)) >= 29)
      queueTimeout(ring, 900)
      assert.ok(duration(() => assert.is(ring.submitAndWait(1, 20), 1)) >= 19)
      assert.equal(reap(ring), [])
      assert.ok(duration(() => ring.submitAndWait(0, 900)) < 500)
      assert.is(
        log.some((used) => used & IORING_ENTER_EXT_ARG),
        hidden === 0,
      )
      ring.close()
    }),
  )

  test(
    `a wait ends with the last completion that is waited for: ${name}`,
    real(() => {
      const ring = open()
      const pipe = openPipe()
      for (const ms of [10, 40, 700]) queueDelay(ring, ms, pipe)
      queueNops(ring, 1)
      const waited = duration(() => assert.is(ring.submitAndWait(5, 5000), 7))
      assert.ok(waited >= 38 && waited < 600, `${waited} ms`)
      assert.equal(reap(ring), [1, 10, 10, 40, 40])
      assert.ok(duration(() => ring.submitAndWait(2, 30)) >= 29, 'nothing comes: the time runs out')
      ring.close()
      close(pipe.readEnd)
      close(pipe.writeEnd)
    }),
  )

  test(
    `what is there already is not waited for: ${name}`,
    real(() => {
      const ring = open()
      queueNops(ring, 1, 2)
      assert.ok(duration(() => assert.is(ring.submitAndWait(2, 5000), 2)) < 1000)
      assert.ok(duration(() => ring.submitAndWait(2, 5000)) < 1000)
      assert.equal(reap(ring), [1, 2])
      ring.close()
    }),
  )
}

test(
  'a timeout operation that expires ends a wait for more, with a time and without',
  needs({ feature: 'IORING_FEAT_EXT_ARG' }, () => {
    const ring = Ring.open({ entries: 8 })
    for (const timeoutMs of [undefined, 5000]) {
      queueTimeout(ring, 20)
      const waited = duration(() => assert.is(ring.submitAndWait(4, timeoutMs), 1))
      assert.ok(waited >= 19 && waited < 2000, `${waited} ms`)
      assert.equal(reap(ring), [20])
    }
    ring.close()
  }),
)

test(
  'a timeout has fractions, down to nothing, and up to the end of time',
  needs({ feature: 'IORING_FEAT_EXT_ARG' }, () => {
    const ring = Ring.open({ entries: 8 })
    const half = duration(() => ring.submitAndWait(1, 0.5))
    assert.ok(half >= 0.5 && half < 100, `${half} ms`)
    assert.ok(duration(() => ring.submitAndWait(1, 0)) < 100)
    assert.ok(duration(() => ring.submitAndWait(1, Number.MIN_VALUE)) < 100)
    // Rounded up to a whole second of nanoseconds, and a point in time that the kernel's clock does not reach.
    for (const timeoutMs of [999.999_999_9, Number.MAX_SAFE_INTEGER]) {
      queueTimeout(ring, 20)
      const waited = duration(() => ring.submitAndWait(1, timeoutMs))
      assert.ok(waited >= 19 && waited < 900, `${waited} ms`)
      assert.equal(reap(ring), [20])
    }
    ring.close()
  }),
)

test(
  'minWaitUs gathers completions before fewer will do',
  needs({ feature: 'IORING_FEAT_MIN_TIMEOUT' }, () => {
    const ring = Ring.open({ entries: 8, flags: defer })
    const pipe = openPipe()
    for (const ms of [5, 15, 2000]) queueDelay(ring, ms, pipe)
    const waited = duration(() => ring.submitAndWait(6, 5000, { minWaitUs: 60_000 }))
    assert.ok(waited >= 59 && waited < 1500, `${waited} ms`)
    assert.equal(reap(ring), [5, 5, 15, 15])
    close(pipe.readEnd)
    close(pipe.writeEnd)
    ring.close()
    const old = Ring.open({ entries: 8 }, hiding(IORING_FEAT_MIN_TIMEOUT))
    const error = thrown(() => old.submitAndWait(1, 10, { minWaitUs: 1 }))
    assert.is(error.code, 'EINVAL')
    assert.match(error.message, /minWaitUs needs Linux 6\.12/)
    old.close()
  }),
)

test(
  'an absolute wait ends at a point of CLOCK_MONOTONIC',
  needs({ linux: '6.12' }, () => {
    const ring = Ring.open({ entries: 8 })
    const now = Number(process.hrtime.bigint()) / 1e6
    const waited = duration(() => assert.is(ring.submitAndWait(1, now + 40, { absolute: true }), 0))
    assert.ok(waited >= 30 && waited < 1000, `${waited} ms`)
    assert.ok(duration(() => ring.submitAndWait(1, now - 1000, { absolute: true })) < 500)
    ring.close()
  }),
)

test('options become flags of enter(2), as far as the kernel has them', () => {
  const features = IORING_FEAT_EXT_ARG | IORING_FEAT_MIN_TIMEOUT
  for (const has of [0, IORING_FEAT_NO_IOWAIT]) {
    const fake = new FakeRing({ features: features | has | 1 })
    const ring = Ring.open({ entries: 8 }, fake)
    ring.submitAndWait(1, 5, { absolute: true, noIowait: true, minWaitUs: 3 })
    const base = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | IORING_ENTER_ABS_TIMER
    assert.is(fake.enters[0]!.flags, has ? base | IORING_ENTER_NO_IOWAIT : base)
    // No timeout, but options: the extended argument without a time.
    ring.submitAndWait(1, undefined, {})
    assert.is(fake.enters[1]!.flags, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG)
    ring.close()
    fake.dispose()
  }
})

test(
  'signalMask is in force during the wait only',
  needs({ feature: 'IORING_FEAT_EXT_ARG' }, () => {
    const ring = Ring.open({ entries: 8 })
    const mask = new BigUint64Array([0xffff_ffff_ffff_ffffn])
    queueTimeout(ring, 15)
    assert.is(ring.submitAndWait(1, 5000, { signalMask: addressOf(mask) }), 1)
    assert.equal(reap(ring), [15])
    ring.close()
    const old = Ring.open({ entries: 8 }, hiding(IORING_FEAT_EXT_ARG))
    assert.is(thrown(() => old.submitAndWait(1, 10, { signalMask: addressOf(mask) })).code, 'EINVAL')
    old.close()
  }),
)

test(
  'submitAndWait() submits without a wait while that is enough, and seldom after it was not',
  needs({ linux: '5.6' }, () => {
    let waits = 0
    let enters = 0
    const calls: UringCalls = {
      ...kernelCalls,
      enter(fd, toSubmit, minComplete, flags, arg, argBytes) {
        enters++
        if (minComplete > 0) waits++
        return kernelCalls.enter(fd, toSubmit, minComplete, flags, arg, argBytes)
      },
    }
    const ring = Ring.open({ entries: 8 }, calls)
    const drain = (): number => ring.forEachCqe(() => {})
    for (let round = 0; round < 10; round++) {
      queueNops(ring, 1)
      assert.is(ring.submitAndWait(1), 1)
      assert.is(drain(), 1)
    }
    assert.equal([enters, waits], [10, 0])
    // Timeouts are never complete when they are submitted: two enters once in sixteen waits, else one.
    for (let round = 0; round < 32; round++) {
      queueTimeout(ring, 1)
      assert.is(ring.submitAndWait(1), 1)
      assert.is(drain(), 1)
    }
    assert.equal([enters, waits], [10 + 32 + 2, 32])
    ring.close()
  }),
)

test.run()
