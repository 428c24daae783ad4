// The engine under every promise: slots, batching, reaping, wakeup, fairness, bounds, cancellation, closing. It knows
// nothing of opcodes beyond what a prepare function fills in; `operations/` gives it those.

import {
  IORING_CQE_F_MORE,
  IORING_CQE_F_NOTIF,
  IORING_FEAT_NODROP,
  IORING_OP_NOP,
  IORING_OP_SEND_ZC,
  IORING_OP_SENDMSG_ZC,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_IOPOLL,
  IORING_SETUP_R_DISABLED,
  IORING_SETUP_SQE128,
  IORING_SETUP_SQPOLL,
  IORING_SQ_CQ_OVERFLOW,
  IORING_SQ_TASKRUN,
  IOSQE_CQE_SKIP_SUCCESS,
  IOSQE_IO_DRAIN,
  IOSQE_IO_LINK,
  prepLinkTimeout,
  type Ring,
  registerEventfd,
  type Sqe,
  systemError,
} from '../ring/index.js'
import { WORD_USER_DATA } from '../ring/sqe.js'
import { invalidValue, outOfRange } from '../syscalls/argument-errors.js'
import { AbortError } from './abort-error.js'
import { AbortWatch } from './abort-watch.js'
import type { Arena, Block } from './arena.js'
import { type CancelHost, CancelQueue } from './cancel-queue.js'
import { log, overflowed } from './diagnostics.js'
import { EntryImages } from './entry-images.js'
import { announceFd, announceRegion, closeAtExit, forgetAtExit } from './lifetime.js'
import { MappedBufferGuard, type MappedBufferOptions, type MappedBufferPolicy } from './mapped-buffers.js'
import type { Bounce } from './mapped-entry.js'
import { operationError, resultError, ringClosedError } from './operation-errors.js'
import {
  type CqeHandler,
  type Finish,
  MAX_SLOTS,
  type MessageHandler,
  NO_RESULT,
  type Prepare,
  ROLE_CANCEL,
  ROLE_MESSAGE,
  ROLE_NOBODY,
  ROLE_OPERATION,
  ROLE_TIMEOUT,
  SLOT_MASK,
  Slot,
} from './slot.js'
import { SlotTable } from './slot-table.js'
import { type ChainMember, type Counters, entriesFor, type SubmitOptions } from './submit-options.js'
import { TurnBudget } from './turn-budget.js'
import { WaitingLine } from './waiting-line.js'
import { Wakeup } from './wakeup.js'

export type { ChainMember, Counters, SubmitOptions } from './submit-options.js'

/** How long after a refused batch with nothing to reap it is tried again. */
const RETRY_MS = 1

const EBADF = -9
const ETIME = -62
const EOPNOTSUPP = -95
const EALREADY = -114
const ECANCELED = -125

/** The bits of an entry's first word that link and drain it. */
const LINK_BIT = IOSQE_IO_LINK << 8
const DRAIN_BIT = IOSQE_IO_DRAIN << 8

/** Setup flags of rings that cannot be relied on to wake an event loop. */
const UNFIT: readonly (readonly [flag: number, why: string])[] = [
  [IORING_SETUP_IOPOLL, 'has IORING_SETUP_IOPOLL: such a ring completes nothing unless it is asked'],
  [IORING_SETUP_R_DISABLED, 'has IORING_SETUP_R_DISABLED: enable() such a ring and use it raw'],
  // Seen on 6.18: of the completions that a write to an eventfd brings about, only the first signals the ring's own
  // eventfd. docs/decisions/default-setup-flags.md
  [IORING_SETUP_DEFER_TASKRUN, 'has IORING_SETUP_DEFER_TASKRUN: such a ring loses wakeups'],
]

const settled = Promise.resolve()

// One executor for every promise: a closure per operation would be one allocation more than the promise itself.
function takeResolvers(resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
  promised.resolve = resolve
  promised.reject = reject
}
/** Whose promise is being made. */
let promised = new Slot(0)

/** The promise that `slot` settles. */
function promiseOf<T>(slot: Slot): Promise<T> {
  promised = slot
  return new Promise<T>(takeResolvers as (resolve: (value: T) => void) => void)
}

/** Memory of operations whose ring failed under them: the kernel may still write there, so it is never freed. */
const limbo: unknown[] = []

export class Driver implements CancelHost {
  readonly ring: Ring
  readonly arena: Arena
  /** Called when the driver starts to close or has failed, for those who wait for no CQE and would wait for ever. */
  readonly onClose = new Set<() => void>()
  readonly #wakeup: Wakeup
  readonly #sqpoll: boolean
  /** The eventfd is muted while this thread looks at the ring anyway. */
  readonly #mutes: boolean
  #maxOutstanding = 0
  readonly #slots = new SlotTable()
  readonly #line = new WaitingLine()
  readonly #images: EntryImages
  readonly #cancels: CancelQueue
  readonly #budget = new TurnBudget()
  readonly #guard: MappedBufferGuard
  /** What the guard watches; its first word is 0 while there is nothing to guard against. */
  readonly #watched: Int32Array
  /** What `#outstanding` must stay below for the hot path: 0 while operations wait, or none is taken in. */
  #limit = 0
  /** CQEs to come, at most: operations, linked timeouts, cancels. Kept at or below the CQ size. */
  #outstanding = 0
  /** Operations not settled. */
  #active = 0
  /** Those of them that stand ready; see `submitMultishot`. */
  #standing = 0
  /** Counts submits: an entry of the current batch has not been seen by the kernel. */
  #batch = 0
  /** An entry was made since the last submit. With SQPOLL nothing else tells those that its thread has yet to be shown. */
  #hasFresh = false
  /** Something waits for room in the submission queue, which only the SQPOLL thread can make. */
  #wantsSpace = false
  /** A flush is scheduled or running: what is issued need not see to it. */
  #flushQueued = false
  #isScheduled = false
  #armed = false
  #referenced = false
  #unrefByUser = false
  #watches: WeakMap<AbortSignal, AbortWatch> | null = null
  #onMessage: MessageHandler | null = null
  /** Those who wait for something other than an operation, such as a message from another ring. */
  #listeners = 0
  #closing: Promise<void> | null = null
  #closeDone: (() => void) | null = null
  #closeOnIdle = false
  #failure: Error | null = null
  #completed = 0
  #enters = 0
  #inline = 0
  #wakeups = 0
  #yields = 0
  #refusals = 0
  #overflows = 0

  constructor(ring: Ring, arena: Arena, mapped: MappedBufferOptions = {}) {
    const { flags } = ring
    if (!(ring.features & IORING_FEAT_NODROP)) {
      throw systemError(EOPNOTSUPP, 'io_uring_setup', {
        hint: 'the driver needs IORING_FEAT_NODROP (Linux 5.5)',
      })
    }
    for (const [flag, why] of UNFIT) {
      const isInForce = flag !== IORING_SETUP_R_DISABLED || !ring.enabled
      if (flags & flag && isInForce) throw invalidValue('options.setupFlags', flags, why)
    }
    this.ring = ring
    this.arena = arena
    this.#sqpoll = (flags & IORING_SETUP_SQPOLL) !== 0
    this.#guard = new MappedBufferGuard(mapped, this.#sqpoll, arena)
    this.#watched = this.#guard.watched
    this.#maxOutstanding = ring.cqEntries
    this.#limit = ring.cqEntries
    this.#images = new EntryImages(flags & IORING_SETUP_SQE128 ? 32 : 16)
    this.#cancels = new CancelQueue(this, this.#slots)
    this.#wakeup = new Wakeup(this.#onWake)
    try {
      registerEventfd(ring, this.#wakeup.fd)
      this.#mutes = canMute(ring)
    } catch (error) {
      this.#wakeup.close()
      throw error
    }
    if (this.#mutes) ring.eventfdEnabled = false
    closeAtExit(this)
    this.#announce(true)
  }

  /** Operations not settled yet, those that wait for room included. */
  get inFlight(): number {
    return this.#active
  }

  get closed(): boolean {
    return this.#closing !== null || this.#failure !== null
  }

  get mappedBuffers(): MappedBufferPolicy {
    return this.#guard.policy
  }

  /** Operations that wait for room in the completion queue. */
  get waiting(): number {
    return this.#line.operations
  }

  /** Counts since the driver was opened; a copy. */
  get counters(): Counters {
    return {
      submitted: this.#completed + this.#active - this.#line.operations,
      completed: this.#completed,
      enters: this.#enters,
      inlineCompletions: this.#inline,
      wakeups: this.#wakeups,
      yields: this.#yields,
      refusals: this.#refusals,
      overflows: this.#overflows,
    }
  }

  /**
   * The hot path: an entry for an operation without options, or null when it must wait (call `submit` then).
   * The caller prepares it and calls `issue` (or `abandon`) before anything else.
   */
  take(): Sqe | null {
    if (this.#outstanding >= this.#limit) return null
    return this.ring.getSqe() ?? this.#makeRoom()
  }

  /** Issues the entry from `take`. @param memory - Held until the CQE. */
  issue(sqe: Sqe, memory: unknown, syscall: string): Promise<number> {
    const bounce = this.#watched[0] === 0 ? null : this.#admitIssued(sqe)
    const slot = this.#slots.take()
    if (bounce !== null) {
      slot.plain = false
      slot.bounce = bounce
    }
    sqe.setUserData(slot.index, slot.generation)
    slot.memory = memory
    slot.syscall = syscall
    slot.remaining = 1
    this.#outstanding++
    this.#active++
    const promise = promiseOf<number>(slot)
    if (!this.#flushQueued) this.#queueFlush()
    return promise
  }

  /** The entry is in the submission queue already: one that is refused stays there, as a NOP. */
  #admitIssued(sqe: Sqe): Bounce | null {
    try {
      return this.#guard.admit(sqe.words)
    } catch (error) {
      sqe.words.fill(0)
      this.abandon(sqe)
      throw error
    }
  }

  /** Gives up the entry from `take`, which could not be prepared: it goes to the kernel as a NOP that nobody awaits. */
  abandon(sqe: Sqe): void {
    sqe.setUserData(ROLE_NOBODY)
    this.#outstanding++
    if (!this.#flushQueued) this.#queueFlush()
  }

  /**
   * Any operation. `prepare` runs at once; the operation starts when there is room.
   *
   * @throws What `prepare` throws: the caller's mistakes.
   */
  submit<T = number>(prepare: Prepare, options: SubmitOptions<T> = {}): Promise<T> {
    const { signal } = options
    const syscall = options.syscall ?? 'io_uring_enter'
    const entries = entriesFor(options)
    let image: Int32Array
    let bounce: Bounce | null = null
    try {
      image = this.#images.prepare(prepare)
      if (entries > this.ring.sqEntries && !this.ring.closed) throw tooFewEntries(entries)
      if (this.#watched[0] !== 0) bounce = this.#guard.admit(image)
    } catch (error) {
      this.#freeBlocks(options)
      throw error
    }
    const hasRoom = this.#line.first === null && this.#hasRoom(entries)
    if (signal?.aborted || this.closed) {
      this.#freeBlocks(options, bounce)
      return Promise.reject(signal?.aborted ? new AbortError(signal.reason) : this.closedError(syscall))
    }
    let slot: Slot
    try {
      slot = this.#open(options, syscall)
    } catch (error) {
      this.#freeBlocks(options, bounce)
      throw error
    }
    slot.bounce = bounce
    const promise = promiseOf<T>(slot)
    if (signal) this.#watch(slot, signal)
    this.#images.keep(slot, image)
    if (hasRoom) this.#place(slot)
    else this.#wait(slot)
    if (!this.#flushQueued) this.#queueFlush()
    return promise
  }

  /**
   * Operations that start one after the other: adjacent in the submission queue, and given to the kernel in one system
   * call. They need one entry each, and one more for each time limit; all must fit into the submission queue.
   *
   * @param linkFlag - `IOSQE_IO_LINK` or `IOSQE_IO_HARDLINK`.
   * @throws What a prepare function throws; the error of a closed driver. Nothing has been submitted then.
   */
  submitChain(members: readonly ChainMember[], linkFlag: number): void {
    const images: Int32Array[] = []
    const bounces: (Bounce | null)[] = []
    let entries = 0
    try {
      if (this.closed) throw this.closedError('io_uring_enter')
      for (const { prepare, options } of members) {
        const image = this.#images.prepare(prepare).slice()
        images.push(image)
        bounces.push(this.#watched[0] === 0 ? null : this.#guard.admit(image))
        entries += entriesFor(options)
      }
      if (entries > this.ring.sqEntries) throw tooFewEntries(entries)
    } catch (error) {
      members.forEach(({ options }, index) => {
        this.#freeBlocks(options, bounces[index])
      })
      throw error
    }
    const chain: Slot[] = []
    try {
      for (const { options } of members) chain.push(this.#open(options, options.syscall ?? 'io_uring_enter'))
    } catch (error) {
      for (const slot of chain) this.#dismiss(slot, error)
      for (const { options } of members.slice(chain.length)) this.#freeBlocks(options)
      for (const bounce of bounces) this.#freeBounce(bounce)
      throw error
    }
    members.forEach(({ options, resolve, reject }, index) => {
      const slot = chain[index]!
      slot.chain = chain
      slot.linkFlags = index < chain.length - 1 ? linkFlag : 0
      slot.resolve = resolve
      slot.reject = reject
      if (options.signal) this.#watch(slot, options.signal)
      slot.bounce = bounces[index]!
      this.#images.keep(slot, images[index]!)
    })
    this.#wait(chain[0]!)
    this.#feed()
    if (!this.#flushQueued) this.#queueFlush()
  }

  /**
   * An operation whose completions a function is called with: one, or many for a multishot. It is over after the one
   * without `more`. An entry that cannot be prepared ends it with ECANCELED, before this returns.
   *
   * One that stands ready (a receive on an idle connection) neither takes part in the bound of what is in flight, which
   * connections by the thousand would use up for nothing, nor keeps the process alive: `listen` does that. Should all of
   * them complete at once, the kernel keeps what the completion queue has no room for, and ends those multishots.
   *
   * @param prepare - Must not call the driver.
   * @returns The slot, to cancel by until the operation is over.
   */
  submitMultishot(
    prepare: Prepare,
    onCqe: CqeHandler,
    syscall: string,
    memory: unknown,
    standing = false,
  ): Slot {
    const sqe = this.take()
    if (sqe === null && this.closed) throw this.closedError(syscall)
    const slot = this.#slots.take()
    slot.plain = false
    slot.syscall = syscall
    slot.memory = memory
    slot.onCqe = onCqe
    slot.standing = standing
    if (standing) this.#standing++
    this.#active++
    try {
      let words: Int32Array
      if (sqe === null) words = this.#images.prepare(prepare)
      else {
        prepare(sqe)
        words = sqe.words
      }
      if (this.#watched[0] !== 0) slot.bounce = this.#guard.admit(words)
      if (sqe === null) this.#images.keep(slot, words)
    } catch (error) {
      if (sqe !== null) {
        sqe.words.fill(0)
        this.abandon(sqe)
      }
      this.#dismiss(slot, error)
      return this.#slots.nobody
    }
    if (sqe !== null) this.#enter(slot, sqe)
    else this.#wait(slot)
    if (!this.#flushQueued) this.#queueFlush()
    return slot
  }

  /**
   * As `submitMultishot`, for an operation with exactly one CQE, which is not drained: cheaper, for its slot is none that
   * must be cleared.
   */
  submitOnce(prepare: Prepare, onCqe: CqeHandler, syscall: string, memory: unknown): Slot {
    const sqe = this.#watched[0] === 0 ? this.take() : null
    if (sqe === null) return this.submitMultishot(prepare, onCqe, syscall, memory)
    try {
      prepare(sqe)
    } catch {
      sqe.words.fill(0)
      this.abandon(sqe)
      callHandler(onCqe, ECANCELED, 0, false)
      return this.#slots.nobody
    }
    const slot = this.#slots.take()
    sqe.setUserData(slot.index, slot.generation)
    slot.memory = memory
    slot.onCqe = onCqe
    slot.remaining = 1
    this.#outstanding++
    this.#active++
    this.#hasFresh = true
    if (!this.#flushQueued) this.#queueFlush()
    return slot
  }

  /**
   * Operations that start one after the other and are answered together: by one CQE, which is that of the last, or of the
   * first that fails; those behind it do not start then. Linux 5.17 (`IORING_FEAT_CQE_SKIP`).
   *
   * @param prepare - Called with each of the `count` entries in turn. It must not throw or call the driver, and points to
   *   memory of the driver alone.
   * @returns False when there is no room for that many now: nothing has been issued.
   */
  submitLinked(
    count: number,
    prepare: (sqe: Sqe, index: number) => void,
    onCqe: CqeHandler,
    syscall: string,
  ): boolean {
    if (this.closed) throw this.closedError(syscall)
    if (this.#line.first !== null || !this.#hasRoom(count)) return false
    const slot = this.#slots.take()
    slot.plain = false
    slot.syscall = syscall
    slot.onCqe = onCqe
    slot.remaining = 1
    slot.silent = count - 1
    this.#active++
    this.#outstanding++
    this.#hasFresh = true
    for (let index = 0; index < count; index++) {
      const sqe = this.ring.getSqe()!
      prepare(sqe, index)
      sqe.setUserData(slot.index | ROLE_OPERATION, slot.generation)
      // An entry that fails speaks up all the same, and has those behind it keep silent.
      if (index < count - 1) sqe.addFlags(IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS)
    }
    if (!this.#flushQueued) this.#queueFlush()
    return true
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
   * Cancels the operation of `slot`, which must not be over. Best effort once the kernel has it: it settles by its own
   * CQE. Until then it is certain.
   */
  cancel(slot: Slot): void {
    if (slot.waiting) {
      const head = slot.chain?.[0] ?? slot
      this.#line.remove(head)
      this.#dismissAll(head, new AbortError(slot.signal?.reason))
      this.#openTheGate()
      if (!this.#flushQueued) this.#queueFlush()
      return
    }
    if (slot.remaining === 0 || slot.voided) return
    if (slot.batch === this.#batch && slot.sqe !== null && slot.chain === null && !this.#sqpoll) {
      // The kernel has not seen the entry. What follows it in a link must stay linked.
      const words = slot.sqe.words
      const links = words[0]! & LINK_BIT
      words.fill(0, 0, WORD_USER_DATA)
      words.fill(0, WORD_USER_DATA + 2)
      words[0] = IORING_OP_NOP | links
      slot.voided = true
      return
    }
    this.#cancels.add(slot)
  }

  /**
   * Whether that many entries can be issued now, one behind the other with nothing in between: they may be linked.
   * Issue them before anything else.
   */
  hasRoomFor(entries: number): boolean {
    return !this.closed && this.#line.first === null && this.#hasRoom(entries)
  }

  /** For the cancels, as the two below. */
  hasCompletionRoom(): boolean {
    return this.#outstanding < this.#maxOutstanding
  }

  takeForCancel(): Sqe | null {
    const sqe = this.ring.getSqe() ?? this.#makeRoom()
    if (sqe === null) this.#wantsSpace = true
    else this.#outstanding++
    return sqe
  }

  sendSoon(): void {
    if (!this.#flushQueued) this.#queueFlush()
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
    this.#limit = 0
    // What waits for room has not been seen by the kernel: it can settle at once.
    for (let slot = this.#line.first; slot !== null; slot = this.#line.first) {
      this.#line.remove(slot)
      this.#dismissAll(slot, ringClosedError())
    }
    this.#tellClosed()
    if (this.ring.closed) this.#finishClose()
    else {
      // What was issued before goes to the kernel first; what completes in there is not cancelled.
      if (this.#active > 0) this.#cancels.addAll()
      if (!this.#flushQueued) this.#queueFlush()
    }
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
    this.#dispose()
  }

  /** Why the driver takes no more operations. */
  closedError(syscall: string): Error {
    return this.#failure ?? systemError(EBADF, syscall, { hint: 'the ring is closed' })
  }

  #finishClose(): void {
    const done = this.#closeDone
    this.#closeDone = null
    this.#dispose()
    done?.()
  }

  #dispose(): void {
    this.#limit = 0
    forgetAtExit(this)
    this.#cancels.stop()
    if (this.ring.closed) return
    this.#announce(false)
    this.ring.close()
    this.#wakeup.close()
    this.arena.close()
  }

  /** In a worker: tells what is to be reclaimed should the worker be terminated, or that it is no more. */
  #announce(isPresent: boolean): void {
    const { fd, regions } = this.ring
    announceFd(fd, isPresent)
    announceFd(this.#wakeup.fd, isPresent)
    for (const region of regions) announceRegion(region, isPresent)
  }

  #tellClosed(): void {
    const listeners = [...this.onClose]
    this.onClose.clear()
    for (const listener of listeners) {
      try {
        listener()
      } catch (error) {
        throwLater(error)
      }
    }
  }

  #open<T>(options: SubmitOptions<T>, syscall: string): Slot {
    const { timeoutMs = -1 } = options
    const timeoutBlock = timeoutMs >= 0 ? timespec(this.arena, timeoutMs) : null
    const slot = this.#slots.take()
    slot.plain = false
    slot.timeoutMs = timeoutMs
    slot.timeoutBlock = timeoutBlock
    slot.syscall = syscall
    slot.memory = options.memory ?? null
    slot.block = options.block ?? null
    slot.block2 = options.block2 ?? null
    slot.path = options.path
    slot.dest = options.dest
    slot.finish = (options.finish as Finish | undefined) ?? null
    slot.expected = options.expected ?? NO_RESULT
    this.#active++
    return slot
  }

  #freeBlocks<T>({ block, block2 }: SubmitOptions<T>, bounce?: Bounce | null): void {
    if (block) this.arena.free(block)
    if (block2) this.arena.free(block2)
    this.#freeBounce(bounce)
  }

  #freeBounce(bounce: Bounce | null | undefined): void {
    if (bounce) this.arena.free(bounce.block)
  }

  /** Whether that many adjacent entries can be had, if need be after a submit. */
  #hasRoom(entries: number): boolean {
    if (this.#outstanding + entries > this.#maxOutstanding) return false
    if (this.ring.sqSpaceLeft >= entries) return true
    this.#submitNow()
    this.#wantsSpace = this.ring.sqSpaceLeft < entries
    return !this.#wantsSpace
  }

  #makeRoom(): Sqe | null {
    this.#submitNow()
    return this.ring.closed ? null : this.ring.getSqe()
  }

  #wait(slot: Slot): void {
    this.#line.push(slot)
    this.#limit = 0
  }

  /** Lets the hot path through again when nobody is in line. */
  #openTheGate(): void {
    if (this.#line.first === null && !this.closed) this.#limit = this.#maxOutstanding
  }

  /** Puts the slot's entry, and that of its time limit, into the submission queue, where there is room. */
  #place(slot: Slot): void {
    const sqe = this.ring.getSqe()!
    this.#images.restore(slot, sqe)
    const { entries, linkFlags } = slot
    if (linkFlags !== 0) sqe.addFlags(linkFlags)
    this.#enter(slot, sqe)
    if (entries === 1) return
    slot.remaining++
    this.#outstanding++
    // The time limit is linked like the operation itself, so that a chain goes on behind it.
    if (linkFlags === 0) sqe.addFlags(IOSQE_IO_LINK)
    const timeout = this.ring.getSqe()!
    prepLinkTimeout(timeout, slot.timeoutBlock!.address, 0)
    if (linkFlags !== 0) timeout.addFlags(linkFlags)
    timeout.setUserData(slot.index | ROLE_TIMEOUT, slot.generation)
  }

  /** The prepared entry is the slot's. */
  #enter(slot: Slot, sqe: Sqe): void {
    sqe.setUserData(slot.index | ROLE_OPERATION, slot.generation)
    const head = sqe.words[0]!
    const opcode = head & 0xff
    if (head & DRAIN_BIT) this.#cancels.hasDrained = true
    slot.zeroCopy = opcode === IORING_OP_SEND_ZC || opcode === IORING_OP_SENDMSG_ZC
    slot.remaining = slot.zeroCopy ? 2 : 1
    slot.sqe = sqe
    slot.batch = this.#batch
    this.#hasFresh = true
    if (!slot.standing) this.#outstanding += slot.remaining
  }

  /** Lets in from the line as many as there is room for. @returns Whether there was any. */
  #feed(): boolean {
    let wasFed = false
    for (let slot = this.#line.first; slot !== null; slot = this.#line.first) {
      const { chain } = slot
      const entries = chain === null ? slot.entries : chain.reduce((sum, member) => sum + member.entries, 0)
      if (!this.#hasRoom(entries)) return wasFed
      wasFed = true
      this.#line.remove(slot)
      if (chain === null) this.#place(slot)
      else for (const member of chain) this.#place(member)
    }
    this.#openTheGate()
    return wasFed
  }

  #queueFlush(): void {
    this.#flushQueued = true
    // One at a time: a second one would divide the batches of the first from then on, and its turn's budget add to it.
    if (this.#isScheduled) return
    this.#isScheduled = true
    if (this.#budget.left > 0) {
      // A reaction on a settled promise, not queueMicrotask: Node wraps the latter in an AsyncResource.
      settled.then(this.#scheduledFlush)
    } else {
      this.#yields++
      setImmediate(this.#flushInNewTurn)
    }
  }

  readonly #scheduledFlush = (): void => {
    this.#isScheduled = false
    this.#budget.resume()
    if (this.#budget.left > 0) this.#flush()
    else this.#queueFlush()
  }

  readonly #flushInNewTurn = (): void => {
    this.#isScheduled = false
    this.#budget.renew()
    this.#flush()
  }

  /** Tries again after a moment what nothing else will tell to be possible. */
  #flushLater(): void {
    this.#flushQueued = true
    if (this.#isScheduled) return
    this.#isScheduled = true
    setTimeout(this.#flushInNewTurn, RETRY_MS)
  }

  readonly #onWake = (): void => {
    this.#wakeups++
    this.#budget.renew()
    this.#flush()
  }

  /** Submits, reaps, feeds those that wait, until nothing moves or the budget is spent; then arms the wakeup. */
  readonly #flush = (): void => {
    const { ring } = this
    if (ring.closed) return
    // What is issued while this runs goes with the next round of the loop.
    this.#flushQueued = true
    let isAfterwardsDue = false
    if (this.#armed) {
      this.#armed = false
      ring.eventfdEnabled = false
    }
    for (;;) {
      this.#wantsSpace = false
      if (this.#cancels.isDue) this.#cancels.send()
      const enters = this.#enters
      const wasTaken = this.#submitNow()
      const count = this.#reap(this.#enters !== enters)
      if (ring.closed) return
      const isIdle = this.#outstanding + this.#standing === 0
      if (isIdle && this.#line.first === null && this.#onMessage === null) break
      const wasFed = this.#line.first !== null && this.#feed()
      if (ring.closed) return
      if (count < 0 || (!wasTaken && count === 0)) {
        // Nothing came free, so the kernel would refuse again.
        this.#flushLater()
        break
      }
      if (
        wasFed ||
        (this.#sqpoll ? this.#hasFresh : ring.sqPending > 0) ||
        // A completion has made room for a cancel.
        (count > 0 && this.#cancels.isDue)
      ) {
        if (this.#budget.left > 0) continue
        isAfterwardsDue = true
        break
      }
      if (!this.#mutes) break
      // Order: enable the eventfd, then look again. What came before the look is seen; what comes after it signals.
      ring.eventfdEnabled = true
      this.#armed = true
      if (!this.#workIsDue()) break
      this.#armed = false
      ring.eventfdEnabled = false
      if (this.#budget.left <= 0) {
        isAfterwardsDue = true
        break
      }
    }
    this.#flushQueued = this.#isScheduled
    if (isAfterwardsDue) this.#queueFlush()
    // The SQPOLL thread tells nobody that it has made room in the queue.
    else if (this.#wantsSpace) this.#flushLater()
    this.#updateRef()
    if (this.#active > 0) return
    if (this.#closing !== null) this.#finishClose()
    else if (this.#closeOnIdle) void this.close()
  }

  #workIsDue(): boolean {
    const { ring } = this
    const flags = ring.sqFlags
    if (flags & IORING_SQ_CQ_OVERFLOW) {
      this.#overflows++
      if (overflowed.hasSubscribers)
        overflowed.publish({ ring, cqEntries: ring.cqEntries, inFlight: this.#active })
      log(
        `the completion queue of ring ${ring.fd} overflowed (${ring.cqEntries} entries); the kernel keeps the rest`,
      )
    }
    return ring.cqReady > 0 || (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) !== 0
  }

  /** Gives the kernel what is queued. @returns False when it refuses for now; nothing is lost then. */
  #submitNow(): boolean {
    if (this.ring.sqPending === 0) return true
    this.#enters++
    this.#batch = (this.#batch + 1) | 0
    this.#hasFresh = false
    try {
      return this.ring.submit() > 0
    } catch (error) {
      if (this.#isRefusal(error)) {
        // The SQPOLL thread may not have been woken.
        this.#hasFresh = true
        return false
      }
      this.#fail(error as Error)
      return true
    }
  }

  /** Whether the kernel only asks to be asked again, after a while; counted. */
  #isRefusal(error: unknown): boolean {
    const { code } = error as { code?: string }
    if (code !== 'EBUSY' && code !== 'EAGAIN' && code !== 'EINTR') return false
    this.#refusals++
    log(`the kernel refused for now: ${(error as Error).message}`)
    return true
  }

  /** Settles what is complete. @returns How many CQEs there were; -1 when the kernel refuses to post those it holds back. */
  #reap(hasEntered: boolean): number {
    if (this.ring.closed) return 0
    const before = this.#completed
    try {
      const count = this.ring.forEachCqe(this.#onCqe)
      if (count > 0) {
        if (hasEntered) this.#inline += this.#completed - before
        this.#budget.spend(count)
      }
      return count
    } catch (error) {
      if (this.#isRefusal(error)) return -1
      // Completions are lost: whoever waits for them would wait for ever.
      this.#fail(error as Error)
      return 0
    }
  }

  /** The ring is of no use any more: it is closed, and every operation rejects. */
  #fail(error: Error): void {
    if (this.#failure !== null) return
    this.#failure = error
    log(`ring ${this.ring.fd} failed: ${error.message}`)
    const inFlight = this.#slots.queued()
    for (const { memory } of inFlight) if (memory !== null) limbo.push(memory)
    this.#dispose()
    for (let slot = this.#line.first; slot !== null; slot = this.#line.first) {
      this.#line.remove(slot)
      this.#dismissAll(slot, error)
    }
    for (const slot of inFlight) this.#dismiss(slot, error)
    this.#tellClosed()
    this.#closeDone?.()
    this.#closeDone = null
  }

  readonly #onCqe = (low: number, generation: number, res: number, flags: number): void => {
    if (low < MAX_SLOTS) {
      const slot = this.#slots.at(low)
      if (slot === undefined || slot.generation !== generation || slot.remaining !== 1) {
        // Something else than the usual.
      } else if (slot.plain) {
        const { onCqe, resolve, reject, syscall } = slot
        slot.generation = (generation + 1) & 0x3fff_ffff
        slot.memory = null
        slot.remaining = 0
        this.#slots.giveBack(slot)
        this.#outstanding--
        this.#active--
        this.#completed++
        if (onCqe !== null) {
          slot.onCqe = null
          callHandler(onCqe, res, flags, false)
        } else if (res >= 0) resolve(res)
        else reject(resultError(res, syscall, this.#closing !== null))
        return
      } else if (slot.onCqe !== null) {
        this.#onMultishotCqe(slot, res, flags)
        return
      }
    }
    this.#onOtherCqe(low, generation, res, flags)
  }

  #onOtherCqe(low: number, generation: number, res: number, flags: number): void {
    if (low >= ROLE_MESSAGE) {
      this.#deliver(low - ROLE_MESSAGE, generation, res)
      return
    }
    const index = low & SLOT_MASK
    const role = low - index
    if (role === ROLE_NOBODY || role === ROLE_CANCEL) {
      this.#outstanding--
      if (role === ROLE_CANCEL) this.#cancels.answered(index, generation, res)
      return
    }
    const slot = this.#slots.at(index)
    if (slot === undefined || index === 0) {
      log(`a completion for nobody: user_data ${low}, ${generation}, res ${res}`)
      return
    }
    if (slot.generation !== generation || slot.remaining === 0) {
      // Its memory was given up too early, or another ring sends what it must not: either way nothing can be relied on.
      this.#fail(new Error(`A completion came for operation ${index} (use ${generation}) after its last`))
      return
    }
    this.#complete(slot, role, res, flags)
  }

  #complete(slot: Slot, role: number, res: number, flags: number): void {
    const more = (flags & IORING_CQE_F_MORE) !== 0
    if (role === ROLE_TIMEOUT) {
      // EALREADY: time was up, and the operation was running where it could only be interrupted. Positive: it was a wait
      // on a futex or for a child, whose cancel answers with a count that the kernel passes on (seen on 6.18).
      if (res === ETIME || res === EALREADY || res > 0) slot.timedOut = true
    } else if (slot.onCqe !== null) {
      this.#onMultishotCqe(slot, res, flags)
      return
    } else if (more) {
      // A zero-copy send: the result is here, the memory is not ours again until the notification.
      slot.res = res
      if (!slot.zeroCopy) return
    } else {
      if ((flags & IORING_CQE_F_NOTIF) === 0) slot.res = res
      // Without the promise of more there is no notification to come.
      if (slot.zeroCopy && (flags & IORING_CQE_F_NOTIF) === 0) {
        slot.remaining--
        this.#outstanding--
      }
    }
    this.#outstanding--
    if (--slot.remaining > 0) return
    this.#active--
    this.#completed++
    this.#settle(slot)
  }

  #onMultishotCqe(slot: Slot, res: number, flags: number): void {
    const { onCqe, voided, bounce } = slot
    const more = (flags & IORING_CQE_F_MORE) !== 0
    let result = voided ? ECANCELED : res
    if (!more) {
      if (bounce !== null && bounce.finish !== null) result = bounce.finish(result)
      if (slot.standing) this.#standing--
      else this.#outstanding -= slot.remaining
      if (slot.silent > 0) this.ring.endedSilently(slot.silent)
      this.#active--
      this.#completed++
      this.#release(slot)
    }
    callHandler(onCqe!, result, flags, more)
  }

  #deliver(bits: number, high: number, res: number): void {
    try {
      this.#onMessage?.(bits, high, res)
    } catch (error) {
      throwLater(error)
    }
  }

  #settle(slot: Slot): void {
    if (slot.bounce !== null && slot.bounce.finish !== null) slot.res = slot.bounce.finish(slot.res)
    const { res, resolve, reject, finish } = slot
    if (slot.chain !== null && (slot.aborted || this.#closing !== null)) this.#cancelRest(slot)
    if ((res >= 0 || res === slot.expected) && !slot.voided) {
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
    const error = operationError(slot, this.#closing !== null)
    this.#release(slot)
    reject(error)
  }

  /**
   * Cancels those after `slot` that were aborted with it. The kernel cannot find a member that has not started, so the
   * cancel that was sent for it at first missed; it may start now that the one before it is over.
   */
  #cancelRest(slot: Slot): void {
    const { chain } = slot
    for (const member of chain!) {
      // Members that are over have left the chain, and serve other operations by now.
      if (member === slot || member.chain !== chain) continue
      if (member.aborted || this.#closing !== null) this.cancel(member)
    }
  }

  /** Rejects an operation, or a whole chain, that the kernel does not have. */
  #dismissAll(slot: Slot, error: unknown): void {
    for (const member of slot.chain ?? [slot]) this.#dismiss(member, error)
  }

  #dismiss(slot: Slot, error: unknown): void {
    const { reject, onCqe } = slot
    if (slot.standing) this.#standing--
    else this.#outstanding -= slot.remaining
    this.#active--
    slot.plain = false
    this.#release(slot)
    if (onCqe === null) {
      reject(error)
      return
    }
    callHandler(onCqe, ECANCELED, 0, false)
  }

  #release(slot: Slot): void {
    if (slot.block !== null) this.arena.free(slot.block)
    if (slot.block2 !== null) this.arena.free(slot.block2)
    if (slot.timeoutBlock !== null) this.arena.free(slot.timeoutBlock)
    this.#freeBounce(slot.bounce)
    if (slot.watch !== null) slot.watch.delete(slot, slot.signal!)
    slot.clear()
    this.#slots.giveBack(slot)
  }

  #watch(slot: Slot, signal: AbortSignal): void {
    this.#watches ??= new WeakMap()
    let watch = this.#watches.get(signal)
    if (watch === undefined) {
      watch = new AbortWatch(this.#onAbort)
      this.#watches.set(signal, watch)
    }
    slot.signal = signal
    slot.watch = watch
    watch.add(slot, signal)
  }

  readonly #onAbort = (slot: Slot): void => {
    slot.aborted = true
    this.cancel(slot)
  }

  #updateRef(): void {
    // Closing must come to its end.
    const isClosing = this.#closing !== null
    const isBusy = this.#active - (isClosing ? 0 : this.#standing) + this.#listeners > 0
    const wanted = isBusy && (!this.#unrefByUser || isClosing)
    if (wanted === this.#referenced) return
    this.#referenced = wanted
    if (wanted) this.#wakeup.ref()
    else this.#wakeup.unref()
  }
}

/** A `struct __kernel_timespec` of that many milliseconds. */
export function timespec(arena: Arena, ms: number): Block {
  const block = arena.alloc(16)
  const seconds = Math.floor(ms / 1000)
  block.view.setBigInt64(0, BigInt(seconds), true)
  block.view.setBigInt64(8, BigInt(Math.floor((ms - seconds * 1000) * 1e6)), true)
  return block
}

function canMute(ring: Ring): boolean {
  try {
    ring.eventfdEnabled = true
    return true
  } catch {
    // Linux 5.7 and older: a wakeup too many now and then.
    return false
  }
}

function tooFewEntries(entries: number): Error {
  return outOfRange('sqEntries', `at least ${entries} for this operation`, entries - 1)
}

function callHandler(onCqe: CqeHandler, res: number, flags: number, more: boolean): void {
  try {
    onCqe(res, flags, more)
  } catch (error) {
    throwLater(error)
  }
}

/** Reports what a handler threw as an uncaught exception; the completions behind it are not its victims. */
function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
