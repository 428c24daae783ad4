// Copies of large ranges that the kernel makes between two files, without a byte in this process. Where the file
// system can (btrfs, XFS), both files share the blocks afterwards, and nothing is copied at all.

import { type Address, addressOf, type Fd } from '../ring/index.js'
import { copyFileRangeOffThread } from '../syscalls/libc.js'

/** Bytes of one call, which keeps a thread of libuv's pool busy for that long. */
const CALL_BYTES = 1 << 25

/** @internal */
export class RangeSharing {
  readonly maxBytes = CALL_BYTES
  readonly #fdIn: Fd
  readonly #fdOut: Fd
  #isPossible = true
  #bytes = 0

  constructor(fdIn: Fd, fdOut: Fd) {
    this.#fdIn = fdIn
    this.#fdOut = fdOut
  }

  /** False once the kernel has refused. */
  get isPossible(): boolean {
    return this.#isPossible
  }

  /** Bytes copied so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** Resolves to the bytes copied: fewer than `length` when the kernel refuses, or the file has ended. */
  async copy(offsetIn: number, offsetOut: number, length: number): Promise<number> {
    const offsets = new BigInt64Array([BigInt(offsetIn), BigInt(offsetOut)])
    const at: Address = addressOf(offsets)
    let done = 0
    while (done < length && this.#isPossible) {
      const count = await copyFileRangeOffThread(this.#fdIn, at, this.#fdOut, at + 8, length - done, 0)
      if (count > 0) done += count
      else this.#isPossible = false
    }
    this.#bytes += done
    // Kept alive until here: the kernel advances the two offsets while it copies.
    holdUntilNow(offsets)
    return done
  }
}

/** A use of `memory`, so that it is not collected before. */
function holdUntilNow(memory: BigInt64Array): void {
  if (memory.length === 0) throw new Error('The offsets of a copy have gone')
}
