// The engine under every promise: slots, batching, reaping, wakeup, fairness, bounds, cancellation, closing. It knows
// nothing of opcodes beyond NOP-like prepare functions; `operations/` gives it those.

import {
  IORING_CQE_F_MORE,
  IORING_FEAT_NODROP,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_SQPOLL,
  IORING_SQ_CQ_OVERFLOW,
  IORING_SQ_TASKRUN,
  IOSQE_IO_LINK,
  prepCancel64,
  prepLinkTimeout,
  type Ring,
  registerEventfd,
  type Sqe,
  systemError,
} from '../ring/index.js'
import { AbortError } from './abort-error.js'
import type { Arena, Block } from './arena.js'
import { announceFd, closeAtExit, forgetAtExit } from './lifetime.js'
import {
  type CqeHandler,
  type Finish,
  MAX_SLOTS,
  type MessageHandler,
  type Prepare,
  ROLE_CANCEL,
  ROLE_MESSAGE,
  ROLE_OPERATION,
  ROLE_TIMEOUT,
  SLOT_MASK,
  Slot,
} from './slot.js'
import { Wakeup } from './wakeup.js'

/** What an operation may carry besides its prepare function. */
export interface SubmitOptions<T = number> {
  /** Memory that the SQE points to: kept referenced until the final CQE. */
  readonly memory?: unknown
  readonly signal?: AbortSignal | undefined
  /** Milliseconds until the kernel cancels the operation, which then rejects with ETIMEDOUT. Linux 5.5. */
  readonly timeoutMs?: number | undefined
  /** Name of the call in error messages. */
  readonly syscall?: string
  readonly path?: string | undefined
  readonly dest?: string | undefined
  /** Turns `res` (not negative) into the promise's value. */
  readonly finish?: (res: number) => T
  /** @internal Driver memory that the SQE points to, freed after the final CQE (and after `finish`). */
  readonly block?: Block | null
  /** @internal */
  readonly block2?: Block | null
}

/** One operation of a chain, and who hears of its outcome. */
export interface ChainMember {
  readonly prepare: Prepare
  readonly options: SubmitOptions<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** Counts since the driver was opened. */
export interface Counters {
  /** Operations whose SQE reached the submission queue. */
  submitted: number
  /** Operations settled. */
  completed: number
  /** Times the driver entered the kernel to submit. */
  enters: number
  /** Operations that were complete when their enter returned: no trip through the event loop. */
  inlineCompletions: number
  /** Wakeups of the event loop. */
  wakeups: number
  /** Times the fairness budget ran out and the driver yielded to the event loop. */
  yields: number
  /** Completion queue overflows that were flushed. */
  overflows: number
}

/**
 * Completions that one turn of the event loop may settle without yielding, and the time it may take. Four busy loops
 * of cached reads then leave a 1 ms interval a p99 delay of some milliseconds (bench suite `fairness`).
 */
const BUDGET_COMPLETIONS = 2048
const BUDGET_MS = 3
/** How often, in completions, the clock is looked at: a look costs some 40 ns. */
const CLOCK_STRIDE = 16

/** How often a cancel that missed an operation in flight is sent again. */
const MAX_CANCELS = 3

const settled = Promise.resolve()
const ENOENT = -2
const EALREADY = -114
const ECANCELED = -125
const EINTR = -4
const ETIME = -62
const ETIMEDOUT = -110

let takenResolve: (value: unknown) => void
let takenReject: (error: unknown) => void
// One executor for every promise: a closure per operation would be one allocation more than the promise itself.
function takeResolvers(resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
  takenResolve = resolve
  takenReject = reject
}

/** @internal */
export class Driver {
  readonly ring: Ring
  readonly arena: Arena
  readonly counters: Counters = {
    submitted: 0,
    completed: 0,
    enters: 0,
    inlineCompletions: 0,
    wakeups: 0,
    yields: 0,
    overflows: 0,
  }
  readonly #wakeup: Wakeup
  readonly #getEvents: boolean
  readonly #sqpoll: boolean
  readonly #maxOutstanding: number
  // Slot 0 is never used: user_data 0 marks CQEs that nobody waits for.
  readonly #slots: Slot[] = [new Slot(0)]
  readonly #free: Slot[] = []
  /** Operations that wait for room, oldest first, from `#waitingAt` on. */
  #waiting: Slot[] = []
  #waitingAt = 0
  /** CQEs to come, at most: operations, linked timeouts, cancels. Kept at or below the CQ size. */
  #outstanding = 0
  #active = 0
  #flushQueued = false
  #armed = false
  #referenced = false
  #unrefByUser = false
  #budget = BUDGET_COMPLETIONS
  #clockAt = BUDGET_COMPLETIONS - CLOCK_STRIDE
  #turnStart = 0
  #closing: Promise<void> | null = null
  #closeDone: (() => void) | null = null
  #closeOnIdle = false
  #failure: Error | null = null
  #onMessage: MessageHandler | null = null
  /** Those who wait for something other than an operation, such as a message from another ring. */
  #listeners = 0
  /** Called when the driver starts to close or has failed, for those who wait for no CQE and would wait for ever. */
  readonly onClose = new Set<() => void>()

  constructor(ring: Ring, arena: Arena) {
    this.ring = ring
    this.arena = arena
    if (!(ring.features & IORING_FEAT_NODROP))
      throw systemError(-95, 'io_uring_setup', { hint: 'needs NODROP (5.5)' })
    this.#getEvents = (ring.flags & IORING_SETUP_DEFER_TASKRUN) !== 0
    this.#sqpoll = (ring.flags & IORING_SETUP_SQPOLL) !== 0
    this.#maxOutstanding = ring.cqEntries
    this.#wakeup = new Wakeup(this.#onWake)
    try {
      registerEventfd(ring, this.#wakeup.fd)
      ring.eventfdEnabled = false
    } catch (error) {
      this.#wakeup.close()
      throw error
    }
    closeAtExit(this)
    announceFd(ring.fd, true)
    announceFd(this.#wakeup.fd, true)
  }

  /** Operations not settled yet, those that wait for room included. */
  get inFlight(): number {
    return this.#active
  }

  get closed(): boolean {
    return this.#closing !== null || this.#failure !== null
  }

  /** Operations that wait for room in the completion queue. */
  get waiting(): number {
    return this.#waiting.length - this.#waitingAt
  }

  /**
   * The hot path: an entry for an operation without options, or null when it must wait (call `enqueue` then).
   * The caller prepares it and calls `issue` before anything else.
   */
  take(): Sqe | null {
    if (this.#outstanding >= this.#maxOutstanding || this.#waitingAt !== this.#waiting.length) return null
    if (this.#closing !== null || this.#failure !== null) return null
    return this.ring.getSqe() ?? this.#makeRoom()
  }

  /** Issues the entry from `take`. @param memory - Held until the CQE. */
  issue(sqe: Sqe, memory: unknown, syscall: string): Promise<number> {
    const slot = this.#free.pop() ?? this.#newSlot()
    sqe.setUserData(slot.index, slot.generation)
    slot.memory = memory
    slot.syscall = syscall
    slot.remaining = 1
    slot.queued = true
    this.#outstanding++
    this.#active++
    const promise = new Promise<number>(takeResolvers as (resolve: (value: number) => void) => void)
    slot.resolve = takenResolve
    slot.reject = takenReject
    if (!this.#flushQueued) this.#queueFlush()
    return promise
  }

  /** Gives up the entry from `take`, which could not be prepared: it goes to the kernel as a NOP that nobody awaits. */
  abandon(): void {
    this.#outstanding++
    if (!this.#flushQueued) this.#queueFlush()
  }

  /** Any operation: prepared when there is room, now or later. Options as in `SubmitOptions`. */
  submit<T = number>(prepare: Prepare, options: SubmitOptions<T> = {}): Promise<T> {
    const { signal } = options
    const syscall = options.syscall ?? 'io_uring_enter'
    if (signal?.aborted || this.closed) {
      if (options.block) this.arena.free(options.block)
      if (options.block2) this.arena.free(options.block2)
      return Promise.reject(signal?.aborted ? new AbortError(signal.reason) : this.closedError(syscall))
    }
    const slot = this.#open(syscall, prepare)
    this.#describe(slot, options)
    const promise = new Promise<T>(takeResolvers as (resolve: (value: T) => void) => void)
    slot.resolve = takenResolve
    slot.reject = takenReject
    if (signal) this.#watch(slot, signal)
    this.#enter(slot)
    return promise
  }

  /**
   * Operations that start one after the other: adjacent in the submission queue, and given to the kernel in one system
   * call. They need one entry each, and one more for each time limit; all must fit into the submission queue.
   *
   * @param linkFlag - `IOSQE_IO_LINK` or `IOSQE_IO_HARDLINK`.
   */
  submitChain(members: readonly ChainMember[], linkFlag: number): void {
    if (this.closed) throw this.closedError('io_uring_enter')
    const chain = members.map(({ prepare, options }) =>
      this.#open(options.syscall ?? 'io_uring_enter', prepare),
    )
    members.forEach(({ options, resolve, reject }, index) => {
      const slot = chain[index]!
      this.#describe(slot, options)
      slot.chain = chain
      slot.linkFlags = index < chain.length - 1 ? linkFlag : 0
      slot.resolve = resolve
      slot.reject = reject
      if (options.signal) this.#watch(slot, options.signal)
    })
    this.#enter(chain[0]!)
  }

  /** Has `handler` see the messages of other rings, for which the ring is watched from now on. */
  receive(handler: MessageHandler): void {
    this.#onMessage = handler
    // The flush arms the wakeup.
    if (!this.#flushQueued) this.#queueFlush()
  }

  /** Keeps the process alive as an operation in flight does, until `unlisten`. */
  listen(): void {
    this.#listeners++
    this.#updateRef()
  }

  unlisten(): void {
    this.#listeners--
    this.#updateRef()
  }

  /**
   * An operation that may post many CQEs. `onCqe` sees each; the operation is over after the one without `more`.
   *
   * @returns The slot, to cancel by.
   */
  submitMultishot(prepare: Prepare, onCqe: CqeHandler, syscall: string, memory: unknown): Slot {
    if (this.closed) throw this.closedError(syscall)
    const slot = this.#open(syscall, prepare)
    slot.memory = memory
    slot.onCqe = onCqe
    this.#enter(slot)
    return slot
  }

  /** Asks the kernel to cancel the operation of `slot`. Best effort: it settles by its own CQE. */
  cancel(slot: Slot): void {
    if (!slot.queued) {
      this.#forget(slot)
      return
    }
    const { index, generation } = slot
    this.#control((sqe) => {
      prepCancel64(sqe, index | ROLE_OPERATION, generation, 0)
      sqe.setUserData(index | ROLE_CANCEL, generation)
    })
  }

  /** Lets the process end although operations are in flight. */
  unref(): void {
    this.#unrefByUser = true
    this.#updateRef()
  }

  ref(): void {
    this.#unrefByUser = false
    this.#updateRef()
  }

  /** Sends the batch now instead of at the end of the turn. */
  flush(): void {
    if (!this.ring.closed) this.#flush()
  }

  /** Stops intake, cancels what is in flight, waits for every CQE, then closes ring and memory. */
  close(): Promise<void> {
    if (this.#closing !== null) return this.#closing
    this.#closing = new Promise((resolve) => {
      this.#closeDone = resolve
    })
    // What waits for room has not been seen by the kernel: it can settle at once.
    while (this.#waitingAt < this.#waiting.length) {
      this.#dismiss(this.#waiting[this.#waitingAt++]!, new AbortError(undefined, 'The ring was closed'))
    }
    this.#tellClosed()
    if (this.#active > 0 && !this.ring.closed) {
      for (const slot of this.#slots) if (slot.remaining > 0 && slot.queued) this.cancel(slot)
      this.#flush()
    }
    if (this.#active === 0) this.#finishClose()
    return this.#closing
  }

  /** Closes as soon as nothing is in flight; until then operations go on. */
  closeWhenIdle(): void {
    if (this.#active === 0) void this.close()
    else this.#closeOnIdle = true
  }

  /** At process exit, when no event loop will turn again: cancels and waits in place. */
  closeNow(): void {
    if (this.ring.closed) return
    this.#closing ??= Promise.resolve()
    forgetAtExit(this)
    announceFd(this.ring.fd, false)
    announceFd(this.#wakeup.fd, false)
    this.ring.close()
    this.#wakeup.close()
    this.arena.close()
  }

  /** Why the driver takes no more operations. */
  closedError(syscall: string): Error {
    return this.#failure ?? systemError(-9, syscall, { hint: 'the ring is closed' })
  }

  #finishClose(): void {
    const done = this.#closeDone
    this.#closeDone = null
    this.closeNow()
    done?.()
  }

  #newSlot(): Slot {
    if (this.#slots.length >= MAX_SLOTS) throw new RangeError(`More than ${MAX_SLOTS - 1} operations at once`)
    const slot = new Slot(this.#slots.length)
    this.#slots.push(slot)
    return slot
  }

  #tellClosed(): void {
    for (const listener of [...this.onClose]) listener()
    this.onClose.clear()
  }

  #describe<T>(slot: Slot, options: SubmitOptions<T>): void {
    slot.memory = options.memory ?? null
    slot.block = options.block ?? null
    slot.block2 = options.block2 ?? null
    slot.path = options.path
    slot.dest = options.dest
    slot.finish = (options.finish as Finish | undefined) ?? null
    if (options.timeoutMs !== undefined) slot.timeoutMs = options.timeoutMs
  }

  #open(syscall: string, prepare: Prepare): Slot {
    const slot = this.#free.pop() ?? this.#newSlot()
    slot.plain = false
    slot.prepare = prepare
    slot.syscall = syscall
    slot.queued = false
    slot.remaining = 0
    this.#active++
    return slot
  }

  /** Puts the slot's operation into the ring, or at the end of the line. */
  #enter(slot: Slot): void {
    if (this.#waitingAt !== this.#waiting.length || !this.#queue(slot)) this.#waiting.push(slot)
    if (!this.#flushQueued) this.#queueFlush()
  }

  /** Prepares the entries of the slot, or of its whole chain. @returns False when there is no room now. */
  #queue(slot: Slot): boolean {
    const { chain } = slot
    const needed = chain === null ? slot.entries : chain.reduce((sum, member) => sum + member.entries, 0)
    if (this.#outstanding + needed > this.#maxOutstanding) return false
    // A link must not be torn apart by a submit between its entries.
    if (this.ring.sqSpaceLeft < needed) this.#submitNow()
    if (this.ring.sqSpaceLeft < needed) return false
    if (chain === null) this.#fill(slot)
    else for (const member of chain) this.#fill(member)
    return true
  }

  /** Prepares the slot's entry and that of its time limit, for which there is room. */
  #fill(slot: Slot): void {
    const sqe = this.ring.getSqe()!
    const needed = slot.entries
    const prepare = slot.prepare!
    slot.prepare = null
    try {
      prepare(sqe)
    } catch (error) {
      this.abandon()
      this.#settleError(slot, error)
      return
    }
    if (slot.linkFlags !== 0) sqe.addFlags(slot.linkFlags)
    sqe.setUserData(slot.index | ROLE_OPERATION, slot.generation)
    slot.queued = true
    slot.remaining = needed
    this.#outstanding += needed
    if (needed === 2) {
      if (slot.linkFlags === 0) sqe.addFlags(IOSQE_IO_LINK)
      const block = this.arena.alloc(16)
      slot.timeoutBlock = block
      block.view.setBigInt64(0, BigInt(Math.floor(slot.timeoutMs / 1000)), true)
      block.view.setBigInt64(8, BigInt(Math.round((slot.timeoutMs % 1000) * 1e6)), true)
      const timeout = this.ring.getSqe()!
      prepLinkTimeout(timeout, block.address, 0)
      if (slot.linkFlags !== 0) timeout.addFlags(slot.linkFlags)
      timeout.setUserData(slot.index | ROLE_TIMEOUT, slot.generation)
    }
  }

  /** An entry whose CQE nobody waits for. Waits for no room: the CQ overflow list takes what little this adds. */
  #control(prepare: Prepare): void {
    const sqe = this.ring.getSqe() ?? this.#makeRoom()
    if (sqe === null) {
      // The SQPOLL thread is behind: try again in the next turn.
      setImmediate(() => {
        if (!this.ring.closed) this.#control(prepare)
      })
      return
    }
    prepare(sqe)
    this.#outstanding++
    if (!this.#flushQueued) this.#queueFlush()
  }

  #makeRoom(): Sqe | null {
    this.#submitNow()
    return this.ring.getSqe()
  }

  #queueFlush(): void {
    this.#flushQueued = true
    if (this.#budget > 0) {
      // A reaction on a settled promise, not queueMicrotask: Node wraps the latter in an AsyncResource.
      settled.then(this.#flush)
    } else {
      this.counters.yields++
      setImmediate(this.#flushInNewTurn)
    }
  }

  readonly #flushInNewTurn = (): void => {
    this.#newTurn()
    if (!this.ring.closed) this.#flush()
  }

  readonly #onWake = (): void => {
    if (this.ring.closed) return
    this.counters.wakeups++
    this.#newTurn()
    this.#flush()
  }

  #newTurn(): void {
    this.#budget = BUDGET_COMPLETIONS
    this.#clockAt = BUDGET_COMPLETIONS - CLOCK_STRIDE
    this.#turnStart = performance.now()
  }

  /** Spends `count` completions of this turn's budget. */
  #spend(count: number): void {
    this.#budget -= count
    if (this.#budget > this.#clockAt) return
    this.#clockAt = this.#budget - CLOCK_STRIDE
    const now = performance.now()
    if (this.#turnStart === 0) this.#turnStart = now
    if (now - this.#turnStart > BUDGET_MS) this.#budget = 0
  }

  /** Submits, reaps, feeds those that wait, until nothing moves or the budget is spent; then arms the wakeup. */
  readonly #flush = (): void => {
    this.#flushQueued = false
    if (this.ring.closed) return
    if (this.#armed) {
      this.#armed = false
      this.ring.eventfdEnabled = false
    }
    for (;;) {
      this.#submitNow()
      const count = this.ring.forEachCqe(this.#onCqe)
      if (count > 0) {
        this.counters.inlineCompletions += count
        this.#spend(count)
      }
      this.#feed()
      if (this.ring.closed) return
      if (this.ring.sqPending > 0 && !this.#sqpoll) {
        if (this.#budget > 0) continue
        if (!this.#flushQueued) this.#queueFlush()
        break
      }
      if (this.#outstanding === 0 && this.#onMessage === null) break
      // Order: enable the eventfd, then look again. What came before the look is seen; what comes after it signals.
      this.ring.eventfdEnabled = true
      this.#armed = true
      if (!this.#workIsDue()) break
      this.#armed = false
      this.ring.eventfdEnabled = false
      if (this.#budget <= 0) {
        if (!this.#flushQueued) this.#queueFlush()
        break
      }
    }
    this.#updateRef()
    if (this.#active > 0) return
    if (this.#closeOnIdle) void this.close()
    else if (this.#closing !== null) this.#finishClose()
  }

  #workIsDue(): boolean {
    const { ring } = this
    return ring.cqReady > 0 || (ring.sqFlags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) !== 0
  }

  #feed(): void {
    while (this.#waitingAt < this.#waiting.length) {
      const slot = this.#waiting[this.#waitingAt]!
      if (!this.#queue(slot)) break
      this.#waitingAt++
    }
    if (this.#waitingAt === this.#waiting.length && this.#waitingAt > 0) {
      this.#waiting = []
      this.#waitingAt = 0
    } else if (this.#waitingAt > 4096) {
      this.#waiting.splice(0, this.#waitingAt)
      this.#waitingAt = 0
    }
  }

  #submitNow(): void {
    if (this.ring.sqPending === 0 && !this.#getEvents) return
    this.counters.enters++
    try {
      if (this.#getEvents) this.ring.submitAndWait(0)
      else this.ring.submit()
    } catch (error) {
      const { code } = error as { code?: string }
      // Nothing is lost: the entries stay queued, and go once completions have been reaped.
      if (code === 'EBUSY' || code === 'EAGAIN' || code === 'EINTR') {
        this.counters.overflows++
        if (!this.#flushQueued) {
          this.#flushQueued = true
          setImmediate(this.#flushInNewTurn)
        }
        return
      }
      this.#fail(error as Error)
    }
  }

  /** The ring is of no use any more: what the kernel has not seen is rejected, the rest is drained by closing it. */
  #fail(error: Error): void {
    if (this.#failure !== null) return
    this.#failure = error
    this.ring.close()
    for (const slot of this.#slots) {
      if (slot.index === 0 || this.#free.includes(slot)) continue
      this.#settleError(slot, error)
    }
    this.#waiting = []
    this.#waitingAt = 0
    this.#wakeup.close()
    this.#tellClosed()
    this.#closeDone?.()
  }

  readonly #onCqe = (low: number, generation: number, res: number, flags: number): void => {
    if (low === 0) {
      this.#outstanding--
      return
    }
    if (low >= ROLE_CANCEL) {
      if (low >= ROLE_MESSAGE) this.#onMessage?.(low - ROLE_MESSAGE, generation, res)
      else this.#onCancelled(this.#slots[low & SLOT_MASK]!, generation, res)
      return
    }
    const slot = this.#slots[low & SLOT_MASK]!
    if (slot.generation !== generation)
      throw new Error(`A completion came for operation ${low} after its last`)
    if (slot.plain) {
      this.#outstanding--
      this.#active--
      slot.remaining = 0
      this.counters.completed++
      const { resolve, reject, syscall } = slot
      slot.clear()
      this.#free.push(slot)
      if (res >= 0) resolve(res)
      else reject(systemError(res, syscall))
      return
    }
    this.#completeSlow(slot, low & ~SLOT_MASK, res, flags)
  }

  /**
   * A cancel has been carried out. A timer that is just firing is on no list of the kernel (ENOENT), or cannot be
   * stopped (EALREADY): a repeated one would go on for ever, so it is cancelled again.
   */
  #onCancelled(slot: Slot, generation: number, res: number): void {
    this.#outstanding--
    if ((res !== ENOENT && res !== EALREADY) || slot.generation !== generation) return
    // A member of a chain that has not started is found once its predecessor is over: #cancelRest sees to that.
    if (slot.plain || slot.chain !== null || slot.cancels >= MAX_CANCELS) return
    slot.cancels++
    setImmediate(() => {
      if (slot.generation === generation && !this.ring.closed) this.cancel(slot)
    })
  }

  #completeSlow(slot: Slot, role: number, res: number, flags: number): void {
    const more = (flags & IORING_CQE_F_MORE) !== 0
    if (role === ROLE_TIMEOUT) {
      if (res === ETIME) slot.timedOut = true
    } else if (slot.onCqe !== null) {
      if (!more) this.#leave(slot)
      const { onCqe } = slot
      if (!more) this.#release(slot)
      onCqe(res, flags, more)
      return
    } else if (more) {
      // A zero-copy send: the result is here, the memory is not ours again until the notification.
      slot.res = res
      return
    } else if ((flags & 8) === 0) {
      slot.res = res
    }
    this.#outstanding--
    if (--slot.remaining > 0) return
    this.#active--
    this.counters.completed++
    this.#settle(slot)
  }

  #leave(slot: Slot): void {
    this.#outstanding--
    this.#active--
    slot.remaining = 0
    this.counters.completed++
  }

  #settle(slot: Slot): void {
    const { res, resolve, reject, finish, signal } = slot
    if (slot.chain !== null && (slot.aborted || this.#closing !== null)) this.#cancelRest(slot)
    if (res >= 0) {
      // Success is success, also when an abort or a timeout came too late.
      let value: unknown = res
      if (finish !== null) {
        try {
          value = finish(res)
        } catch (error) {
          this.#release(slot)
          reject(error)
          return
        }
      }
      this.#release(slot)
      resolve(value)
      return
    }
    const interrupted = res === ECANCELED || res === EINTR
    let error: unknown
    if (slot.aborted && interrupted) error = new AbortError(signal?.reason)
    else if (slot.timedOut && interrupted) error = systemError(ETIMEDOUT, slot.syscall, { path: slot.path })
    else if (interrupted && this.#closing !== null) error = new AbortError(undefined, 'The ring was closed')
    else error = systemError(res, slot.syscall, { path: slot.path, dest: slot.dest })
    this.#release(slot)
    reject(error)
  }

  /**
   * Cancels the members after `slot`. The kernel cannot find a member that has not started, so the cancel that was sent
   * for it at first missed; it may start now that the one before it is over.
   */
  #cancelRest(slot: Slot): void {
    const { chain } = slot
    // Members that are over have left the chain, and serve other operations by now.
    for (const member of chain!) if (member !== slot && member.chain === chain) this.cancel(member)
  }

  /** Rejects an operation, or a whole chain, that the kernel does not have. */
  #dismiss(slot: Slot, error: unknown): void {
    for (const member of slot.chain ?? [slot]) this.#settleError(member, error)
  }

  /** Rejects an operation that the kernel does not have. */
  #settleError(slot: Slot, error: unknown): void {
    const { reject, onCqe } = slot
    this.#active--
    slot.remaining = 0
    slot.plain = false
    this.#release(slot)
    if (onCqe !== null) onCqe(ECANCELED, 0, false)
    else reject(error)
  }

  #release(slot: Slot): void {
    if (slot.block !== null) this.arena.free(slot.block)
    if (slot.block2 !== null) this.arena.free(slot.block2)
    if (slot.timeoutBlock !== null) this.arena.free(slot.timeoutBlock)
    if (slot.onAbort !== null) slot.signal?.removeEventListener('abort', slot.onAbort)
    slot.clear()
    this.#free.push(slot)
  }

  #watch(slot: Slot, signal: AbortSignal): void {
    slot.signal = signal
    slot.onAbort = () => {
      slot.aborted = true
      this.cancel(slot)
    }
    signal.addEventListener('abort', slot.onAbort, { once: true })
  }

  /** Cancels an operation that still waits for room. */
  #forget(slot: Slot): void {
    const head = slot.chain?.[0] ?? slot
    const at = this.#waiting.indexOf(head, this.#waitingAt)
    if (at < 0) return
    this.#waiting.splice(at, 1)
    this.#dismiss(head, new AbortError(slot.signal?.reason))
  }

  #updateRef(): void {
    const wanted = this.#active + this.#listeners > 0 && !this.#unrefByUser
    if (wanted === this.#referenced) return
    this.#referenced = wanted
    if (wanted) this.#wakeup.ref()
    else this.#wakeup.unref()
  }
}
