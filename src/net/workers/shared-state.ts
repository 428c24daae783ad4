// What the listening thread and one of its workers both see: how many connections the worker was given and has closed, and
// which descriptors it holds. A terminated worker runs no code any more: what it holds is closed by the listening thread.

import { DescriptorTable, MOST_DESCRIPTORS } from '../../runtime/descriptor-table.js'

/** Connections given to the worker, and closed by it, since it began. */
const GIVEN = 0
const CLOSED = 1
const WORDS = 2
const TABLE_AT = WORDS * 4

export class SharedState {
  readonly memory: SharedArrayBuffer
  readonly #counts: Int32Array
  readonly #table: DescriptorTable

  /** @param memory - Of the other thread's; without it, new. */
  constructor(memory = new SharedArrayBuffer(TABLE_AT + MOST_DESCRIPTORS)) {
    this.memory = memory
    this.#counts = new Int32Array(memory, 0, WORDS)
    this.#table = new DescriptorTable(memory, TABLE_AT)
  }

  /** Connections open, or on their way to the worker. */
  get connections(): number {
    // Closed first: a connection that opens and closes in between must not be counted as minus one.
    const closed = Atomics.load(this.#counts, CLOSED)
    return (Atomics.load(this.#counts, GIVEN) - closed) | 0
  }

  taken(fd: number): void {
    this.holds(fd)
    this.counted()
  }

  /** A connection that the listening thread gives to the worker, which is told of it afterwards. */
  given(fd: number): void {
    this.#table.give(fd)
    this.counted()
  }

  /** The worker was told of it. @returns False when it was before, in another way. */
  take(fd: number): boolean {
    return this.#table.take(fd)
  }

  /** A descriptor that is no connection, until `closing`. */
  holds(fd: number): void {
    this.#table.add(fd)
  }

  /** A connection whose descriptor is somebody else's business. */
  counted(): void {
    Atomics.add(this.#counts, GIVEN, 1)
  }

  /** Just before the descriptor is closed, or becomes somebody else's business. */
  closing(fd: number): void {
    this.#table.remove(fd)
  }

  closed(): void {
    Atomics.add(this.#counts, CLOSED, 1)
  }

  /** What a worker that is no more has left open. */
  descriptors(): number[] {
    return this.#table.all()
  }
}
