// A basis that is read through one window on the heap. A change of the file meanwhile is an error at worst,
// never a SIGBUS.

import { checkInteger, invalidState } from '../syscalls/argument-errors.js'
import type { BasisReport } from './basis.js'
import type { BasisFile } from './basis-file.js'
import { type DataPath, readFully, standardPath } from './data-path.js'

/** Bytes of the window. One read takes at most `WINDOW_BYTES - WINDOW_ALIGNMENT + 1`. */
export const WINDOW_BYTES = 262144
/** The start of the window is a multiple of this. */
export const WINDOW_ALIGNMENT = 1024

/** A basis read through a buffer. Made by `openBasis`. */
export class BufferedBasis {
  readonly kind = 'buffered'
  readonly report: BasisReport
  /** @internal */
  readonly file: BasisFile
  #data: DataPath = standardPath
  #window: Buffer<ArrayBuffer> | null = null
  #start = 0
  #length = 0
  #busy = false

  /** @internal */
  constructor(file: BasisFile, report: BasisReport) {
    this.file = file
    this.report = report
  }

  get path(): string {
    return this.file.path
  }

  /** Bytes when the file was opened. */
  get size(): number {
    return this.file.size
  }

  get closed(): boolean {
    return this.file.closed
  }

  /** The part of the file that is in the window now: `[start, end)`. */
  get window(): readonly [start: number, end: number] {
    return [this.#start, this.#start + this.#length]
  }

  /**
   * Resolves to a view of `length` bytes at `offset`, at most 261121 (a window, less what aligning it may cost). It is
   * valid until the next read.
   *
   * Rejects with TransferError `ERR_BASIS_RANGE` for a range past the end, `ERR_BASIS_CHANGED` when the file shrank.
   *
   * @throws RangeError `ERR_OUT_OF_RANGE`; Error `ERR_INVALID_STATE` while another read is under way, or when closed.
   */
  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    checkInteger('offset', offset, 0, Number.MAX_SAFE_INTEGER)
    checkInteger('length', length, 0, WINDOW_BYTES - WINDOW_ALIGNMENT + 1)
    this.file.checkRange(offset, length)
    if (!this.#holds(offset, length)) await this.#move(offset, length)
    const at = offset - this.#start
    return this.#memory().subarray(at, at + length)
  }

  /** @internal How the file is read from now on. */
  readBy(data: DataPath): void {
    this.#data = data
  }

  /** @internal Copies out of the window. @returns False when the range is not there, and must be read. */
  copyNow(target: Uint8Array, offset: number): boolean {
    if (!this.#holds(offset, target.byteLength)) return false
    const at = offset - this.#start
    target.set(this.#memory().subarray(at, at + target.byteLength))
    return true
  }

  /**
   * @internal Reads without the window, for ranges that would replace all of it. Several may be in flight.
   */
  async readInto(target: Uint8Array<ArrayBuffer>, offset: number): Promise<void> {
    this.file.checkRange(offset, target.byteLength)
    const count = await readFully(this.#data, this.file.fd, target, offset)
    if (count < target.byteLength) throw this.file.shrunk(offset + count)
  }

  /** Throws TransferError `ERR_BASIS_CHANGED` when the file has shrunk or was written to since it was opened. */
  verify(): Promise<void> {
    return this.file.checkUnchanged()
  }

  close(): Promise<void> {
    this.#length = 0
    return this.file.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #memory(): Buffer<ArrayBuffer> {
    this.#window ??= Buffer.allocUnsafeSlow(WINDOW_BYTES)
    return this.#window
  }

  #holds(offset: number, length: number): boolean {
    return offset >= this.#start && offset + length <= this.#start + this.#length
  }

  /** Moves the window so that it begins at the range, aligned. Data that is in the window already is kept. */
  async #move(offset: number, length: number): Promise<void> {
    if (this.#busy) throw invalidState('Another read of the basis is under way')
    if (this.closed) throw invalidState('The basis is closed')
    const memory = this.#memory()
    const start = offset - (offset % WINDOW_ALIGNMENT)
    const oldEnd = this.#start + this.#length
    let kept = 0
    if (start >= this.#start && start < oldEnd) {
      memory.copyWithin(0, start - this.#start, this.#length)
      kept = oldEnd - start
    }
    // The window counts as empty until the read has ended.
    this.#length = 0
    this.#busy = true
    try {
      const end = Math.min(start + WINDOW_BYTES, this.size)
      const count = await readFully(
        this.#data,
        this.file.fd,
        memory.subarray(kept, end - start),
        start + kept,
      )
      if (start + kept + count < offset + length) throw this.file.shrunk(start + kept + count)
      this.#start = start
      this.#length = kept + count
    } finally {
      this.#busy = false
    }
  }
}
