// Waiting for completions: how long, for how many, by which clock, and on kernels whose enter(2) has no timeout.

import { prepRead } from '../../src/ring/prep/read-write.js'
import { prepLinkTimeout, prepTimeout } from '../../src/ring/prep/timeouts.js'
import { Ring } from '../../src/ring/ring.js'
import {
  IO_URING_MEM_REGION_REG,
  IO_URING_PARAMS,
  IO_URING_REG_WAIT,
  IO_URING_REGION_DESC,
  IORING_ENTER_ABS_TIMER,
  IORING_ENTER_EXT_ARG,
  IORING_ENTER_GETEVENTS,
  IORING_ENTER_NO_IOWAIT,
  IORING_ENTER_REGISTERED_RING,
  IORING_FEAT_EXT_ARG,
  IORING_FEAT_MIN_TIMEOUT,
  IORING_FEAT_NO_IOWAIT,
  IORING_MEM_REGION_REG_WAIT_ARG,
  IORING_MEM_REGION_TYPE_USER,
  IORING_REG_WAIT_TS,
  IORING_REGISTER_EVENTFD,
  IORING_REGISTER_MEM_REGION,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_R_DISABLED,
  IORING_SETUP_SINGLE_ISSUER,
  IOSQE_IO_LINK,
  KERNEL_TIMESPEC,
} from '../../src/syscalls/abi/index.js'
import { close, eventfd, poll, read, viewMemory } from '../../src/syscalls/libc.js'
import { addressOf, MappedRegion } from '../../src/syscalls/memory.js'
import { Struct } from '../../src/syscalls/struct.js'
import { kernelCalls, type UringCalls } from '../../src/syscalls/uring-calls.js'
import { assert, needs, test } from '../harness.js'
import { nextSqe, openPipe, queueNops, reap, spied, thrown } from './drive.js'
import { FakeRing } from './fake-ring.js'

const EBUSY = -16
const EINVAL = -22
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
  const real = needs.bind(null, { linux: flags === 0 ? '5.11' : '6.1' })
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
  'registerRingFd(): enter(2) goes by the index, everything else by the descriptor',
  needs({ linux: '5.18' }, () => {
    const log: number[] = []
    const ring = Ring.open({ entries: 8 }, hiding(0, log))
    assert.is(ring.unregisterRingFd(), EINVAL)
    const last = (): number => log.at(-1)! & IORING_ENTER_REGISTERED_RING
    for (let round = 0; round < 20; round++) {
      assert.is(ring.registerRingFd(), 0)
      assert.is(ring.registerRingFd(), EBUSY)
      queueNops(ring, round)
      assert.is(ring.submitAndWait(1, 1000), 1)
      assert.is(last(), IORING_ENTER_REGISTERED_RING)
      assert.is(ring.unregisterRingFd(), 0)
      assert.is(ring.unregisterRingFd(), EINVAL)
      queueNops(ring, 100)
      assert.is(ring.submit(), 1)
      assert.is(last(), 0)
      assert.equal(reap(ring), [round, 100])
    }
    ring.close()
  }),
)

test(
  'registerRingFd() has sixteen places in a thread, and close() gives one back',
  needs({ linux: '5.18' }, () => {
    const rings = Array.from({ length: 17 }, () => Ring.open({ entries: 1 }))
    const answers = rings.map((ring) => ring.registerRingFd())
    assert.equal(answers, [...new Array(16).fill(0), EBUSY])
    rings[3]!.close()
    assert.is(rings[16]!.registerRingFd(), 0)
    for (const ring of rings) ring.close()
  }),
)

test(
  'submitAndWaitRegistered() takes its time from the registered region, index 0 included',
  needs({ register: 'IORING_REGISTER_MEM_REGION' }, () => {
    const ring = Ring.open({ entries: 8, flags: IORING_SETUP_R_DISABLED })
    const region = MappedRegion.anonymous(4096)
    const waits = new Struct(IO_URING_REG_WAIT, new Uint8Array(region.buffer))
    for (const [index, ms] of [20, 60].entries()) {
      waits.assign({ 'ts.tv_nsec': ms * 1e6, flags: IORING_REG_WAIT_TS }, index)
    }
    const description = Struct.alloc(IO_URING_REGION_DESC)
    description.assign({ user_addr: region.address, size: 4096, flags: IORING_MEM_REGION_TYPE_USER })
    const argument = Struct.alloc(IO_URING_MEM_REGION_REG)
    argument.assign({ region_uptr: description.address, flags: IORING_MEM_REGION_REG_WAIT_ARG })
    assert.is(ring.register(IORING_REGISTER_MEM_REGION, argument.address, 1), 0)
    ring.enable()
    for (const [index, ms] of [
      [1, 60],
      [0, 20],
    ] as const) {
      const waited = duration(() => assert.is(ring.submitAndWaitRegistered(1, index), 0))
      assert.ok(waited >= ms - 1 && waited < ms + 500, `index ${index}: ${waited} ms`)
    }
    queueNops(ring, 1)
    assert.is(ring.submitAndWaitRegistered(1, 1), 1)
    assert.equal(reap(ring), [1])
    assert.is(thrown(() => ring.submitAndWaitRegistered(1, 64)).code, 'EFAULT')
    ring.close()
    region.unmap()
  }),
)

test(
  'eventfdEnabled switches the signals off and on',
  needs({ linux: '5.8' }, () => {
    const ring = Ring.open({ entries: 8 })
    const event = eventfd(0, 0x800)
    const cell = Int32Array.of(event)
    assert.is(ring.register(IORING_REGISTER_EVENTFD, addressOf(cell), 1), 0)
    const counter = new Uint8Array(new ArrayBuffer(8))
    for (const enabled of [true, false, true, false]) {
      ring.eventfdEnabled = enabled
      assert.is(ring.eventfdEnabled, enabled)
      queueNops(ring, 1)
      ring.submit()
      reap(ring)
      assert.is(poll(event, 0), enabled ? 1 : 0)
      if (enabled) assert.is(read(event, addressOf(counter), 8), 8)
    }
    ring.close()
    close(event)
  }),
)

test('a kernel without a CQ flags word always signals, and says so', () => {
  const fake = new FakeRing()
  const setup = (entries: number, address: number): number => {
    const fd = fake.setup(entries, address)
    const params = new Struct(IO_URING_PARAMS, new Uint8Array(viewMemory(address, IO_URING_PARAMS.size)))
    params.set('cq_off.flags', 0)
    return fd
  }
  const ring = Ring.open({ entries: 8 }, spied({ setup }))
  assert.is(ring.eventfdEnabled, true)
  const error = thrown(() => {
    ring.eventfdEnabled = false
  })
  assert.is(error.code, 'ERR_INVALID_STATE')
  ring.close()
  fake.dispose()
})

test.run()
