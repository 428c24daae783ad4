// Operations on names: stat, unlink, rename, directories, links.
//
// Paths are addresses of NUL-terminated strings (see `cString()`) and stay alive until the entry was
// consumed. A relative path starts at its `dirFd`, or at the current directory for AT_FDCWD and for the
// functions without "at".

import {
  AT_FDCWD,
  IORING_OP_LINKAT,
  IORING_OP_MKDIRAT,
  IORING_OP_RENAMEAT,
  IORING_OP_STATX,
  IORING_OP_SYMLINKAT,
  IORING_OP_UNLINKAT,
} from '../../syscalls/abi/index.js'
import type { Address, Fd } from '../../syscalls/numbers.js'
import type { Sqe } from '../sqe.js'
import { WORD_ADDR, WORD_LEN, WORD_OFF, WORD_OP_FLAGS } from '../sqe.js'
import { checkAddress, checkFd, checkFlags, checkUint32, store64, storeOperation } from './fields.js'

/**
 * Prepares `IORING_OP_STATX`: asks for a file's attributes.
 *
 * CQE `res`: 0 or a negated errno. Linux 5.6.
 *
 * @param dirFd - Directory that a relative path starts at, or `AT_FDCWD`; the file itself with `AT_EMPTY_PATH`.
 * @param path - Address of the path; of an empty string with `AT_EMPTY_PATH`.
 * @param flags - `AT_EMPTY_PATH`, `AT_SYMLINK_NOFOLLOW`, `AT_STATX_*`.
 * @param mask - `STATX_*`: which attributes are wanted.
 * @param result - Address of a `struct statx`, alive until the CQE; see `StatxResult`.
 * @returns `sqe`, so that setters chain.
 * @see io_uring_prep_statx(3), statx(2)
 */
export function prepStatx(
  sqe: Sqe,
  dirFd: Fd,
  path: Address,
  flags: number,
  mask: number,
  result: Address,
): Sqe {
  checkFd('dirFd', dirFd)
  checkAddress('path', path)
  checkFlags('flags', flags)
  checkFlags('mask', mask)
  checkAddress('result', result)
  const words = sqe.words
  storeOperation(words, IORING_OP_STATX, dirFd)
  store64(words, WORD_OFF, result)
  store64(words, WORD_ADDR, path)
  words[WORD_LEN] = mask
  words[WORD_OP_FLAGS] = flags
  return sqe
}

/**
 * Prepares `IORING_OP_UNLINKAT`: removes a name, and the file with its last one.
 *
 * CQE `res`: 0 or a negated errno. Linux 5.11.
 *
 * @param flags - 0, or `AT_REMOVEDIR` to remove an empty directory.
 * @see io_uring_prep_unlinkat(3), unlinkat(2)
 */
export function prepUnlinkat(sqe: Sqe, dirFd: Fd, path: Address, flags = 0): Sqe {
  checkFd('dirFd', dirFd)
  checkAddress('path', path)
  checkFlags('flags', flags)
  const words = sqe.words
  storeOperation(words, IORING_OP_UNLINKAT, dirFd)
  store64(words, WORD_ADDR, path)
  words[WORD_OP_FLAGS] = flags
  return sqe
}

/**
 * Prepares `IORING_OP_UNLINKAT` relative to the current directory: `prepUnlinkat` with `AT_FDCWD`.
 *
 * CQE `res`: 0 or a negated errno. Linux 5.11.
 *
 * @see io_uring_prep_unlink(3), unlink(2), rmdir(2)
 */
export function prepUnlink(sqe: Sqe, path: Address, flags = 0): Sqe {
  return prepUnlinkat(sqe, AT_FDCWD, path, flags)
}

/**
 * Prepares `IORING_OP_RENAMEAT`: gives a file another name, which may lie in another directory of its file system.
 *
 * CQE `res`: 0 or a negated errno. Linux 5.11.
 *
 * @param flags - `RENAME_NOREPLACE`, `RENAME_EXCHANGE`, `RENAME_WHITEOUT`.
 * @see io_uring_prep_renameat(3), renameat2(2)
 */
export function prepRenameat(
  sqe: Sqe,
  oldDirFd: Fd,
  oldPath: Address,
  newDirFd: Fd,
  newPath: Address,
  flags = 0,
): Sqe {
  checkTwoPaths(oldDirFd, oldPath, newDirFd, newPath, flags)
  return storeTwoPaths(sqe, IORING_OP_RENAMEAT, oldDirFd, oldPath, newDirFd, newPath, flags)
}

/**
 * Prepares `IORING_OP_RENAMEAT` relative to the current directory.
 *
 * CQE `res`: 0 or a negated errno. Linux 5.11.
 *
 * @see io_uring_prep_rename(3), rename(2)
 */
export function prepRename(sqe: Sqe, oldPath: Address, newPath: Address): Sqe {
  return prepRenameat(sqe, AT_FDCWD, oldPath, AT_FDCWD, newPath, 0)
}

/**
 * Prepares `IORING_OP_MKDIRAT`: makes a directory.
 *
 * CQE `res`: 0 or a negated errno. Linux 5.15.
 *
 * @param mode - Permission bits, before the umask.
 * @see io_uring_prep_mkdirat(3), mkdirat(2)
 */
export function prepMkdirat(sqe: Sqe, dirFd: Fd, path: Address, mode: number): Sqe {
  checkFd('dirFd', dirFd)
  checkAddress('path', path)
  checkUint32('mode', mode)
  const words = sqe.words
  storeOperation(words, IORING_OP_MKDIRAT, dirFd)
  store64(words, WORD_ADDR, path)
  words[WORD_LEN] = mode
  return sqe
}

/**
 * Prepares `IORING_OP_MKDIRAT` relative to the current directory.
 *
 * CQE `res`: 0 or a negated errno. Linux 5.15.
 *
 * @see io_uring_prep_mkdir(3), mkdir(2)
 */
export function prepMkdir(sqe: Sqe, path: Address, mode: number): Sqe {
  return prepMkdirat(sqe, AT_FDCWD, path, mode)
}

/**
 * Prepares `IORING_OP_SYMLINKAT`: makes a symbolic link.
 *
 * CQE `res`: 0 or a negated errno. Linux 5.15.
 *
 * @param target - Address of what the link says; it need not exist.
 * @param newDirFd - Directory that a relative `linkPath` starts at, or `AT_FDCWD`.
 * @param linkPath - Address of the path of the link.
 * @see io_uring_prep_symlinkat(3), symlinkat(2)
 */
export function prepSymlinkat(sqe: Sqe, target: Address, newDirFd: Fd, linkPath: Address): Sqe {
  checkAddress('target', target)
  checkFd('newDirFd', newDirFd)
  checkAddress('linkPath', linkPath)
  const words = sqe.words
  storeOperation(words, IORING_OP_SYMLINKAT, newDirFd)
  store64(words, WORD_OFF, linkPath)
  store64(words, WORD_ADDR, target)
  return sqe
}

/**
 * Prepares `IORING_OP_SYMLINKAT` relative to the current directory.
 *
 * CQE `res`: 0 or a negated errno. Linux 5.15.
 *
 * @see io_uring_prep_symlink(3), symlink(2)
 */
export function prepSymlink(sqe: Sqe, target: Address, linkPath: Address): Sqe {
  return prepSymlinkat(sqe, target, AT_FDCWD, linkPath)
}

/**
 * Prepares `IORING_OP_LINKAT`: gives a file a further name (a hard link).
 *
 * CQE `res`: 0 or a negated errno. Linux 5.15.
 *
 * @param flags - `AT_SYMLINK_FOLLOW`, `AT_EMPTY_PATH`.
 * @see io_uring_prep_linkat(3), linkat(2)
 */
export function prepLinkat(
  sqe: Sqe,
  oldDirFd: Fd,
  oldPath: Address,
  newDirFd: Fd,
  newPath: Address,
  flags = 0,
): Sqe {
  checkTwoPaths(oldDirFd, oldPath, newDirFd, newPath, flags)
  return storeTwoPaths(sqe, IORING_OP_LINKAT, oldDirFd, oldPath, newDirFd, newPath, flags)
}

/**
 * Prepares `IORING_OP_LINKAT` relative to the current directory.
 *
 * CQE `res`: 0 or a negated errno. Linux 5.15.
 *
 * @see io_uring_prep_link(3), link(2)
 */
export function prepLink(sqe: Sqe, oldPath: Address, newPath: Address, flags = 0): Sqe {
  return prepLinkat(sqe, AT_FDCWD, oldPath, AT_FDCWD, newPath, flags)
}

function checkTwoPaths(oldDirFd: Fd, oldPath: Address, newDirFd: Fd, newPath: Address, flags: number): void {
  checkFd('oldDirFd', oldDirFd)
  checkAddress('oldPath', oldPath)
  checkFd('newDirFd', newDirFd)
  checkAddress('newPath', newPath)
  checkFlags('flags', flags)
}

function storeTwoPaths(
  sqe: Sqe,
  opcode: number,
  oldDirFd: Fd,
  oldPath: Address,
  newDirFd: Fd,
  newPath: Address,
  flags: number,
): Sqe {
  const words = sqe.words
  storeOperation(words, opcode, oldDirFd)
  store64(words, WORD_OFF, newPath)
  store64(words, WORD_ADDR, oldPath)
  words[WORD_LEN] = newDirFd
  words[WORD_OP_FLAGS] = flags
  return sqe
}
