// Memory for large files, backed by huge pages: faulting in half a million ordinary pages takes longer than
// copying the data into them.

import { addressOf } from '../ring/index.js'
import { madvise } from '../syscalls/libc.js'

/** MADV_HUGEPAGE of madvise(2). */
const MADV_HUGEPAGE = 14
const HUGE_PAGE_BYTES = 2 ** 21
/**
 * From this size on, glibc's malloc(3) maps each block by itself, so that the advice ends with the block. Its
 * threshold is dynamic, and never rises above this size.
 */
const LEAST_BYTES = 2 ** 25

/**
 * A Buffer whose content is undefined. Where the kernel lets programs choose, a large one is made of huge
 * pages: reading 512 MiB from the page cache into it then takes a sixth of the time (bench suite `fs`).
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
