// The descriptors that a thread holds, in memory that another thread reads when this one has ended. A
// terminated worker runs no code any more, so the thread that started it closes what it left open.
//
// Order: a descriptor is added once the thread holds it and removed before it is closed, so the table never
// shows one that is somebody else's by now. Atomics make each store visible to the other thread before what
// follows it.

/**
 * Descriptors are below this: RLIMIT_NOFILE is not higher by default. Table pages take memory once touched.
 */
export const MOST_DESCRIPTORS: number = 1 << 20

const NOT_HELD = 0
const HELD = 1
/** Held, but the thread has not been told yet. */
const GIVEN = 2

export class DescriptorTable {
  readonly #held: Uint8Array

  /** @param memory - The other thread's; new by default. @param at - Offset of the table in it, in bytes. */
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

  /** Another thread hands `fd` to this one, which holds it from now on. May be repeated for the same `fd`. */
  give(fd: number): void {
    if (fd < MOST_DESCRIPTORS) Atomics.store(this.#held, fd, GIVEN)
  }

  /**
   * The thread takes what it was given; no other thread calls this. The exchange pairs with the store of
   * `give`, which came before the message. A load and a store could lose a `give` of the same number between
   * them.
   *
   * @returns False when it has taken it already.
   */
  take(fd: number): boolean {
    return fd < MOST_DESCRIPTORS && Atomics.compareExchange(this.#held, fd, GIVEN, HELD) === GIVEN
  }

  /** The thread is about to close `fd`. */
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
