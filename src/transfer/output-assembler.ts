// Puts an output together from literal bytes and ranges of a basis, in order, with several writes in flight.
// The position of a piece is known when it is begun, so pieces may be written in any order.

import type { Hash } from 'node:crypto'
import type { Fd } from '../ring/index.js'
import { AbortError } from '../runtime/index.js'
import type { Basis } from './basis.js'
import { type DataPath, writeAll } from './data-path.js'
import type { MappedBasis } from './mapped-basis.js'
import { OutputTurns } from './output-turns.js'
import { RangeSharing } from './range-sharing.js'
import { writeSparse } from './sparse-write.js'
import { TransferError } from './transfer-errors.js'

/**
 * Bytes of one piece. Not more: a file system with large folios (ext4 from 6.16 on) uses them for larger
 * writes, and then takes three to nine times as long for a file in fresh memory (measured: 1 GiB in 0.3 s by
 * 64 KiB, 0.9 to 2.7 s by 256 KiB).
 */
const PIECE_BYTES = 65536
/** Ranges of this length are read straight into their piece, past the window of the basis. */
const DIRECT_READ_BYTES = 65536
/** Ranges of this length are copied inside the kernel, or written from the mapping. */
const WHOLE_RANGE_BYTES = 262144
/** Bytes of one write from a mapping. */
const MAPPED_WRITE_BYTES = 1 << 20

/** Writes a part of a mapped basis. Resolves to how much, which may be less. */
export type MappedWrite = (
  basis: MappedBasis,
  offset: number,
  fd: Fd,
  position: number,
  length: number,
) => Promise<number>

/** @internal */
export interface AssemblerOptions {
  readonly data: DataPath
  readonly fd: Fd
  readonly basis: Basis | null
  /** Is given every byte in order. */
  readonly hash: Hash | null
  /** Zeros are not written. */
  readonly sparse: boolean
  /** Large ranges may be copied inside the kernel. */
  readonly share: boolean
  /** How ranges of a mapped basis are written. */
  readonly mappedWrite: MappedWrite
  /** Pieces in flight. */
  readonly depth: number
  readonly maxBytes: number
  readonly signal: AbortSignal | undefined
  readonly onProgress: ((bytesWritten: number) => void) | undefined
}

/** A piece of the output while it is filled. */
interface Piece {
  readonly bytes: Buffer<ArrayBuffer>
  readonly position: number
  used: number
  /** Parts of it that are being read. */
  readonly reads: Promise<void>[]
}

const nothing = (): void => {}

/** @internal */
export class OutputAssembler {
  readonly #options: AssemblerOptions
  readonly #sharing: RangeSharing | null
  readonly #turns: OutputTurns
  readonly #free: Buffer<ArrayBuffer>[] = []
  #piece: Piece | null = null
  #position = 0
  #busy = 0
  #written = 0
  #failure: { readonly error: unknown } | null = null
  #wake: () => void = nothing
  /** Resolves when the piece before has been hashed. */
  #hashed: Promise<void> = Promise.resolve()

  constructor(options: AssemblerOptions) {
    const { share, hash, sparse, basis, fd, data } = options
    this.#options = options
    this.#turns = new OutputTurns(data.backend === 'io_uring' ? Number.POSITIVE_INFINITY : 1)
    const isWhole = hash === null && !sparse && basis !== null
    this.#sharing = isWhole && share && basis.kind === 'buffered' ? new RangeSharing(basis.file.fd, fd) : null
  }

  /** Bytes of the output so far, written or not. */
  get position(): number {
    return this.#position
  }

  /** Bytes that the kernel has copied from the basis by itself. */
  get sharedBytes(): number {
    return this.#sharing?.bytes ?? 0
  }

  /** Appends bytes, which are copied. @returns A promise when there is something to wait for. */
  literal(bytes: Uint8Array): Promise<void> | undefined {
    const piece = this.#piece
    if (piece === null || piece.used + bytes.byteLength >= PIECE_BYTES) return this.#literalInParts(bytes)
    this.#checkSize(bytes.byteLength)
    piece.bytes.set(bytes, piece.used)
    piece.used += bytes.byteLength
    this.#position += bytes.byteLength
    return undefined
  }

  /** Appends a range of the basis, which must lie in it. @returns A promise when there is something to wait for. */
  range(offset: number, length: number): Promise<void> | undefined {
    const piece = this.#piece
    if (piece === null || length >= DIRECT_READ_BYTES || piece.used + length >= PIECE_BYTES) {
      return this.#rangeInParts(offset, length)
    }
    if (!this.#options.basis!.copyNow(piece.bytes.subarray(piece.used, piece.used + length), offset)) {
      return this.#rangeInParts(offset, length)
    }
    this.#checkSize(length)
    piece.used += length
    this.#position += length
    return undefined
  }

  /** Waits until everything is written. */
  async finish(): Promise<void> {
    this.#dispatch()
    while (this.#busy > 0) await this.#oneLess()
    this.#check()
  }

  /** Waits until nothing is in flight any more, whatever became of it. */
  async abandon(): Promise<void> {
    this.#failure ??= { error: null }
    if (this.#piece !== null) await Promise.allSettled(this.#piece.reads)
    this.#piece = null
    while (this.#busy > 0) await this.#oneLess()
  }

  async #literalInParts(bytes: Uint8Array): Promise<void> {
    this.#checkSize(bytes.byteLength)
    for (let done = 0; done < bytes.byteLength; ) {
      const piece = this.#piece ?? (await this.#open())
      const count = Math.min(bytes.byteLength - done, PIECE_BYTES - piece.used)
      piece.bytes.set(bytes.subarray(done, done + count), piece.used)
      this.#fill(piece, count)
      done += count
    }
  }

  async #rangeInParts(offset: number, length: number): Promise<void> {
    this.#checkSize(length)
    const { basis, hash, sparse } = this.#options
    if (length >= WHOLE_RANGE_BYTES && this.#sharing?.isPossible) return this.#shareRange(offset, length)
    if (length >= WHOLE_RANGE_BYTES && basis!.kind === 'mapped' && hash === null && !sparse) {
      return this.#writeMapped(basis as MappedBasis, offset, length)
    }
    for (let done = 0; done < length; ) {
      const piece = this.#piece ?? (await this.#open())
      const room = PIECE_BYTES - piece.used
      const count = Math.min(length - done, room)
      await this.#readPart(piece, offset + done, count)
      this.#fill(piece, count)
      done += count
    }
  }

  /** Reads the next bytes of the piece. Waits only for the window: large reads are awaited with the piece. */
  async #readPart(piece: Piece, offset: number, length: number): Promise<void> {
    const basis = this.#options.basis!
    const target = piece.bytes.subarray(piece.used, piece.used + length)
    if (basis.copyNow(target, offset)) return
    if (length < DIRECT_READ_BYTES) {
      target.set(await basis.read(offset, length))
      return
    }
    const reading = basis.readInto(target, offset)
    // Awaited when the piece is complete; until then a rejection must not go unhandled.
    reading.catch(nothing)
    piece.reads.push(reading)
  }

  async #shareRange(offset: number, length: number): Promise<void> {
    this.#dispatch()
    const sharing = this.#sharing!
    for (let done = 0; done < length; ) {
      await this.#room()
      const count = Math.min(length - done, sharing.maxBytes)
      const [from, to] = [offset + done, this.#position]
      this.#start(
        this.#turns
          .run('alone', () => sharing.copy(from, to, count))
          .then(async (copied) => {
            this.#report(copied)
            // The kernel refused, or stopped early: the ordinary way shows why, or does the rest.
            if (copied < count) await this.#copyRange(from + copied, to + copied, count - copied)
          }),
      )
      this.#position += count
      done += count
    }
  }

  async #copyRange(offset: number, position: number, length: number): Promise<void> {
    const { basis, data, fd } = this.#options
    const bytes = Buffer.allocUnsafeSlow(Math.min(length, PIECE_BYTES))
    for (let done = 0; done < length; ) {
      const part = bytes.subarray(0, Math.min(length - done, PIECE_BYTES))
      await basis!.readInto(part, offset + done)
      await this.#turns.run('shared', () => writeAll(data, fd, part, position + done))
      this.#report(part.byteLength)
      done += part.byteLength
      this.#check()
    }
  }

  async #writeMapped(basis: MappedBasis, offset: number, length: number): Promise<void> {
    this.#dispatch()
    for (let done = 0; done < length; ) {
      await this.#room()
      const count = Math.min(length - done, MAPPED_WRITE_BYTES)
      this.#start(this.#writeMappedPart(basis, offset + done, this.#position, count))
      this.#position += count
      done += count
    }
  }

  async #writeMappedPart(
    basis: MappedBasis,
    offset: number,
    position: number,
    length: number,
  ): Promise<void> {
    const { mappedWrite, fd } = this.#options
    for (let done = 0; done < length; ) {
      const left = length - done
      try {
        const [from, to] = [offset + done, position + done]
        done += await this.#turns.run('alone', () => mappedWrite(basis, from, fd, to, left))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EFAULT') throw basis.file.shrunk(offset + done)
        throw error
      }
    }
    this.#report(length)
  }

  /** The next piece, as soon as a buffer is free. */
  async #open(): Promise<Piece> {
    await this.#room()
    const bytes = this.#free.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES)
    this.#piece = { bytes, position: this.#position, used: 0, reads: [] }
    return this.#piece
  }

  #fill(piece: Piece, count: number): void {
    piece.used += count
    this.#position += count
    if (piece.used === PIECE_BYTES) this.#dispatch()
  }

  /** Starts the work on the piece, which ends with its write. */
  #dispatch(): void {
    const piece = this.#piece
    if (piece === null) return
    this.#piece = null
    this.#start(this.#complete(piece))
  }

  async #complete(piece: Piece): Promise<void> {
    const { hash, data, fd, sparse } = this.#options
    const { bytes, position, used, reads } = piece
    const content = used === PIECE_BYTES ? bytes : bytes.subarray(0, used)
    const before = this.#hashed
    let isHashed = nothing
    if (hash !== null) {
      this.#hashed = new Promise((resolve) => {
        isHashed = resolve
      })
    }
    try {
      if (reads.length > 0) await Promise.all(reads)
      if (hash !== null) {
        await before
        this.#check()
        hash.update(content)
      }
    } catch (error) {
      await Promise.allSettled(reads)
      throw error
    } finally {
      isHashed()
    }
    const write = sparse ? writeSparse : writeAll
    await this.#turns.run('shared', () => write(data, fd, content, position))
    this.#free.push(bytes)
    this.#report(used)
  }

  #start(work: Promise<void>): void {
    this.#busy++
    const done = (): void => {
      this.#busy--
      this.#wake()
    }
    work.then(done, (error: unknown) => {
      this.#failure ??= { error }
      done()
    })
  }

  #report(count: number): void {
    this.#written += count
    this.#options.onProgress?.(this.#written)
  }

  async #room(): Promise<void> {
    this.#check()
    while (this.#busy >= this.#options.depth) {
      await this.#oneLess()
      this.#check()
    }
  }

  #oneLess(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  #check(): void {
    if (this.#failure !== null) throw this.#failure.error
    const { signal } = this.#options
    if (signal?.aborted) throw new AbortError(signal.reason)
  }

  #checkSize(more: number): void {
    const { maxBytes } = this.#options
    if (this.#position + more <= maxBytes) return
    throw new TransferError('ERR_OUTPUT_TOO_LARGE', `The output is larger than the ${maxBytes} bytes allowed`)
  }
}
