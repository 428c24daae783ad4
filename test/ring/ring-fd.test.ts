// What is registered to make entering and waiting cheaper: the ring's own descriptor, wait arguments, an eventfd.

import { Ring } from '../../src/ring/ring.js'
import {
  IO_URING_MEM_REGION_REG,
  IO_URING_PARAMS,
  IO_URING_REG_WAIT,
  IO_URING_REGION_DESC,
  IORING_ENTER_REGISTERED_RING,
  IORING_MEM_REGION_REG_WAIT_ARG,
  IORING_MEM_REGION_TYPE_USER,
  IORING_REG_WAIT_TS,
  IORING_REGISTER_EVENTFD,
  IORING_REGISTER_MEM_REGION,
  IORING_SETUP_R_DISABLED,
} from '../../src/syscalls/abi/index.js'
import { close, eventfd, poll, read, viewMemory } from '../../src/syscalls/libc.js'
import { addressOf, MappedRegion } from '../../src/syscalls/memory.js'
import { Struct } from '../../src/syscalls/struct.js'
import { kernelCalls, type UringCalls } from '../../src/syscalls/uring-calls.js'
import { assert, needs, test } from '../harness.js'
import { queueNops, reap, spied, thrown } from './drive.js'
import { FakeRing } from './fake-ring.js'

const EBUSY = -16
const EINVAL = -22

/** How many milliseconds `action` takes. */
function duration(action: () => void): number {
  const begin = performance.now()
  action()
  return performance.now() - begin
}

/** Real calls that note the flags of each enter(2). */
function logging(log: number[]): UringCalls {
  return {
    ...kernelCalls,
    enter(fd, toSubmit, minComplete, flags, arg, argBytes) {
      log.push(flags)
      return kernelCalls.enter(fd, toSubmit, minComplete, flags, arg, argBytes)
    },
  }
}

test(
  'registerRingFd(): enter(2) goes by the index, everything else by the descriptor',
  needs({ linux: '5.18' }, () => {
    const log: number[] = []
    const ring = Ring.open({ entries: 8 }, logging(log))
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
