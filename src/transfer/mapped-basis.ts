// A basis that is mapped into memory. JavaScript never loads from it: if the file is cut short, a load raises
// SIGBUS, which ends the process. Its addresses go to the kernel alone, which answers with a short count or
// EFAULT.

import { MAX_PINNED_WINDOW_BYTES, type PinOutcome, pinWindow } from '../config/index.js'
import { type Address, addressOf, MappedRegion } from '../ring/index.js'
import { invalidState } from '../syscalls/argument-errors.js'
import { kernelCopy } from '../syscalls/kernel-copy.js'
import type { BasisReport } from './basis.js'
import type { BasisFile } from './basis-file.js'

const PROT_READ = 1
const MAP_SHARED = 1
const MADV_DONTNEED = 4
/** After this many bytes the pages are unmapped from this process again; they stay in the page cache. */
const RELEASE_BYTES = 16 << 20

/** A basis whose memory the kernel reads. Made by `openBasis`. */
export class MappedBasis {
  readonly kind = 'mapped'
  readonly report: BasisReport
  /** @internal */
  readonly file: BasisFile
  readonly #region: MappedRegion
  #used = 0

  /** @internal @throws SystemError `mmap`. */
  constructor(file: BasisFile, report: BasisReport) {
    this.file = file
    this.report = report
    this.#region = MappedRegion.ofFile(file.fd, file.size, 0, { prot: PROT_READ, flags: MAP_SHARED })
  }

  get path(): string {
    return this.file.path
  }

  /** Bytes when the file was opened. */
  get size(): number {
    return this.file.size
  }

  get closed(): boolean {
    return !this.#region.mapped
  }

  /**
   * The address of `length` bytes at `offset`, for an operation of the kernel. Do not make a view of that
   * memory.
   *
   * @throws TransferError `ERR_BASIS_RANGE` for a range past the end; Error `ERR_INVALID_STATE` when closed.
   */
  addressAt(offset: number, length: number): Address {
    this.file.checkRange(offset, length)
    if (this.closed) throw invalidState('The basis is closed')
    this.#used += length
    if (this.#used >= RELEASE_BYTES) {
      this.#used = 0
      // What an operation still needs is mapped in again, without a read from the disk.
      try {
        this.#region.advise(MADV_DONTNEED)
      } catch {
        // It was a hint: a part of it is pinned at the moment.
      }
    }
    return this.#region.address + offset
  }

  /**
   * A copy of `length` bytes at `offset`, made by the kernel.
   *
   * Rejects with TransferError `ERR_BASIS_RANGE` for a range past the end, `ERR_BASIS_CHANGED` when the file shrank.
   */
  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    this.file.checkRange(offset, length)
    const bytes = Buffer.allocUnsafeSlow(length)
    this.copyNow(bytes, offset)
    return bytes
  }

  /** @internal Does nothing: a mapping needs no data path. */
  readBy(): void {}

  /** @internal The kernel copies at once. */
  copyNow(target: Uint8Array<ArrayBuffer>, offset: number): true {
    const { byteLength } = target
    if (byteLength === 0) return true
    const count = kernelCopy(this.addressAt(offset, byteLength), addressOf(target), byteLength)
    if (count < byteLength) throw this.file.shrunk(offset + Math.max(0, count))
    return true
  }

  /** @internal */
  async readInto(target: Uint8Array<ArrayBuffer>, offset: number): Promise<void> {
    this.copyNow(target, offset)
  }

  /**
   * Pins the pages of a range, at most 4 MiB, until the operation on it is over: see `pinWindow`. A ring with SQPOLL
   * cannot then be held up by them.
   */
  pin(offset: number, length: number): PinOutcome {
    this.file.checkRange(offset, length)
    return pinWindow(this.#region, offset, Math.min(length, MAX_PINNED_WINDOW_BYTES))
  }

  /**
   * Throws TransferError `ERR_BASIS_CHANGED` when the file has shrunk or was written to since it was opened.
   * If the file was cut within a page, the rest of that page reads as zeros without any error: only this
   * check shows it.
   */
  verify(): Promise<void> {
    return this.file.checkUnchanged()
  }

  /** Unmaps. No operation on its memory may be in flight. */
  close(): Promise<void> {
    this.#region.unmap()
    return this.file.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
