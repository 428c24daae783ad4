// Socket operations as promises, one at a time. multishot.ts has the streams of connections and data; `net/`
// builds an API like `node:net` on both.

import {
  addressOf,
  type ControlMessage,
  type Fd,
  IORING_FILE_INDEX_ALLOC,
  prepAccept,
  prepAcceptDirect,
  prepBind,
  prepCmdGetsockopt,
  prepCmdSetsockopt,
  prepConnect,
  prepListen,
  prepRecv,
  prepRecvmsg,
  prepSend,
  prepSendmsg,
  prepSendmsgZc,
  prepSendSetAddr,
  prepSendZc,
  prepSendZcFixed,
  prepShutdown,
  prepSocket,
  prepSocketDirect,
  SOCK_CLOEXEC,
  SOCKADDR_STORAGE,
  type SocketAddress,
  type Sqe,
  socketAddress,
} from '../../ring/index.js'
import { checkInteger, checkOptions, invalidType } from '../../syscalls/argument-errors.js'
import type { Block } from '../arena.js'
import { decodeSender, MessageBlock } from '../message-block.js'
import { Vectors } from '../vectors.js'
import { asBytes, type Bytes, checkedLength, MAX_TRANSFER, type OperationOptions } from './base.js'
import { ControlOperations } from './control.js'

export interface SocketOptions extends OperationOptions {
  /** Put the socket into the registered files: `true` lets the kernel choose the slot. */
  readonly direct?: boolean | number | undefined
}

export interface AcceptOptions extends SocketOptions {
  /** `SOCK_NONBLOCK`. SOCK_CLOEXEC is always added, unless `direct`. */
  readonly flags?: number | undefined
}

export interface SendOptions extends OperationOptions {
  /** `MSG_*`. MSG_NOSIGNAL is implied; with MSG_WAITALL a short send is retried by the kernel (Linux 5.19). */
  readonly flags?: number | undefined
  /** Bytes, at most the buffer's own length, which is the default. */
  readonly length?: number | undefined
  /** Where to send, for a socket that is not connected. Linux 6.1. */
  readonly to?: SocketAddress | undefined
}

export interface SendZcOptions extends SendOptions {
  /** The data lies in registered buffer number `bufferIndex`. */
  readonly bufferIndex?: number | undefined
}

export interface ReceiveOptions extends OperationOptions {
  /** `MSG_*`. */
  readonly flags?: number | undefined
  /** Bytes, at most the buffer's own length, which is the default. */
  readonly length?: number | undefined
}

/** A message to send. */
export interface OutgoingMessage {
  readonly buffers: readonly Bytes[]
  readonly to?: SocketAddress | undefined
  /** Control data, such as descriptors (`SOL_SOCKET`, `SCM_RIGHTS`). */
  readonly control?: readonly ControlMessage[] | undefined
}

export interface SendMessageOptions extends OperationOptions {
  /** `MSG_*`. */
  readonly flags?: number | undefined
}

export interface ReceiveMessageOptions extends OperationOptions {
  /** `MSG_*`. Give MSG_CMSG_CLOEXEC where descriptors may come (SCM_RIGHTS). */
  readonly flags?: number | undefined
  /** Bytes of control data to make room for. Default 0. */
  readonly controlBytes?: number | undefined
}

/** A received message. */
export interface IncomingMessage {
  /** Bytes of data. */
  readonly length: number
  /** The sender, or null where the socket does not tell. */
  readonly from: SocketAddress | null
  readonly control: ControlMessage[]
  /** `MSG_TRUNC`, `MSG_CTRUNC` and the like. */
  readonly flags: number
}

/** A connection and the address of its other end. */
export interface Accepted {
  readonly fd: Fd
  /** Null for an address of a family other than IPv4, IPv6 and Unix. */
  readonly address: SocketAddress | null
}

const NO_OPTIONS: SendOptions = {}
const INT_BYTES = 4

/** Sockets, one operation at a time. */
export abstract class SocketOperations extends ControlOperations {
  /**
   * Makes a socket. Resolves to its descriptor, or to its index among the registered files with `direct`.
   * SOCK_CLOEXEC is always added, unless `direct`. Linux 5.19.
   *
   * @param domain - `AF_*`.
   * @param type - `SOCK_*`.
   * @see io_uring_prep_socket(3), socket(2)
   */
  socket(domain: number, type: number, protocol = 0, options: SocketOptions = NO_OPTIONS): Promise<Fd> {
    checkInteger('type', type, 0, 0x7fff_ffff)
    const { direct } = options
    if (direct === undefined || direct === false) {
      return this.start('socket', options, (sqe) => prepSocket(sqe, domain, type | SOCK_CLOEXEC, protocol, 0))
    }
    const index = direct === true ? IORING_FILE_INDEX_ALLOC : direct
    return this.start('socket', options, (sqe) => prepSocketDirect(sqe, domain, type, protocol, index, 0))
  }

  /** Gives a socket its local address. Linux 6.11. @see io_uring_prep_bind(3), bind(2) */
  bind(fd: Fd, address: SocketAddress, options: OperationOptions = NO_OPTIONS): Promise<number> {
    const { block, length } = this.#addressBlock(address)
    return this.start('bind', options, (sqe) => prepBind(sqe, fd, block.address, length), { block })
  }

  /** Lets a bound socket take connections. Linux 6.11. @see io_uring_prep_listen(3), listen(2) */
  listen(fd: Fd, backlog = 511, options: OperationOptions = NO_OPTIONS): Promise<number> {
    return this.start('listen', options, (sqe) => prepListen(sqe, fd, backlog))
  }

  /** Connects a socket. Linux 5.5. @see io_uring_prep_connect(3), connect(2) */
  connect(fd: Fd, address: SocketAddress, options: OperationOptions = NO_OPTIONS): Promise<number> {
    const { block, length } = this.#addressBlock(address)
    return this.start('connect', options, (sqe) => prepConnect(sqe, fd, block.address, length), { block })
  }

  /**
   * Waits for a connection. Resolves to its descriptor, or to its index among the registered files with `direct`.
   * Linux 5.5; `direct` 5.15, with a slot of the kernel's choice 5.19.
   *
   * @see io_uring_prep_accept(3), accept4(2)
   */
  accept(fd: Fd, options: AcceptOptions = NO_OPTIONS): Promise<Fd> {
    checkAcceptFlags(options)
    return this.start('accept', options, acceptPrepare(fd, options, 0, 0))
  }

  /** As `accept`, with the address of the other end. */
  acceptFrom(fd: Fd, options: AcceptOptions = NO_OPTIONS): Promise<Accepted> {
    checkAcceptFlags(options)
    const room = SOCKADDR_STORAGE.size
    const block = this.driver.arena.alloc(room + INT_BYTES)
    block.view.setUint32(room, room, true)
    return this.start('accept', options, acceptPrepare(fd, options, block.address, block.address + room), {
      block,
      finish: (res): Accepted => ({
        fd: res,
        // The connection is there, and must not be lost for an address that has no JavaScript form.
        address: decodeSender(block.bytes.subarray(0, room), block.view.getUint32(room, true)),
      }),
    })
  }

  /**
   * Sends from `buffer`. Resolves to the bytes sent, which may be fewer. Linux 5.6.
   *
   * The kernel owns the buffer until the promise settles.
   *
   * @see io_uring_prep_send(3), send(2)
   */
  send(fd: Fd, buffer: Bytes, options: SendOptions = NO_OPTIONS): Promise<number> {
    checkOptions(options)
    const length = checkedLength(buffer, options.length, 'options.length')
    const flags = options.flags ?? 0
    if (options === NO_OPTIONS && !this.copies) {
      const address = addressOf(buffer, length)
      const sqe = this.driver.take()
      if (sqe !== null) {
        try {
          prepSend(sqe, fd, address, length, flags)
        } catch (error) {
          this.driver.abandon(sqe)
          throw error
        }
        return this.driver.issue(sqe, buffer, 'send')
      }
    }
    return this.#sendFrom(buffer, length, options, (sqe, address) =>
      prepSend(sqe, fd, address, length, flags),
    )
  }

  /**
   * Sends straight from `buffer`, without a copy in the kernel where the network allows it. Resolves to the bytes sent
   * once the kernel has let go of the buffer, which is when the other end has acknowledged the data. It pays for large
   * buffers, with several sends in flight. Linux 6.0.
   *
   * @see io_uring_prep_send_zc(3)
   */
  sendZc(fd: Fd, buffer: Bytes, options: SendZcOptions = NO_OPTIONS): Promise<number> {
    checkOptions(options)
    const length = checkedLength(buffer, options.length, 'options.length')
    const { flags = 0, bufferIndex } = options
    if (bufferIndex !== undefined && this.copied(buffer)) {
      const wanted = "undefined for a buffer that is not a pool's own, in a worker without zeroCopy"
      throw invalidType('options.bufferIndex', wanted, bufferIndex)
    }
    return this.#sendFrom(buffer, length, options, (sqe, address) =>
      bufferIndex === undefined
        ? prepSendZc(sqe, fd, address, length, flags, 0)
        : prepSendZcFixed(sqe, fd, address, length, flags, 0, bufferIndex),
    )
  }

  /**
   * Receives into `buffer`. Resolves to the bytes received, 0 when the other end is done sending. Linux 5.6.
   *
   * The kernel owns the buffer until the promise settles, even after an abort.
   *
   * @see io_uring_prep_recv(3), recv(2)
   */
  recv(fd: Fd, buffer: Bytes, options: ReceiveOptions = NO_OPTIONS): Promise<number> {
    checkOptions(options)
    const length = checkedLength(buffer, options.length, 'options.length')
    const flags = options.flags ?? 0
    if (this.copied(buffer)) {
      const block = this.driver.arena.alloc(length)
      return this.start('recv', options, (sqe) => prepRecv(sqe, fd, block.address, length, flags), {
        block,
        finish: (res) => {
          asBytes(buffer).set(block.bytes.subarray(0, Math.min(res, length)))
          return res
        },
      })
    }
    if (options === NO_OPTIONS) {
      const address = addressOf(buffer, length)
      const sqe = this.driver.take()
      if (sqe !== null) {
        try {
          prepRecv(sqe, fd, address, length, flags)
        } catch (error) {
          this.driver.abandon(sqe)
          throw error
        }
        return this.driver.issue(sqe, buffer, 'recv')
      }
    }
    const prepare = (sqe: Sqe): Sqe => prepRecv(sqe, fd, addressOf(buffer, length), length, flags)
    return this.start('recv', options, prepare, { memory: buffer })
  }

  /**
   * Sends a message: vectored, with a destination or control data. Resolves to the bytes sent. Linux 5.3.
   *
   * @see io_uring_prep_sendmsg(3), sendmsg(2)
   */
  sendmsg(fd: Fd, message: OutgoingMessage, options: SendMessageOptions = NO_OPTIONS): Promise<number> {
    return this.#sendMessage(fd, message, options, prepSendmsg)
  }

  /** `sendmsg` without a copy in the kernel; see `sendZc`. Linux 6.1. @see io_uring_prep_sendmsg_zc(3) */
  sendmsgZc(fd: Fd, message: OutgoingMessage, options: SendMessageOptions = NO_OPTIONS): Promise<number> {
    return this.#sendMessage(fd, message, options, prepSendmsgZc)
  }

  /**
   * Receives a message into `buffers`, with its sender and control data. Linux 5.3.
   *
   * @see io_uring_prep_recvmsg(3), recvmsg(2)
   */
  recvmsg(
    fd: Fd,
    buffers: readonly Bytes[],
    options: ReceiveMessageOptions = NO_OPTIONS,
  ): Promise<IncomingMessage> {
    checkOptions(options)
    const controlRoom = checkInteger('options.controlBytes', options.controlBytes ?? 0, 0, MAX_TRANSFER)
    const flags = options.flags ?? 0
    const { arena } = this.driver
    const vectors = new Vectors(buffers)
    const message = new MessageBlock(arena, { vectors, copies: this.copies, nameRoom: true, controlRoom })
    return this.start('recvmsg', options, (sqe) => prepRecvmsg(sqe, fd, message.address, flags), {
      memory: vectors,
      block: message.block,
      block2: message.bounce,
      finish: (res): IncomingMessage => {
        if (message.bounce !== null) vectors.scatter(message.bounce, res)
        return { length: res, from: message.sender(), control: message.control(), flags: message.flags }
      },
    })
  }

  /** Ends one or both directions of a connection: `SHUT_*`. Linux 5.11. @see io_uring_prep_shutdown(3), shutdown(2) */
  shutdown(fd: Fd, how: number, options: OperationOptions = NO_OPTIONS): Promise<number> {
    return this.start('shutdown', options, (sqe) => prepShutdown(sqe, fd, how))
  }

  /**
   * Reads a socket option. Rejects with ENOTSUP for a level other than `SOL_SOCKET`. Linux 6.7.
   *
   * @param length - Room for the value, in bytes. Most values are 32-bit integers.
   * @see io_uring_prep_cmd_sock(3), getsockopt(2)
   */
  getsockopt(
    fd: Fd,
    level: number,
    name: number,
    length = INT_BYTES,
    options: OperationOptions = NO_OPTIONS,
  ): Promise<Buffer> {
    checkInteger('length', length, 1, MAX_TRANSFER)
    const block = this.driver.arena.alloc(length)
    const { address } = block
    return this.start(
      'getsockopt',
      options,
      (sqe) => prepCmdGetsockopt(sqe, fd, level, name, address, length),
      {
        block,
        finish: (res) => Buffer.from(block.bytes.subarray(0, res)),
      },
    )
  }

  /**
   * Sets a socket option. Linux 6.7.
   *
   * @param value - A number stands for a 32-bit integer.
   * @see io_uring_prep_cmd_sock(3), setsockopt(2)
   */
  setsockopt(
    fd: Fd,
    level: number,
    name: number,
    value: number | Uint8Array,
    options: OperationOptions = NO_OPTIONS,
  ): Promise<number> {
    const isNumber = typeof value === 'number'
    if (isNumber) checkInteger('value', value, -0x8000_0000, 0x7fff_ffff)
    else if (!(value instanceof Uint8Array)) throw invalidType('value', 'of type number or Uint8Array', value)
    const length = isNumber ? INT_BYTES : value.length
    const block = this.driver.arena.alloc(Math.max(1, length))
    if (isNumber) block.view.setInt32(0, value, true)
    else block.bytes.set(value)
    const { address } = block
    return this.start(
      'setsockopt',
      options,
      (sqe) => prepCmdSetsockopt(sqe, fd, level, name, address, length),
      {
        block,
      },
    )
  }

  #sendFrom(
    buffer: Bytes,
    length: number,
    options: SendOptions,
    prepare: (sqe: Sqe, address: number) => Sqe,
  ): Promise<number> {
    const { to } = options
    const isCopied = this.copied(buffer)
    const destination = to === undefined ? null : this.#addressBlock(to)
    const block = destination?.block ?? null
    const bounce = isCopied ? this.driver.arena.allocBeside(block, length) : null
    bounce?.bytes.set(asBytes(buffer).subarray(0, length))
    const prepareAll = (sqe: Sqe): void => {
      prepare(sqe, bounce === null ? addressOf(buffer, length) : bounce.address)
      if (destination !== null) prepSendSetAddr(sqe, destination.block.address, destination.length)
    }
    return this.start('send', options, prepareAll, { memory: buffer, block, block2: bounce })
  }

  #sendMessage(
    fd: Fd,
    message: OutgoingMessage,
    options: SendMessageOptions,
    prepare: (sqe: Sqe, fd: Fd, message: number, flags?: number) => Sqe,
  ): Promise<number> {
    if (typeof message !== 'object' || message === null)
      throw invalidType('message', 'of type object', message)
    checkOptions(options)
    const { buffers, to, control } = message
    const flags = options.flags ?? 0
    const vectors = new Vectors(buffers)
    const parts = new MessageBlock(this.driver.arena, { vectors, copies: this.copies, to, control })
    try {
      if (parts.bounce !== null) vectors.gather(parts.bounce)
    } catch (error) {
      this.free(parts.block)
      this.free(parts.bounce)
      throw error
    }
    return this.start('sendmsg', options, (sqe) => prepare(sqe, fd, parts.address, flags), {
      memory: vectors,
      block: parts.block,
      block2: parts.bounce,
    })
  }

  #addressBlock(address: SocketAddress): { block: Block; length: number } {
    const { bytes, length } = socketAddress(address)
    const block = this.driver.arena.alloc(length)
    block.bytes.set(bytes)
    return { block, length }
  }
}

function checkAcceptFlags(options: AcceptOptions): void {
  checkOptions(options)
  checkInteger('options.flags', options.flags ?? 0, 0, 0x7fff_ffff)
}

function acceptPrepare(
  fd: Fd,
  options: AcceptOptions,
  address: number,
  lengthAddress: number,
): (sqe: Sqe) => void {
  const { flags = 0, direct } = options
  if (direct === undefined || direct === false) {
    return (sqe) => prepAccept(sqe, fd, address, lengthAddress, flags | SOCK_CLOEXEC)
  }
  const index = direct === true ? IORING_FILE_INDEX_ALLOC : direct
  return (sqe) => prepAcceptDirect(sqe, fd, address, lengthAddress, flags, index)
}
