// Messages between the rings of this process, in whatever thread they live: two numbers, or a registered file. The
// kernel posts them straight into the receiver's completion queue, where they wake its event loop like any completion.
//
// user_data of a message. Low word: the role (bits 24-26), whether it brings a file (bit 23), the receiver's
// key (bits 0-22). Descriptors are reused when a ring closes, so a message may reach a ring that it was not
// meant for: the key shows that. High word: `value`. `res`: `extra`, or the slot of the file.

import {
  type Fd,
  IORING_SETUP_REGISTERED_FD_ONLY,
  prepCloseDirect,
  prepMsgRing,
  prepMsgRingFdAlloc,
  type Sqe,
} from '../ring/index.js'
import {
  checkInteger,
  checkMembers,
  invalidState,
  invalidType,
  invalidValue,
} from '../syscalls/argument-errors.js'
import { AbortError } from './abort-error.js'
import type { Driver } from './driver.js'
import { type FileTable, FixedFile } from './fixed-files.js'
import type { OperationOptions } from './operations/base.js'
import type { SocketOperations } from './operations/sockets.js'
import { ROLE_MESSAGE } from './slot.js'

/** Where to send messages. A plain object: post it to another thread of this process. */
export interface RingEndpoint {
  readonly ringFd: Fd
  /** Tells this ring from others that had the same descriptor. */
  readonly key: number
}

/** What to send. */
export interface OutgoingRingMessage {
  /** 0 to 2^32 - 1. Default 0. */
  readonly value?: number | undefined
  /** 0 to 2^32 - 1. Default 0. Not together with `file`. */
  readonly extra?: number | undefined
  /** A registered file of the sending ring, which the receiver gets in its own table. Linux 6.2. */
  readonly file?: FixedFile | undefined
}

/** What was received. */
export interface RingMessage {
  readonly value: number
  readonly extra: number
  /** In the receiver's file table; the receiver closes it. */
  readonly file: FixedFile | null
}

const KEY_BITS = 23
const KEY_MASK = (1 << KEY_BITS) - 1
const BRINGS_FILE = 1 << KEY_BITS
const MAX_U32 = 0xffff_ffff

/** What a ring has received and nobody has taken yet. */
export class Mailbox {
  readonly endpoint: RingEndpoint
  /** Messages for another ring, dropped. */
  strayCount = 0
  readonly queue: (readonly [value: number, extra: number, fileIndex: number])[] = []
  /** Called when a message has come. */
  onMessage: (() => void) | null = null
  readonly #driver: Driver

  /** @internal */
  constructor(driver: Driver) {
    if (driver.ring.flags & IORING_SETUP_REGISTERED_FD_ONLY) {
      throw invalidState(
        'A ring without a descriptor (IORING_SETUP_REGISTERED_FD_ONLY) cannot be sent messages',
      )
    }
    this.#driver = driver
    const key = Math.floor(Math.random() * KEY_MASK)
    this.endpoint = { ringFd: driver.ring.fd, key }
    driver.receive((bits, high, res) => {
      const bringsFile = (bits & BRINGS_FILE) !== 0
      if ((bits & KEY_MASK) !== key) {
        this.strayCount++
        if (bringsFile)
          driver.submit((sqe) => prepCloseDirect(sqe, res), { syscall: 'close' }).catch(() => {})
        return
      }
      this.queue.push(bringsFile ? [high, 0, res] : [high, res >>> 0, -1])
      this.onMessage?.()
    })
  }

  get driver(): Driver {
    return this.#driver
  }
}

interface Waiter {
  readonly resolve: (result: IteratorResult<RingMessage, undefined>) => void
  readonly reject: (error: unknown) => void
}

/**
 * The messages that come to a ring. Waiting for one keeps the process alive. Messages that are left when the
 * loop ends are kept for the next one.
 */
export class RingMessages implements AsyncIterableIterator<RingMessage, undefined, undefined> {
  readonly #mailbox: Mailbox
  readonly #uring: SocketOperations
  readonly #table: () => FileTable | null
  readonly #signal: AbortSignal | undefined
  readonly #waiters: Waiter[] = []
  #ended = false
  #error: { readonly reason: unknown } | null = null

  /** @internal */
  constructor(
    uring: SocketOperations,
    mailbox: Mailbox,
    table: () => FileTable | null,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ) {
    checkMembers('options', options, ['signal'])
    const { signal } = options
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw invalidType('options.signal', 'an instance of AbortSignal', signal)
    }
    if (mailbox.onMessage !== null) throw invalidState('The messages of this ring are being read already')
    this.#uring = uring
    this.#mailbox = mailbox
    this.#table = table
    this.#signal = signal
    mailbox.onMessage = this.#onMessage
    mailbox.driver.onClose.add(this.#onDriverClose)
    if (signal?.aborted) this.#onAbort()
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  next(): Promise<IteratorResult<RingMessage, undefined>> {
    if (!this.#ended && this.#mailbox.queue.length > 0)
      return Promise.resolve({ value: this.#take(), done: false })
    if (this.#ended) return this.#outcome()
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
      if (this.#waiters.length === 1) this.#mailbox.driver.listen()
    })
  }

  return(): Promise<IteratorResult<RingMessage, undefined>> {
    this.#error = null
    this.#end()
    return Promise.resolve({ value: undefined, done: true })
  }

  throw(error: unknown): Promise<IteratorResult<RingMessage, undefined>> {
    this.#error = null
    this.#end()
    return Promise.reject(error)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end()
  }

  readonly #onMessage = (): void => {
    const waiter = this.#waiters.shift()
    if (waiter === undefined) return
    if (this.#waiters.length === 0) this.#mailbox.driver.unlisten()
    try {
      waiter.resolve({ value: this.#take(), done: false })
    } catch (error) {
      waiter.reject(error)
    }
  }

  readonly #onAbort = (): void => {
    if (!this.#ended) this.#error = { reason: new AbortError(this.#signal!.reason) }
    this.#end()
  }

  readonly #onDriverClose = (): void => {
    if (!this.#ended) this.#error = { reason: new AbortError(undefined, 'The ring was closed') }
    this.#end()
  }

  #take(): RingMessage {
    const [value, extra, fileIndex] = this.#mailbox.queue.shift()!
    return { value, extra, file: fileIndex < 0 ? null : this.#file(fileIndex) }
  }

  #file(index: number): FixedFile {
    const table = this.#table()
    // A table that chooses slots itself does not know of this one.
    return table?.isFilledByKernel ? table.adopt(index) : new FixedFile(this.#uring, null, index)
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#mailbox.onMessage = null
    this.#mailbox.driver.onClose.delete(this.#onDriverClose)
    this.#signal?.removeEventListener('abort', this.#onAbort)
    if (this.#waiters.length > 0) this.#mailbox.driver.unlisten()
    for (const { resolve, reject } of this.#waiters.splice(0)) this.#outcome().then(resolve, reject)
  }

  /** How the iteration ended: the error once, then nothing more. */
  #outcome(): Promise<IteratorResult<RingMessage, undefined>> {
    const error = this.#error
    this.#error = null
    return error === null ? Promise.resolve({ value: undefined, done: true }) : Promise.reject(error.reason)
  }
}

/** Sends a message from the ring of `uring`. Resolves when it is in the other ring's completion queue. */
export function sendRingMessage(
  uring: SocketOperations,
  endpoint: RingEndpoint,
  message: OutgoingRingMessage,
  options: OperationOptions,
): Promise<void> {
  if (typeof endpoint !== 'object' || endpoint === null)
    throw invalidType('endpoint', 'an endpoint of a Uring', endpoint)
  if (typeof message !== 'object' || message === null) throw invalidType('message', 'of type object', message)
  checkMembers('message', message, ['value', 'extra', 'file'])
  const ringFd = checkInteger('endpoint.ringFd', endpoint.ringFd, 0, 0x7fff_ffff)
  const key = checkInteger('endpoint.key', endpoint.key, 0, KEY_MASK)
  const value = checkInteger('message.value', message.value ?? 0, 0, MAX_U32)
  const { file } = message
  if (file === undefined) {
    const extra = checkInteger('message.extra', message.extra ?? 0, 0, MAX_U32)
    const prepare = (sqe: Sqe): Sqe => prepMsgRing(sqe, ringFd, extra, ROLE_MESSAGE | key, value)
    return uring.start<void>('msg_ring', options, prepare, { finish: nothing })
  }
  if (!(file instanceof FixedFile)) throw invalidType('message.file', 'a FixedFile', file)
  // Its index would name another file in this ring.
  if (!file.belongsTo(uring.driver)) throw invalidValue('message.file', file, 'is a file of another ring')
  if (message.extra !== undefined)
    throw invalidValue('message.extra', message.extra, 'cannot be sent beside a file')
  const { index } = file
  const low = ROLE_MESSAGE | BRINGS_FILE | key
  const prepare = (sqe: Sqe): Sqe => prepMsgRingFdAlloc(sqe, ringFd, index, low, value)
  return uring.start<void>('msg_ring', options, prepare, { finish: nothing })
}

function nothing(): void {}
