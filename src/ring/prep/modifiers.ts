// Sets fields of an entry after its prep function, which users of liburing assign directly in the struct.

import { IORING_RW_ATTR_FLAG_PI } from '../../syscalls/abi/index.js'
import type { Address } from '../../syscalls/numbers.js'
import type { Sqe } from '../sqe.js'
import { WORD_ADDR3, WORD_ATTR, WORD_FILE_INDEX, WORD_LEN, WORD_OFF, WORD_OP_FLAGS } from '../sqe.js'
import { checkAddress, checkFlags, checkUint32, checkUint64, store64, storeAny64 } from './fields.js'

/**
 * Replaces the flags of the operation itself (`rw_flags` and its other names): `RWF_*` for reads and writes
 * that have no argument for them, `IORING_URING_CMD_FIXED` for commands.
 *
 * @param flags - Thirty-two bits; a bit that the kernel does not know gives -EINVAL.
 * @returns `sqe`, so that setters chain.
 */
export function setOperationFlags(sqe: Sqe, flags: number): Sqe {
  checkFlags('flags', flags)
  sqe.words[WORD_OP_FLAGS] = flags
  return sqe
}

/**
 * Attaches attributes to a read or write: protection information under `IORING_RW_ATTR_FLAG_PI`. Linux 6.14.
 *
 * @param attributes - Address of a `struct io_uring_attr_pi`, alive until the entry was consumed.
 * @param mask - `IORING_RW_ATTR_FLAG_*`.
 * @returns `sqe`, so that setters chain.
 */
export function setReadWriteAttributes(
  sqe: Sqe,
  attributes: Address,
  mask: number | bigint = IORING_RW_ATTR_FLAG_PI,
): Sqe {
  checkAddress('attributes', attributes)
  checkUint64('mask', mask)
  const words = sqe.words
  store64(words, WORD_ADDR3, attributes)
  storeAny64(words, WORD_ATTR, mask)
  return sqe
}

/**
 * Makes `prepFsync` flush only a part of the file, where the file system can. Linux 5.1.
 *
 * @param offset - Bytes from the start.
 * @param length - Bytes, 32 bits; with an offset of 0 as well, 0 is the whole file.
 * @returns `sqe`, so that setters chain.
 */
export function setFsyncRange(sqe: Sqe, offset: number | bigint, length: number): Sqe {
  checkUint64('offset', offset)
  checkUint32('length', length)
  const words = sqe.words
  storeAny64(words, WORD_OFF, offset)
  words[WORD_LEN] = length
  return sqe
}

/**
 * Makes `prepRecvMultishot` end once `bytes` bytes have arrived in all: that CQE lacks `IORING_CQE_F_MORE`.
 * Its buffer is still filled as usual, so the total may exceed the limit (seen on 6.18). Linux 6.17.
 *
 * @param bytes - 32 bits; 0 for no limit.
 * @returns `sqe`, so that setters chain.
 */
export function setReceiveLimit(sqe: Sqe, bytes: number): Sqe {
  checkUint32('bytes', bytes)
  sqe.words[WORD_FILE_INDEX] = bytes
  return sqe
}
