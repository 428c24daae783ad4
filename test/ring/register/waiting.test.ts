// What changes how a ring waits: NAPI busy polling, the clock, registered waits and the region they lie in.

import {
  RegisteredWaits,
  registerClock,
  registerNapi,
  registerRegion,
  unregisterNapi,
} from '../../../src/ring/register/index.js'
import { Ring } from '../../../src/ring/ring.js'
import {
  CLOCK_BOOTTIME,
  CLOCK_MONOTONIC,
  CLOCK_REALTIME,
  IORING_SETUP_IOPOLL,
  IORING_SETUP_NO_MMAP,
  IORING_SETUP_R_DISABLED,
  IORING_SETUP_REGISTERED_FD_ONLY,
} from '../../../src/syscalls/abi/index.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { assert, needs, test } from '../../harness.js'
import { queueNops, reap, ringMappings, spied } from '../drive.js'
import { memory } from './fixture.js'

const SYSCALL = 'io_uring_register'

function elapsedMs(action: () => unknown): number {
  const start = performance.now()
  action()
  return performance.now() - start
}

function disabledRing(): Ring {
  return Ring.open({ entries: 8, flags: IORING_SETUP_R_DISABLED })
}

function hasNapi(): true | string {
  using ring = Ring.open({ entries: 8 })
  try {
    registerNapi(ring)
    return true
  } catch (error) {
    return `needs NAPI busy polling: ${(error as Error).message}`
  }
}

test(
  'registerNapi() and unregisterNapi() return the previous settings',
  needs({ linux: '6.9', when: hasNapi }, () => {
    using ring = Ring.open({ entries: 8 })
    assert.equal(registerNapi(ring, { busyPollUs: 100, preferBusyPoll: true }), {
      busyPollUs: 0,
      preferBusyPoll: false,
    })
    assert.equal(registerNapi(ring, { busyPollUs: 7 }), { busyPollUs: 100, preferBusyPoll: true })
    assert.equal(unregisterNapi(ring), { busyPollUs: 7, preferBusyPoll: false })
    assert.equal(unregisterNapi(ring), { busyPollUs: 0, preferBusyPoll: false })
  }),
)

test(
  'registerNapi() throws EINVAL on an IOPOLL ring',
  needs({ linux: '6.9' }, () => {
    using ring = Ring.open({ entries: 8, flags: IORING_SETUP_IOPOLL })
    assert.throws(() => registerNapi(ring, { busyPollUs: 1 }), {
      code: 'EINVAL',
      syscall: SYSCALL,
      message: /IOPOLL/,
    })
    assert.throws(() => registerNapi(ring, { busyPollUs: -1 }), { code: 'ERR_OUT_OF_RANGE' })
    assert.throws(() => registerNapi(ring, { preferBusyPoll: 1 as never }), { code: 'ERR_INVALID_ARG_TYPE' })
    assert.throws(() => registerNapi(ring, { busyPoll: 1 } as never), { code: 'ERR_INVALID_ARG_VALUE' })
  }),
)

test(
  'registerClock() sets the clock that a wait with a timeout runs on',
  needs({ linux: '6.12' }, () => {
    using ring = Ring.open({ entries: 8 })
    for (const clock of [CLOCK_BOOTTIME, CLOCK_MONOTONIC]) {
      registerClock(ring, clock)
      const waited = elapsedMs(() => ring.submitAndWait(1, 20))
      assert.ok(waited >= 19 && waited < 1000, `waited ${waited} ms`)
    }
  }),
)

test(
  'registerClock() refuses other clocks, and throws EINVAL when the kernel has none',
  needs({ ring: true }, () => {
    using ring = Ring.open({ entries: 8 })
    assert.throws(() => registerClock(ring, CLOCK_REALTIME), { code: 'ERR_OUT_OF_RANGE' })
    assert.throws(() => registerClock(ring, 'monotonic' as never), { code: 'ERR_INVALID_ARG_TYPE' })
    using old = Ring.open({ entries: 8 }, spied({ register: () => -22 }))
    assert.throws(() => registerClock(old, CLOCK_BOOTTIME), {
      code: 'EINVAL',
      syscall: SYSCALL,
      message: /6\.12/,
    })
  }),
)

for (const kernelMemory of [false, true]) {
  const kind = kernelMemory ? 'memory of the kernel' : 'memory of this process'
  test(
    `RegisteredWaits time out as set, in ${kind}`,
    needs({ linux: '6.13' }, () => {
      using ring = disabledRing()
      using waits = RegisteredWaits.register(ring, { count: 100, kernelMemory })
      ring.enable()
      waits.set(0, { timeoutMs: 15.5 }).set(99, { timeoutMs: 60 })
      const short = elapsedMs(() => ring.submitAndWaitRegistered(1, 0))
      assert.ok(short >= 15 && short < 1000, `waited ${short} ms`)
      const long = elapsedMs(() => ring.submitAndWaitRegistered(1, 99))
      assert.ok(long >= 59 && long < 1000, `waited ${long} ms`)
      waits.set(99, { timeoutMs: 0 })
      assert.ok(elapsedMs(() => ring.submitAndWaitRegistered(1, 99)) < 1000)
      // With a completion there is nothing to wait for.
      waits.set(1, { timeoutMs: 5000 })
      queueNops(ring, 8)
      assert.ok(elapsedMs(() => ring.submitAndWaitRegistered(1, 1)) < 1000)
      assert.equal(reap(ring), [8])
    }),
  )
}

test(
  'RegisteredWaits gather completions for minWaitUs, and take a signal mask',
  needs({ linux: '6.13' }, () => {
    using ring = disabledRing()
    using waits = RegisteredWaits.register(ring, { count: 2 })
    ring.enable()
    const mask = memory(8)
    waits.set(0, { timeoutMs: 2000, minWaitUs: 20_000, signalMask: addressOf(mask) })
    queueNops(ring, 1)
    const waited = elapsedMs(() => ring.submitAndWaitRegistered(2, 0))
    assert.ok(waited >= 19 && waited < 1500, `waited ${waited} ms`)
    assert.equal(reap(ring), [1])
    waits.set(1, { timeoutMs: 1, signalMask: 100 })
    assert.throws(() => ring.submitAndWaitRegistered(1, 1), { code: 'EFAULT', syscall: 'io_uring_enter' })
  }),
)

test(
  'RegisteredWaits go on as last set when they are closed before the ring',
  needs({ linux: '6.13' }, () => {
    using ring = disabledRing()
    const waits = RegisteredWaits.register(ring, { count: 1 })
    ring.enable()
    waits.set(0, { timeoutMs: 20 })
    waits.close()
    waits.close()
    assert.throws(() => waits.set(0, {}), { code: 'ERR_INVALID_STATE' })
    assert.ok(elapsedMs(() => ring.submitAndWaitRegistered(1, 0)) >= 19)
  }),
)

test(
  'RegisteredWaits refuse bad arguments',
  needs({ linux: '6.13' }, () => {
    using ring = disabledRing()
    assert.throws(() => RegisteredWaits.register(ring, { count: 0 }), { code: 'ERR_OUT_OF_RANGE' })
    assert.throws(() => RegisteredWaits.register(ring, { counts: 1 } as never), {
      code: 'ERR_INVALID_ARG_VALUE',
    })
    using waits = RegisteredWaits.register(ring, { count: 2 })
    const range = { code: 'ERR_OUT_OF_RANGE' }
    assert.throws(() => waits.set(2, {}), range)
    assert.throws(() => waits.set(0, { timeoutMs: -1 }), range)
    assert.throws(() => waits.set(0, { minWaitUs: 2 ** 32 }), range)
    assert.throws(() => waits.set(0, { signalMask: -1 }), range)
    assert.throws(() => waits.set(0, { timeoutMs: '1' as never }), { code: 'ERR_INVALID_ARG_TYPE' })
    assert.throws(() => waits.set(0, { timeout: 1 } as never), { code: 'ERR_INVALID_ARG_VALUE' })
  }),
)

test(
  'RegisteredWaits throw EINVAL on an enabled ring, EBUSY a second time',
  needs({ linux: '6.13' }, () => {
    using enabled = Ring.open({ entries: 8 })
    const late = { code: 'EINVAL', syscall: SYSCALL, message: /R_DISABLED/ }
    assert.throws(() => RegisteredWaits.register(enabled, { count: 1 }), late)
    using ring = disabledRing()
    using _waits = RegisteredWaits.register(ring, { count: 1 })
    assert.throws(() => RegisteredWaits.register(ring, { count: 1 }), {
      code: 'EBUSY',
      message: /region already/,
    })
  }),
)

test(
  'registerRegion() shares zeroed memory of either kind',
  needs({ linux: '6.13' }, () => {
    for (const kernelMemory of [false, true]) {
      const ring = Ring.open({ entries: 8 })
      const region = registerRegion(ring, { lengthBytes: 100, kernelMemory })
      assert.is(region.length, 65536)
      const bytes = new Uint8Array(region.buffer)
      assert.ok(bytes.every((byte) => byte === 0))
      bytes[65535] = 1
      assert.throws(() => registerRegion(ring, { lengthBytes: 100, kernelMemory }), {
        code: 'EBUSY',
        syscall: SYSCALL,
      })
      ring.close()
      assert.is(bytes[65535], 1)
      region.unmap()
      assert.is(bytes.length, 0)
    }
    assert.equal(ringMappings(), [])
  }),
)

test(
  'registerRegion() maps nothing of a ring that has no descriptor',
  needs({ linux: '6.13', setup: ['IORING_SETUP_NO_MMAP', 'IORING_SETUP_REGISTERED_FD_ONLY'] }, () => {
    using ring = Ring.open({ entries: 8, flags: IORING_SETUP_NO_MMAP | IORING_SETUP_REGISTERED_FD_ONLY })
    assert.throws(() => registerRegion(ring, { lengthBytes: 1, kernelMemory: true }), {
      code: 'ERR_INVALID_STATE',
      message: /REGISTERED_FD_ONLY/,
    })
    // Nothing was registered: there is room for the one region that a ring has.
    registerRegion(ring, { lengthBytes: 1 }).unmap()
  }),
)

test(
  'registerRegion() refuses bad arguments',
  needs({ ring: true }, () => {
    using ring = Ring.open({ entries: 8 })
    assert.throws(() => registerRegion(ring, { lengthBytes: 0 }), { code: 'ERR_OUT_OF_RANGE' })
    assert.throws(() => registerRegion(ring, 4096 as never), { code: 'ERR_INVALID_ARG_TYPE' })
    assert.throws(() => registerRegion(ring, { lengthBytes: 1, kernelMemory: 1 as never }), {
      code: 'ERR_INVALID_ARG_TYPE',
    })
  }),
)

test.run()
