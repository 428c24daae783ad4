// The promise driver of one ring: it takes operations in, and opens, closes and fails with that ring. It
// knows no opcodes beyond what a prepare function of `operations/` fills in. submission.ts is the way into
// the ring, settlement.ts the way out; pump.ts runs both, and cancel-queue.ts sends cancels.

import { isMainThread } from 'node:worker_threads'
import {
  IORING_FEAT_NODROP,
  IORING_OP_NOP128,
  IORING_OP_URING_CMD128,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_IOPOLL,
  IORING_SETUP_R_DISABLED,
  IOSQE_CQE_SKIP_SUCCESS,
  IOSQE_IO_HARDLINK,
  IOSQE_IO_LINK,
  type Ring,
  type Sqe,
  systemError,
} from '../ring/index.js'
import { splitMilliseconds } from '../ring/milliseconds.js'
import { invalidValue, outOfRange } from '../syscalls/argument-errors.js'
import { EBADF, ECANCELED, EOPNOTSUPP } from '../syscalls/errno-values.js'
import { close } from '../syscalls/libc.js'
import { AbortError } from './abort-error.js'
import type { Arena, Block } from './arena.js'
import { CancelQueue } from './cancel-queue.js'
import { log } from './diagnostics.js'
import { InFlight } from './in-flight.js'
import { LentBlocks } from './lent-blocks.js'
import { closeAtExit, forgetAtExit } from './lifetime.js'
import { MappedBufferGuard, type MappedBufferOptions, type MappedBufferPolicy } from './mapped-buffers.js'
import type { Bounce } from './mapped-entry.js'
import { ringClosedError } from './operation-errors.js'
import { Pump } from './pump.js'
import { callHandler, Settlement } from './settlement.js'
import {
  type CqeHandler,
  type Finish,
  MAX_SLOTS,
  type MessageHandler,
  NO_RESULT,
  OPENS,
  type Prepare,
  ROLE_NOBODY,
  ROLE_OPERATION,
  Slot,
} from './slot.js'
import { Submission } from './submission.js'
import { type ChainMember, type Counters, entriesFor, type SubmitOptions } from './submit-options.js'
import { throwLater } from './throw-later.js'

export type { ChainMember, Counters, SubmitOptions } from './submit-options.js'

/** Words of an entry of 128 bytes. */
const WIDE_WORDS = 32

/** Setup flags of rings that cannot be relied on to wake an event loop. */
const UNFIT: readonly (readonly [flag: number, why: string])[] = [
  [IORING_SETUP_IOPOLL, 'has IORING_SETUP_IOPOLL: such a ring completes nothing unless it is asked'],
  [IORING_SETUP_R_DISABLED, 'has IORING_SETUP_R_DISABLED: enable() such a ring and use it raw'],
  // Seen on 6.18: of the completions that a write to an eventfd brings about, only the first signals the ring's own
  // eventfd. docs/decisions/default-setup-flags.md
  [IORING_SETUP_DEFER_TASKRUN, 'has IORING_SETUP_DEFER_TASKRUN: such a ring loses wakeups'],
]

// One executor for every promise: a closure per operation would be one allocation more than the promise itself.
function takeResolvers(resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
  promised.resolve = resolve
  promised.reject = reject
}
/** The slot whose promise is being made. */
let promised = new Slot(0)

/** The promise that `slot` settles. */
function promiseOf<T>(slot: Slot): Promise<T> {
  promised = slot
  return new Promise<T>(takeResolvers as (resolve: (value: T) => void) => void)
}

/** Memory of operations whose ring failed under them: the kernel may still write there, so it is never freed. */
const limbo: unknown[] = []

export class Driver {
  readonly ring: Ring
  readonly arena: Arena
  /** Called when the driver starts to close or has failed, which ends waits that no CQE would end. */
  readonly onClose = new Set<() => void>()
  readonly #inFlight: InFlight
  readonly #lent: LentBlocks
  readonly #submission: Submission
  readonly #settlement: Settlement
  readonly #cancels: CancelQueue
  readonly #pump: Pump
  readonly #guard: MappedBufferGuard
  /** What the guard watches; its first word is 0 while there is nothing to guard against. */
  readonly #watched: Int32Array
  #unrefByUser = false
  /** Waits for something other than an operation, such as a message from another ring. */
  #listeners = 0
  #closing: Promise<void> | null = null
  #closeDone: (() => void) | null = null
  #closeOnIdle = false
  #failure: Error | null = null

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
    const inFlight = new InFlight(ring.cqEntries)
    const submission = new Submission(ring, inFlight, {
      fail: (error) => this.#fail(error),
      drains: () => {
        this.#cancels.hasDrained = true
      },
    })
    this.#inFlight = inFlight
    this.#lent = new LentBlocks(inFlight.slots, arena)
    this.#submission = submission
    this.#guard = new MappedBufferGuard(mapped, submission.isSqpoll, arena)
    this.#watched = this.#guard.watched
    this.#cancels = new CancelQueue(ring, inFlight.slots, submission, () => this.#pump.queue())
    this.#settlement = new Settlement(
      { ring, arena, cancel: (slot) => this.cancel(slot), fail: (error) => this.#fail(error) },
      inFlight,
      this.#cancels,
    )
    this.#pump = new Pump(ring, inFlight, submission, this.#settlement, this.#cancels, {
      roundEnded: () => this.#roundEnded(),
      fail: (error) => this.#fail(error),
    })
    closeAtExit(this)
  }

  /** Operations not settled yet, those that wait for room included. */
  get inFlight(): number {
    return this.#inFlight.active
  }

  get closed(): boolean {
    return this.#closing !== null || this.#failure !== null
  }

  /** Whether the ring has failed. What was in flight then may or may not have been carried out. */
  get hasFailed(): boolean {
    return this.#failure !== null
  }

  /**
   * Whether an operation that ended with `res` was not carried out because the ring was closed first. False
   * for a ring that has failed, where nobody knows: a descriptor that was to be closed must then be left
   * alone, because its number may name another file by now.
   */
  wasLeftUndone(res: number): boolean {
    return res === ECANCELED && !this.hasFailed
  }

  get mappedBuffers(): MappedBufferPolicy {
    return this.#guard.policy
  }

  /** Operations that wait for room in the ring. */
  get waiting(): number {
    return this.#submission.line.operations
  }

  /** Counts since the driver was opened; a copy. */
  get counters(): Counters {
    const { completed, active } = this.#inFlight
    const { enters, refusals } = this.#submission
    const { inlineCompletions, wakeups, yields, overflows } = this.#pump
    return {
      submitted: completed + active - this.waiting,
      completed,
      enters,
      inlineCompletions,
      wakeups,
      yields,
      refusals,
      overflows,
    }
  }

  /**
   * The hot path: an entry for an operation without options, or null when it must wait (call `submit` then).
   * The caller prepares it and calls `issue` (or `abandon`) before anything else.
   */
  take(): Sqe | null {
    return this.#submission.take()
  }

  /** Issues the entry from `take`. @param memory - Held until the CQE. */
  issue(sqe: Sqe, memory: unknown, syscall: string): Promise<number> {
    const bounce = this.#watched[0] === 0 ? null : this.#admitIssued(sqe)
    const inFlight = this.#inFlight
    const slot = inFlight.slots.take()
    if (bounce !== null) {
      slot.plain = false
      slot.bounce = bounce
    }
    slot.memory = memory
    slot.syscall = syscall
    inFlight.active++
    this.#submission.enterPlain(slot, sqe)
    const promise = promiseOf<number>(slot)
    this.#pump.queue()
    return promise
  }

  /** The entry is in the submission queue already. If it is refused, it stays there as a NOP. */
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
    this.#submission.entered()
    this.#pump.queue()
  }

  /**
   * Submits any operation. `prepare` runs at once; the operation starts when there is room.
   *
   * @throws What `prepare` throws: the caller's mistakes.
   */
  submit<T = number>(prepare: Prepare, options: SubmitOptions<T> = {}): Promise<T> {
    const { signal } = options
    const submission = this.#submission
    const syscall = options.syscall ?? 'io_uring_enter'
    const entries = entriesFor(options)
    let image: Int32Array
    let bounce: Bounce | null = null
    try {
      image = submission.images.prepare(prepare)
      checkEntry(image)
      if (entries > this.ring.sqEntries && !this.ring.closed) throw tooFewEntries(entries)
      if (this.#watched[0] !== 0) bounce = this.#guard.admit(image)
    } catch (error) {
      this.#freeBlocks(options)
      throw error
    }
    const hasRoom = submission.line.first === null && submission.hasRoom(entries)
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
    if (signal) this.#settlement.watch(slot, signal)
    submission.images.keep(slot, image)
    if (hasRoom) submission.place(slot)
    else submission.wait(slot)
    this.#pump.queue()
    return promise
  }

  /**
   * Submits operations that start one after the other. Their entries are adjacent and go to the kernel in one
   * system call: one for each operation and one for each time limit, which all must fit into the submission
   * queue.
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
        const image = this.#submission.images.prepare(prepare).slice()
        checkEntry(image)
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
      for (const slot of chain) this.#settlement.dismiss(slot, error)
      for (const { options } of members.slice(chain.length)) this.#freeBlocks(options)
      for (const bounce of bounces) this.#settlement.freeBounce(bounce)
      throw error
    }
    members.forEach(({ options, resolve, reject }, index) => {
      const slot = chain[index]!
      slot.chain = chain
      slot.linkFlags = index < chain.length - 1 ? linkFlag : 0
      slot.resolve = resolve
      slot.reject = reject
      if (options.signal) this.#settlement.watch(slot, options.signal)
      slot.bounce = bounces[index]!
      this.#submission.images.keep(slot, images[index]!)
    })
    this.#submission.wait(chain[0]!)
    this.#submission.feed()
    this.#pump.queue()
  }

  /**
   * Submits an operation whose completions are passed to a function: one, or many for a multishot. The
   * completion without `more` is the last. An entry that cannot be prepared ends the operation with ECANCELED
   * before this returns.
   *
   * A standing operation (a receive on an idle connection) does not count towards the limit on what is in
   * flight, which thousands of idle connections would use up. Nor does it keep the process alive: `listen`
   * does that. If all of them complete at once, the kernel keeps what the completion queue has no room for,
   * and ends those multishots.
   *
   * @param prepare - Must not call the driver.
   * @param opens - Its results are descriptors. In a worker each is announced before `onCqe` sees it: it is
   *   closed if the worker is terminated, unless `announceFd` has withdrawn it.
   * @returns The slot, by which the operation can be cancelled until it is over.
   */
  submitMultishot(
    prepare: Prepare,
    onCqe: CqeHandler,
    syscall: string,
    memory: unknown,
    standing = false,
    opens = false,
  ): Slot {
    const wasClosed = this.closed
    const sqe = this.take()
    if (sqe === null && this.closed) return this.#endedByFailure(wasClosed, onCqe, syscall)
    const { slots } = this.#inFlight
    const slot = slots.take()
    slot.plain = false
    slot.syscall = syscall
    slot.memory = memory
    slot.onCqe = onCqe
    slot.standing = standing
    // What the main thread leaves open is closed when the process ends.
    slot.opens = opens && !isMainThread
    if (standing) this.#inFlight.standing++
    this.#inFlight.active++
    try {
      let words: Int32Array
      if (sqe === null) words = this.#submission.images.prepare(prepare)
      else {
        prepare(sqe)
        words = sqe.words
      }
      if (this.#watched[0] !== 0) slot.bounce = this.#guard.admit(words)
      if (sqe === null) this.#submission.images.keep(slot, words)
    } catch (error) {
      if (sqe !== null) {
        sqe.words.fill(0)
        this.abandon(sqe)
      }
      this.#settlement.dismiss(slot, error)
      return slots.nobody
    }
    if (sqe !== null) this.#submission.enter(slot, sqe)
    else this.#submission.wait(slot)
    this.#pump.queue()
    return slot
  }

  /**
   * Ends an operation that found the driver closed. That is the caller's error, unless the ring failed only now,
   * while it made room: then the handler gets ECANCELED.
   */
  #endedByFailure(wasClosed: boolean, onCqe: CqeHandler, syscall: string): Slot {
    if (wasClosed) throw this.closedError(syscall)
    callHandler(onCqe, ECANCELED, 0, false)
    return this.#inFlight.slots.nobody
  }

  /**
   * As `submitMultishot`, for an operation with exactly one CQE and without IOSQE_IO_DRAIN. It is cheaper,
   * because its slot stays plain and need not be cleared.
   */
  submitOnce(prepare: Prepare, onCqe: CqeHandler, syscall: string, memory: unknown, opens = false): Slot {
    const isPlain = this.#watched[0] === 0 && (!opens || isMainThread)
    const wasClosed = this.closed
    const sqe = isPlain ? this.take() : null
    if (sqe === null && this.closed) return this.#endedByFailure(wasClosed, onCqe, syscall)
    if (sqe === null) return this.submitMultishot(prepare, onCqe, syscall, memory, false, opens)
    try {
      prepare(sqe)
    } catch {
      sqe.words.fill(0)
      this.abandon(sqe)
      callHandler(onCqe, ECANCELED, 0, false)
      return this.#inFlight.slots.nobody
    }
    const slot = this.#inFlight.slots.take()
    slot.memory = memory
    slot.onCqe = onCqe
    this.#inFlight.active++
    this.#submission.enterPlain(slot, sqe)
    this.#pump.queue()
    return slot
  }

  /**
   * Submits operations that start one after the other and share one CQE: that of the last, or of the first
   * that fails. Those behind a failed one do not start. Linux 5.17 (`IORING_FEAT_CQE_SKIP`).
   *
   * @param prepare - Called with each of the `count` entries in turn. It must not throw or call the driver.
   *   The entries may point to driver memory only.
   * @returns False when there is no room for `count` entries now: nothing has been issued.
   */
  submitLinked(
    count: number,
    prepare: (sqe: Sqe, index: number) => void,
    onCqe: CqeHandler,
    syscall: string,
  ): boolean {
    if (this.closed) throw this.closedError(syscall)
    if (!this.hasRoomFor(count)) return false
    const slot = this.#inFlight.slots.take()
    slot.plain = false
    slot.syscall = syscall
    slot.onCqe = onCqe
    slot.remaining = 1
    slot.silent = count - 1
    this.#inFlight.active++
    this.#submission.entered()
    for (let index = 0; index < count; index++) {
      const sqe = this.ring.getSqe()!
      prepare(sqe, index)
      sqe.setUserData(slot.index | ROLE_OPERATION, slot.generation)
      // An entry that fails posts its CQE all the same, and the entries behind it then post none.
      if (index < count - 1) sqe.addFlags(IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS)
    }
    this.#pump.queue()
    return true
  }

  /** Passes messages from other rings to `handler`, and watches the ring for them from now on. */
  receive(handler: MessageHandler): void {
    this.#settlement.onMessage = handler
    // The flush arms the wakeup.
    this.#pump.queue()
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
   * Cancels the operation of `slot`, which must not be over. This is certain while the operation waits for
   * room or its entry can be taken back. Otherwise it is best effort: the operation settles by its own CQE.
   */
  cancel(slot: Slot): void {
    if (slot.waiting) {
      const head = slot.chain?.[0] ?? slot
      this.#submission.unwait(head)
      this.#settlement.dismissAll(head, new AbortError(slot.signal?.reason))
      this.#pump.queue()
      return
    }
    if (slot.remaining === 0 || slot.voided) return
    if (!this.#submission.takeBack(slot)) this.#cancels.add(slot)
  }

  /**
   * Whether that many entries can be issued now, adjacent in the submission queue so that they can be linked.
   * Issue them before anything else.
   */
  hasRoomFor(entries: number): boolean {
    return !this.closed && this.#submission.line.first === null && this.#submission.hasRoom(entries)
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
    this.#pump.flush()
  }

  /** Stops intake, cancels what is in flight, waits for every CQE, then closes ring and memory. */
  close(): Promise<void> {
    if (this.#closing !== null) return this.#closing
    this.#closing = new Promise((resolve) => {
      this.#closeDone = resolve
    })
    this.#inFlight.isClosing = true
    this.#submission.shut()
    // The kernel has not seen operations that wait for room: they can settle at once.
    this.#dismissLine(ringClosedError)
    this.#tellClosed()
    if (this.ring.closed) this.#finishClose()
    else {
      // Entries issued earlier reach the kernel first; those that complete on submit are not cancelled.
      if (this.#inFlight.active > 0) this.#cancels.addAll()
      this.#pump.queue()
    }
    return this.#closing
  }

  /** Closes as soon as nothing is in flight; until then operations go on. */
  closeWhenIdle(): void {
    if (this.#inFlight.active === 0) void this.close()
    else this.#closeOnIdle = true
  }

  /** For the exit of the thread, after which no event loop will turn again: cancels and waits in place. */
  closeNow(): void {
    if (this.ring.closed) return
    this.#closing ??= Promise.resolve()
    this.#inFlight.isClosing = true
    // As in close(), what was issued in this turn goes first. Closes matter most: a worker's descriptors
    // would stay open.
    this.#submission.submitNow()
    this.#dispose()
  }

  /** Frees a block that the program had a view of, once no operation in flight uses such a view. */
  freeLent(block: Block): void {
    this.#lent.free(block)
  }

  /** Why the driver takes no more operations. */
  closedError(syscall: string): Error {
    return this.#failure ?? systemError(EBADF, syscall, { hint: 'the ring is closed' })
  }

  /** Why whoever waits on a driver that is closed waits no longer: the ring failed, or it was closed. */
  endError(): Error {
    return this.#failure ?? ringClosedError()
  }

  #roundEnded(): void {
    this.#updateRef()
    this.#lent.freeUnused()
    if (this.#inFlight.active > 0) return
    if (this.#closing !== null) this.#finishClose()
    else if (this.#closeOnIdle) void this.close()
  }

  #finishClose(): void {
    const done = this.#closeDone
    this.#closeDone = null
    this.#dispose()
    done?.()
  }

  #dispose(): void {
    this.#submission.shut()
    forgetAtExit(this)
    this.#cancels.stop()
    if (this.ring.closed) return
    const hasLetGo = this.ring.close(this.#closeUnclaimed)
    this.#pump.close()
    this.arena.close(hasLetGo)
  }

  /** In a worker that exits: closes a descriptor whose CQE comes too late for whoever asked for it. */
  readonly #closeUnclaimed = (low: number, high: number, res: number): void => {
    if (low >= MAX_SLOTS || (high & OPENS) === 0 || res < 0) return
    // First the CQE goes, by which another thread would close the descriptor should this one be terminated now.
    this.ring.giveBack()
    close(res)
  }

  /** The ring is unusable: closes it, and rejects every operation. */
  #fail(error: Error): void {
    if (this.#failure !== null) return
    this.#failure = error
    log(`ring ${this.ring.fd} failed: ${error.message}`)
    const inFlight = this.#inFlight.slots.queued()
    for (const { memory } of inFlight) if (memory !== null) limbo.push(memory)
    this.#dispose()
    this.#dismissLine(() => error)
    for (const slot of inFlight) this.#settlement.dismiss(slot, error)
    this.#tellClosed()
    this.#closeDone?.()
    this.#closeDone = null
  }

  /** Rejects what waits for room. */
  #dismissLine(reason: () => Error): void {
    const { line } = this.#submission
    for (let slot = line.first; slot !== null; slot = line.first) {
      line.remove(slot)
      this.#settlement.dismissAll(slot, reason())
    }
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
    const slot = this.#inFlight.slots.take()
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
    this.#inFlight.active++
    return slot
  }

  #freeBlocks<T>({ block, block2 }: SubmitOptions<T>, bounce?: Bounce | null): void {
    if (block) this.arena.free(block)
    if (block2) this.arena.free(block2)
    this.#settlement.freeBounce(bounce)
  }

  #updateRef(): void {
    const { active, standing, isClosing } = this.#inFlight
    // The process must stay alive until the close is done.
    const isBusy = active - (isClosing ? 0 : standing) + this.#listeners > 0
    this.#pump.setReferenced(isBusy && (!this.#unrefByUser || isClosing))
  }
}

/** Refuses an entry whose operation would never settle, or keep others from it. */
function checkEntry(image: Int32Array): void {
  const opcode = image[0]! & 0xff
  const flags = (image[0]! >>> 8) & 0xff
  if (flags & IOSQE_CQE_SKIP_SUCCESS) {
    const text = 'has IOSQE_CQE_SKIP_SUCCESS: nothing would tell of the end of the operation'
    throw invalidValue('sqe.flags', flags, text)
  }
  if (flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK)) {
    // What comes next may be anything, even the cancel of this very operation, which would wait for it.
    throw invalidValue('sqe.flags', flags, 'links the operation to whatever comes next: use chain() instead')
  }
  // The kernel would take the entry behind it for its second half.
  if (image.length < WIDE_WORDS && (opcode === IORING_OP_NOP128 || opcode === IORING_OP_URING_CMD128)) {
    throw invalidValue('sqe.opcode', opcode, 'needs a ring with IORING_SETUP_SQE128')
  }
}

/** A `struct __kernel_timespec` of that many milliseconds. */
export function timespec(arena: Arena, ms: number): Block {
  const block = arena.alloc(16)
  const { sec, nsec } = splitMilliseconds(ms)
  block.view.setBigInt64(0, BigInt(sec), true)
  block.view.setBigInt64(8, BigInt(nsec), true)
  return block
}

function tooFewEntries(entries: number): Error {
  return outOfRange('sqEntries', `at least ${entries} for this operation`, entries - 1)
}
