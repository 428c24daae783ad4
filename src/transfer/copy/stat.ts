// The attributes of a file that a copy needs. Where possible, an open descriptor is asked: it always stands
// for the same file, and its inode is in memory, so that the answer does not wait for a disk.

import fs from 'node:fs'
import { AT_EMPTY_PATH, addressOf, type Fd, STATX_BASIC_STATS, systemError } from '../../ring/index.js'
import { statx } from '../../syscalls/file-attributes.js'
import { libcFailure } from '../../syscalls/libc.js'

const { S_IFMT, S_IFREG, S_IFDIR, S_IFLNK } = fs.constants
const STATX_BYTES = 256
const BLOCK_BYTES = 512
const HIGH = 2 ** 32

/** A file's attributes. Times are whole seconds since 1970 and nanoseconds within them. */
export interface FileStat {
  /** Type and permission bits. */
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  /** Bytes that the file takes on its disk: fewer than `size` where it has holes. */
  readonly allocated: number
  /** Of the file system. */
  readonly deviceMajor: number
  readonly deviceMinor: number
  /** The inode number in two halves: its 64 bits need not fit into a JavaScript number. */
  readonly inodeHigh: number
  readonly inodeLow: number
  /** What a device file stands for, as mknod(2) takes it. */
  readonly rdev: number
  readonly atimeSeconds: number
  readonly atimeNanos: number
  readonly mtimeSeconds: number
  readonly mtimeNanos: number
}

export function isRegular({ mode }: FileStat): boolean {
  return (mode & S_IFMT) === S_IFREG
}

export function isDirectory({ mode }: FileStat): boolean {
  return (mode & S_IFMT) === S_IFDIR
}

export function isSymlink({ mode }: FileStat): boolean {
  return (mode & S_IFMT) === S_IFLNK
}

/** Identifies the file system: the same for all its files. */
export function deviceOf({ deviceMajor, deviceMinor }: FileStat): string {
  return `${deviceMajor}:${deviceMinor}`
}

/** Identifies the file: the same for all its names. */
export function identityOf(stat: FileStat): string {
  return `${deviceOf(stat)}:${stat.inodeHigh}:${stat.inodeLow}`
}

/** The buffer that calls on this thread fill in turn: each result is read before the next call. */
const area = new DataView(new ArrayBuffer(STATX_BYTES))
const emptyPath = new Uint8Array(new ArrayBuffer(8))

/** @throws SystemError `fstat`. */
export function statFd(fd: Fd): FileStat {
  if (libcFailure !== null) return fromStats(fs.fstatSync(fd, { bigint: true }))
  const result = statx(fd, addressOf(emptyPath), AT_EMPTY_PATH, STATX_BASIC_STATS, addressOf(area))
  if (result < 0) throw systemError(result, 'fstat')
  return {
    mode: area.getUint16(28, true),
    nlink: area.getUint32(16, true),
    uid: area.getUint32(20, true),
    gid: area.getUint32(24, true),
    size: area.getUint32(40, true) + area.getUint32(44, true) * HIGH,
    allocated: (area.getUint32(48, true) + area.getUint32(52, true) * HIGH) * BLOCK_BYTES,
    deviceMajor: area.getUint32(136, true),
    deviceMinor: area.getUint32(140, true),
    inodeHigh: area.getUint32(36, true),
    inodeLow: area.getUint32(32, true),
    rdev: packDevice(area.getUint32(128, true), area.getUint32(132, true)),
    atimeSeconds: area.getUint32(64, true) + area.getInt32(68, true) * HIGH,
    atimeNanos: area.getUint32(72, true),
    mtimeSeconds: area.getUint32(112, true) + area.getInt32(116, true) * HIGH,
    mtimeNanos: area.getUint32(120, true),
  }
}

/** As `statFd`, for a path, on a thread of libuv's pool. @param follow - Whether a symlink is followed. */
export async function statPath(path: string | Buffer, follow: boolean): Promise<FileStat> {
  const stats = follow
    ? await fs.promises.stat(path, { bigint: true })
    : await fs.promises.lstat(path, { bigint: true })
  return fromStats(stats)
}

/** As `statPath`; null where there is nothing. */
export async function statIfPresent(path: string | Buffer, follow: boolean): Promise<FileStat | null> {
  try {
    return await statPath(path, follow)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return null
    throw error
  }
}

function fromStats(stats: fs.BigIntStats): FileStat {
  const [deviceMajor, deviceMinor] = splitDevice(stats.dev)
  const nanos = 1_000_000_000n
  // Rounded down, so that the nanoseconds are never negative.
  const seconds = (ns: bigint): bigint => (ns - (((ns % nanos) + nanos) % nanos)) / nanos
  const atime = seconds(stats.atimeNs)
  const mtime = seconds(stats.mtimeNs)
  return {
    mode: Number(stats.mode),
    nlink: Number(stats.nlink),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    size: Number(stats.size),
    allocated: Number(stats.blocks) * BLOCK_BYTES,
    deviceMajor,
    deviceMinor,
    inodeHigh: Number(stats.ino >> 32n),
    inodeLow: Number(stats.ino & 0xffff_ffffn),
    rdev: packDevice(...splitDevice(stats.rdev)),
    atimeSeconds: Number(atime),
    atimeNanos: Number(stats.atimeNs - atime * nanos),
    mtimeSeconds: Number(mtime),
    mtimeNanos: Number(stats.mtimeNs - mtime * nanos),
  }
}

/** Of glibc's 64-bit `dev_t`, in which major and minor are interleaved. */
function splitDevice(device: bigint): [major: number, minor: number] {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xffff_f000n)
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffff_ff00n)
  return [Number(major), Number(minor)]
}

/** As the kernel's mknodat(2) takes it: 20 bits of minor around 12 of major. */
function packDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0
}
