// Timers on the ring, and time limits of other operations.
//
// A time is the address of a `struct __kernel_timespec` (see `timespec()`), alive until the entry was
// consumed (until the CQE before Linux 5.5). user_data is two 32-bit halves here, where liburing's functions
// take one 64-bit number.

import {
  IORING_OP_LINK_TIMEOUT,
  IORING_OP_TIMEOUT,
  IORING_OP_TIMEOUT_REMOVE,
  IORING_TIMEOUT_UPDATE,
} from '../../syscalls/abi/index.js'
import type { Address } from '../../syscalls/numbers.js'
import type { Sqe } from '../sqe.js'
import { WORD_ADDR, WORD_LEN, WORD_OFF, WORD_OP_FLAGS } from '../sqe.js'
import { checkAddress, checkFlags, checkUint32, store64, storeOperation } from './fields.js'

/**
 * Prepares `IORING_OP_TIMEOUT`: completes after a time, or after `count` other completions, whichever comes first.
 *
 * CQE `res`: -ETIME when the time is over, 0 when `count` was reached, -ECANCELED when removed. Linux 5.4.
 *
 * @param time - Address of a timespec; the nanoseconds themselves under `IORING_TIMEOUT_IMMEDIATE_ARG` (Linux 7.1).
 * @param count - Completions to wait for, 0 for time alone. Under `IORING_TIMEOUT_MULTISHOT` (Linux 6.4) how often it
 *   fires, 0 for ever.
 * @param flags - `IORING_TIMEOUT_*`. Without a clock flag the clock is CLOCK_MONOTONIC.
 * @returns `sqe`, so that setters chain.
 * @see io_uring_prep_timeout(3)
 */
export function prepTimeout(sqe: Sqe, time: Address, count = 0, flags = 0): Sqe {
  checkAddress('time', time)
  checkUint32('count', count)
  checkFlags('flags', flags)
  const words = sqe.words
  storeOperation(words, IORING_OP_TIMEOUT, -1)
  words[WORD_OFF] = count
  store64(words, WORD_ADDR, time)
  words[WORD_LEN] = 1
  words[WORD_OP_FLAGS] = flags
  return sqe
}

/**
 * Prepares `IORING_OP_TIMEOUT_REMOVE`: ends the timeout that carries this user_data; it completes with -ECANCELED.
 *
 * CQE `res`: 0, -ENOENT when there is none, -EALREADY or -EBUSY when it is just firing. Linux 5.5.
 *
 * @param userDataLow - Bits 0-31 of the timeout's user_data.
 * @param userDataHigh - Bits 32-63.
 * @param flags - 0.
 * @see io_uring_prep_timeout_remove(3)
 */
export function prepTimeoutRemove(sqe: Sqe, userDataLow: number, userDataHigh = 0, flags = 0): Sqe {
  checkUint32('userDataLow', userDataLow)
  checkUint32('userDataHigh', userDataHigh)
  checkFlags('flags', flags)
  const words = sqe.words
  storeOperation(words, IORING_OP_TIMEOUT_REMOVE, -1)
  words[WORD_ADDR] = userDataLow
  words[WORD_ADDR + 1] = userDataHigh
  words[WORD_OP_FLAGS] = flags
  return sqe
}

/**
 * Prepares `IORING_OP_TIMEOUT_REMOVE` that gives a pending timeout another time. `IORING_TIMEOUT_UPDATE` is added.
 *
 * CQE `res`: 0, -ENOENT when there is none, -EALREADY when it is just firing. Linux 5.11.
 *
 * @param time - Address of the new timespec.
 * @param userDataLow - Bits 0-31 of the timeout's user_data.
 * @param userDataHigh - Bits 32-63.
 * @param flags - `IORING_TIMEOUT_ABS`, a clock flag, or `IORING_LINK_TIMEOUT_UPDATE` for a linked timeout (Linux 5.15).
 * @see io_uring_prep_timeout_update(3)
 */
export function prepTimeoutUpdate(
  sqe: Sqe,
  time: Address,
  userDataLow: number,
  userDataHigh = 0,
  flags = 0,
): Sqe {
  checkAddress('time', time)
  checkUint32('userDataLow', userDataLow)
  checkUint32('userDataHigh', userDataHigh)
  checkFlags('flags', flags)
  const words = sqe.words
  storeOperation(words, IORING_OP_TIMEOUT_REMOVE, -1)
  store64(words, WORD_OFF, time)
  words[WORD_ADDR] = userDataLow
  words[WORD_ADDR + 1] = userDataHigh
  words[WORD_OP_FLAGS] = flags | IORING_TIMEOUT_UPDATE
  return sqe
}

/**
 * Prepares `IORING_OP_LINK_TIMEOUT`: a time limit for the operation just before it, which must carry `IOSQE_IO_LINK`.
 *
 * CQE `res`: -ETIME when the limit expired (the operation then completes with -ECANCELED, unless it finished
 * anyway), -ECANCELED when the operation finished in time, -EALREADY when it could no longer be stopped,
 * -EINVAL without an operation to watch; 1 instead of -ETIME when the limit ended a futex wait or a waitid
 * (seen on Linux 6.18). Linux 5.5.
 *
 * @param time - Address of a timespec; the nanoseconds themselves under `IORING_TIMEOUT_IMMEDIATE_ARG` (Linux 7.1).
 * @param flags - `IORING_TIMEOUT_ABS`, a clock flag.
 * @see io_uring_prep_link_timeout(3), io_uring_linked_requests(7)
 */
export function prepLinkTimeout(sqe: Sqe, time: Address, flags = 0): Sqe {
  checkAddress('time', time)
  checkFlags('flags', flags)
  const words = sqe.words
  storeOperation(words, IORING_OP_LINK_TIMEOUT, -1)
  store64(words, WORD_ADDR, time)
  words[WORD_LEN] = 1
  words[WORD_OP_FLAGS] = flags
  return sqe
}
