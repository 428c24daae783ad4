// Operations on files by name, as promises: open, close, describe, rename, link, remove, extended attributes.

import {
  type Fd,
  IORING_FILE_INDEX_ALLOC,
  prepClose,
  prepCloseDirect,
  prepFgetxattr,
  prepFixedFdInstall,
  prepFsetxattr,
  prepGetxattr,
  prepLinkat,
  prepMkdirat,
  prepOpenat,
  prepOpenat2,
  prepOpenat2Direct,
  prepOpenatDirect,
  prepRenameat,
  prepSetxattr,
  prepStatx,
  prepSymlinkat,
  prepUnlinkat,
  STATX_BASIC_STATS,
  STATX_BTIME,
} from '../../ring/index.js'
import { checkInteger, checkOptions, invalidType } from '../../syscalls/argument-errors.js'
import type { Block } from '../arena.js'
import { dirFd, type OperationOptions, type PathLike, pathText } from './base.js'
import { FileDataOperations } from './file-data.js'

const STATX_BYTES = 256
const AT_EMPTY_PATH = 0x1000
const O_RDONLY = 0

/** Where a relative path starts. */
export interface AtOptions extends OperationOptions {
  /** A descriptor of the directory that relative paths start from. Default: the working directory. */
  readonly dirFd?: Fd | undefined
}

export interface OpenOptions extends AtOptions {
  /** `O_*` bits. O_CLOEXEC is always added, unless `direct`. */
  readonly flags?: number | undefined
  /** Permissions of a file that is created, before the umask. Default 0o666. */
  readonly mode?: number | undefined
  /** `RESOLVE_*` bits of openat2(2): how far path resolution may go. Linux 5.6. */
  readonly resolve?: number | undefined
  /** Open into the registered files instead: `true` lets the kernel choose the slot. Linux 5.15 (choice: 5.19). */
  readonly direct?: boolean | number | undefined
}

/** Where the two relative paths of a rename or link start, and its flags. */
export interface MoveOptions extends OperationOptions {
  readonly fromDirFd?: Fd | undefined
  readonly toDirFd?: Fd | undefined
  readonly flags?: number | undefined
}

/** What statx(2) reports about a file. Times are nanoseconds since 1970. */
export interface Statx {
  readonly mask: number
  readonly blksize: number
  readonly attributes: bigint
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  readonly mode: number
  readonly ino: bigint
  readonly size: bigint
  readonly blocks: bigint
  readonly attributesMask: bigint
  readonly atimeNs: bigint
  readonly btimeNs: bigint
  readonly ctimeNs: bigint
  readonly mtimeNs: bigint
  readonly rdevMajor: number
  readonly rdevMinor: number
  readonly devMajor: number
  readonly devMinor: number
  readonly mntId: bigint
  readonly dioMemAlign: number
  readonly dioOffsetAlign: number
}

const NO_OPTIONS: OpenOptions = {}

/** Files by name. */
export abstract class PathOperations extends FileDataOperations {
  /**
   * Opens a file. Resolves to its descriptor, or to its index among the registered files with `direct`. Linux 5.6.
   *
   * @see io_uring_prep_openat(3), openat2(2)
   */
  open(path: PathLike, options: OpenOptions = NO_OPTIONS): Promise<Fd> {
    checkOptions(options)
    const { flags = O_RDONLY, mode = 0o666, resolve, direct } = options
    checkInteger('options.flags', flags, 0, 0x7fff_ffff)
    checkInteger('options.mode', mode, 0, 0o7777)
    const at = dirFd(options.dirFd)
    const details = this.#named(path)
    const name = details.block
    if (resolve !== undefined) return this.#openat2(at, name, flags, mode, resolve, options, details)
    if (direct === undefined || direct === false) {
      // CLOEXEC on a direct descriptor would be an error: it is not in the descriptor table at all.
      const all = flags | O_CLOEXEC
      return this.start('open', options, (sqe) => prepOpenat(sqe, at, name.address, all, mode), details)
    }
    const index = direct === true ? IORING_FILE_INDEX_ALLOC : direct
    return this.start(
      'open',
      options,
      (sqe) => prepOpenatDirect(sqe, at, name.address, flags, mode, index),
      details,
    )
  }

  /** Closes a descriptor. It does not cancel what is in flight on it: `cancelFd` first. Linux 5.6. @see close(2) */
  closeFd(fd: Fd, options: OperationOptions = NO_OPTIONS): Promise<number> {
    return this.start('close', options, (sqe) => prepClose(sqe, fd))
  }

  /** Frees a slot of the registered files. Linux 5.15. */
  closeDirect(index: number, options: OperationOptions = NO_OPTIONS): Promise<number> {
    return this.start('close', options, (sqe) => prepCloseDirect(sqe, index))
  }

  /** Puts a registered file into the descriptor table. Resolves to the descriptor. Linux 6.8. */
  installFixedFd(index: number, flags = 0, options: OperationOptions = NO_OPTIONS): Promise<Fd> {
    return this.start('fixed_fd_install', options, (sqe) => prepFixedFdInstall(sqe, index, flags))
  }

  /**
   * Describes a file by path, or by descriptor alone with an empty path. Linux 5.6.
   *
   * @see io_uring_prep_statx(3), statx(2)
   */
  statx(
    path: PathLike,
    options: AtOptions & {
      readonly flags?: number | undefined
      readonly mask?: number | undefined
    } = NO_OPTIONS,
  ): Promise<Statx> {
    return this.statxWith(path, options, readStatx)
  }

  /** @internal As `statx`, but `read` decodes the kernel's answer in place. */
  statxWith<T>(
    path: PathLike,
    options: AtOptions & { readonly flags?: number | undefined; readonly mask?: number | undefined },
    read: (area: DataView) => T,
    syscall = 'statx',
  ): Promise<T> {
    checkOptions(options)
    const given = checkInteger('options.flags', options.flags ?? 0, 0, 0xffff_ffff)
    const flags = path === '' ? (given | AT_EMPTY_PATH) >>> 0 : given
    const mask = options.mask ?? STATX_BASIC_STATS | STATX_BTIME
    const at = dirFd(options.dirFd)
    const { block: name, path: text } = this.#named(path)
    const area = this.driver.arena.allocBeside(name, STATX_BYTES)
    return this.start(
      syscall,
      options,
      (sqe) => prepStatx(sqe, at, name.address, flags, mask, area.address),
      {
        block: name,
        block2: area,
        path: path === '' ? undefined : text,
        finish: () => read(area.view),
      },
    )
  }

  /** Renames. `flags` are `RENAME_*`. Linux 5.11. @see renameat2(2) */
  rename(from: PathLike, to: PathLike, options: MoveOptions = NO_OPTIONS): Promise<number> {
    checkOptions(options)
    const [fromFd, toFd] = [dirFd(options.fromDirFd), dirFd(options.toDirFd)]
    const flags = options.flags ?? 0
    const details = this.#twoPaths(from, to)
    const { block: a, block2: b } = details
    return this.start(
      'rename',
      options,
      (sqe) => prepRenameat(sqe, fromFd, a.address, toFd, b.address, flags),
      details,
    )
  }

  /** Removes a name, or with `AT_REMOVEDIR` a directory. Linux 5.11. @see unlinkat(2) */
  unlink(
    path: PathLike,
    options: AtOptions & { readonly flags?: number | undefined } = NO_OPTIONS,
  ): Promise<number> {
    checkOptions(options)
    const at = dirFd(options.dirFd)
    const flags = options.flags ?? 0
    const call = flags === 0 ? 'unlink' : 'rmdir'
    const details = this.#named(path)
    const name = details.block
    return this.start(call, options, (sqe) => prepUnlinkat(sqe, at, name.address, flags), details)
  }

  /** Makes a directory. Linux 5.15. @see mkdirat(2) */
  mkdir(
    path: PathLike,
    options: AtOptions & { readonly mode?: number | undefined } = NO_OPTIONS,
  ): Promise<number> {
    checkOptions(options)
    const at = dirFd(options.dirFd)
    const mode = options.mode ?? 0o777
    const details = this.#named(path)
    const name = details.block
    return this.start('mkdir', options, (sqe) => prepMkdirat(sqe, at, name.address, mode), details)
  }

  /** Makes a symbolic link at `path` that points to `target`. Linux 5.15. @see symlinkat(2) */
  symlink(target: PathLike, path: PathLike, options: AtOptions = NO_OPTIONS): Promise<number> {
    checkOptions(options)
    const at = dirFd(options.dirFd)
    const details = this.#twoPaths(target, path)
    const { block: a, block2: b } = details
    return this.start('symlink', options, (sqe) => prepSymlinkat(sqe, a.address, at, b.address), details)
  }

  /** Makes a hard link: one more name for a file. Linux 5.15. @see linkat(2) */
  link(from: PathLike, to: PathLike, options: MoveOptions = NO_OPTIONS): Promise<number> {
    checkOptions(options)
    const [fromFd, toFd] = [dirFd(options.fromDirFd), dirFd(options.toDirFd)]
    const flags = options.flags ?? 0
    const details = this.#twoPaths(from, to)
    const { block: a, block2: b } = details
    return this.start(
      'link',
      options,
      (sqe) => prepLinkat(sqe, fromFd, a.address, toFd, b.address, flags),
      details,
    )
  }

  /** Reads an extended attribute, of at most 64 KiB. Linux 5.19. @see getxattr(2) */
  getxattr(target: PathLike | Fd, name: string, options: OperationOptions = NO_OPTIONS): Promise<Buffer> {
    const { block: key, path } = this.#keyBlock(name, target)
    const value = this.driver.arena.allocBeside(key, MAX_XATTR)
    const finish = (res: number): Buffer => Buffer.from(value.bytes.subarray(0, res))
    if (typeof target === 'number') {
      const details = { block: key, block2: value, finish }
      return this.start(
        'fgetxattr',
        options,
        (sqe) => prepFgetxattr(sqe, target, key.address, value.address, MAX_XATTR),
        details,
      )
    }
    const pathAddress = key.address + key.bytes.indexOf(0) + 1
    return this.start(
      'getxattr',
      options,
      (sqe) => prepGetxattr(sqe, key.address, value.address, pathAddress, MAX_XATTR),
      { block: key, block2: value, finish, path },
    )
  }

  /** Sets an extended attribute. `flags`: `XATTR_CREATE`, `XATTR_REPLACE`. Linux 5.19. @see setxattr(2) */
  setxattr(
    target: PathLike | Fd,
    name: string,
    value: string | Uint8Array,
    flags = 0,
    options: OperationOptions = NO_OPTIONS,
  ): Promise<number> {
    if (typeof value !== 'string' && !(value instanceof Uint8Array)) {
      throw invalidType('value', 'of type string or an instance of Uint8Array', value)
    }
    const data = Buffer.from(value as string)
    checkInteger('value.length', data.length, 0, MAX_XATTR)
    const { block: key, path } = this.#keyBlock(name, target)
    const area = this.driver.arena.allocBeside(key, Math.max(1, data.length))
    area.bytes.set(data)
    if (typeof target === 'number') {
      return this.start(
        'fsetxattr',
        options,
        (sqe) => prepFsetxattr(sqe, target, key.address, area.address, flags, data.length),
        { block: key, block2: area },
      )
    }
    const pathAddress = key.address + key.bytes.indexOf(0) + 1
    return this.start(
      'setxattr',
      options,
      (sqe) => prepSetxattr(sqe, key.address, area.address, pathAddress, flags, data.length),
      { block: key, block2: area, path },
    )
  }

  #openat2(
    at: Fd,
    name: Block,
    flags: number,
    mode: number,
    resolve: number,
    options: OpenOptions,
    details: { block: Block; path: string },
  ): Promise<Fd> {
    const direct = options.direct !== undefined && options.direct !== false
    try {
      checkInteger('options.resolve', resolve, 0, Number.MAX_SAFE_INTEGER)
    } catch (error) {
      this.free(name)
      throw error
    }
    const how = this.driver.arena.allocBeside(name, 24)
    how.view.setBigUint64(0, BigInt(direct ? flags : flags | O_CLOEXEC), true)
    // openat2 refuses a mode where nothing is created.
    how.view.setBigUint64(8, BigInt(flags & MAKES_FILE ? mode : 0), true)
    how.view.setBigUint64(16, BigInt(resolve), true)
    const all = { ...details, block2: how }
    if (!direct)
      return this.start('open', options, (sqe) => prepOpenat2(sqe, at, name.address, how.address), all)
    const index = options.direct === true ? IORING_FILE_INDEX_ALLOC : (options.direct as number)
    return this.start(
      'open',
      options,
      (sqe) => prepOpenat2Direct(sqe, at, name.address, how.address, index),
      all,
    )
  }

  /** A path for the kernel, and for error messages: a Buffer may be too long for a string. */
  #named(given: PathLike): { block: Block; path: string } {
    const block = this.pathBlock(given)
    try {
      return { block, path: pathText(given) }
    } catch (error) {
      this.free(block)
      throw error
    }
  }

  #twoPaths(first: PathLike, second: PathLike): { block: Block; path: string; block2: Block; dest: string } {
    const details = this.#named(first)
    try {
      const { block: block2, path: dest } = this.#named(second)
      return { ...details, block2, dest }
    } catch (error) {
      this.free(details.block)
      throw error
    }
  }

  /** The attribute's name and, in the same block, the file's path: the value takes the other of two blocks. */
  #keyBlock(name: string, target: PathLike | Fd): { block: Block; path: string | undefined } {
    if (typeof name !== 'string') throw invalidType('name', 'of type string', name)
    const key = this.pathBlock(name, 'name')
    if (typeof target === 'number') return { block: key, path: undefined }
    const { arena } = this.driver
    let named: { block: Block; path: string } | null = null
    try {
      named = this.#named(target)
      const { bytes } = named.block
      const nameLength = key.bytes.indexOf(0) + 1
      const pathLength = bytes.indexOf(0) + 1
      const both = arena.alloc(nameLength + pathLength)
      both.bytes.set(key.bytes.subarray(0, nameLength))
      both.bytes.set(bytes.subarray(0, pathLength), nameLength)
      return { block: both, path: named.path }
    } finally {
      arena.free(key)
      this.free(named?.block)
    }
  }
}

const O_CLOEXEC = 0o2000000
/** O_CREAT, and what O_TMPFILE has beside O_DIRECTORY. */
const MAKES_FILE = 0o100 | 0o20000000
const MAX_XATTR = 65536

const NS = 1_000_000_000n

function readStatx(area: DataView): Statx {
  const time = (at: number): bigint => area.getBigInt64(at, true) * NS + BigInt(area.getUint32(at + 8, true))
  return {
    mask: area.getUint32(0, true),
    blksize: area.getUint32(4, true),
    attributes: area.getBigUint64(8, true),
    nlink: area.getUint32(16, true),
    uid: area.getUint32(20, true),
    gid: area.getUint32(24, true),
    mode: area.getUint16(28, true),
    ino: area.getBigUint64(32, true),
    size: area.getBigUint64(40, true),
    blocks: area.getBigUint64(48, true),
    attributesMask: area.getBigUint64(56, true),
    atimeNs: time(64),
    btimeNs: time(80),
    ctimeNs: time(96),
    mtimeNs: time(112),
    rdevMajor: area.getUint32(128, true),
    rdevMinor: area.getUint32(132, true),
    devMajor: area.getUint32(136, true),
    devMinor: area.getUint32(140, true),
    mntId: area.getBigUint64(144, true),
    dioMemAlign: area.getUint32(152, true),
    dioOffsetAlign: area.getUint32(156, true),
  }
}
