// A datagram socket on the ring: owns the descriptor, receives by a multishot operation into shared buffers,
// and sends what was written in one turn together.

import type { LookupFunction } from 'node:net'
import { probe } from '../config/index.js'
import {
  addressOf,
  decodeSocketAddress,
  type Fd,
  prepSend,
  prepSendSetAddr,
  type SocketAddress,
  type SocketAddressMemory,
  socketAddress,
} from '../ring/index.js'
import { announceFallback } from '../runtime/diagnostics.js'
import { defaultUring, type Uring } from '../runtime/index.js'
import type { Multishot } from '../runtime/multishot.js'
import { checkSignal, invalidState } from '../syscalls/argument-errors.js'
import { close as closeNow } from '../syscalls/libc.js'
import { ipAddress, placeOf } from './address.js'
import { localName, makeBlocking, peerName } from './descriptor.js'
import { netError } from './errors.js'
import { announced } from './ring/announced.js'
import type { Data } from './socket.js'
import type { UdpAddress, UdpDestination, UdpMessage, UdpOptions, UdpSocket } from './udp.js'
import * as descriptor from './udp-descriptor.js'
import { alreadyConnected, badPort, notConnected, notRunning } from './udp-errors.js'
import {
  checkDestination,
  checkNotAborted,
  DEFAULT_WAITING,
  datagramOf,
  defaultAddress,
  resolveForUdp,
  udpType,
} from './udp-options.js'
import { receiveDatagrams } from './udp-receive.js'

/** How many destinations are kept in encoded form. */
const MAX_KNOWN = 1024

/** The ring for datagram sockets, or null where node:dgram is to be used. */
export function ringForUdp(given: Uring | undefined): Uring | null {
  const uring = given ?? defaultUring()
  if (uring === null) return null
  // The probe tells neither of multishot recvmsg (Linux 6.0) nor of sends with an address (6.1). This opcode
  // came with the latter.
  if (probe().opcodes.includes('IORING_OP_SENDMSG_ZC')) return uring
  announceFallback('net bind', 'the kernel lacks sends with an address (Linux 6.1)')
  return null
}

/** `bind` on a ring; the options have been checked. */
export async function bindOnRing(uring: Uring, options: UdpOptions): Promise<UdpSocket> {
  checkNotAborted(options.signal)
  const type = udpType(options)
  const { fd, lookup, port = 0, recvBufferSize, sendBufferSize } = options
  const host = options.address ?? defaultAddress(type, 'bind')
  const address = fd === undefined ? await resolveForUdp(host, type, lookup) : host
  checkNotAborted(options.signal)
  const own = fd ?? descriptor.openUdp(type, address, port, options)
  announced?.taken(own)
  makeBlocking(own)
  const socket = new RingUdpSocket(uring, own, options)
  try {
    if (recvBufferSize !== undefined) socket.setRecvBufferSize(recvBufferSize)
    if (sendBufferSize !== undefined) socket.setSendBufferSize(sendBufferSize)
  } catch (error) {
    await socket.close()
    throw error
  }
  return socket
}

class RingUdpSocket implements UdpSocket {
  readonly backend = 'io_uring'
  readonly type: 'udp4' | 'udp6'
  readonly #uring: Uring
  readonly #fd: Fd
  readonly #highWaterMark: number
  readonly #lookup: LookupFunction | undefined
  readonly #signal: AbortSignal | undefined
  /** Destinations of earlier datagrams, encoded for the kernel. */
  readonly #known = new Map<string, SocketAddressMemory>()
  #isConnected: boolean
  #loop: Multishot<UdpMessage> | null = null
  #isRef = true
  /** The loop keeps the process alive. */
  #isListening = false
  #sending = 0
  #onSent: (() => void) | null = null
  #closing: Promise<void> | null = null

  constructor(uring: Uring, fd: Fd, options: UdpOptions) {
    const { highWaterMark = DEFAULT_WAITING, lookup, signal } = options
    const name = localName(fd)
    this.#uring = uring
    this.#fd = fd
    this.type = name?.family === 'IPv6' ? 'udp6' : 'udp4'
    this.#highWaterMark = highWaterMark
    this.#lookup = lookup
    this.#signal = signal
    this.#isConnected = peerName(fd) !== null
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  get closed(): boolean {
    return this.#closing !== null
  }

  address(): UdpAddress {
    return shown(localName(this.#open()))!
  }

  remoteAddress(): UdpAddress {
    const peer = shown(peerName(this.#open()))
    if (peer === null) throw notConnected()
    return peer
  }

  async connect(to: UdpDestination): Promise<void> {
    checkDestination(to)
    this.#open()
    if (this.#isConnected) throw alreadyConnected()
    this.#isConnected = true
    try {
      const host = to.address ?? defaultAddress(this.type, 'send')
      const address = await resolveForUdp(host, this.type, this.#lookup)
      const result = descriptor.connectUdp(this.#open(), address, to.port)
      if (result < 0) throw netError(result, 'connect', { address, port: to.port })
    } catch (error) {
      this.#isConnected = false
      throw error
    }
  }

  disconnect(): void {
    const fd = this.#open()
    if (!this.#isConnected) throw notConnected()
    descriptor.disconnectUdp(fd)
    this.#isConnected = false
  }

  async send(data: Data | readonly Data[], to?: UdpDestination): Promise<number> {
    const bytes = datagramOf(data)
    this.#open()
    if (to === undefined) {
      if (!this.#isConnected) throw badPort('Port', undefined, false)
      return this.#submit(bytes, null)
    }
    checkDestination(to)
    if (this.#isConnected) throw alreadyConnected()
    const { port, address = defaultAddress(this.type, 'send') } = to
    const known = this.#known.get(`${address} ${port}`)
    return this.#submit(bytes, known ?? (await this.#destination(address, port)))
  }

  messages({
    signal,
  }: {
    readonly signal?: AbortSignal | undefined
  } = {}): AsyncIterableIterator<UdpMessage> {
    checkSignal(signal)
    const fd = this.#open()
    if (this.#loop !== null) throw invalidState('The messages of this socket are being read already')
    const options = { highWaterMark: this.#highWaterMark, signal }
    let hasEnded = false
    const loop = receiveDatagrams(this.#uring, fd, options, () => {
      hasEnded = true
      this.#loop = null
      this.#updateRef()
    })
    // A signal that is aborted already ends it at once.
    if (!hasEnded) this.#loop = loop
    this.#updateRef()
    return loop
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<UdpMessage> {
    return this.messages()
  }

  setBroadcast(broadcast: boolean): this {
    descriptor.setBroadcast(this.#open(), broadcast)
    return this
  }

  setTTL(ttl: number): this {
    descriptor.setTTL(this.#open(), this.type, ttl)
    return this
  }

  setMulticastTTL(ttl: number): this {
    descriptor.setMulticastTTL(this.#open(), this.type, ttl)
    return this
  }

  setMulticastLoopback(loopback: boolean): this {
    descriptor.setMulticastLoopback(this.#open(), this.type, loopback)
    return this
  }

  setMulticastInterface(address: string): this {
    descriptor.setMulticastInterface(this.#open(), this.type, address)
    return this
  }

  addMembership(group: string, multicastInterface?: string): this {
    descriptor.setMembership(this.#open(), this.type, 'addMembership', group, multicastInterface)
    return this
  }

  dropMembership(group: string, multicastInterface?: string): this {
    descriptor.setMembership(this.#open(), this.type, 'dropMembership', group, multicastInterface)
    return this
  }

  addSourceSpecificMembership(source: string, group: string, multicastInterface?: string): this {
    const action = 'addSourceSpecificMembership'
    descriptor.setSourceMembership(this.#open(), this.type, action, source, group, multicastInterface)
    return this
  }

  dropSourceSpecificMembership(source: string, group: string, multicastInterface?: string): this {
    const action = 'dropSourceSpecificMembership'
    descriptor.setSourceMembership(this.#open(), this.type, action, source, group, multicastInterface)
    return this
  }

  getRecvBufferSize(): number {
    return descriptor.bufferSize(this.#open(), 'recv')
  }

  getSendBufferSize(): number {
    return descriptor.bufferSize(this.#open(), 'send')
  }

  setRecvBufferSize(bytes: number): this {
    descriptor.setBufferSize(this.#open(), 'recv', bytes)
    return this
  }

  setSendBufferSize(bytes: number): this {
    descriptor.setBufferSize(this.#open(), 'send', bytes)
    return this
  }

  ref(): this {
    this.#isRef = true
    this.#updateRef()
    return this
  }

  unref(): this {
    this.#isRef = false
    this.#updateRef()
    return this
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const uring = this.#uring
    this.#signal?.removeEventListener('abort', this.#onAbort)
    // All operations on the descriptor end before the close: right after, its number may be another file's.
    await this.#loop?.return()
    if (this.#sending > 0) {
      const sent = new Promise<void>((resolve) => {
        this.#onSent = resolve
      })
      if (!uring.closed) await uring.cancelFd(this.#fd).catch(() => 0)
      await sent
    }
    announced?.closing(this.#fd)
    closeNow(this.#fd)
  }

  #updateRef(): void {
    const wanted = this.#isRef && this.#loop !== null
    if (wanted === this.#isListening) return
    this.#isListening = wanted
    if (wanted) this.#uring.driver.listen()
    else this.#uring.driver.unlisten()
  }

  readonly #onAbort = (): void => {
    void this.close()
  }

  /** The descriptor. @throws Error `ERR_SOCKET_DGRAM_NOT_RUNNING`. */
  #open(): Fd {
    if (this.#closing !== null) throw notRunning()
    return this.#fd
  }

  async #destination(host: string, port: number): Promise<SocketAddressMemory> {
    const address = await resolveForUdp(host, this.type, this.#lookup)
    this.#open()
    const memory = socketAddress(ipAddress(address, port))
    // A host name is not kept: its address may change.
    if (host !== address) return memory
    if (this.#known.size === MAX_KNOWN) this.#known.clear()
    this.#known.set(`${address} ${port}`, memory)
    return memory
  }

  async #submit(bytes: Uint8Array<ArrayBuffer>, to: SocketAddressMemory | null): Promise<number> {
    const uring = this.#uring
    this.#sending++
    try {
      return await this.#issue(uring, bytes, to)
    } catch (error) {
      const { errno, code } = error as NodeJS.ErrnoException
      if (errno === undefined || code === 'ECANCELED') throw error
      throw netError(errno, 'send', to === null ? undefined : placeOf(decodeSocketAddress(to.bytes)))
    } finally {
      if (--this.#sending === 0) this.#onSent?.()
    }
  }

  #issue(uring: Uring, bytes: Uint8Array<ArrayBuffer>, to: SocketAddressMemory | null): Promise<number> {
    const { driver, copies } = uring
    const fd = this.#fd
    const sqe = copies ? null : driver.take()
    if (sqe === null) {
      const destination = to === null ? undefined : { to: decodeSocketAddress(to.bytes) }
      return uring.send(fd, bytes, { ...destination })
    }
    try {
      prepSend(sqe, fd, addressOf(bytes), bytes.length, 0)
      if (to !== null) prepSendSetAddr(sqe, to.address, to.length)
    } catch (error) {
      driver.abandon(sqe)
      throw error
    }
    return driver.issue(sqe, [bytes, to], 'send')
  }
}

function shown(name: SocketAddress | null): UdpAddress | null {
  if (name === null || name.family === 'unix') return null
  const { address, family, port } = name
  return { address, family, port }
}
