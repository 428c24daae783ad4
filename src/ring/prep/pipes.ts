// Pipes: creating them, and moving data through them inside the kernel.

import { IORING_OP_PIPE, IORING_OP_SPLICE, IORING_OP_TEE } from '../../syscalls/abi/index.js'
import type { Address, Fd } from '../../syscalls/numbers.js'
import type { Sqe } from '../sqe.js'
import { WORD_ADDR, WORD_FILE_INDEX, WORD_LEN, WORD_OFF, WORD_OP_FLAGS } from '../sqe.js'
import {
  checkAddress,
  checkFd,
  checkFileIndex,
  checkFlags,
  checkOffset,
  checkUint32,
  store64,
  storeAny64,
  storeFileIndex,
  storeOperation,
} from './fields.js'

/**
 * Prepares `IORING_OP_PIPE`: makes a pipe.
 *
 * CQE `res`: 0 or a negated errno. Linux 6.16.
 *
 * @param fds - Address of two signed 32-bit integers, alive until the CQE: the reading end, then the writing end.
 * @param flags - `O_CLOEXEC`, `O_NONBLOCK`, `O_DIRECT`.
 * @returns `sqe`, so that setters chain.
 * @see io_uring_prep_pipe(3), pipe2(2)
 */
export function prepPipe(sqe: Sqe, fds: Address, flags = 0): Sqe {
  checkAddress('fds', fds)
  checkFlags('flags', flags)
  return storePipe(sqe, fds, flags)
}

/**
 * Prepares `IORING_OP_PIPE` into two registered file slots.
 *
 * CQE `res`: 0 or a negated errno: -ENFILE when no slot is free, -EINVAL for `O_CLOEXEC`. Linux 6.16.
 *
 * @param fds - Address of two signed 32-bit integers, alive until the CQE: the slots of the reading and the
 *   writing end.
 * @param fileIndex - Slot of the reading end, the writing end gets the next one; or `IORING_FILE_INDEX_ALLOC`.
 * @see io_uring_prep_pipe_direct(3), pipe2(2)
 */
export function prepPipeDirect(sqe: Sqe, fds: Address, flags: number, fileIndex: number): Sqe {
  checkAddress('fds', fds)
  checkFlags('flags', flags)
  checkFileIndex('fileIndex', fileIndex)
  storeFileIndex(sqe.words, fileIndex)
  return storePipe(sqe, fds, flags)
}

/**
 * Prepares `IORING_OP_SPLICE`: moves data between two descriptors, at least one of which is a pipe.
 *
 * CQE `res`: bytes moved, 0 at end of input, or a negated errno. Linux 5.7.
 *
 * @param fdIn - Descriptor to take from; a registered file slot under `SPLICE_F_FD_IN_FIXED`.
 * @param offsetIn - Where to read, or -1 for the current position; -1 for a pipe.
 * @param fdOut - Descriptor to put into; a registered file slot under `IOSQE_FIXED_FILE`.
 * @param offsetOut - Where to write, or -1 for the current position; -1 for a pipe.
 * @param length - Bytes.
 * @param flags - `SPLICE_F_*`.
 * @see io_uring_prep_splice(3), splice(2)
 */
export function prepSplice(
  sqe: Sqe,
  fdIn: Fd,
  offsetIn: number | bigint,
  fdOut: Fd,
  offsetOut: number | bigint,
  length: number,
  flags = 0,
): Sqe {
  checkFd('fdIn', fdIn)
  checkOffset('offsetIn', offsetIn)
  checkFd('fdOut', fdOut)
  checkOffset('offsetOut', offsetOut)
  checkUint32('length', length)
  checkFlags('flags', flags)
  const words = sqe.words
  storeOperation(words, IORING_OP_SPLICE, fdOut)
  storeAny64(words, WORD_OFF, offsetOut)
  storeAny64(words, WORD_ADDR, offsetIn)
  words[WORD_LEN] = length
  words[WORD_OP_FLAGS] = flags
  words[WORD_FILE_INDEX] = fdIn
  return sqe
}

/**
 * Prepares `IORING_OP_TEE`: copies data from one pipe to another without consuming it.
 *
 * CQE `res`: bytes copied, 0 at end of input, or a negated errno (-EINVAL unless both are pipes). Linux 5.8.
 *
 * @param fdIn - Pipe to copy from; a registered file slot under `SPLICE_F_FD_IN_FIXED`.
 * @param fdOut - Pipe to copy to.
 * @param length - Bytes.
 * @param flags - `SPLICE_F_*`.
 * @see io_uring_prep_tee(3), tee(2)
 */
export function prepTee(sqe: Sqe, fdIn: Fd, fdOut: Fd, length: number, flags = 0): Sqe {
  checkFd('fdIn', fdIn)
  checkFd('fdOut', fdOut)
  checkUint32('length', length)
  checkFlags('flags', flags)
  const words = sqe.words
  storeOperation(words, IORING_OP_TEE, fdOut)
  words[WORD_LEN] = length
  words[WORD_OP_FLAGS] = flags
  words[WORD_FILE_INDEX] = fdIn
  return sqe
}

function storePipe(sqe: Sqe, fds: Address, flags: number): Sqe {
  const words = sqe.words
  storeOperation(words, IORING_OP_PIPE, 0)
  store64(words, WORD_ADDR, fds)
  words[WORD_OP_FLAGS] = flags
  return sqe
}
