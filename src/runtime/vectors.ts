// Lists of buffers, as readv, writev, sendmsg and recvmsg take them: checked and copied once, since an array can answer
// something else each time that it is asked.

import { addressOf, IOVEC, MAX_VECTORS } from '../ring/index.js'
import { checkInteger, invalidType } from '../syscalls/argument-errors.js'
import { byteLengthOf } from '../syscalls/memory.js'
import type { Block } from './arena.js'
import { moveBytes } from './move-bytes.js'
import { asBytes, type Bytes, checkedLength } from './operations/base.js'

export class Vectors {
  /** The buffers, in an array that nobody else has. */
  readonly buffers: readonly Bytes[]
  /** Bytes of all together. */
  readonly total: number
  readonly #lengths: number[] = []
  readonly #addresses: number[] = []

  /**
   * @param given - At most 1024.
   * @throws TypeError, RangeError. No memory has been taken then.
   */
  constructor(given: readonly Bytes[]) {
    if (!Array.isArray(given)) throw invalidType('buffers', 'an instance of Array', given)
    const buffers = [...(given as readonly Bytes[])]
    checkInteger('buffers.length', buffers.length, 0, MAX_VECTORS)
    let total = 0
    for (const buffer of buffers) {
      checkedLength(buffer, undefined)
      const length = byteLengthOf(buffer)
      this.#addresses.push(addressOf(buffer, length))
      this.#lengths.push(length)
      total += length
    }
    this.buffers = buffers
    this.total = total
  }

  get count(): number {
    return this.buffers.length
  }

  /** Writes the iovecs at `at` of a block. @param bounce - Stands for all buffers, where there is one. */
  describe(block: Block, at: number, bounce: Block | null): void {
    let offset = 0
    for (let index = 0; index < this.count; index++) {
      const length = this.#lengths[index]!
      const address = bounce === null ? this.#addresses[index]! : bounce.address + offset
      block.view.setBigUint64(at + index * IOVEC.size, BigInt(address), true)
      block.view.setBigUint64(at + index * IOVEC.size + 8, BigInt(length), true)
      offset += length
    }
  }

  /** Copies the buffers into the block that stands for them. @throws for a buffer that has changed. */
  gather(bounce: Block): void {
    let at = 0
    for (const [index, buffer] of this.buffers.entries()) {
      const bytes = asBytes(buffer)
      const length = this.#lengths[index]!
      checkInteger('buffer.byteLength', bytes.length, length, length)
      moveBytes(bounce.bytes as Uint8Array<ArrayBuffer>, bytes, at)
      at += length
    }
  }

  /** Copies `count` bytes of the block that stands for the buffers to where they belong. */
  scatter(bounce: Block, count: number): void {
    let at = 0
    for (const [index, buffer] of this.buffers.entries()) {
      const part = Math.min(this.#lengths[index]!, count - at)
      if (part <= 0) return
      // What was transferred meanwhile has no place for it.
      if (byteLengthOf(buffer) >= part) {
        moveBytes(asBytes(buffer), bounce.bytes.subarray(at, at + part) as Uint8Array<ArrayBuffer>)
      }
      at += part
    }
  }
}
