// Retries after ENOMEM. The kernel stops counting the memory of a closed ring against its user's limit only
// some time after close(2) (measured on Linux 6.18: up to 28 ms), so a setup that hits the limit may succeed
// a moment later.

import { constants } from 'node:os'

const ENOMEM = -constants.errno.ENOMEM

/** The waits between attempts, in milliseconds: 63 ms in all. */
export const ENOMEM_DELAYS_MS: readonly number[] = [1, 2, 4, 8, 16, 32]

/**
 * The retries of one build, shared by all its attempts: if memory is not back after 63 ms, it will not come.
 */
export class MemoryRetries {
  readonly #sleepMs: (milliseconds: number) => void
  #used = 0

  constructor(sleepMs: (milliseconds: number) => void) {
    this.#sleepMs = sleepMs
  }

  /** Retries so far. */
  get used(): number {
    return this.#used
  }

  /**
   * Takes a negated errno. Sleeps and returns true when the call should be repeated; returns false otherwise.
   */
  again(result: number): boolean {
    const delayMs = ENOMEM_DELAYS_MS[this.#used]
    if (result !== ENOMEM || delayMs === undefined) return false
    this.#used++
    this.#sleepMs(delayMs)
    return true
  }
}
