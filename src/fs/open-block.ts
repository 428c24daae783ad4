// The driver memory that the SQE of an open points to: one block with the struct open_how of openat2(2),
// followed by the path.

import { constants } from 'node:fs'
import type { Block } from '../runtime/arena.js'
import type { Uring } from '../runtime/index.js'

/** Bytes of a struct open_how; the path begins there. */
export const OPEN_HOW_BYTES = 24

export const O_CLOEXEC = 0o2000000
const O_ACCMODE = 3
const { O_CREAT, O_NONBLOCK, O_TRUNC, O_WRONLY } = constants
/** O_CREAT, and what O_TMPFILE has beside O_DIRECTORY. */
const MAKES_FILE = O_CREAT | 0o20000000

/** @returns The block, which the caller must free. */
export function openBlock(
  uring: Uring,
  path: string | Buffer,
  flags: number,
  mode: number,
  resolveBits: number,
): Block {
  const pathBytes = typeof path === 'string' ? path.length * 3 : path.length
  const block = uring.driver.arena.alloc(OPEN_HOW_BYTES + pathBytes + 1)
  const { bytes } = block
  const end =
    typeof path === 'string' ? bytes.write(path, OPEN_HOW_BYTES, 'utf8') : path.copy(bytes, OPEN_HOW_BYTES)
  bytes[OPEN_HOW_BYTES + end] = 0
  if (resolveBits !== 0) {
    block.view.setBigUint64(0, BigInt((flags | O_CLOEXEC) >>> 0), true)
    // openat2 refuses a mode where nothing is made, and bits that are no permissions.
    block.view.setBigUint64(8, BigInt(flags & MAKES_FILE ? mode & 0o7777 : 0), true)
    block.view.setBigUint64(16, BigInt(resolveBits), true)
  }
  return block
}

/**
 * Whether ENXIO may only mean that the kernel did not wait. It first tries the open inline, as if O_NONBLOCK
 * had been given, and returns the ENXIO that this yields for a FIFO without a reader (seen on 6.18). Opens
 * that create or truncate a file are never tried inline.
 */
export function opensWithoutWaiting(flags: number): boolean {
  return (flags & (O_CREAT | O_TRUNC | O_NONBLOCK)) === 0 && (flags & O_ACCMODE) === O_WRONLY
}
