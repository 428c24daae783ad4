// Verifies a copy: reads the source and the copy again, the copy from its disk where possible, and compares
// their hashes.

import { createHash, getHashes } from 'node:crypto'
import { invalidValue } from '../../syscalls/argument-errors.js'
import { type DataPath, ringPath, standardPath } from '../data-path.js'
import { CopyError } from './errors.js'
import type { CopySession } from './session.js'

const PIECE_BYTES = 1 << 18
const POSIX_FADV_DONTNEED = 4
const DEFAULT_ALGORITHM = 'sha256'

/** @param given - `options.verify`. @returns The algorithm; null when nothing is to be verified. */
export function verification(given: boolean | string | undefined): string | null {
  if (given === undefined || given === false) return null
  if (given === true) return DEFAULT_ALGORITHM
  if (typeof given === 'string' && getHashes().includes(given)) return given
  throw invalidValue('options.verify', given, 'must be a boolean or a hash that node:crypto has')
}

/**
 * Reads both files and compares their hashes.
 *
 * @returns The hash, in hexadecimal.
 * @throws CopyError `ERR_COPY_MISMATCH`; SystemError `read`, `fsync`; AbortError.
 */
export async function verifyCopy(
  files: { readonly source: number; readonly target: number; readonly path: string },
  algorithm: string,
  session: CopySession,
  throwIfAborted: () => void,
): Promise<string> {
  const { ring } = session
  const path = ring === null ? standardPath : ringPath(ring)
  await path.fsync(files.target)
  // The copy is on the disk now. Dropping it from the page cache has it read from there.
  if (ring !== null) await ring.fadvise(files.target, 0, 0, POSIX_FADV_DONTNEED).catch(() => {})
  // Both come to their end before anything is thrown: the descriptors are closed then.
  const outcomes = await Promise.allSettled([
    hashFile(path, files.source, algorithm, throwIfAborted),
    hashFile(path, files.target, algorithm, throwIfAborted),
  ])
  const [expected, actual] = outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason
    return outcome.value
  }) as [string, string]
  if (expected === actual) return actual
  const text = `The copy differs from its source: ${algorithm} ${actual}, expected ${expected}`
  throw new CopyError('ERR_COPY_MISMATCH', text, files.path)
}

async function hashFile(
  path: DataPath,
  fd: number,
  algorithm: string,
  throwIfAborted: () => void,
): Promise<string> {
  const hash = createHash(algorithm)
  // One piece is hashed while the next is read.
  let current = new Uint8Array(new ArrayBuffer(PIECE_BYTES))
  let other = new Uint8Array(new ArrayBuffer(PIECE_BYTES))
  let offset = 0
  let reading = path.read(fd, current, offset)
  for (;;) {
    const count = await reading
    if (count === 0) return hash.digest('hex')
    throwIfAborted()
    offset += count
    reading = path.read(fd, other, offset)
    // If hashing throws, nobody awaits this read: its rejection must not go unhandled.
    reading.catch(() => {})
    hash.update(current.subarray(0, count))
    const swapped = current
    current = other
    other = swapped
  }
}
