// open() on the ring.

import fs from 'node:fs'
import nodeFs from 'node:fs/promises'
import { AT_FDCWD, IOSQE_ASYNC, prepOpenat, prepOpenat2, systemError } from '../ring/index.js'
import type { PathLike, Uring } from '../runtime/index.js'
import { ENOSYS, ENXIO } from '../syscalls/errno-values.js'
import {
  fileMode,
  modeForNode,
  openFlags,
  pathText,
  plainPath,
  type ResolveName,
  requireNoOwnOptions,
  resolveBits,
} from './arguments.js'
import { tracedCall } from './call.js'
import { FileHandle } from './file-handle.js'
import { wrongType } from './node-errors.js'
import { O_CLOEXEC, OPEN_HOW_BYTES, openBlock, opensWithoutWaiting } from './open-block.js'
import { ringFor } from './ring-choice.js'

/** What `open` takes beyond the arguments of Node's. */
export interface OpenExtras {
  /**
   * How far the resolution of the path may go: `RESOLVE_*` bits, a name or several. With `'beneath'` nothing outside of
   * the working directory can be reached. Linux 5.6; without io_uring an open that asks for it is refused with ENOSYS.
   *
   * @see openat2(2)
   */
  readonly resolve?: number | ResolveName | readonly ResolveName[] | undefined
}

/**
 * Opens a file.
 *
 * @param flags - A string such as `'r+'`, or `O_*` bits. Default: `'r'`.
 * @param mode - Permissions of a file that is made, before the umask. Default: 0o666.
 * @see openat(2)
 */
export async function open(
  path: PathLike,
  flags?: string | number | null,
  mode?: number | string | null,
  extras?: OpenExtras,
): Promise<FileHandle> {
  // A limit was passed directly instead of as `{ resolve }`.
  if (extras !== undefined && extras !== null && (typeof extras !== 'object' || Array.isArray(extras))) {
    throw wrongType('extras', 'of type object', extras)
  }
  const resolve = resolveBits(extras?.resolve)
  const plain = plainPath(path)
  const bits = openFlags(flags)
  const permissions = fileMode(mode, 0o666)
  const known = plain !== null && bits !== null && permissions !== null
  const uring = ringFor(resolve === 0 ? 'open' : 'openResolving')
  if (known && uring !== null) {
    return new FileHandle(await openOnRing(uring, plain, bits, permissions, resolve), bits)
  }
  // A limit on where a path may lead must not be dropped in silence.
  if (resolve !== 0) {
    if (known) throw systemError(ENOSYS, 'openat2', { path: pathText(plain) })
    requireNoOwnOptions(extras)
  }
  // `fs.open` would take a function for its callback; this call rejects it.
  if (typeof mode === 'function') await nodeFs.open(path, flags as string, mode)
  // Node aborts the process for flags of -0; `bits` are 0 then.
  const flagsForNode = typeof flags === 'number' ? (bits ?? flags) : (flags ?? undefined)
  const fd = await new Promise<number>((settle, fail) => {
    fs.open(path, flagsForNode as string, modeForNode(mode), (error, opened) => {
      if (error) fail(error)
      else settle(opened)
    })
  })
  return new FileHandle(fd, bits ?? 0)
}

/** @returns The descriptor. */
export async function openOnRing(
  uring: Uring,
  path: string | Buffer,
  flags: number,
  mode: number,
  resolve: number,
): Promise<number> {
  const attempt = (async: boolean): Promise<number> => {
    const block = openBlock(uring, path, flags, mode, resolve)
    const { address } = block
    return tracedCall(uring, {
      syscall: 'open',
      opens: true,
      prepare: (sqe) => {
        if (resolve !== 0) prepOpenat2(sqe, AT_FDCWD, address + OPEN_HOW_BYTES, address)
        else prepOpenat(sqe, AT_FDCWD, address + OPEN_HOW_BYTES, flags | O_CLOEXEC, mode)
        if (async) sqe.addFlags(IOSQE_ASYNC)
      },
      finish: (fd) => fd,
      path: pathText(path),
      block,
    })
  }
  try {
    return await attempt(false)
  } catch (error) {
    // Only a FIFO without a reader, or a device without a driver, is opened twice.
    if (!opensWithoutWaiting(flags) || (error as { errno?: number }).errno !== ENXIO) throw error
    return attempt(true)
  }
}
