// How much one turn of the event loop may settle, in completions and in time, before the driver yields.
// Cached reads complete within their system call, so a loop of them would never leave the microtasks.

/**
 * Four busy loops of cached reads then delay a 1 ms interval by a p99 of some ms (bench suite `fairness`).
 */
const COMPLETIONS = 2048
const MS = 3
/**
 * Completions between two looks at the clock (a look costs some 40 ns): up to MAX_STRIDE while completions
 * are quick, one where the code between them is slow.
 */
const MAX_STRIDE = 64
const QUICK_MS = 0.5

export class TurnBudget {
  /** Completions left; the turn has had its share at 0 or below. */
  left = COMPLETIONS
  /** What `left` is at the next look at the clock. */
  #lookAt = COMPLETIONS - 1
  #stride = 1
  /** When the clock was first read in this turn; 0 before. */
  #start = 0
  #lookedAt = 0

  spend(completions: number): void {
    this.left -= completions
    if (this.left <= this.#lookAt) this.#look()
  }

  /** Notes that the code between completions has run. */
  resume(): void {
    // Where each completion causes much work, its continuations may have used up the time.
    if (this.#stride === 1 && this.#start !== 0) this.#look()
  }

  /** A turn begins. */
  renew(): void {
    this.left = COMPLETIONS
    this.#lookAt = COMPLETIONS - this.#stride
    this.#start = 0
  }

  #look(): void {
    const now = performance.now()
    this.#stride = now - this.#lookedAt > QUICK_MS ? 1 : Math.min(2 * this.#stride, MAX_STRIDE)
    this.#lookedAt = now
    this.#lookAt = this.left - this.#stride
    if (this.#start === 0) this.#start = now
    else if (now - this.#start > MS) this.left = 0
  }
}
