// Entries outside the submission queue: a scratch entry on which prepare functions run, and the images of
// entries that wait for room.

import { Sqe } from '../ring/sqe.js'
import type { Prepare, Slot } from './slot.js'

/** Slots that there is room for at first. */
const FIRST_SLOTS = 64

export class EntryImages {
  readonly #words: number
  readonly #scratch: Sqe
  #isInUse = false
  /** By slot. */
  #kept = new Int32Array(0)

  /** @param words - Of one entry: 16, or 32 on a ring with SQE128. */
  constructor(words: number) {
    this.#words = words
    this.#scratch = new Sqe(new Int32Array(words))
  }

  /**
   * Runs `prepare` on a scratch entry. The caller's mistakes then surface at the call, before anything is
   * taken, even when the operation must wait. And whatever `prepare` does, it cannot come between the entries
   * of a link.
   *
   * @returns The entry, valid until the next call.
   */
  prepare(prepare: Prepare): Int32Array {
    const isNested = this.#isInUse
    const sqe = isNested ? new Sqe(new Int32Array(this.#words)) : this.#scratch
    sqe.words.fill(0)
    this.#isInUse = true
    try {
      prepare(sqe)
    } finally {
      this.#isInUse = isNested
    }
    return sqe.words
  }

  keep({ index }: Slot, image: Int32Array): void {
    const at = index * this.#words
    if (at + this.#words > this.#kept.length) {
      const larger = new Int32Array(Math.max(FIRST_SLOTS * this.#words, 2 * at + this.#words))
      larger.set(this.#kept)
      this.#kept = larger
    }
    this.#kept.set(image, at)
  }

  /** Fills `sqe` with what was kept. */
  restore({ index }: Slot, { words }: Sqe): void {
    const at = index * this.#words
    for (let word = 0; word < this.#words; word++) words[word] = this.#kept[at + word]!
  }
}
