// The message header of a sendmsg or recvmsg in driver memory, with all that it points to except the data.
// There it outlives a worker that is terminated while the kernel still uses it.

import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  AF_UNSPEC,
  type ControlMessage,
  decodeControlMessages,
  decodeSocketAddress,
  encodeControlMessages,
  IOVEC,
  MSGHDR,
  SOCKADDR_STORAGE,
  type SocketAddress,
  socketAddress,
} from '../ring/index.js'
import { Struct } from '../syscalls/struct.js'
import type { Arena, Block } from './arena.js'
import type { Vectors } from './vectors.js'

const CONTROL_ALIGN = 8

/** What a message header is to say. */
export interface MessageParts {
  /** Where the data is or goes. */
  readonly vectors: Vectors
  /** The data is copied through driver memory: `bounce`. */
  readonly copies: boolean
  /** Address to send to. */
  readonly to?: SocketAddress | undefined
  /** Control data to send. */
  readonly control?: readonly ControlMessage[] | undefined
  /** Leave room for the sender's address. */
  readonly nameRoom?: boolean | undefined
  /** Bytes to leave for control data. */
  readonly controlRoom?: number | undefined
}

export class MessageBlock {
  /** The header, its vectors, the address and the control data. */
  readonly block: Block
  /** In a worker: driver memory that replaces all buffers. */
  readonly bounce: Block | null
  readonly #header: Struct<keyof typeof MSGHDR.fields>
  readonly #nameAt: number
  readonly #controlAt: number

  constructor(arena: Arena, parts: MessageParts) {
    const { vectors, copies, to, control } = parts
    const name = to === undefined ? null : socketAddress(to)
    const controlBytes = control === undefined ? null : encodeControlMessages(control)
    const nameBytes = name?.length ?? (parts.nameRoom ? SOCKADDR_STORAGE.size : 0)
    const controlLength = controlBytes?.length ?? parts.controlRoom ?? 0

    const vectorsAt = MSGHDR.size
    this.#nameAt = vectorsAt + vectors.count * IOVEC.size
    this.#controlAt = align(this.#nameAt + nameBytes)
    const bounce = copies && vectors.total > 0 ? arena.alloc(vectors.total) : null
    const block = arena.allocBeside(bounce, this.#controlAt + controlLength)
    const { address, bytes } = block
    if (name !== null) bytes.set(name.bytes, this.#nameAt)
    if (controlBytes !== null) bytes.set(controlBytes, this.#controlAt)
    vectors.describe(block, vectorsAt, bounce)
    bytes.fill(0, 0, MSGHDR.size)
    this.#header = new Struct(MSGHDR, bytes.subarray(0, MSGHDR.size) as Uint8Array<ArrayBuffer>).assign({
      msg_name: nameBytes === 0 ? 0 : address + this.#nameAt,
      msg_namelen: nameBytes,
      msg_iov: address + vectorsAt,
      msg_iovlen: vectors.count,
      msg_control: controlLength === 0 ? 0 : address + this.#controlAt,
      msg_controllen: controlLength,
    })
    this.block = block
    this.bounce = bounce
  }

  get address(): number {
    return this.block.address
  }

  /** `MSG_*` bits that recvmsg has set. */
  get flags(): number {
    return this.#header.get('msg_flags')
  }

  /** Who has sent the message, or null when it does not say. */
  sender(): SocketAddress | null {
    return decodeSender(this.block.bytes.subarray(this.#nameAt), this.#header.get('msg_namelen'))
  }

  /** A copy of the control data that came with the message. */
  control(): ControlMessage[] {
    const length = this.#header.get('msg_controllen')
    return copyControl(this.block.bytes.subarray(this.#controlAt, this.#controlAt + length))
  }
}

/** A sender's address; null when there is none, or one of a family that has no JavaScript form. */
export function decodeSender(bytes: Uint8Array, length: number): SocketAddress | null {
  const known = Math.min(length, SOCKADDR_STORAGE.size, bytes.length)
  const family = known < 2 ? AF_UNSPEC : bytes[0]! | (bytes[1]! << 8)
  return family === AF_UNIX || family === AF_INET || family === AF_INET6
    ? decodeSocketAddress(bytes.subarray(0, known))
    : null
}

/** Control messages, decoded from a copy of `bytes`. */
export function copyControl(bytes: Uint8Array): ControlMessage[] {
  return bytes.length === 0 ? [] : decodeControlMessages(Uint8Array.from(bytes))
}

function align(length: number): number {
  return Math.ceil(length / CONTROL_ALIGN) * CONTROL_ALIGN
}
