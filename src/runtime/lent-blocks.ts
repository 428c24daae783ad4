// Memory that was lent to the program and came back. The program may have given it to an operation that is not over, and returned
// it all the same: it serves nobody else before that has ended, for the kernel would write into what others have there.

import type { Arena, Block } from './arena.js'
import type { SlotTable } from './slot-table.js'

export class LentBlocks {
  readonly #slots: SlotTable
  readonly #arena: Arena
  /** Those that an operation was given a view of. */
  #waiting: Block[] = []

  constructor(slots: SlotTable, arena: Arena) {
    this.#slots = slots
    this.#arena = arena
  }

  /** Frees the block, at the latest when the operations that were given a view of it are over. */
  free(block: Block): void {
    if (this.#isInUse(block)) this.#waiting.push(block)
    else this.#arena.free(block)
  }

  /** Operations have ended. */
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

/** Whether what an operation holds, a view or several, is part of `bytes`. */
function overlaps(memory: unknown, bytes: Buffer): boolean {
  if (Array.isArray(memory)) return memory.some((one) => overlaps(one, bytes))
  if (memory === bytes.buffer) return true
  if (!ArrayBuffer.isView(memory) || memory.buffer !== bytes.buffer) return false
  const { byteOffset, byteLength } = memory
  return byteOffset < bytes.byteOffset + bytes.byteLength && byteOffset + byteLength > bytes.byteOffset
}
