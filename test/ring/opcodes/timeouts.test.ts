import { timespec } from '../../../src/ring/memory/index.js'
import {
  prepLinkTimeout,
  prepNop,
  prepRead,
  prepTimeout,
  prepTimeoutRemove,
  prepTimeoutUpdate,
} from '../../../src/ring/prep/index.js'
import {
  IORING_CQE_F_MORE,
  IORING_LINK_TIMEOUT_UPDATE,
  IORING_TIMEOUT_ABS,
  IORING_TIMEOUT_BOOTTIME,
  IORING_TIMEOUT_ETIME_SUCCESS,
  IORING_TIMEOUT_MULTISHOT,
  IORING_TIMEOUT_REALTIME,
  IOSQE_IO_LINK,
} from '../../../src/syscalls/abi/index.js'
import { write } from '../../../src/syscalls/libc.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { assert, needs, test } from '../../harness.js'
import { complete, isQuiet, keep, memory, named, next, openRing, pipe, result } from './fixture.js'

const time = (ms: number): number => keep(timespec(ms)).address
const HOUR = 3_600_000

test(
  'prepTimeout() fires after its time',
  needs({ opcode: 'IORING_OP_TIMEOUT' }, () => {
    using ring = openRing()
    const start = performance.now()
    assert.is(
      result(ring, (sqe) => prepTimeout(sqe, time(30))),
      'ETIME',
    )
    assert.ok(performance.now() - start >= 29)
  }),
)

test(
  'prepTimeout() ends early once `count` operations have completed',
  needs({ opcode: 'IORING_OP_TIMEOUT' }, () => {
    using ring = openRing()
    prepTimeout(next(ring), time(HOUR), 2).setUserData(9)
    prepNop(next(ring)).setUserData(1)
    prepNop(next(ring)).setUserData(2)
    assert.equal(
      complete(ring, 3).map(({ res }) => res),
      [0, 0, 0],
    )
  }),
)

test(
  'prepTimeout() takes absolute times on each clock',
  needs({ opcode: 'IORING_OP_TIMEOUT', linux: '5.15' }, () => {
    using ring = openRing()
    // The time on CLOCK_REALTIME is over; the other clocks start at boot, where one millisecond is over too.
    const now = time(Date.now())
    const past = time(1)
    const fire = (at: number, flags: number): number | string =>
      result(ring, (sqe) => prepTimeout(sqe, at, 0, flags))
    assert.is(fire(now, IORING_TIMEOUT_ABS | IORING_TIMEOUT_REALTIME), 'ETIME')
    assert.is(fire(past, IORING_TIMEOUT_ABS), 'ETIME')
    assert.is(fire(past, IORING_TIMEOUT_ABS | IORING_TIMEOUT_BOOTTIME), 'ETIME')
  }),
)

test(
  'prepTimeout() fires repeatedly as multishot',
  needs({ opcode: 'IORING_OP_TIMEOUT', linux: '6.4' }, () => {
    using ring = openRing()
    prepTimeout(next(ring), time(5), 3, IORING_TIMEOUT_MULTISHOT)
    const fired = complete(ring, 3)
    assert.equal(
      fired.map(({ res }) => named(res)),
      ['ETIME', 'ETIME', 'ETIME'],
    )
    assert.equal(
      fired.map(({ flags }) => flags & IORING_CQE_F_MORE),
      [IORING_CQE_F_MORE, IORING_CQE_F_MORE, 0],
    )
  }),
)

test(
  'prepTimeout() with IORING_TIMEOUT_ETIME_SUCCESS does not break its link',
  needs({ opcode: 'IORING_OP_TIMEOUT', linux: '5.16' }, () => {
    using ring = openRing()
    prepTimeout(next(ring), time(1), 0, IORING_TIMEOUT_ETIME_SUCCESS).setFlags(IOSQE_IO_LINK).setUserData(1)
    prepNop(next(ring)).setUserData(2)
    assert.equal(
      complete(ring, 2).map(({ res }) => named(res)),
      ['ETIME', 0],
    )
    prepTimeout(next(ring), time(1)).setFlags(IOSQE_IO_LINK).setUserData(1)
    prepNop(next(ring)).setUserData(2)
    assert.equal(
      complete(ring, 2).map(({ res }) => named(res)),
      ['ETIME', 'ECANCELED'],
      'without it the link breaks',
    )
  }),
)

test(
  'prepTimeout() fails on bad memory, two clocks, an unknown flag',
  needs({ opcode: 'IORING_OP_TIMEOUT', linux: '5.15' }, () => {
    using ring = openRing()
    assert.is(
      result(ring, (sqe) => prepTimeout(sqe, 4096)),
      'EFAULT',
    )
    const both = IORING_TIMEOUT_BOOTTIME | IORING_TIMEOUT_REALTIME
    assert.is(
      result(ring, (sqe) => prepTimeout(sqe, time(1), 0, both)),
      'EINVAL',
    )
    assert.is(
      result(ring, (sqe) => prepTimeout(sqe, time(1), 0, 1 << 30)),
      'EINVAL',
    )
  }),
)

test(
  'prepTimeoutRemove() ends a timeout, then finds none',
  needs({ opcode: 'IORING_OP_TIMEOUT_REMOVE' }, () => {
    using ring = openRing()
    prepTimeout(next(ring), time(HOUR)).setUserData(1, 0xffff_ffff)
    ring.submit()
    assert.is(
      result(ring, (sqe) => prepTimeoutRemove(sqe, 1)),
      'ENOENT',
      'the high half counts',
    )
    prepTimeoutRemove(next(ring), 1, 0xffff_ffff).setUserData(2)
    const [ended, removed] = complete(ring, 2)
    assert.equal([named(ended!.res), removed!.res], ['ECANCELED', 0])
    assert.is(
      result(ring, (sqe) => prepTimeoutRemove(sqe, 1, 0xffff_ffff)),
      'ENOENT',
    )
  }),
)

test(
  'prepTimeoutUpdate() gives a timeout another time',
  needs({ opcode: 'IORING_OP_TIMEOUT_REMOVE', linux: '5.11' }, () => {
    using ring = openRing()
    prepTimeout(next(ring), time(HOUR)).setUserData(1)
    ring.submit()
    prepTimeoutUpdate(next(ring), time(1), 1).setUserData(2)
    const [fired, updated] = complete(ring, 2)
    assert.equal([named(fired!.res), updated!.res], ['ETIME', 0])
    assert.is(
      result(ring, (sqe) => prepTimeoutUpdate(sqe, time(1), 1)),
      'ENOENT',
    )
  }),
)

test(
  'prepTimeoutUpdate() changes a linked timeout with IORING_LINK_TIMEOUT_UPDATE',
  needs({ opcode: 'IORING_OP_TIMEOUT_REMOVE', linux: '5.15' }, () => {
    using ring = openRing()
    using ends = pipe()
    const bytes = memory(1)
    prepRead(next(ring), ends.reading, addressOf(bytes), 1, -1).setFlags(IOSQE_IO_LINK).setUserData(1)
    prepLinkTimeout(next(ring), time(HOUR)).setUserData(2)
    ring.submit()
    prepTimeoutUpdate(next(ring), time(1), 2, 0, IORING_LINK_TIMEOUT_UPDATE).setUserData(3)
    const [read, fired, updated] = complete(ring, 3)
    assert.equal([named(read!.res), named(fired!.res), updated!.res], ['ECANCELED', 'ETIME', 0])
  }),
)

test(
  'prepLinkTimeout() cancels an operation that takes too long',
  needs({ opcode: 'IORING_OP_LINK_TIMEOUT' }, () => {
    using ring = openRing()
    using ends = pipe()
    const bytes = memory(1)
    prepRead(next(ring), ends.reading, addressOf(bytes), 1, -1).setFlags(IOSQE_IO_LINK).setUserData(1)
    prepLinkTimeout(next(ring), time(5)).setUserData(2)
    assert.equal(
      complete(ring, 2).map(({ res }) => named(res)),
      ['ECANCELED', 'ETIME'],
    )
  }),
)

test(
  'prepLinkTimeout() is cancelled when the operation is in time',
  needs({ opcode: 'IORING_OP_LINK_TIMEOUT' }, () => {
    using ring = openRing()
    using ends = pipe()
    const bytes = memory(1)
    prepRead(next(ring), ends.reading, addressOf(bytes), 1, -1).setFlags(IOSQE_IO_LINK).setUserData(1)
    prepLinkTimeout(next(ring), time(HOUR)).setUserData(2)
    assert.ok(isQuiet(ring))
    const letter = memory('x')
    write(ends.writing, addressOf(letter), 1)
    assert.equal(
      complete(ring, 2).map(({ res }) => named(res)),
      [1, 'ECANCELED'],
    )
  }),
)

test(
  'prepLinkTimeout() fails with nothing to watch',
  needs({ opcode: 'IORING_OP_LINK_TIMEOUT' }, () => {
    using ring = openRing()
    assert.is(
      result(ring, (sqe) => prepLinkTimeout(sqe, time(5))),
      'EINVAL',
    )
  }),
)

test.run()
