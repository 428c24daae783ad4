// Makes a delta: looks for blocks of a signature at every byte of the data, and writes commands for what it finds and
// for what lies between.

import type { OutputAssembler } from '../output-assembler.js'
import type { BlockIndex } from './block-index.js'
import { DELTA_MAGIC, END, FIRST_COPY, FIRST_LITERAL, LAST_SHORT_LITERAL } from './format.js'
import { type Roller, rollerFor } from './rollers.js'
import type { StrongHash } from './strong-sums.js'

/** Room for data beside the window. Literals are at most as long. */
const SLACK_BYTES = 1 << 20

/** @internal */
export class DeltaScanner {
  literalBytes = 0
  matchedBytes = 0
  literalTokens = 0
  blockTokens = 0
  readonly #index: BlockIndex
  readonly #hash: StrongHash
  readonly #assembler: OutputAssembler
  readonly #roller: Roller
  readonly #bytes: Buffer<ArrayBuffer>
  /** Data without a match starts at `#missed`, the window at `#at`, and the data ends at `#end`. */
  #missed = 0
  #at = 0
  #end = 0
  #isRolling = false
  /** A match that the next one may lengthen. */
  #copyOffset = 0
  #copyLength = 0

  constructor(index: BlockIndex, hash: StrongHash, assembler: OutputAssembler) {
    this.#index = index
    this.#hash = hash
    this.#assembler = assembler
    this.#roller = rollerFor(index.kind.rolling, index.blockBytes)
    this.#bytes = Buffer.allocUnsafeSlow(index.blockBytes + SLACK_BYTES)
  }

  async start(): Promise<void> {
    const magic = Buffer.alloc(4)
    magic.writeUInt32BE(DELTA_MAGIC)
    await this.#assembler.literal(magic)
  }

  /** Takes in data. */
  async feed(data: Uint8Array): Promise<void> {
    for (let done = 0; done < data.byteLength; ) {
      if (this.#end === this.#bytes.length) await this.#shift()
      const count = Math.min(data.byteLength - done, this.#bytes.length - this.#end)
      this.#bytes.set(data.subarray(done, done + count), this.#end)
      this.#end += count
      done += count
      await this.#scan(false)
    }
  }

  /** The data has ended. */
  async finish(): Promise<void> {
    await this.#scan(true)
    await this.#flushCopy()
    await this.#flushMissed()
    await this.#assembler.literal(Uint8Array.of(END))
  }

  async #scan(isLast: boolean): Promise<void> {
    const { blockBytes, filter, filterShift, count } = this.#index
    const bytes = this.#bytes
    const roller = this.#roller
    if (count === 0) {
      this.#at = this.#end
      return
    }
    for (;;) {
      const length = Math.min(blockBytes, this.#end - this.#at)
      // Without a byte behind the window it cannot roll on.
      if (length === 0 || (!isLast && this.#at + blockBytes >= this.#end)) return
      if (!this.#isRolling) roller.start(bytes, this.#at, length)
      this.#isRolling = true
      if (length === blockBytes) {
        this.#at = roller.roll(bytes, this.#at, this.#end - blockBytes, filter, filterShift)
      }
      const block = this.#index.find(roller.sum, bytes.subarray(this.#at, this.#at + length), this.#hash)
      if (block >= 0) {
        await this.#match(block * blockBytes, length)
        this.#isRolling = false
      } else {
        if (this.#at + blockBytes < this.#end) roller.step(bytes, this.#at)
        else if (isLast) roller.shrink(bytes, this.#at)
        else return
        this.#at++
      }
    }
  }

  async #match(offset: number, length: number): Promise<void> {
    const isNext = this.#copyLength > 0 && this.#copyOffset + this.#copyLength === offset
    if (!isNext || this.#at > this.#missed) {
      await this.#flushCopy()
      await this.#flushMissed()
      this.#copyOffset = offset
    }
    this.#copyLength += length
    this.#at += length
    this.#missed = this.#at
  }

  /** Makes room behind the data. */
  async #shift(): Promise<void> {
    if (this.#at > this.#missed) {
      await this.#flushCopy()
      await this.#flushMissed()
    }
    this.#bytes.copyWithin(0, this.#at, this.#end)
    this.#end -= this.#at
    this.#at = 0
    this.#missed = 0
  }

  async #flushCopy(): Promise<void> {
    if (this.#copyLength === 0) return
    const offsetCode = widthCode(this.#copyOffset)
    const lengthCode = widthCode(this.#copyLength)
    const command = Buffer.alloc(1 + (1 << offsetCode) + (1 << lengthCode))
    command[0] = FIRST_COPY + offsetCode * 4 + lengthCode
    putNumber(command, 1, 1 << offsetCode, this.#copyOffset)
    putNumber(command, 1 + (1 << offsetCode), 1 << lengthCode, this.#copyLength)
    this.blockTokens++
    this.matchedBytes += this.#copyLength
    this.#copyLength = 0
    await this.#assembler.literal(command)
  }

  async #flushMissed(): Promise<void> {
    const data = this.#bytes.subarray(this.#missed, this.#at)
    this.#missed = this.#at
    const { length } = data
    if (length === 0) return
    const code = widthCode(length)
    const command = Buffer.alloc(length <= LAST_SHORT_LITERAL ? 1 : 1 + (1 << code))
    command[0] = length <= LAST_SHORT_LITERAL ? length : FIRST_LITERAL + code
    if (command.length > 1) putNumber(command, 1, 1 << code, length)
    this.literalTokens++
    this.literalBytes += length
    await this.#assembler.literal(command)
    await this.#assembler.literal(data)
  }
}

/** 0 to 3 for numbers that need 1, 2, 4 or 8 bytes. */
function widthCode(value: number): number {
  if (value <= 0xff) return 0
  if (value <= 0xffff) return 1
  return value <= 0xffff_ffff ? 2 : 3
}

function putNumber(bytes: Buffer, at: number, width: number, value: number): void {
  let left = value
  for (let index = at + width - 1; index >= at; index--) {
    bytes[index] = left % 256
    left = Math.floor(left / 256)
  }
}
