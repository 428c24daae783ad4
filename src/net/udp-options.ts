// Checks the options and arguments of datagram sockets, and resolves them to addresses and bytes. Used by
// both backends.

import { isIP, type LookupFunction } from 'node:net'
import { AbortError, Uring } from '../runtime/index.js'
import {
  checkBoolean,
  checkInteger,
  checkMembers,
  checkSignal,
  invalidType,
} from '../syscalls/argument-errors.js'
import { addressesOf } from './address.js'
import { dataOf } from './data.js'
import type { Data } from './socket.js'
import type { UdpDestination, UdpOptions } from './udp.js'
import { badPort } from './udp-errors.js'

/** Datagrams that may wait for the iteration, unless `highWaterMark` says otherwise. */
export const DEFAULT_WAITING = 64

const MAX_INT = 0x7fff_ffff

const MEMBERS = [
  'type',
  'port',
  'address',
  'fd',
  'reuseAddr',
  'reusePort',
  'ipv6Only',
  'exclusive',
  'recvBufferSize',
  'sendBufferSize',
  'highWaterMark',
  'lookup',
  'signal',
  'uring',
] as const

const BOOLEANS = ['reuseAddr', 'reusePort', 'ipv6Only', 'exclusive'] as const
const SIZES = ['recvBufferSize', 'sendBufferSize'] as const

/** @throws TypeError, RangeError. */
export function checkUdpOptions(options: UdpOptions): void {
  checkMembers('options', options, MEMBERS)
  const { type, port, address, fd, highWaterMark, lookup, signal, uring } = options
  if (type !== undefined && type !== 'udp4' && type !== 'udp6') {
    const error = new TypeError('Bad socket type specified. Valid types are: udp4, udp6')
    throw Object.assign(error, { code: 'ERR_SOCKET_BAD_TYPE' })
  }
  if (port !== undefined) checkPort('options.port', port, true)
  if (address !== undefined && typeof address !== 'string') {
    throw invalidType('options.address', 'of type string', address)
  }
  if (fd !== undefined) checkInteger('options.fd', fd, 0, MAX_INT)
  for (const name of BOOLEANS) if (options[name] !== undefined) checkBoolean(`options.${name}`, options[name])
  for (const name of SIZES)
    if (options[name] !== undefined) checkInteger(`options.${name}`, options[name], 1, MAX_INT)
  if (highWaterMark !== undefined) checkInteger('options.highWaterMark', highWaterMark, 1, 0xffff)
  if (lookup !== undefined && typeof lookup !== 'function') {
    throw invalidType('options.lookup', 'of type function', lookup)
  }
  checkSignal(signal)
  if (uring !== undefined && !(uring instanceof Uring)) {
    throw invalidType('options.uring', 'an instance of Uring', uring)
  }
}

/** @throws AbortError. */
export function checkNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortError(signal.reason)
}

function checkPort(name: string, port: unknown, allowsZero: boolean): void {
  const isPort = typeof port === 'number' && Number.isInteger(port) && port >= 0 && port < 65536
  if (!isPort || (port === 0 && !allowsZero)) throw badPort(name, port, allowsZero)
}

/** @throws TypeError, RangeError `ERR_SOCKET_BAD_PORT`. */
export function checkDestination(to: UdpDestination): void {
  if (typeof to !== 'object' || to === null) throw invalidType('to', 'of type object', to)
  // A message, or an address, can be given as it came.
  checkMembers('to', to, ['port', 'address', 'family', 'data'])
  checkPort('Port', to.port, false)
  if (to.address !== undefined && typeof to.address !== 'string') {
    throw invalidType('to.address', 'of type string', to.address)
  }
}

/** The type that `options` ask for. */
export function udpType({ type, address = '' }: UdpOptions): 'udp4' | 'udp6' {
  return type ?? (isIP(address) === 6 ? 'udp6' : 'udp4')
}

/** The default address: all addresses of this machine to bind to, the loopback address to send to. */
export function defaultAddress(type: 'udp4' | 'udp6', purpose: 'bind' | 'send'): string {
  if (purpose === 'bind') return type === 'udp4' ? '0.0.0.0' : '::'
  return type === 'udp4' ? '127.0.0.1' : '::1'
}

/** `host` as a numeric address. Rejects with the error of the lookup. */
export async function resolveForUdp(
  host: string,
  type: 'udp4' | 'udp6',
  lookup: LookupFunction | undefined,
): Promise<string> {
  if (isIP(host) !== 0) return host
  const [first] = await addressesOf(host, { family: type === 'udp4' ? 4 : 6, all: false, lookup })
  return first!
}

/** The bytes of one datagram, from what `send` was given. @throws as `dataOf`. */
export function datagramOf(data: Data | readonly Data[]): Uint8Array<ArrayBuffer> {
  if (Array.isArray(data)) return Buffer.concat((data as readonly Data[]).map(bytesOf))
  return bytesOf(data as Data)
}

function bytesOf(data: Data): Uint8Array<ArrayBuffer> {
  const checked = dataOf(data)
  if (typeof checked === 'string') return Buffer.from(checked)
  // Data in a SharedArrayBuffer is copied: its address cannot be taken.
  return checked.buffer instanceof ArrayBuffer ? (checked as Uint8Array<ArrayBuffer>) : Buffer.from(checked)
}
