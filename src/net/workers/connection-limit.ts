// `maxConnections` of a server whose threads accept for themselves: each counts its own where all of them see it.

/** What a thread is told of the limit. */
export interface ConnectionLimitStart {
  /** One 32-bit count for each thread. */
  readonly memory: SharedArrayBuffer
  /** The thread's own. */
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

  /** Counts a connection. @returns False when there are too many: two that come at once may both be refused the last place. */
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

  /** The thread is no more, nor are its connections. */
  reset(): void {
    Atomics.store(this.#counts, this.#index, 0)
  }
}
