// Memory for large files, in huge pages: filling half a million ordinary pages takes longer than copying the data into
// them does.

import { addressOf } from '../ring/index.js'
import { madvise } from '../syscalls/libc.js'

/** MADV_HUGEPAGE of madvise(2). */
const MADV_HUGEPAGE = 14
const HUGE_PAGE_BYTES = 2 ** 21
/**
 * From here on malloc(3) of glibc maps each block by itself, so that the advice ends with the block; it moves its limit
 * up to this number.
 */
const LEAST_BYTES = 2 ** 25

/**
 * A Buffer whose content is undefined. Where the kernel lets programs choose, a large one is made of huge pages: reading
 * 512 MiB from the page cache into it then takes a sixth of the time (bench suite `fs`).
 */
export function allocateLarge(bytes: number): Buffer {
  const buffer = Buffer.allocUnsafeSlow(bytes)
  if (bytes < LEAST_BYTES) return buffer
  const address = addressOf(buffer)
  const first = Math.ceil(address / HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES
  const end = Math.floor((address + bytes) / HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES
  // A refusal, such as of a kernel built without huge pages, changes nothing.
  madvise(first, end - first, MADV_HUGEPAGE)
  return buffer
}
