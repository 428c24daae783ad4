// The lanes of one copy of a tree: how many there are, what they have for memory and files, which of them are idle.

import { registerFilesSparse } from '../ring/index.js'
import type { Uring } from '../runtime/index.js'
import { Lane, type LaneHost, type LaneShare, PATH_BYTES, SMALL_BYTES } from './copy-tree-lane.js'
import type { Entry } from './copy-tree-work.js'

/** All lanes of a copy. */
export class Lanes implements LaneHost {
  readonly #lanes: Lane[]
  readonly #idle: Lane[]
  readonly #share: LaneShare
  #busy = 0

  /** @throws SystemError `io_uring_register` where memory or files cannot be registered. */
  constructor(uring: Uring, share: LaneShare, count: number) {
    this.#share = share
    const { driver } = uring
    const pool = uring.registerBufferPool({ count, size: SMALL_BYTES })
    registerFilesSparse(driver.ring, count)
    this.#lanes = Array.from({ length: count }, (_, slot) => {
      const paths = driver.arena.alloc(3 * PATH_BYTES)
      return new Lane(this, uring, share, { slot, paths, buffer: pool.tryAcquire()! })
    })
    this.#idle = [...this.#lanes]
  }

  /** Has idle lanes fetch files. */
  readonly wake = (): void => {
    const { queue, work } = this.#share
    while (this.#idle.length > 0) {
      const entry = queue.next()
      if (entry === null) return
      this.#busy++
      work.peakInFlight = Math.max(work.peakInFlight, this.#busy)
      this.#idle.pop()!.begin(entry)
    }
  }

  /** @internal A lane has done with its file. @returns The next; null when it is to be idle. */
  next(lane: Lane): Entry | null {
    this.#share.work.ended()
    const entry = this.#share.queue.next()
    if (entry === null) {
      this.#busy--
      this.#idle.push(lane)
    }
    return entry
  }
}
