// The copy of one file's data: what every method of copying is given, and how far the copy has come.

import type { Fd } from '../../ring/index.js'
import { AbortError } from '../../runtime/index.js'
import { CopyError } from './errors.js'
import { DataCursor, type Extent } from './extents.js'

/**
 * How data is copied: blocks shared with the source (FICLONE); by the kernel, on a thread of libuv's pool
 * (copy_file_range); through memory, by operations of a ring; through memory, by node:fs.
 */
export type CopyMethod = 'reflink' | 'copy-file-range' | 'ring' | 'node'

/** Every method, in the order in which they are tried. */
export const COPY_METHODS: readonly CopyMethod[] = ['reflink', 'copy-file-range', 'ring', 'node']

/** The unit of O_DIRECT transfers: a multiple of every logical block size in use. */
export const DIRECT_UNIT_BYTES = 4096

const PAGE_BYTES = 4096

export interface CopyJobOptions {
  /** Leave out holes. */
  readonly sparse: boolean
  readonly signal?: AbortSignal | undefined
  /** Told of every piece that has reached the target. */
  readonly onBytes?: ((count: number) => void) | undefined
}

/** The data of one file. */
export class CopyJob {
  readonly source: Fd
  readonly target: Fd
  /** For errors. */
  readonly sourcePath: string
  readonly targetPath: string
  /** Bytes of the source when it was opened; 0 where it does not say. What it grows by is left out. */
  readonly size: number
  readonly cursor: DataCursor
  readonly signal: AbortSignal | undefined
  /** Bytes that have reached the target. */
  copiedBytes = 0
  readonly #onBytes: ((count: number) => void) | undefined

  /** @param allocated - Bytes that the source takes on its disk: fewer than its size where it has holes. */
  constructor(
    source: { readonly fd: Fd; readonly path: string; readonly size: number; readonly allocated: number },
    target: { readonly fd: Fd; readonly path: string },
    options: CopyJobOptions,
  ) {
    this.source = source.fd
    this.target = target.fd
    this.sourcePath = source.path
    this.targetPath = target.path
    // Files of /sys report a size of one page, but have no blocks allocated.
    const isPretence = source.allocated === 0 && source.size <= PAGE_BYTES
    this.size = isPretence ? 0 : source.size
    this.signal = options.signal
    this.#onBytes = options.onBytes
    const holes = options.sparse && source.allocated < source.size
    this.cursor = new DataCursor(source.fd, this.size, { holes, unit: DIRECT_UNIT_BYTES })
  }

  /**
   * Whether the file must be read to find its end: files of /proc and the like report a size of 0, and an
   * empty file may have grown since.
   */
  get isUnsized(): boolean {
    return this.size === 0
  }

  /** A piece has reached the target. */
  moved(extent: Extent): void {
    this.copiedBytes += extent.length
    this.#onBytes?.(extent.length)
  }

  throwIfAborted(): void {
    if (this.signal?.aborted) throw new AbortError(this.signal.reason)
  }

  /** The error for a source that ends before its size. */
  cutShort(at: number): CopyError {
    return new CopyError(
      'ERR_COPY_SOURCE_CHANGED',
      `The source ended at byte ${at} of ${this.size} while it was copied`,
      this.sourcePath,
    )
  }
}
