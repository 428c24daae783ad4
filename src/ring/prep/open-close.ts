// Opening and closing files, as ordinary descriptors or directly as registered ("direct") ones, and moving between the
// two tables.
//
// A direct variant puts the file into a slot of the ring's table of registered files and makes no descriptor
// at all; operations then name that slot with IOSQE_FIXED_FILE. A slot in use is replaced.
// IORING_FILE_INDEX_ALLOC lets the kernel choose a free slot (Linux 5.19). Paths are addresses of
// NUL-terminated strings (see `cString()`) and stay alive until the entry was consumed.

import {
  AT_FDCWD,
  IORING_OP_CLOSE,
  IORING_OP_FILES_UPDATE,
  IORING_OP_FIXED_FD_INSTALL,
  IORING_OP_OPENAT,
  IORING_OP_OPENAT2,
  IOSQE_FIXED_FILE,
  OPEN_HOW,
} from '../../syscalls/abi/index.js'
import type { Address, Fd } from '../../syscalls/numbers.js'
import type { Sqe } from '../sqe.js'
import { WORD_ADDR, WORD_LEN, WORD_OFF, WORD_OP_FLAGS } from '../sqe.js'
import {
  checkAddress,
  checkFd,
  checkFileIndex,
  checkFlags,
  checkUint32,
  store64,
  storeFileIndex,
  storeOperation,
} from './fields.js'

/**
 * Prepares `IORING_OP_OPENAT`: opens a file.
 *
 * CQE `res`: the descriptor, or a negated errno. Linux 5.6.
 *
 * @param dirFd - Directory that a relative path starts at, or `AT_FDCWD`.
 * @param path - Address of the path.
 * @param flags - `O_*`. `O_CLOEXEC` is not implied.
 * @param mode - Permission bits of a file that is made, before the umask.
 * @returns `sqe`, so that setters chain.
 * @see io_uring_prep_openat(3), openat(2)
 */
export function prepOpenat(sqe: Sqe, dirFd: Fd, path: Address, flags: number, mode = 0): Sqe {
  checkOpen(dirFd, path, flags, mode)
  return storeOpen(sqe, dirFd, path, flags, mode)
}

/**
 * Prepares `IORING_OP_OPENAT` relative to the current directory: `prepOpenat` with `AT_FDCWD`.
 *
 * CQE `res`: the descriptor, or a negated errno. Linux 5.6.
 *
 * @see io_uring_prep_open(3), open(2)
 */
export function prepOpen(sqe: Sqe, path: Address, flags: number, mode = 0): Sqe {
  return prepOpenat(sqe, AT_FDCWD, path, flags, mode)
}

/**
 * Prepares `IORING_OP_OPENAT` into a registered file slot.
 *
 * CQE `res`: 0, or the slot under `IORING_FILE_INDEX_ALLOC`, or a negated errno: -ENFILE when no slot is free, -ENXIO
 * without a table, -EINVAL for `O_CLOEXEC`, which has no meaning here. Linux 5.15.
 *
 * @param fileIndex - Slot, from 0, or `IORING_FILE_INDEX_ALLOC`.
 * @see io_uring_prep_openat_direct(3), openat(2)
 */
export function prepOpenatDirect(
  sqe: Sqe,
  dirFd: Fd,
  path: Address,
  flags: number,
  mode: number,
  fileIndex: number,
): Sqe {
  checkOpen(dirFd, path, flags, mode)
  checkFileIndex('fileIndex', fileIndex)
  storeFileIndex(sqe.words, fileIndex)
  return storeOpen(sqe, dirFd, path, flags, mode)
}

/**
 * Prepares `IORING_OP_OPENAT` into a registered file slot, relative to the current directory.
 *
 * CQE `res`: as `prepOpenatDirect`. Linux 5.15.
 *
 * @param fileIndex - Slot, from 0, or `IORING_FILE_INDEX_ALLOC`.
 * @see io_uring_prep_open_direct(3), open(2)
 */
export function prepOpenDirect(sqe: Sqe, path: Address, flags: number, mode: number, fileIndex: number): Sqe {
  return prepOpenatDirect(sqe, AT_FDCWD, path, flags, mode, fileIndex)
}

/**
 * Prepares `IORING_OP_OPENAT2`: opens a file, with control over how its path is resolved.
 *
 * CQE `res`: the descriptor, or a negated errno (-EXDEV or -ELOOP where `resolve` forbids the path). Linux 5.6.
 *
 * @param how - Address of a `struct open_how`; see `openHow()`.
 * @see io_uring_prep_openat2(3), openat2(2)
 */
export function prepOpenat2(sqe: Sqe, dirFd: Fd, path: Address, how: Address): Sqe {
  checkOpen2(dirFd, path, how)
  return storeOpen2(sqe, dirFd, path, how)
}

/**
 * Prepares `IORING_OP_OPENAT2` into a registered file slot.
 *
 * CQE `res`: as `prepOpenatDirect`. Linux 5.15.
 *
 * @param fileIndex - Slot, from 0, or `IORING_FILE_INDEX_ALLOC`.
 * @see io_uring_prep_openat2_direct(3), openat2(2)
 */
export function prepOpenat2Direct(sqe: Sqe, dirFd: Fd, path: Address, how: Address, fileIndex: number): Sqe {
  checkOpen2(dirFd, path, how)
  checkFileIndex('fileIndex', fileIndex)
  storeFileIndex(sqe.words, fileIndex)
  return storeOpen2(sqe, dirFd, path, how)
}

/**
 * Prepares `IORING_OP_CLOSE`: closes a descriptor. Operations in flight on it go on; cancel them first.
 *
 * CQE `res`: 0 or a negated errno. Linux 5.6.
 *
 * @see io_uring_prep_close(3), close(2)
 */
export function prepClose(sqe: Sqe, fd: Fd): Sqe {
  checkFd('fd', fd)
  storeOperation(sqe.words, IORING_OP_CLOSE, fd)
  return sqe
}

/**
 * Prepares `IORING_OP_CLOSE` of a registered file: frees its slot.
 *
 * CQE `res`: 0 or a negated errno: -EBADF for an empty slot, -ENXIO without a table. Linux 5.15.
 *
 * @param fileIndex - Slot, from 0.
 * @see io_uring_prep_close_direct(3)
 */
export function prepCloseDirect(sqe: Sqe, fileIndex: number): Sqe {
  checkFileIndex('fileIndex', fileIndex)
  const words = sqe.words
  storeOperation(words, IORING_OP_CLOSE, 0)
  storeFileIndex(words, fileIndex)
  return sqe
}

/**
 * Prepares `IORING_OP_FILES_UPDATE`: puts descriptors into slots of the table of registered files.
 *
 * CQE `res`: how many were updated, or a negated errno: -ENXIO without a table, -EINVAL past its end. Linux 5.6.
 *
 * @param fds - Address of an array of signed 32-bit descriptors: -1 empties a slot,
 *   `IORING_REGISTER_FILES_SKIP` (-2) leaves one as it is. It stays alive until the CQE. Under
 *   `IORING_FILE_INDEX_ALLOC` the kernel overwrites it with the slots that it chose (Linux 6.0).
 * @param count - Length of the array.
 * @param offset - First slot, or `IORING_FILE_INDEX_ALLOC`.
 * @see io_uring_prep_files_update(3), io_uring_registered_files(7)
 */
export function prepFilesUpdate(sqe: Sqe, fds: Address, count: number, offset: number): Sqe {
  checkAddress('fds', fds)
  checkUint32('count', count)
  checkUint32('offset', offset)
  const words = sqe.words
  storeOperation(words, IORING_OP_FILES_UPDATE, -1)
  words[WORD_OFF] = offset
  store64(words, WORD_ADDR, fds)
  words[WORD_LEN] = count
  return sqe
}

/**
 * Prepares `IORING_OP_FIXED_FD_INSTALL`: makes an ordinary descriptor for a registered file, which stays registered.
 * Sets `IOSQE_FIXED_FILE`: add further flags with `addFlags`, not `setFlags`.
 *
 * CQE `res`: the descriptor, or a negated errno. Linux 6.8.
 *
 * @param fileIndex - Slot, from 0.
 * @param flags - 0 for a descriptor with `O_CLOEXEC`, `IORING_FIXED_FD_NO_CLOEXEC` for one without.
 * @see io_uring_prep_fixed_fd_install(3)
 */
export function prepFixedFdInstall(sqe: Sqe, fileIndex: number, flags = 0): Sqe {
  checkFd('fileIndex', fileIndex)
  checkFlags('flags', flags)
  const words = sqe.words
  storeOperation(words, IORING_OP_FIXED_FD_INSTALL | (IOSQE_FIXED_FILE << 8), fileIndex)
  words[WORD_OP_FLAGS] = flags
  return sqe
}

function checkOpen(dirFd: Fd, path: Address, flags: number, mode: number): void {
  checkFd('dirFd', dirFd)
  checkAddress('path', path)
  checkFlags('flags', flags)
  checkUint32('mode', mode)
}

function storeOpen(sqe: Sqe, dirFd: Fd, path: Address, flags: number, mode: number): Sqe {
  const words = sqe.words
  storeOperation(words, IORING_OP_OPENAT, dirFd)
  store64(words, WORD_ADDR, path)
  words[WORD_LEN] = mode
  words[WORD_OP_FLAGS] = flags
  return sqe
}

function checkOpen2(dirFd: Fd, path: Address, how: Address): void {
  checkFd('dirFd', dirFd)
  checkAddress('path', path)
  checkAddress('how', how)
}

function storeOpen2(sqe: Sqe, dirFd: Fd, path: Address, how: Address): Sqe {
  const words = sqe.words
  storeOperation(words, IORING_OP_OPENAT2, dirFd)
  store64(words, WORD_OFF, how)
  store64(words, WORD_ADDR, path)
  words[WORD_LEN] = OPEN_HOW.size
  return sqe
}
