// Cancelling operations of the same ring. It is best effort: the target may still succeed, and its own CQE always
// arrives. Its memory belongs to the kernel until then.
//
// user_data is two 32-bit halves here, where liburing's functions take one 64-bit number.

import {
  IORING_ASYNC_CANCEL_FD,
  IORING_ASYNC_CANCEL_OP,
  IORING_OP_ASYNC_CANCEL,
} from '../../syscalls/abi/index.js'
import type { Fd } from '../../syscalls/numbers.js'
import type { Sqe } from '../sqe.js'
import { WORD_ADDR, WORD_LEN, WORD_OP_FLAGS } from '../sqe.js'
import { checkFd, checkFlags, checkUint32, storeOperation } from './fields.js'

/**
 * Prepares `IORING_OP_ASYNC_CANCEL` of the operation that carries this user_data.
 *
 * CQE `res`: 0 when it was found, the number found under `IORING_ASYNC_CANCEL_ALL` or
 * `IORING_ASYNC_CANCEL_ANY`, -ENOENT when there is none, -EALREADY when it is running and may not be
 * stoppable. Linux 5.5.
 *
 * @param userDataLow - Bits 0-31 of the operation's user_data.
 * @param userDataHigh - Bits 32-63.
 * @param flags - `IORING_ASYNC_CANCEL_*` (Linux 5.19).
 * @returns `sqe`, so that setters chain.
 * @see io_uring_prep_cancel64(3), io_uring_cancelation(7)
 */
export function prepCancel64(sqe: Sqe, userDataLow: number, userDataHigh = 0, flags = 0): Sqe {
  checkUint32('userDataLow', userDataLow)
  checkUint32('userDataHigh', userDataHigh)
  checkFlags('flags', flags)
  const words = sqe.words
  storeOperation(words, IORING_OP_ASYNC_CANCEL, -1)
  words[WORD_ADDR] = userDataLow
  words[WORD_ADDR + 1] = userDataHigh
  words[WORD_OP_FLAGS] = flags
  return sqe
}

/**
 * Prepares `IORING_OP_ASYNC_CANCEL` of the operation that carries this user_data: the same as `prepCancel64`. In C the
 * two differ in the type of one argument.
 *
 * CQE `res`: as `prepCancel64`. Linux 5.5.
 *
 * @see io_uring_prep_cancel(3), io_uring_cancelation(7)
 */
export function prepCancel(sqe: Sqe, userDataLow: number, userDataHigh = 0, flags = 0): Sqe {
  return prepCancel64(sqe, userDataLow, userDataHigh, flags)
}

/**
 * Prepares `IORING_OP_ASYNC_CANCEL` of an operation on this descriptor. `IORING_ASYNC_CANCEL_FD` is added. Do this
 * before closing a descriptor: closing does not end operations in flight.
 *
 * CQE `res`: as `prepCancel64`. Linux 5.19.
 *
 * @param fd - The descriptor, or a registered file slot under `IORING_ASYNC_CANCEL_FD_FIXED` (Linux 6.0).
 * @param flags - `IORING_ASYNC_CANCEL_ALL` for all of them instead of the first one found.
 * @see io_uring_prep_cancel_fd(3), io_uring_cancelation(7)
 */
export function prepCancelFd(sqe: Sqe, fd: Fd, flags = 0): Sqe {
  checkFd('fd', fd)
  checkFlags('flags', flags)
  const words = sqe.words
  storeOperation(words, IORING_OP_ASYNC_CANCEL, fd)
  words[WORD_OP_FLAGS] = flags | IORING_ASYNC_CANCEL_FD
  return sqe
}

/**
 * Prepares `IORING_OP_ASYNC_CANCEL` of an operation with this opcode. `IORING_ASYNC_CANCEL_OP` is added. liburing has
 * no function for it: there one fills the fields by hand.
 *
 * CQE `res`: as `prepCancel64`. Linux 6.6.
 *
 * @param opcode - `IORING_OP_*`.
 * @param flags - `IORING_ASYNC_CANCEL_ALL` for all of them instead of the first one found.
 * @see io_uring_prep_cancel(3), io_uring_cancelation(7)
 */
export function prepCancelOp(sqe: Sqe, opcode: number, flags = 0): Sqe {
  checkUint32('opcode', opcode)
  checkFlags('flags', flags)
  const words = sqe.words
  storeOperation(words, IORING_OP_ASYNC_CANCEL, -1)
  words[WORD_LEN] = opcode
  words[WORD_OP_FLAGS] = flags | IORING_ASYNC_CANCEL_OP
  return sqe
}
