// Finds the data of a file between its holes, and hands out in pieces what is left to copy.

import type { Fd } from '../../ring/index.js'
import { ENXIO } from '../../syscalls/errno-values.js'
import { lseek } from '../../syscalls/libc.js'

const SEEK_DATA = 3
const SEEK_HOLE = 4

/** A range of a file, in bytes. */
export interface Extent {
  readonly offset: number
  readonly length: number
}

/**
 * The data of a file of `size` bytes that is still to be copied. It moves the descriptor's current position where holes
 * are looked for.
 */
export class DataCursor {
  readonly size: number
  readonly #fd: Fd
  /** Pieces begin and end at multiples of this, the end of the file excepted. */
  readonly #unit: number
  #findsHoles: boolean
  #returned: Extent[] = []
  /** The end of what has been handed out. */
  #at = 0
  /** The end of the data that was found last. */
  #dataEnd = 0
  #dataBytes = 0

  constructor(fd: Fd, size: number, options: { readonly holes: boolean; readonly unit?: number }) {
    this.#fd = fd
    this.size = size
    this.#unit = options.unit ?? 1
    this.#findsHoles = options.holes
  }

  /** Whether holes are looked for. */
  get findsHoles(): boolean {
    return this.#findsHoles
  }

  /** Bytes found to be data so far; at the end, all the data of the file. */
  get dataBytes(): number {
    return this.#dataBytes
  }

  /** The next piece, of at most `most` bytes; null when there is none left. */
  take(most: number): Extent | null {
    const again = this.#returned.pop()
    if (again !== undefined) {
      if (again.length <= most) return again
      this.#returned.push({ offset: again.offset + most, length: again.length - most })
      return { offset: again.offset, length: most }
    }
    if (this.#at >= this.#dataEnd && !this.#findData()) return null
    const offset = this.#at
    const length = Math.min(most, this.#dataEnd - offset)
    this.#at += length
    return { offset, length }
  }

  /** Takes back a piece, or what is left of one, that was not copied: another method goes on with it. */
  giveBack(extent: Extent): void {
    if (extent.length > 0) this.#returned.push(extent)
  }

  /** @returns False when there is no more data. */
  #findData(): boolean {
    if (this.#at >= this.size) return false
    let start = this.#at
    let end = this.size
    if (this.#findsHoles) {
      const data = lseek(this.#fd, start, SEEK_DATA)
      if (data === ENXIO || data >= this.size) {
        this.#at = this.size
        return false
      }
      const hole = data < 0 ? data : lseek(this.#fd, data, SEEK_HOLE)
      // A file system that knows no holes, or a file that is being cut: all that is left counts as data.
      if (hole < 0) this.#findsHoles = false
      else {
        start = Math.max(start, data - (data % this.#unit))
        end = Math.min(this.size, Math.ceil(hole / this.#unit) * this.#unit)
      }
    }
    this.#at = start
    this.#dataEnd = end
    this.#dataBytes += end - start
    return true
  }
}
