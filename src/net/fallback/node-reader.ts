// The receiving half of a connection over node:net: the chunks that wait for the reader, and when the peer
// has to wait.

import type { Socket as NetSocket } from 'node:net'
import { invalidState } from '../../syscalls/argument-errors.js'
import type { Lease, SocketSink } from '../socket.js'
import { NodeLease } from './node-lease.js'

/** How many high-water marks of data may wait when only the peer's end is still to come. */
const LAST_WORDS = 4

/** The connection that it is part of. */
export interface ReaderHost {
  readonly error: Error | null
  /** The peer has ended, and all of its data has arrived. */
  peerEnded(): void
  /** The reader has been told of the end. */
  endDelivered(): void
}

export class NodeReader {
  /** Bytes delivered or waiting. */
  bytes = 0
  /** The peer has ended. */
  ended = false
  endDelivered = false
  readonly #socket: NetSocket
  readonly #host: ReaderHost
  readonly #leases: boolean
  #highWaterMark: number
  #chunks: Buffer[] = []
  #waitingBytes = 0
  #hasStarted = false
  #isDropping = false
  #isStopped = false
  #resolve: ((value: unknown) => void) | null = null
  #reject: ((error: unknown) => void) | null = null
  #wantsResult = false
  #sink: SocketSink | null = null
  #isPaused = false
  #isClosed = false

  constructor(socket: NetSocket, host: ReaderHost, leases: boolean, highWaterMark: number) {
    this.#socket = socket
    this.#host = host
    this.#leases = leases
    this.#highWaterMark = highWaterMark
  }

  /** There is a read that waits, or a sink. */
  get isTaken(): boolean {
    return this.#resolve !== null || this.#sink !== null
  }

  next(wantsResult: boolean): Promise<unknown> {
    if (this.isTaken) return Promise.reject(takenError())
    if (this.#chunks.length > 0) {
      const chunk = this.#dressed(this.#shift())
      this.#start()
      return Promise.resolve(wantsResult ? { value: chunk, done: false } : chunk)
    }
    if (this.ended) {
      this.#deliverEnd()
      return Promise.resolve(endOf(wantsResult))
    }
    if (this.#isStopped) {
      const { error } = this.#host
      return error === null ? Promise.resolve(endOf(wantsResult)) : Promise.reject(error)
    }
    this.#wantsResult = wantsResult
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#start()
    })
  }

  consume(sink: SocketSink): void {
    if (this.isTaken) throw takenError()
    this.#sink = sink
    this.#deliverToSink()
    this.#start()
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#deliverToSink()
    this.#start()
  }

  /** Receives although nobody reads, to see the peer's end, which comes after all of the peer's data. */
  watchForEnd(): void {
    this.#highWaterMark *= LAST_WORDS
    this.#start()
  }

  /** Discards the chunks that wait, and all data that is received from now on. */
  drop(): void {
    this.#isDropping = true
    this.#discard()
    this.#start()
  }

  /** @param keepsData - Data received so far can still be read. */
  stop(error: Error | null, keepsData: boolean): void {
    if (this.#isStopped) return
    this.#isStopped = true
    if (!keepsData) this.#discard()
    const resolve = this.#resolve
    const reject = this.#reject
    this.#resolve = null
    this.#reject = null
    if (resolve === null) return
    if (error === null) resolve(endOf(this.#wantsResult))
    else reject!(error)
  }

  /** The connection is closed. A sink that has not seen all of the data is told later. */
  close(): void {
    this.#isClosed = true
    if (this.#sink === null) return
    if (!this.ended || this.endDelivered || this.#host.error !== null) this.#sink.onClose(this.#host.error)
  }

  #start(): void {
    if (this.ended || this.#isStopped || this.#waitingBytes > this.#highWaterMark >>> 1) return
    if (!this.#hasStarted) {
      this.#hasStarted = true
      this.#socket.on('data', this.#onData)
      this.#socket.on('end', this.#onEnd)
    }
    this.#socket.resume()
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isDropping || this.#isStopped) return
    this.bytes += chunk.length
    if (this.#sink !== null && !this.#isPaused && this.#chunks.length === 0) {
      this.#sink.onData(chunk)
      if (this.#isPaused) this.#socket.pause()
      return
    }
    const resolve = this.#resolve
    if (resolve !== null) {
      this.#resolve = null
      this.#reject = null
      const dressed = this.#dressed(chunk)
      resolve(this.#wantsResult ? { value: dressed, done: false } : dressed)
      return
    }
    this.#chunks.push(chunk)
    this.#waitingBytes += chunk.length
    if (this.#waitingBytes >= this.#highWaterMark) this.#socket.pause()
  }

  readonly #onEnd = (): void => {
    this.ended = true
    if (!this.#isStopped) {
      const resolve = this.#resolve
      this.#resolve = null
      this.#reject = null
      if (this.#sink !== null) this.#deliverToSink()
      else if (resolve !== null || this.#isDropping) {
        resolve?.(endOf(this.#wantsResult))
        this.#deliverEnd()
      }
    }
    this.#host.peerEnded()
  }

  #deliverToSink(): void {
    const sink = this.#sink
    if (sink === null) return
    while (!this.#isPaused && this.#chunks.length > 0) sink.onData(this.#shift())
    if (!this.ended || this.#isPaused || this.endDelivered) return
    this.#deliverEnd()
    if (this.#isClosed) sink.onClose(this.#host.error)
  }

  #deliverEnd(): void {
    if (this.endDelivered) return
    this.endDelivered = true
    this.#sink?.onEnd()
    this.#host.endDelivered()
  }

  #shift(): Buffer {
    const chunk = this.#chunks.shift()!
    this.#waitingBytes -= chunk.length
    return chunk
  }

  #dressed(chunk: Buffer): Buffer | Lease {
    return this.#leases ? new NodeLease(chunk) : chunk
  }

  #discard(): void {
    this.#chunks = []
    this.#waitingBytes = 0
  }
}

function endOf(wantsResult: boolean): unknown {
  return wantsResult ? { value: undefined, done: true } : null
}

function takenError(): Error {
  return invalidState('The connection is being read already')
}
