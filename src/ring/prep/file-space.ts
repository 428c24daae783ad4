// Operations on the contents of an open file, or on a range of memory, that do not move data: flushing,
// allocating, truncating, advising.

import {
  IORING_OP_FADVISE,
  IORING_OP_FALLOCATE,
  IORING_OP_FSYNC,
  IORING_OP_FTRUNCATE,
  IORING_OP_MADVISE,
  IORING_OP_SYNC_FILE_RANGE,
} from '../../syscalls/abi/index.js'
import type { Address, Fd } from '../../syscalls/numbers.js'
import type { Sqe } from '../sqe.js'
import { WORD_ADDR, WORD_LEN, WORD_OFF, WORD_OP_FLAGS } from '../sqe.js'
import {
  checkAddress,
  checkFd,
  checkFlags,
  checkUint32,
  checkUint64,
  store64,
  storeAny64,
  storeOperation,
} from './fields.js'

/**
 * Prepares `IORING_OP_FSYNC`: flushes a file to its storage. It does not wait for writes that are in flight on the
 * ring: link it behind them, or drain.
 *
 * CQE `res`: 0 or a negated errno. Linux 5.1.
 *
 * @param flags - 0, or `IORING_FSYNC_DATASYNC` to leave out metadata that reading back does not need.
 * @returns `sqe`, so that setters chain.
 * @see io_uring_prep_fsync(3), fsync(2)
 */
export function prepFsync(sqe: Sqe, fd: Fd, flags = 0): Sqe {
  checkFd('fd', fd)
  checkFlags('flags', flags)
  const words = sqe.words
  storeOperation(words, IORING_OP_FSYNC, fd)
  words[WORD_OP_FLAGS] = flags
  return sqe
}

/**
 * Prepares `IORING_OP_SYNC_FILE_RANGE`: starts or awaits the write-out of a range. Not a substitute for fsync: metadata
 * and disk caches are left alone.
 *
 * CQE `res`: 0 or a negated errno. Linux 5.2.
 *
 * @param length - Bytes; 0 is up to the end of the file.
 * @param offset - Bytes from the start of the file.
 * @param flags - `SYNC_FILE_RANGE_*`.
 * @see io_uring_prep_sync_file_range(3), sync_file_range(2)
 */
export function prepSyncFileRange(sqe: Sqe, fd: Fd, length: number, offset: number | bigint, flags = 0): Sqe {
  checkFd('fd', fd)
  checkUint32('length', length)
  checkUint64('offset', offset)
  checkFlags('flags', flags)
  const words = sqe.words
  storeOperation(words, IORING_OP_SYNC_FILE_RANGE, fd)
  storeAny64(words, WORD_OFF, offset)
  words[WORD_LEN] = length
  words[WORD_OP_FLAGS] = flags
  return sqe
}

/**
 * Prepares `IORING_OP_FALLOCATE`: allocates, punches out, zeroes, inserts or collapses a range of a file.
 *
 * CQE `res`: 0 or a negated errno (-EOPNOTSUPP where the file system lacks `mode`). Linux 5.6.
 *
 * @param mode - `FALLOC_FL_*`; 0 allocates and extends the file.
 * @param offset - Bytes from the start of the file.
 * @param length - Bytes, above 0.
 * @see io_uring_prep_fallocate(3), fallocate(2)
 */
export function prepFallocate(
  sqe: Sqe,
  fd: Fd,
  mode: number,
  offset: number | bigint,
  length: number | bigint,
): Sqe {
  checkFd('fd', fd)
  checkFlags('mode', mode)
  checkUint64('offset', offset)
  checkUint64('length', length)
  const words = sqe.words
  storeOperation(words, IORING_OP_FALLOCATE, fd)
  storeAny64(words, WORD_OFF, offset)
  storeAny64(words, WORD_ADDR, length)
  words[WORD_LEN] = mode
  return sqe
}

/**
 * Prepares `IORING_OP_FTRUNCATE`: makes a file exactly `length` bytes long.
 *
 * CQE `res`: 0 or a negated errno. Linux 6.9.
 *
 * @param length - Bytes; a longer file loses its end, a shorter one gains zeros.
 * @see io_uring_prep_ftruncate(3), ftruncate(2)
 */
export function prepFtruncate(sqe: Sqe, fd: Fd, length: number | bigint): Sqe {
  checkFd('fd', fd)
  checkUint64('length', length)
  const words = sqe.words
  storeOperation(words, IORING_OP_FTRUNCATE, fd)
  storeAny64(words, WORD_OFF, length)
  return sqe
}

/**
 * Prepares `IORING_OP_FADVISE`: announces how a range of a file will be read. `prepFadvise64` takes longer ranges.
 *
 * CQE `res`: 0 or a negated errno. Linux 5.6.
 *
 * @param offset - Bytes from the start of the file.
 * @param length - Bytes, at most 4294967295; 0 is up to the end of the file.
 * @param advice - `POSIX_FADV_*`.
 * @see io_uring_prep_fadvise(3), posix_fadvise(2)
 */
export function prepFadvise(sqe: Sqe, fd: Fd, offset: number | bigint, length: number, advice: number): Sqe {
  checkFd('fd', fd)
  checkUint64('offset', offset)
  checkUint32('length', length)
  checkUint32('advice', advice)
  const words = sqe.words
  storeOperation(words, IORING_OP_FADVISE, fd)
  storeAny64(words, WORD_OFF, offset)
  words[WORD_LEN] = length
  words[WORD_OP_FLAGS] = advice
  return sqe
}

/**
 * Prepares `IORING_OP_FADVISE` for a range of any length.
 *
 * CQE `res`: 0 or a negated errno: -EINVAL from kernels that only have the 32-bit length. Linux 6.11.
 *
 * @param offset - Bytes from the start of the file.
 * @param length - Bytes; 0 is up to the end of the file.
 * @param advice - `POSIX_FADV_*`.
 * @see io_uring_prep_fadvise64(3), posix_fadvise(2)
 */
export function prepFadvise64(
  sqe: Sqe,
  fd: Fd,
  offset: number | bigint,
  length: number | bigint,
  advice: number,
): Sqe {
  checkFd('fd', fd)
  checkUint64('offset', offset)
  checkUint64('length', length)
  checkUint32('advice', advice)
  const words = sqe.words
  storeOperation(words, IORING_OP_FADVISE, fd)
  storeAny64(words, WORD_OFF, offset)
  storeAny64(words, WORD_ADDR, length)
  words[WORD_OP_FLAGS] = advice
  return sqe
}

/**
 * Prepares `IORING_OP_MADVISE`: announces how a range of memory will be used. `prepMadvise64` takes longer ranges.
 *
 * CQE `res`: 0 or a negated errno. Linux 5.6.
 *
 * @param address - Page-aligned.
 * @param length - Bytes, at most 4294967295.
 * @param advice - `MADV_*`. Never use one that discards contents, such as `MADV_DONTNEED`, on JavaScript
 *   memory.
 * @see io_uring_prep_madvise(3), madvise(2)
 */
export function prepMadvise(sqe: Sqe, address: Address, length: number, advice: number): Sqe {
  checkAddress('address', address)
  checkUint32('length', length)
  checkUint32('advice', advice)
  const words = sqe.words
  storeOperation(words, IORING_OP_MADVISE, -1)
  store64(words, WORD_ADDR, address)
  words[WORD_LEN] = length
  words[WORD_OP_FLAGS] = advice
  return sqe
}

/**
 * Prepares `IORING_OP_MADVISE` for a range of any length.
 *
 * CQE `res`: 0 or a negated errno: -EINVAL from kernels that only have the 32-bit length. Linux 6.11.
 *
 * @param address - Page-aligned.
 * @param length - Bytes.
 * @param advice - `MADV_*`.
 * @see io_uring_prep_madvise64(3), madvise(2)
 */
export function prepMadvise64(sqe: Sqe, address: Address, length: number | bigint, advice: number): Sqe {
  checkAddress('address', address)
  checkUint64('length', length)
  checkUint32('advice', advice)
  const words = sqe.words
  storeOperation(words, IORING_OP_MADVISE, -1)
  store64(words, WORD_ADDR, address)
  storeAny64(words, WORD_OFF, length)
  words[WORD_OP_FLAGS] = advice
  return sqe
}
