// The lanes of one copy of a tree: how many there are, their memory and registered files, and which of them
// are idle.

import { setTimeout as delay } from 'node:timers/promises'
import { isAtLeast, probe } from '../../config/index.js'
import { registerFilesSparse, registerIowqMaxWorkers, unregisterFiles } from '../../ring/index.js'
import { log } from '../../runtime/diagnostics.js'
import type { Uring } from '../../runtime/index.js'
import { Lane, type LaneHost, type LaneShare, MOST_STEPS, PATH_BYTES, SMALL_BYTES } from './tree-lane.js'
import { workerBound } from './tree-workers.js'

/** Two ticks of the slowest timer that kernels are built with. */
const RELEASE_MS = 20

/** The lanes begin files in this many batches: one batch begins while the kernel works on the others. */
const BATCHES = 4

/** All lanes of a copy. */
export class Lanes implements LaneHost {
  readonly #idle: Lane[]
  /** Lanes that have finished their file. */
  readonly #done: Lane[] = []
  readonly #batch: number
  readonly #share: LaneShare
  readonly #maker: Uring
  #busy = 0

  /** @throws SystemError `io_uring_setup`, `io_uring_register` where a second ring or its files cannot be had. */
  constructor(uring: Uring, share: LaneShare, count: number) {
    this.#share = share
    const { arena } = uring.driver
    // Room for the chains of all lanes at once.
    const maker = share.work.session.openMaker(2 ** Math.ceil(Math.log2(count * MOST_STEPS)))
    registerFilesSparse(maker.driver.ring, count)
    this.#maker = maker
    this.#batch = Math.max(1, Math.floor(count / BATCHES))
    this.#idle = Array.from({ length: count }, (_, slot) => {
      const [paths, buffer] = [arena.alloc(3 * PATH_BYTES), arena.alloc(SMALL_BYTES)]
      return new Lane(this, { reader: uring.driver, maker: maker.driver, slot, paths, buffer }, share)
    })
    workerBound.begin(this.#setWorkers)
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

  /**
   * @internal Lanes begin files in batches: a system call for each would take longer than the work that it
   *   asks for.
   */
  done(lane: Lane): void {
    const done = this.#done
    done.push(lane)
    if (done.length >= this.#batch || done.length === this.#busy) this.#goOn()
  }

  #goOn(): void {
    const { queue } = this.#share
    for (const lane of this.#done.splice(0)) {
      const entry = queue.next()
      if (entry === null) {
        workerBound.rest()
        lane.rest()
      } else {
        workerBound.made(this.#setWorkers)
        lane.begin(entry)
      }
    }
  }

  /** @internal */
  idle(lane: Lane): void {
    this.#busy--
    this.#idle.push(lane)
    // No other lane is busy, so nothing else will complete the batch.
    if (this.#done.length > 0 && this.#done.length === this.#busy) this.#goOn()
  }

  /**
   * To be called once, when all lanes are idle for good and before the rings are closed. Afterwards no copy
   * is open for writing any more, so that it can be executed (no ETXTBSY).
   */
  async end(): Promise<void> {
    workerBound.end(this.#setWorkers)
    try {
      unregisterFiles(this.#maker.driver.ring)
    } catch (error) {
      log(`the files of a copy are given up with its ring: ${(error as Error).message}`)
    }
    // There, a kernel thread releases registered files that were closed: the call above waits for that
    // thread, and the file is closed at its next tick.
    const { kernelVersion } = probe()
    if (kernelVersion !== null && !isAtLeast(kernelVersion, '6.4')) await delay(RELEASE_MS)
  }

  readonly #setWorkers = (bounded: number): number => {
    try {
      return registerIowqMaxWorkers(this.#maker.driver.ring, { bounded }).bounded
    } catch (error) {
      // Before Linux 5.15, where registrations are restricted, or when the ring has failed: the bound stands.
      log(`no bound of ${bounded} on worker threads: ${(error as Error).message}`)
      return 0
    }
  }
}
