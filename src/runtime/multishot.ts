// A multishot operation as an async iterable. It is armed on demand and armed again when it ends early; it is
// cancelled when the consumer falls behind, and cancelled and awaited when the consumer leaves. Its source
// says what a completion means (operations/multishot.ts).

import { IORING_CQE_F_BUFFER, type Sqe, systemError } from '../ring/index.js'
import { checkInteger, checkSignal } from '../syscalls/argument-errors.js'
import { ECANCELED, EINVAL, ENOBUFS } from '../syscalls/errno-values.js'
import { AbortError } from './abort-error.js'
import type { BufferGroup } from './buffer-group.js'
import type { Driver } from './driver.js'
import type { Slot } from './slot.js'

/** Returned by a source: the completion ends the stream. */
export const END = Symbol('end of a multishot stream')
/** Items that may wait for the consumer before the operation is cancelled. */
export const DEFAULT_HIGH_WATER_MARK = 64

/** After so many transient errors in a row, the next one is taken for lasting. */
const MAX_RETRIES = 16

/** One kind of multishot operation. */
export interface MultishotSource<Item> {
  /** Name of the call in error messages. */
  readonly syscall: string
  readonly prepare: (sqe: Sqe) => unknown
  /** The same without multishot, for a kernel that answers EINVAL: it is then armed once for each item. */
  readonly prepareOnce?: (sqe: Sqe) => unknown
  /** The item of a completion whose `res` is not negative, or is `expected`. */
  readonly take: (res: number, flags: number, more: boolean) => Item | typeof END
  /** A negative `res` that is no error. */
  readonly expected?: number
  /** Whether there are no more items to come. */
  readonly isComplete?: () => boolean
  /** Releases an item that is not delivered. */
  readonly discard: (item: Item) => void
  /** Merges an item into the one that waits already, so that at most one waits. */
  readonly merge?: (waiting: Item, item: Item) => Item
  /** Whether the operation may be tried again after this error, for a bounded number of times. */
  readonly isTransient?: (res: number) => boolean
  /** The error for a negative `res`. Default: `systemError`. */
  readonly error?: (res: number) => Error
  /** It is standing, see `Driver.submitMultishot`: it does not keep the process alive of itself. */
  readonly standing?: boolean
  /** Provides the buffers for the data. */
  readonly group?: BufferGroup
  /** Frees what the entry points to, when the kernel does not use it any more. */
  readonly free?: () => void
  /** Kept alive as long as the stream. */
  readonly owner: unknown
}

/** Options that all multishot operations take. */
export interface MultishotOptions {
  /** Aborting drops what waits, and rejects with Node's AbortError once the kernel has let go. */
  readonly signal?: AbortSignal | undefined
  /**
   * Items that may wait for the consumer. At this number the operation is cancelled; it is armed again when
   * half of them are taken. What arrives during the cancel waits too. Default 64.
   */
  readonly highWaterMark?: number | undefined
}

interface Waiter<Item> {
  readonly resolve: (result: IteratorResult<Item, undefined>) => void
  readonly reject: (error: unknown) => void
}

/**
 * The items of a multishot operation, for one `for await`. Nothing is submitted before the first `next()`.
 *
 * An error ends the stream, after the items before it. Leaving the loop (`return()`, `throw()`) cancels the
 * operation, awaits its last completion, and releases what was not delivered. So do an abort and the close of
 * the ring, which also reject with AbortError. After a failure of the ring, the stream rejects with its error.
 */
export class Multishot<Item> implements AsyncIterableIterator<Item, undefined, undefined> {
  readonly #driver: Driver
  readonly #source: MultishotSource<Item>
  readonly #highWaterMark: number
  readonly #lowWaterMark: number
  readonly #signal: AbortSignal | undefined
  readonly #queue: Item[] = []
  readonly #waiters: Waiter<Item>[] = []
  /** Callers that wait for the last completion. */
  readonly #leaving: (() => void)[] = []
  #slot: Slot | null = null
  /** The kernel has the operation. */
  #armed = false
  #cancelling = false
  /** The buffer group is empty: the operation is armed again when a buffer comes back. */
  #starving = false
  /** No more items are taken in. */
  #ended = false
  /** As `#ended`, and the kernel has let go of everything. */
  #finished = false
  #error: { readonly reason: unknown } | null = null
  #prepareError: { readonly reason: unknown } | null = null
  #once = false
  #anyItem = false
  #retries = 0

  /** @internal */
  constructor(driver: Driver, source: MultishotSource<Item>, options: MultishotOptions) {
    const { signal, highWaterMark = DEFAULT_HIGH_WATER_MARK } = options
    this.#driver = driver
    this.#source = source
    this.#highWaterMark = checkInteger('options.highWaterMark', highWaterMark, 1, 0xffff)
    checkSignal(signal)
    this.#lowWaterMark = source.merge === undefined ? this.#highWaterMark >>> 1 : 0
    this.#signal = signal
    if (signal?.aborted) this.#onAbort()
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  next(): Promise<IteratorResult<Item, undefined>> {
    if (this.#queue.length > 0) {
      const value = this.#queue.shift()!
      if (!this.#ended) this.#rearm()
      return Promise.resolve({ value, done: false })
    }
    if (this.#finished) return this.#outcome()
    const promise = new Promise<IteratorResult<Item, undefined>>((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
    })
    if (!this.#ended) this.#rearm()
    return promise
  }

  /** Cancels the operation; resolves when the kernel has let go of it. Items that were not delivered are released. */
  async return(): Promise<IteratorResult<Item, undefined>> {
    await this.#leave()
    return { value: undefined, done: true }
  }

  /** As `return`, then rejects with `error`. */
  async throw(error: unknown): Promise<IteratorResult<Item, undefined>> {
    await this.#leave()
    throw error
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#leave()
  }

  #leave(): Promise<void> {
    this.#error = null
    return new Promise((resolve) => {
      this.#leaving.push(resolve)
      this.#stop()
    })
  }

  readonly #onAbort = (): void => {
    if (this.#ended) return
    this.#error = { reason: new AbortError(this.#signal!.reason) }
    this.#stop()
  }

  readonly #onDriverClose = (): void => {
    if (this.#ended) return
    this.#error = { reason: this.#driver.endError() }
    this.#stop()
  }

  /** Ends the stream and drops what waits for the consumer. */
  #stop(): void {
    this.#ended = true
    for (const item of this.#queue.splice(0)) this.#source.discard(item)
    if (this.#armed) this.#cancel()
    else this.#finish()
  }

  #arm(): void {
    const driver = this.#driver
    const source = this.#source
    const { group } = source
    if (driver.closed) {
      this.#onDriverClose()
      return
    }
    if (group?.closed) {
      this.#failWith(group.closedError())
      return
    }
    group?.join()
    this.#armed = true
    this.#cancelling = false
    const prepare = this.#once ? source.prepareOnce! : source.prepare
    const slot = driver.submitMultishot(
      (sqe) => {
        try {
          prepare(sqe)
        } catch (error) {
          this.#prepareError = { reason: error }
          throw error
        }
      },
      this.#onCqe,
      source.syscall,
      this,
      source.standing,
    )
    // A bad argument has ended the operation already.
    if (this.#armed) this.#slot = slot
  }

  #rearm(): void {
    if (!this.#armed && !this.#starving && this.#queue.length <= this.#lowWaterMark) this.#arm()
  }

  #cancel(): void {
    if (this.#cancelling) return
    this.#cancelling = true
    // There is no slot yet while the operation is being submitted: then a bad argument has ended it.
    if (this.#slot !== null) this.#driver.cancel(this.#slot)
  }

  readonly #onCqe = (res: number, flags: number, more: boolean): void => {
    if (!more) {
      this.#armed = false
      this.#slot = null
    }
    if (res >= 0 || res === this.#source.expected) this.#onSuccess(res, flags, more)
    else this.#onFailure(res, flags)
    if (more) {
      if (this.#ended) this.#cancel()
      return
    }
    // Only after the last item: a group that was closed meanwhile now frees its memory.
    this.#source.group?.leave()
    if (this.#ended) this.#finish()
    else this.#rearm()
  }

  #onSuccess(res: number, flags: number, more: boolean): void {
    let item: Item | typeof END
    try {
      item = this.#source.take(res, flags, more)
    } catch (error) {
      if (!this.#ended) this.#failWith(error)
      return
    }
    this.#retries = 0
    this.#anyItem = true
    if (item === END) this.#ended = true
    else if (this.#ended) this.#source.discard(item)
    else this.#deliver(item, more)
    if (this.#source.isComplete?.()) this.#ended = true
  }

  #deliver(item: Item, more: boolean): void {
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) {
      waiter.resolve({ value: item, done: false })
      return
    }
    const { merge } = this.#source
    const queue = this.#queue
    if (merge !== undefined && queue.length > 0) queue[0] = merge(queue[0]!, item)
    else queue.push(item)
    if (more && merge === undefined && queue.length >= this.#highWaterMark) this.#cancel()
  }

  #onFailure(res: number, flags: number): void {
    const { group, prepareOnce, isTransient, syscall, error } = this.#source
    // An operation that was cancelled may have taken a buffer.
    if (flags & IORING_CQE_F_BUFFER) group?.discard(0, flags)
    if (this.#ended) return
    if (res === ECANCELED && this.#cancelling) return
    if (res === ENOBUFS && group !== undefined) {
      this.#starve(group)
      return
    }
    if (res === EINVAL && prepareOnce !== undefined && !this.#once && !this.#anyItem) {
      this.#once = true
      return
    }
    if (isTransient?.(res) && this.#retries++ < MAX_RETRIES) return
    if (this.#prepareError !== null) this.#failWith(this.#prepareError.reason)
    else if (this.#driver.closed) this.#onDriverClose()
    else this.#failWith(error?.(res) ?? systemError(res, syscall))
  }

  /** Ends the stream; what waits for the consumer is delivered first. */
  #failWith(reason: unknown): void {
    this.#ended = true
    this.#error = { reason }
    if (this.#armed) this.#cancel()
    else this.#finish()
  }

  #starve(group: BufferGroup): void {
    this.#starving = true
    group.awaitBuffer(this.#onBuffer)
    this.#driver.onClose.add(this.#onDriverClose)
  }

  readonly #onBuffer = (): void => {
    this.#stopStarving()
    if (!this.#ended) this.#rearm()
  }

  #stopStarving(): void {
    if (!this.#starving) return
    this.#starving = false
    this.#source.group!.forgetAwaiting(this.#onBuffer)
    this.#driver.onClose.delete(this.#onDriverClose)
  }

  /** The kernel has let go: frees what the stream had and tells those who wait. */
  #finish(): void {
    if (this.#finished) {
      for (const resolve of this.#leaving.splice(0)) resolve()
      return
    }
    this.#finished = true
    this.#stopStarving()
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#source.free?.()
    for (const resolve of this.#leaving.splice(0)) resolve()
    for (const { resolve, reject } of this.#waiters.splice(0)) this.#outcome().then(resolve, reject)
  }

  /** How the stream ended: the error once, then nothing more. */
  #outcome(): Promise<IteratorResult<Item, undefined>> {
    const error = this.#error
    this.#error = null
    return error === null ? Promise.resolve({ value: undefined, done: true }) : Promise.reject(error.reason)
  }
}
