// Bounds the kernel worker threads that make the files of a tree. A worker that makes files in memory is
// never idle: more of them only take the processors from each other and from the thread that submits. A
// worker that waits for a disk or a network leaves its processor to others. So there are few at first, and
// more once files take long.

import { availableParallelism } from 'node:os'

const MOST_AT_FIRST = 8
const MOST = 32
/**
 * A file takes a worker some 15 us in the page cache, and 500 us or more when it waits for a disk or a
 * network.
 */
const SLOW_MILLISECONDS = 0.25
/**
 * Files for each worker between two decisions: enough that a time slice of another program on a processor
 * weighs little.
 */
const FILES_EACH = 32

/** Sets the bound on threads; 0 leaves it. @returns The bound before; 0 where it cannot be set. */
export type SetBound = (bound: number) => number

/**
 * @internal The bound on workers, which all rings of a thread share. Copies change it while they run;
 *   afterwards it is as before.
 */
export class WorkerBound {
  readonly #atFirst: number
  readonly #now: () => number
  #copies = 0
  #bound = 0
  #before = 0
  #files = 0
  #since = 0

  /** @param now - A clock, in milliseconds. */
  constructor(atFirst: number, now: () => number) {
    this.#atFirst = Math.min(Math.max(atFirst, 1), MOST_AT_FIRST)
    this.#now = now
  }

  /** A copy begins. */
  begin(set: SetBound): void {
    if (this.#copies++ === 0) {
      this.#bound = this.#atFirst
      this.#before = set(this.#bound)
    }
    this.rest()
  }

  /** The workers lack files, so that their number says nothing about how long one takes: counts from here. */
  rest(): void {
    this.#files = 0
    this.#since = this.#now()
  }

  /** A file was made, while others wait. */
  made(set: SetBound): void {
    if (++this.#files < FILES_EACH * this.#bound) return
    const isSlow = (this.#now() - this.#since) / FILES_EACH > SLOW_MILLISECONDS
    this.rest()
    if (!isSlow || this.#bound >= MOST) return
    this.#bound = Math.min(this.#bound * 2, MOST)
    // A ring that was opened in the meantime may have asked for more.
    const found = set(this.#bound)
    if (found > this.#bound) set(found)
  }

  /** A copy has ended. */
  end(set: SetBound): void {
    if (--this.#copies > 0) return
    const found = set(this.#before)
    if (found > this.#bound) set(found)
  }
}

/** The bound of this thread. One processor is left to those who submit. */
export const workerBound = new WorkerBound(availableParallelism() - 1, () => performance.now())
