// Message headers for sendmsg and recvmsg, their control data, and what multishot recvmsg writes into a buffer.

import { CMSGHDR, IO_URING_RECVMSG_OUT, MSGHDR } from '../../syscalls/abi/index.js'
import { checkInteger, checkMembers, invalidType, outOfRange } from '../../syscalls/argument-errors.js'
import { addressOf, byteLengthOf } from '../../syscalls/memory.js'
import type { Address } from '../../syscalls/numbers.js'
import { Struct } from '../../syscalls/struct.js'
import { IovecArray, iovecs } from './vectors.js'

const HEAD_BYTES = CMSGHDR.size
const CONTROL_ALIGN = 8

export interface MessageHeaderOptions {
  /** The peer's address: a socket address to send to, or room for one when receiving. */
  readonly name?: Uint8Array
  /** The data. */
  readonly buffers?: IovecArray | readonly (ArrayBuffer | ArrayBufferView)[]
  /** Control data to send (see `encodeControlMessages`), or room for it. */
  readonly control?: Uint8Array
  /**
   * Multishot recvmsg: bytes to leave in each provided buffer for the peer's address. No memory is attached.
   */
  readonly nameBytes?: number
  /** Multishot recvmsg: bytes to leave in each provided buffer for control data. No memory is attached. */
  readonly controlBytes?: number
}

const MEMBERS = ['name', 'buffers', 'control', 'nameBytes', 'controlBytes']

/** A `struct msghdr` and all that it points to, which it keeps alive. Keep it until the CQE. */
export class MessageHeader {
  readonly name: Uint8Array | undefined
  readonly vectors: IovecArray
  readonly control: Uint8Array | undefined
  readonly #struct: Struct<keyof typeof MSGHDR.fields>

  /** @internal */
  constructor(options: MessageHeaderOptions) {
    const { name, buffers = [], control, nameBytes, controlBytes } = options
    this.name = name
    this.vectors = buffers instanceof IovecArray ? buffers : iovecs(buffers)
    this.control = control
    this.#struct = Struct.alloc(MSGHDR).assign({
      msg_name: name === undefined ? 0 : addressOf(name),
      msg_namelen:
        name === undefined
          ? checkInteger('options.nameBytes', nameBytes ?? 0, 0, 0x7fff_ffff)
          : byteLengthOf(name),
      msg_iov: this.vectors.address,
      msg_iovlen: this.vectors.count,
      msg_control: control === undefined ? 0 : addressOf(control),
      msg_controllen:
        control === undefined
          ? checkInteger('options.controlBytes', controlBytes ?? 0, 0, 0x7fff_ffff)
          : byteLengthOf(control),
    })
  }

  get address(): Address {
    return this.#struct.address
  }

  /** Bytes of the peer's address: the room before recvmsg, the length after it (which may exceed the room). */
  get nameLength(): number {
    return this.#struct.get('msg_namelen')
  }

  /** Bytes of control data: the room before recvmsg, the bytes written after it. */
  get controlLength(): number {
    return this.#struct.get('msg_controllen')
  }

  /** What recvmsg found: `MSG_TRUNC`, `MSG_CTRUNC`, `MSG_EOR` and so on. */
  get flags(): number {
    return this.#struct.get('msg_flags')
  }
}

/**
 * Makes a `struct msghdr`.
 *
 * @throws TypeError `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` for an unknown member; RangeError
 *   `ERR_OUT_OF_RANGE`.
 * @see sendmsg(2), recvmsg(2)
 */
export function messageHeader(options: MessageHeaderOptions = {}): MessageHeader {
  checkMembers('options', options, MEMBERS)
  checkBytes('options.name', options.name)
  checkBytes('options.control', options.control)
  return new MessageHeader(options)
}

/** One piece of control data. `SOL_SOCKET` with `SCM_RIGHTS` carries descriptors, 32 bits each. */
export interface ControlMessage {
  readonly level: number
  readonly type: number
  readonly data: Uint8Array
}

/** Encodes control messages in the layout that sendmsg takes. @see cmsg(3) */
export function encodeControlMessages(messages: readonly ControlMessage[]): Uint8Array<ArrayBuffer> {
  const total = messages.reduce((sum, { data }) => sum + aligned(HEAD_BYTES + data.byteLength), 0)
  const bytes = new Uint8Array(new ArrayBuffer(total))
  let at = 0
  for (const { level, type, data } of messages) {
    const head = new Struct(CMSGHDR, bytes.subarray(at, at + HEAD_BYTES))
    head.assign({ cmsg_len: HEAD_BYTES + data.byteLength, cmsg_level: level, cmsg_type: type })
    bytes.set(data, at + HEAD_BYTES)
    at += aligned(HEAD_BYTES + data.byteLength)
  }
  return bytes
}

/**
 * Decodes control messages. One that claims to reach past the end is left out, with all after it.
 *
 * @see cmsg(3)
 */
export function decodeControlMessages(bytes: Uint8Array<ArrayBuffer>): ControlMessage[] {
  const messages: ControlMessage[] = []
  let at = 0
  while (at + HEAD_BYTES <= bytes.byteLength) {
    const head = new Struct(CMSGHDR, bytes.subarray(at, at + HEAD_BYTES))
    const length = head.get('cmsg_len')
    if (length < HEAD_BYTES || at + length > bytes.byteLength) break
    const data = bytes.subarray(at + HEAD_BYTES, at + length)
    messages.push({ level: head.get('cmsg_level'), type: head.get('cmsg_type'), data })
    at += aligned(length)
  }
  return messages
}

/** What multishot recvmsg wrote into one provided buffer. The arrays are views of it. */
export interface RecvmsgOut {
  /** The peer's address, cut to the room that the header left for it. */
  readonly name: Uint8Array<ArrayBuffer>
  /** Its true length, bytes. */
  readonly nameLength: number
  /** Control data, for `decodeControlMessages`. */
  readonly control: Uint8Array<ArrayBuffer>
  readonly payload: Uint8Array<ArrayBuffer>
  /** True length of the payload, bytes: more than `payload` holds when the buffer was too small (`MSG_TRUNC`). */
  readonly payloadLength: number
  /** `MSG_*`. */
  readonly flags: number
}

/**
 * Reads a buffer that multishot recvmsg has filled.
 *
 * @param bytes - The buffer, cut to the CQE's `res` bytes.
 * @param header - The header that the operation was prepared with: it says how much room was left.
 * @throws RangeError `ERR_OUT_OF_RANGE` when the buffer is too short for what the header asks for.
 * @see io_uring_recvmsg_out(3)
 */
export function readRecvmsgOut(bytes: Uint8Array<ArrayBuffer>, header: MessageHeader): RecvmsgOut {
  // Multishot recvmsg does not change the header, so these are still the sizes that were asked for.
  const { nameLength: nameRoom, controlLength: controlRoom } = header
  const headBytes = IO_URING_RECVMSG_OUT.size
  const payloadAt = headBytes + nameRoom + controlRoom
  if (bytes.byteLength < payloadAt) throw outOfRange('bytes.byteLength', `>= ${payloadAt}`, bytes.byteLength)
  const head = new Struct(IO_URING_RECVMSG_OUT, bytes.subarray(0, headBytes))
  const nameLength = head.get('namelen')
  const controlAt = headBytes + nameRoom
  return {
    name: bytes.subarray(headBytes, headBytes + Math.min(nameLength, nameRoom)),
    nameLength,
    control: bytes.subarray(controlAt, controlAt + Math.min(head.get('controllen'), controlRoom)),
    payload: bytes.subarray(payloadAt),
    payloadLength: head.get('payloadlen'),
    flags: head.get('flags'),
  }
}

function aligned(byteLength: number): number {
  return Math.ceil(byteLength / CONTROL_ALIGN) * CONTROL_ALIGN
}

function checkBytes(name: string, value: Uint8Array | undefined): void {
  if (value !== undefined && !(value instanceof Uint8Array)) throw invalidType(name, 'a Uint8Array', value)
}
