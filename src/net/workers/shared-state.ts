// Memory that the listening thread shares with one of its workers: how many connections the worker was given
// and has closed, and which descriptors it holds. A terminated worker runs no code, so the listening thread
// closes those.

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

  /** @param memory - That of the other thread's object. Default: new memory. */
  constructor(memory = new SharedArrayBuffer(TABLE_AT + MOST_DESCRIPTORS)) {
    this.memory = memory
    this.#counts = new Int32Array(memory, 0, WORDS)
    this.#table = new DescriptorTable(memory, TABLE_AT)
  }

  /** Connections open, or on their way to the worker. */
  get connections(): number {
    // CLOSED is loaded first: a connection that opens and closes between the loads must not count as -1.
    const closed = Atomics.load(this.#counts, CLOSED)
    return (Atomics.load(this.#counts, GIVEN) - closed) | 0
  }

  taken(fd: number): void {
    this.holds(fd)
    this.counted()
  }

  /** In the listening thread: notes a connection for the worker, before it sends the message. */
  given(fd: number): void {
    this.#table.give(fd)
    this.counted()
  }

  /**
   * In the worker: takes a connection that it was told of.
   *
   * @returns False when it was told twice and has it already.
   */
  take(fd: number): boolean {
    return this.#table.take(fd)
  }

  /** Notes that the worker holds the descriptor, until `closing`. Counts no connection. */
  holds(fd: number): void {
    this.#table.add(fd)
  }

  /** Counts a connection without noting its descriptor, which node:net may own. */
  counted(): void {
    Atomics.add(this.#counts, GIVEN, 1)
  }

  /** Removes the note: just before the descriptor is closed, or when another owner takes over. */
  closing(fd: number): void {
    this.#table.remove(fd)
  }

  closed(): void {
    Atomics.add(this.#counts, CLOSED, 1)
  }

  /** The descriptors that the worker holds: when it has ended, those that it left open. */
  descriptors(): number[] {
    return this.#table.all()
  }
}
