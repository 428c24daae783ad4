// How the bytes of a transfer move: through a ring, or by node:fs where there is none or none is wanted.

import fs from 'node:fs'
import type { Address, Fd } from '../ring/index.js'
import { addressOf, MADV_POPULATE_READ, PAGE_BYTES, systemError } from '../ring/index.js'
import type { Uring } from '../runtime/index.js'
import { EFAULT } from '../syscalls/errno-values.js'
import { kernelCopy } from '../syscalls/kernel-copy.js'
import { madviseOffThread, pwriteOffThread } from '../syscalls/libc.js'

/** Reads and writes at positions. A short count is not an error. */
export interface DataPath {
  readonly backend: 'io_uring' | 'node:fs'
  /**
   * Resolves to the bytes read, 0 at the end of the file. A `position` of -1 is the descriptor's own. `signal` ends the
   * wait for a pipe, where that can be done.
   */
  read(fd: Fd, target: Uint8Array<ArrayBuffer>, position: number, signal?: AbortSignal): Promise<number>
  write(fd: Fd, data: Uint8Array<ArrayBuffer>, position: number): Promise<number>
  fsync(fd: Fd): Promise<unknown>
}

/** Through a ring. */
export function ringPath(uring: Uring): DataPath {
  return {
    backend: 'io_uring',
    read: (fd, target, position, signal) =>
      uring.read(fd, target, signal === undefined ? { offset: position } : { offset: position, signal }),
    write: (fd, data, position) => uring.write(fd, data, { offset: position }),
    fsync: (fd) => uring.fsync(fd),
  }
}

/** By node:fs, on the threads of libuv's pool. */
export const standardPath: DataPath = {
  backend: 'node:fs',
  read(fd, target, position) {
    return new Promise((resolve, reject) => {
      fs.read(fd, target, 0, target.byteLength, position < 0 ? null : position, (error, count) => {
        if (error) reject(error)
        else resolve(count)
      })
    })
  },
  write(fd, data, position) {
    return new Promise((resolve, reject) => {
      fs.write(fd, data, 0, data.byteLength, position, (error, count) => {
        if (error) reject(error)
        else resolve(count)
      })
    })
  },
  fsync(fd) {
    return new Promise<void>((resolve, reject) => {
      fs.fsync(fd, (error) => {
        if (error) reject(error)
        else resolve()
      })
    })
  },
}

/** Writes all of `data`. */
export async function writeAll(
  path: DataPath,
  fd: Fd,
  data: Uint8Array<ArrayBuffer>,
  position: number,
): Promise<void> {
  for (let done = 0; done < data.byteLength; ) {
    const count = await path.write(fd, done === 0 ? data : data.subarray(done), position + done)
    // No file should answer 0. Without this check the loop would never end.
    if (count === 0) throw systemError(-5, 'write', { hint: 'the kernel wrote nothing' })
    done += count
  }
}

/** Reads until `target` is full or the file ends. Resolves to the bytes read. */
export async function readFully(
  path: DataPath,
  fd: Fd,
  target: Uint8Array<ArrayBuffer>,
  position: number,
): Promise<number> {
  let done = 0
  while (done < target.byteLength) {
    const count = await path.read(fd, done === 0 ? target : target.subarray(done), position + done)
    if (count === 0) break
    done += count
  }
  return done
}

/** What is copied at once to find out why a write from an address has failed. */
const PROBE_BYTES = 65536

/**
 * Writes from a mapping of a file, which JavaScript must not load from. The pages are fetched on a thread of
 * libuv's pool.
 *
 * @returns The bytes written, which may be fewer.
 * @throws SystemError `write`: EFAULT when the memory has gone, because the file was cut short.
 */
export async function writeFromMapping(
  fd: Fd,
  address: Address,
  length: number,
  position: number,
): Promise<number> {
  // All pages first (Linux 5.14). A write that meets a page which is not mapped stops there, and ext4 then fills the
  // rest of a new large folio with zeros, again and again: four times the processor time (bench suite `transfer`).
  const start = address - (address % PAGE_BYTES)
  await madviseOffThread(start, address + length - start, MADV_POPULATE_READ)
  const count = await pwriteOffThread(fd, address, length, position)
  if (count > 0) return count
  // The errno is not known here: it stayed on that thread. A copy that the kernel makes, and a write of that,
  // show why.
  const bytes = Buffer.allocUnsafeSlow(Math.min(length, PROBE_BYTES))
  const copied = kernelCopy(address, addressOf(bytes), bytes.byteLength)
  if (copied <= 0) throw systemError(EFAULT, 'write')
  return standardPath.write(fd, bytes.subarray(0, copied), position)
}
