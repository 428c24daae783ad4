// The receiving half of a connection: one multishot receive, armed as long as there is room for more data,
// and the chunks that wait for the reader. Before Linux 6.0 a poll is armed instead, and each time it fires a
// single receive is issued: before 5.18 an armed receive would hold a buffer while it waits.

import {
  IORING_CQE_F_BUFFER,
  IOSQE_BUFFER_SELECT,
  MSG_DONTWAIT,
  POLLIN,
  prepPollAdd,
  prepRecv,
  prepRecvMultishot,
  type Sqe,
} from '../../ring/index.js'
import { BufferLease } from '../../runtime/buffer-lease.js'
import type { CqeHandler, Slot } from '../../runtime/slot.js'
import { throwLater } from '../../runtime/throw-later.js'
import { invalidState } from '../../syscalls/argument-errors.js'
import { EAGAIN, ECANCELED, EINTR, EINVAL, ENOBUFS } from '../../syscalls/errno-values.js'
import type { SocketSink } from '../socket.js'
import type { Hub, LeasedBuffers, ReceiveBuffers, TurnMember } from './hub.js'

/** Received data: in its own memory, or a lease of a part of the shared buffers. */
export type Chunk = Buffer | BufferLease

/** The connection that it is part of. */
export interface ReceiverHost {
  readonly fd: number
  readonly error: Error | null
  /** Data was received. */
  active(): void
  /** The peer has ended: no more data will arrive. */
  peerEnded(): void
  /** The reader has been told of the end. */
  endDelivered(): void
  receiveFailed(res: number): void
  sinkFailed(): void
  /** After the end or `stop`: no operation of this half is in flight any more. */
  receiverIdle(): void
}

/** After this many completely filled buffers in a row, a connection switches to the large ones. */
const BRIMMING = 4

const NO_CHUNKS: Chunk[] = []

let takenResolve: (value: unknown) => void
let takenReject: (error: unknown) => void
// One executor for all connections, so that an idle one holds no closures that it may never use.
function takeResolvers(resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
  takenResolve = resolve
  takenReject = reject
}

// Arguments of the prepare functions, which `submitMultishot` calls before it returns: one set serves all.
let armedFd = -1
let armedGroup = 0
let armedSize = 0

function prepareMultishot(sqe: Sqe): void {
  prepRecvMultishot(sqe, armedFd, 0, 0, 0).addFlags(IOSQE_BUFFER_SELECT).setBufferGroup(armedGroup)
}

function preparePoll(sqe: Sqe): void {
  prepPollAdd(sqe, armedFd, POLLIN)
}

// The size is passed: older kernels (before 6.0) take 0 as zero bytes, newer ones as the whole buffer.
function prepareOnce(sqe: Sqe): void {
  prepRecv(sqe, armedFd, 0, armedSize, MSG_DONTWAIT).addFlags(IOSQE_BUFFER_SELECT).setBufferGroup(armedGroup)
}

export class Receiver implements TurnMember {
  /** Bytes received. */
  bytes = 0
  /** The peer has ended. */
  ended = false
  readonly #hub: Hub
  readonly #host: ReceiverHost
  readonly #leases: boolean
  readonly #highWaterMark: number
  #group: ReceiveBuffers
  #slot: Slot | null = null
  #isArmed = false
  #isCancelling = false
  /** The operation armed last is a multishot receive, not a poll or a single receive. */
  #isMultishot = false
  #onReady: ((res: number) => void) | null = null
  /** All buffers are taken: the receive is armed again when one comes back. */
  #isStarving = false
  #onBuffer: (() => void) | null = null
  /** `stop` was called: data that still arrives is discarded, and nothing is armed again. */
  #isStopped = false
  /** `stop` has dropped what was not delivered yet: neither that data nor the end is delivered any more. */
  #isLost = false
  /** There is or was a reader, or the peer's end is to be seen: the receive may be armed. */
  #isWanted = false
  /** `drop` was called: received data is discarded. */
  #isDropping = false
  #isEndDelivered = false
  #brimming = 0
  /** The high-water mark was reached in this turn: checked again at its end. */
  #isMarkPassed = false
  /** The high-water mark was reached: nothing is received until no more than half of it waits. */
  #isHeldBack = false
  #chunks = NO_CHUNKS
  #waitingBytes = 0
  /** The reader that waits: an iterator's `next()` wants an iterator result, `read()` the chunk itself. */
  #resolve: ((value: unknown) => void) | null = null
  #reject: ((error: unknown) => void) | null = null
  #wantsResult = false
  #sink: SocketSink | null = null
  #isPaused = false
  #isClosed = false

  constructor(hub: Hub, host: ReceiverHost, leases: boolean, highWaterMark: number) {
    this.#hub = hub
    this.#host = host
    this.#leases = leases
    this.#highWaterMark = highWaterMark
    this.#group = hub.smallBuffers
  }

  /** No operation of this half is in flight. */
  get idle(): boolean {
    return !this.#isArmed
  }

  /** All data and the end were delivered. */
  get endDelivered(): boolean {
    return this.#isEndDelivered
  }

  next(wantsResult: boolean): Promise<unknown> {
    if (this.#resolve !== null || this.#sink !== null) {
      return Promise.reject(invalidState('The connection is being read already'))
    }
    if (this.#chunks.length > 0) {
      const chunk = this.#shift()
      this.#arm()
      return Promise.resolve(wantsResult ? { value: chunk, done: false } : chunk)
    }
    if (this.ended && !this.#isLost) {
      this.#deliverEnd()
      return Promise.resolve(endOf(wantsResult))
    }
    if (this.#isStopped) {
      const { error } = this.#host
      return error === null ? Promise.resolve(endOf(wantsResult)) : Promise.reject(error)
    }
    this.#wantsResult = wantsResult
    const promise = new Promise(takeResolvers)
    this.#resolve = takenResolve
    this.#reject = takenReject
    this.#isWanted = true
    this.#arm()
    return promise
  }

  consume(sink: SocketSink): void {
    if (this.#resolve !== null || this.#sink !== null) {
      throw invalidState('The connection is being read already')
    }
    this.#sink = sink
    this.#deliverToSink()
    this.#isWanted = true
    this.#arm()
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#deliverToSink()
    this.#arm()
  }

  /** Receives although nobody reads yet, so that the end of the peer is seen. */
  watchForEnd(): void {
    this.#isWanted = true
    this.#arm()
  }

  /** Discards the chunks that wait, and all data that is received from now on. */
  drop(): void {
    this.#isDropping = true
    this.#discardChunks()
    this.watchForEnd()
  }

  /**
   * Ends this half: settles the read that waits, and cancels the receive.
   *
   * @param keepsData - Data received so far can still be read.
   */
  stop(error: Error | null, keepsData: boolean): void {
    if (this.#isStopped) return
    this.#isStopped = true
    if (this.#isStarving) {
      this.#isStarving = false
      this.#group.forgetAwaiting(this.#onBuffer!)
    }
    if (!keepsData) {
      this.#isLost = true
      this.#discardChunks()
    }
    const { resolve, reject } = this.#takeReader()
    if (resolve !== null) {
      if (error === null) resolve(endOf(this.#wantsResult))
      else reject!(error)
    }
    if (this.#isArmed) this.#cancel()
  }

  /**
   * Tells the sink, if any, that the connection is closed: after the data and the end that it has yet to see.
   */
  closeSink(error: Error | null): void {
    if (this.#sink === null) return
    this.#isClosed = true
    const isDue = this.#isLost || !this.ended || this.#isEndDelivered
    if (this.#chunks.length === 0 && isDue) this.#sink.onClose(error)
  }

  #takeReader(): {
    resolve: ((value: unknown) => void) | null
    reject: ((error: unknown) => void) | null
  } {
    const reader = { resolve: this.#resolve, reject: this.#reject }
    this.#resolve = null
    this.#reject = null
    return reader
  }

  #arm(): void {
    if (this.#isArmed || this.#isStarving || this.ended || this.#isStopped || !this.#isWanted) return
    if (this.#waitingBytes <= this.#highWaterMark >>> 1) this.#isHeldBack = false
    else if (this.#waitingBytes >= this.#highWaterMark) this.#isHeldBack = true
    if (this.#isHeldBack) return
    const hub = this.#hub
    const group = this.#group
    if (hub.driver.closed || group.closed) return
    group.join()
    this.#isArmed = true
    this.#isCancelling = false
    this.#isMultishot = hub.hasMultishot
    if (this.#isMultishot) {
      this.#submit(prepareMultishot, this.#onCqe)
    } else {
      this.#onReady ??= (res) => this.#receiveOnce(res)
      this.#submit(preparePoll, this.#onReady)
    }
  }

  #submit(prepare: (sqe: Sqe) => void, onCqe: CqeHandler): void {
    const group = this.#group
    armedFd = this.#host.fd
    armedGroup = group.id
    armedSize = group.size
    this.#slot = this.#hub.driver.submitMultishot(prepare, onCqe, 'recv', this, true)
  }

  /** The poll has fired, or has failed. */
  #receiveOnce(res: number): void {
    this.#slot = null
    if (res <= 0 || this.#isCancelling || this.#hub.driver.closed || this.#group.closed) {
      this.#onCqe(res < 0 ? res : ECANCELED, 0, false)
    } else this.#submit(prepareOnce, this.#onCqe)
  }

  #cancel(): void {
    if (this.#isCancelling) return
    this.#isCancelling = true
    if (this.#slot !== null) this.#hub.driver.cancel(this.#slot)
  }

  readonly #onCqe = (res: number, flags: number, more: boolean): void => {
    const group = this.#group
    if (!more) {
      this.#isArmed = false
      this.#slot = null
    }
    if (res > 0) this.#onData(res, flags, more)
    else {
      // A receive that ends without data may have taken a buffer all the same.
      if (flags & IORING_CQE_F_BUFFER) group.discard(0, flags)
      if (res === 0) this.#onEnd()
      else this.#onFailure(res)
    }
    if (more) return
    group.leave()
    this.#isCancelling = false
    if (this.#isStopped || this.ended) this.#host.receiverIdle()
    if (this.#brimming >= BRIMMING)
      this.#group = this.#leases ? this.#hub.largeBuffers : this.#hub.givenBuffers
    this.#arm()
  }

  #onData(res: number, flags: number, more: boolean): void {
    const group = this.#group
    if (this.#isStopped || this.#isDropping) {
      group.discard(res, flags)
      return
    }
    this.bytes += res
    this.#host.active()
    const brimming = res === group.size ? this.#brimming + 1 : 0
    this.#brimming = brimming
    const chunk =
      this.#leases && this.#sink === null
        ? (group as LeasedBuffers).lease(res, flags)
        : group.copy(res, flags)
    this.#deliver(chunk)
    if (!more) return
    if (this.#waitingBytes >= this.#highWaterMark) this.#checkMark()
    else if (brimming === BRIMMING && group === this.#hub.smallBuffers) this.#cancel()
  }

  /** Cancels nothing yet: a reader that is busy with earlier chunks may catch up by the end of the turn. */
  #checkMark(): void {
    if (this.#isMarkPassed) return
    this.#isMarkPassed = true
    this.#hub.atTurnEnd(this)
  }

  /** @internal */
  turnEnded(): void {
    this.#isMarkPassed = false
    if (!this.#isArmed || this.#waitingBytes < this.#highWaterMark) return
    this.#isHeldBack = true
    this.#cancel()
  }

  #deliver(chunk: Chunk): void {
    if (this.#sink !== null && !this.#isPaused && this.#chunks.length === 0) {
      this.#toSink(chunk as Buffer)
      return
    }
    const resolve = this.#resolve
    if (resolve !== null) {
      this.#resolve = null
      this.#reject = null
      resolve(this.#wantsResult ? { value: chunk, done: false } : chunk)
      return
    }
    if (this.#chunks === NO_CHUNKS) this.#chunks = []
    this.#chunks.push(chunk)
    this.#waitingBytes += chunk.length
  }

  #deliverToSink(): void {
    const sink = this.#sink
    if (sink === null) return
    while (!this.#isPaused && this.#chunks.length > 0) {
      const chunk = this.#shift()
      if (chunk instanceof BufferLease) {
        const data = chunk.copy()
        chunk.release()
        this.#toSink(data)
      } else this.#toSink(chunk)
    }
    if (!this.ended || this.#isPaused || this.#isEndDelivered || this.#isLost) return
    this.#deliverEnd()
    if (this.#isClosed) sink.onClose(this.#host.error)
  }

  /** A sink that throws has its connection destroyed, as a handler has. */
  #toSink(chunk: Buffer): void {
    try {
      this.#sink!.onData(chunk)
    } catch (error) {
      throwLater(error)
      this.#host.sinkFailed()
    }
  }

  #onEnd(): void {
    this.ended = true
    if (!this.#isStopped) {
      const { resolve } = this.#takeReader()
      if (this.#sink !== null) this.#deliverToSink()
      else if (resolve !== null || this.#isDropping) {
        resolve?.(endOf(this.#wantsResult))
        this.#deliverEnd()
      }
    }
    this.#host.peerEnded()
  }

  #deliverEnd(): void {
    if (this.#isEndDelivered) return
    this.#isEndDelivered = true
    this.#sink?.onEnd()
    this.#host.endDelivered()
  }

  #onFailure(res: number): void {
    if (this.#isStopped || res === EINTR || res === EAGAIN) return
    if (res === ECANCELED && (this.#isCancelling || this.#hub.driver.closed)) return
    if (res === ENOBUFS) {
      this.#isStarving = true
      this.#onBuffer ??= () => {
        this.#isStarving = false
        this.#arm()
      }
      this.#group.awaitBuffer(this.#onBuffer)
      return
    }
    if (res === EINVAL && this.#isMultishot) {
      // Before Linux 6.0: polls and single receives from now on. Another connection may have seen it first.
      this.#hub.hasMultishot = false
      return
    }
    this.#host.receiveFailed(res)
  }

  #shift(): Chunk {
    const chunk = this.#chunks.shift()!
    this.#waitingBytes -= chunk.length
    return chunk
  }

  #discardChunks(): void {
    for (const chunk of this.#chunks) if (chunk instanceof BufferLease) chunk.release()
    this.#chunks = NO_CHUNKS
    this.#waitingBytes = 0
  }
}

function endOf(wantsResult: boolean): unknown {
  return wantsResult ? { value: undefined, done: true } : null
}
