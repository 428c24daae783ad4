// A window of one block that rolls over data, with its rolling checksum: the inner loop of a delta.

import type { RollingSum } from './format.js'
import {
  BYTE_OFFSET,
  INVERSE,
  MULTIPLIER,
  multiplierPower,
  rabinKarpSum,
  rollSum,
  SEED_ADJUSTMENT,
} from './rolling-sums.js'

/** A multiplier that spreads the sums over the filter of an index; see BlockIndex. */
const SPREAD = 0x9e37_79b1

/** @internal */
export interface Roller {
  /** The sum of the window, a signed 32-bit integer. */
  readonly sum: number
  /** Puts the window over `length` bytes. */
  start(bytes: Uint8Array, at: number, length: number): void
  /**
   * Rolls the window on from `at`, until it starts at `stop` or its sum passes the filter.
   *
   * @returns Where it starts.
   */
  roll(bytes: Uint8Array, at: number, stop: number, filter: Int32Array, shift: number): number
  /** Rolls on by one byte. */
  step(bytes: Uint8Array, at: number): void
  /** Takes the first byte out, at the end of the data. */
  shrink(bytes: Uint8Array, at: number): void
}

/** @internal */
export function rollerFor(kind: RollingSum, blockBytes: number): Roller {
  return kind === 'rabinkarp' ? new RabinKarpRoller(blockBytes) : new RollsumRoller(blockBytes)
}

class RabinKarpRoller implements Roller {
  sum = 0
  readonly #block: number
  /** The multiplier to the power of the block's length. */
  readonly #blockPower: number
  /** The same for the window, which is shorter at the end of the data. */
  #power = 0

  constructor(block: number) {
    this.#block = block
    this.#blockPower = multiplierPower(block)
  }

  start(bytes: Uint8Array, at: number, length: number): void {
    this.sum = rabinKarpSum(bytes, at, length)
    this.#power = length === this.#block ? this.#blockPower : multiplierPower(length)
  }

  roll(bytes: Uint8Array, at: number, stop: number, filter: Int32Array, shift: number): number {
    const power = this.#blockPower
    let { sum } = this
    let start = at
    for (let end = at + this.#block; start < stop; start++, end++) {
      const bit = Math.imul(sum, SPREAD) >>> shift
      if ((filter[bit >>> 5]! & (1 << (bit & 31))) !== 0) break
      sum = (Math.imul(sum, MULTIPLIER) + bytes[end]! - Math.imul(power, bytes[start]! + SEED_ADJUSTMENT)) | 0
    }
    this.sum = sum
    return start
  }

  step(bytes: Uint8Array, at: number): void {
    const left = Math.imul(this.#blockPower, bytes[at]! + SEED_ADJUSTMENT)
    this.sum = (Math.imul(this.sum, MULTIPLIER) + bytes[at + this.#block]! - left) | 0
  }

  shrink(bytes: Uint8Array, at: number): void {
    this.#power = Math.imul(this.#power, INVERSE)
    this.sum = (this.sum - Math.imul(this.#power, bytes[at]! + SEED_ADJUSTMENT)) | 0
  }
}

class RollsumRoller implements Roller {
  readonly #block: number
  #length = 0
  #first = 0
  #second = 0

  constructor(block: number) {
    this.#block = block
  }

  get sum(): number {
    return (this.#second << 16) | (this.#first & 0xffff)
  }

  start(bytes: Uint8Array, at: number, length: number): void {
    const sum = rollSum(bytes, at, length)
    this.#first = sum & 0xffff
    this.#second = sum >>> 16
    this.#length = length
  }

  roll(bytes: Uint8Array, at: number, stop: number, filter: Int32Array, shift: number): number {
    const block = this.#block
    let first = this.#first
    let second = this.#second
    let start = at
    for (let end = at + block; start < stop; start++, end++) {
      const bit = Math.imul((second << 16) | (first & 0xffff), SPREAD) >>> shift
      if ((filter[bit >>> 5]! & (1 << (bit & 31))) !== 0) break
      const out = bytes[start]!
      first = (first + bytes[end]! - out) | 0
      second = (second + first - Math.imul(block, out + BYTE_OFFSET)) | 0
    }
    this.#first = first
    this.#second = second
    return start
  }

  step(bytes: Uint8Array, at: number): void {
    const out = bytes[at]!
    this.#first = (this.#first + bytes[at + this.#block]! - out) | 0
    this.#second = (this.#second + this.#first - Math.imul(this.#block, out + BYTE_OFFSET)) | 0
  }

  shrink(bytes: Uint8Array, at: number): void {
    const out = bytes[at]! + BYTE_OFFSET
    this.#first = (this.#first - out) | 0
    this.#second = (this.#second - Math.imul(this.#length, out)) | 0
    this.#length--
  }
}
