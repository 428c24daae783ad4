// The send queue of a connection, in order: copies of small writes, large writes in place, and tasks that do
// their own sending.

import type { Arena, Block } from '../../runtime/arena.js'

/** Blocks for copies double from the first of these sizes to the second while they fill up. */
const SMALLEST_BLOCK = 256
const LARGEST_BLOCK = 65536

/** Data at one address. */
export class Piece {
  /** Holds copies; null for data in place. */
  readonly block: Block | null
  /** The data in place, kept alive. */
  readonly memory: unknown
  /** The first byte that the kernel has not taken. */
  address: number
  /** Bytes from there. */
  length: number
  /** Zero-copy sends whose notification CQE is still to come. */
  notifications = 0
  /** A zero-copy send of it was refused: it takes a plain one. */
  isPlain = false
  /** Why it was given up, if it was. Its writer is told once nothing reads the memory any more. */
  error: Error | null = null
  resolve: (() => void) | null = null
  reject: ((error: unknown) => void) | null = null

  constructor(block: Block | null, memory: unknown, address: number, length: number) {
    this.block = block
    this.memory = memory
    this.address = address
    this.length = length
  }

  /** Room behind the copies. */
  get room(): number {
    const { block } = this
    return block === null ? 0 : block.address + block.bytes.length - this.address - this.length
  }

  /** Where the next copy goes, from the start of the block. */
  get end(): number {
    return this.address + this.length - this.block!.address
  }
}

/** Sends by itself when its turn comes, such as a file. */
export interface Task {
  /** Rejects when the connection is broken for it. */
  run(): Promise<void>
  /** The connection is closed: a task that has not started must not, and one that runs must stop. */
  abort(error: Error): void
}

/** The queue. */
export class Outgoing {
  readonly #arena: Arena
  #items: (Piece | Task)[] = []
  #blockBytes = SMALLEST_BLOCK

  constructor(arena: Arena) {
    this.#arena = arena
  }

  get length(): number {
    return this.#items.length
  }

  get head(): Piece | Task | undefined {
    return this.#items[0]
  }

  shift(): void {
    this.#items.shift()
    if (this.#items.length === 0) this.#blockBytes = SMALLEST_BLOCK
  }

  /** Puts pieces that were taken out back in front. */
  unshift(pieces: readonly Piece[]): void {
    this.#items.unshift(...pieces)
  }

  addTask(task: Task): void {
    this.#items.push(task)
  }

  addInPlace(memory: ArrayBuffer | ArrayBufferView, address: number, length: number): Piece {
    const piece = new Piece(null, memory, address, length)
    this.#items.push(piece)
    return piece
  }

  /** Copies text, of at most `most` bytes in UTF-8. @returns Bytes. */
  copyText(text: string, most: number): number {
    const piece = this.#tailWith(most)
    const length = piece.block!.bytes.write(text, piece.end, 'utf8')
    piece.length += length
    return length
  }

  copyBytes(bytes: Uint8Array): void {
    const piece = this.#tailWith(bytes.length)
    piece.block!.bytes.set(bytes, piece.end)
    piece.length += bytes.length
  }

  /** Empties the queue. @returns All that was in it. */
  takeAll(): (Piece | Task)[] {
    return this.#items.splice(0)
  }

  /** Takes up to `most` pieces in a row from the front: one of any length, more up to `bytes` in all. */
  takePieces(most: number, bytes: number): Piece[] {
    const items = this.#items
    let count = 0
    let total = 0
    while (count < most && count < items.length) {
      const item = items[count]!
      if (!(item instanceof Piece)) break
      total += item.length
      if (count > 0 && total > bytes) break
      count++
    }
    if (count < items.length) return items.splice(0, count) as Piece[]
    // Mostly it is the whole queue: handing over the array as it is takes less work than a splice.
    this.#blockBytes = SMALLEST_BLOCK
    this.#items = []
    return items as Piece[]
  }

  #tailWith(room: number): Piece {
    const items = this.#items
    const last = items.length > 0 ? items[items.length - 1] : undefined
    if (last instanceof Piece && last.block !== null && last.room >= room) return last
    const block = this.#arena.alloc(Math.max(room, this.#blockBytes))
    this.#blockBytes = Math.min(2 * this.#blockBytes, LARGEST_BLOCK)
    const piece = new Piece(block, null, block.address, 0)
    items.push(piece)
    return piece
  }
}
