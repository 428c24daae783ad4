// Lanes carry out whole-file operations: open, transfer, close. Each step is issued from the completion of
// the one before, and one promise covers them all. A lane serves one request after another, so its callbacks
// are created once.
//
// There are a few hundred lanes at most; further requests wait in order. So ten thousand readFile calls in
// one turn neither exhaust the descriptors of the process nor hold ten thousand buffers.

import fs from 'node:fs'
import {
  AT_FDCWD,
  IOSQE_ASYNC,
  prepClose,
  prepOpenat,
  prepOpenat2,
  type Sqe,
  systemError,
} from '../ring/index.js'
import type { Block } from '../runtime/arena.js'
import { AbortError, type Uring } from '../runtime/index.js'
import { announceFd } from '../runtime/lifetime.js'
import type { Slot } from '../runtime/slot.js'
import { ECANCELED, EINTR, ENXIO } from '../syscalls/errno-values.js'
import { addAbortListener, removeAbortListener } from './abort-listeners.js'
import { pathText } from './arguments.js'
import { asksAgain, callError, MAX_REPEATS } from './call.js'
import { withCloseError } from './node-errors.js'
import { O_CLOEXEC, OPEN_HOW_BYTES, openBlock, opensWithoutWaiting } from './open-block.js'

const MAX_LANES = 256

/** A whole-file operation that was asked for. */
export interface LaneRequest {
  readonly uring: Uring
  /** Ignored where `fd` is given. */
  readonly path: string | Buffer
  /** An open descriptor, which stays open; or -1. */
  readonly fd: number
  /** Where in `fd` to begin; -1 at its current position. */
  readonly position: number
  readonly flags: number
  readonly mode: number
  /** `RESOLVE_*` bits; 0 opens with openat. */
  readonly resolveBits: number
  readonly signal: AbortSignal | undefined
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
  /** The lane that works on it; null while it waits. */
  lane: { abort(): void } | null
}

/**
 * One lane. A subclass has `transfer`, which is called once the file is open and ends by calling `done` or `fail`.
 */
export abstract class Lane<R extends LaneRequest> {
  readonly #pool: LanePool<R>
  #request: R | null = null
  protected fd = -1
  /** Driver memory of the step in progress; freed with the lane's request. */
  protected block: Block | null = null
  #slot: Slot | null = null
  #repeats = 0
  #aborted = false
  /** The open must go to a kernel worker thread at once: see `#onOpened`. */
  #openAsync = false
  /** What the step in progress must keep referenced, besides `block`. */
  protected memory: unknown = null
  #value: unknown = undefined
  #error: unknown = undefined
  #failed = false
  #step: (sqe: Sqe) => void = () => {}
  #onResult: (res: number) => void = () => {}
  #syscall = ''

  constructor(pool: LanePool<R>) {
    this.#pool = pool
  }

  protected abstract transfer(): void

  protected get request(): R {
    return this.#request!
  }

  protected get aborted(): boolean {
    return this.#aborted || this.request.signal?.aborted === true
  }

  /** Begins a request. Nothing is thrown: whatever happens reaches the request's promise. */
  begin(request: R): void {
    this.#request = request
    request.lane = this
    this.#aborted = false
    this.#failed = false
    this.#error = undefined
    this.#value = undefined
    this.#openAsync = false
    this.#step = this.#prepareOpen
    this.fd = request.fd
    if (request.fd >= 0) {
      this.#beginTransfer()
      return
    }
    const { path, flags, mode, resolveBits, uring } = request
    try {
      this.block = openBlock(uring, path, flags, mode, resolveBits)
    } catch (error) {
      this.#abandon(error)
      return
    }
    this.issue(this.#prepareOpen, this.#onOpened, 'open')
  }

  /**
   * The request's signal was aborted. The step in flight is cancelled if possible, and of the others only the
   * close is still issued.
   */
  abort(): void {
    // A close is never cancelled: the descriptor would stay open. Its error is still reported.
    if (this.#step === this.#prepareClose) return
    this.#aborted = true
    if (this.#slot !== null) this.request.uring.driver.cancel(this.#slot)
  }

  /** Issues the next step. `onResult` gets its final `res`, after any repetitions for EINTR and EAGAIN. */
  protected issue(step: (sqe: Sqe) => void, onResult: (res: number) => void, syscall: string): void {
    this.#step = step
    this.#onResult = onResult
    this.#syscall = syscall
    this.#repeats = 0
    this.#submit()
  }

  #submit(): void {
    const { driver } = this.request.uring
    try {
      const opens = this.#step === this.#prepareOpen
      this.#slot = driver.submitOnce(this.#step, this.#onCqe, this.#syscall, this.memory, opens)
    } catch (error) {
      this.#abandon(error)
    }
  }

  /** The ring takes no more operations, so the file is closed without it. */
  #abandon(error: unknown): void {
    // When only the close is left, the outcome of the operation is known: data that was written is no
    // failure.
    if (this.#step !== this.#prepareClose) {
      this.#failed = true
      this.#error = error
    }
    if (this.request.fd < 0 && this.fd >= 0) {
      announceFd(this.fd, false)
      closeQuietly(this.fd)
    }
    this.fd = -1
    // In a microtask: the next waiting request fails the same way, and thousands of them would recurse.
    queueMicrotask(() => this.#end())
  }

  readonly #onCqe = (res: number): void => {
    this.#slot = null
    const isRepeatable = this.#step !== this.#prepareClose
    if (isRepeatable && res < 0 && asksAgain(res) && !this.#aborted && this.#repeats++ < MAX_REPEATS) {
      this.#submit()
      return
    }
    const request = this.#request
    try {
      this.#onResult(res)
    } catch (error) {
      // No memory for the next step. Thrown from here it would reach nobody, and the promise would never settle.
      if (request === null || request !== this.#request || !isRepeatable) throw error
      this.fail(error)
    }
  }

  readonly #prepareOpen = (sqe: Sqe): void => {
    const { flags, mode, resolveBits } = this.request
    const { address } = this.block!
    if (resolveBits !== 0) prepOpenat2(sqe, AT_FDCWD, address + OPEN_HOW_BYTES, address)
    else prepOpenat(sqe, AT_FDCWD, address + OPEN_HOW_BYTES, flags | O_CLOEXEC, mode)
    if (this.#openAsync) sqe.addFlags(IOSQE_ASYNC)
  }

  readonly #onOpened = (res: number): void => {
    const { uring, flags, path } = this.request
    if (res < 0) {
      if (res === ENXIO && !this.#openAsync && opensWithoutWaiting(flags) && !this.#aborted) {
        this.#openAsync = true
        this.issue(this.#prepareOpen, this.#onOpened, 'open')
        return
      }
      this.freeBlock()
      this.#failed = true
      this.#error = this.#aborted ? this.abortError() : callError(uring, res, 'open', pathText(path))
      this.#end()
      return
    }
    this.freeBlock()
    this.fd = res
    if (this.#aborted) this.fail(this.abortError())
    else this.#beginTransfer()
  }

  #beginTransfer(): void {
    try {
      this.transfer()
    } catch (error) {
      // A buffer that was detached meanwhile, or no memory.
      this.fail(error)
    }
  }

  /**
   * The offset of the transfer after `bytes` bytes; -1 for the current position. A file that was opened here
   * is never used at its current position: the ring does not move that when a transfer completes later, as
   * direct ones do.
   */
  protected offsetAt(bytes: number): number {
    const { fd, position } = this.request
    if (fd < 0) return bytes
    return position < 0 ? -1 : position + bytes
  }

  /** Called when the transfer from or to a given descriptor has ended, successfully or not. */
  protected leave(): void {}

  protected freeBlock(): void {
    if (this.block === null) return
    this.request.uring.driver.arena.free(this.block)
    this.block = null
  }

  protected abortError(): Error {
    return new AbortError(this.request.signal?.reason)
  }

  /** The error of a failed step. */
  protected stepError(res: number, syscall: string, path?: string): Error {
    return this.aborted ? this.abortError() : callError(this.request.uring, res, syscall, path)
  }

  /** Ends the request with `value`, after the file was closed. */
  protected done(value: unknown): void {
    this.#value = value
    this.#close()
  }

  /** Ends the request with `error`, after the file was closed. */
  protected fail(error: unknown): void {
    this.#failed = true
    this.#error = error
    this.#close()
  }

  #close(): void {
    this.freeBlock()
    if (this.request.fd >= 0) {
      this.leave()
      this.#end()
      return
    }
    announceFd(this.fd, false)
    this.issue(this.#prepareClose, this.#onClosed, 'close')
  }

  readonly #prepareClose = (sqe: Sqe): void => {
    prepClose(sqe, this.fd)
  }

  readonly #onClosed = (res: number): void => {
    if (this.request.uring.driver.wasLeftUndone(res)) closeQuietly(this.fd)
    this.fd = -1
    // The kernel has released the descriptor whatever it answers. Node does not report EINTR either.
    if (res < 0 && res !== ECANCELED && res !== EINTR && !this.#aborted) {
      const error = systemError(res, 'close')
      this.#error = this.#failed ? withCloseError(this.#error, error) : error
      this.#failed = true
    }
    this.#end()
  }

  #end(): void {
    this.freeBlock()
    this.memory = null
    const request = this.request
    this.#request = null
    request.lane = null
    if (this.#failed) request.reject(this.#error)
    else (request.resolve as (value: unknown) => void)(this.#value)
    this.#value = undefined
    this.#error = undefined
    this.#pool.next(this)
  }
}

function closeQuietly(fd: number): void {
  try {
    fs.closeSync(fd)
  } catch {
    // The operation itself is done, whatever came of the close.
  }
}

/** The lanes of one kind, and the requests that wait for one. */
export class LanePool<R extends LaneRequest> {
  readonly #make: (pool: LanePool<R>) => Lane<R>
  readonly #idle: Lane<R>[] = []
  #lanes = 0
  #waiting: R[] = []
  #waitingAt = 0

  constructor(make: (pool: LanePool<R>) => Lane<R>) {
    this.#make = make
  }

  /** Begins the request now, or when a lane is free. */
  start(request: R): void {
    const lane = this.#idle.pop()
    if (lane !== undefined) lane.begin(request)
    else if (this.#lanes < MAX_LANES) {
      this.#lanes++
      this.#make(this).begin(request)
    } else this.#waiting.push(request)
  }

  /**
   * As `start`, for a request with a signal: it begins in the next turn, so that an abort in this one finds nothing
   * done, however fast the disk is.
   */
  startWithSignal(request: R, signal: AbortSignal): void {
    // A signal that has fired already calls no more listeners.
    if (signal.aborted) {
      request.reject(new AbortError(signal.reason))
      return
    }
    const onAbort = (): void => {
      if (request.lane !== null) request.lane.abort()
      else this.#drop(request)
    }
    const settled = (): void => removeAbortListener(signal, onAbort)
    const { resolve, reject } = request as unknown as {
      resolve: (value: unknown) => void
      reject: (error: unknown) => void
    }
    const watched = {
      ...request,
      resolve: (value: unknown) => {
        settled()
        resolve(value)
      },
      reject: (error: unknown) => {
        settled()
        reject(error)
      },
    } as R
    request = watched
    addAbortListener(signal, onAbort)
    setImmediate(() => {
      // Checked again, because an earlier listener may have stopped the event before ours.
      if (signal.aborted) this.#drop(request)
      else this.start(request)
    })
  }

  /** Gives the lane its next request. @internal */
  next(lane: Lane<R>): void {
    if (this.#waitingAt === this.#waiting.length) {
      this.#idle.push(lane)
      return
    }
    const request = this.#waiting[this.#waitingAt++]!
    if (this.#waitingAt === this.#waiting.length) {
      this.#waiting = []
      this.#waitingAt = 0
    } else if (this.#waitingAt >= 1024) {
      this.#waiting.splice(0, this.#waitingAt)
      this.#waitingAt = 0
    }
    lane.begin(request)
  }

  #drop(request: R): void {
    const at = this.#waiting.indexOf(request, this.#waitingAt)
    if (at >= 0) this.#waiting.splice(at, 1)
    request.reject(new AbortError(request.signal?.reason))
  }
}
