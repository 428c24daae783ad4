// Decides which write to the output may run now. A file's inode admits one writer at a time: of several
// writes on libuv's pool, all but one would block their threads, and the rest of the process has no others. A
// ring's writes to one file queue up in the kernel without a thread for each, so they may be in flight
// together, but not beside a copy that the kernel makes.

/** 'shared': a write, several of which may be in flight. 'alone': work that must be the only one. */
export type TurnKind = 'shared' | 'alone'

interface Waiter {
  readonly kind: TurnKind
  readonly start: () => void
}

/** @internal Turns in the order in which they are asked for. */
export class OutputTurns {
  readonly #mostShared: number
  readonly #waiters: Waiter[] = []
  #shared = 0
  #isAlone = false

  /** @param mostShared - Writes that may be under way at once. */
  constructor(mostShared: number) {
    this.#mostShared = mostShared
  }

  /** Runs `work` when it is its turn. */
  async run<T>(kind: TurnKind, work: () => Promise<T>): Promise<T> {
    if (this.#waiters.length > 0 || !this.#isFree(kind)) {
      await new Promise<void>((start) => {
        this.#waiters.push({ kind, start })
      })
    } else this.#take(kind)
    try {
      return await work()
    } finally {
      if (kind === 'alone') this.#isAlone = false
      else this.#shared--
      this.#next()
    }
  }

  #isFree(kind: TurnKind): boolean {
    if (this.#isAlone) return false
    return kind === 'alone' ? this.#shared === 0 : this.#shared < this.#mostShared
  }

  #take(kind: TurnKind): void {
    if (kind === 'alone') this.#isAlone = true
    else this.#shared++
  }

  #next(): void {
    for (let first = this.#waiters[0]; first !== undefined; first = this.#waiters[0]) {
      if (!this.#isFree(first.kind)) return
      this.#waiters.shift()
      this.#take(first.kind)
      first.start()
    }
  }
}
