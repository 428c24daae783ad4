// The face of a connection that Node libraries know: a Duplex with the members of a net.Socket. It stands on the public
// `Socket` alone, so it neither knows nor cares what carries the connection. One chunk costs no promise: data is pushed
// from the completion, and a write that the connection takes at once is over when it returns.

import { Duplex } from 'node:stream'
import { checkInteger, invalidType } from '../syscalls/argument-errors.js'
import { type IdleListener, IdleTimer } from './idle-timer.js'
import type { EndpointAddress, Socket, SocketSink } from './socket.js'

/** What `setTimeout` of a timer takes. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

type Callback = (error?: Error | null) => void
type WriteArguments = [chunk: unknown, encoding: BufferEncoding, callback?: Callback]

/** A connection as a `stream.Duplex` with the members that Node libraries look for on a `net.Socket`. */
export class SocketStream extends Duplex implements IdleListener {
  /** Milliseconds that `setTimeout` was last called with. */
  timeout: number | undefined = undefined
  // A declaration alone: http, http2 and tls take the fast way into libuv where there is such a handle.
  declare readonly _handle: undefined
  #socket: Socket<unknown> | null = null
  /** The reader has enough: nothing is pushed until it asks for more. */
  #isPaused = false
  /** Bytes that `_write` has and the connection has not taken. */
  #dispatchedBytes = 0
  #idle: IdleTimer | null = null
  #isRef = true
  #hasEnded = false

  constructor(socket: Socket<unknown> | null, options: { allowHalfOpen: boolean; highWaterMark?: number }) {
    const { allowHalfOpen, highWaterMark } = options
    super({
      allowHalfOpen,
      // 'close' says whether there was an error, as that of a net.Socket does.
      emitClose: false,
      ...(highWaterMark !== undefined && { highWaterMark }),
    })
    if (socket !== null) this.attach(socket)
  }

  /** @internal The connection is there: reading starts at once, so that its end is noticed. */
  protected attach(socket: Socket<unknown>): void {
    this.#socket = socket
    if (!this.#isRef) socket.unref()
    socket.consume(new StreamSink(this))
  }

  /** True while there is no connection yet. */
  get connecting(): boolean {
    return this.#socket === null && !this.destroyed
  }

  get pending(): boolean {
    return this.#socket === null
  }

  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening'
    if (this.readable) return this.writable ? 'open' : 'readOnly'
    return this.writable ? 'writeOnly' : 'closed'
  }

  get localAddress(): string | undefined {
    return this.#socket?.localAddress
  }

  get localPort(): number | undefined {
    return this.#socket?.localPort
  }

  get localFamily(): 'IPv4' | 'IPv6' | undefined {
    return this.#socket?.localFamily
  }

  get remoteAddress(): string | undefined {
    return this.#socket?.remoteAddress
  }

  get remotePort(): number | undefined {
    return this.#socket?.remotePort
  }

  get remoteFamily(): 'IPv4' | 'IPv6' | undefined {
    return this.#socket?.remoteFamily
  }

  get bytesRead(): number {
    return this.#socket?.bytesRead ?? 0
  }

  /** Bytes written to the stream, those that wait in it included. */
  get bytesWritten(): number {
    return (this.#socket?.bytesWritten ?? 0) + this.writableLength - this.#dispatchedBytes
  }

  /** Bytes that wait to be sent. */
  get bufferSize(): number {
    return this.writableLength
  }

  address(): EndpointAddress {
    return this.#socket?.address() ?? {}
  }

  /** TCP_NODELAY; before there is a connection it has no effect. */
  setNoDelay(noDelay?: boolean): this {
    this.#socket?.setNoDelay(noDelay)
    return this
  }

  setKeepAlive(enable?: boolean, initialDelayMs?: number): this {
    this.#socket?.setKeepAlive(enable, initialDelayMs)
    return this
  }

  /**
   * Emits 'timeout' when nothing was received or sent for so long; what to do about it is the listener's business.
   *
   * @param timeoutMs - 0 for never.
   * @param onTimeout - Added as a listener, once.
   */
  setTimeout(timeoutMs: number, onTimeout?: () => void): this {
    if (this.destroyed) return this
    checkInteger('timeout', Math.trunc(timeoutMs), 0, MAX_TIMEOUT_MS)
    if (onTimeout !== undefined && typeof onTimeout !== 'function') {
      throw invalidType('callback', 'of type function', onTimeout)
    }
    this.timeout = timeoutMs
    if (timeoutMs > 0) {
      this.#idle ??= new IdleTimer(this)
      this.#idle.start(timeoutMs)
      if (onTimeout !== undefined) this.once('timeout', onTimeout)
      return this
    }
    this.#idle?.stop()
    if (onTimeout !== undefined) this.removeListener('timeout', onTimeout)
    return this
  }

  ref(): this {
    this.#isRef = true
    this.#socket?.ref()
    return this
  }

  unref(): this {
    this.#isRef = false
    this.#socket?.unref()
    return this
  }

  /** Ends the writable side, and destroys the stream when all is sent. */
  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', this.destroy)
  }

  /** Closes with a reset (RST) where the transport has that. */
  resetAndDestroy(): this {
    this.#socket?.resetAndDestroy()
    return this.destroy()
  }

  onIdle(): void {
    // Something is being sent, and the peer takes it, if slowly.
    if (this.#idle?.hasMoved(this.#socket?.pendingBytes ?? 0)) this.#idle.refresh()
    else this.emit('timeout')
  }

  /** @internal */
  receive(bytes: Buffer): void {
    if (this.destroyed) return
    this.#idle?.refresh()
    if (this.push(bytes)) return
    this.#isPaused = true
    this.#socket!.pause()
  }

  /** @internal The peer sends no more. */
  receiveEnd(): void {
    if (this.destroyed) return
    this.#hasEnded = true
    // What is written after the answer to the peer's end could not be sent; node:net says so with EPIPE.
    if (!this.allowHalfOpen) this.once('end', refuseWrites)
    this.push(null)
    // Without a reader 'end' would not come, and the stream would never close.
    if (this.readableLength === 0) this.read(0)
  }

  /** @internal The connection is closed. */
  receiveClose(error: Error | null): void {
    // What has come before its end is still to be read; the stream closes after that.
    if (error !== null || !this.#hasEnded) this.destroy(error ?? undefined)
    else if (this.allowHalfOpen && !this.writableEnded) {
      // Its other half, which nobody has ended, is over as well.
      if (this.readableEnded) this.destroy()
      else this.once('end', () => this.destroy())
    }
  }

  override _read(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#socket?.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.#dispatch(chunk, chunk.length, callback)
  }

  override _writev(chunks: { chunk: Buffer }[], callback: Callback): void {
    let bytes = 0
    const buffers = chunks.map(({ chunk }) => {
      bytes += chunk.length
      return chunk
    })
    this.#dispatch(buffers, bytes, callback)
  }

  override _final(callback: Callback): void {
    const socket = this.#socket
    if (socket === null || socket.destroyed) {
      callback()
      return
    }
    socket.end().then(
      () => callback(),
      (error: NodeJS.ErrnoException) => callback(error.code === 'ENOTCONN' ? null : error),
    )
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#idle?.close()
    this.#idle = null
    const socket = this.#socket
    const emitClose = (): void => {
      // Behind the 'error' event, which has its turn in the queue already.
      process.nextTick(() => this.emit('close', error !== null))
    }
    callback(error)
    if (socket === null) {
      emitClose()
      return
    }
    // node:net hands data to the system as it is written, so libraries write their last words and destroy the socket
    // right away. Ours goes out at the end of the turn: it gets that long.
    if (socket.pendingBytes > 0 && !socket.destroyed) setImmediate(() => socket.destroy())
    else socket.destroy()
    socket.closed.then(emitClose)
  }

  #dispatch(data: Buffer | readonly Buffer[], bytes: number, callback: Callback): void {
    this.#idle?.refresh()
    const taken = this.#socket!.write(data)
    // As long as the stream counts them itself, they are not to be counted twice.
    this.#dispatchedBytes = bytes
    if (taken === true) {
      this.#dispatchedBytes = 0
      callback()
      return
    }
    taken.then(
      () => {
        this.#idle?.refresh()
        this.#dispatchedBytes = 0
        callback()
      },
      (error: Error) => callback(error),
    )
  }
}

/** Hands what is received to the stream. An object of its own, so that these are no members of the stream. */
class StreamSink implements SocketSink {
  readonly #stream: SocketStream

  constructor(stream: SocketStream) {
    this.#stream = stream
  }

  onData(bytes: Buffer): void {
    this.#stream.receive(bytes)
  }

  onEnd(): void {
    this.#stream.receiveEnd()
  }

  onClose(error: Error | null): void {
    this.#stream.receiveClose(error)
  }
}

/** A listener of 'end': from now on `write` fails as that of a net.Socket does. */
function refuseWrites(this: Duplex): void {
  this.write = writeAfterEnd as typeof this.write
}

function writeAfterEnd(this: Duplex, ...args: WriteArguments): boolean {
  // A listener of 'end' that comes before the stream ends itself may still answer.
  if (!this.writableEnded) return Duplex.prototype.write.apply(this, args)
  const [, encoding, callback] = args
  const done = typeof encoding === 'function' ? (encoding as Callback) : callback
  const error = Object.assign(new Error('This socket has been ended by the other party'), { code: 'EPIPE' })
  if (done !== undefined) process.nextTick(done, error)
  this.destroy(error)
  return false
}
