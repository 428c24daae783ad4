// The sending half of a connection. One send is in flight at a time, which keeps the data in order; what is
// written meanwhile goes out with the next one.

import {
  addressOf,
  IORING_CQE_F_NOTIF,
  IOSQE_IO_LINK,
  IOVEC,
  MSG_NOSIGNAL,
  MSG_WAITALL,
  MSGHDR,
  prepSend,
  prepSendmsg,
  prepSendZc,
  prepShutdown,
  SHUT_WR,
  type Sqe,
} from '../../ring/index.js'
import type { Block } from '../../runtime/arena.js'
import type { CqeHandler, Slot } from '../../runtime/slot.js'
import {
  EAGAIN,
  ECANCELED,
  EINTR,
  EINVAL,
  ENOBUFS,
  ENOMEM,
  ENOTCONN,
  EOPNOTSUPP,
} from '../../syscalls/errno-values.js'
import { dataOf } from '../data.js'
import type { Data } from '../socket.js'
import type { Hub, TurnMember } from './hub.js'
import { Outgoing, Piece, type Task } from './outgoing.js'

/** The connection that it is part of. */
export interface SenderHost {
  readonly fd: number
  /** Something was sent. */
  active(): void
  /** All data was sent, and the peer has been told of the end, or will be by the close. */
  finished(): void
  sendFailed(res: number): void
  taskFailed(error: Error): void
  /** No operation of this half uses the descriptor any more. */
  senderIdle(): void
  /** The peer has ended already: closing the descriptor tells it all that a shutdown would. */
  readonly peerHasEnded: boolean
}

/** Longer writes are sent in place. Copying this much costs less than waiting for a promise. */
const LONGEST_COPY = 16384
/** From this length on pages are pinned, not copied, where the ring's `zeroCopyPolicy` is 'enabled'. */
const SHORTEST_ZERO_COPY = 32768
/** The most that one sendmsg takes. */
const MOST_PIECES = 64
const MOST_BYTES = 1 << 20

const NO_PIECES: readonly Piece[] = []

/**
 * The most that is sent with the shutdown linked behind it. The link needs a send that is complete or fails;
 * longer ones may be short, so that each part that goes out tells the idle timer that the connection is
 * alive.
 */
const LONGEST_LINKED = 65536

const VECTORS_AT = MSGHDR.size

/** How many times in a row a send that was interrupted before it took anything is repeated. */
const MAX_REPEATS = 16

/** This kind of socket has no zero-copy sends, or no more memory may be pinned (RLIMIT_MEMLOCK). */
const NO_ZERO_COPY: ReadonlySet<number> = new Set([EINVAL, ENOMEM, EOPNOTSUPP, ENOBUFS])

// Arguments of the prepare functions. The driver calls those before `submitMultishot` or `submitOnce`
// returns, so one set serves all connections.
let sendFd = -1
let sendAddress = 0
let sendLength = 0
let sendFlags = 0
let sendLink = 0

function prepareSend(sqe: Sqe): void {
  prepSend(sqe, sendFd, sendAddress, sendLength, sendFlags)
  if (sendLink !== 0) sqe.addFlags(sendLink)
}

function prepareMessage(sqe: Sqe): void {
  prepSendmsg(sqe, sendFd, sendAddress, sendFlags)
  if (sendLink !== 0) sqe.addFlags(sendLink)
}

function prepareZeroCopy(sqe: Sqe): void {
  prepSendZc(sqe, sendFd, sendAddress, sendLength, MSG_NOSIGNAL, 0)
}

function prepareShutdown(sqe: Sqe): void {
  prepShutdown(sqe, sendFd, SHUT_WR)
}

interface Wait {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

function newWait(): Wait {
  let resolve!: () => void
  let reject!: (error: unknown) => void
  const promise = new Promise<void>((done, fail) => {
    resolve = done
    reject = fail
  })
  // No unhandled rejection: the error is also reported as the connection's.
  promise.catch(nothing)
  return { promise, resolve, reject }
}

function nothing(): void {}

export class Sender implements TurnMember {
  /** Bytes accepted by `write`, and those sent by tasks. */
  bytes = 0
  /** Of these, the bytes that the kernel has not taken yet. */
  pending = 0
  /** `end` was called. */
  ending = false
  /** Why some of the data was not sent, or null. */
  cutOffBy: Error | null = null
  readonly #hub: Hub
  readonly #host: SenderHost
  readonly #highWaterMark: number
  readonly #outgoing: Outgoing
  #isQueued = false
  /** Pieces of the send in flight. */
  #flight: Piece[] = []
  #slot: Slot | null = null
  /** A send or a task is under way. */
  #isBusy = false
  /** Interruptions in a row. */
  #repeats = 0
  #task: Task | null = null
  #header: Block | null = null
  #isShuttingDown = false
  #isFinished = false
  #stopError: Error | null = null
  #drain: Wait | null = null
  #flushed: Wait | null = null
  #ended: Wait | null = null

  constructor(hub: Hub, host: SenderHost, highWaterMark: number) {
    this.#hub = hub
    this.#host = host
    this.#highWaterMark = highWaterMark
    this.#outgoing = new Outgoing(hub.driver.arena)
  }

  /** No operation of this half uses the descriptor. */
  get idle(): boolean {
    return !this.#isBusy && !this.#isShuttingDown
  }

  get finished(): boolean {
    return this.#isFinished
  }

  /** See `Socket.write`. */
  write(data: Data | readonly Data[]): true | Promise<void> {
    const before = this.bytes
    let last: Piece | null = null
    let others: Promise<void>[] | null = null
    if (Array.isArray(data)) {
      // All items are checked before the first is taken: a refused write must not send part of its data.
      for (const item of (data as readonly Data[]).map(dataOf)) {
        const piece = this.#add(item)
        if (piece === null) continue
        if (last !== null) {
          others ??= []
          others.push(sentPromise(last))
        }
        last = piece
      }
    } else last = this.#add(dataOf(data as Data))
    this.pending += this.bytes - before
    if (this.bytes !== before) this.#sendSoon()
    if (last !== null) return others === null ? sentPromise(last) : allSent(others, sentPromise(last))
    if (this.pending <= this.#highWaterMark) return true
    this.#drain ??= newWait()
    return this.#drain.promise
  }

  flush(): Promise<void> {
    if (this.pending === 0 && !this.#isBusy && this.#outgoing.length === 0) return Promise.resolve()
    this.#flushed ??= newWait()
    return this.#flushed.promise
  }

  end(): Promise<void> {
    this.ending = true
    if (this.#isFinished) return Promise.resolve()
    this.#ended ??= newWait()
    this.#sendSoon()
    return this.#ended.promise
  }

  /** Runs `task` when what was written before it is sent. */
  run(task: Task): void {
    this.#outgoing.addTask(task)
    this.#sendSoon()
  }

  /** Counts bytes that a task has sent. */
  countTaskBytes(bytes: number): void {
    this.bytes += bytes
    this.#host.active()
  }

  /** Drops the queue, cancels what is in flight, and rejects all that wait. */
  stop(error: Error): void {
    if (this.#stopError !== null) return
    this.#stopError = error
    if (this.#isBusy || this.#outgoing.length > 0) this.cutOffBy = error
    if (this.#slot !== null) this.#hub.driver.cancel(this.#slot)
    this.#task?.abort(error)
    for (const item of this.#outgoing.takeAll()) {
      if (item instanceof Piece) this.#giveUp(item, error)
      else item.abort(error)
    }
    this.pending = 0
    for (const wait of [this.#drain, this.#flushed, this.#ended]) wait?.reject(error)
    this.#drain = null
    this.#flushed = null
    this.#ended = null
  }

  /** @internal */
  turnEnded(): void {
    this.#isQueued = false
    this.#sendNow()
  }

  #sendNow(): void {
    if (this.#isBusy || this.#isShuttingDown || this.#stopError !== null || this.#isFinished) return
    const { head } = this.#outgoing
    if (head === undefined) {
      if (this.ending) this.#finish()
    } else if (!(head instanceof Piece)) this.#runTask(head)
    else if (this.#hub.zeroCopy && isLarge(head)) this.#sendZeroCopy(head)
    else this.#send()
  }

  #sendSoon(): void {
    if (this.#isQueued || this.#isBusy) return
    this.#isQueued = true
    this.#hub.atTurnEnd(this)
  }

  /** @returns The piece whose memory the caller must not change yet, or null when it may. */
  #add(data: string | Uint8Array): Piece | null {
    if (typeof data === 'string') {
      if (data === '') return null
      const most = data.length * 3
      if (most <= LONGEST_COPY) {
        this.bytes += this.#outgoing.copyText(data, most)
        return null
      }
      // This memory is ours alone, so no caller has to wait until it is free.
      return this.#addBytes(Buffer.from(data, 'utf8'), true)
    }
    return this.#addBytes(data, false)
  }

  #addBytes(bytes: Uint8Array, isOurs: boolean): Piece | null {
    const { length } = bytes
    if (length === 0) return null
    // Data in a SharedArrayBuffer is copied: its address cannot be taken.
    if (length <= LONGEST_COPY || this.#hub.copies || !(bytes.buffer instanceof ArrayBuffer)) {
      this.#outgoing.copyBytes(bytes)
      this.bytes += length
      return null
    }
    const piece = this.#outgoing.addInPlace(bytes, addressOf(bytes), length)
    this.bytes += length
    return isOurs ? null : piece
  }

  #send(): void {
    const hub = this.#hub
    const pieces = this.#outgoing.takePieces(MOST_PIECES, MOST_BYTES)
    this.#flight = pieces
    this.#isBusy = true
    sendFd = this.#host.fd
    // The shutdown is linked behind the last data, in one system call. The close tells a peer that has ended.
    const isLast = this.ending && this.#outgoing.length === 0 && !this.#host.peerHasEnded
    const isLinked = isLast && this.pending <= LONGEST_LINKED && hub.driver.hasRoomFor(2)
    sendLink = isLinked ? IOSQE_IO_LINK : 0
    sendFlags = isLinked ? MSG_NOSIGNAL | MSG_WAITALL : MSG_NOSIGNAL
    let prepare = prepareSend
    if (pieces.length === 1) {
      sendAddress = pieces[0]!.address
      sendLength = pieces[0]!.length
    } else {
      prepare = prepareMessage
      sendAddress = this.#fillHeader(pieces)
    }
    const slot = isLinked
      ? hub.driver.submitMultishot(prepare, this.#onSent, 'send', this)
      : hub.driver.submitOnce(prepare, this.#onSent, 'send', this)
    if (this.#isBusy) this.#slot = slot
    if (isLinked && this.#isBusy) {
      this.#isShuttingDown = true
      hub.driver.submitMultishot(prepareShutdown, this.#onShutdown, 'shutdown', this)
    }
  }

  #fillHeader(pieces: readonly Piece[]): number {
    const block = this.#hub.driver.arena.alloc(VECTORS_AT + pieces.length * IOVEC.size)
    const { view, bytes, address } = block
    bytes.fill(0, 0, VECTORS_AT)
    setAddress(view, MSGHDR.fields.msg_iov.offset, address + VECTORS_AT)
    setAddress(view, MSGHDR.fields.msg_iovlen.offset, pieces.length)
    for (let index = 0; index < pieces.length; index++) {
      const at = VECTORS_AT + index * IOVEC.size
      setAddress(view, at, pieces[index]!.address)
      setAddress(view, at + 8, pieces[index]!.length)
    }
    this.#header = block
    return address
  }

  readonly #onSent: CqeHandler = (res) => {
    this.#slot = null
    this.#isBusy = false
    if (this.#header !== null) {
      this.#hub.driver.arena.free(this.#header)
      this.#header = null
    }
    const pieces = this.#flight
    this.#flight = []
    this.#settle(pieces, res)
  }

  /** Processes the result of a send, then sends what is left. */
  #settle(pieces: Piece[], res: number): void {
    let taken = Math.max(res, 0)
    let index = 0
    while (index < pieces.length && taken >= pieces[index]!.length) {
      const piece = pieces[index]!
      taken -= piece.length
      this.pending -= piece.length
      piece.length = 0
      this.#release(piece)
      index++
    }
    const rest = index === pieces.length ? NO_PIECES : pieces.slice(index)
    if (this.#stopError !== null) {
      for (const piece of rest) this.#giveUp(piece, this.#stopError)
      this.pending = 0
      this.#host.senderIdle()
      return
    }
    if (rest.length > 0) {
      rest[0]!.address += taken
      rest[0]!.length -= taken
      this.pending -= taken
      this.#outgoing.unshift(rest)
    }
    if (res >= 0) this.#repeats = 0
    else if ((res !== EINTR && res !== EAGAIN) || ++this.#repeats > MAX_REPEATS) {
      this.#host.sendFailed(res)
      return
    }
    this.#host.active()
    this.#wake()
    if (this.#outgoing.length > 0 || this.ending) this.#sendNow()
  }

  #wake(): void {
    if (this.#drain !== null && this.pending <= this.#highWaterMark >>> 1) {
      this.#drain.resolve()
      this.#drain = null
    }
    if (this.#flushed !== null && this.pending === 0 && this.#outgoing.length === 0) {
      this.#flushed.resolve()
      this.#flushed = null
    }
  }

  /** Sends one piece, whose pages the network stack reads in place until the notification CQE. */
  #sendZeroCopy(piece: Piece): void {
    const hub = this.#hub
    this.#outgoing.shift()
    this.#isBusy = true
    piece.notifications++
    sendFd = this.#host.fd
    sendAddress = piece.address
    sendLength = piece.length
    let isResultDue = true
    const onCqe: CqeHandler = (res, flags, more) => {
      if (!more) piece.notifications--
      if (isResultDue && (flags & IORING_CQE_F_NOTIF) === 0) {
        isResultDue = false
        this.#slot = null
        this.#isBusy = false
        const isRefused = NO_ZERO_COPY.has(res)
        if (isRefused) piece.isPlain = true
        this.#settle([piece], isRefused ? 0 : res)
      } else this.#release(piece)
    }
    const slot = hub.driver.submitMultishot(prepareZeroCopy, onCqe, 'send', piece.memory)
    if (this.#isBusy) this.#slot = slot
  }

  /** Once nothing reads the piece any more: frees its block, or settles its writer's promise. */
  #release(piece: Piece): void {
    const { block, resolve, reject, error } = piece
    if (piece.notifications > 0 || (piece.length > 0 && error === null)) return
    if (block !== null) this.#hub.driver.arena.free(block)
    piece.resolve = null
    piece.reject = null
    if (error === null) resolve?.()
    else reject?.(error)
  }

  #giveUp(piece: Piece, error: Error): void {
    piece.error = error
    this.#release(piece)
  }

  #runTask(task: Task): void {
    this.#outgoing.shift()
    this.#isBusy = true
    this.#task = task
    task.run().then(
      () => this.#taskOver(null),
      (error: Error) => this.#taskOver(error),
    )
  }

  #taskOver(error: Error | null): void {
    this.#isBusy = false
    this.#task = null
    if (this.#stopError !== null) this.#host.senderIdle()
    else if (error !== null) this.#host.taskFailed(error)
    else {
      this.#wake()
      this.#sendNow()
    }
  }

  /** All data is sent: tells the peer by a shutdown, unless it has ended already. */
  #finish(): void {
    if (this.#host.peerHasEnded) {
      this.#over()
      return
    }
    this.#isShuttingDown = true
    sendFd = this.#host.fd
    this.#hub.driver.submitMultishot(prepareShutdown, this.#onShutdown, 'shutdown', this)
  }

  readonly #onShutdown: CqeHandler = (res) => {
    this.#isShuttingDown = false
    if (this.#stopError !== null) {
      if (!this.#isBusy) this.#host.senderIdle()
      return
    }
    // The send that it was linked to was short or failed: the rest goes out first.
    if (res === ECANCELED) {
      if (!this.#isBusy) this.#sendNow()
      return
    }
    // ENOTCONN: the peer has reset the connection meanwhile, which the receiver reports.
    if (res < 0 && res !== ENOTCONN) this.#host.sendFailed(res)
    else this.#over()
  }

  #over(): void {
    this.#isFinished = true
    this.#ended?.resolve()
    this.#ended = null
    this.#host.finished()
  }
}

function isLarge(piece: Piece): boolean {
  return piece.block === null && piece.length >= SHORTEST_ZERO_COPY && !piece.isPlain
}

function sentPromise(piece: Piece): Promise<void> {
  const promise = new Promise<void>((resolve, reject) => {
    piece.resolve = resolve
    piece.reject = reject
  })
  promise.catch(nothing)
  return promise
}

/** Waits for every piece, even after one has failed: the memory of the others may still be read. */
function allSent(others: readonly Promise<void>[], last: Promise<void>): Promise<void> {
  const all = Promise.allSettled([...others, last]).then((results) => {
    for (const result of results) if (result.status === 'rejected') throw result.reason
  })
  all.catch(nothing)
  return all
}

function setAddress(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true)
}
