// What is lost is never lost in silence, and what cannot be done is said: completions and entries that the kernel threw
// away, a disabled ring, descriptors that are no ring, a close() that cannot cancel.

import { prepRead } from '../../src/ring/prep/read-write.js'
import { Ring } from '../../src/ring/ring.js'
import {
  IORING_REGISTER_FILES,
  IORING_REGISTER_SYNC_CANCEL,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_R_DISABLED,
  IORING_SETUP_SINGLE_ISSUER,
} from '../../src/syscalls/abi/index.js'
import { close, write } from '../../src/syscalls/libc.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { kernelCalls } from '../../src/syscalls/uring-calls.js'
import { assert, needs, test } from '../harness.js'
import { nextSqe, openPipe, queueNops, reap, spied, thrown } from './drive.js'
import { FakeRing } from './fake-ring.js'

const BOUND = 16

test('completions that the kernel lost are a fatal error, once for each loss', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 4 }, fake)
  fake.setWord('cq', 'overflow', 0xffff_ffff)
  let error = thrown(() => reap(ring))
  assert.equal([error.code, error.lost], ['ERR_URING_CQE_LOST', 0xffff_ffff])
  assert.equal(reap(ring), [])
  fake.setWord('cq', 'overflow', 1)
  error = thrown(() => reap(ring))
  assert.equal([error.code, error.lost], ['ERR_URING_CQE_LOST', 2])
  // What is there is still handed out.
  queueNops(ring, 1)
  ring.submit()
  fake.setWord('cq', 'overflow', 2)
  assert.equal(reap(ring), [1])
  assert.is(thrown(() => reap(ring)).lost, 1)
  // The kernel says so by itself when it is entered: EBADR.
  fake.setWord('cq', 'overflow', 5)
  fake.refusals.push(-53)
  assert.is(thrown(() => ring.submitAndWait(1)).lost, 3)
  ring.close()
  fake.dispose()
})

test('entries that the kernel dropped are a fatal error, once for each loss', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 4 }, fake)
  queueNops(ring, 1, 2, 3)
  fake.sq[fake.at('cq', 'cqes') + 8 * 4 + 1] = -1
  const error = thrown(() => ring.submit())
  assert.equal([error.code, error.lost], ['ERR_URING_SQE_DROPPED', 1])
  assert.is(ring.submit(), 1)
  assert.equal(reap(ring), [1, 3])
  ring.close()
  fake.dispose()
})

test(
  'a disabled ring says what it wants',
  needs({ setup: 'IORING_SETUP_R_DISABLED' }, () => {
    const ring = Ring.open({ entries: 4, flags: IORING_SETUP_R_DISABLED })
    queueNops(ring, 1)
    const error = thrown(() => ring.submit())
    assert.is(error.code, 'EBADFD')
    assert.match(error.message, /call enable\(\) first/)
    ring.enable()
    assert.is(ring.submit(), 1)
    assert.equal(reap(ring), [1])
    assert.is(thrown(() => ring.enable()).syscall, 'io_uring_register')
    ring.close()
  }),
)

for (const [name, resizes] of [
  ['', false],
  [' before a resize', true],
] as const) {
  test(
    `close() of a kernel that cannot cancel waits until what began${name} has ended`,
    needs({ register: 'IORING_REGISTER_RESIZE_RINGS' }, () => {
      const opcodes: number[] = []
      const calls = spied({
        register(fd, opcode, arg, count) {
          opcodes.push(opcode)
          return opcode === IORING_REGISTER_SYNC_CANCEL ? -22 : kernelCalls.register(fd, opcode, arg, count)
        },
      })
      const flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN
      const ring = Ring.open({ entries: 4, flags }, calls)
      const { readEnd, writeEnd } = openPipe()
      const bytes = new Uint8Array(new ArrayBuffer(8))
      queueNops(ring, 1)
      prepRead(nextSqe(ring), readEnd, addressOf(bytes), 8, 0).setUserData(2)
      ring.submit()
      if (resizes) ring.resize({ entries: 8 })
      ring.close()
      // The one way to see the end of a ring: as its registered file, a pipe that hangs up.
      assert.ok(opcodes.includes(IORING_REGISTER_FILES))
      write(writeEnd, addressOf(Buffer.from('late')), 4)
      assert.ok(bytes.every((byte) => byte === 0))
      close(readEnd)
      close(writeEnd)
    }),
  )
}

test(
  'the kernel tells a bad flag, a stranger and a closed descriptor apart',
  needs({ ring: true }, () => {
    const [EBADF, EINVAL, EOPNOTSUPP] = [-9, -22, -95]
    const ring = Ring.open({ entries: 4 })
    const { fd } = ring
    assert.is(kernelCalls.enter(fd, 0, 0, 0x8000, 0, 0), EINVAL)
    assert.is(kernelCalls.enter(2, 0, 0, 0, 0, 0), EOPNOTSUPP)
    ring.close()
    assert.is(kernelCalls.enter(fd, 0, 0, 0, 0, 0), EBADF)
  }),
)

test(
  'close() repeats an interrupted cancel within a bound, and closes',
  needs({ ring: true }, () => {
    const calls = spied({
      register: (fd, opcode, arg, count) =>
        opcode === IORING_REGISTER_SYNC_CANCEL ? -4 : kernelCalls.register(fd, opcode, arg, count),
    })
    const ring = Ring.open({ entries: 4 }, calls)
    ring.close()
    assert.is(calls.counts.register, BOUND)
    assert.ok(ring.closed)
  }),
)

test.run()
