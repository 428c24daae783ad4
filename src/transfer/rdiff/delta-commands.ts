// Reads a delta, and has each of its commands carried out.

import type { Basis } from '../basis.js'
import type { OutputAssembler } from '../output-assembler.js'
import { HEADROOM_BYTES, type SequentialReader } from '../sequential-reader.js'
import { TransferError } from '../transfer-errors.js'
import {
  DELTA_MAGIC,
  END,
  FIRST_COPY,
  FIRST_LITERAL,
  formatError,
  hexadecimal,
  LAST_COPY,
  LAST_SHORT_LITERAL,
} from './format.js'

/** The longest command: its code and two numbers of eight bytes. */
const MAX_COMMAND_BYTES = 17
const MAGIC_BYTES = 4

/** @internal */
export class DeltaCommands {
  literalBytes = 0
  matchedBytes = 0
  literalTokens = 0
  blockTokens = 0
  readonly #reader: SequentialReader
  #chunk: Buffer<ArrayBuffer> = Buffer.alloc(0)
  #at = 0
  /** Where the chunk begins in the file. */
  #base = 0

  constructor(reader: SequentialReader) {
    this.#reader = reader
  }

  /**
   * Carries out all commands up to the end of the delta.
   *
   * @throws TransferError `ERR_DELTA_FORMAT`, and `ERR_BASIS_RANGE` for a copy of what the basis does not have.
   */
  async apply(basis: Basis, assembler: OutputAssembler): Promise<void> {
    await this.#checkMagic()
    for (let number = 1; ; number++) {
      if (this.#left < MAX_COMMAND_BYTES) await this.#more()
      const start = this.#base + this.#at
      if (this.#left === 0) throw this.#broken('it ends without an end command')
      const code = this.#chunk[this.#at++]!
      if (code === END) break
      if (code < FIRST_COPY) {
        const isShort = code <= LAST_SHORT_LITERAL
        const length = isShort ? code : this.#number(1 << (code - FIRST_LITERAL), start)
        if (length === 0) throw this.#broken(`command ${number} at byte ${start} is a literal of no bytes`)
        await this.#literal(length, assembler, start)
      } else if (code <= LAST_COPY) {
        const index = code - FIRST_COPY
        const offset = this.#number(1 << (index >> 2), start)
        const length = this.#number(1 << (index & 3), start)
        if (length === 0) throw this.#broken(`command ${number} at byte ${start} copies no bytes`)
        if (offset + length > basis.size) {
          const text = `Command ${number} of the delta copies ${length} bytes at ${offset} from a basis of ${basis.size}`
          const why = 'requested range extends past end of file'
          throw new TransferError('ERR_BASIS_RANGE', `${text}: ${why}`, { path: basis.path })
        }
        this.blockTokens++
        this.matchedBytes += length
        const waiting = assembler.range(offset, length)
        if (waiting !== undefined) await waiting
      } else {
        const name = `0x${code.toString(16)}`
        throw this.#broken(`command ${number} at byte ${start} is ${name}, which does not exist`)
      }
    }
    if (this.#left === 0) await this.#more()
    if (this.#left > 0)
      throw this.#broken(`there is more behind its end command at byte ${this.#base + this.#at - 1}`)
  }

  get #left(): number {
    return this.#chunk.byteLength - this.#at
  }

  async #checkMagic(): Promise<void> {
    while (this.#left < MAGIC_BYTES && (await this.#more()));
    if (this.#left < MAGIC_BYTES) throw this.#broken('it is too short')
    const magic = this.#chunk.readUInt32BE(this.#at)
    if (magic !== DELTA_MAGIC)
      throw this.#broken(`it begins with ${hexadecimal(magic)}, not ${hexadecimal(DELTA_MAGIC)}`)
    this.#at += MAGIC_BYTES
  }

  /**
   * Gets the next chunk, and puts what is left of this one, at most a command, in front. @returns Whether
   * there was one.
   */
  async #more(): Promise<boolean> {
    // A copy: the memory of this chunk is read into again as soon as the next one is asked for.
    const rest = Buffer.from(this.#chunk.subarray(this.#at))
    const next = await this.#reader.next()
    if (next === null) return false
    const at = HEADROOM_BYTES - rest.length
    this.#base += this.#at - at
    rest.copy(next, at)
    this.#chunk = next
    this.#at = at
    // A pipe may give a few bytes at a time.
    if (this.#left < MAX_COMMAND_BYTES) await this.#more()
    return true
  }

  /** A number of `width` bytes. One beyond 2^53 is exact enough to be refused. */
  #number(width: number, start: number): number {
    if (this.#left < width) throw this.#broken(`it ends within the command at byte ${start}`)
    let value = 0
    for (let index = 0; index < width; index++) value = value * 256 + this.#chunk[this.#at++]!
    return value
  }

  async #literal(length: number, assembler: OutputAssembler, start: number): Promise<void> {
    const there = this.#reader.isSized ? this.#reader.size - this.#base - this.#at : length
    if (length > there) {
      throw this.#broken(`the literal at byte ${start} is to have ${length} bytes, and ${there} are left`)
    }
    this.literalTokens++
    this.literalBytes += length
    for (let left = length; left > 0; ) {
      if (this.#left === 0 && !(await this.#more())) {
        throw this.#broken(`it ends ${left} bytes before the end of the literal at byte ${start}`)
      }
      const count = Math.min(left, this.#left)
      const waiting = assembler.literal(this.#chunk.subarray(this.#at, this.#at + count))
      if (waiting !== undefined) await waiting
      this.#at += count
      left -= count
    }
  }

  #broken(problem: string): TransferError {
    return formatError('delta', problem, this.#reader.path)
  }
}
