import { timespec } from '../../../src/ring/memory/index.js'
import {
  prepCancel,
  prepCancel64,
  prepCancelFd,
  prepCancelOp,
  prepRead,
  prepTimeout,
} from '../../../src/ring/prep/index.js'
import { registerFiles } from '../../../src/ring/register/index.js'
import type { Ring } from '../../../src/ring/ring.js'
import {
  IORING_ASYNC_CANCEL_ALL,
  IORING_ASYNC_CANCEL_ANY,
  IORING_ASYNC_CANCEL_FD_FIXED,
  IORING_OP_READ,
  IORING_OP_TIMEOUT,
  IOSQE_FIXED_FILE,
} from '../../../src/syscalls/abi/index.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { assert, needs, test } from '../../harness.js'
import { complete, keep, memory, named, next, openRing, pipe, result } from './fixture.js'

const ALL = IORING_ASYNC_CANCEL_ALL
const HOUR = keep(timespec(3_600_000)).address

/** Starts a read of an empty pipe, which waits for ever. */
function startRead(ring: Ring, fd: number, userData: number, flags = 0): void {
  const bytes = memory(1)
  prepRead(next(ring), fd, addressOf(bytes), 1, -1).setFlags(flags).setUserData(userData)
  ring.submit()
}

const results = (ring: Ring, count: number): (number | string)[] =>
  complete(ring, count).map(({ res }) => named(res))

test(
  'prepCancel64() cancels by user_data, both halves of it',
  needs({ opcode: 'IORING_OP_ASYNC_CANCEL' }, () => {
    using ring = openRing()
    using ends = pipe()
    const bytes = memory(1)
    prepRead(next(ring), ends.reading, addressOf(bytes), 1, -1).setUserData(0xffff_ffff, 0x8000_0000)
    ring.submit()
    assert.is(
      result(ring, (sqe) => prepCancel64(sqe, 0xffff_ffff)),
      'ENOENT',
      'the high half counts',
    )
    prepCancel64(next(ring), 0xffff_ffff, 0x8000_0000).setUserData(1)
    assert.equal(results(ring, 2), [0, 'ECANCELED'])
  }),
)

test(
  'prepCancel() is prepCancel64()',
  needs({ opcode: 'IORING_OP_ASYNC_CANCEL' }, () => {
    using ring = openRing()
    using ends = pipe()
    startRead(ring, ends.reading, 7)
    prepCancel(next(ring), 7).setUserData(9)
    assert.equal(results(ring, 2), ['ECANCELED', 0])
  }),
)

test(
  'prepCancel64() counts with ALL, and takes any with ANY',
  needs({ opcode: 'IORING_OP_ASYNC_CANCEL', linux: '5.19' }, () => {
    using ring = openRing()
    using ends = pipe()
    startRead(ring, ends.reading, 7)
    startRead(ring, ends.reading, 7)
    startRead(ring, ends.reading, 8)
    prepCancel64(next(ring), 7, 0, ALL).setUserData(9)
    assert.equal(results(ring, 3), ['ECANCELED', 'ECANCELED', 2])
    prepCancel64(next(ring), 0, 0, IORING_ASYNC_CANCEL_ANY | ALL).setUserData(9)
    assert.equal(results(ring, 2), ['ECANCELED', 1])
  }),
)

test(
  'prepCancelFd() cancels by descriptor or registered slot',
  needs({ opcode: 'IORING_OP_ASYNC_CANCEL', linux: '6.0' }, () => {
    using ring = openRing()
    using one = pipe()
    using two = pipe()
    startRead(ring, one.reading, 1)
    startRead(ring, one.reading, 1)
    startRead(ring, two.reading, 2)
    prepCancelFd(next(ring), one.reading, ALL).setUserData(9)
    assert.equal(results(ring, 3), ['ECANCELED', 'ECANCELED', 2])
    registerFiles(ring, [-1, one.reading])
    startRead(ring, 1, 1, IOSQE_FIXED_FILE)
    prepCancelFd(next(ring), 1, IORING_ASYNC_CANCEL_FD_FIXED).setUserData(9)
    assert.equal(results(ring, 2), ['ECANCELED', 0])
    prepCancelFd(next(ring), two.reading).setUserData(9)
    assert.equal(results(ring, 2), ['ECANCELED', 0])
  }),
)

test(
  'prepCancelOp() cancels by opcode',
  needs({ opcode: 'IORING_OP_ASYNC_CANCEL', linux: '6.6' }, () => {
    using ring = openRing()
    using ends = pipe()
    startRead(ring, ends.reading, 1)
    prepTimeout(next(ring), HOUR).setUserData(2)
    ring.submit()
    prepCancelOp(next(ring), IORING_OP_TIMEOUT, ALL).setUserData(9)
    assert.equal(results(ring, 2), ['ECANCELED', 1])
    prepCancelOp(next(ring), IORING_OP_READ).setUserData(9)
    assert.equal(results(ring, 2), ['ECANCELED', 0])
  }),
)

test(
  'prepCancel64(), prepCancelFd() and prepCancelOp() fail when nothing matches',
  needs({ opcode: 'IORING_OP_ASYNC_CANCEL', linux: '6.6' }, () => {
    using ring = openRing()
    using ends = pipe()
    assert.is(
      result(ring, (sqe) => prepCancel64(sqe, 1)),
      'ENOENT',
    )
    assert.is(
      result(ring, (sqe) => prepCancelFd(sqe, ends.reading)),
      'ENOENT',
    )
    assert.is(
      result(ring, (sqe) => prepCancelFd(sqe, -1)),
      'EBADF',
    )
    assert.is(
      result(ring, (sqe) => prepCancelOp(sqe, IORING_OP_READ)),
      'ENOENT',
    )
    assert.is(
      result(ring, (sqe) => prepCancel64(sqe, 1, 0, ALL)),
      0,
      'all of none',
    )
    assert.is(
      result(ring, (sqe) => prepCancel64(sqe, 1, 0, 1 << 30)),
      'EINVAL',
    )
  }),
)

test.run()
