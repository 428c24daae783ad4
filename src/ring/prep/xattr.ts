// Extended attributes of files, by path or by descriptor.
//
// Names and paths are addresses of NUL-terminated strings (see `cString()`) and stay alive until the entry
// was consumed; values stay alive until the CQE.

import {
  IORING_OP_FGETXATTR,
  IORING_OP_FSETXATTR,
  IORING_OP_GETXATTR,
  IORING_OP_SETXATTR,
} from '../../syscalls/abi/index.js'
import type { Address, Fd } from '../../syscalls/numbers.js'
import type { Sqe } from '../sqe.js'
import { WORD_ADDR, WORD_ADDR3, WORD_LEN, WORD_OFF, WORD_OP_FLAGS } from '../sqe.js'
import { checkAddress, checkFd, checkFlags, checkUint32, store64, storeOperation } from './fields.js'

/**
 * Prepares `IORING_OP_GETXATTR`: reads an attribute of the file at a path, following symbolic links.
 *
 * CQE `res`: bytes of the value, or a negated errno: -ENODATA when there is none, -ERANGE when `length` is too small.
 * With `length` 0 it is the size of the value. Linux 5.19.
 *
 * @param name - Address of the name, such as `user.comment`.
 * @param value - Where the value goes.
 * @param length - Bytes of room.
 * @returns `sqe`, so that setters chain.
 * @see io_uring_prep_getxattr(3), getxattr(2)
 */
export function prepGetxattr(sqe: Sqe, name: Address, value: Address, path: Address, length: number): Sqe {
  checkAttribute(name, value, length, 0)
  checkAddress('path', path)
  store64(sqe.words, WORD_ADDR3, path)
  return storeAttribute(sqe, IORING_OP_GETXATTR, 0, name, value, length, 0)
}

/**
 * Prepares `IORING_OP_SETXATTR`: writes an attribute of the file at a path, following symbolic links.
 *
 * CQE `res`: 0 or a negated errno: -EOPNOTSUPP where the file system has none. Linux 5.19.
 *
 * @param flags - 0, `XATTR_CREATE` (-EEXIST when it exists), `XATTR_REPLACE` (-ENODATA when it does not).
 * @param length - Bytes of the value.
 * @see io_uring_prep_setxattr(3), setxattr(2)
 */
export function prepSetxattr(
  sqe: Sqe,
  name: Address,
  value: Address,
  path: Address,
  flags: number,
  length: number,
): Sqe {
  checkAttribute(name, value, length, flags)
  checkAddress('path', path)
  store64(sqe.words, WORD_ADDR3, path)
  return storeAttribute(sqe, IORING_OP_SETXATTR, 0, name, value, length, flags)
}

/**
 * Prepares `IORING_OP_FGETXATTR`: reads an attribute of an open file.
 *
 * CQE `res`: as `prepGetxattr`. Linux 5.19.
 *
 * @param length - Bytes of room.
 * @see io_uring_prep_fgetxattr(3), fgetxattr(2)
 */
export function prepFgetxattr(sqe: Sqe, fd: Fd, name: Address, value: Address, length: number): Sqe {
  checkFd('fd', fd)
  checkAttribute(name, value, length, 0)
  return storeAttribute(sqe, IORING_OP_FGETXATTR, fd, name, value, length, 0)
}

/**
 * Prepares `IORING_OP_FSETXATTR`: writes an attribute of an open file.
 *
 * CQE `res`: as `prepSetxattr`. Linux 5.19.
 *
 * @param flags - 0, `XATTR_CREATE` or `XATTR_REPLACE`.
 * @param length - Bytes of the value.
 * @see io_uring_prep_fsetxattr(3), fsetxattr(2)
 */
export function prepFsetxattr(
  sqe: Sqe,
  fd: Fd,
  name: Address,
  value: Address,
  flags: number,
  length: number,
): Sqe {
  checkFd('fd', fd)
  checkAttribute(name, value, length, flags)
  return storeAttribute(sqe, IORING_OP_FSETXATTR, fd, name, value, length, flags)
}

function checkAttribute(name: Address, value: Address, length: number, flags: number): void {
  checkAddress('name', name)
  checkAddress('value', value)
  checkUint32('length', length)
  checkFlags('flags', flags)
}

function storeAttribute(
  sqe: Sqe,
  opcode: number,
  fd: Fd,
  name: Address,
  value: Address,
  length: number,
  flags: number,
): Sqe {
  const words = sqe.words
  storeOperation(words, opcode, fd)
  store64(words, WORD_OFF, value)
  store64(words, WORD_ADDR, name)
  words[WORD_LEN] = length
  words[WORD_OP_FLAGS] = flags
  return sqe
}
