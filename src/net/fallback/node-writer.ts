// The sending half of a connection over node:net: writes, files and the end, in the order in which they were asked for.

import type { Socket as NetSocket } from 'node:net'
import { dataOf } from '../data.js'
import type { Data } from '../socket.js'

/** The ring sends longer pieces without a copy. */
const LONGEST_COPY = 16384

/** Does its own sending, with nothing else in between. */
export type SendTask = () => Promise<void>

export class NodeWriter {
  /** `end` was called. */
  ending = false
  finished = false
  /** Why some of the data was not sent, or null. */
  cutOffBy: Error | null = null
  /** Bytes accepted by `write`, and those sent by tasks. */
  bytes = 0
  /** Of these, the bytes that wait behind a task. */
  #heldBytes = 0
  readonly #socket: NetSocket
  readonly #highWaterMark: number
  /** Returns the error that those who wait reject with when the connection is destroyed. */
  readonly #whyStopped: () => Error
  /** Settles after the tasks and what is queued behind them; null when there are none. */
  #line: Promise<void> | null = null
  #waiting: Wait[] = []
  #ended: Wait | null = null
  #isStopped = false

  constructor(socket: NetSocket, highWaterMark: number, whyStopped: () => Error) {
    this.#socket = socket
    this.#highWaterMark = highWaterMark
    this.#whyStopped = whyStopped
  }

  get pending(): number {
    return this.#isStopped ? 0 : this.#socket.writableLength + this.#heldBytes
  }

  /** See `Socket.write`. */
  write(data: Data | readonly Data[]): true | Promise<void> {
    const pieces = piecesOf(data)
    let total = 0
    for (const piece of pieces) total += piece.length
    this.bytes += total
    if (this.#line === null) {
      const taken = this.#writeNow(pieces)
      // As on a ring, which sends this much in place: a program that relies on `true` then fails here, too.
      return taken === true && pieces.some(({ length }) => length > LONGEST_COPY) ? Promise.resolve() : taken
    }
    this.#heldBytes += total
    return this.#behindTasks(async () => {
      this.#heldBytes -= total
      await this.#writeNow(pieces)
    })
  }

  flush(): Promise<void> {
    if (this.#line !== null) return this.#behindTasks(() => this.flush())
    if (this.#socket.writableLength === 0) return Promise.resolve()
    return this.#wait(0)
  }

  end(): Promise<void> {
    this.ending = true
    if (this.#ended === null) {
      this.#ended = newWait()
      const end = (): void => {
        this.#socket.end()
      }
      if (this.#line === null) end()
      else void this.#behindTasks(async () => end())
    }
    return this.#ended.promise
  }

  /** Runs `task` when what was written before it was handed to the system. */
  run(task: SendTask): Promise<void> {
    return this.#behindTasks(task)
  }

  /** Part of a task: sends, and resolves when there is room for more. */
  async sendForTask(bytes: Buffer): Promise<void> {
    this.bytes += bytes.length
    await this.#writeNow([bytes])
  }

  /** @internal 'finish' of the socket. */
  finish(): void {
    this.finished = true
    this.#ended?.resolve()
  }

  /** Rejects all promises that wait. */
  stop(): void {
    if (this.#isStopped) return
    const error = this.#whyStopped()
    if (this.#line !== null || this.pending > 0) this.cutOffBy = error
    this.#isStopped = true
    for (const wait of this.#waiting.splice(0)) wait.reject(error)
    if (!this.finished) this.#ended?.reject(error)
  }

  #writeNow(pieces: readonly Uint8Array[]): true | Promise<void> {
    const socket = this.#socket
    if (this.#isStopped) return Promise.reject(this.#whyStopped())
    if (pieces.length > 1) socket.cork()
    for (const piece of pieces) if (piece.length > 0) socket.write(piece, this.#onTaken)
    if (pieces.length > 1) socket.uncork()
    // node:net keeps a reference to what it could not send at once, so that data is not taken yet.
    return socket.writableLength === 0 ? true : this.#wait(this.#highWaterMark >>> 1)
  }

  /** Resolves when all that was written so far is sent and, for `most` above 0, no more than that is left. */
  #wait(most: number): Promise<void> {
    const socket = this.#socket
    const wait = newWait()
    wait.until = socket.bytesWritten
    wait.most = most
    this.#waiting.push(wait)
    return wait.promise
  }

  readonly #onTaken = (): void => {
    const socket = this.#socket
    if (this.#waiting.length === 0 || this.#isStopped) return
    const left = socket.writableLength
    const taken = socket.bytesWritten - left
    while (this.#waiting.length > 0) {
      const { until, most, resolve } = this.#waiting[0]!
      if (taken < until || (most > 0 && left > most)) return
      this.#waiting.shift()
      resolve()
    }
  }

  /**
   * Runs `action` after what is queued. A failure does not stop the actions behind it; the connection's end
   * does.
   */
  #behindTasks(action: () => Promise<void> | void): Promise<void> {
    const before = this.#line ?? Promise.resolve()
    const result = before.then(() => {
      if (this.#isStopped) throw this.#whyStopped()
      return action()
    })
    const line: Promise<void> = result.then(nothing, nothing).then(() => {
      if (this.#line === line) this.#line = null
    })
    this.#line = line
    result.catch(nothing)
    return result
  }
}

interface Wait {
  until: number
  most: number
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
  return { until: 0, most: 0, promise, resolve, reject }
}

function nothing(): void {}

function piecesOf(data: Data | readonly Data[]): Uint8Array[] {
  return Array.isArray(data) ? (data as readonly Data[]).map(bytesOf) : [bytesOf(data as Data)]
}

function bytesOf(data: Data): Uint8Array {
  const textOrBytes = dataOf(data)
  return typeof textOrBytes === 'string' ? Buffer.from(textOrBytes) : textOrBytes
}
