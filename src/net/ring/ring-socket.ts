// A connection carried by a ring: its two halves, its descriptor, and the rules by which it ends. The
// descriptor is closed only when no operation of either half is in flight: right after, its number may belong
// to another file.

import type { Duplex } from 'node:stream'
import { prepClose, type SocketAddress, type Sqe } from '../../ring/index.js'
import { invalidType } from '../../syscalls/argument-errors.js'
import { close } from '../../syscalls/libc.js'
import { shownAddress } from '../address.js'
import { localName, peerName, resetOnClose, setKeepAlive, setNoDelay } from '../descriptor.js'
import { endedByPeer, netError, refusal, socketDestroyed, timedOut, writeAfterEnd } from '../errors.js'
import { IdleTimer } from '../idle-timer.js'
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
import type { Hub, RingUser } from './hub.js'
import { Receiver, type ReceiverHost } from './receiver.js'
import { sendFile } from './send-file.js'
import { Sender, type SenderHost } from './sender.js'

const NO_ADDRESS: EndpointAddress = {}

let closedFd = -1
function prepareClose(sqe: Sqe): void {
  prepClose(sqe, closedFd)
}

/** Keeps track of connections and their descriptors. */
export interface ConnectionKeeper {
  /** The descriptor is about to be closed: its number may be reused right after. */
  closing(fd: number): void
  closed(socket: RingSocket): void
}

export class RingSocket<Chunk = Buffer | Lease> implements Socket<Chunk>, ReceiverHost, SenderHost, RingUser {
  error: Error | null = null
  readonly #hub: Hub
  readonly #receiver: Receiver
  /** Made by the first write: a connection that only listens needs none. */
  #sender: Sender | null = null
  readonly #highWaterMark: number
  readonly #allowHalfOpen: boolean
  readonly #keeper: ConnectionKeeper | null
  #fd: number
  #isDestroyed = false
  #isClosing = false
  #isClosed = false
  #isReferenced = true
  #endedByPeer = false
  #closedPromise: Promise<void> | null = null
  #resolveClosed: (() => void) | null = null
  #local: EndpointAddress | null = null
  #remote: EndpointAddress | null = null
  #timer: IdleTimer | null = null
  #onTimeout: (() => void) | null = null
  #stream: Duplex | null = null

  /**
   * A connection over `fd`, a connected socket in blocking mode. The connection owns it from here on.
   *
   * @throws The error with which the receive buffers could not be made; the descriptor is closed then.
   */
  static over(hub: Hub, fd: number, settings: SocketSettings, keeper: ConnectionKeeper | null): RingSocket {
    try {
      return new RingSocket(hub, fd, settings, keeper)
    } catch (error) {
      keeper?.closing(fd)
      close(fd)
      throw error
    }
  }

  private constructor(hub: Hub, fd: number, settings: SocketSettings, keeper: ConnectionKeeper | null) {
    const { highWaterMark = DEFAULT_HIGH_WATER_MARK, allowHalfOpen = false, chunks } = settings
    this.#hub = hub
    this.#fd = fd
    this.#highWaterMark = highWaterMark
    this.#allowHalfOpen = allowHalfOpen
    this.#keeper = keeper
    this.#receiver = new Receiver(hub, this, chunks === 'lease', highWaterMark)
    if (settings.noDelay) setNoDelay(fd, true)
    if (settings.keepAlive) setKeepAlive(fd, true, settings.keepAliveInitialDelay ?? 0)
    hub.users.add(this)
    hub.driver.listen()
  }

  get fd(): number {
    return this.#fd
  }

  get localAddress(): string | undefined {
    return this.address().address
  }

  get localPort(): number | undefined {
    return this.address().port
  }

  get localFamily(): 'IPv4' | 'IPv6' | undefined {
    return this.address().family
  }

  get remoteAddress(): string | undefined {
    return this.#peer().address
  }

  get remotePort(): number | undefined {
    return this.#peer().port
  }

  get remoteFamily(): 'IPv4' | 'IPv6' | undefined {
    return this.#peer().family
  }

  get bytesRead(): number {
    return this.#receiver.bytes
  }

  get bytesWritten(): number {
    return this.#sender?.bytes ?? 0
  }

  get pendingBytes(): number {
    return this.#sender?.pending ?? 0
  }

  get readableEnded(): boolean {
    return this.#receiver.endDelivered
  }

  get writableEnded(): boolean {
    return this.#sender?.ending ?? false
  }

  get destroyed(): boolean {
    return this.#isDestroyed
  }

  get closed(): Promise<void> {
    this.#closedPromise ??= new Promise((resolve) => {
      if (this.#isClosed) resolve()
      else this.#resolveClosed = resolve
    })
    return this.#closedPromise
  }

  read(): Promise<Chunk | null> {
    return this.#receiver.next(false) as Promise<Chunk | null>
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Chunk, undefined, undefined> {
    return new Chunks<Chunk>(this.#receiver)
  }

  consume(sink: SocketSink): void {
    checkSink(sink)
    this.#receiver.consume(sink)
    if (this.#isClosed) queueMicrotask(() => this.#receiver.closeSink(this.error))
  }

  pause(): void {
    this.#receiver.pause()
  }

  resume(): void {
    this.#receiver.resume()
  }

  write(data: Data | readonly Data[]): true | Promise<void> {
    const mistake = this.#writeMistake()
    return mistake === null ? this.#writer().write(data) : refusal(mistake)
  }

  flush(): Promise<void> {
    if (this.#isDestroyed) return this.#whatBecame()
    return this.#sender?.flush() ?? Promise.resolve()
  }

  end(data?: Data | readonly Data[]): Promise<void> {
    if (data !== undefined) {
      const mistake = this.#writeMistake()
      if (mistake !== null) return refusal(mistake)
      this.#writer().write(data)
    }
    if (this.#isDestroyed) return this.#whatBecame()
    return this.#writer().end()
  }

  async shutdown(how: 'read' | 'write' | 'both' = 'write'): Promise<void> {
    if (how !== 'read' && how !== 'write' && how !== 'both') {
      throw invalidType('how', "one of 'read', 'write', 'both'", how)
    }
    if (how !== 'write' && !this.#isDestroyed) this.#receiver.drop()
    if (how !== 'read') await this.end()
  }

  async sendFile(file: FileSource, range: FileRange = {}): Promise<number> {
    checkFileRange(range)
    const mistake = this.#writeMistake()
    if (mistake !== null) throw mistake
    return sendFile(this.#hub, this, this.#writer(), file, range)
  }

  destroy(error?: Error): void {
    if (this.#isDestroyed) return
    this.error = error ?? null
    this.#stop(false)
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
    resetOnClose(this.#fd)
    this.destroy()
  }

  setTimeout(timeoutMs: number, onTimeout?: () => void): this {
    checkTimeout(timeoutMs, onTimeout)
    this.#onTimeout = onTimeout ?? null
    if (timeoutMs === 0 || this.#isDestroyed) this.#timer?.stop()
    else {
      this.#timer ??= new IdleTimer(this)
      this.#timer.start(timeoutMs)
    }
    return this
  }

  setNoDelay(noDelay = true): this {
    if (this.#fd >= 0) setNoDelay(this.#fd, noDelay)
    return this
  }

  setKeepAlive(enable = false, initialDelayMs = 0): this {
    if (this.#fd >= 0) setKeepAlive(this.#fd, enable, initialDelayMs)
    return this
  }

  ref(): this {
    if (!this.#isReferenced && !this.#isClosed) this.#hub.driver.listen()
    this.#isReferenced = true
    return this
  }

  unref(): this {
    if (this.#isReferenced && !this.#isClosed) this.#hub.driver.unlisten()
    this.#isReferenced = false
    return this
  }

  address(): EndpointAddress {
    if (this.#local === null) {
      if (this.#fd < 0 || this.#isClosing) return NO_ADDRESS
      this.#local = shown(localName(this.#fd))
    }
    return this.#local
  }

  stream(): Duplex {
    const options = { allowHalfOpen: this.#allowHalfOpen, highWaterMark: this.#highWaterMark }
    this.#stream ??= new SocketStream(this as Socket<unknown>, options)
    return this.#stream as Duplex
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy()
    await this.closed
  }

  // Callbacks of the two halves and of the ring.

  /** @internal */
  active(): void {
    this.#timer?.refresh()
  }

  /** @internal */
  onIdle(): void {
    if (this.#onTimeout !== null) this.#onTimeout()
    else this.destroy(timedOut('read'))
  }

  /** @internal */
  get peerHasEnded(): boolean {
    return this.#receiver.ended
  }

  /** @internal */
  peerEnded(): void {
    this.#timer?.refresh()
    // Both directions have ended.
    if (this.#sender?.finished) this.#stop(true)
  }

  /** @internal */
  endDelivered(): void {
    // A stream ends its own writable side.
    if (this.#allowHalfOpen || this.#isDestroyed || this.#stream !== null) return
    // The reader runs first: what it writes in answer to the end must still go out.
    this.#hub.afterwards(() => {
      if (this.#isDestroyed || this.writableEnded) return
      this.#endedByPeer = true
      void this.#writer().end()
    })
  }

  /** @internal */
  receiveFailed(res: number): void {
    this.destroy(netError(res, 'read'))
  }

  /** @internal */
  sinkFailed(): void {
    this.destroy()
  }

  /** @internal */
  receiverIdle(): void {
    this.#closeWhenIdle()
  }

  /** @internal */
  finished(): void {
    if (this.#receiver.ended) this.#stop(true)
    // From now on the peer's end closes the connection, so it must be seen.
    else this.#receiver.watchForEnd()
  }

  /** @internal */
  sendFailed(res: number): void {
    this.destroy(netError(res, 'write'))
  }

  /** @internal */
  taskFailed(error: Error): void {
    this.destroy(error)
  }

  /** @internal */
  senderIdle(): void {
    this.#closeWhenIdle()
  }

  /** @internal */
  ringClosed(): void {
    this.destroy(this.#hub.driver.closedError('read'))
  }

  #peer(): EndpointAddress {
    if (this.#remote === null) {
      if (this.#fd < 0 || this.#isClosing) return NO_ADDRESS
      this.#remote = shown(peerName(this.#fd))
    }
    return this.#remote
  }

  #writer(): Sender {
    this.#sender ??= new Sender(this.#hub, this, this.#highWaterMark)
    return this.#sender
  }

  /** The result of `flush` and `end` on a destroyed connection. */
  #whatBecame(): Promise<void> {
    const error = this.error ?? this.#sender?.cutOffBy ?? null
    return error === null ? Promise.resolve() : refusal(error)
  }

  #writeMistake(): Error | null {
    if (this.#isDestroyed) return this.error ?? socketDestroyed('write')
    if (!this.writableEnded) return null
    return this.#endedByPeer ? endedByPeer() : writeAfterEnd()
  }

  /** @param keepsData - True at an orderly end: what was received can still be read. */
  #stop(keepsData: boolean): void {
    this.#isDestroyed = true
    this.#timer?.close()
    this.#receiver.stop(this.error, keepsData)
    this.#sender?.stop(this.error ?? socketDestroyed('write'))
    this.#closeWhenIdle()
  }

  #closeWhenIdle(): void {
    if (!this.#isDestroyed || this.#isClosing) return
    if (!this.#receiver.idle || this.#sender?.idle === false) return
    this.#isClosing = true
    this.#keeper?.closing(this.#fd)
    const { driver } = this.#hub
    if (driver.closed) {
      close(this.#fd)
      this.#over()
      return
    }
    closedFd = this.#fd
    const onCqe = (res: number): void => {
      if (driver.wasLeftUndone(res)) close(this.#fd)
      this.#over()
    }
    driver.submitMultishot(prepareClose, onCqe, 'close', null)
  }

  #over(): void {
    this.#fd = -1
    this.#isClosed = true
    this.#hub.users.delete(this)
    if (this.#isReferenced) this.#hub.driver.unlisten()
    this.#resolveClosed?.()
    this.#keeper?.closed(this as unknown as RingSocket)
    this.#receiver.closeSink(this.error)
  }
}

/** An iteration. Leaving it keeps the connection: the next one continues where it stopped. */
class Chunks<Chunk> implements AsyncIterableIterator<Chunk, undefined, undefined> {
  readonly #receiver: Receiver

  constructor(receiver: Receiver) {
    this.#receiver = receiver
  }

  next(): Promise<IteratorResult<Chunk, undefined>> {
    return this.#receiver.next(true) as Promise<IteratorResult<Chunk, undefined>>
  }

  return(): Promise<IteratorResult<Chunk, undefined>> {
    return Promise.resolve({ value: undefined, done: true })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

function shown(address: SocketAddress | null): EndpointAddress {
  return address === null ? NO_ADDRESS : shownAddress(address)
}
