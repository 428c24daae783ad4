import koffi from 'koffi'
import {
  prepEpollCtl,
  prepEpollWait,
  prepPollAdd,
  prepPollMultishot,
  prepPollRemove,
  prepPollUpdate,
} from '../../../src/ring/prep/index.js'
import {
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLL_EVENT,
  EPOLLET,
  EPOLLIN,
  EPOLLOUT,
  IORING_CQE_F_MORE,
  IORING_POLL_ADD_MULTI,
  IORING_POLL_UPDATE_EVENTS,
  IORING_POLL_UPDATE_USER_DATA,
  POLLHUP,
  POLLIN,
  POLLOUT,
} from '../../../src/syscalls/abi/index.js'
import { close, write } from '../../../src/syscalls/libc.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { Struct } from '../../../src/syscalls/struct.js'
import { assert, needs, test } from '../../harness.js'
import { complete, isQuiet, keep, memory, must, named, next, openRing, pipe, result } from './fixture.js'

const letter = memory('x')
const writeOne = (fd: number): number => write(fd, addressOf(letter), 1)

// Node has no call that makes an epoll instance; the symbol is in this very process, whichever its C library.
const epollCreate = koffi.load(null as never).func('epoll_create1', 'int', ['int']) as (
  flags: number,
) => number

function event(events: number, data: number): Struct<keyof typeof EPOLL_EVENT.fields> {
  return keep(Struct.alloc(EPOLL_EVENT).set('events', events).set('data.u64', data))
}

test(
  'prepPollAdd() completes when the descriptor becomes ready',
  needs({ opcode: 'IORING_OP_POLL_ADD' }, () => {
    using ring = openRing()
    using ends = pipe()
    prepPollAdd(next(ring), ends.reading, POLLIN)
    assert.ok(isQuiet(ring))
    writeOne(ends.writing)
    const [ready] = complete(ring, 1)
    assert.equal([ready!.res & POLLIN, ready!.flags], [POLLIN, 0])
    assert.is(
      must(ring, (sqe) => prepPollAdd(sqe, ends.writing, POLLOUT)) & POLLOUT,
      POLLOUT,
      'ready already',
    )
  }),
)

test(
  'prepPollAdd() takes the bits above 16',
  needs({ opcode: 'IORING_OP_POLL_ADD', feature: 'IORING_FEAT_POLL_32BITS' }, () => {
    using ring = openRing()
    using ends = pipe()
    writeOne(ends.writing)
    // `|` makes the number negative.
    assert.is(must(ring, (sqe) => prepPollAdd(sqe, ends.reading, EPOLLIN | EPOLLET)) & EPOLLIN, EPOLLIN)
  }),
)

test(
  'prepPollAdd() fails on a bad descriptor',
  needs({ opcode: 'IORING_OP_POLL_ADD' }, () => {
    using ring = openRing()
    assert.is(
      result(ring, (sqe) => prepPollAdd(sqe, -1, POLLIN)),
      'EBADF',
    )
  }),
)

test(
  'prepPollMultishot() completes each time, until the other end closes',
  needs({ opcode: 'IORING_OP_POLL_ADD', linux: '5.13' }, () => {
    using ring = openRing()
    using ends = pipe()
    prepPollMultishot(next(ring), ends.reading, POLLIN)
    ring.submit()
    for (let round = 0; round < 3; round++) {
      writeOne(ends.writing)
      const [ready] = complete(ring, 1)
      assert.equal([ready!.res & POLLIN, ready!.flags & IORING_CQE_F_MORE], [POLLIN, IORING_CQE_F_MORE])
    }
    close(ends.writing)
    assert.is(complete(ring, 1)[0]!.res & POLLHUP, POLLHUP)
  }),
)

test(
  'prepPollRemove() ends a poll, then finds none',
  needs({ opcode: 'IORING_OP_POLL_REMOVE' }, () => {
    using ring = openRing()
    using ends = pipe()
    prepPollAdd(next(ring), ends.reading, POLLIN).setUserData(1, 2)
    ring.submit()
    assert.is(
      result(ring, (sqe) => prepPollRemove(sqe, 1)),
      'ENOENT',
      'the high half counts',
    )
    prepPollRemove(next(ring), 1, 2).setUserData(3)
    const [ended, removed] = complete(ring, 2)
    assert.equal([named(ended!.res), removed!.res], ['ECANCELED', 0])
    assert.is(
      result(ring, (sqe) => prepPollRemove(sqe, 1, 2)),
      'ENOENT',
    )
  }),
)

test(
  'prepPollUpdate() changes events and user_data in place',
  needs({ opcode: 'IORING_OP_POLL_REMOVE', linux: '5.13' }, () => {
    using ring = openRing()
    using ends = pipe()
    // The writing end is never readable: this poll waits until it is changed.
    prepPollMultishot(next(ring), ends.writing, POLLIN).setUserData(1, 1)
    ring.submit()
    const flags = IORING_POLL_UPDATE_EVENTS | IORING_POLL_UPDATE_USER_DATA | IORING_POLL_ADD_MULTI
    prepPollUpdate(next(ring), 1, 1, 5, 0, POLLOUT, flags).setUserData(9)
    const [ready, updated] = complete(ring, 2)
    assert.equal([ready!.userData, ready!.res & POLLOUT], [5, POLLOUT])
    assert.ok(ready!.flags & IORING_CQE_F_MORE)
    assert.is(updated!.res, 0)
  }),
)

test(
  'prepPollUpdate() fails when there is no such poll, and on an unknown flag',
  needs({ opcode: 'IORING_OP_POLL_REMOVE', linux: '5.13' }, () => {
    using ring = openRing()
    const update = (flags: number): number | string =>
      result(ring, (sqe) => prepPollUpdate(sqe, 1, 0, 0, 0, POLLIN, flags))
    assert.is(update(IORING_POLL_UPDATE_EVENTS), 'ENOENT')
    assert.is(update(0x80), 'EINVAL')
  }),
)

test(
  'prepEpollCtl() adds, changes and removes; prepEpollWait() reports',
  needs({ opcode: 'IORING_OP_EPOLL_WAIT' }, () => {
    using ring = openRing()
    using ends = pipe()
    const epoll = epollCreate(EPOLL_CLOEXEC)
    const control = (op: number, fd: number, address: number): number | string =>
      result(ring, (sqe) => prepEpollCtl(sqe, epoll, fd, op, address))
    assert.is(control(EPOLL_CTL_ADD, ends.reading, event(EPOLLIN, 7).address), 0)
    const events = keep(Struct.alloc(EPOLL_EVENT, 4))
    prepEpollWait(next(ring), epoll, events.address, 4)
    assert.ok(isQuiet(ring))
    writeOne(ends.writing)
    assert.is(complete(ring, 1)[0]!.res, 1)
    assert.equal([events.get('events'), events.get('data.u64')], [EPOLLIN, 7])

    assert.is(control(EPOLL_CTL_MOD, ends.reading, event(EPOLLIN, 2 ** 40).address), 0)
    assert.is(control(EPOLL_CTL_ADD, ends.writing, event(EPOLLOUT, 9).address), 0)
    assert.is(
      must(ring, (sqe) => prepEpollWait(sqe, epoll, events.address, 4)),
      2,
    )
    assert.equal([events.get('data.u64', 0), events.get('data.u64', 1)].sort(), [2 ** 40, 9])

    assert.is(control(EPOLL_CTL_DEL, ends.reading, 0), 0)
    assert.is(
      must(ring, (sqe) => prepEpollWait(sqe, epoll, events.address, 4)),
      1,
    )
    assert.is(control(EPOLL_CTL_DEL, ends.reading, 0), 'ENOENT')
    close(epoll)
  }),
)

test(
  'prepEpollCtl() fails twice over the same descriptor, and on what is no epoll',
  needs({ opcode: 'IORING_OP_EPOLL_CTL' }, () => {
    using ring = openRing()
    using ends = pipe()
    const epoll = epollCreate(EPOLL_CLOEXEC)
    const { address } = event(EPOLLIN, 0)
    const add = (instance: number): number | string =>
      result(ring, (sqe) => prepEpollCtl(sqe, instance, ends.reading, EPOLL_CTL_ADD, address))
    assert.equal([add(epoll), add(epoll), add(ends.writing)], [0, 'EEXIST', 'EINVAL'])
    assert.is(
      result(ring, (sqe) => prepEpollCtl(sqe, epoll, ends.writing, EPOLL_CTL_ADD, 0)),
      'EFAULT',
    )
    close(epoll)
  }),
)

test(
  'prepEpollWait() fails on what is no epoll, and with room for none',
  needs({ opcode: 'IORING_OP_EPOLL_WAIT' }, () => {
    using ring = openRing()
    using ends = pipe()
    const epoll = epollCreate(EPOLL_CLOEXEC)
    const events = keep(Struct.alloc(EPOLL_EVENT))
    assert.is(
      result(ring, (sqe) => prepEpollWait(sqe, ends.reading, events.address, 1)),
      'EINVAL',
    )
    assert.is(
      result(ring, (sqe) => prepEpollWait(sqe, epoll, events.address, 0)),
      'EINVAL',
    )
    close(epoll)
  }),
)

test.run()
