// Which descriptors a thread holds, in memory that another thread reads when this one has gone: a terminated worker runs no
// code any more, so what it leaves open is closed by the thread that started it.
//
// Order: a descriptor is put down once it is the thread's, and struck out before it is closed, so the table never shows one
// that is somebody else's by now. Atomics make each store visible to the other thread before what follows it.

/** Descriptors go no higher: as high as RLIMIT_NOFILE goes by default. Pages of the table are memory once touched. */
export const MOST_DESCRIPTORS: number = 1 << 20

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
    if (fd < MOST_DESCRIPTORS) Atomics.store(this.#held, fd, 1)
  }

  /** It is about to close it. */
  remove(fd: number): void {
    if (fd < MOST_DESCRIPTORS) Atomics.store(this.#held, fd, 0)
  }

  /** Those that are held, in order. */
  all(): number[] {
    const held: number[] = []
    for (let fd = this.#held.indexOf(1); fd >= 0; fd = this.#held.indexOf(1, fd + 1)) held.push(fd)
    return held
  }
}
