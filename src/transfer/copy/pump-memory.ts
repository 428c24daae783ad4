// Memory that a file is copied through, registered with the ring where that is allowed.

import { addressOf } from '../../ring/index.js'
import type { Uring } from '../../runtime/index.js'

/** Memory to copy through: registered with the ring where that is allowed. */
export interface PumpMemory {
  readonly buffers: readonly { readonly address: number; readonly bytes: Buffer; readonly index: number }[]
  readonly registered: boolean
  free(): void
}

/** @param size - Bytes of a buffer. */
export function takeMemory(uring: Uring, size: number, count: number): PumpMemory {
  try {
    const pool = uring.registerBufferPool({ size, count })
    const lent = Array.from({ length: count }, () => pool.tryAcquire()!)
    return {
      buffers: lent.map(({ bytes, index }) => ({ address: addressOf(bytes), bytes, index })),
      registered: true,
      free() {
        for (const buffer of lent) buffer.release()
        pool.close()
      },
    }
  } catch (error) {
    // RLIMIT_MEMLOCK: plain reads and writes do the same, each pinning its pages anew.
    const { code } = error as { code?: string }
    if (code !== 'ENOMEM' && code !== 'ERR_INVALID_STATE') throw error
    const { arena } = uring.driver
    const block = arena.alloc(size * count)
    return {
      buffers: Array.from({ length: count }, (_, slot) => ({
        address: block.address + slot * size,
        bytes: block.bytes.subarray(slot * size, (slot + 1) * size),
        index: -1,
      })),
      registered: false,
      free: () => arena.free(block),
    }
  }
}
