// Copies what a file has beside its data: owner, extended attributes, permissions, times. io_uring has no
// operations for these, except to get and to set extended attributes. The system calls are made
// synchronously, on files whose inodes are in memory.

import fs from 'node:fs'
import { systemError } from '../../ring/index.js'
import { checkBoolean, checkMembers, invalidType } from '../../syscalls/argument-errors.js'
import { EPERM } from '../../syscalls/errno-values.js'
import { chmod, lchown, lutimens, pathBytes } from '../../syscalls/file-attributes.js'
import { libcFailure } from '../../syscalls/libc.js'
import { bytesOf, textOf } from './latin1-paths.js'
import type { FileStat } from './stat.js'
import { copyXattrs } from './xattrs.js'

/** What a copy takes over from its source. */
export interface Preserve {
  /** Permission bits. Without it a new file has those of the source, less the umask. Default true. */
  readonly mode?: boolean | undefined
  /** Times of the last access and of the last change. Default false. */
  readonly times?: boolean | undefined
  /** Owner and group, as far as that is allowed. Default false. */
  readonly owner?: boolean | undefined
  /** Extended attributes, ACLs among them. Default false. */
  readonly xattrs?: boolean | undefined
  /** In a tree: hard links to one file become hard links to one copy. Default false. */
  readonly links?: boolean | undefined
}

export type Preserved = { readonly [Name in keyof Preserve]-?: boolean }

const DEFAULTS: Preserved = { mode: true, times: false, owner: false, xattrs: false, links: false }
const ALL: Preserved = { mode: true, times: true, owner: true, xattrs: true, links: true }
const NAMES = Object.keys(DEFAULTS) as (keyof Preserve)[]

const PERMISSION_BITS = 0o7777
/** Set-user-ID and set-group-ID: they mean something else once the file belongs to somebody else. */
const SET_ID_BITS = 0o6000
const TIMESPEC_BYTES = 16

/** @param given - True for everything. */
export function preservedBy(given: boolean | Preserve | undefined): Preserved {
  if (given === undefined || given === false) return DEFAULTS
  if (given === true) return ALL
  if (typeof given !== 'object' || given === null) {
    throw invalidType('options.preserve', 'of type boolean or object', given)
  }
  checkMembers('options.preserve', given, NAMES)
  const result: Record<string, boolean> = { ...DEFAULTS }
  for (const name of NAMES) {
    if (given[name] !== undefined) result[name] = checkBoolean(`options.preserve.${name}`, given[name])
  }
  return result as Preserved
}

/** The permission bits that the copy of a file or directory with this `stat` has in the end. */
export function modeOf(stat: FileStat, preserved: Preserved): number {
  const mode = stat.mode & PERMISSION_BITS
  if (!(mode & SET_ID_BITS)) return mode
  const keepsOwner = preserved.owner || (stat.uid === process.geteuid?.() && stat.gid === process.getegid?.())
  return keepsOwner ? mode : mode & ~SET_ID_BITS
}

export interface AttributeWork {
  /** Paths as latin1 text: one character for each byte. */
  readonly source: string
  readonly target: string
  /** The source's. */
  readonly stat: FileStat
  readonly preserved: Preserved
  /** The permissions to be set; null where the target has them already. */
  readonly mode: number | null
  readonly isSymlink?: boolean
  /** The source may be named by a symlink. */
  readonly followsSource?: boolean
}

/**
 * Sets on the target those attributes that are to be preserved.
 *
 * @throws SystemError `chown`, `setxattr`, `chmod`, `utime`, with the target's path.
 */
export function applyAttributes(work: AttributeWork): void {
  const { source, target, stat, preserved, mode, isSymlink = false, followsSource = false } = work
  const { owner, xattrs, times } = preserved
  if (!owner && !xattrs && !times && mode === null) return
  const path = pathBytes(target)
  if (libcFailure !== null) {
    applyByNode(work)
    return
  }
  const check = (result: number, syscall: string): void => {
    if (result < 0) throw systemError(result, syscall, { path: textOf(target) })
  }
  // The order matters: chown clears capabilities and set-id bits, and chmod changes the permissions in an
  // ACL.
  let bits = mode
  if (owner) {
    const result = lchown(path, stat.uid, stat.gid)
    // Only root can give files away. Anybody else gets a copy of their own, whose set-id bits would grant
    // their own rights.
    if (result !== EPERM) check(result, 'chown')
    else if (bits !== null) bits &= ~SET_ID_BITS
  }
  if (xattrs) copyXattrs(source, target, followsSource && !isSymlink)
  if (bits !== null && !isSymlink) check(chmod(path, bits), 'chmod')
  if (times) check(lutimens(path, timesOf(stat)), 'utime')
}

function timesOf(stat: FileStat): Uint8Array {
  const times = new DataView(new ArrayBuffer(2 * TIMESPEC_BYTES))
  times.setBigInt64(0, BigInt(stat.atimeSeconds), true)
  times.setBigInt64(8, BigInt(stat.atimeNanos), true)
  times.setBigInt64(16, BigInt(stat.mtimeSeconds), true)
  times.setBigInt64(24, BigInt(stat.mtimeNanos), true)
  return new Uint8Array(times.buffer)
}

/**
 * Without a C library to call, that is, not on Linux: as much as Node can, which leaves out extended
 * attributes.
 */
function applyByNode({ target, stat, preserved, mode, isSymlink }: AttributeWork): void {
  const path = bytesOf(target)
  let bits = mode
  if (preserved.owner) {
    try {
      fs.lchownSync(path, stat.uid, stat.gid)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error
      if (bits !== null) bits &= ~SET_ID_BITS
    }
  }
  if (bits !== null && !isSymlink) fs.chmodSync(path, bits)
  if (preserved.times) {
    fs.lutimesSync(path, stat.atimeSeconds + stat.atimeNanos / 1e9, stat.mtimeSeconds + stat.mtimeNanos / 1e9)
  }
}
