// Cancels on their way to the kernel. Each is sent with the next batch, and sent again when it found nothing
// although the operation is still in flight.

import {
  IORING_ASYNC_CANCEL_ALL,
  IORING_ASYNC_CANCEL_ANY,
  prepCancel64,
  type Ring,
  registerSyncCancel,
} from '../ring/index.js'
import { EALREADY, EINVAL, ENOENT } from '../syscalls/errno-values.js'
import { log } from './diagnostics.js'
import { ROLE_CANCEL, ROLE_OPERATION, type Slot } from './slot.js'
import type { SlotTable } from './slot-table.js'
import type { Submission } from './submission.js'

/** A cancel that missed is repeated for EAGER_CANCELS turns, then every NAG_MS, NAG_COUNT at a time. */
const EAGER_CANCELS = 4
const NAG_MS = 20
const NAG_COUNT = 256

export class CancelQueue {
  /** An operation with IOSQE_IO_DRAIN was issued. Every entry behind it waits for it, even its own cancel. */
  hasDrained = false
  readonly #ring: Ring
  readonly #slots: SlotTable
  readonly #submission: Submission
  readonly #sendSoon: () => void
  // Pairs of index and generation; index 0 stands for all operations.
  readonly #due: number[] = []
  readonly #missed: number[] = []
  #inFlight = 0
  #cancelsAll = false
  #timer: NodeJS.Timeout | null = null

  /** @param sendSoon - Arranges for `send` to be called soon. */
  constructor(ring: Ring, slots: SlotTable, submission: Submission, sendSoon: () => void) {
    this.#ring = ring
    this.#slots = slots
    this.#submission = submission
    this.#sendSoon = sendSoon
  }

  /** Whether any waits to be sent. */
  get isDue(): boolean {
    return this.#due.length > 0
  }

  add({ index, generation }: Slot): void {
    this.#due.push(index, generation)
    this.#sendSoon()
  }

  /** Cancels everything, and repeats that until the ring is closed. */
  addAll(): void {
    this.#cancelsAll = true
    this.#due.push(0, 0)
    this.#sendSoon()
  }

  /** Drops all cancels: the ring is closed. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#due.length = 0
    this.#missed.length = 0
  }

  /** Puts due cancels into the submission queue, as far as there is room. */
  send(): void {
    const pairs = this.#due
    let at = 0
    for (; at < pairs.length; at += 2) {
      // One cancel may always go: otherwise a full queue of operations that never end could not be cancelled.
      // It can overflow the completion queue by one, which loses nothing.
      if (this.#inFlight > 0 && !this.#submission.hasCompletionRoom()) break
      const index = pairs[at]!
      const generation = pairs[at + 1]!
      const slot = this.#slots.current(index, generation)
      if (index !== 0 && slot === null) continue
      const high = slot?.userDataHigh ?? generation
      if (this.hasDrained) {
        this.#cancelInPlace(index, generation, high)
        continue
      }
      const sqe = this.#submission.takeForCancel()
      if (sqe === null) break
      const flags = index === 0 ? IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY : 0
      prepCancel64(sqe, index | ROLE_OPERATION, high, flags)
      sqe.setUserData(index | ROLE_CANCEL, generation)
      this.#inFlight++
    }
    if (at === pairs.length) pairs.length = 0
    else pairs.splice(0, at)
  }

  /** Takes in the CQE of a cancel. */
  answered(index: number, generation: number, res: number): void {
    this.#inFlight--
    if (index === 0) {
      // Before 5.19 there is no cancel of all.
      if (res === EINVAL) for (const slot of this.#slots.queued()) this.add(slot)
      this.#nag()
      return
    }
    if (res !== ENOENT && res !== EALREADY) return
    const slot = this.#slots.current(index, generation)
    if (slot === null) return
    // The operation is where the kernel does not look for it (behind a link or a drain, between two
    // attempts), or where it cannot be stopped at the moment.
    if (++slot.cancels > EAGER_CANCELS) {
      this.#missed.push(index, generation)
      this.#nag()
      return
    }
    setImmediate(() => {
      if (this.#slots.current(index, generation) === slot) this.add(slot)
    })
  }

  /** Cancels by a system call instead of an entry. Linux 6.0. */
  #cancelInPlace(index: number, generation: number, high: number): void {
    const match = index === 0 ? { any: true } : { userDataLow: index | ROLE_OPERATION, userDataHigh: high }
    let found = 0
    try {
      found = registerSyncCancel(this.#ring, match, { timeoutMs: 0 })
    } catch (error) {
      // ETIME: it is running where it cannot be stopped at the moment.
      if ((error as { code?: string }).code !== 'ETIME') {
        log(`no cancel in place: ${(error as Error).message}`)
        this.hasDrained = false
      }
    }
    if (index !== 0 && found > 0) return
    if (index !== 0) this.#missed.push(index, generation)
    this.#nag()
  }

  /** Schedules another attempt at operations that cancels have missed. */
  #nag(): void {
    if (this.#timer !== null) return
    this.#timer = setTimeout(this.#onNag, NAG_MS)
    this.#timer.unref()
  }

  readonly #onNag = (): void => {
    this.#timer = null
    if (this.#ring.closed) return
    if (this.#cancelsAll) this.addAll()
    else this.#due.push(...this.#missed.splice(0, 2 * NAG_COUNT))
    if (this.#missed.length > 0) this.#nag()
    this.#sendSoon()
  }
}
