// The submission queue in shared memory: hands out zeroed entries, publishes them, and knows how many of them
// the kernel has not taken yet. It makes no system call.

import {
  IORING_SETUP_SQ_REWIND,
  IORING_SETUP_SQE_MIXED,
  IORING_SETUP_SQPOLL,
  IORING_SQ_NEED_WAKEUP,
  IOSQE_CQE_SKIP_SUCCESS,
} from '../syscalls/abi/index.js'
import type { RingLayout } from './setup.js'
import { Sqe } from './sqe.js'

const EMPTY = new Int32Array(0)
const EMPTY_DOUBLES = new Float64Array(0)
const SQE_WORDS = 16

export class SubmissionQueue {
  readonly entries: number = 0
  readonly #headAt: number = 0
  readonly #tailAt: number = 0
  readonly #flagsAt: number = 0
  readonly #droppedAt: number = 0
  readonly #mask: number = 0
  readonly #entryWords: number = 0
  readonly #doublesPerEntry: number = 0
  readonly #sqpoll: boolean = false
  readonly #rewind: boolean = false
  readonly #mixed: boolean = false
  /** Entries of 128 bytes. */
  readonly #wide: boolean = false
  #words: Int32Array = EMPTY
  #memory: ArrayBuffer
  /**
   * All entries as doubles, so that zeroing one takes half as many stores. One array serves all entries: an
   * array for each would be as much memory again to load.
   */
  #doubles: Float64Array = EMPTY_DOUBLES
  // An entry object is made when its slot is first used, and kept: after one lap `getSqe` allocates nothing.
  readonly #sqes: Sqe[] = []
  readonly #wideSqes: (Sqe | undefined)[] = []
  // Counters run modulo 2^32 and are kept as signed words: every difference is taken with `>>> 0`.
  /** The next slot to hand out. */
  #tail = 0
  /** The kernel's head, as last seen. */
  #head = 0
  /** The tail at which the queue is full: `entries` past the head last seen. */
  #limit = 0
  /** The head at which `takenCount` was 0. */
  #start = 0

  constructor(layout: RingLayout) {
    this.entries = layout.sqEntries
    this.#headAt = layout.sqHeadAt
    this.#tailAt = layout.sqTailAt
    this.#flagsAt = layout.sqFlagsAt
    this.#droppedAt = layout.sqDroppedAt
    this.#mask = layout.sqEntries - 1
    this.#entryWords = layout.sqeWords
    this.#sqpoll = (layout.flags & IORING_SETUP_SQPOLL) !== 0
    this.#rewind = (layout.flags & IORING_SETUP_SQ_REWIND) !== 0
    this.#wide = layout.sqeWords !== SQE_WORDS
    this.#doublesPerEntry = layout.sqeWords >> 1
    this.#mixed = (layout.flags & IORING_SETUP_SQE_MIXED) !== 0
    this.#words = new Int32Array(layout.sqRing.buffer, 0, layout.sqRing.length >>> 2)
    this.#memory = layout.sqes.buffer
    this.#doubles = new Float64Array(layout.sqes.buffer)
    // Both counters start at the kernel's values: 0 in a new ring, possibly others after a resize.
    this.#head = Atomics.load(this.#words, this.#headAt)
    this.#tail = Atomics.load(this.#words, this.#tailAt)
    this.#start = this.#head
    this.#limit = (this.#head + this.entries) | 0
    // The array maps ring positions to entries. Ours is the identity for the ring's whole life, so a bad index, for
    // which the kernel posts no CQE, cannot arise.
    if (layout.sqArrayAt >= 0) {
      for (let slot = 0; slot < this.entries; slot++) this.#words[layout.sqArrayAt + slot] = slot
    }
  }

  /** Entries handed out or published that the kernel has not taken yet. */
  get pending(): number {
    return (this.#tail - this.#head) >>> 0
  }

  /** Entries that the kernel has taken, modulo 2^32; with SQPOLL, those that its thread may have taken by now. */
  get takenCount(): number {
    // Order: none is needed, the word is ours; the load reads what publish() last stored.
    const end = this.#sqpoll ? Atomics.load(this.#words, this.#tailAt) : this.#head
    return (end - this.#start) | 0
  }

  /** The next free entry, zeroed, or null when the queue is full. */
  next(): Sqe | null {
    const tail = this.#tail
    if (tail === this.#limit && !this.#hasMadeRoom()) return null
    const slot = tail & this.#mask
    const sqes = this.#sqes
    const sqe = slot < sqes.length ? sqes[slot]! : this.#makeSqe(slot)
    // Zero the whole entry every time: some kernel may read a field that the prep function does not set as a
    // flag. Until it is prepared the entry is a NOP, so a forgotten one cannot make the kernel touch memory.
    if (this.#doublesPerEntry === 8) {
      const doubles = this.#doubles
      const at = slot << 3
      doubles[at] = 0
      doubles[at | 1] = 0
      doubles[at | 2] = 0
      doubles[at | 3] = 0
      doubles[at | 4] = 0
      doubles[at | 5] = 0
      doubles[at | 6] = 0
      doubles[at | 7] = 0
    } else {
      sqe.words.fill(0)
    }
    this.#tail = (tail + 1) | 0
    return sqe
  }

  /**
   * The next free 128-byte entry: an ordinary one on a ring of such entries, two neighbouring ones with SQE_MIXED.
   * Null when there is no room, or when the ring has 64-byte entries only.
   */
  nextWide(): Sqe | null {
    if (this.#wide) return this.next()
    if (!this.#mixed) return null
    const atEnd = (this.#tail & this.#mask) === this.#mask
    if (this.entries - this.pending < (atEnd ? 3 : 2)) {
      this.refreshHead()
      if (this.entries - this.pending < (atEnd ? 3 : 2)) return null
    }
    // The two halves must be neighbours in memory: a NOP that posts nothing fills the last slot of a lap.
    if (atEnd) this.next()?.setFlags(IOSQE_CQE_SKIP_SUCCESS)
    const slot = this.#tail & this.#mask
    this.next()
    this.next()
    let sqe = this.#wideSqes[slot]
    if (sqe === undefined) {
      sqe = new Sqe(new Int32Array(this.#memory, slot * SQE_WORDS * 4, 2 * SQE_WORDS))
      this.#wideSqes[slot] = sqe
    }
    return sqe
  }

  /** Shows the kernel every entry handed out so far. @returns How many it had not taken before. */
  publish(): number {
    const tail = this.#tail
    if (this.#rewind) return (tail - this.#head) >>> 0
    if (this.#sqpoll) {
      // The SQPOLL thread takes entries on its own, so only the shared head tells how far it is. It is read
      // before the tail is stored, because afterwards the thread may have taken these entries too.
      this.refreshHead()
      // Order: the SQE words, then the tail, then the flags load in needsWakeup().
      // Pairs with: the kernel's load-acquire of the tail, and its barrier after it sets NEED_WAKEUP.
      // Without it: the kernel reads a half-filled entry, or the SQPOLL thread sleeps on a full queue (liburing#541,
      // tokio-rs/io-uring#197).
      Atomics.store(this.#words, this.#tailAt, tail)
    } else {
      // A plain store, because Atomics take some 10 ns (measured by the `nop` bench at batch 1). The only
      // reader is this thread itself, in the io_uring_enter(2) that follows, and no store moves past a system
      // call.
      this.#words[this.#tailAt] = tail
    }
    return (tail - this.#head) >>> 0
  }

  /** Notes that enter(2) took `count` entries. */
  taken(count: number): void {
    if (this.#rewind) {
      // The kernel reads from slot 0 at each enter, so the entries it did not take are moved to the front.
      const rest = (this.#tail - this.#head - count) >>> 0
      if (rest > 0)
        new Int32Array(this.#memory).copyWithin(
          0,
          count * this.#entryWords,
          (count + rest) * this.#entryWords,
        )
      this.#start = (this.#start - count) | 0
      this.#tail = rest
      return
    }
    if (!this.#sqpoll) this.#moveHead((this.#head + count) | 0)
  }

  /** Reads how far the kernel has come. */
  refreshHead(): void {
    if (this.#rewind) return
    // Order: this load, then the words of the slots it frees.
    // Pairs with: the kernel's store-release of the head once it has copied the entries.
    // Without it: a slot is rewritten while the SQPOLL thread still reads it (3000 of 3000 wrong when tried).
    this.#moveHead(Atomics.load(this.#words, this.#headAt))
  }

  #moveHead(head: number): void {
    this.#head = head
    this.#limit = (head + this.entries) | 0
  }

  /** Loads the head again when the queue seems full. @returns Whether there is room now. */
  #hasMadeRoom(): boolean {
    if (this.#words.length === 0) return false // Dropped.
    this.refreshHead()
    return this.#tail !== this.#limit
  }

  /** The flags word (`IORING_SQ_*`). */
  loadFlags(): number {
    // Order: after the tail store of publish(), by the total order of Atomics; see there.
    return Atomics.load(this.#words, this.#flagsAt)
  }

  /** True when the SQPOLL thread sleeps and must be woken by enter(2). Call after `publish`. */
  needsWakeup(): boolean {
    return (this.loadFlags() & IORING_SQ_NEED_WAKEUP) !== 0
  }

  /** Entries the kernel refused for a bad index. There is no CQE for those. */
  loadDropped(): number {
    // Order: after the enter(2) that would have dropped them; the system call is the barrier, the load is atomic
    // because an SQPOLL thread may be counting.
    return Atomics.load(this.#words, this.#droppedAt) >>> 0
  }

  /** Forgets the shared memory, here and in every entry handed out. */
  drop(): void {
    this.#words = EMPTY
    this.#doubles = EMPTY_DOUBLES
    this.#memory = new ArrayBuffer(0)
    for (const sqe of this.#sqes) sqe.drop()
    for (const sqe of this.#wideSqes) sqe?.drop()
    this.#sqes.length = 0
    this.#wideSqes.length = 0
    // Head and limit equal: the queue counts as full for good, so next() returns null.
    this.#head = this.#tail = this.#start = this.#limit = 0
  }

  /**
   * Makes the entry object of `slot`, and those missing before it, so that V8 keeps an array without holes.
   */
  #makeSqe(slot: number): Sqe {
    const sqes = this.#sqes
    for (let next = sqes.length; next <= slot; next++) {
      sqes.push(new Sqe(new Int32Array(this.#memory, next * this.#entryWords * 4, this.#entryWords)))
    }
    return sqes[slot]!
  }
}
