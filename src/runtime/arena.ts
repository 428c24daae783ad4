// Memory that the driver owns: mapped outside every ArrayBuffer of the user, cut into blocks by size, reused. Paths,
// iovecs, timespecs and statx areas live here until their operation's final CQE; in a worker data does too, because a
// terminated worker frees its ArrayBuffers while the kernel may still write.

import { MappedRegion, PAGE_BYTES } from '../ring/index.js'

const SMALLEST = 64
const REGION_BYTES = 1 << 20
/** Larger blocks have a mapping of their own, unmapped when freed. */
const LARGEST_SHARED = REGION_BYTES / 4

/** A piece of mapped memory. It belongs to its holder from `Arena.alloc` to `Arena.free`. */
export class Block {
  readonly address: number
  /** The whole block, which may be longer than was asked for. */
  readonly bytes: Buffer
  /** @internal Index of the free list, or -1 for a mapping of its own. */
  readonly sizeClass: number
  /** @internal */
  readonly region: MappedRegion
  /** @internal Guards against freeing twice. */
  inUse = true
  #view: DataView | null = null

  /** @internal */
  constructor(region: MappedRegion, offset: number, length: number, sizeClass: number) {
    this.region = region
    this.address = region.address + offset
    this.bytes = Buffer.from(region.buffer, offset, length)
    this.sizeClass = sizeClass
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

/** @internal */
export class Arena {
  /** Regions that blocks are cut from, then those of large blocks. */
  readonly #regions = new Set<MappedRegion>()
  readonly #free: Block[][] = []
  #current: MappedRegion | null = null
  #used = 0
  #blocksInUse = 0
  #closed = false
  readonly #onRegion: ((region: MappedRegion, mapped: boolean) => void) | null

  /** @param onRegion - Told of each mapping made and unmade: a worker announces them, to be reclaimed after its death. */
  constructor(onRegion: ((region: MappedRegion, mapped: boolean) => void) | null = null) {
    this.#onRegion = onRegion
    for (let bytes = SMALLEST; bytes <= LARGEST_SHARED; bytes *= 2) this.#free.push([])
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

  /** A block of at least `bytes` bytes, 64-byte aligned (page-aligned from 4096 up). Its content is undefined. */
  alloc(bytes: number): Block {
    if (this.#closed) throw new Error('The arena is closed')
    this.#blocksInUse++
    if (bytes > LARGEST_SHARED) {
      const region = this.#map(Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES)
      return new Block(region, 0, region.length, -1)
    }
    const sizeClass = sizeClassOf(bytes)
    const block = this.#free[sizeClass]!.pop()
    if (block !== undefined) {
      block.inUse = true
      return block
    }
    return this.#cut(sizeClass)
  }

  /** Takes a block back. Only after the final CQE of the operation that used it. */
  free(block: Block): void {
    if (!block.inUse) throw new Error('A block was freed twice')
    block.inUse = false
    this.#blocksInUse--
    if (this.#closed) return
    if (block.sizeClass >= 0) {
      this.#free[block.sizeClass]!.push(block)
      return
    }
    this.#regions.delete(block.region)
    this.#onRegion?.(block.region, false)
    block.region.unmap()
  }

  /** Unmaps everything; blocks still held turn empty. Only once the kernel has let go of all of them. */
  close(): void {
    this.#closed = true
    for (const region of this.#regions) region.unmap()
    this.#regions.clear()
    for (const list of this.#free) list.length = 0
    this.#current = null
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
    return new Block(this.#current, offset, length, sizeClass)
  }

  #map(bytes: number): MappedRegion {
    const region = MappedRegion.anonymous(bytes)
    this.#regions.add(region)
    this.#onRegion?.(region, true)
    return region
  }
}
