// Operations on the descriptors of datagram sockets that are plain system calls: open, connect, options,
// multicast. Errors are those of node:dgram: `addMembership EINVAL`.

import { isIP } from 'node:net'
import {
  AF_INET,
  AF_INET6,
  AF_UNSPEC,
  addressOf,
  IP_ADD_MEMBERSHIP,
  IP_ADD_SOURCE_MEMBERSHIP,
  IP_DROP_MEMBERSHIP,
  IP_DROP_SOURCE_MEMBERSHIP,
  IP_MULTICAST_IF,
  IP_MULTICAST_LOOP,
  IP_MULTICAST_TTL,
  IP_TTL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_ADD_MEMBERSHIP,
  IPV6_DROP_MEMBERSHIP,
  IPV6_MULTICAST_HOPS,
  IPV6_MULTICAST_IF,
  IPV6_MULTICAST_LOOP,
  IPV6_UNICAST_HOPS,
  IPV6_V6ONLY,
  MCAST_JOIN_SOURCE_GROUP,
  MCAST_LEAVE_SOURCE_GROUP,
  SO_BROADCAST,
  SO_RCVBUF,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_SNDBUF,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCKADDR_STORAGE,
  SOL_SOCKET,
  socketAddress,
} from '../ring/index.js'
import { EINVAL } from '../syscalls/errno-values.js'
import { close, connect, setsockopt, socket } from '../syscalls/libc.js'
import type { Fd } from '../syscalls/numbers.js'
import { interfaceIndex, ipAddress } from './address.js'
import { bindTo, getNumber, setNumber } from './descriptor.js'
import { netError } from './errors.js'
import type { UdpOptions } from './udp.js'

const WORD = 4

// Scratch memory of this thread, shared by all calls here: each is over before the next one begins.
const scratch = new DataView(new ArrayBuffer(2 * SOCKADDR_STORAGE.size + 8))
const scratchBytes = new Uint8Array(scratch.buffer)
const scratchAddress = addressOf(scratchBytes)

type Type = 'udp4' | 'udp6'

/** Opens and binds a socket. @throws NetError `bind EADDRINUSE 127.0.0.1:53`. */
export function openUdp(type: Type, address: string, port: number, options: UdpOptions): Fd {
  const place = { address, port }
  const fd = socket(type === 'udp4' ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)
  if (fd < 0) throw netError(fd, 'bind', place)
  const { reuseAddr = false, reusePort = false, ipv6Only = false } = options
  let result = 0
  if (reuseAddr) result = setNumber(fd, SOL_SOCKET, SO_REUSEADDR, 1)
  if (result >= 0 && reusePort) result = setNumber(fd, SOL_SOCKET, SO_REUSEPORT, 1)
  if (result >= 0 && ipv6Only && type === 'udp6') result = setNumber(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)
  if (result >= 0) {
    const isOfType = isIP(address) === (type === 'udp4' ? 4 : 6)
    result = isOfType ? bindTo(fd, ipAddress(address, port)) : EINVAL
  }
  if (result >= 0) return fd
  close(fd)
  throw netError(result, 'bind', place)
}

/** @returns 0 or a negated errno. */
export function connectUdp(fd: Fd, address: string, port: number): number {
  const name = socketAddress(ipAddress(address, port))
  return connect(fd, name.address, name.length)
}

/** @throws NetError. */
export function disconnectUdp(fd: Fd): void {
  scratchBytes.fill(0)
  scratch.setUint16(0, AF_UNSPEC, true)
  check(connect(fd, scratchAddress, 16), 'connect')
}

export function setBroadcast(fd: Fd, broadcast: boolean): void {
  check(setNumber(fd, SOL_SOCKET, SO_BROADCAST, broadcast ? 1 : 0), 'setBroadcast')
}

export function setTTL(fd: Fd, type: Type, ttl: number): void {
  const isValid = Number.isInteger(ttl) && ttl >= 1 && ttl <= 255
  check(isValid ? setFor(fd, type, IP_TTL, IPV6_UNICAST_HOPS, ttl) : EINVAL, 'setTTL')
}

export function setMulticastTTL(fd: Fd, type: Type, ttl: number): void {
  const isValid = Number.isInteger(ttl) && ttl >= 0 && ttl <= 255
  check(isValid ? setFor(fd, type, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS, ttl) : EINVAL, 'setMulticastTTL')
}

export function setMulticastLoopback(fd: Fd, type: Type, loopback: boolean): void {
  const value = loopback ? 1 : 0
  check(setFor(fd, type, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, value), 'setMulticastLoopback')
}

export function setMulticastInterface(fd: Fd, type: Type, address: string): void {
  const bytes = encoded(type, address, 'setMulticastInterface')
  if (type === 'udp6') {
    scratch.setUint32(0, scopeOf(bytes), true)
    check(set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, WORD), 'setMulticastInterface')
    return
  }
  scratchBytes.set(hostOf(type, bytes), 0)
  check(set(fd, IPPROTO_IP, IP_MULTICAST_IF, WORD), 'setMulticastInterface')
}

/** Joins or leaves a multicast group, on the interface with that address or one that the system chooses. */
export function setMembership(
  fd: Fd,
  type: Type,
  action: 'addMembership' | 'dropMembership',
  group: string,
  multicastInterface: string | undefined,
): void {
  const isAdding = action === 'addMembership'
  const groupBytes = encoded(type, group, action)
  const viaBytes = multicastInterface === undefined ? null : encoded(type, multicastInterface, action)
  scratchBytes.fill(0)
  const host = hostOf(type, groupBytes)
  scratchBytes.set(host, 0)
  if (type === 'udp4') {
    // struct ip_mreq: group, address of the interface.
    if (viaBytes !== null) scratchBytes.set(hostOf(type, viaBytes), WORD)
    const name = isAdding ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP
    check(set(fd, IPPROTO_IP, name, 2 * WORD), action)
    return
  }
  // struct ipv6_mreq: group, index of the interface.
  scratch.setUint32(host.length, viaBytes === null ? 0 : scopeOf(viaBytes), true)
  const name = isAdding ? IPV6_ADD_MEMBERSHIP : IPV6_DROP_MEMBERSHIP
  check(set(fd, IPPROTO_IPV6, name, host.length + WORD), action)
}

/** As `setMembership`, for the datagrams of one sender only. */
export function setSourceMembership(
  fd: Fd,
  type: Type,
  action: 'addSourceSpecificMembership' | 'dropSourceSpecificMembership',
  source: string,
  group: string,
  multicastInterface: string | undefined,
): void {
  const isAdding = action === 'addSourceSpecificMembership'
  const sourceBytes = encoded(type, source, action)
  const groupBytes = encoded(type, group, action)
  const viaBytes = multicastInterface === undefined ? null : encoded(type, multicastInterface, action)
  scratchBytes.fill(0)
  if (type === 'udp4') {
    // struct ip_mreq_source: group, address of the interface, source.
    scratchBytes.set(hostOf(type, groupBytes), 0)
    if (viaBytes !== null) scratchBytes.set(hostOf(type, viaBytes), WORD)
    scratchBytes.set(hostOf(type, sourceBytes), 2 * WORD)
    const name = isAdding ? IP_ADD_SOURCE_MEMBERSHIP : IP_DROP_SOURCE_MEMBERSHIP
    check(set(fd, IPPROTO_IP, name, 3 * WORD), action)
    return
  }
  // struct group_source_req: index of the interface, then two addresses of any family, aligned to eight bytes.
  scratch.setUint32(0, viaBytes === null ? 0 : scopeOf(viaBytes), true)
  scratchBytes.set(groupBytes, 8)
  scratchBytes.set(sourceBytes, 8 + SOCKADDR_STORAGE.size)
  const name = isAdding ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP
  check(set(fd, IPPROTO_IPV6, name, 8 + 2 * SOCKADDR_STORAGE.size), action)
}

/** SO_RCVBUF or SO_SNDBUF. @throws Error `ERR_SOCKET_BUFFER_SIZE`. */
export function bufferSize(fd: Fd, direction: 'recv' | 'send'): number {
  const result = getNumber(fd, SOL_SOCKET, direction === 'recv' ? SO_RCVBUF : SO_SNDBUF)
  if (result < 0) throw bufferSizeError(result, direction)
  return result
}

export function setBufferSize(fd: Fd, direction: 'recv' | 'send', bytes: number): void {
  const result = setNumber(fd, SOL_SOCKET, direction === 'recv' ? SO_RCVBUF : SO_SNDBUF, bytes)
  if (result < 0) throw bufferSizeError(result, direction)
}

function bufferSizeError(errno: number, direction: 'recv' | 'send'): Error {
  const { code, message } = netError(errno, `uv_${direction}_buffer_size`)
  const text = `Could not get or set buffer size: ${message}`
  return Object.assign(new Error(text), { code: 'ERR_SOCKET_BUFFER_SIZE', info: { errno, code } })
}

function check(result: number, syscall: string): void {
  if (result < 0) throw netError(result, syscall)
}

function set(fd: Fd, level: number, name: number, length: number): number {
  return setsockopt(fd, level, name, scratchAddress, length)
}

function setFor(fd: Fd, type: Type, name4: number, name6: number, value: number): number {
  return type === 'udp4' ? setNumber(fd, IPPROTO_IP, name4, value) : setNumber(fd, IPPROTO_IPV6, name6, value)
}

/** The address as a `struct sockaddr`. @throws NetError EINVAL when it is not of the socket's family. */
function encoded(type: Type, address: string, syscall: string): Uint8Array {
  if (isIP(address) !== (type === 'udp4' ? 4 : 6)) throw netError(EINVAL, syscall)
  const [bare = '', scope] = address.split('%')
  const scopeId = scope === undefined ? 0 : interfaceIndex(scope)
  return type === 'udp4'
    ? socketAddress({ family: 'IPv4', address, port: 0 }).bytes
    : socketAddress({ family: 'IPv6', address: bare, port: 0, scopeId }).bytes
}

/** The address itself in a `struct sockaddr`. */
function hostOf(type: Type, bytes: Uint8Array): Uint8Array {
  return type === 'udp4' ? bytes.subarray(4, 8) : bytes.subarray(8, 24)
}

function scopeOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(24, true)
}
