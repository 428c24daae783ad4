// Groups of buffers from which the kernel picks one when data arrives, so that an idle connection holds no
// memory. A filled buffer (or the filled part of one) reaches the consumer as a lease, and goes back to the
// kernel when the lease is released.

import { debuglog } from 'node:util'
import {
  type BufferId,
  BufferRing,
  bufferIdOf,
  errnoName,
  type GroupId,
  IORING_CQE_F_BUF_MORE,
  prepProvideBuffers,
  prepRemoveBuffers,
} from '../ring/index.js'
import { checkBoolean, checkInteger, checkMembers, invalidState } from '../syscalls/argument-errors.js'
import type { Block } from './arena.js'
import { BufferLease, LeaseBatch } from './buffer-lease.js'
import type { Driver } from './driver.js'
import { announceRegion } from './lifetime.js'

const debug = debuglog('uring')

/** What `Uring.createBufferGroup` takes. */
export interface BufferGroupOptions {
  /** How many buffers, 1 to 32768. Default 64. */
  readonly count?: number | undefined
  /** Bytes of each buffer, 1 to 16 MiB. Default 16384. */
  readonly size?: number | undefined
  /**
   * Fill a buffer with the data of several completions, one behind the other: few large buffers then serve
   * small messages well. Linux 6.12; `BufferGroup.incremental` tells whether the kernel does it.
   */
  readonly incremental?: boolean | undefined
  /**
   * Provide buffers by operations, for kernels before 5.19. Default: only where there are no buffer rings.
   */
  readonly byOperations?: boolean | undefined
}

const DEFAULT_COUNT = 64
/** Up to this many bytes are copied one by one. */
const SHORT_COPY = 24
const DEFAULT_SIZE = 16384
/** Retries for a buffer counted as available: this many in the next turn each, later ones after RETRY_MS. */
const SOON_RETRIES = 64
const RETRY_MS = 10
const MAX_COUNT = 32768
const MAX_SIZE = 1 << 24
/** Bytes of all buffers together. */
const MAX_BYTES = 2 ** 30
const MAX_GROUP = 0xffff

/** How buffers get to the kernel. */
interface Supply {
  readonly incremental: boolean
  /** Buffers that the kernel has. */
  readonly givenCount: number
  /** Notes the buffer of a CQE as taken. @returns The offset of the data in it. */
  take(res: number, flags: number): number
  giveBack(id: BufferId): void
  /** Takes the buffers from the kernel. `done` is called when it uses none of them any more. */
  close(done: () => void): void
}

/** A group of equal buffers, which any number of streams may share. Made by `Uring.createBufferGroup`. */
export class BufferGroup {
  /** The group's number: what `Sqe.setBufferGroup` selects. */
  readonly id: GroupId
  /** How many buffers. */
  readonly count: number
  /** Bytes of each. */
  readonly size: number
  /** Whether a buffer takes the data of several completions. */
  readonly incremental: boolean
  /** @internal Referenced so that the ring, which owns the memory, is not collected. */
  readonly owner: unknown
  readonly #driver: Driver
  readonly #block: Block
  /** The ArrayBuffer that the block is part of, and the offset of the block in it. */
  readonly #memory: ArrayBuffer
  readonly #memoryAt: number
  readonly #supply: Supply
  /** Leases not released yet, by buffer. */
  readonly #leases: Uint32Array
  /** By buffer: 1 when the kernel will add no more to it. */
  readonly #full: Uint8Array
  #leaseCount = 0
  /** The batch that the next lease joins. */
  #batch: LeaseBatch | null = null
  /** Operations that may take a buffer. */
  #users = 0
  readonly #awaiting = new Set<() => void>()
  /** Retries since a buffer last came back. */
  #vainRetries = 0
  #wakeQueued = false
  #closed = false
  #freed = false

  /** @internal */
  constructor(driver: Driver, owner: unknown, options: BufferGroupOptions = {}) {
    checkMembers('options', options, ['count', 'size', 'incremental', 'byOperations'])
    this.count = checkInteger('options.count', options.count ?? DEFAULT_COUNT, 1, MAX_COUNT)
    this.size = checkInteger('options.size', options.size ?? DEFAULT_SIZE, 1, MAX_SIZE)
    const incremental = checkBoolean('options.incremental', options.incremental ?? false)
    const byOperations = checkBoolean('options.byOperations', options.byOperations ?? false)
    checkInteger('options.count * options.size', this.count * this.size, 1, MAX_BYTES)
    if (driver.closed) throw driver.closedError('io_uring_register')
    this.#driver = driver
    this.owner = owner
    this.#leases = new Uint32Array(this.count)
    this.#full = new Uint8Array(this.count)
    this.id = takeGroupId(driver)
    let block: Block | null = null
    try {
      block = driver.arena.alloc(this.count * this.size)
      this.#supply = makeSupply(driver, this, block.address, incremental, byOperations)
    } catch (error) {
      if (block !== null) driver.arena.free(block)
      returnGroupId(driver, this.id)
      throw error
    }
    this.#block = block
    this.#memory = block.bytes.buffer as ArrayBuffer
    this.#memoryAt = block.bytes.byteOffset
    this.incremental = this.#supply.incremental
  }

  /** Buffers that the kernel can fill now. */
  get available(): number {
    return this.#closed ? 0 : this.#supply.givenCount
  }

  /** Leases that have not been released. */
  get leaseCount(): number {
    return this.#leaseCount
  }

  /** True once `close()` was called, or the ring is closed. */
  get closed(): boolean {
    return this.#closed || this.#driver.closed
  }

  /**
   * Lets no more streams start. The memory is given up when the last stream has ended and the last lease was
   * released. A second call does nothing.
   */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    // Those who wait for a buffer find the group closed, and end.
    this.#wake()
    this.#freeIfUnused()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** @internal Whether the group belongs to that driver's ring. Each ring numbers its groups on its own. */
  belongsTo(driver: Driver): boolean {
    return driver === this.#driver
  }

  /** @internal Keeps the group open: an operation that may take its buffers is about to start. */
  join(): void {
    this.#users++
  }

  /** @internal That operation is over. */
  leave(): void {
    this.#users--
    this.#freeIfUnused()
  }

  /** @internal A lease of the buffer that a CQE names. */
  lease(res: number, flags: number): BufferLease {
    const id = bufferIdOf(flags)
    const offset = this.#supply.take(res, flags)
    this.#leases[id]!++
    this.#leaseCount++
    if ((flags & IORING_CQE_F_BUF_MORE) === 0) this.#full[id] = 1
    let batch = this.#batch
    if (batch === null || batch.isWhole) {
      batch = new LeaseBatch(this)
      this.#batch = batch
    }
    return new BufferLease(this, batch, id, offset, res)
  }

  /** @internal Gives back the buffer of a CQE whose data nobody wants. */
  discard(res: number, flags: number): void {
    const id = bufferIdOf(flags)
    this.#supply.take(res, flags)
    this.#passOver(id, flags)
  }

  /** @internal A copy of the data of a CQE; the buffer is given back at once. */
  copy(res: number, flags: number): Buffer {
    const id = bufferIdOf(flags)
    const start = id * this.size + this.#supply.take(res, flags)
    const data = Buffer.allocUnsafe(res)
    // So few assignments cost less than a call into the engine and the view that it takes. (Longer data is
    // copied from a new view, 83 ns for 64 bytes. `subarray` takes 105 and `copy` 127: both ask a Buffer for
    // its memory first.)
    if (res <= SHORT_COPY) {
      const { bytes } = this.#block
      for (let index = 0; index < res; index++) data[index] = bytes[start + index]!
    } else data.set(new Uint8Array(this.#memory, this.#memoryAt + start, res))
    this.#passOver(id, flags)
    return data
  }

  /** The data that a CQE put into a buffer is not needed any more. */
  #passOver(id: BufferId, flags: number): void {
    this.#vainRetries = 0
    if ((flags & IORING_CQE_F_BUF_MORE) !== 0) return
    if (this.#leases[id] === 0) this.#supply.giveBack(id)
    else this.#full[id] = 1
    this.#queueWake()
  }

  /** @internal */
  view(id: BufferId, offset: number, length: number): Buffer {
    const { buffer, byteOffset, byteLength } = this.#block.bytes
    if (byteLength === 0) throw invalidState('The ring of this lease is closed')
    return Buffer.from(buffer, byteOffset + id * this.size + offset, length)
  }

  /** @internal A lease of the buffer was released. */
  giveBack(id: BufferId): void {
    this.#leaseCount--
    this.#vainRetries = 0
    if (--this.#leases[id]! === 0 && this.#full[id] === 1) {
      this.#full[id] = 0
      if (!this.closed) {
        this.#supply.giveBack(id)
        this.#queueWake()
      }
    }
    this.#freeIfUnused()
  }

  /** @internal Leases of these buffers were collected without having been released. */
  reclaim(ids: readonly BufferId[]): void {
    if (!this.#driver.closed) {
      const buffers = ids.length === 1 ? '1 buffer' : `${ids.length} buffers`
      process.emitWarning(`Taking back ${buffers} on garbage collection; call lease.release()`, 'RingLeak')
    }
    for (const id of ids) this.giveBack(id)
  }

  /** @internal Calls `listener` once when a buffer has come back (in a later microtask), or the group is closed. */
  awaitBuffer(listener: () => void): void {
    this.#awaiting.add(listener)
    if (!this.closed && this.available === 0) {
      // Forgotten leases of the batch can be collected only once the group does not refer to it.
      this.#batch = null
      return
    }
    // A buffer came back before the listener learned that there was none. It is called in a later turn: if
    // the kernel holds the very buffer that is counted as available, the rest of the event loop must get its
    // turn. (Before Linux 5.18 an operation that waits for data holds one, so that this may go on.)
    const retry = (): void => {
      if (this.#awaiting.delete(listener)) listener()
    }
    if (this.#vainRetries++ < SOON_RETRIES) setImmediate(retry)
    else setTimeout(retry, RETRY_MS)
  }

  /** @internal */
  forgetAwaiting(listener: () => void): void {
    this.#awaiting.delete(listener)
  }

  /** @internal The error for the use of a closed group. */
  closedError(): Error {
    return invalidState('The buffer group is closed')
  }

  #queueWake(): void {
    if (this.#awaiting.size === 0 || this.#wakeQueued) return
    this.#wakeQueued = true
    queueMicrotask(() => {
      this.#wakeQueued = false
      this.#wake()
    })
  }

  /** Wakes all: one that finds no data leaves the buffer to the others, and nothing else would tell them. */
  #wake(): void {
    const listeners = [...this.#awaiting]
    this.#awaiting.clear()
    for (const listener of listeners) listener()
  }

  #freeIfUnused(): void {
    if (!this.#closed || this.#freed || this.#users > 0 || this.#leaseCount > 0) return
    this.#freed = true
    this.#supply.close(() => {
      returnGroupId(this.#driver, this.id)
      this.#driver.freeLent(this.#block)
    })
  }
}

// Numbers are handed out from the top: programs that also use the raw operations tend to begin at 0.
const groupIds = new WeakMap<Driver, Set<GroupId>>()

/** @internal A number that no other group of the ring has. */
export function takeGroupId(driver: Driver): GroupId {
  let taken = groupIds.get(driver)
  if (taken === undefined) {
    taken = new Set()
    groupIds.set(driver, taken)
  }
  for (let id = MAX_GROUP; id >= 0; id--) {
    if (taken.has(id)) continue
    taken.add(id)
    return id
  }
  throw invalidState(`The ring has ${MAX_GROUP + 1} buffer groups already`)
}

function returnGroupId(driver: Driver, id: GroupId): void {
  groupIds.get(driver)?.delete(id)
}

function makeSupply(
  driver: Driver,
  group: BufferGroup,
  address: number,
  incremental: boolean,
  byOperations: boolean,
): Supply {
  if (!byOperations) {
    try {
      return new RingSupply(driver, group, address, incremental)
    } catch (error) {
      if ((error as { code?: string }).code !== 'EINVAL') throw error
      debug('buffer group %d: %s', group.id, (error as Error).message)
    }
    // The kernel may have buffer rings, but not incremental ones (6.12).
    if (incremental) return makeSupply(driver, group, address, false, false)
  }
  return new OperationSupply(driver, group, address)
}

/** Buffers provided through a ring in shared memory: no system call. Linux 5.19. */
class RingSupply implements Supply {
  readonly #driver: Driver
  readonly #ring: BufferRing
  readonly #unregister: () => void

  constructor(driver: Driver, group: BufferGroup, address: number, incremental: boolean) {
    const { count, size, id } = group
    const entries = 2 ** Math.ceil(Math.log2(count))
    const ring = BufferRing.setup(driver.ring, { group: id, entries, bufferCount: count, incremental })
    for (let index = 0; index < count; index++) ring.add(address + index * size, size, index)
    ring.advance()
    this.#driver = driver
    this.#ring = ring
    for (const region of ring.regions) announceRegion(region, true)
    // Unmaps the queue after the ring is closed. The closure must not refer to the group: through it the
    // driver would keep its own `Uring` alive.
    this.#unregister = () => {
      driver.close().then(() => closeAnnounced(ring))
    }
    driver.onClose.add(this.#unregister)
  }

  get incremental(): boolean {
    return this.#ring.incremental
  }

  get givenCount(): number {
    return this.#ring.givenCount
  }

  take(res: number, flags: number): number {
    return this.#ring.take(res, flags)
  }

  giveBack(id: BufferId): void {
    this.#ring.recycle(id)
  }

  close(done: () => void): void {
    this.#driver.onClose.delete(this.#unregister)
    closeAnnounced(this.#ring)
    done()
  }
}

/** Unmaps the queue, and withdraws its regions from what a worker has announced. */
function closeAnnounced(ring: BufferRing): void {
  const { regions } = ring
  // Before the unmap: afterwards another thread may map something there, and this one may be terminated.
  for (const region of regions) announceRegion(region, false)
  try {
    ring.close()
  } catch (error) {
    for (const region of regions) announceRegion(region, true)
    throw error
  }
}

/** Buffers provided by operations, which go with the next batch. Linux 5.7. */
class OperationSupply implements Supply {
  readonly incremental = false
  givenCount = 0
  readonly #driver: Driver
  readonly #group: BufferGroup
  readonly #address: number
  /** Settles when no buffer is on its way to the kernel any more. */
  #provided: Promise<unknown> = Promise.resolve()

  constructor(driver: Driver, group: BufferGroup, address: number) {
    this.#driver = driver
    this.#group = group
    this.#address = address
    this.#provide(0, group.count)
  }

  take(): number {
    this.givenCount--
    return 0
  }

  giveBack(id: BufferId): void {
    this.#provide(id, 1)
  }

  close(done: () => void): void {
    const { count, id } = this.#group
    const driver = this.#driver
    // A buffer that reached the kernel after the removal would stay there. (The kernel promises no order.)
    this.#provided
      .then(() => driver.submit((sqe) => prepRemoveBuffers(sqe, count, id), { syscall: 'remove_buffers' }))
      // It rejects when no buffers are left, or the ring is closing: the kernel uses none either way.
      .then(done, done)
  }

  #provide(first: BufferId, count: number): void {
    const { size, id } = this.#group
    const address = this.#address + first * size
    this.givenCount += count
    const provided = this.#driver
      .submit((sqe) => prepProvideBuffers(sqe, address, size, count, id, first), {
        syscall: 'provide_buffers',
      })
      .catch((error: { errno?: number }) => {
        this.givenCount -= count
        debug('buffer group %d: buffers lost: %s', id, errnoName(error.errno ?? 0))
      })
    const before = this.#provided
    this.#provided = provided.then(() => before)
  }
}
