// The answer of statx(2) as the `fs.Stats` and `BigIntStats` that Node makes: same class, same members, same values.

import fs, { type BigIntStats, type Stats } from 'node:fs'
import { STATX_BASIC_STATS, STATX_BTIME } from '../ring/index.js'

/** Bytes of a struct statx. */
export const STATX_BYTES = 256
/** What libuv asks for. */
export const STATX_MASK = STATX_BASIC_STATS | STATX_BTIME

// Offsets in struct statx.
const BLKSIZE = 4
const NLINK = 16
const UID = 20
const GID = 24
const MODE = 28
const INO = 32
const SIZE = 40
const BLOCKS = 48
const ATIME = 64
const BTIME = 80
const CTIME = 96
const MTIME = 112
const RDEV = 128
const DEV = 136

/** In the order of Stats. */
const TIMES: readonly number[] = [ATIME, MTIME, CTIME, BTIME]

const S_IFMT = 0o170000
const S_IFREG = 0o100000

// `fs.Stats` may not be called as a constructor without a deprecation warning in newer Nodes, and BigIntStats is not
// exported, so both prototypes are taken from results.
const sample = sampleOf(false)
const statsPrototype = Object.getPrototypeOf(sample) as object
const bigStatsPrototype = Object.getPrototypeOf(sampleOf(true)) as object
/**
 * Symbols of the members in which Node 26 keeps the sub-second nanoseconds of the four times, in that order;
 * accessors of the prototype read them.
 */
const partialNanoseconds = Object.getOwnPropertySymbols(sample)
/** From Node 22 on the four dates are made by accessors of the prototype when they are first read. */
const datesAreLazy = 'atime' in statsPrototype

function sampleOf(bigint: boolean): object {
  try {
    return fs.statSync('/', { bigint })
  } catch {
    // Node's permission model denies it. Under that model no Stats are made here.
    return {}
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

// A constructor function and not a class: its prototype can be replaced, so that every result has the shape and the
// class of Node's own.
function StatsRecord(this: Writable<Stats>, area: DataView): void {
  this.dev = device(area, DEV)
  this.mode = area.getUint16(MODE, true)
  this.nlink = area.getUint32(NLINK, true)
  this.uid = area.getUint32(UID, true)
  this.gid = area.getUint32(GID, true)
  this.rdev = device(area, RDEV)
  this.blksize = area.getUint32(BLKSIZE, true)
  this.ino = uint64(area, INO)
  this.size = uint64(area, SIZE)
  this.blocks = uint64(area, BLOCKS)
  this.atimeMs = milliseconds(area, ATIME)
  this.mtimeMs = milliseconds(area, MTIME)
  this.ctimeMs = milliseconds(area, CTIME)
  this.birthtimeMs = milliseconds(area, BTIME)
  if (partialNanoseconds.length === TIMES.length) {
    TIMES.forEach((at, index) => {
      ;(this as unknown as Record<symbol, number>)[partialNanoseconds[index]!] = area.getUint32(at + 8, true)
    })
  }
  if (datesAreLazy) return
  this.atime = dateOf(this.atimeMs)
  this.mtime = dateOf(this.mtimeMs)
  this.ctime = dateOf(this.ctimeMs)
  this.birthtime = dateOf(this.birthtimeMs)
}
StatsRecord.prototype = statsPrototype

function BigStatsRecord(this: Writable<BigIntStats>, area: DataView): void {
  this.dev = BigInt(device(area, DEV))
  this.mode = BigInt(area.getUint16(MODE, true))
  this.nlink = BigInt(area.getUint32(NLINK, true))
  this.uid = BigInt(area.getUint32(UID, true))
  this.gid = BigInt(area.getUint32(GID, true))
  this.rdev = BigInt(device(area, RDEV))
  this.blksize = BigInt(area.getUint32(BLKSIZE, true))
  this.ino = area.getBigUint64(INO, true)
  this.size = area.getBigUint64(SIZE, true)
  this.blocks = area.getBigUint64(BLOCKS, true)
  const atimeNs = nanoseconds(area, ATIME)
  const mtimeNs = nanoseconds(area, MTIME)
  const ctimeNs = nanoseconds(area, CTIME)
  const birthtimeNs = nanoseconds(area, BTIME)
  this.atimeMs = atimeNs / 1_000_000n
  this.mtimeMs = mtimeNs / 1_000_000n
  this.ctimeMs = ctimeNs / 1_000_000n
  this.birthtimeMs = birthtimeNs / 1_000_000n
  this.atimeNs = atimeNs
  this.mtimeNs = mtimeNs
  this.ctimeNs = ctimeNs
  this.birthtimeNs = birthtimeNs
  if (datesAreLazy) return
  this.atime = dateOf(Number(this.atimeMs))
  this.mtime = dateOf(Number(this.mtimeMs))
  this.ctime = dateOf(Number(this.ctimeMs))
  this.birthtime = dateOf(Number(this.birthtimeMs))
}
BigStatsRecord.prototype = bigStatsPrototype

/** The Stats of a struct statx. */
export function statsOf(area: DataView): Stats {
  return new (StatsRecord as unknown as new (area: DataView) => Stats)(area)
}

/** The BigIntStats of a struct statx. */
export function bigStatsOf(area: DataView): BigIntStats {
  return new (BigStatsRecord as unknown as new (area: DataView) => BigIntStats)(area)
}

/** Bytes of a regular file; -1 for anything else, whose reported size cannot be relied on. */
export function regularSize(area: DataView): number {
  return (area.getUint16(MODE, true) & S_IFMT) === S_IFREG ? uint64(area, SIZE) : -1
}

function uint64(area: DataView, at: number): number {
  return area.getUint32(at, true) + area.getUint32(at + 4, true) * 0x1_0000_0000
}

/** The dev_t that the C library makes of the major and minor number. */
function device(area: DataView, at: number): number {
  const major = area.getUint32(at, true)
  const minor = area.getUint32(at + 4, true)
  if (major < 0x1000 && minor < 0x100) return major * 0x100 + minor
  const low = ((major & 0xfff) << 8) | (minor & 0xff)
  return low + (minor >>> 8) * 0x10_0000 + (major >>> 12) * 0x1000_0000_0000
}

/** Seconds can be negative: before 1970. */
function seconds(area: DataView, at: number): number {
  return area.getUint32(at, true) + area.getInt32(at + 4, true) * 0x1_0000_0000
}

function milliseconds(area: DataView, at: number): number {
  return seconds(area, at) * 1000 + area.getUint32(at + 8, true) / 1e6
}

function nanoseconds(area: DataView, at: number): bigint {
  return area.getBigInt64(at, true) * 1_000_000_000n + BigInt(area.getUint32(at + 8, true))
}

function dateOf(ms: number): Date {
  return new Date(Math.round(ms))
}
