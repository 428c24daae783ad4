// A datagram socket on node:dgram with the interface of the ring's: promises, and datagrams that wait for a
// loop.

import { createSocket, type RemoteInfo, type Socket, type SocketOptions } from 'node:dgram'
import { once } from 'node:events'
import { AbortError } from '../../runtime/index.js'
import { checkSignal, invalidState } from '../../syscalls/argument-errors.js'
import type { Data } from '../socket.js'
import type { UdpAddress, UdpDestination, UdpMessage, UdpOptions, UdpSocket } from '../udp.js'
import { alreadyConnected, badPort, notConnected, notRunning } from '../udp-errors.js'
import {
  checkDestination,
  checkNotAborted,
  datagramOf,
  defaultAddress,
  resolveForUdp,
  udpType,
} from '../udp-options.js'

/** Bytes that the system would keep for a socket that nobody reads. node:dgram reads it all the same. */
const MAX_WAITING_BYTES = 212_992

/** `bind` without a ring; the options have been checked. */
export async function bindThroughNode(options: UdpOptions): Promise<UdpSocket> {
  checkNotAborted(options.signal)
  const type = udpType(options)
  const { fd, lookup, port = 0 } = options
  const host = options.address ?? defaultAddress(type, 'bind')
  const address = fd === undefined ? await resolveForUdp(host, type, lookup) : host
  checkNotAborted(options.signal)
  const socket = createSocket(socketOptions(type, options))
  const own = new NodeUdpSocket(socket, type, options)
  try {
    const listening = once(socket, 'listening')
    socket.bind(fd === undefined ? { port, address, exclusive: true } : { fd })
    await listening
  } catch (error) {
    await own.close()
    throw error
  }
  return own
}

function socketOptions(type: 'udp4' | 'udp6', options: UdpOptions): SocketOptions {
  const { reuseAddr = false, reusePort, ipv6Only = false, recvBufferSize, sendBufferSize } = options
  return {
    type,
    reuseAddr,
    // `reusePort` takes Node 23.1; before, only the address is shared.
    ...(reusePort !== undefined && { reusePort, reuseAddr: reuseAddr || reusePort }),
    ipv6Only,
    ...(recvBufferSize !== undefined && { recvBufferSize }),
    ...(sendBufferSize !== undefined && { sendBufferSize }),
    // Names are resolved before node:dgram sees them, but it calls `lookup` all the same.
    lookup: (host, _options, done) => done(null, host, type === 'udp4' ? 4 : 6),
  } as SocketOptions
}

class NodeUdpSocket implements UdpSocket {
  readonly backend = 'node:dgram'
  readonly type: 'udp4' | 'udp6'
  readonly #socket: Socket
  readonly #lookup: UdpOptions['lookup']
  readonly #signal: AbortSignal | undefined
  readonly #waiting: UdpMessage[] = []
  #waitingBytes = 0
  /** What the next loop rejects with. */
  #error: Error | null = null
  #loop: MessageLoop | null = null
  #isConnected = false
  #closing: Promise<void> | null = null

  constructor(socket: Socket, type: 'udp4' | 'udp6', { lookup, signal }: UdpOptions) {
    this.#socket = socket
    this.type = type
    this.#lookup = lookup
    this.#signal = signal
    socket.on('message', this.#onMessage)
    socket.on('error', this.#onError)
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  get closed(): boolean {
    return this.#closing !== null
  }

  address(): UdpAddress {
    return this.#open().address() as UdpAddress
  }

  remoteAddress(): UdpAddress {
    const socket = this.#open()
    if (!this.#isConnected) throw notConnected()
    return socket.remoteAddress() as UdpAddress
  }

  async connect(to: UdpDestination): Promise<void> {
    checkDestination(to)
    const socket = this.#open()
    if (this.#isConnected) throw alreadyConnected()
    this.#isConnected = true
    try {
      const host = to.address ?? defaultAddress(this.type, 'send')
      const address = await resolveForUdp(host, this.type, this.#lookup)
      this.#open()
      await new Promise<void>((resolve, reject) => {
        // With a callback, node:dgram reports the error to that alone.
        const connect = socket.connect as (port: number, host: string, done: (error?: Error) => void) => void
        connect.call(socket, to.port, address, (error) => (error ? reject(error) : resolve()))
      })
    } catch (error) {
      this.#isConnected = false
      throw error
    }
  }

  disconnect(): void {
    const socket = this.#open()
    if (!this.#isConnected) throw notConnected()
    socket.disconnect()
    this.#isConnected = false
  }

  async send(data: Data | readonly Data[], to?: UdpDestination): Promise<number> {
    const bytes = datagramOf(data)
    this.#open()
    if (to === undefined) {
      if (!this.#isConnected) throw badPort('Port', undefined, false)
      return this.#send(bytes)
    }
    checkDestination(to)
    if (this.#isConnected) throw alreadyConnected()
    const { port, address = defaultAddress(this.type, 'send') } = to
    return this.#send(bytes, port, await resolveForUdp(address, this.type, this.#lookup))
  }

  #send(bytes: Uint8Array, port?: number, address?: string): Promise<number> {
    const socket = this.#open()
    return new Promise((resolve, reject) => {
      const done = (error: Error | null, count: number): void => (error ? reject(error) : resolve(count))
      if (port === undefined) socket.send(bytes, done)
      else socket.send(bytes, port, address, done)
    })
  }

  messages({
    signal,
  }: {
    readonly signal?: AbortSignal | undefined
  } = {}): AsyncIterableIterator<UdpMessage> {
    checkSignal(signal)
    this.#open()
    if (this.#loop !== null) throw invalidState('The messages of this socket are being read already')
    const loop = new MessageLoop(this, signal)
    // A signal that is aborted already ends it at once.
    if (!loop.isOver) this.#loop = loop
    return loop
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<UdpMessage> {
    return this.messages()
  }

  /** @internal The next datagram that waits. */
  shift(): UdpMessage | undefined {
    const message = this.#waiting.shift()
    if (message !== undefined) this.#waitingBytes -= message.data.length
    return message
  }

  /** @internal The error that waits, if any, which is returned once. */
  takeError(): Error | null {
    const error = this.#error
    this.#error = null
    return error
  }

  /** @internal */
  leave(): void {
    this.#loop = null
  }

  setBroadcast(broadcast: boolean): this {
    this.#open().setBroadcast(broadcast)
    return this
  }

  setTTL(ttl: number): this {
    this.#open().setTTL(ttl)
    return this
  }

  setMulticastTTL(ttl: number): this {
    this.#open().setMulticastTTL(ttl)
    return this
  }

  setMulticastLoopback(loopback: boolean): this {
    this.#open().setMulticastLoopback(loopback)
    return this
  }

  setMulticastInterface(address: string): this {
    this.#open().setMulticastInterface(address)
    return this
  }

  addMembership(group: string, multicastInterface?: string): this {
    this.#open().addMembership(group, multicastInterface)
    return this
  }

  dropMembership(group: string, multicastInterface?: string): this {
    this.#open().dropMembership(group, multicastInterface)
    return this
  }

  addSourceSpecificMembership(source: string, group: string, multicastInterface?: string): this {
    this.#open().addSourceSpecificMembership(source, group, multicastInterface)
    return this
  }

  dropSourceSpecificMembership(source: string, group: string, multicastInterface?: string): this {
    this.#open().dropSourceSpecificMembership(source, group, multicastInterface)
    return this
  }

  getRecvBufferSize(): number {
    return this.#open().getRecvBufferSize()
  }

  getSendBufferSize(): number {
    return this.#open().getSendBufferSize()
  }

  setRecvBufferSize(bytes: number): this {
    this.#open().setRecvBufferSize(bytes)
    return this
  }

  setSendBufferSize(bytes: number): this {
    this.#open().setSendBufferSize(bytes)
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

  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#signal?.removeEventListener('abort', this.#onAbort)
      this.#loop?.end(null)
      this.#socket.close(resolve)
    })
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** @throws Error `ERR_SOCKET_DGRAM_NOT_RUNNING`. */
  #open(): Socket {
    if (this.#closing !== null) throw notRunning()
    return this.#socket
  }

  readonly #onMessage = (data: Buffer, { address, port, family }: RemoteInfo): void => {
    const message = { data, address, port, family }
    if (this.#loop?.deliver(message)) return
    // Dropped without room for it, as the system does.
    if (this.#waitingBytes + data.length > MAX_WAITING_BYTES) return
    this.#waiting.push(message)
    this.#waitingBytes += data.length
  }

  readonly #onError = (error: Error): void => {
    // Without a reader that waits, it comes after the datagrams that were received before it.
    if (!this.#loop?.fail(error)) this.#error = error
  }

  readonly #onAbort = (): void => {
    void this.close()
  }
}

interface Waiter {
  readonly resolve: (result: IteratorResult<UdpMessage, undefined>) => void
  readonly reject: (error: Error) => void
}

/** One loop over the datagrams. */
class MessageLoop implements AsyncIterableIterator<UdpMessage> {
  readonly #socket: NodeUdpSocket
  readonly #signal: AbortSignal | undefined
  readonly #waiters: Waiter[] = []
  #isOver = false
  #error: Error | null = null

  constructor(socket: NodeUdpSocket, signal: AbortSignal | undefined) {
    this.#socket = socket
    this.#signal = signal
    if (signal?.aborted) this.#onAbort()
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  get isOver(): boolean {
    return this.#isOver
  }

  next(): Promise<IteratorResult<UdpMessage, undefined>> {
    const message = this.#isOver ? undefined : this.#socket.shift()
    if (message !== undefined) return Promise.resolve({ value: message, done: false })
    const error = this.#error ?? (this.#isOver ? null : this.#socket.takeError())
    if (error !== null) {
      this.end(null)
      this.#error = null
      return Promise.reject(error)
    }
    if (this.#isOver) return Promise.resolve({ value: undefined, done: true })
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
    })
  }

  return(): Promise<IteratorResult<UdpMessage, undefined>> {
    this.end(null)
    return Promise.resolve({ value: undefined, done: true })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Gives a datagram to a `next` that waits. @returns False when none does. */
  deliver(message: UdpMessage): boolean {
    const waiter = this.#waiters.shift()
    waiter?.resolve({ value: message, done: false })
    return waiter !== undefined
  }

  /** Rejects a `next` that waits, and ends the loop. @returns False when none does. */
  fail(error: Error): boolean {
    if (this.#waiters.length === 0) return false
    this.end(error)
    return true
  }

  /** @param error - The first `next` that waits rejects with it, or else the following call. */
  end(error: Error | null): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#socket.leave()
    this.#signal?.removeEventListener('abort', this.#onAbort)
    const [first, ...others] = this.#waiters.splice(0)
    if (first === undefined) this.#error = error
    else if (error !== null) first.reject(error)
    else first.resolve({ value: undefined, done: true })
    for (const { resolve } of others) resolve({ value: undefined, done: true })
  }

  readonly #onAbort = (): void => {
    this.end(new AbortError(this.#signal!.reason))
  }
}
