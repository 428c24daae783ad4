// Decides when the ring is submitted to and reaped: at the end of each turn, when the eventfd wakes the event
// loop, and again after the kernel refused. It yields before the rest of the event loop waits too long.

import { IORING_SQ_CQ_OVERFLOW, IORING_SQ_TASKRUN, type Ring, registerEventfd } from '../ring/index.js'
import type { CancelQueue } from './cancel-queue.js'
import { log, overflowed } from './diagnostics.js'
import type { InFlight } from './in-flight.js'
import type { Settlement } from './settlement.js'
import type { Submission } from './submission.js'
import { TurnBudget } from './turn-budget.js'
import { Wakeup } from './wakeup.js'

/** How long after a refused batch with nothing to reap the next attempt is made. */
const RETRY_MS = 1

const settled = Promise.resolve()

/** What it needs of the driver. */
export interface PumpHost {
  /** A round is over: everything that was due has been done. */
  roundEnded(): void
  /** Completions are lost. */
  fail(error: Error): void
}

export class Pump {
  readonly #ring: Ring
  readonly #inFlight: InFlight
  readonly #submission: Submission
  readonly #settlement: Settlement
  readonly #cancels: CancelQueue
  readonly #host: PumpHost
  readonly #wakeup: Wakeup
  readonly #budget = new TurnBudget()
  /** The eventfd can be disabled, and is while this thread looks at the ring anyway. */
  readonly #mutes: boolean
  /** A flush is scheduled or running: what is issued now goes with it. */
  #isQueued = false
  #isScheduled = false
  /** The eventfd was enabled by `#arm`. */
  #isArmed = false
  #isReferenced = false
  #inline = 0
  #wakeups = 0
  #yields = 0
  #overflows = 0

  constructor(
    ring: Ring,
    inFlight: InFlight,
    submission: Submission,
    settlement: Settlement,
    cancels: CancelQueue,
    host: PumpHost,
  ) {
    this.#ring = ring
    this.#inFlight = inFlight
    this.#submission = submission
    this.#settlement = settlement
    this.#cancels = cancels
    this.#host = host
    this.#wakeup = new Wakeup(this.#onWake)
    try {
      registerEventfd(ring, this.#wakeup.fd)
      this.#mutes = canMute(ring)
    } catch (error) {
      this.#wakeup.close()
      throw error
    }
    if (this.#mutes) ring.eventfdEnabled = false
  }

  /** Operations that were complete when their enter returned. */
  get inlineCompletions(): number {
    return this.#inline
  }

  get wakeups(): number {
    return this.#wakeups
  }

  /** Times it yielded to the rest of the event loop. */
  get yields(): number {
    return this.#yields
  }

  get overflows(): number {
    return this.#overflows
  }

  /** Makes sure that what was issued goes to the kernel at the end of this turn. */
  queue(): void {
    if (!this.#isQueued) this.#schedule()
  }

  /** Sets whether the wakeup keeps the process alive. */
  setReferenced(isReferenced: boolean): void {
    if (isReferenced === this.#isReferenced) return
    this.#isReferenced = isReferenced
    if (isReferenced) this.#wakeup.ref()
    else this.#wakeup.unref()
  }

  close(): void {
    this.#wakeup.close()
  }

  /** Submits, reaps and feeds the line until nothing moves or the budget is spent; then arms the wakeup. */
  flush(): void {
    const ring = this.#ring
    const submission = this.#submission
    if (ring.closed) return
    // What is issued while this runs goes with the next round of this loop.
    this.#isQueued = true
    let isAfterwardsDue = false
    this.#disarm()
    for (;;) {
      submission.takeWantsSpace()
      if (this.#cancels.isDue) this.#cancels.send()
      const { enters } = submission
      const wasTaken = submission.submitNow()
      const count = this.#reap(submission.enters !== enters)
      if (ring.closed) return
      const hasLine = submission.line.first !== null
      if (!hasLine && this.#inFlight.isIdle && this.#settlement.onMessage === null) break
      const wasFed = hasLine && submission.feed()
      if (ring.closed) return
      if (count < 0 || (!wasTaken && count === 0)) {
        // Nothing came free, so the kernel would refuse again.
        this.#flushLater()
        break
      }
      // A completion has made room for a cancel, or there are new entries.
      if (wasFed || submission.isDue || (count > 0 && this.#cancels.isDue)) {
        if (this.#budget.left > 0) continue
        isAfterwardsDue = true
        break
      }
      if (!this.#mutes) break
      this.#arm()
      if (!this.#workIsDue()) break
      this.#disarm()
      if (this.#budget.left <= 0) {
        isAfterwardsDue = true
        break
      }
    }
    this.#isQueued = this.#isScheduled
    if (isAfterwardsDue) this.#schedule()
    else if (submission.takeWantsSpace()) this.#flushLater()
    this.#host.roundEnded()
  }

  #schedule(): void {
    this.#isQueued = true
    // One flush at a time: a second would from then on split the batches of the first, and add its budget.
    if (this.#isScheduled) return
    this.#isScheduled = true
    if (this.#budget.left > 0) {
      // A reaction on a settled promise, not queueMicrotask, which Node wraps in an AsyncResource.
      settled.then(this.#scheduledFlush)
    } else {
      this.#yields++
      setImmediate(this.#flushInNewTurn)
    }
  }

  readonly #scheduledFlush = (): void => {
    this.#isScheduled = false
    this.#budget.resume()
    if (this.#budget.left > 0) this.flush()
    else this.#schedule()
  }

  readonly #flushInNewTurn = (): void => {
    this.#isScheduled = false
    this.#budget.renew()
    this.flush()
  }

  /** Tries again after a moment, where nothing would signal that it is possible. */
  #flushLater(): void {
    this.#isQueued = true
    if (this.#isScheduled) return
    this.#isScheduled = true
    setTimeout(this.#flushInNewTurn, RETRY_MS)
  }

  readonly #onWake = (): void => {
    this.#wakeups++
    this.#budget.renew()
    this.flush()
  }

  /** Settles what is complete. @returns CQEs seen; -1 when the kernel refuses to post those it holds back. */
  #reap(hasEntered: boolean): number {
    if (this.#ring.closed) return 0
    const before = this.#inFlight.completed
    try {
      const count = this.#ring.forEachCqe(this.#settlement.onCqe)
      if (count > 0) {
        if (hasEntered) this.#inline += this.#inFlight.completed - before
        this.#budget.spend(count)
      }
      return count
    } catch (error) {
      if (this.#submission.isRefusal(error)) return -1
      // Completions are lost: whoever waits for them would wait for ever.
      this.#host.fail(error as Error)
      return 0
    }
  }

  #arm(): void {
    // Order: enable the eventfd, then look again. What came before the look is seen; what comes after it signals.
    this.#ring.eventfdEnabled = true
    this.#isArmed = true
  }

  #disarm(): void {
    if (!this.#isArmed) return
    this.#isArmed = false
    this.#ring.eventfdEnabled = false
  }

  #workIsDue(): boolean {
    const ring = this.#ring
    const flags = ring.sqFlags
    if (flags & IORING_SQ_CQ_OVERFLOW) {
      this.#overflows++
      if (overflowed.hasSubscribers)
        overflowed.publish({ ring, cqEntries: ring.cqEntries, inFlight: this.#inFlight.active })
      log(
        `the completion queue of ring ${ring.fd} overflowed (${ring.cqEntries} entries); the kernel keeps the rest`,
      )
    }
    return ring.cqReady > 0 || (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) !== 0
  }
}

function canMute(ring: Ring): boolean {
  try {
    ring.eventfdEnabled = true
    return true
  } catch {
    // Linux 5.7 and older: an unneeded wakeup now and then.
    return false
  }
}
