// A connection in the form that Node libraries expect: a Duplex with the members of a net.Socket. It uses the
// public `Socket` interface alone, so it works on every backend. A chunk costs no promise: data is pushed
// from the completion handler, and a write that the connection takes at once is over when it returns.

import { Duplex } from 'node:stream'
import { checkInteger, invalidType } from '../syscalls/argument-errors.js'
import { type IdleListener, IdleTimer } from './idle-timer.js'
import type { EndpointAddress, Socket, SocketSink } from './socket.js'

/** The longest time that a Node timer takes. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

type Callback = (error?: Error | null) => void
type WriteArguments = [chunk: unknown, encoding: BufferEncoding, callback?: Callback]

/** A connection as a `stream.Duplex` with the members that Node libraries look for on a `net.Socket`. */
export class SocketStream extends Duplex implements IdleListener {
  /** Milliseconds that `setTimeout` was last called with. */
  timeout: number | undefined = undefined
  // Declared but never set: with such a handle, http, http2 and tls would take their fast path into libuv.
  declare readonly _handle: undefined
  #socket: Socket<unknown> | null = null
  /** The readable side is full: nothing is pushed until `_read` asks for more. */
  #isPaused = false
  /** Bytes that `_write` has passed on while the stream still counts them in `writableLength`. */
  #dispatchedBytes = 0
  #idle: IdleTimer | null = null
  #isRef = true
  #hasEnded = false

  constructor(socket: Socket<unknown> | null, options: { allowHalfOpen: boolean; highWaterMark?: number }) {
    const { allowHalfOpen, highWaterMark } = options
    super({
      allowHalfOpen,
      // `_destroy` emits 'close' as a net.Socket does: with whether there was an error.
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
   * Emits 'timeout' when nothing was received or sent for this long. The connection stays open: the listener
   * decides.
   *
   * @param timeoutMs - Milliseconds; 0 for never.
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
    // The amount that waits to be sent has changed: the peer takes data, if slowly.
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
    // The stream ends its own side after the peer's end. Later writes fail with EPIPE, as in node:net.
    if (!this.allowHalfOpen) this.once('end', refuseWrites)
    this.push(null)
    // Without a reader 'end' would not come, and the stream would never close.
    if (this.readableLength === 0) this.read(0)
  }

  /** @internal The connection is closed. */
  receiveClose(error: Error | null): void {
    // After an orderly end the data received before it can still be read; the stream closes after that.
    if (error !== null || !this.#hasEnded) this.destroy(error ?? undefined)
    else if (this.allowHalfOpen && !this.writableEnded) {
      // Its writable half, which nobody has ended, is over as well.
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
      // After the 'error' event, which is in the queue of nextTick already.
      process.nextTick(() => this.emit('close', error !== null))
    }
    callback(error)
    if (socket === null) {
      emitClose()
      return
    }
    // node:net passes data to the system as it is written, so libraries write a last message and destroy the
    // socket right away. Here data goes out at the end of the turn, so the destroy waits until then.
    if (socket.pendingBytes > 0 && !socket.destroyed) setImmediate(() => socket.destroy())
    else socket.destroy()
    socket.closed.then(emitClose)
  }

  #dispatch(data: Buffer | readonly Buffer[], bytes: number, callback: Callback): void {
    this.#idle?.refresh()
    const taken = this.#socket!.write(data)
    // The stream counts these bytes until `callback`, and they must not be counted twice.
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

/** Passes received data to the stream. A separate object keeps these methods from being its members. */
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
  // Listeners of 'end' that run before the stream ends itself may still write.
  if (!this.writableEnded) return Duplex.prototype.write.apply(this, args)
  const [, encoding, callback] = args
  const done = typeof encoding === 'function' ? (encoding as Callback) : callback
  const error = Object.assign(new Error('This socket has been ended by the other party'), { code: 'EPIPE' })
  if (done !== undefined) process.nextTick(done, error)
  this.destroy(error)
  return false
}
