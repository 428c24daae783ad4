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
  checkSignal,
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

interface Delivered {
  readonly value: number
  readonly extra: number
  /** -1: none. */
  readonly fileIndex: number
  /** The table that was in force: in one that replaces it, the index is of another file. */
  readonly table: FileTable | null
}

/** What a ring has received and nobody has taken yet. */
export class Mailbox {
  readonly endpoint: RingEndpoint
  /** Messages for another ring, or with a file that there cannot be: dropped. */
  strayCount = 0
  readonly queue: Delivered[] = []
  /** Called when a message came. */
  onMessage: (() => void) | null = null
  readonly #driver: Driver

  /** @internal @param table - Gives the file table in force. */
  constructor(driver: Driver, table: () => FileTable | null) {
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
      // Any thread of the process can post what it likes: no file has a negative index.
      const isStray = (bits & KEY_MASK) !== key || (bringsFile && res < 0)
      if (isStray) {
        this.strayCount++
        if (bringsFile && res >= 0)
          driver.submit((sqe) => prepCloseDirect(sqe, res), { syscall: 'close' }).catch(() => {})
        return
      }
      this.queue.push(
        bringsFile
          ? { value: high, extra: 0, fileIndex: res, table: table() }
          : { value: high, extra: res >>> 0, fileIndex: -1, table: null },
      )
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
  readonly #signal: AbortSignal | undefined
  readonly #waiters: Waiter[] = []
  #ended = false
  #error: { readonly reason: unknown } | null = null

  /** @internal */
  constructor(
    uring: SocketOperations,
    mailbox: Mailbox,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ) {
    checkMembers('options', options, ['signal'])
    const { signal } = options
    checkSignal(signal)
    if (mailbox.onMessage !== null) throw invalidState('The messages of this ring are being read already')
    this.#uring = uring
    this.#mailbox = mailbox
    this.#signal = signal
    mailbox.onMessage = this.#onMessage
    mailbox.driver.onClose.add(this.#onDriverClose)
    if (signal?.aborted) this.#onAbort()
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  next(): Promise<IteratorResult<RingMessage, undefined>> {
    while (!this.#ended && this.#mailbox.queue.length > 0) {
      const message = this.#take()
      if (message !== null) return Promise.resolve({ value: message, done: false })
    }
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
    if (this.#waiters.length === 0) return
    const message = this.#take()
    if (message === null) return
    const { resolve } = this.#waiters.shift()!
    if (this.#waiters.length === 0) this.#mailbox.driver.unlisten()
    resolve({ value: message, done: false })
  }

  readonly #onAbort = (): void => {
    if (!this.#ended) this.#error = { reason: new AbortError(this.#signal!.reason) }
    this.#end()
  }

  readonly #onDriverClose = (): void => {
    if (!this.#ended) this.#error = { reason: this.#mailbox.driver.endError() }
    this.#end()
  }

  /** The next message; null for one whose file there cannot be, which is dropped. */
  #take(): RingMessage | null {
    const { value, extra, fileIndex: index, table } = this.#mailbox.queue.shift()!
    if (index < 0) return { value, extra, file: null }
    // The kernel has named no such slot.
    if (table !== null && index >= table.size) {
      this.#mailbox.strayCount++
      return null
    }
    // A table that chooses its slots itself knows nothing of this one.
    const isAdopted = table?.isFilledByKernel && !table.closed
    const file = isAdopted
      ? table.adopt(index)
      : new FixedFile(this.#uring, table?.closed ? table : null, index)
    return { value, extra, file }
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
