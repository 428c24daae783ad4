// How many kernel threads serve file operations that wait: opens that make or truncate a file, syncs, statx.

import { type Ring, registerIowqMaxWorkers } from '../ring/index.js'
import { checkInteger } from '../syscalls/argument-errors.js'
import { log } from './diagnostics.js'

/** What `Uring.open` takes about the kernel's own threads. */
export interface FileWorkerOptions {
  /**
   * How many threads of the kernel may work on files at once, at least; 0 leaves the limit alone. All rings
   * of a thread share one limit, which at first is no more than four for each processor. A limit that is
   * higher already is kept. Default 32. Linux 5.15; without effect before.
   */
  readonly fileWorkers?: number | undefined
}

/**
 * Most of these threads wait for the disk, so their number need not depend on that of the processors: 64
 * concurrent durable appends took 70 us each with 2 threads, 30 us with 32 (measured on ext4 with 2
 * processors).
 */
const DEFAULT_WORKERS = 32
const MAX_WORKERS = 65_535

/** @throws TypeError, RangeError for a bad number. @returns The number in force. */
export function checkFileWorkers(fileWorkers: number | undefined): number {
  return checkInteger('options.fileWorkers', fileWorkers ?? DEFAULT_WORKERS, 0, MAX_WORKERS)
}

/** Raises the limit of the ring's thread to `least`. Where that is refused, the limit stays as it is. */
export function raiseFileWorkers(ring: Ring, least: number): void {
  if (least === 0) return
  try {
    const { bounded } = registerIowqMaxWorkers(ring)
    if (bounded < least) registerIowqMaxWorkers(ring, { bounded: least })
  } catch (error) {
    // Before Linux 5.15, or where registrations are restricted.
    log(`ring ${ring.fd} keeps its bound on worker threads: ${(error as Error).message}`)
  }
}
