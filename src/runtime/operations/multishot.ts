// Multishot operations as async iterables: connections, data, readiness, timer ticks.

import { constants } from 'node:os'
import {
  type Address,
  type ControlMessage,
  type Fd,
  IO_URING_RECVMSG_OUT,
  IORING_CQE_F_BUFFER,
  IORING_FILE_INDEX_ALLOC,
  IORING_TIMEOUT_MULTISHOT,
  IOSQE_BUFFER_SELECT,
  IOSQE_FIXED_FILE,
  KERNEL_TIMESPEC,
  MSGHDR,
  prepAccept,
  prepAcceptDirect,
  prepMultishotAccept,
  prepMultishotAcceptDirect,
  prepPollAdd,
  prepPollMultishot,
  prepRead,
  prepReadMultishot,
  prepRecv,
  prepRecvMultishot,
  prepRecvmsgMultishot,
  prepTimeout,
  SOCK_CLOEXEC,
  SOCKADDR_STORAGE,
  type SocketAddress,
  type Sqe,
} from '../../ring/index.js'
import { splitMilliseconds } from '../../ring/milliseconds.js'
import {
  checkInteger,
  checkOptions,
  invalidType,
  invalidValue,
  outOfRange,
} from '../../syscalls/argument-errors.js'
import { ETIME } from '../../syscalls/errno-values.js'
import { close } from '../../syscalls/libc.js'
import { Struct } from '../../syscalls/struct.js'
import type { Block } from '../arena.js'
import { BufferGroup } from '../buffer-group.js'
import type { BufferLease } from '../buffer-lease.js'
import type { Driver } from '../driver.js'
import { copyControl, decodeSender } from '../message-block.js'
import { END, Multishot, type MultishotOptions } from '../multishot.js'
import { SocketOperations } from './sockets.js'

export interface FdMultishotOptions extends MultishotOptions {
  /** The descriptor is an index into the registered files. */
  readonly fixedFile?: boolean | undefined
}

export interface AcceptMultishotOptions extends FdMultishotOptions {
  /** `SOCK_NONBLOCK`. SOCK_CLOEXEC is always added, unless `direct`. */
  readonly flags?: number | undefined
  /** Put connections into slots of the registered files that the kernel chooses; items are their indices. */
  readonly direct?: boolean | undefined
}

export interface GroupOptions extends FdMultishotOptions {
  /** Where the data goes; see `createBufferGroup`. */
  readonly group: BufferGroup
}

export interface ReceiveMultishotOptions extends GroupOptions {
  /** `MSG_*`, but not MSG_WAITALL. */
  readonly flags?: number | undefined
}

export interface ReceiveMessageMultishotOptions extends ReceiveMultishotOptions {
  /** Bytes of each buffer to keep for the sender's address. Default 128, which any address fits into. */
  readonly nameBytes?: number | undefined
  /** Bytes of each buffer to keep for control data. Default 0. */
  readonly controlBytes?: number | undefined
}

export interface TimeoutMultishotOptions extends MultishotOptions {
  /** How often the timer fires. Default: for ever. */
  readonly count?: number | undefined
}

const DEFAULT_NAME_BYTES = SOCKADDR_STORAGE.size
const OUT_BYTES = IO_URING_RECVMSG_OUT.size

// accept(2): errors pending on the new connection, which is lost with them; the next one may be fine.
const TRANSIENT_ACCEPT_ERRORS: ReadonlySet<number> = new Set(
  (
    [
      'ECONNABORTED',
      'EPROTO',
      'ENETDOWN',
      'ENOPROTOOPT',
      'EHOSTUNREACH',
      'ENETUNREACH',
      'EINTR',
      'EAGAIN',
    ] as const
  )
    .map((name) => -constants.errno[name])
    // EHOSTDOWN and ENONET, which Node has no names for.
    .concat(-112, -64),
)

/** A received message in a provided buffer. It belongs to the holder until `release()`. */
export class MessageLease {
  readonly #lease: BufferLease
  readonly #payloadAt: number
  /** The sender, or null where the socket does not tell. */
  readonly from: SocketAddress | null
  readonly control: readonly ControlMessage[]
  /** `MSG_TRUNC`, `MSG_CTRUNC` and the like. */
  readonly flags: number
  /** Bytes of data. */
  readonly length: number

  /** @internal */
  constructor(lease: BufferLease, nameRoom: number, controlRoom: number) {
    const { bytes } = lease
    const head = new Struct(IO_URING_RECVMSG_OUT, bytes.subarray(0, OUT_BYTES) as Uint8Array<ArrayBuffer>)
    const controlAt = OUT_BYTES + nameRoom
    const nameLength = head.get('namelen')
    const controlLength = Math.min(head.get('controllen'), controlRoom)
    this.#lease = lease
    this.#payloadAt = controlAt + controlRoom
    this.from = nameLength > nameRoom ? null : decodeSender(bytes.subarray(OUT_BYTES, controlAt), nameLength)
    this.control = copyControl(bytes.subarray(controlAt, controlAt + controlLength))
    this.flags = head.get('flags')
    this.length = lease.length - this.#payloadAt
  }

  /** The data, in driver memory. @throws as `BufferLease.bytes`. */
  get bytes(): Buffer {
    return this.#lease.bytes.subarray(this.#payloadAt)
  }

  get released(): boolean {
    return this.#lease.released
  }

  /** A copy of the data. */
  copy(): Buffer {
    return Buffer.from(this.bytes)
  }

  /** Gives the buffer back. @throws Error `ERR_INVALID_STATE` the second time. */
  release(): void {
    this.#lease.release()
  }

  [Symbol.dispose](): void {
    this.#lease[Symbol.dispose]()
  }
}

const NO_OPTIONS: MultishotOptions = {}

/** Operations that complete again and again. */
export abstract class MultishotOperations extends SocketOperations {
  /**
   * Connections of a listening socket, one after the other: descriptors, or with `direct` indices among the registered
   * files. Connections that are not delivered when the loop is left are closed. Linux 5.19; on older kernels accept is
   * armed for each connection.
   *
   * @see io_uring_prep_multishot_accept(3), io_uring_multishot(7)
   */
  acceptMultishot(fd: Fd, options: AcceptMultishotOptions = NO_OPTIONS): Multishot<Fd> {
    checkOptions(options)
    const { flags = 0, direct = false } = options
    const withCloexec = checkInteger('options.flags', flags, 0, 0x7fff_ffff) | SOCK_CLOEXEC
    return new Multishot<Fd>(
      this.driver,
      {
        syscall: 'accept',
        owner: this,
        ...prepares(
          options,
          direct
            ? (sqe) => prepMultishotAcceptDirect(sqe, fd, 0, 0, flags)
            : (sqe) => prepMultishotAccept(sqe, fd, 0, 0, withCloexec),
          direct
            ? (sqe) => prepAcceptDirect(sqe, fd, 0, 0, flags, IORING_FILE_INDEX_ALLOC)
            : (sqe) => prepAccept(sqe, fd, 0, 0, withCloexec),
        ),
        take: (res) => res,
        // A descriptor is closed directly: a closing ring takes no operation, but closes registered files.
        discard: (connection) => {
          if (!direct) close(connection)
          else if (!this.driver.closed) this.closeDirect(connection).catch(() => {})
        },
        isTransient: (res) => TRANSIENT_ACCEPT_ERRORS.has(res),
      },
      options,
    )
  }

  /**
   * Data of a stream socket as it comes, in buffers of a group; the iteration ends when the other end is done
   * sending. Release each lease: while the group is empty nothing is received. For datagrams use
   * `recvmsgMultishot`, which can tell an empty one from the end. Linux 6.0; on older kernels recv is armed
   * for each chunk, and before 5.18 each that waits holds a buffer: give the group more buffers than streams.
   *
   * @see io_uring_prep_recv_multishot(3), io_uring_provided_buffers(7)
   */
  recvMultishot(fd: Fd, options: ReceiveMultishotOptions): Multishot<BufferLease> {
    const { group, flags = 0 } = checkedGroup(this.driver, options)
    return this.#leases(
      'recv',
      options,
      group,
      (sqe) => select(prepRecvMultishot(sqe, fd, 0, 0, flags), group),
      // Not 0 for the whole buffer: kernels before 6.0 receive nothing then, which looks like the end.
      (sqe) => select(prepRecv(sqe, fd, 0, group.size, flags), group),
    )
  }

  /**
   * Data of a pipe, a terminal or another file that can be polled, as it comes, until its end. Rejects with
   * EBADFD for a regular file. Linux 6.7; on older kernels read is armed for each chunk, and before 5.18
   * holds a buffer while it waits.
   *
   * @see io_uring_prep_read_multishot(3), io_uring_provided_buffers(7)
   */
  readMultishot(fd: Fd, options: GroupOptions): Multishot<BufferLease> {
    const { group } = checkedGroup(this.driver, options)
    return this.#leases(
      'read',
      options,
      group,
      (sqe) => prepReadMultishot(sqe, fd, 0, -1, group.id),
      (sqe) => select(prepRead(sqe, fd, 0, group.size, -1), group),
    )
  }

  /**
   * Messages as they come, with sender and control data. Each takes a buffer of the group, of which 16 bytes,
   * `nameBytes` and `controlBytes` are not for data: a message longer than the rest is cut (`MSG_TRUNC`).
   *
   * The iteration ends with a message that has neither data nor sender nor control data, because the end of a
   * stream socket looks like that. Linux 6.0.
   *
   * @see io_uring_prep_recvmsg_multishot(3), io_uring_provided_buffers(7)
   */
  recvmsgMultishot(fd: Fd, options: ReceiveMessageMultishotOptions): Multishot<MessageLease> {
    const { group, flags = 0 } = checkedGroup(this.driver, options)
    const room = group.size - OUT_BYTES
    const nameBytes = checkInteger('options.nameBytes', options.nameBytes ?? DEFAULT_NAME_BYTES, 0, room)
    const controlBytes = checkInteger('options.controlBytes', options.controlBytes ?? 0, 0, room - nameBytes)
    const header = this.#memory(MSGHDR.size, (bytes) =>
      new Struct(MSGHDR, bytes).assign({ msg_namelen: nameBytes, msg_controllen: controlBytes }),
    )
    return new Multishot<MessageLease>(
      this.driver,
      {
        syscall: 'recvmsg',
        owner: this,
        group,
        ...prepares(options, (sqe) => select(prepRecvmsgMultishot(sqe, fd, header.address(), flags), group)),
        take: (res, cqeFlags, more) => {
          const message = new MessageLease(group.lease(res, cqeFlags), nameBytes, controlBytes)
          if (more || message.length > 0 || message.from !== null || message.control.length > 0)
            return message
          message.release()
          return END
        },
        discard: (message) => message.release(),
        free: header.free,
      },
      options,
    )
  }

  /**
   * The `POLL*` bits that come true on a descriptor, each time they do. Bits that come true before the
   * consumer asks are merged into one item. Linux 5.13; on older kernels poll is armed for each item.
   *
   * @param mask - As for `poll`. Edges are reported, not levels. Leave the loop on POLLHUP and POLLERR: they stay true.
   * @see io_uring_prep_poll_multishot(3)
   */
  pollMultishot(fd: Fd, mask: number, options: FdMultishotOptions = NO_OPTIONS): Multishot<number> {
    checkOptions(options)
    return new Multishot<number>(
      this.driver,
      {
        syscall: 'poll',
        owner: this,
        ...prepares(
          options,
          (sqe) => prepPollMultishot(sqe, fd, mask),
          (sqe) => prepPollAdd(sqe, fd, mask),
        ),
        take: (res) => res,
        discard: () => {},
        merge: (waiting, events) => waiting | events,
      },
      options,
    )
  }

  /**
   * A timer that fires every `ms` milliseconds, from the first `next()` on. Each item is how often it has
   * fired since the item before. Linux 6.4; on older kernels it is armed for each time, and drifts.
   *
   * @param ms - Milliseconds, fractions allowed, above 0.
   * @see io_uring_prep_timeout(3)
   */
  timeoutMultishot(ms: number, options: TimeoutMultishotOptions = NO_OPTIONS): Multishot<number> {
    checkOptions(options)
    if (typeof ms !== 'number') throw invalidType('ms', 'of type number', ms)
    if (!(ms > 0 && ms <= Number.MAX_SAFE_INTEGER))
      throw outOfRange('ms', `> 0 and <= ${Number.MAX_SAFE_INTEGER}`, ms)
    const count = checkInteger('options.count', options.count ?? 0, 0, 0x7fff_ffff)
    // A time of 0 would fire without end.
    const { sec, nsec } = splitMilliseconds(Math.max(ms, 1e-6))
    const time = this.#memory(KERNEL_TIMESPEC.size, (bytes) =>
      new Struct(KERNEL_TIMESPEC, bytes).assign({ tv_sec: sec, tv_nsec: nsec }),
    )
    let fired = 0
    return new Multishot<number>(
      this.driver,
      {
        syscall: 'timeout',
        owner: this,
        prepare: (sqe) =>
          prepTimeout(sqe, time.address(), count === 0 ? 0 : count - fired, IORING_TIMEOUT_MULTISHOT),
        prepareOnce: (sqe) => prepTimeout(sqe, time.address(), 0, 0),
        expected: ETIME,
        take: () => {
          fired++
          return 1
        },
        isComplete: () => fired === count,
        discard: () => {},
        merge: (waiting, ticks) => waiting + ticks,
        free: time.free,
      },
      options,
    )
  }

  #leases(
    syscall: string,
    options: FdMultishotOptions,
    group: BufferGroup,
    prepare: (sqe: Sqe) => Sqe,
    prepareOnce: (sqe: Sqe) => Sqe,
  ): Multishot<BufferLease> {
    return new Multishot<BufferLease>(
      this.driver,
      {
        syscall,
        owner: this,
        group,
        ...prepares(options, prepare, prepareOnce),
        take: (res, flags) => {
          const lease = flags & IORING_CQE_F_BUFFER ? group.lease(res, flags) : null
          if (res > 0) return lease!
          lease?.release()
          return END
        },
        discard: (lease) => lease.release(),
      },
      options,
    )
  }

  /** Driver memory for an entry, allocated at its first submit: a stream that is never read costs nothing. */
  #memory(
    size: number,
    fill: (bytes: Uint8Array<ArrayBuffer>) => void,
  ): { address: () => Address; free: () => void } {
    const { arena } = this.driver
    let block: Block | null = null
    return {
      address: () => {
        if (block === null) {
          block = arena.alloc(size)
          block.bytes.fill(0)
          fill(block.bytes.subarray(0, size) as Uint8Array<ArrayBuffer>)
        }
        return block.address
      },
      free: () => {
        if (block !== null) arena.free(block)
        block = null
      },
    }
  }
}

type Prepare = (sqe: Sqe) => Sqe

function prepares(
  { fixedFile }: FdMultishotOptions,
  prepare: Prepare,
  prepareOnce?: Prepare,
): { prepare: Prepare; prepareOnce?: Prepare } {
  const whole = fixedFile
    ? (fill: Prepare): Prepare =>
        (sqe) =>
          fill(sqe).addFlags(IOSQE_FIXED_FILE)
    : same
  return prepareOnce === undefined
    ? { prepare: whole(prepare) }
    : { prepare: whole(prepare), prepareOnce: whole(prepareOnce) }
}

function same(prepare: Prepare): Prepare {
  return prepare
}

/** Makes the entry take a buffer of the group. */
function select(sqe: Sqe, group: BufferGroup): Sqe {
  return sqe.addFlags(IOSQE_BUFFER_SELECT).setBufferGroup(group.id)
}

function checkedGroup<T extends GroupOptions>(driver: Driver, options: T): T {
  checkOptions(options)
  const { group } = options
  if (!(group instanceof BufferGroup)) throw invalidType('options.group', 'a BufferGroup', group)
  if (!group.belongsTo(driver)) throw invalidValue('options.group', group.id, 'is a group of another ring')
  if (group.closed) throw group.closedError()
  return options
}
