// Memory for many small results, cut from larger pieces: one ArrayBuffer per result would cost more than
// reading a small file does (bench suite `smallfiles`).

import { markAsUntransferable } from 'node:worker_threads'

/** Bytes of one piece, which any result that is cut from it keeps alive. */
const SLAB_BYTES = 65_536
const ALIGNMENT = 8

export class Slab {
  #memory: ArrayBuffer | null = null
  #used = 0

  /** Memory with undefined content. What takes more than a quarter of a piece gets memory of its own. */
  allocate(bytes: number): Buffer {
    if (bytes > SLAB_BYTES >> 2) return Buffer.allocUnsafeSlow(bytes)
    if (this.#memory === null || this.#used + bytes > SLAB_BYTES) {
      this.#memory = Buffer.allocUnsafeSlow(SLAB_BYTES).buffer as ArrayBuffer
      // A transfer would take the other results away as well.
      markAsUntransferable(this.#memory)
      this.#used = 0
    }
    const part = Buffer.from(this.#memory, this.#used, bytes)
    this.#used = Math.ceil((this.#used + bytes) / ALIGNMENT) * ALIGNMENT
    return part
  }
}
