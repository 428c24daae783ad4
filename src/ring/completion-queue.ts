// The completion queue in shared memory: hands the words of each CQE to a visitor, then gives the slots back
// to the kernel. It makes no system call.

import {
  IORING_CQ_EVENTFD_DISABLED,
  IORING_CQE_F_32,
  IORING_CQE_F_MORE,
  IORING_CQE_F_SKIP,
  IORING_SETUP_CQE_MIXED,
} from '../syscalls/abi/index.js'
import { invalidState } from '../syscalls/argument-errors.js'
import { IS_TOTAL_STORE_ORDER } from './memory-order.js'
import type { RingLayout } from './setup.js'

/**
 * Sees one completion: the two halves of user_data, the result (negated errno on failure), the
 * `IORING_CQE_F_*` bits.
 */
export type CqeVisitor = (userDataLow: number, userDataHigh: number, res: number, flags: number) => void

/** Sees one completion with the second half of a 32-byte CQE (zeros where the CQE has 16 bytes). */
export type BigCqeVisitor = (
  userDataLow: number,
  userDataHigh: number,
  res: number,
  flags: number,
  extra0: number,
  extra1: number,
  extra2: number,
  extra3: number,
) => void

/**
 * Where a completion queue of 16-byte CQEs lies in memory, for threads other than the ring's. Positions are
 * 32-bit word indices.
 */
export interface CompletionMemory {
  readonly address: number
  /** Bytes that are mapped from `address` on. */
  readonly length: number
  readonly headAt: number
  readonly tailAt: number
  readonly cqesAt: number
  readonly entries: number
}

const EMPTY = new Int32Array(0)
const CQE_WORDS = 4

export class CompletionQueue {
  readonly entries: number = 0
  readonly #headAt: number = 0
  readonly #tailAt: number = 0
  readonly #overflowAt: number = 0
  readonly #flagsAt: number = 0
  readonly #mask: number = 0
  readonly #big: boolean = false
  readonly #mixed: boolean = false
  #words: Int32Array = EMPTY
  /** The CQEs alone, starting at index 0: this spares V8 an overflow check when two indices are added. */
  #cqes: Int32Array = EMPTY
  // Counters run modulo 2^32 and are kept as signed words.
  /** The next CQE to visit. Runs ahead of the shared head while a pass is under way. */
  #head = 0
  /** One past the last CQE known to be there. */
  #tail = 0
  /** The head last stored for the kernel; behind `#head` only while a pass runs or after a visitor threw. */
  #released = 0
  /** The head at which `endedCount` was 0. */
  readonly #start: number = 0
  /** Slots since then that ended no operation. */
  #notEnded = 0
  /** `IORING_CQ_*`, a word that only this side writes. */
  #flags = 0
  /** enter(2) has been called since the last pass, so a plain load of the tail cannot be a stale value. */
  #isEntered = false

  constructor(layout: RingLayout) {
    this.entries = layout.cqEntries
    this.#headAt = layout.cqHeadAt
    this.#tailAt = layout.cqTailAt
    this.#overflowAt = layout.cqOverflowAt
    this.#flagsAt = layout.cqFlagsAt
    this.#mask = layout.cqEntries - 1
    this.#big = layout.cqeWords !== CQE_WORDS
    this.#mixed = (layout.flags & IORING_SETUP_CQE_MIXED) !== 0
    this.#words = new Int32Array(layout.cqRing.buffer, 0, layout.cqRing.length >>> 2)
    this.#cqes = new Int32Array(layout.cqRing.buffer, layout.cqesAt * 4, layout.cqEntries * layout.cqeWords)
    this.#head = Atomics.load(this.#words, this.#headAt)
    this.#tail = this.#head
    this.#released = this.#head
    this.#start = this.#head
    if (this.#flagsAt >= 0) this.#flags = Atomics.load(this.#words, this.#flagsAt)
  }

  /** Operations whose last CQE has been visited, modulo 2^32. */
  get endedCount(): number {
    return (this.#head - this.#start - this.#notEnded) | 0
  }

  /** CQE slots filled and not visited yet. */
  ready(): number {
    // Order: none is needed, only the count is used; atomic so that a loop that polls it sees it change.
    return (Atomics.load(this.#words, this.#tailAt) - this.#head) >>> 0
  }

  /** Notes that enter(2) has returned. */
  entered(): void {
    this.#isEntered = true
  }

  /** As `ready`, right after enter(2). */
  readyAfterEnter(): number {
    // Order: none is needed for a count. A plain load is fresh here, because it follows a system call.
    return IS_TOTAL_STORE_ORDER ? (this.#words[this.#tailAt]! - this.#head) >>> 0 : this.ready()
  }

  /** Loads the shared tail; the CQEs before it may be read afterwards. */
  #loadTail(): number {
    // Order: this load, then the words of the CQEs up to it.
    // Pairs with: the kernel's store-release of the tail once a CQE is whole.
    // Without it: a CQE is read before it is written (stale user_data, a promise settled twice).
    //
    // A plain load acquires where the processor keeps loads in order, if V8 cannot have made it before
    // enter(2). It is used because an `Atomics` call takes some 25 ns, a third of what a batch costs beside
    // the system call (measured by the `nop` bench).
    if (!IS_TOTAL_STORE_ORDER || !this.#isEntered) return Atomics.load(this.#words, this.#tailAt)
    this.#isEntered = false
    return this.#words[this.#tailAt]!
  }

  /**
   * Visits every CQE that is there now, in order; returns how many.
   *
   * Each CQE's words are copied out before the visitor runs. A visitor may submit, visit (a nested call takes
   * the CQEs that are left), close the ring, or throw: a CQE that it has seen is never shown again, the
   * others stay.
   */
  forEach(visit: CqeVisitor): number {
    if (this.#big || this.#mixed) return this.#forEachWide(visit)
    this.#tail = this.#loadTail()
    const cqes = this.#cqes
    const mask = this.#mask
    let count = 0
    let head = this.#head
    while (head !== this.#tail) {
      const at = (head & mask) << 2
      const low = cqes[at]!
      const high = cqes[at | 1]!
      const res = cqes[at | 2]!
      const flags = cqes[at | 3]!
      const next = (head + 1) | 0
      this.#head = next
      if ((flags & IORING_CQE_F_MORE) !== 0) this.#notEnded++
      count++
      visit(low >>> 0, high >>> 0, res, flags >>> 0)
      // A visitor may have moved the head. One that closed the ring has set head and tail to 0.
      head = this.#head
    }
    return this.#release(count)
  }

  /** As `forEach`, with the second half of 32-byte CQEs. */
  forEachBig(visit: BigCqeVisitor): number {
    return this.#forEachWide(visit)
  }

  #forEachWide(visit: BigCqeVisitor): number {
    this.#tail = this.#loadTail()
    if (this.#head === this.#tail) return this.#release(0)
    let count = 0
    while (this.#head !== this.#tail) {
      const words = this.#cqes
      const head = this.#head
      const slot = head & this.#mask
      const at = this.#big ? slot << 3 : slot << 2
      const flags = words[at + 3]! >>> 0
      // A mixed ring marks a CQE that fills two slots; the kernel never lets one wrap, it posts a SKIP entry instead.
      const twoSlots = this.#mixed && (flags & IORING_CQE_F_32) !== 0
      const wide = this.#big || twoSlots
      const low = words[at]! >>> 0
      const high = words[at + 1]! >>> 0
      const res = words[at + 2]!
      const extra0 = wide ? words[at + 4]! >>> 0 : 0
      const extra1 = wide ? words[at + 5]! >>> 0 : 0
      const extra2 = wide ? words[at + 6]! >>> 0 : 0
      const extra3 = wide ? words[at + 7]! >>> 0 : 0
      this.#head = (head + (twoSlots ? 2 : 1)) | 0
      const skipped = this.#mixed && (flags & IORING_CQE_F_SKIP) !== 0
      if (twoSlots) this.#notEnded++
      if (skipped || (flags & IORING_CQE_F_MORE) !== 0) this.#notEnded++
      if (skipped) continue
      count++
      visit(low, high, res, flags, extra0, extra1, extra2, extra3)
    }
    return this.#release(count)
  }

  #release(count: number): number {
    this.giveBack()
    return count
  }

  /**
   * Gives the kernel the slots of all CQEs visited so far: after a pass, and before an enter(2) within one.
   */
  giveBack(): void {
    const head = this.#head
    // Nothing was visited: an idle pass costs one atomic load. (When a visitor closed the ring, both are 0.)
    if (head === this.#released) return
    // Order: the copies of the CQEs before `head`, then this store.
    // Pairs with: the kernel's load-acquire of the head before it reuses a slot.
    // Without it: the kernel overwrites a CQE that is still being read.
    // Where the processor does not move loads past later stores, a plain store is a release.
    if (IS_TOTAL_STORE_ORDER) this.#words[this.#headAt] = head
    else Atomics.store(this.#words, this.#headAt, head)
    this.#released = head
  }

  /** Completions that the kernel lost. Any growth is fatal: without NODROP or without memory. */
  loadOverflow(): number {
    // Order: none is needed, it is a counter; atomic because the kernel counts at the same time.
    return Atomics.load(this.#words, this.#overflowAt) >>> 0
  }

  /** Whether a registered eventfd is signalled. Linux 5.8. */
  get eventfdEnabled(): boolean {
    return (this.#flags & IORING_CQ_EVENTFD_DISABLED) === 0
  }

  set eventfdEnabled(enabled: boolean) {
    if (this.#flagsAt < 0) throw invalidState('This kernel has no CQ flags word (Linux 5.8)')
    this.#flags = enabled
      ? this.#flags & ~IORING_CQ_EVENTFD_DISABLED
      : this.#flags | IORING_CQ_EVENTFD_DISABLED
    // Order: when enabling, this store, then any load of the tail.
    // Pairs with: the kernel's barrier between its store of the tail and its load of this word.
    // Without it: a completion is neither seen by that load nor signalled.
    // Disabling needs no order: a signal that still comes is only a superfluous wakeup.
    if (enabled) Atomics.store(this.#words, this.#flagsAt, this.#flags)
    else this.#words[this.#flagsAt] = this.#flags
  }

  /** Forgets the shared memory; a pass that is under way ends. */
  drop(): void {
    this.#words = this.#cqes = EMPTY
    this.#head = this.#tail = this.#released = 0
  }
}
