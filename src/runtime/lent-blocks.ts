// Blocks that the program had a view of and gave back. It may have given a view to an operation that is not
// over: until that ends the block is not reused, or the kernel would write into its next holder's data.

import type { Arena, Block } from './arena.js'
import type { SlotTable } from './slot-table.js'

export class LentBlocks {
  readonly #slots: SlotTable
  readonly #arena: Arena
  /** Blocks given back while an operation in flight has a view of them. */
  #waiting: Block[] = []

  constructor(slots: SlotTable, arena: Arena) {
    this.#slots = slots
    this.#arena = arena
  }

  /** Frees the block, now or when the operations that were given a view of it are over. */
  free(block: Block): void {
    if (this.#isInUse(block)) this.#waiting.push(block)
    else this.#arena.free(block)
  }

  /** Operations have ended: frees the blocks that no other one uses. */
  freeUnused(): void {
    if (this.#waiting.length === 0) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const block of waiting) this.free(block)
  }

  #isInUse({ bytes }: Block): boolean {
    return this.#slots.someMemory((memory) => overlaps(memory, bytes))
  }
}

/** Whether `memory`, a view or several, overlaps `bytes`. */
function overlaps(memory: unknown, bytes: Buffer): boolean {
  if (Array.isArray(memory)) return memory.some((one) => overlaps(one, bytes))
  if (memory === bytes.buffer) return true
  if (!ArrayBuffer.isView(memory) || memory.buffer !== bytes.buffer) return false
  const { byteOffset, byteLength } = memory
  return byteOffset < bytes.byteOffset + bytes.byteLength && byteOffset + byteLength > bytes.byteOffset
}
