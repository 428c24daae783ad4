// Pools of registered buffers: memory that the kernel has pinned in advance, lent out one buffer at a time.
// Reads and writes that name such a buffer by its index need no pinning of their own.

import {
  type RegisterableBuffer,
  registerBuffers,
  registerBuffersSparse,
  registerBuffersUpdateTag,
  unregisterBuffers,
} from '../ring/index.js'
import { checkInteger, checkMembers, checkSignal, invalidState } from '../syscalls/argument-errors.js'
import { MAX_VIEW_BYTES } from '../syscalls/memory.js'
import { AbortError } from './abort-error.js'
import type { Block } from './arena.js'
import type { Driver } from './driver.js'

/** What `Uring.registerBufferPool` takes. */
export interface BufferPoolOptions {
  /** How many buffers, 1 to 1024. Default 16. */
  readonly count?: number | undefined
  /**
   * Bytes of each buffer, 1 to 1 GiB, and at most 4 GiB of all together. Multiples of 4096 start on a page, as
   * for O_DIRECT. Default 65536.
   */
  readonly size?: number | undefined
}

const DEFAULT_COUNT = 16
const DEFAULT_SIZE = 65536
const MAX_COUNT = 1024
const MAX_SIZE = 2 ** 30
/** Of all buffers together. */
const MAX_BYTES = MAX_VIEW_BYTES

/** A registered buffer on loan. It belongs to the holder until `release()`, and then to the next holder. */
export class RegisteredBuffer {
  readonly #pool: BufferPool
  readonly #slot: number
  readonly #index: number
  readonly #bytes: Buffer
  #released = false

  /** @internal @param slot - Its number in the pool. @param index - Its number in the ring's table. */
  constructor(pool: BufferPool, slot: number, index: number, bytes: Buffer) {
    this.#pool = pool
    this.#slot = slot
    this.#index = index
    this.#bytes = bytes
  }

  /** The `bufferIndex` for reads and writes. @throws Error `ERR_INVALID_STATE` after `release()`. */
  get index(): number {
    this.#check()
    return this.#index
  }

  /** The memory, driver-owned. @throws Error `ERR_INVALID_STATE` after `release()`, and once the ring is closed. */
  get bytes(): Buffer {
    this.#check()
    return this.#bytes
  }

  get released(): boolean {
    return this.#released
  }

  /**
   * Gives the buffer back to the pool. Operations on it must be over: the next holder would see what they write.
   *
   * @throws Error `ERR_INVALID_STATE` the second time.
   */
  release(): void {
    if (this.#released) throw releasedError()
    this.#released = true
    this.#pool.giveBack(this.#slot)
  }

  /** Releases what is not released yet. */
  [Symbol.dispose](): void {
    if (!this.#released) this.release()
  }

  #check(): void {
    if (this.#released) throw releasedError()
    if (this.#pool.ringClosed) throw invalidState('The ring of this buffer is closed')
  }
}

function releasedError(): Error {
  return invalidState('The registered buffer was released already')
}

interface Waiter {
  readonly resolve: (buffer: RegisteredBuffer) => void
  readonly reject: (error: unknown) => void
  readonly signal: AbortSignal | undefined
  readonly onAbort: () => void
}

/** Equal registered buffers. Made by `Uring.registerBufferPool`; a ring may have several. */
export class BufferPool {
  readonly count: number
  /** Bytes of each buffer. */
  readonly size: number
  /** @internal Referenced so that the ring, which owns the memory, is not collected. */
  readonly owner: unknown
  readonly #driver: Driver
  readonly #table: BufferTable
  readonly #block: Block
  readonly #firstIndex: number
  /** Numbers of the buffers that are not lent. */
  readonly #free: number[] = []
  readonly #waiters: Waiter[] = []
  #closed = false

  /** @internal */
  constructor(driver: Driver, owner: unknown, options: BufferPoolOptions = {}) {
    checkMembers('options', options, ['count', 'size'])
    this.count = checkInteger('options.count', options.count ?? DEFAULT_COUNT, 1, MAX_COUNT)
    this.size = checkInteger('options.size', options.size ?? DEFAULT_SIZE, 1, MAX_SIZE)
    checkInteger('options.count * options.size', this.count * this.size, 1, MAX_BYTES)
    if (driver.closed) throw driver.closedError('io_uring_register')
    this.#driver = driver
    this.owner = owner
    this.#table = tableOf(driver)
    this.#block = driver.arena.alloc(this.count * this.size)
    const { address } = this.#block
    const ranges = Array.from({ length: this.count }, (_, index) => ({
      address: address + index * this.size,
      length: this.size,
    }))
    try {
      this.#firstIndex = this.#table.add(ranges)
    } catch (error) {
      driver.arena.free(this.#block)
      throw error
    }
    // In descending order, so that the first buffer lent is number 0.
    for (let slot = this.count - 1; slot >= 0; slot--) this.#free.push(slot)
  }

  /** Buffers that are not lent. */
  get available(): number {
    return this.#free.length
  }

  /** @internal */
  get ringClosed(): boolean {
    return this.#driver.ring.closed
  }

  /**
   * Borrows a buffer, or returns null when all are lent. Its content is undefined.
   *
   * @throws Error `ERR_INVALID_STATE` when the pool is closed.
   */
  tryAcquire(): RegisteredBuffer | null {
    if (this.#closed || this.#driver.closed) throw closedError()
    const slot = this.#free.pop()
    return slot === undefined ? null : this.#lend(slot)
  }

  /**
   * Borrows a buffer, or waits for one to come back when all are lent. Waiters are served in order.
   *
   * Rejects with AbortError, or with `ERR_INVALID_STATE` when the pool is closed meanwhile.
   */
  acquire(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<RegisteredBuffer> {
    const { signal } = options
    checkSignal(signal)
    if (signal?.aborted) return Promise.reject(new AbortError(signal.reason))
    if (this.#closed || this.#driver.closed) return Promise.reject(closedError())
    const slot = this.#free.pop()
    if (slot !== undefined) return Promise.resolve(this.#lend(slot))
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        resolve,
        reject,
        signal,
        onAbort: () => {
          this.#remove(waiter)
          reject(new AbortError(signal!.reason))
        },
      }
      signal?.addEventListener('abort', waiter.onAbort, { once: true })
      this.#waiters.push(waiter)
      this.#driver.onClose.add(this.#onDriverClose)
    })
  }

  /** Lends no more. The buffers are unregistered when the last has come back. A second call does nothing. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#turnAway()
    this.#freeIfUnused()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** @internal */
  giveBack(slot: number): void {
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) {
      this.#settled(waiter)
      waiter.resolve(this.#lend(slot))
      return
    }
    this.#free.push(slot)
    this.#freeIfUnused()
  }

  #lend(slot: number): RegisteredBuffer {
    const { buffer, byteOffset } = this.#block.bytes
    const bytes = Buffer.from(buffer, byteOffset + slot * this.size, this.size)
    return new RegisteredBuffer(this, slot, this.#firstIndex + slot, bytes)
  }

  #remove(waiter: Waiter): void {
    const at = this.#waiters.indexOf(waiter)
    if (at >= 0) this.#waiters.splice(at, 1)
    this.#settled(waiter)
  }

  #settled({ signal, onAbort }: Waiter): void {
    signal?.removeEventListener('abort', onAbort)
    if (this.#waiters.length === 0) this.#driver.onClose.delete(this.#onDriverClose)
  }

  #turnAway(): void {
    for (const waiter of this.#waiters.splice(0)) {
      this.#settled(waiter)
      waiter.reject(closedError())
    }
  }

  readonly #onDriverClose = (): void => this.#turnAway()

  #freeIfUnused(): void {
    if (!this.#closed || this.#free.length < this.count) return
    this.#free.length = 0
    if (!this.#driver.ring.closed) this.#table.remove(this.#firstIndex, this.count)
    this.#driver.freeLent(this.#block)
  }
}

function closedError(): Error {
  return invalidState('The buffer pool is closed')
}

/** Slots of the table that the pools of one ring share. */
const TABLE_SLOTS = 1024
/** EINVAL: no sparse tables (Linux before 5.19). EFAULT: every slot must have a buffer (before 5.13). */
const NO_EMPTY_SLOTS: ReadonlySet<number> = new Set([-22, -14])

const tables = new WeakMap<Driver, BufferTable>()

function tableOf(driver: Driver): BufferTable {
  let table = tables.get(driver)
  if (table === undefined) {
    table = new BufferTable(driver)
    tables.set(driver, table)
  }
  return table
}

/**
 * The one table of registered buffers that a ring has. Pools share it where the kernel allows empty slots
 * (5.13); on an older kernel one pool has it alone.
 */
class BufferTable {
  readonly #driver: Driver
  /** By slot: 1 where a pool has it. Null when the kernel allows no empty slots. */
  #taken: Uint8Array | null = null
  #registered = false

  constructor(driver: Driver) {
    this.#driver = driver
  }

  /** Registers `buffers`. @returns The index of the first. */
  add(buffers: readonly RegisterableBuffer[]): number {
    const { ring } = this.#driver
    if (!this.#registered) {
      if (this.#registerEmpty()) this.#taken = new Uint8Array(TABLE_SLOTS)
      else registerBuffers(ring, buffers)
      this.#registered = true
      if (this.#taken === null) return 0
    }
    const taken = this.#taken
    if (taken === null)
      throw invalidState('This kernel has room for one buffer pool in a ring: more need Linux 5.13')
    const first = freeRange(taken, buffers.length)
    if (first < 0) {
      throw invalidState(
        `No ${buffers.length} neighbouring slots of ${TABLE_SLOTS} registered buffers are free`,
      )
    }
    const count = registerBuffersUpdateTag(ring, first, buffers)
    taken.fill(1, first, first + count)
    if (count < buffers.length) {
      this.remove(first, count)
      throw invalidState(
        `The kernel registered ${count} of ${buffers.length} buffers: is RLIMIT_MEMLOCK reached?`,
      )
    }
    return first
  }

  /** Registers a table of empty slots, where the kernel can. */
  #registerEmpty(): boolean {
    const { ring } = this.#driver
    for (const register of [
      () => registerBuffersSparse(ring, TABLE_SLOTS),
      () => registerBuffers(ring, new Array<null>(TABLE_SLOTS).fill(null)),
    ]) {
      try {
        register()
        return true
      } catch (error) {
        if (!NO_EMPTY_SLOTS.has((error as { errno?: number }).errno ?? 0)) throw error
      }
    }
    return false
  }

  remove(first: number, count: number): void {
    const { ring } = this.#driver
    if (this.#taken === null) {
      unregisterBuffers(ring)
      this.#registered = false
      return
    }
    if (count > 0) registerBuffersUpdateTag(ring, first, new Array<null>(count).fill(null))
    this.#taken.fill(0, first, first + count)
  }
}

function freeRange(taken: Uint8Array, length: number): number {
  let start = 0
  for (let slot = 0; slot < taken.length; slot++) {
    if (taken[slot] === 1) start = slot + 1
    else if (slot - start + 1 === length) return start
  }
  return -1
}
