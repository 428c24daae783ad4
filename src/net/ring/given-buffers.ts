// Buffers that the kernel fills and the reader keeps: one that comes back well filled becomes the chunk
// itself, and a new one takes its place, which saves a copy of bulk data. Used in the main thread only:
// memory that the kernel may write must outlive the thread.

import { addressOf, BufferRing, bufferIdOf, type GroupId } from '../../ring/index.js'
import { takeGroupId } from '../../runtime/buffer-group.js'
import type { Driver } from '../../runtime/driver.js'

/** A chunk may keep at most this many times the memory of its data. */
const MOST_WASTE = 2

export class GivenBuffers {
  readonly id: GroupId
  readonly size: number
  readonly #driver: Driver
  readonly #ring: BufferRing
  /** The memory that the kernel has, by buffer ID. */
  readonly #memory: ArrayBuffer[] = []
  readonly #awaiting = new Set<() => void>()

  /** @throws SystemError `io_uring_register`: EINVAL before Linux 5.19. */
  constructor(driver: Driver, { count, size }: { readonly count: number; readonly size: number }) {
    this.#driver = driver
    this.id = takeGroupId(driver)
    this.size = size
    this.#ring = BufferRing.setup(driver.ring, { group: this.id, entries: count })
    for (let index = 0; index < count; index++) this.#supply(index)
    this.#ring.advance()
    // The kernel may write until the ring is closed: until then this listener keeps the memory alive.
    driver.onClose.add(() => {
      driver.close().then(() => this.#ring.close())
    })
  }

  get closed(): boolean {
    return this.#driver.closed
  }

  join(): void {}

  leave(): void {}

  /** The data of a CQE in memory of its own. */
  copy(res: number, flags: number): Buffer {
    const id = bufferIdOf(flags)
    this.#ring.take(res, flags)
    const filled = this.#memory[id]!
    if (res * MOST_WASTE < this.size) {
      const data = Buffer.allocUnsafe(res)
      data.set(new Uint8Array(filled, 0, res))
      this.#ring.recycle(id)
      return data
    }
    this.#supply(id)
    this.#ring.advance()
    return Buffer.from(filled, 0, res)
  }

  discard(res: number, flags: number): void {
    this.#ring.take(res, flags)
    this.#ring.recycle(bufferIdOf(flags))
  }

  /** Calls `listener` in a later turn: by then every buffer that was taken has been replaced. */
  awaitBuffer(listener: () => void): void {
    this.#awaiting.add(listener)
    setImmediate(() => {
      if (this.#awaiting.delete(listener)) listener()
    })
  }

  forgetAwaiting(listener: () => void): void {
    this.#awaiting.delete(listener)
  }

  #supply(id: number): void {
    const memory = Buffer.allocUnsafeSlow(this.size).buffer as ArrayBuffer
    this.#memory[id] = memory
    this.#ring.add(addressOf(memory), this.size, id)
  }
}
