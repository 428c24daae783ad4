// What the children of the `read` suite share: the arguments, the file, and buffers that O_DIRECT accepts.

import { constants, openSync } from 'node:fs'
import { addressOf } from '../../src/syscalls/memory.js'

export const BLOCK_BYTES = 4096
const WORDS_PER_BLOCK = BLOCK_BYTES / 4

export interface ReadArguments {
  readonly file: string
  /** A power of two. */
  readonly blocks: number
  readonly depth: number
  readonly direct: boolean
  /** Which of a child's ways to read. */
  readonly variant: string
}

/** Arguments: file, blocks, depth, `buffered` or `direct`, variant; the same as for bench/peers/read.c. */
export function readArguments(): ReadArguments {
  const [file, blocks, depth, caching, variant] = process.argv.slice(2)
  return {
    file: file!,
    blocks: Number(blocks),
    depth: Number(depth),
    direct: caching === 'direct',
    variant: variant!,
  }
}

/** The flags to open the file with. */
export function openFlags({ direct }: ReadArguments): number {
  return constants.O_RDONLY | (direct ? constants.O_DIRECT : 0)
}

export function openFile(reading: ReadArguments): number {
  return openSync(reading.file, openFlags(reading))
}

/** `depth` blocks of memory, one for each read in flight, aligned to their size. */
export class Slots {
  /** Address of the first block. */
  readonly address: number
  readonly bytes: Uint8Array
  readonly #words: Int32Array

  constructor(depth: number) {
    const memory = new ArrayBuffer((depth + 1) * BLOCK_BYTES)
    const start = addressOf(memory)
    const skipped = (BLOCK_BYTES - (start % BLOCK_BYTES)) % BLOCK_BYTES
    this.address = start + skipped
    this.bytes = new Uint8Array(memory, skipped, depth * BLOCK_BYTES)
    this.#words = new Int32Array(memory, skipped, depth * WORDS_PER_BLOCK)
  }

  /** The memory of one slot. */
  slot(slot: number): Uint8Array {
    return this.bytes.subarray(slot * BLOCK_BYTES, (slot + 1) * BLOCK_BYTES)
  }

  /** Throws unless the slot was filled with that block: each block of the file begins with its own number. */
  check(slot: number, block: number, bytesRead: number): void {
    if (bytesRead !== BLOCK_BYTES) throw new Error(`A read of ${BLOCK_BYTES} bytes brought ${bytesRead}`)
    if (this.#words[slot * WORDS_PER_BLOCK] !== block) throw new Error('A read brought the wrong block')
  }
}
