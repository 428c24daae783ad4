// Readiness: polling a descriptor on the ring, and epoll through the ring.
//
// user_data is two 32-bit halves here, where liburing's functions take one 64-bit number: the only 64-bit
// integer of JavaScript is BigInt, and a BigInt per operation costs far too much.

import {
  IORING_OP_EPOLL_CTL,
  IORING_OP_EPOLL_WAIT,
  IORING_OP_POLL_ADD,
  IORING_OP_POLL_REMOVE,
  IORING_POLL_ADD_MULTI,
} from '../../syscalls/abi/index.js'
import type { Address, Fd } from '../../syscalls/numbers.js'
import type { Sqe } from '../sqe.js'
import { WORD_ADDR, WORD_LEN, WORD_OFF, WORD_OP_FLAGS } from '../sqe.js'
import { checkAddress, checkFd, checkFlags, checkUint32, store64, storeOperation } from './fields.js'

/**
 * Prepares `IORING_OP_POLL_ADD`: waits until a descriptor is ready, once.
 *
 * CQE `res`: the events that hold, or a negated errno. Linux 5.1.
 *
 * @param pollMask - `POLLIN`, `POLLOUT` and so on, `EPOLLET`, `EPOLLEXCLUSIVE`. `POLLERR` and `POLLHUP` always report.
 * @returns `sqe`, so that setters chain.
 * @see io_uring_prep_poll_add(3), poll(2)
 */
export function prepPollAdd(sqe: Sqe, fd: Fd, pollMask: number): Sqe {
  checkFd('fd', fd)
  checkFlags('pollMask', pollMask)
  const words = sqe.words
  storeOperation(words, IORING_OP_POLL_ADD, fd)
  words[WORD_OP_FLAGS] = pollMask
  return sqe
}

/**
 * Prepares `IORING_OP_POLL_ADD`, multishot: a CQE each time the descriptor becomes ready, until it is removed.
 *
 * CQE `res`: the events that hold, or a negated errno; without `IORING_CQE_F_MORE` the operation has ended. Linux 5.13.
 *
 * @param pollMask - As `prepPollAdd`. Edges are reported, not levels.
 * @see io_uring_prep_poll_multishot(3), io_uring_multishot(7)
 */
export function prepPollMultishot(sqe: Sqe, fd: Fd, pollMask: number): Sqe {
  checkFd('fd', fd)
  checkFlags('pollMask', pollMask)
  const words = sqe.words
  storeOperation(words, IORING_OP_POLL_ADD, fd)
  words[WORD_LEN] = IORING_POLL_ADD_MULTI
  words[WORD_OP_FLAGS] = pollMask
  return sqe
}

/**
 * Prepares `IORING_OP_POLL_REMOVE`: ends the poll that carries this user_data; it completes with -ECANCELED.
 *
 * CQE `res`: 0, -ENOENT when there is none, -EALREADY when it is just completing. Linux 5.1.
 *
 * @param userDataLow - Bits 0-31 of the poll's user_data.
 * @param userDataHigh - Bits 32-63.
 * @see io_uring_prep_poll_remove(3)
 */
export function prepPollRemove(sqe: Sqe, userDataLow: number, userDataHigh = 0): Sqe {
  checkUint32('userDataLow', userDataLow)
  checkUint32('userDataHigh', userDataHigh)
  const words = sqe.words
  storeOperation(words, IORING_OP_POLL_REMOVE, -1)
  words[WORD_ADDR] = userDataLow
  words[WORD_ADDR + 1] = userDataHigh
  return sqe
}

/**
 * Prepares `IORING_OP_POLL_REMOVE` that changes a poll in place: its events, its user_data, or both, as `flags` says.
 *
 * CQE `res`: 0, -ENOENT when there is no such poll, -EALREADY when it is just completing. Linux 5.13.
 *
 * @param oldUserDataLow - Bits 0-31 of the poll's user_data.
 * @param oldUserDataHigh - Bits 32-63.
 * @param newUserDataLow - Used with `IORING_POLL_UPDATE_USER_DATA`, else 0.
 * @param newUserDataHigh - Used with `IORING_POLL_UPDATE_USER_DATA`, else 0.
 * @param pollMask - Used with `IORING_POLL_UPDATE_EVENTS`, else 0.
 * @param flags - `IORING_POLL_UPDATE_*`, and `IORING_POLL_ADD_MULTI` to keep the poll multishot.
 * @see io_uring_prep_poll_update(3)
 */
export function prepPollUpdate(
  sqe: Sqe,
  oldUserDataLow: number,
  oldUserDataHigh: number,
  newUserDataLow: number,
  newUserDataHigh: number,
  pollMask: number,
  flags: number,
): Sqe {
  checkUint32('oldUserDataLow', oldUserDataLow)
  checkUint32('oldUserDataHigh', oldUserDataHigh)
  checkUint32('newUserDataLow', newUserDataLow)
  checkUint32('newUserDataHigh', newUserDataHigh)
  checkFlags('pollMask', pollMask)
  checkFlags('flags', flags)
  const words = sqe.words
  storeOperation(words, IORING_OP_POLL_REMOVE, -1)
  words[WORD_OFF] = newUserDataLow
  words[WORD_OFF + 1] = newUserDataHigh
  words[WORD_ADDR] = oldUserDataLow
  words[WORD_ADDR + 1] = oldUserDataHigh
  words[WORD_LEN] = flags
  words[WORD_OP_FLAGS] = pollMask
  return sqe
}

/**
 * Prepares `IORING_OP_EPOLL_CTL`: adds, changes or removes a descriptor in an epoll instance.
 *
 * CQE `res`: 0 or a negated errno. Linux 5.6.
 *
 * @param epollFd - The epoll instance.
 * @param fd - The descriptor to watch.
 * @param op - `EPOLL_CTL_ADD`, `EPOLL_CTL_DEL`, `EPOLL_CTL_MOD`.
 * @param event - Address of a `struct epoll_event`, alive until the entry was consumed; 0 for `EPOLL_CTL_DEL`.
 * @see io_uring_prep_epoll_ctl(3), epoll_ctl(2)
 */
export function prepEpollCtl(sqe: Sqe, epollFd: Fd, fd: Fd, op: number, event: Address): Sqe {
  checkFd('epollFd', epollFd)
  checkFd('fd', fd)
  checkUint32('op', op)
  checkAddress('event', event)
  const words = sqe.words
  storeOperation(words, IORING_OP_EPOLL_CTL, epollFd)
  words[WORD_OFF] = fd
  store64(words, WORD_ADDR, event)
  words[WORD_LEN] = op
  return sqe
}

/**
 * Prepares `IORING_OP_EPOLL_WAIT`: waits for events of an epoll instance, for as long as it takes.
 *
 * CQE `res`: how many events were written, at least 1, or a negated errno. Linux 6.15.
 *
 * @param fd - The epoll instance.
 * @param events - Address of an array of `struct epoll_event`, alive until the CQE.
 * @param maxEvents - Length of that array, above 0.
 * @param flags - 0.
 * @see io_uring_prep_epoll_wait(3), epoll_wait(2)
 */
export function prepEpollWait(sqe: Sqe, fd: Fd, events: Address, maxEvents: number, flags = 0): Sqe {
  checkFd('fd', fd)
  checkAddress('events', events)
  checkUint32('maxEvents', maxEvents)
  checkFlags('flags', flags)
  const words = sqe.words
  storeOperation(words, IORING_OP_EPOLL_WAIT, fd)
  store64(words, WORD_ADDR, events)
  words[WORD_LEN] = maxEvents
  words[WORD_OP_FLAGS] = flags
  return sqe
}
