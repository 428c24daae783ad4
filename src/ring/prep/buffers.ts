// Provided buffers, the older interface: one operation gives consecutive buffers to the kernel, another takes
// them back. A registered buffer ring (IORING_REGISTER_PBUF_RING, Linux 5.19) does the same without
// operations.

import { IORING_OP_PROVIDE_BUFFERS, IORING_OP_REMOVE_BUFFERS } from '../../syscalls/abi/index.js'
import type { Address, BufferId, GroupId } from '../../syscalls/numbers.js'
import type { Sqe } from '../sqe.js'
import { WORD_ADDR, WORD_BUFFER, WORD_LEN, WORD_OFF } from '../sqe.js'
import { checkAddress, checkFd, checkUint16, checkUint32, store64, storeOperation } from './fields.js'

/**
 * Prepares `IORING_OP_PROVIDE_BUFFERS`: adds `count` buffers, one after the other in memory, to a group.
 *
 * CQE `res`: 0 or a negated errno: -E2BIG for no buffers or too many, -EINVAL when the ids run past 65535
 * (before Linux 6.1 they wrap). Linux 5.7.
 *
 * @param address - Start of the first buffer. The kernel may write to the memory until each buffer was used
 *   or removed.
 * @param length - Bytes of each buffer.
 * @param count - 1 to 65536.
 * @param group - 0 to 65535.
 * @param firstId - Id of the first buffer; the others follow.
 * @returns `sqe`, so that setters chain.
 * @see io_uring_prep_provide_buffers(3), io_uring_provided_buffers(7)
 */
export function prepProvideBuffers(
  sqe: Sqe,
  address: Address,
  length: number,
  count: number,
  group: GroupId,
  firstId: BufferId,
): Sqe {
  checkAddress('address', address)
  checkUint32('length', length)
  checkFd('count', count)
  checkUint16('group', group)
  checkUint16('firstId', firstId)
  const words = sqe.words
  storeOperation(words, IORING_OP_PROVIDE_BUFFERS, count)
  words[WORD_OFF] = firstId
  store64(words, WORD_ADDR, address)
  words[WORD_LEN] = length
  words[WORD_BUFFER] = group
  return sqe
}

/**
 * Prepares `IORING_OP_REMOVE_BUFFERS`: takes up to `count` unused buffers back from a group.
 *
 * CQE `res`: how many were removed, or a negated errno: -ENOENT when there is no such group. Linux 5.7.
 *
 * @param count - 1 to 65536.
 * @param group - 0 to 65535.
 * @see io_uring_prep_remove_buffers(3), io_uring_provided_buffers(7)
 */
export function prepRemoveBuffers(sqe: Sqe, count: number, group: GroupId): Sqe {
  checkFd('count', count)
  checkUint16('group', group)
  const words = sqe.words
  storeOperation(words, IORING_OP_REMOVE_BUFFERS, count)
  words[WORD_BUFFER] = group
  return sqe
}
