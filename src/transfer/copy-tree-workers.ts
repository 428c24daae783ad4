// How many of the kernel's threads make the files of a tree at once. One that makes files in memory is never idle: more of
// them only take the processors from each other and from the thread that submits. One that waits for a disk or a network
// leaves them to others. So there are few at first, and more once files take long.

import { availableParallelism } from 'node:os'

const MOST_AT_FIRST = 8
const MOST = 32
/** A file takes a thread some 15 us in the page cache; one that a disk or a network is asked for, 500 and more. */
const SLOW_MILLISECONDS = 0.25
/** Files for each thread between two judgements: enough that one turn of somebody else's on a processor weighs little. */
const FILES_EACH = 32

/** Sets the bound on threads; 0 leaves it. @returns The bound before; 0 where it cannot be set. */
export type SetBound = (bound: number) => number

/** @internal The bound, which is one for all rings of a thread: during copies it follows them, afterwards it is as before. */
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

  /** The threads lack files: how long one takes cannot be told from how many there are. */
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

/** Of this thread. One processor is left to those who submit. */
export const workerBound = new WorkerBound(availableParallelism() - 1, () => performance.now())
