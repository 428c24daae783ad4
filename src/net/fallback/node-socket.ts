// A connection carried by node:net. It follows the rules of a connection on a ring: when data is delivered,
// when writes are refused, how it ends.

import type { Socket as NetSocket } from 'node:net'
import type { Duplex } from 'node:stream'
import { invalidType } from '../../syscalls/argument-errors.js'
import { endedByPeer, refusal, socketDestroyed, timedOut, writeAfterEnd } from '../errors.js'
import { checkFileRange, checkSink, checkTimeout, DEFAULT_HIGH_WATER_MARK } from '../options.js'
import type {
  Data,
  EndpointAddress,
  FileRange,
  FileSource,
  Lease,
  Socket,
  SocketSettings,
  SocketSink,
} from '../socket.js'
import { SocketStream } from '../stream.js'
import { NodeReader, type ReaderHost } from './node-reader.js'
import { sendFileThroughNode } from './node-send-file.js'
import { NodeWriter } from './node-writer.js'

export class NodeSocket<Chunk = Buffer | Lease> implements Socket<Chunk>, ReaderHost {
  readonly fd = -1
  readonly closed: Promise<void>
  error: Error | null = null
  readonly #socket: NetSocket
  readonly #reader: NodeReader
  readonly #writer: NodeWriter
  readonly #allowHalfOpen: boolean
  readonly #highWaterMark: number
  #isDestroyed = false
  #endedByPeer = false
  #onTimeout: (() => void) | null = null
  #stream: SocketStream | null = null

  /** @param socket - Connected, with `allowHalfOpen`: this class decides when each side ends. */
  constructor(socket: NetSocket, settings: SocketSettings) {
    const { highWaterMark = DEFAULT_HIGH_WATER_MARK, allowHalfOpen = false, chunks } = settings
    this.#socket = socket
    this.#allowHalfOpen = allowHalfOpen
    this.#highWaterMark = highWaterMark
    this.#reader = new NodeReader(socket, this, chunks === 'lease', highWaterMark)
    this.#writer = new NodeWriter(socket, highWaterMark, () => this.error ?? socketDestroyed('write'))
    socket.on('error', this.#onError)
    socket.on('finish', this.#onFinish)
    socket.on('timeout', this.#onIdle)
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#stop(this.#reader.ended)
        resolve()
        this.#reader.close()
      })
    })
  }

  get localAddress(): string | undefined {
    return this.#socket.localAddress
  }

  get localPort(): number | undefined {
    return this.#socket.localPort
  }

  get localFamily(): 'IPv4' | 'IPv6' | undefined {
    return this.address().family
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress
  }

  get remotePort(): number | undefined {
    return this.#socket.remotePort
  }

  get remoteFamily(): 'IPv4' | 'IPv6' | undefined {
    return this.#socket.remoteFamily as 'IPv4' | 'IPv6' | undefined
  }

  get bytesRead(): number {
    return this.#reader.bytes
  }

  get bytesWritten(): number {
    return this.#writer.bytes
  }

  get pendingBytes(): number {
    return this.#writer.pending
  }

  get readableEnded(): boolean {
    return this.#reader.endDelivered
  }

  get writableEnded(): boolean {
    return this.#writer.ending
  }

  get destroyed(): boolean {
    return this.#isDestroyed
  }

  read(): Promise<Chunk | null> {
    return this.#reader.next(false) as Promise<Chunk | null>
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Chunk, undefined, undefined> {
    const reader = this.#reader
    const iterator: AsyncIterableIterator<Chunk, undefined, undefined> = {
      next: () => reader.next(true) as Promise<IteratorResult<Chunk, undefined>>,
      // Leaving keeps the connection: the next iteration continues where this one stopped.
      return: () => Promise.resolve({ value: undefined, done: true }),
      [Symbol.asyncIterator]: () => iterator,
    }
    return iterator
  }

  consume(sink: SocketSink): void {
    checkSink(sink)
    this.#reader.consume(sink)
    if (this.#socket.closed) queueMicrotask(() => this.#reader.close())
  }

  pause(): void {
    this.#reader.pause()
  }

  resume(): void {
    this.#reader.resume()
  }

  write(data: Data | readonly Data[]): true | Promise<void> {
    const mistake = this.#writeMistake()
    return mistake === null ? this.#writer.write(data) : refusal(mistake)
  }

  flush(): Promise<void> {
    return this.#isDestroyed ? this.#whatBecame() : this.#writer.flush()
  }

  end(data?: Data | readonly Data[]): Promise<void> {
    if (data !== undefined) {
      const mistake = this.#writeMistake()
      if (mistake !== null) return refusal(mistake)
      this.#writer.write(data)
    }
    if (this.#isDestroyed) return this.#whatBecame()
    return this.#writer.end()
  }

  async shutdown(how: 'read' | 'write' | 'both' = 'write'): Promise<void> {
    if (how !== 'read' && how !== 'write' && how !== 'both') {
      throw invalidType('how', "one of 'read', 'write', 'both'", how)
    }
    if (how !== 'write' && !this.#isDestroyed) this.#reader.drop()
    if (how !== 'read') await this.end()
  }

  async sendFile(file: FileSource, range: FileRange = {}): Promise<number> {
    checkFileRange(range)
    const mistake = this.#writeMistake()
    if (mistake !== null) throw mistake
    return sendFileThroughNode(this, this.#writer, file, range)
  }

  destroy(error?: Error): void {
    if (this.#isDestroyed) return
    this.error = error ?? null
    this.#stop(false)
    this.#socket.destroy()
  }

  destroySoon(): void {
    if (this.#isDestroyed) return
    this.end().then(
      () => this.destroy(),
      () => this.destroy(),
    )
  }

  resetAndDestroy(): void {
    if (this.#isDestroyed) return
    this.#stop(false)
    const { ending, finished } = this.#writer
    // A Unix socket has no reset, and libuv refuses one while it shuts down: node:net would then never close.
    const isShuttingDown = ending && !finished
    if (this.#socket.remoteAddress === undefined || isShuttingDown) this.#socket.destroy()
    else this.#socket.resetAndDestroy()
  }

  setTimeout(timeoutMs: number, onTimeout?: () => void): this {
    checkTimeout(timeoutMs, onTimeout)
    this.#onTimeout = onTimeout ?? null
    this.#socket.setTimeout(timeoutMs)
    return this
  }

  setNoDelay(noDelay = true): this {
    this.#socket.setNoDelay(noDelay)
    return this
  }

  setKeepAlive(enable = false, initialDelayMs = 0): this {
    this.#socket.setKeepAlive(enable, initialDelayMs)
    return this
  }

  ref(): this {
    this.#socket.ref()
    return this
  }

  unref(): this {
    this.#socket.unref()
    return this
  }

  address(): EndpointAddress {
    const { address, family, port } = this.#socket.address() as EndpointAddress
    return address === undefined ? {} : { address, family: family!, port: port! }
  }

  stream(): Duplex {
    const options = { allowHalfOpen: this.#allowHalfOpen, highWaterMark: this.#highWaterMark }
    this.#stream ??= new SocketStream(this as Socket<unknown>, options)
    return this.#stream
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy()
    await this.closed
  }

  /** @internal */
  peerEnded(): void {
    if (this.#writer.finished) this.#over()
  }

  /** @internal */
  endDelivered(): void {
    // A stream ends its own writable side.
    if (this.#allowHalfOpen || this.#isDestroyed || this.#stream !== null) return
    // The reader runs first: what it writes in answer to the end must still go out.
    setImmediate(() => {
      if (this.#isDestroyed || this.writableEnded) return
      this.#endedByPeer = true
      void this.#writer.end()
    })
  }

  readonly #onError = (error: Error): void => {
    if (this.#isDestroyed) return
    this.error = error
    this.#stop(false)
  }

  readonly #onFinish = (): void => {
    this.#writer.finish()
    if (this.#reader.ended) this.#over()
    // From now on the peer's end closes the connection, so it must be seen.
    else this.#reader.watchForEnd()
  }

  readonly #onIdle = (): void => {
    if (this.#onTimeout !== null) this.#onTimeout()
    else this.destroy(timedOut('read'))
  }

  /** Both directions have ended. */
  #over(): void {
    this.#stop(true)
    this.#socket.destroy()
  }

  /** The result of `flush` and `end` on a destroyed connection. */
  #whatBecame(): Promise<void> {
    const error = this.error ?? this.#writer.cutOffBy
    return error === null ? Promise.resolve() : refusal(error)
  }

  #writeMistake(): Error | null {
    if (this.#isDestroyed) return this.error ?? socketDestroyed('write')
    if (!this.writableEnded) return null
    return this.#endedByPeer ? endedByPeer() : writeAfterEnd()
  }

  #stop(keepsData: boolean): void {
    if (this.#isDestroyed) return
    this.#isDestroyed = true
    this.#reader.stop(this.error, keepsData)
    this.#writer.stop()
  }
}
