// The lease of the fallback, which has no driver memory to give back. It enforces the same rules, so that a
// program that breaks them fails on every machine.

import { releasedError } from '../../runtime/buffer-lease.js'
import type { Lease } from '../socket.js'

export class NodeLease implements Lease {
  readonly length: number
  #bytes: Buffer | null

  constructor(bytes: Buffer) {
    this.length = bytes.length
    this.#bytes = bytes
  }

  get bytes(): Buffer {
    if (this.#bytes === null) throw releasedError()
    return this.#bytes
  }

  get released(): boolean {
    return this.#bytes === null
  }

  copy(): Buffer {
    return Buffer.from(this.bytes)
  }

  release(): void {
    if (this.#bytes === null) throw releasedError()
    this.#bytes = null
  }

  [Symbol.dispose](): void {
    this.#bytes = null
  }
}
