// readFile on the ring. A small file costs open, read, a second read that finds the end, and close. Its size
// is never asked for: statx always goes through a kernel worker thread, and /proc, pipes and ttys have no
// size to report. A file that fills the second, larger block is asked for its size and read into memory of
// that size.

import { AT_EMPTY_PATH, addressOf, prepRead, prepStatx, type Sqe } from '../ring/index.js'
import { lseek } from '../syscalls/libc.js'
import { pathText } from './arguments.js'
import { allocateLarge } from './huge-pages.js'
import { Lane, LanePool, type LaneRequest } from './lane.js'
import { fileTooLarge } from './node-errors.js'
import { READ_ERRORS_NAME_PATH } from './node-version.js'
import type { Slab } from './slab.js'
import { regularSize, STATX_BYTES, STATX_MASK } from './stats.js'

const SEEK_SET = 0
/** The first read: most files fit, and a block of the driver's memory of this size is cheap. */
const FIRST_BYTES = 16_384
/** Reads of a file without a known size. */
const UNSIZED_BYTES = 65_536
/** The block for the second read. A file that fills it is asked for its size. */
const SECOND_BYTES = 131_072
/**
 * Reads of a file of known size. Cached data is copied inline, on the JavaScript thread, so other work has to
 * wait for one of these.
 */
const CHUNK_BYTES = 1_048_576
/** The same through the driver's memory. */
const COPIED_BYTES = 262_144
/** The most that readFile puts into one Buffer, as in Node. */
const MAX_FILE_BYTES = 2 ** 31 - 1

export interface ReadRequest extends LaneRequest {
  readonly encoding: BufferEncoding | undefined
  /** Where the memory of a small result comes from; null gives each its own. */
  readonly slab: Slab | null
}

class ReadLane extends Lane<ReadRequest> {
  /** Bytes read so far. */
  #total = 0
  /** Bytes in `block`. */
  #inBlock = 0
  /** The memory of a file of known size, or null. */
  #target: Buffer | null = null
  /** The parts of a file of unknown size. */
  #parts: Buffer[] | null = null

  protected override transfer(): void {
    this.#total = 0
    this.#target = null
    this.#parts = null
    this.#useBlock(FIRST_BYTES)
    this.issue(this.#prepareBlock, this.#onBlock, 'read')
  }

  protected override leave(): void {
    const { fd, position } = this.request
    if (position >= 0) lseek(fd, position + this.#total, SEEK_SET)
  }

  readonly #prepareBlock = (sqe: Sqe): void => {
    const block = this.block!
    const length = block.bytes.length - this.#inBlock
    prepRead(sqe, this.fd, block.address + this.#inBlock, length, this.offsetAt(this.#total))
  }

  readonly #onBlock = (res: number): void => {
    if (res < 0) this.#onBlockError(res)
    else if (res === 0) this.#finish()
    else if (this.aborted) this.fail(this.abortError())
    else {
      this.#total += res
      this.#inBlock += res
      if (this.#inBlock < this.block!.bytes.length) this.issue(this.#prepareBlock, this.#onBlock, 'read')
      else if (this.#parts !== null) this.#nextPart()
      else if (this.#total < SECOND_BYTES) this.#widen()
      else this.#askSize()
    }
  }

  /**
   * Fails the request. Node checks the size before it reads, so the error of a file that is too large is
   * always that: when the first read fails, the size is asked for.
   */
  #onBlockError(res: number): void {
    const namesPath = READ_ERRORS_NAME_PATH && this.#total === 0 && this.request.fd < 0
    const error = this.stepError(res, 'read', namesPath ? pathText(this.request.path) : undefined)
    if (this.#total > 0 || this.aborted) {
      this.fail(error)
      return
    }
    this.#useBlock(2 * STATX_BYTES)
    // The empty path of AT_EMPTY_PATH.
    this.block!.bytes[STATX_BYTES] = 0
    const judge = (answer: number): void => {
      const size = answer < 0 ? 0 : regularSize(this.block!.view)
      this.fail(size > MAX_FILE_BYTES ? fileTooLarge(size) : error)
    }
    this.issue(this.#prepareStatx, judge, 'fstat')
  }

  /** The end of the file: all of it is in the block and in the parts. */
  #finish(): void {
    const { encoding, slab } = this.request
    const { bytes } = this.block!
    const parts = this.#parts
    let value: Buffer | string
    try {
      if (parts !== null) {
        parts.push(Buffer.from(bytes.subarray(0, this.#inBlock)))
        const whole = Buffer.concat(parts, this.#total)
        value = encoding === undefined ? whole : whole.toString(encoding)
      } else if (encoding !== undefined) value = bytes.toString(encoding, 0, this.#total)
      else {
        value = slab === null ? Buffer.allocUnsafeSlow(this.#total) : slab.allocate(this.#total)
        bytes.copy(value, 0, 0, this.#total)
      }
    } catch (error) {
      this.#drop()
      this.fail(error)
      return
    }
    this.#drop()
    this.done(value)
  }

  #useBlock(bytes: number): void {
    this.freeBlock()
    this.#inBlock = 0
    this.block = this.request.uring.driver.arena.alloc(bytes)
  }

  #nextPart(): void {
    this.#parts!.push(Buffer.from(this.block!.bytes))
    this.#useBlock(UNSIZED_BYTES)
    this.issue(this.#prepareBlock, this.#onBlock, 'read')
  }

  /** Goes on in a larger block. */
  #widen(): void {
    const { arena } = this.request.uring.driver
    const small = this.block!
    const block = arena.alloc(SECOND_BYTES)
    small.bytes.copy(block.bytes)
    arena.free(small)
    this.block = block
    this.issue(this.#prepareBlock, this.#onBlock, 'read')
  }

  #askSize(): void {
    this.#parts = [Buffer.from(this.block!.bytes)]
    this.#useBlock(2 * STATX_BYTES)
    // The empty path of AT_EMPTY_PATH.
    this.block!.bytes[STATX_BYTES] = 0
    this.issue(this.#prepareStatx, this.#onStatx, 'fstat')
  }

  readonly #prepareStatx = (sqe: Sqe): void => {
    const { address } = this.block!
    prepStatx(sqe, this.fd, address + STATX_BYTES, AT_EMPTY_PATH, STATX_MASK, address)
  }

  readonly #onStatx = (res: number): void => {
    if (res < 0 || this.aborted) {
      this.#drop()
      this.fail(res < 0 ? this.stepError(res, 'fstat') : this.abortError())
      return
    }
    const size = regularSize(this.block!.view)
    this.freeBlock()
    if (size > MAX_FILE_BYTES) {
      this.#drop()
      this.fail(fileTooLarge(size))
      return
    }
    if (size <= this.#total) {
      // Not a regular file, or one that reports no size, or one that ends exactly here.
      this.#useBlock(UNSIZED_BYTES)
      this.issue(this.#prepareBlock, this.#onBlock, 'read')
      return
    }
    try {
      this.#target = allocateLarge(size)
    } catch (error) {
      this.#drop()
      this.fail(error)
      return
    }
    this.#target.set(this.#parts![0]!)
    this.#parts = null
    this.memory = this.#target
    if (this.request.uring.copies) {
      this.block = this.request.uring.driver.arena.alloc(Math.min(COPIED_BYTES, size - this.#total))
    }
    this.issue(this.#prepareRest, this.#onRest, 'read')
  }

  readonly #prepareRest = (sqe: Sqe): void => {
    const target = this.#target!
    const left = target.length - this.#total
    const { block } = this
    const most = block === null ? CHUNK_BYTES : block.bytes.length
    const length = Math.min(left, most)
    const address = block === null ? addressOf(target) + this.#total : block.address
    prepRead(sqe, this.fd, address, length, this.offsetAt(this.#total))
  }

  readonly #onRest = (res: number): void => {
    if (res < 0 || (this.aborted && this.#total + res < this.#target!.length)) {
      this.#drop()
      this.fail(res < 0 ? this.stepError(res, 'read') : this.abortError())
      return
    }
    const target = this.#target!
    if (this.block !== null) target.set(this.block.bytes.subarray(0, res), this.#total)
    this.#total += res
    if (res > 0 && this.#total < target.length) {
      this.issue(this.#prepareRest, this.#onRest, 'read')
      return
    }
    // A file that has shrunk meanwhile ends early. What it has grown by is not read.
    const { encoding } = this.request
    const whole = this.#total === target.length ? target : target.subarray(0, this.#total)
    this.#drop()
    try {
      this.done(encoding === undefined ? whole : whole.toString(encoding))
    } catch (error) {
      this.fail(error)
    }
  }

  #drop(): void {
    this.#target = null
    this.#parts = null
  }
}

/** All readFile calls of this thread. */
export const readLanes = new LanePool<ReadRequest>((pool) => new ReadLane(pool))
