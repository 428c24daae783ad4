// Moving data between memory and files: plain, vectored, with registered buffers, multishot.
//
// A transfer moves at most 0x7ffff000 bytes. An `offset` of -1 is the file's current position, which then
// moves (Linux 5.6, IORING_FEAT_RW_CUR_POS); pipes, sockets and terminals take -1 or 0. Data must stay alive
// and unmoved until the CQE, iovec arrays until the entry was consumed (until the CQE before Linux 5.5).

import {
  IORING_OP_READ,
  IORING_OP_READ_FIXED,
  IORING_OP_READ_MULTISHOT,
  IORING_OP_READV,
  IORING_OP_READV_FIXED,
  IORING_OP_WRITE,
  IORING_OP_WRITE_FIXED,
  IORING_OP_WRITEV,
  IORING_OP_WRITEV_FIXED,
  IOSQE_BUFFER_SELECT,
} from '../../syscalls/abi/index.js'
import type { Address, Fd, GroupId } from '../../syscalls/numbers.js'
import type { Sqe } from '../sqe.js'
import { WORD_ADDR, WORD_BUFFER, WORD_LEN, WORD_OFF, WORD_OP_FLAGS } from '../sqe.js'
import {
  checkAddress,
  checkFd,
  checkFlags,
  checkOffset,
  checkUint16,
  checkUint32,
  store64,
  storeAny64,
  storeOperation,
} from './fields.js'

/**
 * Prepares `IORING_OP_READ`: reads up to `length` bytes at `offset`.
 *
 * CQE `res`: bytes read, 0 at end of file, or a negated errno. Linux 5.6.
 *
 * @param sqe - A zeroed entry from `getSqe()`.
 * @param address - Start of the buffer; 0 with `IOSQE_BUFFER_SELECT`.
 * @param length - Bytes; more than 0x7ffff000 are read short.
 * @param offset - Bytes from the start of the file, or -1 for its current position.
 * @returns `sqe`, so that setters chain.
 * @throws TypeError `ERR_INVALID_ARG_TYPE`, RangeError `ERR_OUT_OF_RANGE`: the entry is then still a NOP.
 * @see io_uring_prep_read(3), read(2)
 */
export function prepRead(sqe: Sqe, fd: Fd, address: Address, length: number, offset: number | bigint): Sqe {
  checkTransfer(fd, address, length, offset)
  return storeTransfer(sqe, IORING_OP_READ, fd, address, length, offset)
}

/**
 * Prepares `IORING_OP_WRITE`: writes up to `length` bytes at `offset`.
 *
 * CQE `res`: bytes written, which may be fewer, or a negated errno. Linux 5.6.
 *
 * @param address - Start of the data.
 * @param length - Bytes; more than 0x7ffff000 are written short.
 * @param offset - Bytes from the start of the file, or -1 for its current position.
 * @see io_uring_prep_write(3), write(2)
 */
export function prepWrite(sqe: Sqe, fd: Fd, address: Address, length: number, offset: number | bigint): Sqe {
  checkTransfer(fd, address, length, offset)
  return storeTransfer(sqe, IORING_OP_WRITE, fd, address, length, offset)
}

/**
 * Prepares `IORING_OP_READV`: reads at `offset` into `vectorCount` buffers, one after the other.
 *
 * CQE `res`: bytes read, 0 at end of file, or a negated errno. Linux 5.1.
 *
 * @param vectors - Address of an array of `struct iovec`; see `iovecs()`.
 * @param vectorCount - At most 1024.
 * @param offset - Bytes from the start of the file, or -1 for its current position.
 * @see io_uring_prep_readv(3), readv(2)
 */
export function prepReadv(
  sqe: Sqe,
  fd: Fd,
  vectors: Address,
  vectorCount: number,
  offset: number | bigint,
): Sqe {
  checkVectors(fd, vectors, vectorCount, offset)
  return storeTransfer(sqe, IORING_OP_READV, fd, vectors, vectorCount, offset)
}

/**
 * Prepares `IORING_OP_READV` with flags: as `prepReadv`, but with `RWF_NOWAIT` and the like.
 *
 * CQE `res`: bytes read, 0 at end of file, or a negated errno (-EAGAIN under `RWF_NOWAIT`). Linux 5.1.
 *
 * @param flags - `RWF_*`.
 * @see io_uring_prep_readv2(3), preadv2(2)
 */
export function prepReadv2(
  sqe: Sqe,
  fd: Fd,
  vectors: Address,
  vectorCount: number,
  offset: number | bigint,
  flags = 0,
): Sqe {
  checkVectors(fd, vectors, vectorCount, offset)
  checkFlags('flags', flags)
  sqe.words[WORD_OP_FLAGS] = flags
  return storeTransfer(sqe, IORING_OP_READV, fd, vectors, vectorCount, offset)
}

/**
 * Prepares `IORING_OP_WRITEV`: writes `vectorCount` buffers at `offset`, one after the other.
 *
 * CQE `res`: bytes written, which may be fewer, or a negated errno. Linux 5.1.
 *
 * @param vectors - Address of an array of `struct iovec`; see `iovecs()`.
 * @param vectorCount - At most 1024.
 * @param offset - Bytes from the start of the file, or -1 for its current position.
 * @see io_uring_prep_writev(3), writev(2)
 */
export function prepWritev(
  sqe: Sqe,
  fd: Fd,
  vectors: Address,
  vectorCount: number,
  offset: number | bigint,
): Sqe {
  checkVectors(fd, vectors, vectorCount, offset)
  return storeTransfer(sqe, IORING_OP_WRITEV, fd, vectors, vectorCount, offset)
}

/**
 * Prepares `IORING_OP_WRITEV` with flags: as `prepWritev`, but with `RWF_DSYNC` and the like.
 *
 * CQE `res`: bytes written, which may be fewer, or a negated errno. Linux 5.1.
 *
 * @param flags - `RWF_*`.
 * @see io_uring_prep_writev2(3), pwritev2(2)
 */
export function prepWritev2(
  sqe: Sqe,
  fd: Fd,
  vectors: Address,
  vectorCount: number,
  offset: number | bigint,
  flags = 0,
): Sqe {
  checkVectors(fd, vectors, vectorCount, offset)
  checkFlags('flags', flags)
  sqe.words[WORD_OP_FLAGS] = flags
  return storeTransfer(sqe, IORING_OP_WRITEV, fd, vectors, vectorCount, offset)
}

/**
 * Prepares `IORING_OP_READ_FIXED`: reads into a registered buffer, which the kernel need not pin again.
 *
 * CQE `res`: bytes read, 0 at end of file, or a negated errno (-EFAULT when the range is not inside the registered
 * buffer, or nothing is registered at `bufferIndex`). Linux 5.1.
 *
 * @param address - Where to read to, inside the registered buffer.
 * @param length - Bytes.
 * @param bufferIndex - 0 to 65535.
 * @see io_uring_prep_read_fixed(3), io_uring_registered_buffers(7)
 */
export function prepReadFixed(
  sqe: Sqe,
  fd: Fd,
  address: Address,
  length: number,
  offset: number | bigint,
  bufferIndex: number,
): Sqe {
  checkTransfer(fd, address, length, offset)
  checkUint16('bufferIndex', bufferIndex)
  sqe.words[WORD_BUFFER] = bufferIndex
  return storeTransfer(sqe, IORING_OP_READ_FIXED, fd, address, length, offset)
}

/**
 * Prepares `IORING_OP_WRITE_FIXED`: writes from a registered buffer, which the kernel need not pin again.
 *
 * CQE `res`: bytes written, which may be fewer, or a negated errno (-EFAULT when the range is not inside the registered
 * buffer, or nothing is registered at `bufferIndex`). Linux 5.1.
 *
 * @param address - Where the data starts, inside the registered buffer.
 * @param length - Bytes.
 * @param bufferIndex - 0 to 65535.
 * @see io_uring_prep_write_fixed(3), io_uring_registered_buffers(7)
 */
export function prepWriteFixed(
  sqe: Sqe,
  fd: Fd,
  address: Address,
  length: number,
  offset: number | bigint,
  bufferIndex: number,
): Sqe {
  checkTransfer(fd, address, length, offset)
  checkUint16('bufferIndex', bufferIndex)
  sqe.words[WORD_BUFFER] = bufferIndex
  return storeTransfer(sqe, IORING_OP_WRITE_FIXED, fd, address, length, offset)
}

/**
 * Prepares `IORING_OP_READV_FIXED`: `prepReadv2` into ranges of one registered buffer.
 *
 * CQE `res`: bytes read, 0 at end of file, or a negated errno. Linux 6.15.
 *
 * @param vectors - Address of an array of `struct iovec`, each inside the registered buffer.
 * @param flags - `RWF_*`.
 * @param bufferIndex - 0 to 65535.
 * @see io_uring_prep_readv_fixed(3)
 */
export function prepReadvFixed(
  sqe: Sqe,
  fd: Fd,
  vectors: Address,
  vectorCount: number,
  offset: number | bigint,
  flags: number,
  bufferIndex: number,
): Sqe {
  checkVectors(fd, vectors, vectorCount, offset)
  checkFlags('flags', flags)
  checkUint16('bufferIndex', bufferIndex)
  const words = sqe.words
  words[WORD_OP_FLAGS] = flags
  words[WORD_BUFFER] = bufferIndex
  return storeTransfer(sqe, IORING_OP_READV_FIXED, fd, vectors, vectorCount, offset)
}

/**
 * Prepares `IORING_OP_WRITEV_FIXED`: `prepWritev2` from ranges of one registered buffer.
 *
 * CQE `res`: bytes written, which may be fewer, or a negated errno. Linux 6.15.
 *
 * @param vectors - Address of an array of `struct iovec`, each inside the registered buffer.
 * @param flags - `RWF_*`.
 * @param bufferIndex - 0 to 65535.
 * @see io_uring_prep_writev_fixed(3)
 */
export function prepWritevFixed(
  sqe: Sqe,
  fd: Fd,
  vectors: Address,
  vectorCount: number,
  offset: number | bigint,
  flags: number,
  bufferIndex: number,
): Sqe {
  checkVectors(fd, vectors, vectorCount, offset)
  checkFlags('flags', flags)
  checkUint16('bufferIndex', bufferIndex)
  const words = sqe.words
  words[WORD_OP_FLAGS] = flags
  words[WORD_BUFFER] = bufferIndex
  return storeTransfer(sqe, IORING_OP_WRITEV_FIXED, fd, vectors, vectorCount, offset)
}

/**
 * Prepares `IORING_OP_READ_MULTISHOT`: reads again and again from a pipe or another file that can be polled, each time
 * into a provided buffer. Sets `IOSQE_BUFFER_SELECT`: add further flags with `addFlags`, not `setFlags`.
 *
 * CQE `res`: bytes read, 0 at end of file, or a negated errno: -EBADFD for a regular file, -ENOBUFS when the group is
 * empty. `flags` holds the buffer id; without `IORING_CQE_F_MORE` the operation has ended. Linux 6.7.
 *
 * @param length - 0: each read takes one buffer of the group. Kernels refuse other values with -EINVAL.
 * @param offset - -1 or 0 for a file that cannot seek.
 * @param bufferGroup - 0 to 65535.
 * @see io_uring_prep_read_multishot(3), io_uring_provided_buffers(7)
 */
export function prepReadMultishot(
  sqe: Sqe,
  fd: Fd,
  length: number,
  offset: number | bigint,
  bufferGroup: GroupId,
): Sqe {
  checkTransfer(fd, 0, length, offset)
  checkUint16('bufferGroup', bufferGroup)
  const words = sqe.words
  storeOperation(words, IORING_OP_READ_MULTISHOT | (IOSQE_BUFFER_SELECT << 8), fd)
  words[WORD_LEN] = length
  storeAny64(words, WORD_OFF, offset)
  words[WORD_BUFFER] = bufferGroup
  return sqe
}

function checkTransfer(fd: Fd, address: Address, length: number, offset: number | bigint): void {
  checkFd('fd', fd)
  checkAddress('address', address)
  checkUint32('length', length)
  checkOffset('offset', offset)
}

function checkVectors(fd: Fd, vectors: Address, vectorCount: number, offset: number | bigint): void {
  checkFd('fd', fd)
  checkAddress('vectors', vectors)
  checkUint32('vectorCount', vectorCount)
  checkOffset('offset', offset)
}

function storeTransfer(
  sqe: Sqe,
  opcode: number,
  fd: Fd,
  address: Address,
  length: number,
  offset: number | bigint,
): Sqe {
  const words = sqe.words
  storeOperation(words, opcode, fd)
  storeAny64(words, WORD_OFF, offset)
  store64(words, WORD_ADDR, address)
  words[WORD_LEN] = length
  return sqe
}
