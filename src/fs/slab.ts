// Memory for many small results, cut from larger pieces: an ArrayBuffer for each would cost more than to read a small file
// (bench suite `smallfiles`).

import { markAsUntransferable } from 'node:worker_threads'

/** Bytes of one piece: what a single result that is kept keeps alive. */
const SLAB_BYTES = 65_536
const ALIGNMENT = 8

export class Slab {
  #memory: ArrayBuffer | null = null
  #used = 0

  /** Memory with undefined content; of its own where a piece would not hold four of it. */
  allocate(bytes: number): Buffer {
    if (bytes > SLAB_BYTES >> 2) return Buffer.allocUnsafeSlow(bytes)
    if (this.#memory === null || this.#used + bytes > SLAB_BYTES) {
      this.#memory = Buffer.allocUnsafeSlow(SLAB_BYTES).buffer as ArrayBuffer
      // The other results would go with it.
      markAsUntransferable(this.#memory)
      this.#used = 0
    }
    const part = Buffer.from(this.#memory, this.#used, bytes)
    this.#used = Math.ceil((this.#used + bytes) / ALIGNMENT) * ALIGNMENT
    return part
  }
}
