// Functions on files by name, such as rename, unlink and stat. Most are one operation of the ring; Node's own
// functions do what the ring cannot.

import type { BigIntStats, Stats } from 'node:fs'
import nodeFs from 'node:fs/promises'
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  prepLinkat,
  prepMkdirat,
  prepRenameat,
  prepStatx,
  prepSymlinkat,
  prepUnlinkat,
  type Sqe,
} from '../ring/index.js'
import type { PathLike, Uring } from '../runtime/index.js'
import { fileMode, modeForNode, pathText, plainPath, refuseOwnOptions } from './arguments.js'
import { tracedCall } from './call.js'
import { wrongType } from './node-errors.js'
import { open } from './open.js'
import { type Need, ringFor } from './ring-choice.js'
import { bigStatsOf, STATX_BYTES, STATX_MASK, statsOf } from './stats.js'

/** Options of `stat` and `lstat`. */
export interface StatOptions {
  readonly bigint?: boolean | undefined
}

/** Options of `mkdir`. */
export interface MkdirOptions {
  /** Make missing parents too, and succeed if the directory is there already. */
  readonly recursive?: boolean | undefined
  /** Permissions, before the umask. Default: 0o777. */
  readonly mode?: number | string | null | undefined
}

/** Options of `rm`. */
export interface RmOptions {
  /** Do not fail when there is nothing to remove. */
  readonly force?: boolean | undefined
  /** Remove a directory with all that is in it. */
  readonly recursive?: boolean | undefined
  readonly maxRetries?: number | undefined
  readonly retryDelay?: number | undefined
}

/** Options of `rmdir`. */
export interface RmdirOptions {
  /** @deprecated Use `rm`. Gone from newer Nodes. */
  readonly recursive?: boolean | undefined
  readonly maxRetries?: number | undefined
  readonly retryDelay?: number | undefined
}

function byteLimit(path: string | Buffer): number {
  return typeof path === 'string' ? path.length * 3 : path.length
}

/** Writes the path with its NUL. @returns Where the next one may begin. */
function store(bytes: Buffer, path: string | Buffer, at: number): number {
  const end = at + (typeof path === 'string' ? bytes.write(path, at, 'utf8') : path.copy(bytes, at))
  bytes[end] = 0
  return end + 1
}

/** An operation on one name. */
function onPath(
  uring: Uring,
  syscall: string,
  path: string | Buffer,
  prepare: (sqe: Sqe, address: number) => void,
): Promise<void> {
  const block = uring.driver.arena.alloc(byteLimit(path) + 1)
  store(block.bytes, path, 0)
  return tracedCall(uring, {
    syscall,
    prepare: (sqe) => prepare(sqe, block.address),
    finish: () => undefined,
    path: pathText(path),
    block,
  })
}

/** An operation on two names. */
function onPaths(
  uring: Uring,
  syscall: string,
  path: string | Buffer,
  dest: string | Buffer,
  prepare: (sqe: Sqe, address: number, destAddress: number) => void,
): Promise<void> {
  const block = uring.driver.arena.alloc(byteLimit(path) + byteLimit(dest) + 2)
  const second = store(block.bytes, path, 0)
  store(block.bytes, dest, second)
  return tracedCall(uring, {
    syscall,
    prepare: (sqe) => prepare(sqe, block.address, block.address + second),
    finish: () => undefined,
    path: pathText(path),
    dest: pathText(dest),
    block,
  })
}

/** Both paths and the ring for the call; null where Node's own function is to be asked. */
function pairFor(
  need: Need,
  first: unknown,
  second: unknown,
): { uring: Uring; path: string | Buffer; dest: string | Buffer } | null {
  const path = plainPath(first)
  const dest = plainPath(second)
  const uring = ringFor(need)
  return uring === null || path === null || dest === null ? null : { uring, path, dest }
}

/** Renames or moves within a file system. @see renameat2(2) */
export async function rename(oldPath: PathLike, newPath: PathLike): Promise<void> {
  const pair = pairFor('rename', oldPath, newPath)
  if (pair === null) return nodeFs.rename(oldPath, newPath)
  return onPaths(pair.uring, 'rename', pair.path, pair.dest, (sqe, from, to) => {
    prepRenameat(sqe, AT_FDCWD, from, AT_FDCWD, to, 0)
  })
}

/** Gives a file one more name. @see linkat(2) */
export async function link(existingPath: PathLike, newPath: PathLike): Promise<void> {
  const pair = pairFor('link', existingPath, newPath)
  if (pair === null) return nodeFs.link(existingPath, newPath)
  return onPaths(pair.uring, 'link', pair.path, pair.dest, (sqe, from, to) => {
    prepLinkat(sqe, AT_FDCWD, from, AT_FDCWD, to, 0)
  })
}

/**
 * Makes a symbolic link at `path` that points to `target`. `type` matters on Windows only. @see symlinkat(2)
 */
export async function symlink(
  target: PathLike,
  path: PathLike,
  type?: 'dir' | 'file' | 'junction' | string | null,
): Promise<void> {
  const knownType =
    type === undefined || type === null || type === 'dir' || type === 'file' || type === 'junction'
  const pair = knownType ? pairFor('symlink', target, path) : null
  if (pair === null) return nodeFs.symlink(target, path, type)
  return onPaths(pair.uring, 'symlink', pair.path, pair.dest, (sqe, text, at) => {
    prepSymlinkat(sqe, text, AT_FDCWD, at)
  })
}

/** Removes a name, and with its last name the file. @see unlinkat(2) */
export async function unlink(path: PathLike): Promise<void> {
  const plain = plainPath(path)
  const uring = ringFor('unlink')
  if (uring === null || plain === null) return nodeFs.unlink(path)
  return onPath(uring, 'unlink', plain, (sqe, address) => prepUnlinkat(sqe, AT_FDCWD, address, 0))
}

/** Removes an empty directory. @see unlinkat(2) */
export async function rmdir(path: PathLike, options?: RmdirOptions): Promise<void> {
  refuseOwnOptions(options)
  const plain = plainPath(path)
  const uring = ringFor('unlink')
  if (uring === null || plain === null || options !== undefined) return nodeFs.rmdir(path, options)
  return onPath(uring, 'rmdir', plain, (sqe, address) => prepUnlinkat(sqe, AT_FDCWD, address, AT_REMOVEDIR))
}

/** Removes a file, or with `recursive` a whole tree. */
export async function rm(path: PathLike, options?: RmOptions): Promise<void> {
  refuseOwnOptions(options)
  const plain = plainPath(path)
  const uring = ringFor('unlink')
  if (uring === null || plain === null || !isPlainRm(options)) return nodeFs.rm(path, options)
  try {
    await onPath(uring, 'unlink', plain, (sqe, address) => prepUnlinkat(sqe, AT_FDCWD, address, 0))
  } catch {
    // It is a directory, nothing at all, or something that may not be removed. Node's own function deals with
    // these, and has the right error.
    return nodeFs.rm(path, options)
  }
}

function isPlainRm(options: RmOptions | undefined): boolean {
  if (options === undefined) return true
  if (typeof options !== 'object' || options === null || Array.isArray(options)) return false
  // Node refuses a member that is there and undefined.
  if (Object.values(options).includes(undefined)) return false
  const { force = false, recursive = false, maxRetries = 0, retryDelay = 0 } = options
  if (typeof force !== 'boolean' || typeof recursive !== 'boolean') return false
  return isCount(maxRetries, 0xffff_ffff) && isCount(retryDelay, 0x7fff_ffff)
}

function isCount(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max
}

/**
 * Makes a directory.
 *
 * @returns With `recursive`, the first directory that was made, or undefined when all were there.
 * @see mkdirat(2)
 */
export function mkdir(
  path: PathLike,
  options?: (MkdirOptions & { readonly recursive?: false | undefined }) | number | string | null,
): Promise<undefined>
export function mkdir(
  path: PathLike,
  options?: MkdirOptions | number | string | null,
): Promise<string | undefined>
export async function mkdir(
  path: PathLike,
  options?: MkdirOptions | number | string | null,
): Promise<string | undefined> {
  refuseOwnOptions(options)
  const node = (): Promise<string | undefined> =>
    nodeFs.mkdir(path, optionsForNode(options) as { recursive: true })
  const plain = plainPath(path)
  const uring = ringFor('mkdir')
  if (uring === null || plain === null) return node()
  const given: MkdirOptions =
    typeof options === 'number' || typeof options === 'string' ? { mode: options } : (options ?? {})
  const { recursive = false, mode } = given
  const bits = fileMode(mode, 0o777)
  if (typeof recursive !== 'boolean' || bits === null || typeof given !== 'object') return node()
  const made = onPath(uring, 'mkdir', plain, (sqe, address) => prepMkdirat(sqe, AT_FDCWD, address, bits))
  if (!recursive) return made as Promise<undefined>
  try {
    await made
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === 'EEXIST' && (await isDirectory(plain))) return undefined
    // Parents are missing, or something is in the way. Node's own function makes the parents, or has the
    // right error.
    return node()
  }
  return pathText(plain)
}

function optionsForNode<T extends MkdirOptions | number | string | null | undefined>(options: T): unknown {
  if (typeof options !== 'object' || options === null) return modeForNode(options)
  const mode = modeForNode(options.mode)
  return Object.is(mode, options.mode) ? options : { ...options, mode }
}

async function isDirectory(path: string | Buffer): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch {
    return false
  }
}

/** Describes a file; of a symbolic link, what it leads to. @see statx(2) */
export function stat(
  path: PathLike,
  options?: StatOptions & { readonly bigint?: false | undefined },
): Promise<Stats>
export function stat(path: PathLike, options: StatOptions & { readonly bigint: true }): Promise<BigIntStats>
export function stat(path: PathLike, options?: StatOptions): Promise<Stats | BigIntStats>
export async function stat(path: PathLike, options?: StatOptions): Promise<Stats | BigIntStats> {
  return describe('stat', path, options, 0) ?? nodeFs.stat(path, options as { bigint: false })
}

/** Describes a file, or the symbolic link itself. @see statx(2) */
export function lstat(
  path: PathLike,
  options?: StatOptions & { readonly bigint?: false | undefined },
): Promise<Stats>
export function lstat(path: PathLike, options: StatOptions & { readonly bigint: true }): Promise<BigIntStats>
export function lstat(path: PathLike, options?: StatOptions): Promise<Stats | BigIntStats>
export async function lstat(path: PathLike, options?: StatOptions): Promise<Stats | BigIntStats> {
  return (
    describe('lstat', path, options, AT_SYMLINK_NOFOLLOW) ?? nodeFs.lstat(path, options as { bigint: false })
  )
}

/** The description, or null where Node's own function is to be asked. */
function describe(
  syscall: string,
  path: unknown,
  options: unknown,
  flags: number,
): Promise<Stats | BigIntStats> | null {
  refuseOwnOptions(options)
  // Node would read a property of null, and fail with an error without a code.
  if (options === null) throw wrongType('options', 'of type object', options)
  const plain = plainPath(path)
  const uring = ringFor('stat')
  if (uring === null || plain === null || !isPlainStat(options)) return null
  const block = uring.driver.arena.alloc(STATX_BYTES + byteLimit(plain) + 1)
  store(block.bytes, plain, STATX_BYTES)
  const { address } = block
  const big = options?.bigint === true
  return tracedCall<Stats | BigIntStats>(uring, {
    syscall,
    prepare: (sqe) => prepStatx(sqe, AT_FDCWD, address + STATX_BYTES, flags, STATX_MASK, address),
    finish: () => (big ? bigStatsOf(block.view) : statsOf(block.view)),
    path: pathText(plain),
    block,
  })
}

/**
 * Whether the ring can serve the options. Further ones of newer Nodes (`signal`, `throwIfNoEntry`) are left
 * to Node.
 */
function isPlainStat(options: unknown): options is StatOptions | undefined {
  if (options === undefined) return true
  if (typeof options !== 'object' || Array.isArray(options)) return false
  for (const key in options) if (key !== 'bigint') return false
  return true
}

/** Cuts a file, or lengthens it with zeros, to `length` bytes. @see ftruncate(2) */
export async function truncate(path: PathLike, length = 0): Promise<void> {
  const uring = ringFor('truncate')
  if (uring === null || plainPath(path) === null || !Number.isSafeInteger(length)) {
    return nodeFs.truncate(path, length)
  }
  const handle = await open(path, 'r+')
  try {
    await handle.truncate(length)
  } finally {
    await handle.close()
  }
}
