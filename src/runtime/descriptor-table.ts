// Which descriptors a thread holds, in memory that another thread reads when this one has gone: a terminated worker runs no
// code any more, so what it leaves open is closed by the thread that started it.
//
// Order: a descriptor is put down once it is the thread's, and struck out before it is closed, so the table never shows one
// that is somebody else's by now. Atomics make each store visible to the other thread before what follows it.

/** Descriptors go no higher: as high as RLIMIT_NOFILE goes by default. Pages of the table are memory once touched. */
export const MOST_DESCRIPTORS: number = 1 << 20

const NOT_HELD = 0
const HELD = 1
/** Held, and the thread has not heard of it yet. */
const GIVEN = 2

export class DescriptorTable {
  readonly #held: Uint8Array

  /** @param memory - Of the other thread's; without it, new. @param at - Where in it the table begins, in bytes. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(MOST_DESCRIPTORS), at = 0) {
    this.#held = new Uint8Array(memory, at, MOST_DESCRIPTORS)
  }

  get memory(): SharedArrayBuffer {
    return this.#held.buffer as SharedArrayBuffer
  }

  /** The thread holds `fd` from now on. */
  add(fd: number): void {
    if (fd < MOST_DESCRIPTORS) Atomics.store(this.#held, fd, HELD)
  }

  /** Another thread gives it `fd`, which it holds from now on. It may be told so more than once. */
  give(fd: number): void {
    if (fd < MOST_DESCRIPTORS) Atomics.store(this.#held, fd, GIVEN)
  }

  /**
   * The thread takes what it was given. It alone does: the exchange is with the store of `give`, which came before the
   * message; a load and a store could lose a `give` of the same number between them.
   *
   * @returns False when it has taken it already.
   */
  take(fd: number): boolean {
    return fd < MOST_DESCRIPTORS && Atomics.compareExchange(this.#held, fd, GIVEN, HELD) === GIVEN
  }

  /** It is about to close it. */
  remove(fd: number): void {
    if (fd < MOST_DESCRIPTORS) Atomics.store(this.#held, fd, NOT_HELD)
  }

  /** Those that are held. */
  all(): number[] {
    const held: number[] = []
    for (const state of [HELD, GIVEN]) {
      for (let fd = this.#held.indexOf(state); fd >= 0; fd = this.#held.indexOf(state, fd + 1)) held.push(fd)
    }
    return held
  }
}
