// Messages between rings: they post a completion on another ring, or install a registered file there.
//
// The user_data of the completion on the other ring is two 32-bit halves here, where liburing's functions
// take one 64-bit number.

import {
  IORING_FILE_INDEX_ALLOC,
  IORING_MSG_RING_FLAGS_PASS,
  IORING_MSG_SEND_FD,
  IORING_OP_MSG_RING,
} from '../../syscalls/abi/index.js'
import type { Fd } from '../../syscalls/numbers.js'
import type { Sqe } from '../sqe.js'
import { WORD_ADDR, WORD_ADDR3, WORD_FILE_INDEX, WORD_LEN, WORD_OFF, WORD_OP_FLAGS } from '../sqe.js'
import { checkFd, checkFileIndex, checkFlags, checkUint32, storeFileIndex, storeOperation } from './fields.js'

/**
 * Prepares `IORING_OP_MSG_RING`: posts a completion on another ring.
 *
 * CQE `res`: 0 or a negated errno: -EBADFD when `fd` is no ring or a disabled one, -EOVERFLOW when its CQ cannot take
 * it. Linux 5.18.
 *
 * @param fd - The other ring.
 * @param length - `res` of the completion there; 2147483648 and more arrive as negative numbers.
 * @param dataLow - Bits 0-31 of its user_data.
 * @param dataHigh - Bits 32-63.
 * @param flags - 0.
 * @returns `sqe`, so that setters chain.
 * @see io_uring_prep_msg_ring(3)
 */
export function prepMsgRing(sqe: Sqe, fd: Fd, length: number, dataLow: number, dataHigh = 0, flags = 0): Sqe {
  checkMessage(fd, length, dataLow, dataHigh, flags)
  return storeMessage(sqe, fd, length, dataLow, dataHigh, flags)
}

/**
 * Prepares `IORING_OP_MSG_RING` that also sets the `flags` of the completion on the other ring.
 * `IORING_MSG_RING_FLAGS_PASS` is added.
 *
 * CQE `res`: as `prepMsgRing`. Linux 6.3.
 *
 * @param cqeFlags - `flags` of the completion there.
 * @see io_uring_prep_msg_ring_cqe_flags(3)
 */
export function prepMsgRingCqeFlags(
  sqe: Sqe,
  fd: Fd,
  length: number,
  dataLow: number,
  dataHigh: number,
  flags: number,
  cqeFlags: number,
): Sqe {
  checkMessage(fd, length, dataLow, dataHigh, flags)
  checkFlags('cqeFlags', cqeFlags)
  sqe.words[WORD_FILE_INDEX] = cqeFlags
  return storeMessage(sqe, fd, length, dataLow, dataHigh, flags | IORING_MSG_RING_FLAGS_PASS)
}

/**
 * Prepares `IORING_OP_MSG_RING` that installs a registered file of this ring in a slot of another ring, and posts a
 * completion there unless `flags` says otherwise.
 *
 * CQE `res`: 0, or the slot under `IORING_FILE_INDEX_ALLOC`, or a negated errno: -EBADF for an empty source slot,
 * -EBADFD when `fd` is no ring, -EINVAL when it is this one, -ENFILE when it has no slot free. Linux 6.0.
 *
 * @param fd - The other ring.
 * @param sourceIndex - Slot of this ring.
 * @param targetIndex - Slot of the other ring, or `IORING_FILE_INDEX_ALLOC` (Linux 6.2).
 * @param dataLow - Bits 0-31 of the user_data of the completion there.
 * @param dataHigh - Bits 32-63.
 * @param flags - 0 or `IORING_MSG_RING_CQE_SKIP`.
 * @see io_uring_prep_msg_ring_fd(3)
 */
export function prepMsgRingFd(
  sqe: Sqe,
  fd: Fd,
  sourceIndex: number,
  targetIndex: number,
  dataLow: number,
  dataHigh = 0,
  flags = 0,
): Sqe {
  checkMessage(fd, 0, dataLow, dataHigh, flags)
  checkUint32('sourceIndex', sourceIndex)
  checkFileIndex('targetIndex', targetIndex)
  const words = sqe.words
  words[WORD_ADDR] = IORING_MSG_SEND_FD
  words[WORD_ADDR3] = sourceIndex
  storeFileIndex(words, targetIndex)
  return storeMessage(sqe, fd, 0, dataLow, dataHigh, flags)
}

/**
 * Prepares `IORING_OP_MSG_RING` that installs a registered file of this ring in a slot that the other ring chooses.
 *
 * CQE `res`: the slot, or a negated errno as `prepMsgRingFd`. Linux 6.2.
 *
 * @see io_uring_prep_msg_ring_fd_alloc(3)
 */
export function prepMsgRingFdAlloc(
  sqe: Sqe,
  fd: Fd,
  sourceIndex: number,
  dataLow: number,
  dataHigh = 0,
  flags = 0,
): Sqe {
  return prepMsgRingFd(sqe, fd, sourceIndex, IORING_FILE_INDEX_ALLOC, dataLow, dataHigh, flags)
}

function checkMessage(fd: Fd, length: number, dataLow: number, dataHigh: number, flags: number): void {
  checkFd('fd', fd)
  checkUint32('length', length)
  checkUint32('dataLow', dataLow)
  checkUint32('dataHigh', dataHigh)
  checkFlags('flags', flags)
}

function storeMessage(
  sqe: Sqe,
  fd: Fd,
  length: number,
  dataLow: number,
  dataHigh: number,
  flags: number,
): Sqe {
  const words = sqe.words
  storeOperation(words, IORING_OP_MSG_RING, fd)
  words[WORD_OFF] = dataLow
  words[WORD_OFF + 1] = dataHigh
  words[WORD_LEN] = length
  words[WORD_OP_FLAGS] = flags
  return sqe
}
