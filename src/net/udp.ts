// The public interface of UDP sockets, whichever backend carries them, and `bind`, which opens one. Names are
// those of node:dgram; promises and an iteration replace its callbacks and events.

import type { LookupFunction } from 'node:net'
import type { Uring } from '../runtime/index.js'
import { bindThroughNode } from './fallback/node-udp.js'
import type { Data } from './socket.js'
import { checkUdpOptions } from './udp-options.js'
import { bindOnRing, ringForUdp } from './udp-ring.js'

/** What `bind` takes. */
export interface UdpOptions {
  /** `'udp4'` or `'udp6'`. Default: by the family of `address`, or `'udp4'`. */
  readonly type?: 'udp4' | 'udp6' | undefined
  /** Default 0: the system chooses. */
  readonly port?: number | undefined
  /** Address or host name. Default: every address. */
  readonly address?: string | undefined
  /** A datagram socket that is already bound; the new socket takes ownership of it. */
  readonly fd?: number | undefined
  /** Share the address with others who ask for the same (SO_REUSEADDR). Default false. */
  readonly reuseAddr?: boolean | undefined
  /** Share the port, and the datagrams, with others who ask for the same (SO_REUSEPORT). Default false. */
  readonly reusePort?: boolean | undefined
  /** An IPv6 socket takes no IPv4 datagrams. Default false. */
  readonly ipv6Only?: boolean | undefined
  /** For compatibility with node:dgram. It has no effect: nothing is shared with a cluster. */
  readonly exclusive?: boolean | undefined
  /** SO_RCVBUF, in bytes. */
  readonly recvBufferSize?: number | undefined
  /** SO_SNDBUF, in bytes. */
  readonly sendBufferSize?: number | undefined
  /** Datagrams that may wait for the iteration. The system keeps, or drops, those beyond. Default 64. */
  readonly highWaterMark?: number | undefined
  /** Called instead of dns.lookup. */
  readonly lookup?: LookupFunction | undefined
  /** Aborting closes the socket. */
  readonly signal?: AbortSignal | undefined
  /** The ring to work on. Default: the one that modules of this package share in a thread. */
  readonly uring?: Uring | undefined
}

/** A received datagram. */
export interface UdpMessage {
  /** The datagram, in memory of its own; it may be empty. */
  readonly data: Buffer
  /** The sender's address. */
  readonly address: string
  readonly port: number
  readonly family: 'IPv4' | 'IPv6'
}

/** Where a datagram is to go. */
export interface UdpDestination {
  readonly port: number
  /** Address or host name. Default: this machine. */
  readonly address?: string | undefined
}

/** An address of a datagram socket. */
export interface UdpAddress {
  readonly address: string
  readonly family: 'IPv4' | 'IPv6'
  readonly port: number
}

/**
 * A datagram socket. After `close()` every method but `close`, `ref` and `unref` throws, or rejects with,
 * `ERR_SOCKET_DGRAM_NOT_RUNNING`.
 */
export interface UdpSocket extends AsyncIterable<UdpMessage>, AsyncDisposable {
  /** What carries it. */
  readonly backend: 'io_uring' | 'node:dgram'
  readonly type: 'udp4' | 'udp6'
  readonly closed: boolean
  /** Where it is bound. */
  address(): UdpAddress
  /** Where it is connected to. @throws Error `ERR_SOCKET_DGRAM_NOT_CONNECTED`. */
  remoteAddress(): UdpAddress
  /**
   * Exchanges datagrams with one peer only from now on. Rejects with `ERR_SOCKET_DGRAM_IS_CONNECTED` when it
   * is connected already.
   */
  connect(to: UdpDestination): Promise<void>
  /** Undoes `connect`. @throws Error `ERR_SOCKET_DGRAM_NOT_CONNECTED`. */
  disconnect(): void
  /**
   * Sends one datagram; pieces of data in an array are joined. Resolves to its length in bytes when the
   * system has taken it, which says nothing about its arrival; until then the data must not be changed. What
   * is sent in one turn of the event loop goes out in one system call.
   *
   * @param to - Where to, unless the socket is connected.
   */
  send(data: Data | readonly Data[], to?: UdpDestination): Promise<number>
  /**
   * The datagrams that arrive, for one loop at a time. The loop ends when the socket is closed, and rejects
   * with errors such as ECONNREFUSED on a connected socket; a new loop may follow. Between loops the system
   * keeps datagrams as long as its buffer has room.
   *
   * @throws Error `ERR_INVALID_STATE` during another loop.
   */
  messages(options?: { readonly signal?: AbortSignal | undefined }): AsyncIterableIterator<UdpMessage>
  /** As `messages()`. */
  [Symbol.asyncIterator](): AsyncIterableIterator<UdpMessage>
  setBroadcast(broadcast: boolean): this
  /** @param ttl - 1 to 255. */
  setTTL(ttl: number): this
  /** @param ttl - 0 to 255. */
  setMulticastTTL(ttl: number): this
  setMulticastLoopback(loopback: boolean): this
  /** @param address - The address of the interface; with IPv6, `::%eth0`. */
  setMulticastInterface(address: string): this
  addMembership(group: string, multicastInterface?: string): this
  dropMembership(group: string, multicastInterface?: string): this
  addSourceSpecificMembership(source: string, group: string, multicastInterface?: string): this
  dropSourceSpecificMembership(source: string, group: string, multicastInterface?: string): this
  /** SO_RCVBUF as the system keeps it: twice what was asked for on Linux. */
  getRecvBufferSize(): number
  getSendBufferSize(): number
  setRecvBufferSize(bytes: number): this
  setSendBufferSize(bytes: number): this
  /** Keeps the process alive while a loop waits for datagrams, which is the default. */
  ref(): this
  /** Lets the process end although a loop waits for datagrams. */
  unref(): this
  /** Ends the loop and closes the socket; resolves when that is done. A second call resolves with the first. */
  close(): Promise<void>
}

/**
 * Opens a UDP socket.
 *
 * Rejects with errors in the shape of node:dgram's, such as `bind EADDRINUSE 127.0.0.1:53`.
 *
 * @throws TypeError, RangeError for a bad option.
 * @see udp(7)
 */
export function bind(options: UdpOptions = {}): Promise<UdpSocket> {
  checkUdpOptions(options)
  const ring = ringForUdp(options.uring)
  return ring === null ? bindThroughNode(options) : bindOnRing(ring, options)
}
