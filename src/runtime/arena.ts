// Memory that the driver owns: mapped outside the user's ArrayBuffers, cut into blocks by size, and reused.
// Paths, iovecs, timespecs and statx areas live here until their operation's final CQE. In a worker data does
// too, because a terminated worker's ArrayBuffers are freed while the kernel may still write.

import { addressOf, MappedRegion, PAGE_BYTES } from '../ring/index.js'
import { outOfRange } from '../syscalls/argument-errors.js'
import { MAX_VIEW_BYTES } from '../syscalls/memory.js'

const SMALLEST = 64
const REGION_BYTES = 1 << 20
/** Larger blocks have a mapping of their own. */
const LARGEST_SHARED = REGION_BYTES / 4
/**
 * Freed blocks with their own mapping are kept up to this size, MOST_KEPT bytes in all; others are unmapped.
 */
const LARGEST_KEPT = 1 << 24
const MOST_KEPT = 1 << 25

/** A piece of mapped memory. It belongs to its holder from `Arena.alloc` to `Arena.free`. */
export class Block {
  readonly address: number
  /** The whole block, which may be longer than was asked for. */
  readonly bytes: Buffer
  /** @internal Index of the free list, or -1 for none. */
  readonly sizeClass: number
  /** @internal The mapping, where it is the block's own. */
  readonly region: MappedRegion | null
  /** @internal Guards against freeing twice. */
  inUse = true
  #view: DataView | null = null

  /** @internal */
  constructor(address: number, bytes: Buffer, sizeClass: number, region: MappedRegion | null) {
    this.address = address
    this.bytes = bytes
    this.sizeClass = sizeClass
    this.region = region
  }

  /** The block for field access; made once. */
  get view(): DataView {
    this.#view ??= new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength)
    return this.#view
  }
}

function sizeClassOf(bytes: number): number {
  return bytes <= SMALLEST ? 0 : 32 - Math.clz32(bytes - 1) - 6
}

export class Arena {
  readonly #regions = new Set<MappedRegion>()
  /** Freed blocks, by size class. */
  readonly #free: Block[][] = []
  /** The region that small blocks are cut from, and how much of it is used. */
  #current: MappedRegion | null = null
  #used = 0
  #blocksInUse = 0
  /** Bytes of freed blocks with a mapping of their own. */
  #keptBytes = 0
  #closed = false
  readonly #onRegion: ((region: MappedRegion, mapped: boolean) => void) | null

  /**
   * @param onRegion - Told of each mapping made or unmade, which a worker announces to those who reclaim it.
   */
  constructor(onRegion: ((region: MappedRegion, mapped: boolean) => void) | null = null) {
    this.#onRegion = onRegion
    for (let bytes = SMALLEST; bytes <= LARGEST_KEPT; bytes *= 2) this.#free.push([])
  }

  /** Blocks handed out and not freed. */
  get blocksInUse(): number {
    return this.#blocksInUse
  }

  /** Bytes mapped. */
  get mappedBytes(): number {
    let sum = 0
    for (const region of this.#regions) sum += region.length
    return sum
  }

  /** Whether `bytes` lie in memory of this arena, which outlives a terminated worker. */
  owns(bytes: ArrayBufferView | ArrayBuffer): boolean {
    const buffer = ArrayBuffer.isView(bytes) ? bytes.buffer : bytes
    for (const region of this.#regions) if (region.buffer === buffer) return true
    return false
  }

  /**
   * A block of at least `bytes` bytes, 64-byte aligned (page-aligned from 4096 up). Its content is undefined.
   *
   * @throws SystemError `mmap` when memory is short; RangeError `ERR_OUT_OF_RANGE` beyond 4 GiB.
   */
  alloc(bytes: number): Block {
    // An operation on a closed ring is refused by the driver, which gives the kernel nothing: any memory will
    // do while it is prepared.
    if (this.#closed) return ordinaryBlock(bytes)
    const sizeClass = bytes > LARGEST_KEPT ? -1 : sizeClassOf(bytes)
    const block = sizeClass < 0 ? undefined : this.#free[sizeClass]!.pop()
    if (block !== undefined) {
      if (block.region !== null) this.#keptBytes -= block.bytes.length
      block.inUse = true
      this.#blocksInUse++
      return block
    }
    const made = bytes > LARGEST_SHARED ? this.#mapBlock(bytes, sizeClass) : this.#cut(sizeClass)
    this.#blocksInUse++
    return made
  }

  /** As `alloc`, for what has a block already: `first` is freed when there is no second one. */
  allocBeside(first: Block | null, bytes: number): Block {
    try {
      return this.alloc(bytes)
    } catch (error) {
      if (first !== null) this.free(first)
      throw error
    }
  }

  /** Takes a block back. Only after the final CQE of the operation that used it. */
  free(block: Block): void {
    if (!block.inUse) throw new Error('A block was freed twice')
    block.inUse = false
    // The memory of a closed arena is gone.
    if (this.#closed) return
    this.#blocksInUse--
    const { region, sizeClass } = block
    if (region === null) {
      this.#free[sizeClass]!.push(block)
    } else if (sizeClass >= 0 && this.#keptBytes + region.length <= MOST_KEPT) {
      this.#keptBytes += region.length
      this.#free[sizeClass]!.push(block)
    } else this.#unmap(region)
  }

  /**
   * Unmaps everything; blocks still held become empty.
   *
   * @param isUnused - False where the kernel may still use some of them: they then stay mapped for good, or
   *   it could write into what is mapped there next.
   */
  close(isUnused = true): void {
    if (this.#closed) return
    this.#closed = true
    if (isUnused) for (const region of this.#regions) this.#unmap(region)
    for (const list of this.#free) list.length = 0
    this.#current = null
    this.#blocksInUse = 0
    this.#keptBytes = 0
  }

  #cut(sizeClass: number): Block {
    const length = SMALLEST << sizeClass
    // Blocks of a page and more start on a page, so that they serve O_DIRECT.
    const alignment = Math.min(length, PAGE_BYTES)
    let offset = Math.ceil(this.#used / alignment) * alignment
    if (this.#current === null || offset + length > REGION_BYTES) {
      this.#current = this.#map(REGION_BYTES)
      offset = 0
    }
    this.#used = offset + length
    const { address, buffer } = this.#current
    return new Block(address + offset, Buffer.from(buffer, offset, length), sizeClass, null)
  }

  #mapBlock(bytes: number, sizeClass: number): Block {
    if (bytes > MAX_VIEW_BYTES) throw outOfRange('bytes of driver memory', `<= ${MAX_VIEW_BYTES}`, bytes)
    const length = sizeClass < 0 ? Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES : SMALLEST << sizeClass
    const region = this.#map(length)
    return new Block(region.address, Buffer.from(region.buffer), sizeClass, region)
  }

  #map(bytes: number): MappedRegion {
    const region = MappedRegion.anonymous(bytes)
    try {
      // Made now: `owns` asks every region for it, and must not throw.
      void region.buffer
    } catch (error) {
      region.unmap()
      throw error
    }
    this.#regions.add(region)
    this.#onRegion?.(region, true)
    return region
  }

  #unmap(region: MappedRegion): void {
    this.#regions.delete(region)
    this.#onRegion?.(region, false)
    region.unmap()
  }
}

function ordinaryBlock(bytes: number): Block {
  const memory = Buffer.alloc(Math.max(1, bytes))
  return new Block(addressOf(memory), memory, -1, null)
}
