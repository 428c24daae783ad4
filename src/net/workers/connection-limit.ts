// Enforces `maxConnections` for a server whose threads accept for themselves: each thread counts its
// connections in shared memory, and the sum of all counts is compared with the limit.

/** What a thread is told of the limit. */
export interface ConnectionLimitStart {
  /** One 32-bit count for each thread. */
  readonly memory: SharedArrayBuffer
  /** Index of the thread's own count. */
  readonly index: number
  readonly maxConnections: number
}

/** The limit, as one of the threads sees it. */
export class ConnectionLimit {
  readonly #counts: Int32Array
  readonly #index: number
  readonly #maxConnections: number

  constructor({ memory, index, maxConnections }: ConnectionLimitStart) {
    this.#counts = new Int32Array(memory)
    this.#index = index
    this.#maxConnections = maxConnections
  }

  /**
   * Counts a connection.
   *
   * @returns False when there are too many. Two that compete for the last place may both be refused.
   */
  enter(): boolean {
    Atomics.add(this.#counts, this.#index, 1)
    let sum = 0
    for (let index = 0; index < this.#counts.length; index++) sum += Atomics.load(this.#counts, index)
    if (sum <= this.#maxConnections) return true
    this.leave()
    return false
  }

  /** A connection that was counted is closed. */
  leave(): void {
    Atomics.sub(this.#counts, this.#index, 1)
  }

  /** The thread has ended, and its connections with it. */
  reset(): void {
    Atomics.store(this.#counts, this.#index, 0)
  }
}
