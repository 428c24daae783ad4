// writeFile and appendFile on the ring, for data that is complete: open, write, make durable if asked, close.
//
// The sync is not linked to the write, though the two would then go in one system call: a kernel thread that
// waits for a sync holds up the writes behind it, and fewer of them share a commit of the file system's
// journal (measured with 64 writers on ext4: 90 us an append linked, 68 us in two steps).

import {
  addressOf,
  IORING_FSYNC_DATASYNC,
  prepFsync,
  prepWrite,
  type Sqe,
  systemError,
} from '../ring/index.js'
import { EIO } from '../syscalls/errno-values.js'
import { MAX_REPEATS } from './call.js'
import { Lane, LanePool, type LaneRequest } from './lane.js'
import { dataLost } from './node-errors.js'

/**
 * Bytes of one write. Where the file system copies inline, on the JavaScript thread, other work has to wait
 * for it.
 */
const CHUNK_BYTES = 1_048_576
/** The same through the driver's memory. */
const COPIED_BYTES = 262_144
/** Text up to this length is encoded into the driver's memory, which saves a Buffer. */
const SHORT_TEXT = 16_384

/** What follows the last write. */
export type Durability = 'none' | 'fsync' | 'fdatasync'

export interface WriteRequest extends LaneRequest {
  readonly data: string | Uint8Array
  /** Bytes of `data` when it was given; -1 for text. */
  readonly dataBytes: number
  readonly encoding: BufferEncoding
  readonly durability: Durability
}

class WriteLane extends Lane<WriteRequest> {
  /** The data, unless it is in `block`. */
  #data: Uint8Array | null = null
  #address = 0
  #length = 0
  #written = 0
  /** Consecutive writes that have written nothing. */
  #idleWrites = 0
  /** Bytes of the write in progress. */
  #asked = 0

  protected override transfer(): void {
    const { data, encoding, uring } = this.request
    this.#written = 0
    this.#idleWrites = 0
    if (typeof data === 'string' && data.length <= SHORT_TEXT) {
      // Three bytes for each UTF-16 unit are enough in every encoding.
      const block = uring.driver.arena.alloc(data.length * 3 + 1)
      this.block = block
      this.#data = null
      this.#address = block.address
      this.#length = block.bytes.write(data, 0, encoding)
    } else {
      const bytes = typeof data === 'string' ? Buffer.from(data, encoding) : data
      if (typeof data !== 'string' && data.byteLength !== this.request.dataBytes) throw dataLost()
      this.#data = bytes
      this.#length = bytes.byteLength
      // Memory that is shared between threads has no address that can be taken.
      if (bytes.byteLength === 0) this.#data = null
      else if (uring.copies || !(bytes.buffer instanceof ArrayBuffer)) {
        this.block = uring.driver.arena.alloc(Math.min(COPIED_BYTES, bytes.byteLength))
      } else {
        this.#address = addressOf(bytes)
        this.memory = bytes
      }
    }
    if (this.#length === 0) this.#sync()
    else this.#write()
  }

  #write(): void {
    const data = this.#data
    if (data !== null && data.byteLength !== this.#length) {
      this.#data = null
      this.fail(dataLost())
      return
    }
    const left = this.#length - this.#written
    if (data !== null && this.block !== null) {
      const part = data.subarray(this.#written, this.#written + this.block.bytes.length)
      this.block.bytes.set(part)
      this.#address = this.block.address - this.#written
      this.#asked = part.length
    } else this.#asked = Math.min(left, CHUNK_BYTES)
    this.issue(this.#prepareWrite, this.#onWritten, 'write')
  }

  readonly #prepareWrite = (sqe: Sqe): void => {
    prepWrite(sqe, this.fd, this.#address + this.#written, this.#asked, this.offsetAt(this.#written))
  }

  readonly #onWritten = (res: number): void => {
    if (res < 0) {
      this.#data = null
      this.fail(this.stepError(res, 'write'))
      return
    }
    this.#written += res
    if (this.#written === this.#length) {
      this.#data = null
      this.#sync()
      return
    }
    this.#idleWrites = res === 0 ? this.#idleWrites + 1 : 0
    if (this.aborted || this.#idleWrites > MAX_REPEATS) {
      this.#data = null
      this.fail(this.aborted ? this.abortError() : systemError(EIO, 'write'))
    } else this.#write()
  }

  #sync(): void {
    const { durability } = this.request
    if (durability === 'none') this.done(undefined)
    else if (durability === 'fsync') this.issue(this.#prepareSync, this.#onSynced, 'fsync')
    else this.issue(this.#prepareDatasync, this.#onSynced, 'fdatasync')
  }

  readonly #prepareSync = (sqe: Sqe): void => {
    prepFsync(sqe, this.fd, 0)
  }

  readonly #prepareDatasync = (sqe: Sqe): void => {
    prepFsync(sqe, this.fd, IORING_FSYNC_DATASYNC)
  }

  readonly #onSynced = (res: number): void => {
    if (res < 0) this.fail(this.stepError(res, this.request.durability))
    else this.done(undefined)
  }
}

/** All writeFile and appendFile calls of this thread. */
export const writeLanes = new LanePool<WriteRequest>((pool) => new WriteLane(pool))
