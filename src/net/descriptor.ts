// Operations on the descriptors of sockets that are plain system calls: options, names, bind, listen. They
// never wait, so a trip through the ring would only make them asynchronous.

import { chmodSync, statSync } from 'node:fs'
import {
  AF_INET6,
  AF_UNIX,
  addressOf,
  F_GETFL,
  F_SETFL,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_V6ONLY,
  O_NONBLOCK,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_TYPE,
  SOCK_CLOEXEC,
  SOCK_STREAM,
  SOCKADDR_STORAGE,
  SOL_SOCKET,
  type SocketAddress,
  socketAddress,
  TCP_KEEPIDLE,
  TCP_NODELAY,
} from '../ring/index.js'
import { decodeSender } from '../runtime/message-block.js'
import { EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL, ENOTCONN } from '../syscalls/errno-values.js'
import {
  bind,
  close,
  fcntl,
  getpeername,
  getsockname,
  getsockopt,
  listen,
  setsockopt,
  socket,
} from '../syscalls/libc.js'
import type { Address, Fd } from '../syscalls/numbers.js'
import { ipAddress, placeOf, shownAddress, unixAddress } from './address.js'
import { listenError, netError } from './errors.js'
import type { ListenOptions } from './server.js'
import { removeSocketFile } from './server-parts.js'
import type { EndpointAddress } from './socket.js'

const DEFAULT_BACKLOG = 511

// Scratch memory of this thread, shared by all calls here: each is over before the next one begins.
const scratch = new DataView(new ArrayBuffer(SOCKADDR_STORAGE.size + 8))
const scratchBytes = new Uint8Array(scratch.buffer)
const scratchAddress = addressOf(scratchBytes)
const LENGTH_AT = SOCKADDR_STORAGE.size

type NameCall = (fd: Fd, address: Address, length: Address) => number

function nameOf(fd: Fd, call: NameCall): SocketAddress | null {
  scratch.setUint32(LENGTH_AT, SOCKADDR_STORAGE.size, true)
  if (call(fd, scratchAddress, scratchAddress + LENGTH_AT) < 0) return null
  return decodeSender(scratchBytes, scratch.getUint32(LENGTH_AT, true))
}

/** The local address; null when the descriptor is not a socket, or its family is not IPv4, IPv6 or Unix. */
export function localName(fd: Fd): SocketAddress | null {
  return nameOf(fd, getsockname)
}

/** The address that a socket is connected to, or null when it is not connected. */
export function peerName(fd: Fd): SocketAddress | null {
  return nameOf(fd, getpeername)
}

/** Sets a socket option that is a number. @returns 0 or a negated errno. */
export function setNumber(fd: Fd, level: number, name: number, value: number): number {
  scratch.setInt32(0, value, true)
  return setsockopt(fd, level, name, scratchAddress, 4)
}

/** @returns A socket option that is a number, or a negated errno. */
export function getNumber(fd: Fd, level: number, name: number): number {
  scratch.setUint32(LENGTH_AT, 4, true)
  const result = getsockopt(fd, level, name, scratchAddress, scratchAddress + LENGTH_AT)
  return result < 0 ? result : scratch.getInt32(0, true)
}

/** Sets TCP_NODELAY, which has no effect on a Unix socket. */
export function setNoDelay(fd: Fd, noDelay: boolean): void {
  setNumber(fd, IPPROTO_TCP, TCP_NODELAY, noDelay ? 1 : 0)
}

/** Sets SO_KEEPALIVE. @param initialDelayMs - 0 keeps the system's default. */
export function setKeepAlive(fd: Fd, enable: boolean, initialDelayMs: number): void {
  setNumber(fd, SOL_SOCKET, SO_KEEPALIVE, enable ? 1 : 0)
  const seconds = Math.floor(initialDelayMs / 1000)
  if (enable && seconds > 0) setNumber(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds)
}

/** Makes the close of the descriptor reset the connection. */
export function resetOnClose(fd: Fd): void {
  scratch.setInt32(0, 1, true)
  scratch.setInt32(4, 0, true)
  setsockopt(fd, SOL_SOCKET, SO_LINGER, scratchAddress, 8)
}

/**
 * Clears O_NONBLOCK, which descriptors from Node or another program have: operations of the ring would fail
 * with EAGAIN instead of waiting.
 */
export function makeBlocking(fd: Fd): void {
  const flags = fcntl(fd, F_GETFL, 0)
  if (flags >= 0 && flags & O_NONBLOCK) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK)
}

/** A new stream socket. @throws NetError. */
export function openSocket(address: SocketAddress, syscall: string): Fd {
  const fd = socket(socketAddress(address).family, SOCK_STREAM | SOCK_CLOEXEC, 0)
  if (fd < 0) throw netError(fd, syscall, placeOf(address))
  return fd
}

/** Binds to an address of this machine. @returns 0 or a negated errno. */
export function bindTo(fd: Fd, address: SocketAddress): number {
  const name = socketAddress(address)
  return bind(fd, name.address, name.length)
}

/** Where a server is to listen, and how. */
export interface ListenTarget {
  readonly address: SocketAddress
  readonly backlog: number
  readonly reusePort: boolean
  readonly ipv6Only: boolean
  /** Permissions that are added to the file of a Unix socket, beside those that the umask leaves. */
  readonly modeBits: number
}

const READABLE_BY_ALL = 0o444
const WRITABLE_BY_ALL = 0o222

/**
 * The targets that `options` stand for, in the order to try them.
 *
 * @param host - A numeric address; undefined for every address of the machine.
 */
export function listenTargets(options: ListenOptions, host: string | undefined): ListenTarget[] {
  const { path, port = 0, backlog = DEFAULT_BACKLOG, reusePort = false, ipv6Only = false } = options
  const modeBits = (options.readableAll ? READABLE_BY_ALL : 0) | (options.writableAll ? WRITABLE_BY_ALL : 0)
  const target = (address: SocketAddress): ListenTarget => ({
    address,
    backlog,
    reusePort,
    ipv6Only,
    modeBits,
  })
  if (path !== undefined) return [target(unixAddress(path))]
  if (host !== undefined) return [target(ipAddress(host, port))]
  const everywhere = [target(ipAddress('::', port))]
  // For a machine without IPv6, as in node:net.
  if (!ipv6Only) everywhere.push(target(ipAddress('0.0.0.0', port)))
  return everywhere
}

/**
 * Opens the first of `targets` whose family the machine has.
 *
 * @param isListening - False to bind only: the caller listens later, or reserves the port for others
 *   (SO_REUSEPORT).
 * @throws NetError `listen EADDRINUSE: ...`.
 */
export function openListener(targets: readonly ListenTarget[], isListening = true): Fd {
  for (const [index, target] of targets.entries()) {
    const fd = tryListener(target, isListening)
    if (fd >= 0) return fd
    const isMissing = fd === EAFNOSUPPORT || fd === EADDRNOTAVAIL || fd === EINVAL
    if (isMissing && index < targets.length - 1) continue
    throw listenError(fd, placeOf(target.address))
  }
  throw new RangeError('no address to listen on')
}

/** @returns A descriptor or a negated errno. */
function tryListener(target: ListenTarget, isListening: boolean): number {
  const { address, backlog, reusePort, ipv6Only } = target
  const { family } = socketAddress(address)
  const fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)
  if (fd < 0) return fd
  let result = 0
  if (family !== AF_UNIX) {
    result = setNumber(fd, SOL_SOCKET, SO_REUSEADDR, 1)
    if (result >= 0 && reusePort) result = setNumber(fd, SOL_SOCKET, SO_REUSEPORT, 1)
  }
  if (result >= 0 && family === AF_INET6) {
    result = setNumber(fd, IPPROTO_IPV6, IPV6_V6ONLY, ipv6Only ? 1 : 0)
  }
  if (result >= 0) result = bindTo(fd, address)
  if (result >= 0 && target.modeBits !== 0 && address.family === 'unix' && 'path' in address) {
    result = addMode(String(address.path), target.modeBits)
  }
  if (result >= 0 && isListening) result = listen(fd, backlog)
  if (result >= 0) return fd
  close(fd)
  return result
}

/** Adds permissions to the file of a Unix socket; removes it on failure. @returns 0 or a negated errno. */
function addMode(path: string, bits: number): number {
  try {
    chmodSync(path, (statSync(path).mode & 0o7777) | bits)
    return 0
  } catch (error) {
    removeSocketFile(path)
    return (error as NodeJS.ErrnoException).errno!
  }
}

/** Starts to listen on a socket that is bound already. @throws NetError. */
export function listenOn(fd: Fd, backlog = DEFAULT_BACKLOG): void {
  const result = listen(fd, backlog)
  if (result < 0) throw listenError(result, { address: `fd ${fd}` })
  makeBlocking(fd)
}

/** Where a listening socket listens, as `server.address()` shows it. */
export function listeningAddress(fd: Fd): EndpointAddress | string | null {
  const name = localName(fd)
  if (name === null) return null
  if (name.family === 'unix') return placeOf(name).address
  return shownAddress(name)
}

/** Checks that the descriptor is a connected stream socket. @returns 0, or a negated errno. */
export function connectedState(fd: Fd): number {
  if (localName(fd) === null || getNumber(fd, SOL_SOCKET, SO_TYPE) !== SOCK_STREAM) return EINVAL
  scratch.setUint32(LENGTH_AT, SOCKADDR_STORAGE.size, true)
  const result = getpeername(fd, scratchAddress, scratchAddress + LENGTH_AT)
  return result < 0 ? result || ENOTCONN : 0
}
