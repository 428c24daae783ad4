// Fields that refine an entry after its prep function: those for which liburing's users assign to the struct.

import { IORING_RW_ATTR_FLAG_PI } from '../../syscalls/abi/index.js'
import type { Address } from '../../syscalls/numbers.js'
import type { Sqe } from '../sqe.js'
import { WORD_ADDR3, WORD_ATTR, WORD_OP_FLAGS } from '../sqe.js'
import { checkAddress, checkFlags, checkUint64, store64, storeAny64 } from './fields.js'

/**
 * Replaces the flags of the operation itself (`rw_flags` and its other names): `RWF_*` for reads and writes that have no
 * argument for them, `IORING_URING_CMD_FIXED` for commands.
 *
 * @param flags - Thirty-two bits; what the kernel does not know it answers with -EINVAL.
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
