// Calls on files that are made directly and not through a ring: attributes, extended attributes, holes,
// special files, clones. Paths are bytes that end in a zero, because file names need not be valid text.

import { type Call, declare, errno, ioctl, offThread } from './libc.js'
import type { Address, Fd } from './numbers.js'

const AT_FDCWD = -100
const AT_SYMLINK_NOFOLLOW = 0x100
/** `_IOW(0x94, 9, int)`. */
const FICLONE = 0x4004_9409

type BytesCall = (...args: (number | Uint8Array)[]) => number

// By number, because older C libraries lack the functions: musl has statx since 1.2.5, glibc mknodat since 2.33.
const IS_ARM = process.arch === 'arm64'
const SYS_STATX = IS_ARM ? 291 : 332
const SYS_MKNODAT = IS_ARM ? 33 : 259

const statxCall = declare('syscall', 'int', ['int', 'int', 'uintptr_t', 'int', 'uint', 'uintptr_t'])
const chmodCall = declare('chmod', 'int', ['uint8_t *', 'uint']) as BytesCall
const fchownatCall = declare('fchownat', 'int', ['int', 'uint8_t *', 'uint', 'uint', 'int']) as BytesCall
const utimensatCall = declare('utimensat', 'int', ['int', 'uint8_t *', 'uint8_t *', 'int']) as BytesCall
const mknodatCall = declare('syscall', 'int', ['int', 'int', 'uint8_t *', 'uint', 'uint']) as BytesCall
const LIST = ['uint8_t *', 'uint8_t *', 'size_t']
const GET = ['uint8_t *', 'uint8_t *', 'uint8_t *', 'size_t']
const listxattrCall = declare('listxattr', 'int64_t', LIST) as BytesCall
const llistxattrCall = declare('llistxattr', 'int64_t', LIST) as BytesCall
const getxattrCall = declare('getxattr', 'int64_t', GET) as BytesCall
const lgetxattrCall = declare('lgetxattr', 'int64_t', GET) as BytesCall
const setxattrCall = declare('lsetxattr', 'int', [
  'uint8_t *',
  'uint8_t *',
  'uint8_t *',
  'size_t',
  'int',
]) as BytesCall
const copyFileRangeCall = declare('copy_file_range', 'int64_t', [
  'int',
  'uintptr_t',
  'int',
  'uintptr_t',
  'size_t',
  'uint',
])

function outcome(result: number): number {
  return result < 0 ? -errno() : result
}

/** The bytes of a path given as latin1 (one character per byte), with the zero at the end. */
export function pathBytes(latin1: string): Buffer {
  return Buffer.from(`${latin1}\0`, 'latin1')
}

/** Both `path` and `result` are addresses. @see statx(2) */
export function statx(dirFd: Fd, path: Address, flags: number, mask: number, result: Address): number {
  return outcome(statxCall(SYS_STATX, dirFd, path, flags, mask, result))
}

/** Follows symlinks: Linux has no permissions of a link. @see chmod(2) */
export function chmod(path: Uint8Array, mode: number): number {
  return outcome(chmodCall(path, mode))
}

/** Changes a symlink itself, where `path` is one. @see fchownat(2) */
export function lchown(path: Uint8Array, uid: number, gid: number): number {
  return outcome(fchownatCall(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW))
}

/**
 * Changes a symlink itself, where `path` is one.
 *
 * @param times - Two `struct timespec`: access, modification.
 * @see utimensat(2)
 */
export function lutimens(path: Uint8Array, times: Uint8Array): number {
  return outcome(utimensatCall(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW))
}

/** @param mode - Type and permission bits. @param device - As the kernel packs it into 32 bits. @see mknod(2) */
export function mknod(path: Uint8Array, mode: number, device: number): number {
  return outcome(mknodatCall(SYS_MKNODAT, AT_FDCWD, path, mode, device))
}

/**
 * Reads the attribute names, each ending in a zero.
 *
 * @param follows - Follow a symlink, instead of reading the names of the symlink itself.
 * @returns The length of all names in bytes (also with an empty `list`), or a negated errno.
 * @see listxattr(2), llistxattr(2)
 */
export function listXattrs(path: Uint8Array, list: Uint8Array, follows: boolean): number {
  return outcome((follows ? listxattrCall : llistxattrCall)(path, list, list.byteLength))
}

/**
 * @param follows - Follow a symlink, instead of reading the attribute of the symlink itself.
 * @returns The length of the value in bytes (also with an empty `value`), or a negated errno.
 * @see getxattr(2), lgetxattr(2)
 */
export function readXattr(path: Uint8Array, name: Uint8Array, value: Uint8Array, follows: boolean): number {
  return outcome((follows ? getxattrCall : lgetxattrCall)(path, name, value, value.byteLength))
}

/** @see lsetxattr(2) */
export function lsetxattr(path: Uint8Array, name: Uint8Array, value: Uint8Array): number {
  return outcome(setxattrCall(path, name, value, value.byteLength, 0))
}

/**
 * Each offset is passed as the address of a 64-bit word, which the kernel advances.
 *
 * @see copy_file_range(2)
 */
export function copyFileRange(
  fdIn: Fd,
  offsetInAt: Address,
  fdOut: Fd,
  offsetOutAt: Address,
  length: number,
): number {
  return outcome(copyFileRangeCall(fdIn, offsetInAt, fdOut, offsetOutAt, length, 0))
}

const ioctlOffThread = offThread(declare('ioctl', 'int', ['int', 'ulong', 'int']) as Call)

/**
 * Makes `target` share the blocks of `source`. It runs on a thread of libuv's pool, because the kernel writes
 * back dirty data first.
 *
 * @returns 0, or -1: the errno stays on that thread.
 * @see ioctl_ficlone(2)
 */
export function cloneOffThread(target: Fd, source: Fd): Promise<number> {
  return ioctlOffThread(target, FICLONE, source)
}

/**
 * As `cloneOffThread`, on this thread, with the errno. For use after that failed: a failure does not wait.
 */
export function clone(target: Fd, source: Fd): number {
  return ioctl(target, FICLONE, source as number)
}
