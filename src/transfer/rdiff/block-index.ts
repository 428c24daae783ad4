// Finds the blocks of a signature by their rolling checksum. Everything is in typed arrays: the signature of
// a large file has millions of blocks.

import type { SignatureKind } from './format.js'
import type { StrongHash } from './strong-sums.js'

/** A multiplier that spreads the sums over the table. */
const SPREAD = 0x9e37_79b1
const MIN_TABLE_BITS = 10
const MAX_FILTER_BITS = 25
/**
 * How many blocks of one hash are compared when the index is built. Beyond that, duplicates may stay in it.
 */
const MAX_COMPARED = 64
/**
 * How many blocks of one hash a search visits. Without a bound, a crafted signature could have it visit every
 * block for each byte of data.
 */
const MAX_VISITED = 4096

/** @internal */
export class BlockIndex {
  readonly kind: SignatureKind
  readonly blockBytes: number
  readonly strongBytes: number
  readonly count: number
  /** A bit for each group of sums: it rules out most sums of data that does not match. */
  readonly filter: Int32Array
  /** `Math.imul(sum, 0x9e3779b1) >>> filterShift` is the number of the bit. */
  readonly filterShift: number
  readonly #weak: Int32Array
  readonly #strong: Uint8Array
  /** For each hash of a sum the first block, as its number plus one; 0 for none. */
  readonly #heads: Int32Array
  /** For each block the next one with the same hash, in the same form. */
  readonly #next: Int32Array
  readonly #shift: number

  constructor(
    kind: SignatureKind,
    blockBytes: number,
    strongBytes: number,
    weak: Int32Array,
    strong: Uint8Array,
  ) {
    this.kind = kind
    this.blockBytes = blockBytes
    this.strongBytes = strongBytes
    this.count = weak.length
    this.#weak = weak
    this.#strong = strong
    const bits = Math.max(MIN_TABLE_BITS, 33 - Math.clz32(this.count))
    this.#heads = new Int32Array(2 ** bits)
    this.#next = new Int32Array(this.count)
    this.#shift = 32 - bits
    const filterBits = Math.min(MAX_FILTER_BITS, bits + 3)
    this.filter = new Int32Array(2 ** (filterBits - 5))
    this.filterShift = 32 - filterBits
    // From the back, so that of equal blocks the first one is found first.
    for (let block = this.count - 1; block >= 0; block--) this.#add(block)
  }

  /** The block with that rolling sum whose strong sum is that of `bytes`, or -1. */
  find(sum: number, bytes: Uint8Array, hash: StrongHash): number {
    const weak = this.#weak
    let strong: Uint8Array | null = null
    let entry = this.#heads[Math.imul(sum, SPREAD) >>> this.#shift]!
    for (let visited = 0; entry !== 0 && visited < MAX_VISITED; visited++) {
      const block = entry - 1
      if (weak[block] === sum) {
        strong ??= hash(bytes)
        if (this.#isStrong(block, strong, 0)) return block
      }
      entry = this.#next[block]!
    }
    return -1
  }

  #add(block: number): void {
    const sum = this.#weak[block]!
    const spread = Math.imul(sum, SPREAD)
    const bit = spread >>> this.filterShift
    this.filter[bit >>> 5]! |= 1 << (bit & 31)
    const at = spread >>> this.#shift
    // A later block of the same content would never be found: it is taken out.
    let previous = -1
    let entry = this.#heads[at]!
    for (let compared = 0; entry !== 0 && compared < MAX_COMPARED; compared++) {
      const other = entry - 1
      if (this.#weak[other] === sum && this.#isStrong(other, this.#strong, block * this.strongBytes)) {
        if (previous < 0) this.#heads[at] = this.#next[other]!
        else this.#next[previous] = this.#next[other]!
        break
      }
      previous = other
      entry = this.#next[other]!
    }
    this.#next[block] = this.#heads[at]!
    this.#heads[at] = block + 1
  }

  #isStrong(block: number, bytes: Uint8Array, at: number): boolean {
    const strong = this.#strong
    const start = block * this.strongBytes
    for (let index = 0; index < this.strongBytes; index++) {
      if (strong[start + index] !== bytes[at + index]) return false
    }
    return true
  }
}
