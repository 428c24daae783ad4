// Socket addresses between JavaScript and `struct sockaddr`.

import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  SOCKADDR_IN,
  SOCKADDR_IN6,
  SOCKADDR_STORAGE,
  SOCKADDR_UN,
} from '../../syscalls/abi/index.js'
import { checkInteger, invalidType, invalidValue, outOfRange } from '../../syscalls/argument-errors.js'
import { addressOf } from '../../syscalls/memory.js'
import type { Address } from '../../syscalls/numbers.js'
import { formatIPv4, formatIPv6, parseIPv4, parseIPv6 } from './ip-text.js'

/** An address of a TCP or UDP socket, in the shape of Node's `server.address()`. */
export interface IpSocketAddress {
  readonly family: 'IPv4' | 'IPv6'
  readonly address: string
  readonly port: number
  /** IPv6 only: flow label, unsigned 32 bits. */
  readonly flowInfo?: number
  /** IPv6 only: interface index of a link-local address, unsigned 32 bits. */
  readonly scopeId?: number
}

/** An address of a Unix socket: a path, or a name in the abstract namespace. An empty path means unnamed. */
export type UnixSocketAddress =
  | { readonly family: 'unix'; readonly path: string | Uint8Array }
  | { readonly family: 'unix'; readonly abstract: string | Uint8Array }

export type SocketAddress = IpSocketAddress | UnixSocketAddress

// Offsets that the layouts have under names too long to repeat.
const PATH_AT = SOCKADDR_UN.fields.sun_path.offset
const PATH_BYTES = SOCKADDR_UN.fields.sun_path.count
const PORT_AT = SOCKADDR_IN.fields.sin_port.offset
const IPV4_AT = SOCKADDR_IN.fields['sin_addr.s_addr'].offset
const IPV6_AT = SOCKADDR_IN6.fields['sin6_addr.__in6_u.__u6_addr8'].offset
const FLOW_AT = SOCKADDR_IN6.fields.sin6_flowinfo.offset
const SCOPE_AT = SOCKADDR_IN6.fields.sin6_scope_id.offset

/** Memory that holds a socket address. Keep it until the entry that points to it was consumed. */
export class SocketAddressMemory {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly address: Address
  /** `AF_*`, for `prepSocket`. */
  readonly family: number

  /** @internal */
  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.bytes = bytes
    this.address = addressOf(bytes)
    this.family = bytes[0]! | (bytes[1]! << 8)
  }

  /** Bytes of the address: what bind and connect take as its length. */
  get length(): number {
    return this.bytes.byteLength
  }
}

/**
 * Encodes a socket address.
 *
 * @throws TypeError `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`; RangeError `ERR_OUT_OF_RANGE` for a
 *   port, or a Unix path of more than 107 bytes.
 */
export function socketAddress(value: SocketAddress): SocketAddressMemory {
  if (typeof value !== 'object' || value === null) throw invalidType('address', 'of type object', value)
  switch (value.family) {
    case 'IPv4':
      return encodeIPv4(value)
    case 'IPv6':
      return encodeIPv6(value)
    case 'unix':
      return encodeUnix(value)
    default:
      throw invalidValue(
        'address.family',
        (value as { family: unknown }).family,
        "must be 'IPv4', 'IPv6' or 'unix'",
      )
  }
}

/**
 * Memory for any socket address, and the length word that accept and getsockname write. Keep it until the
 * CQE.
 */
export class SocketAddressResult {
  readonly bytes = new Uint8Array(new ArrayBuffer(SOCKADDR_STORAGE.size + 4))
  readonly address: Address = addressOf(this.bytes)
  /** Address of the 32-bit length. */
  readonly lengthAddress: Address = this.address + SOCKADDR_STORAGE.size
  readonly #length = new DataView(this.bytes.buffer, SOCKADDR_STORAGE.size, 4)

  constructor() {
    this.reset()
  }

  /** Sets the length to the whole room again: the kernel has overwritten it with that of the last address. */
  reset(): void {
    this.#length.setUint32(0, SOCKADDR_STORAGE.size, true)
  }

  /** The address that the kernel has written. @throws as `decodeSocketAddress`. */
  read(): SocketAddress {
    return decodeSocketAddress(this.bytes, Math.min(this.#length.getUint32(0, true), SOCKADDR_STORAGE.size))
  }
}

/**
 * Decodes a socket address.
 *
 * @param length - Valid bytes, as reported by the kernel. A Unix socket without a name has 2 (or 0): its path
 *   is ''.
 * @throws RangeError `ERR_OUT_OF_RANGE` when the bytes end before the address does; TypeError
 *   `ERR_INVALID_ARG_VALUE` for a family other than IPv4, IPv6 and Unix.
 */
export function decodeSocketAddress(bytes: Uint8Array, length = bytes.byteLength): SocketAddress {
  checkInteger('length', length, 0, bytes.byteLength)
  if (length < 2) return { family: 'unix', path: '' }
  const view = new DataView(bytes.buffer, bytes.byteOffset, length)
  const family = view.getUint16(0, true)
  if (family === AF_UNIX) return decodeUnix(bytes.subarray(PATH_AT, length))
  if (family === AF_INET) {
    checkLength(length, SOCKADDR_IN.size)
    return {
      family: 'IPv4',
      address: formatIPv4(bytes.subarray(IPV4_AT, IPV4_AT + 4)),
      port: view.getUint16(PORT_AT),
    }
  }
  if (family !== AF_INET6) throw invalidValue('address.family', family, 'is not AF_UNIX, AF_INET or AF_INET6')
  checkLength(length, SOCKADDR_IN6.size)
  return {
    family: 'IPv6',
    address: formatIPv6(bytes.subarray(IPV6_AT, IPV6_AT + 16)),
    port: view.getUint16(PORT_AT),
    flowInfo: view.getUint32(FLOW_AT),
    scopeId: view.getUint32(SCOPE_AT, true),
  }
}

function encodeIPv4({ address, port }: IpSocketAddress): SocketAddressMemory {
  const { bytes, view } = allocate(SOCKADDR_IN.size, AF_INET)
  // Ports and addresses are in network byte order: big-endian, DataView's default.
  view.setUint16(PORT_AT, checkInteger('address.port', port, 0, 0xffff))
  bytes.set(parseIPv4(address), IPV4_AT)
  return new SocketAddressMemory(bytes)
}

function encodeIPv6({ address, port, flowInfo = 0, scopeId = 0 }: IpSocketAddress): SocketAddressMemory {
  const { bytes, view } = allocate(SOCKADDR_IN6.size, AF_INET6)
  view.setUint16(PORT_AT, checkInteger('address.port', port, 0, 0xffff))
  view.setUint32(FLOW_AT, checkInteger('address.flowInfo', flowInfo, 0, 0xffff_ffff))
  view.setUint32(SCOPE_AT, checkInteger('address.scopeId', scopeId, 0, 0xffff_ffff), true)
  bytes.set(parseIPv6(address), IPV6_AT)
  return new SocketAddressMemory(bytes)
}

function encodeUnix(value: UnixSocketAddress): SocketAddressMemory {
  const isAbstract = 'abstract' in value
  const name = isAbstract ? 'address.abstract' : 'address.path'
  const text = isAbstract ? value.abstract : value.path
  if (typeof text !== 'string' && !(text instanceof Uint8Array))
    throw invalidType(name, 'of type string or Uint8Array', text)
  const content = typeof text === 'string' ? Buffer.from(text) : text
  if (!isAbstract && content.includes(0))
    throw invalidValue(name, text, 'must be a string without null bytes')
  // One byte is needed for the NUL that ends a path or starts an abstract name.
  if (content.byteLength > PATH_BYTES - 1)
    throw outOfRange(name, `at most ${PATH_BYTES - 1} bytes long`, content.byteLength)
  const isUnnamed = !isAbstract && content.byteLength === 0
  const { bytes } = allocate(PATH_AT + (isUnnamed ? 0 : content.byteLength + 1), AF_UNIX)
  bytes.set(content, PATH_AT + (isAbstract ? 1 : 0))
  return new SocketAddressMemory(bytes)
}

function decodeUnix(name: Uint8Array): UnixSocketAddress {
  if (name.byteLength > 0 && name[0] === 0) return { family: 'unix', abstract: readable(name.subarray(1)) }
  const end = name.indexOf(0)
  return { family: 'unix', path: readable(end < 0 ? name : name.subarray(0, end)) }
}

/** Text where the bytes are UTF-8, else the bytes: a name need not be text. */
function readable(bytes: Uint8Array): string | Uint8Array {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return Uint8Array.from(bytes)
  }
}

function allocate(byteLength: number, family: number): { bytes: Uint8Array<ArrayBuffer>; view: DataView } {
  const bytes = new Uint8Array(new ArrayBuffer(byteLength))
  const view = new DataView(bytes.buffer)
  view.setUint16(0, family, true)
  return { bytes, view }
}

function checkLength(length: number, min: number): void {
  if (length < min) throw outOfRange('length', `>= ${min}`, length)
}
