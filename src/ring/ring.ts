// One io_uring instance: its descriptor, its mapped memory and its two queues. It submits, waits, reaps and
// closes. What to set up (presets, SQPOLL policy, fallback) is decided in `config/`; promises are added by
// `runtime/`.

import {
  IO_URING_GETEVENTS_ARG,
  IO_URING_RSRC_UPDATE,
  IO_URING_SYNC_CANCEL_REG,
  IORING_ASYNC_CANCEL_ALL,
  IORING_ASYNC_CANCEL_ANY,
  IORING_ENTER_ABS_TIMER,
  IORING_ENTER_EXT_ARG,
  IORING_ENTER_EXT_ARG_REG,
  IORING_ENTER_GETEVENTS,
  IORING_ENTER_NO_IOWAIT,
  IORING_ENTER_REGISTERED_RING,
  IORING_ENTER_SQ_WAIT,
  IORING_ENTER_SQ_WAKEUP,
  IORING_FEAT_EXT_ARG,
  IORING_FEAT_MIN_TIMEOUT,
  IORING_FEAT_NO_IOWAIT,
  IORING_FEAT_RW_ATTR,
  IORING_REGISTER_ENABLE_RINGS,
  IORING_REGISTER_FILES,
  IORING_REGISTER_FILES_UPDATE,
  IORING_REGISTER_RESIZE_RINGS,
  IORING_REGISTER_RING_FDS,
  IORING_REGISTER_SYNC_CANCEL,
  IORING_REGISTER_USE_REGISTERED_RING,
  IORING_SETUP_CLAMP,
  IORING_SETUP_CQE_MIXED,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_IOPOLL,
  IORING_SETUP_R_DISABLED,
  IORING_SETUP_REGISTERED_FD_ONLY,
  IORING_SETUP_SQ_REWIND,
  IORING_SETUP_SQPOLL,
  IORING_SETUP_TASKRUN_FLAG,
  IORING_SQ_CQ_OVERFLOW,
  IORING_SQ_TASKRUN,
  IORING_UNREGISTER_FILES,
  KERNEL_TIMESPEC,
} from '../syscalls/abi/index.js'
import {
  checkInteger,
  checkMembers,
  checkMilliseconds,
  invalidState,
  invalidType,
  outOfRange,
} from '../syscalls/argument-errors.js'
import { closeNoted, noteHeld } from '../syscalls/descriptor-notes.js'
import { errnoName, systemError } from '../syscalls/errno.js'
import { EAGAIN, EBADR, EBUSY, EINTR, EINVAL, ETIME } from '../syscalls/errno-values.js'
import { pipe2, poll } from '../syscalls/libc.js'
import { addressOf, type MappedRegion } from '../syscalls/memory.js'
import type { Address, Fd } from '../syscalls/numbers.js'
import { Struct } from '../syscalls/struct.js'
import { kernelCalls, type UringCalls } from '../syscalls/uring-calls.js'
import {
  type BigCqeVisitor,
  type CompletionMemory,
  CompletionQueue,
  type CqeVisitor,
} from './completion-queue.js'
import { splitMilliseconds } from './milliseconds.js'
import {
  arrayOffset,
  mapRings,
  type RingLayout,
  type RingOptions,
  setupParams,
  setupRing,
  unregisterRing,
} from './setup.js'
import type { Sqe } from './sqe.js'
import { SubmissionQueue } from './submission-queue.js'

/** How often a call is repeated at most: after EINTR, EAGAIN or EBUSY, and when a wait brought no CQE. */
const MAX_RETRIES = 16

/** How many waits go straight to the kernel between two attempts to submit without waiting. */
const WAITS_PER_ATTEMPT = 15

/** How long `close` waits for operations that cannot be interrupted (regular-file IO on a slow disk). */
const CLOSE_DRAIN_MS = 2000

/** What to do about a refusal of io_uring_enter(2). */
const HINTS: Readonly<Record<string, string>> = {
  EBUSY: 'the completion queue has overflowed: reap completions, then submit again',
  EAGAIN: 'the kernel is short of memory for requests: reap completions, then submit again',
  EBADFD: 'the ring was set up disabled: call enable() first',
  EEXIST: 'a SINGLE_ISSUER ring is entered by the thread that created or enabled it, and by no other',
  EOWNERDEAD: 'the SQPOLL thread of this ring has died',
  ENXIO: 'the ring is being torn down',
}

/** How `submitAndWait` waits, beyond a count and a time. */
export interface WaitOptions {
  /** How long to wait for all of `minComplete`, in microseconds; then fewer will do. Linux 6.12. */
  readonly minWaitUs?: number
  /**
   * Take `timeoutMs` as a point on the ring's clock (CLOCK_MONOTONIC, or as registered) in milliseconds.
   * Linux 6.12.
   */
  readonly absolute?: boolean
  /** Do not account the wait as IO wait. Linux 6.15. */
  readonly noIowait?: boolean
  /** Address of a 64-bit signal mask to put in force during the wait; it must outlive the call. */
  readonly signalMask?: Address
}

/** What must be cleaned up after a ring. It must not refer to the ring, or the ring is never collected. */
interface Remains {
  layout: RingLayout
  readonly calls: UringCalls
  /** Index in this thread's table of registered rings, or -1. A ring in that table outlives its descriptor. */
  registeredIndex: number
  /** Memory that the kernel may use until the ring is gone. */
  readonly held: Map<unknown, unknown>
  beforeClose: (() => void) | null
}

const abandoned = new FinalizationRegistry<Remains>((remains) => {
  const { fd } = remains.layout
  process.emitWarning(
    `Closing the io_uring descriptor ${fd} on garbage collection; call ring.close()`,
    'RingLeak',
  )
  cancelAll(remains)
  release(remains, true)
  remains.held.clear()
})

function registerFlagOf(layout: RingLayout): number {
  return layout.flags & IORING_SETUP_REGISTERED_FD_ONLY ? IORING_REGISTER_USE_REGISTERED_RING : 0
}

/**
 * Whether unregistering blocks in the kernel, perhaps for ever, until the operations end that use what was
 * registered. Linux before 6.13 does so. The feature bit looked at here came one release later; no other sign
 * tells them apart.
 */
function unregisterWaits({ features }: RingLayout): boolean {
  return (features & IORING_FEAT_RW_ATTR) === 0
}

/** Cancels what is in flight, as far as it can be cancelled: block IO cannot. */
function cancelAll({ layout, calls }: Remains): void {
  const cancel = Struct.alloc(IO_URING_SYNC_CANCEL_REG)
  cancel.assign({ fd: -1, flags: IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL })
  const { sec, nsec } = splitMilliseconds(CLOSE_DRAIN_MS)
  cancel.set('timeout.tv_sec', sec).set('timeout.tv_nsec', nsec)
  // Refusals are no news here: nothing in flight (ENOENT), a kernel before 6.0 (EINVAL), restrictions (EACCES), a
  // disabled ring (EBADFD), a foreign thread (EEXIST). Closing the descriptor cancels too.
  for (let attempt = 0; attempt < MAX_RETRIES; attempt++) {
    const opcode = (IORING_REGISTER_SYNC_CANCEL | registerFlagOf(layout)) >>> 0
    if (calls.register(layout.fd, opcode, cancel.address, 1) !== EINTR) return
  }
}

/**
 * Unmaps every region and closes the descriptor. Both are needed: a mapping left behind keeps the ring alive.
 *
 * @param busy - Operations may be in flight: return only when they have ended, so that the kernel writes no memory
 *   afterwards.
 * @returns False when it is not known that they have ended.
 */
function release({ layout, calls, registeredIndex, beforeClose }: Remains, busy: boolean): boolean {
  const { fd } = layout
  const hangUp = busy ? holdPipe(layout, calls) : -1
  beforeClose?.()
  if (registeredIndex >= 0) unregisterRing(fd, registeredIndex, 0, calls)
  if (layout.flags & IORING_SETUP_REGISTERED_FD_ONLY) unregisterRing(fd, fd, registerFlagOf(layout), calls)
  else closeNoted(fd)
  for (const region of layout.regions) region.unmap()
  if (hangUp < 0) return !busy
  const deadline = performance.now() + CLOSE_DRAIN_MS
  // After a signal (EINTR) poll again for the time that is left.
  let result = 0
  for (let left = CLOSE_DRAIN_MS; left > 0; left = deadline - performance.now()) {
    result = poll(hangUp, Math.ceil(left))
    if (result !== EINTR) break
  }
  closeNoted(hangUp)
  return result > 0
}

/**
 * Registers the write end of a pipe as a file of the ring. The kernel releases the files of a closed ring
 * only when its last request has ended. User space gets no other sign of that moment.
 *
 * @returns The read end, which hangs up at that moment; -1 when it could not be set up (restrictions,
 *   EMFILE).
 */
function holdPipe(layout: RingLayout, calls: UringCalls): Fd {
  const O_CLOEXEC = 0x8_0000
  const ends = new Int32Array(2)
  if (pipe2(addressOf(ends), O_CLOEXEC) < 0) return -1
  const readEnd = ends[0]!
  const writeEnd = ends.subarray(1)
  noteHeld(readEnd)
  noteHeld(writeEnd[0]!)
  const flag = registerFlagOf(layout)
  // Requests in flight keep their files; nothing else needs the table any more.
  const mayNotWait = unregisterWaits(layout)
  if (!mayNotWait) calls.register(layout.fd, (IORING_UNREGISTER_FILES | flag) >>> 0, 0, 0)
  let result = calls.register(layout.fd, (IORING_REGISTER_FILES | flag) >>> 0, addressOf(writeEnd), 1)
  if (mayNotWait && result === EBUSY) {
    // A table exists already: the pipe replaces its first file. The other files are released with the pipe.
    const update = Struct.alloc(IO_URING_RSRC_UPDATE).assign({ offset: 0, data: addressOf(writeEnd) })
    result = calls.register(layout.fd, (IORING_REGISTER_FILES_UPDATE | flag) >>> 0, update.address, 1)
  }
  closeNoted(writeEnd[0]!)
  if (result >= 0) return readEnd
  closeNoted(readEnd)
  return -1
}

const ignore = (): void => {}

/**
 * An io_uring instance.
 *
 * This is the raw layer: memory whose address an SQE carries must stay alive, and must not be transferred, until its
 * final CQE; the ring does not keep it. A ring belongs to the thread that opened it.
 *
 * @see io_uring(7)
 */
export class Ring {
  readonly #calls: UringCalls
  #layout: RingLayout
  #sq: SubmissionQueue
  #cq: CompletionQueue
  /** What enter(2) is called with: the descriptor, or its registered index. */
  #enterFd: number
  #enterFlags: number
  #registerFlag: number
  #closed = false
  /** Whether every operation was known to have ended when the ring was closed: what `close` returns. */
  #hasLetGo = true
  /** `enable` has been called. */
  #enabled = false
  readonly #sqpoll: boolean
  /** Completions appear only when enter(2) asks for them. */
  readonly #mustEnterToReap: boolean
  /** Operations may complete while they are submitted, so that there is nothing left to wait for. */
  readonly #mayCompleteInline: boolean
  /** Waits to make before the next one that submits without waiting. */
  #waitsUntilAttempt = 0
  #dropped: number
  #overflow: number
  readonly #wait = Struct.alloc(IO_URING_GETEVENTS_ARG)
  readonly #waitTime = Struct.alloc(KERNEL_TIMESPEC)
  readonly #remains: Remains
  /** Operations in flight that were counted by the queues from before the last resize. */
  #earlier = 0
  /** Completions come that end no operation of this ring. */
  #isCountUnsure = false

  private constructor(layout: RingLayout, calls: UringCalls) {
    this.#calls = calls
    this.#layout = layout
    this.#sq = new SubmissionQueue(layout)
    this.#cq = new CompletionQueue(layout)
    this.#enterFd = layout.fd
    this.#registerFlag = registerFlagOf(layout)
    this.#enterFlags = this.#registerFlag === 0 ? 0 : IORING_ENTER_REGISTERED_RING
    this.#sqpoll = (layout.flags & IORING_SETUP_SQPOLL) !== 0
    const deferred = (layout.flags & IORING_SETUP_DEFER_TASKRUN) !== 0
    const isFlagged = (layout.flags & IORING_SETUP_TASKRUN_FLAG) !== 0
    this.#mustEnterToReap = (deferred && !isFlagged) || (layout.flags & IORING_SETUP_IOPOLL) !== 0
    // An SQPOLL ring is not entered to submit, and polled IO completes only in a wait.
    this.#mayCompleteInline = (layout.flags & (IORING_SETUP_SQPOLL | IORING_SETUP_IOPOLL)) === 0
    this.#dropped = this.#sq.loadDropped()
    this.#overflow = this.#cq.loadOverflow()
    this.#remains = { layout, calls, registeredIndex: -1, held: new Map(), beforeClose: null }
    abandoned.register(this, this.#remains, this)
  }

  /**
   * Sets up a ring and maps it. Linux 5.1; most of what makes it useful, 5.6.
   *
   * @param options - `entries` is rounded up to a power of two by the kernel.
   * @param calls - The three system calls; tests replace them.
   * @throws TypeError, RangeError (`ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`) for options
   *   that no kernel accepts; SystemError with `syscall` `io_uring_setup` or `mmap` for a refusal: ENOSYS (no
   *   io_uring), EPERM (sysctl or seccomp), ENOMEM (RLIMIT_MEMLOCK), EINVAL (a flag newer than the kernel), EMFILE.
   * @see io_uring_setup(2), io_uring_setup_flags(7)
   */
  static open(options: RingOptions, calls: UringCalls = kernelCalls): Ring {
    return new Ring(setupRing(options, calls), calls)
  }

  /** The ring's descriptor; -1 once closed. With REGISTERED_FD_ONLY it is an index that only io_uring calls accept. */
  get fd(): Fd {
    return this.#closed ? -1 : this.#layout.fd
  }

  /** @internal What is mapped. A thread that ends without closing its ring leaves these mappings behind. */
  get regions(): readonly MappedRegion[] {
    return this.#closed ? [] : this.#layout.regions
  }

  /** `IORING_FEAT_*` bits that the kernel reported. */
  get features(): number {
    return this.#layout.features
  }

  /** @internal Unregistering waits for operations in flight. */
  get unregisterWaits(): boolean {
    return unregisterWaits(this.#layout)
  }

  /** `IORING_SETUP_*` bits in force. */
  get flags(): number {
    return this.#layout.flags
  }

  get sqEntries(): number {
    return this.#layout.sqEntries
  }

  get cqEntries(): number {
    return this.#layout.cqEntries
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Entries handed out that the kernel has not taken. */
  get sqPending(): number {
    if (this.#closed) return 0
    if (this.#sqpoll) this.#sq.refreshHead()
    return this.#sq.pending
  }

  /** Entries that `getSqe` can hand out before it answers null. */
  get sqSpaceLeft(): number {
    return this.#closed ? 0 : this.#sq.entries - this.sqPending
  }

  /** CQEs that can be visited without entering the kernel. */
  get cqReady(): number {
    return this.#closed ? 0 : this.#cq.ready()
  }

  /** The `IORING_SQ_*` flags word as the kernel has it now. */
  get sqFlags(): number {
    return this.#closed ? 0 : this.#sq.loadFlags()
  }

  /**
   * The next submission queue entry, zeroed; null when the queue is full (submit, or with SQPOLL wait for room).
   *
   * Prepare each entry once. One that is never prepared is submitted as a NOP with user_data 0.
   *
   * @throws Error `ERR_INVALID_STATE` on a closed ring.
   * @see io_uring_get_sqe(3)
   */
  getSqe(): Sqe | null {
    const sqe = this.#sq.next()
    // The queue of a closed ring always returns null.
    if (sqe === null && this.#closed) throw closedError()
    return sqe
  }

  /**
   * The next 128-byte entry, for NOP128 and URING_CMD128; null when there is no room, or when the ring was set up
   * with neither SQE128 (Linux 5.19) nor SQE_MIXED (Linux 6.19).
   *
   * @see io_uring_get_sqe128(3)
   */
  getSqe128(): Sqe | null {
    if (this.#closed) throw closedError()
    return this.#sq.nextWide()
  }

  /**
   * Gives the kernel every entry handed out so far.
   *
   * @returns How many SQEs the kernel took; with SQPOLL, how many are there for its thread to take. Fewer than were
   *   pending is no error: the rest stays queued for the next submit.
   * @throws SystemError `io_uring_enter`: EBUSY and EAGAIN after bounded retries (nothing is lost: reap and submit
   *   again), EBADFD on a disabled ring, EEXIST from a foreign thread on a SINGLE_ISSUER ring.
   * @see io_uring_submit(3), io_uring_enter(2)
   */
  submit(): number {
    if (this.#closed) throw closedError()
    const pending = this.#sq.publish()
    if (this.#sqpoll) {
      // Look at NEED_WAKEUP after the tail store, even if the thread may have taken the entries meanwhile.
      if (this.#sq.needsWakeup()) this.#enter(pending, 0, IORING_ENTER_SQ_WAKEUP, 0, 0)
      return pending
    }
    return pending === 0 ? 0 : this.#enter(pending, 0, 0, 0, 0)
  }

  /**
   * As `submit`, and makes the kernel post CQEs it holds back (deferred task work, overflow, polled IO).
   * Linux 5.19.
   */
  submitAndGetEvents(): number {
    return this.submitAndWait(0)
  }

  /**
   * Submits, then blocks this thread until `minComplete` CQEs are there or the time is up. It returns earlier
   * when the kernel took fewer entries than were pending or an IORING_OP_TIMEOUT expires, and it may when a
   * signal arrives, so check what is there.
   *
   * On a kernel before 5.11 (no EXT_ARG) a wait with a timeout uses poll(2), at a resolution of 1 ms.
   *
   * @param minComplete - 0 to `cqEntries`; with 0 it does not wait, and the kernel only posts what is due.
   * @param timeoutMs - Milliseconds, fractions allowed; undefined waits for ever. Its end is no error.
   * @returns How many SQEs the kernel took, as `submit` does.
   * @throws As `submit`; TypeError, RangeError for bad arguments; SystemError EINTR when signals keep interrupting.
   * @see io_uring_submit_and_wait_timeout(3), io_uring_enter2(2)
   */
  submitAndWait(minComplete: number, timeoutMs?: number, options?: WaitOptions): number {
    if (this.#closed) throw closedError()
    if (
      typeof minComplete !== 'number' ||
      minComplete >>> 0 !== minComplete ||
      minComplete > this.#cq.entries
    ) {
      throw checkCount('minComplete', minComplete, this.#cq.entries)
    }
    const timed = timeoutMs !== undefined || options !== undefined
    if (timed) {
      checkWait(timeoutMs, options, this.#layout.features)
      if (this.#closed) throw closedError() // A getter of the options closed the ring.
    }
    const pending = this.#sq.publish()
    if (pending > 0 && minComplete > 0 && !timed && this.#mayCompleteInline) {
      const taken = this.#submitUnwaited(pending, minComplete)
      if (taken >= 0) return taken
    }
    let flags = IORING_ENTER_GETEVENTS
    if (this.#sqpoll && this.#sq.needsWakeup()) flags |= IORING_ENTER_SQ_WAKEUP
    const taken = timed
      ? this.#waitWith(pending, minComplete, flags, timeoutMs, options)
      : this.#enter(pending, minComplete, flags, 0, 0)
    if (!timed && taken > 0 && taken === pending) this.#waitOn(minComplete)
    return this.#sqpoll ? pending : taken
  }

  /**
   * Submits and waits as `submitAndWait`. The wait is described in a region registered for wait arguments, so
   * that the kernel need not copy them in. Linux 6.13.
   *
   * @param regWaitIndex - Index of the `struct io_uring_reg_wait` in the registered region.
   * @see io_uring_submit_and_wait_reg(3)
   */
  submitAndWaitRegistered(minComplete: number, regWaitIndex: number): number {
    if (this.#closed) throw closedError()
    checkInteger('minComplete', minComplete, 0, this.#cq.entries)
    checkInteger('regWaitIndex', regWaitIndex, 0, 0xffff)
    const pending = this.#sq.publish()
    const bytes = 64
    let flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | IORING_ENTER_EXT_ARG_REG
    if (this.#sqpoll && this.#sq.needsWakeup()) flags |= IORING_ENTER_SQ_WAKEUP
    const taken = this.#enter(pending, minComplete, flags, regWaitIndex * bytes, bytes)
    return this.#sqpoll ? pending : taken
  }

  /**
   * Blocks until the SQPOLL thread has made room in the submission queue; a full queue is submitted first. Signals may
   * end the wait early: check whether `getSqe` returns null. Linux 5.10.
   *
   * @see io_uring_sqring_wait(3)
   */
  waitForSqSpace(): void {
    if (this.#closed) throw closedError()
    if (!this.#sqpoll)
      throw invalidState('Only a ring with IORING_SETUP_SQPOLL waits for room: submit instead')
    if (this.sqSpaceLeft > 0) return
    // Publish first: the SQPOLL thread takes only entries that it can see.
    this.#sq.publish()
    const wakeup = this.#sq.needsWakeup() ? IORING_ENTER_SQ_WAKEUP : 0
    this.#enter(0, 0, IORING_ENTER_SQ_WAIT | wakeup, 0, 0)
  }

  /**
   * Visits the completions that are there, in order, and gives their slots back; returns how many. It enters the
   * kernel only when none is there and the kernel says (or the ring's flags imply) that it holds some back.
   *
   * @param visit - `(userDataLow, userDataHigh, res, flags)`; see `CompletionQueue.forEach` for what it may do.
   * @throws Error when the kernel reports completions lost for ever (`ERR_URING_CQE_LOST`); whatever `visit` throws.
   * @see io_uring_for_each_cqe(3), io_uring_cq_advance(3)
   */
  forEachCqe(visit: CqeVisitor): number {
    if (this.#closed) throw closedError()
    if (typeof visit !== 'function') throw invalidType('visit', 'a function', visit)
    const count = this.#cq.forEach(visit)
    return count === 0 && this.#flushHeldBack() ? this.#cq.forEach(visit) : count
  }

  /** As `forEachCqe`, with the 16 extra bytes of a 32-byte CQE as four words. Linux 5.19. */
  forEachBigCqe(visit: BigCqeVisitor): number {
    if (this.#closed) throw closedError()
    if (typeof visit !== 'function') throw invalidType('visit', 'a function', visit)
    const count = this.#cq.forEachBig(visit)
    return count === 0 && this.#flushHeldBack() ? this.#cq.forEachBig(visit) : count
  }

  /**
   * @internal For a visitor: gives back the slots of the CQEs visited so far. Until then other readers of the
   *   queue still see these CQEs.
   */
  giveBack(): void {
    if (!this.#closed) this.#cq.giveBack()
  }

  /** @internal Where the completion queue is; null when closed, or when CQEs may have more than 16 bytes. */
  get completionMemory(): CompletionMemory | null {
    const { cqRing, cqHeadAt, cqTailAt, cqesAt, cqEntries, cqeWords } = this.#layout
    if (this.#closed || cqeWords !== 4 || this.flags & IORING_SETUP_CQE_MIXED) return null
    return {
      address: cqRing.address,
      length: cqRing.length,
      headAt: cqHeadAt,
      tailAt: cqTailAt,
      cqesAt,
      entries: cqEntries,
    }
  }

  /** Makes the kernel post the CQEs that it holds back, without waiting. @see io_uring_get_events(3) */
  getEvents(): void {
    if (this.#closed) throw closedError()
    this.#enter(0, 0, IORING_ENTER_GETEVENTS, 0, 0)
  }

  /** Enables a ring that was set up with R_DISABLED; this thread becomes its single issuer. Linux 5.10. */
  enable(): void {
    const result = this.register(IORING_REGISTER_ENABLE_RINGS, 0, 0)
    if (result < 0) throw systemError(result, 'io_uring_register')
    this.#enabled = true
  }

  /** False for a ring that was set up with R_DISABLED and has not been enabled here. */
  get enabled(): boolean {
    return this.#enabled || (this.flags & IORING_SETUP_R_DISABLED) === 0
  }

  /** Whether a registered eventfd is signalled on completions. Linux 5.8. @see io_uring_cq_eventfd_toggle(3) */
  get eventfdEnabled(): boolean {
    return !this.#closed && this.#cq.eventfdEnabled
  }

  set eventfdEnabled(enabled: boolean) {
    if (this.#closed) throw closedError()
    this.#cq.eventfdEnabled = enabled
  }

  /**
   * Registers the ring's descriptor with this thread. In a process of many threads this saves enter(2) the
   * reference counting of the file. Linux 5.18.
   *
   * @returns 0, or a negated errno: EINVAL from an older kernel, EBUSY when the thread's 16 places are taken.
   * @see io_uring_register_ring_fd(3)
   */
  registerRingFd(): number {
    if (this.#closed) throw closedError()
    if (this.#enterFlags !== 0) return EBUSY
    const update = Struct.alloc(IO_URING_RSRC_UPDATE).assign({ offset: 0xffff_ffff, data: this.#layout.fd })
    const result = this.register(IORING_REGISTER_RING_FDS, update.address, 1)
    if (result !== 1) return result < 0 ? result : EAGAIN
    this.#remains.registeredIndex = update.get('offset')
    this.#enterFd = this.#remains.registeredIndex
    this.#enterFlags = IORING_ENTER_REGISTERED_RING
    return 0
  }

  /** Undoes `registerRingFd`. @returns 0, or a negated errno. @see io_uring_unregister_ring_fd(3) */
  unregisterRingFd(): number {
    if (this.#closed) throw closedError()
    const { registeredIndex } = this.#remains
    if (registeredIndex < 0) return EINVAL
    const result = unregisterRing(this.#layout.fd, registeredIndex, 0, this.#calls)
    if (result !== 1) return result < 0 ? result : EAGAIN
    this.#remains.registeredIndex = -1
    this.#enterFd = this.#layout.fd
    this.#enterFlags = 0
    return 0
  }

  /**
   * Calls io_uring_register(2) on this ring. The registration functions are built on it.
   *
   * @param address - The argument; must outlive the call.
   * @returns The result, or a negated errno.
   */
  register(opcode: number, address: Address, count: number): number {
    if (this.#closed) throw closedError()
    return this.#calls.register(this.#layout.fd, (opcode | this.#registerFlag) >>> 0, address, count)
  }

  /**
   * Keeps `memory` alive as long as the ring is open, because the kernel keeps its address (registered
   * buffers, provided-buffer rings). It replaces what was held under the same `key`; undefined removes it.
   */
  hold(key: unknown, memory: unknown): void {
    if (memory === undefined) this.#remains.held.delete(key)
    else this.#remains.held.set(key, memory)
  }

  /** What was last held under `key`. */
  held(key: unknown): unknown {
    return this.#remains.held.get(key)
  }

  /**
   * Changes the number of entries of an open ring, which must have been set up with DEFER_TASKRUN. Entries
   * that the kernel has not taken and completions not visited are kept. Entry objects handed out before must
   * not be used any more. Linux 6.13.
   *
   * @throws SystemError `io_uring_register`: EINVAL (not DEFER_TASKRUN, or an older kernel), EOVERFLOW (what is queued
   *   does not fit).
   * @see io_uring_resize_rings(3)
   */
  resize(options: { readonly entries: number; readonly cqEntries?: number }): void {
    if (this.#closed) throw closedError()
    const clamp = this.#layout.flags & IORING_SETUP_CLAMP
    const params = setupParams({ ...options, flags: clamp })
    const { sqArrayAt, cqesAt, cqEntries, cqeWords } = this.#layout
    // The kernel does not report where the SQ array of a resized ring is (seen on 6.18), so its rule must be
    // known.
    if (sqArrayAt >= 0 && arrayOffset(cqesAt * 4, cqEntries, cqeWords) !== sqArrayAt * 4) {
      throw invalidState(
        'This kernel places the SQ array in an unknown way: resize needs IORING_SETUP_NO_SQARRAY',
      )
    }
    if (this.#layout.flags & IORING_SETUP_SQ_REWIND && this.#sq.pending > 0) {
      throw invalidState(
        'A ring with IORING_SETUP_SQ_REWIND is resized with an empty submission queue: submit first',
      )
    }
    this.#sq.publish()
    // CQEs that were visited must not be copied into the new queue.
    this.#cq.giveBack()
    const result = this.register(IORING_REGISTER_RESIZE_RINGS, params.address, 1)
    if (result < 0) throw systemError(result, 'io_uring_register')
    if (sqArrayAt >= 0) {
      params.set('sq_off.array', arrayOffset(params.get('cq_off.cqes'), params.get('cq_entries'), cqeWords))
    }
    // From here on the old mappings show memory that the kernel no longer uses.
    const old = this.#layout
    this.#earlier = this.#inFlight()
    this.#sq.drop()
    this.#cq.drop()
    for (const region of old.regions) region.unmap()
    const regions: MappedRegion[] = []
    try {
      // A resize reports neither features nor flags: those from setup stay valid.
      this.#layout = mapRings(params, old.fd, old.flags, old.features, null, regions)
    } catch (error) {
      // A ring without its memory is useless: close what is left of it.
      this.#remains.layout = { ...old, regions }
      this.#finish(true)
      throw error
    }
    this.#remains.layout = this.#layout
    this.#sq = new SubmissionQueue(this.#layout)
    this.#cq = new CompletionQueue(this.#layout)
  }

  /**
   * Closes the ring: cancels the operations in flight and waits for them, empties every view, unmaps
   * everything and closes the descriptor. A second call does nothing; any other call on a closed ring throws
   * `ERR_INVALID_STATE`.
   *
   * Operations that cannot be cancelled (block IO) are waited for, at most two seconds. The wait costs some
   * tens of milliseconds, so reap before you close. A ring whose registrations are restricted does not wait:
   * keep the memory of its operations. If other rings send messages to this one, call `expectForeignCqes` first.
   *
   * @param visit - Sees the completions that were not reaped. It must not throw, nor use the ring.
   * @returns False when operations may still be in flight: the kernel may write to their memory, which must
   *   be kept.
   */
  close(visit: CqeVisitor = ignore): boolean {
    if (typeof visit !== 'function') throw invalidType('visit', 'of type function', visit)
    if (this.#closed) return this.#hasLetGo
    cancelAll(this.#remains)
    this.#cq.forEach(visit)
    let busy = this.#mayBeBusy()
    if (busy) {
      // The kernel may hold back the completions of operations that were just cancelled.
      this.#calls.enter(this.#enterFd, 0, 0, IORING_ENTER_GETEVENTS | this.#enterFlags, 0, 0)
      this.#cq.forEach(visit)
      busy = this.#mayBeBusy()
    }
    this.#finish(busy)
    return this.#hasLetGo
  }

  /**
   * Tells the ring that it gets completions which end none of its own operations: messages of other rings
   * (IORING_OP_MSG_RING). Registrations with tags tell it by themselves.
   *
   * `close` counts completions to find out whether anything is in flight. From now on it does not trust that count: it
   * waits until the kernel has taken the ring apart, which costs some tens of milliseconds.
   */
  expectForeignCqes(): void {
    this.#isCountUnsure = true
  }

  #mayBeBusy(): boolean {
    return this.#isCountUnsure ? this.#sq.takenCount !== 0 : this.#inFlight() !== 0
  }

  #finish(busy: boolean): void {
    this.#closed = true
    abandoned.unregister(this)
    // Views first: using a stale view is a segfault, using an empty one an error.
    this.#sq.drop()
    this.#cq.drop()
    this.#hasLetGo = release(this.#remains, busy)
    this.#remains.held.clear()
  }

  /**
   * @internal Called just before the ring is closed and its memory unmapped. It must not refer to the ring.
   */
  set beforeClose(call: () => void) {
    this.#remains.beforeClose = call
  }

  /** @internal Notes that `count` operations ended without a CQE, so that `close` does not wait for them. */
  endedSilently(count: number): void {
    this.#earlier -= count
  }

  /**
   * How many operations the kernel took that were not seen to end. It is too high when an operation ends
   * without a CQE (a link or IOSQE_CQE_SKIP_SUCCESS), and too low by the CQEs that other rings sent
   * (IORING_OP_MSG_RING).
   */
  #inFlight(): number {
    return (this.#earlier + this.#sq.takenCount - this.#cq.endedCount) | 0
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Calls enter(2), and repeats it (within a bound) after EINTR, EAGAIN and EBUSY. @returns SQEs taken. */
  #enter(toSubmit: number, minComplete: number, flags: number, arg: Address, argBytes: number): number {
    const allFlags = flags | this.#enterFlags
    // For a visitor that enters: until its slot is given back, the kernel counts a visited CQE as unread.
    this.#cq.giveBack()
    const taken = this.#calls.enter(this.#enterFd, toSubmit, minComplete, allFlags, arg, argBytes)
    this.#cq.entered()
    if (taken < 0) return this.#enterAgain(taken, toSubmit, minComplete, allFlags, arg, argBytes)
    this.#sq.taken(taken)
    if (taken < toSubmit && !this.#sqpoll) this.#checkDropped()
    return taken
  }

  #enterAgain(
    failure: number,
    toSubmit: number,
    minComplete: number,
    flags: number,
    arg: Address,
    argBytes: number,
  ): number {
    let result = failure
    for (let attempt = 0; attempt < MAX_RETRIES && result < 0; attempt++) {
      if (result === ETIME) return 0
      if (result === EBUSY) {
        // The CQ has overflowed: let the kernel move its overflow list into the CQ, as far as there is room.
        this.#calls.enter(this.#enterFd, 0, 0, IORING_ENTER_GETEVENTS | this.#enterFlags, 0, 0)
      } else if (result !== EINTR && result !== EAGAIN) break
      // A repeated wait starts with its whole time again: a signal may lengthen a wait but never shorten it.
      result = this.#calls.enter(this.#enterFd, toSubmit, minComplete, flags, arg, argBytes)
    }
    if (result === ETIME) return 0
    if (result < 0) {
      if (result === EBADR) this.#checkOverflow()
      const hint = HINTS[errnoName(result)]
      throw systemError(result, 'io_uring_enter', { hint })
    }
    this.#sq.taken(result)
    if (result < toSubmit && !this.#sqpoll) this.#checkDropped()
    return result
  }

  /**
   * Submits without waiting, because everything may complete at once (NOPs, cached reads): a wait that has
   * nothing to wait for costs some 50 ns in the kernel (measured by the `nop` bench). After a failed attempt
   * the next waits go straight to the kernel, so that a workload that does wait pays for few attempts.
   *
   * @returns SQEs taken, or -1 to go on and wait.
   */
  #submitUnwaited(pending: number, minComplete: number): number {
    if (this.#waitsUntilAttempt > 0) {
      this.#waitsUntilAttempt--
      return -1
    }
    const taken = this.#enter(pending, 0, 0, 0, 0)
    if (taken === pending && this.#cq.readyAfterEnter() >= minComplete) return taken
    this.#waitsUntilAttempt = WAITS_PER_ATTEMPT
    // No wait after a short submit: enter(2) would not wait either.
    if (taken < pending) return taken
    this.#enter(0, minComplete, IORING_ENTER_GETEVENTS, 0, 0)
    this.#waitOn(minComplete)
    return taken
  }

  /**
   * Waits again while no CQE is there: an enter(2) that took entries returns their number even if a signal
   * ended its wait.
   */
  #waitOn(minComplete: number): void {
    // Having some CQEs but fewer than `minComplete` ends the wait: it may have been ended on purpose, by a
    // timeout operation that expired. With IOPOLL the kernel returns early when nothing is left to poll for.
    if (minComplete === 0 || this.#layout.flags & IORING_SETUP_IOPOLL) return
    for (let attempt = 0; attempt < MAX_RETRIES && this.#cq.ready() === 0; attempt++) {
      this.#enter(0, minComplete, IORING_ENTER_GETEVENTS, 0, 0)
    }
  }

  #waitWith(
    pending: number,
    minComplete: number,
    flags: number,
    timeoutMs: number | undefined,
    options: WaitOptions | undefined,
  ): number {
    const { features } = this.#layout
    if (!(features & IORING_FEAT_EXT_ARG)) return this.#waitByPoll(pending, minComplete, flags, timeoutMs)
    const wait = this.#wait
    wait.set('sigmask', options?.signalMask ?? 0).set('sigmask_sz', 8)
    wait.set('min_wait_usec', options?.minWaitUs ?? 0)
    if (timeoutMs === undefined) {
      wait.set('ts', 0)
    } else {
      const { sec, nsec } = splitMilliseconds(timeoutMs)
      this.#waitTime.set('tv_sec', sec).set('tv_nsec', nsec)
      wait.set('ts', this.#waitTime.address)
    }
    let allFlags = flags | IORING_ENTER_EXT_ARG
    if (options?.absolute) allFlags |= IORING_ENTER_ABS_TIMER
    if (options?.noIowait && features & IORING_FEAT_NO_IOWAIT) allFlags |= IORING_ENTER_NO_IOWAIT
    // A getter of the options may have closed the ring, and its descriptor may be another file's by now.
    if (this.#closed) throw closedError()
    return this.#enter(pending, minComplete, allFlags, wait.address, wait.layout.size)
  }

  /**
   * Waits with a timeout on a kernel whose enter(2) has none. It polls the ring's descriptor, which is
   * readable while CQEs are there.
   */
  #waitByPoll(
    pending: number,
    minComplete: number,
    flags: number,
    timeoutMs = Number.POSITIVE_INFINITY,
  ): number {
    const deadline = performance.now() + timeoutMs
    const taken = this.#enter(pending, 0, flags, 0, 0)
    for (;;) {
      const ready = this.#cq.ready()
      const left = deadline - performance.now()
      if (ready >= minComplete || left <= 0) return taken
      // Readable already, but not enough: poll(2) would return at once, so sleep in steps instead.
      poll(ready > 0 ? -1 : this.#layout.fd, ready > 0 ? 1 : Math.min(Math.ceil(left), 1000))
      this.#enter(0, 0, IORING_ENTER_GETEVENTS, 0, 0)
    }
  }

  /**
   * Called when no CQE is there: makes the kernel post those it holds back.
   *
   * @returns Whether it may have posted any.
   */
  #flushHeldBack(): boolean {
    if (this.#closed) return false // The visitor closed the ring.
    const flags = this.#sq.loadFlags()
    this.#checkOverflow()
    if (!this.#mustEnterToReap && !(flags & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN))) return false
    this.#enter(0, 0, IORING_ENTER_GETEVENTS, 0, 0)
    return true
  }

  /** Throws when the kernel has lost completions since the last look. */
  #checkOverflow(): void {
    const overflow = this.#cq.loadOverflow()
    if (overflow === this.#overflow) return
    const lost = (overflow - this.#overflow) >>> 0
    this.#overflow = overflow
    const message = `The kernel lost ${lost} completions: the completion queue overflowed and memory ran out`
    throw Object.assign(new Error(message), { code: 'ERR_URING_CQE_LOST', lost })
  }

  /** Called when the kernel took fewer entries than asked: throws if it dropped any, which get no CQE. */
  #checkDropped(): void {
    const dropped = this.#sq.loadDropped()
    if (dropped === this.#dropped) return
    const lost = (dropped - this.#dropped) >>> 0
    this.#dropped = dropped
    // The kernel's head has moved past the dropped entries, which the result of enter(2) does not include.
    this.#sq.refreshHead()
    const message = `The kernel dropped ${lost} submission queue entries for a bad index: the ring's memory was overwritten`
    throw Object.assign(new Error(message), { code: 'ERR_URING_SQE_DROPPED', lost })
  }
}

function closedError(): Error {
  return invalidState('The ring is closed')
}

function checkCount(name: string, value: unknown, max: number): Error {
  if (typeof value !== 'number') return invalidType(name, 'of type number', value)
  return outOfRange(name, `an integer >= 0 and <= ${max}`, value)
}

/** Throws for invalid wait arguments, or a wait that this kernel cannot do, before the queue is touched. */
function checkWait(timeoutMs: number | undefined, options: WaitOptions | undefined, features: number): void {
  if (timeoutMs !== undefined) checkMilliseconds('timeoutMs', timeoutMs)
  if (options === undefined) return
  if (typeof options !== 'object' || options === null) throw invalidType('options', 'an object', options)
  checkMembers('options', options, ['minWaitUs', 'absolute', 'noIowait', 'signalMask'])
  const minWaitUs = checkInteger('options.minWaitUs', options.minWaitUs ?? 0, 0, 0xffff_ffff)
  const signalMask = checkInteger('options.signalMask', options.signalMask ?? 0, 0, Number.MAX_SAFE_INTEGER)
  if (minWaitUs > 0 && !(features & IORING_FEAT_MIN_TIMEOUT)) {
    throw systemError(EINVAL, 'io_uring_enter', { hint: 'minWaitUs needs Linux 6.12' })
  }
  if (signalMask > 0 && !(features & IORING_FEAT_EXT_ARG)) {
    throw systemError(EINVAL, 'io_uring_enter', { hint: 'signalMask with a timeout needs Linux 5.11' })
  }
}
