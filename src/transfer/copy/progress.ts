// Reports from time to time how far a copy has come.

import { checkInteger, invalidType } from '../../syscalls/argument-errors.js'

/** How far a copy has come. */
export interface CopyProgress {
  /** Bytes in the target; holes are not counted. */
  readonly bytes: number
  /** Bytes of all files found so far, holes included; in a tree it grows while directories are read. */
  readonly totalBytes: number
  /** Files, directories, symlinks and the like that are done. */
  readonly entries: number
  /** Those found so far. */
  readonly totalEntries: number
}

export interface ProgressOptions {
  /** Called from time to time, and at the end. What it throws ends the copy. */
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined
  /** Milliseconds between two calls, at least. Default 100. */
  readonly progressIntervalMs?: number | undefined
}

const INTERVAL_MS = 100

/** Keeps the counts, and reports them no more often than the interval allows. */
export class ProgressMeter {
  bytes = 0
  totalBytes = 0
  entries = 0
  totalEntries = 0
  readonly #report: ((progress: CopyProgress) => void) | undefined
  readonly #intervalMs: number
  #next = 0

  constructor({ onProgress, progressIntervalMs = INTERVAL_MS }: ProgressOptions) {
    if (onProgress !== undefined && typeof onProgress !== 'function') {
      throw invalidType('options.onProgress', 'a function', onProgress)
    }
    this.#report = onProgress
    this.#intervalMs = checkInteger('options.progressIntervalMs', progressIntervalMs, 0, 0x7fff_ffff)
  }

  readonly addBytes = (count: number): void => {
    this.bytes += count
    this.tick()
  }

  /** Something has changed: reports it if the interval has passed. */
  tick(): void {
    if (this.#report === undefined) return
    const now = performance.now()
    if (now < this.#next) return
    this.#next = now + this.#intervalMs
    this.end()
  }

  /** Reports at once, whatever the interval. */
  end(): void {
    const { bytes, totalBytes, entries, totalEntries } = this
    this.#report?.({ bytes, totalBytes, entries, totalEntries })
  }
}
