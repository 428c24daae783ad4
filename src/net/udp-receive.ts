// Receives datagrams by a multishot recvmsg. Each arrives in a provided buffer, behind a header and its
// sender's address. It is copied out, so that the buffer goes back to the kernel at once.

import {
  type Fd,
  IO_URING_RECVMSG_OUT,
  IOSQE_BUFFER_SELECT,
  MSGHDR,
  prepRecvmsgMultishot,
  SOCKADDR_IN6,
  type Sqe,
} from '../ring/index.js'
import type { Block } from '../runtime/arena.js'
import type { BufferGroup } from '../runtime/buffer-group.js'
import type { Uring } from '../runtime/index.js'
import { decodeSender } from '../runtime/message-block.js'
import { Multishot } from '../runtime/multishot.js'
import { Struct } from '../syscalls/struct.js'
import { interfaceName } from './address.js'
import { netError } from './errors.js'
import type { UdpMessage } from './udp.js'

const HEAD_BYTES = IO_URING_RECVMSG_OUT.size
const NAME_LENGTH_AT = IO_URING_RECVMSG_OUT.fields.namelen.offset
const NAME_BYTES = SOCKADDR_IN6.size
const DATA_AT = HEAD_BYTES + NAME_BYTES
/** The longest datagram there is, with the header and address in front of it. */
const BUFFER_BYTES = Math.ceil((65535 + DATA_AT) / 16) * 16
const BUFFER_COUNT = 64

// Shared by all sockets of a ring: a datagram is copied out of its buffer as soon as it is seen.
const groups = new WeakMap<Uring, BufferGroup>()

function groupOf(uring: Uring): BufferGroup {
  let group = groups.get(uring)
  if (group === undefined) {
    group = uring.createBufferGroup({ count: BUFFER_COUNT, size: BUFFER_BYTES })
    groups.set(uring, group)
  }
  return group
}

interface Sender {
  readonly address: string
  readonly port: number
  readonly family: 'IPv4' | 'IPv6'
}

/** Decodes the sender of a datagram. It keeps the last one, which mostly has sent the next datagram, too. */
class SenderReader {
  readonly #last = new Uint8Array(NAME_BYTES)
  #sender: Sender = { address: '', port: 0, family: 'IPv4' }

  read(name: Buffer): Sender {
    if (name.compare(this.#last, 0, name.length) === 0) return this.#sender
    const decoded = decodeSender(name, name.length)
    if (decoded === null || decoded.family === 'unix') return this.#sender
    const { family, port, scopeId = 0 } = decoded
    const address = scopeId === 0 ? decoded.address : `${decoded.address}%${interfaceName(scopeId)}`
    this.#last.set(name)
    this.#sender = { address, port, family }
    return this.#sender
  }
}

/** The datagrams of a socket. @param onEnd - Called when no operation of it is in flight any more. */
export function receiveDatagrams(
  uring: Uring,
  fd: Fd,
  options: { readonly highWaterMark: number; readonly signal: AbortSignal | undefined },
  onEnd: () => void,
): Multishot<UdpMessage> {
  const group = groupOf(uring)
  const senders = new SenderReader()
  const { arena } = uring.driver
  let header: Block | null = null
  return new Multishot<UdpMessage>(
    uring.driver,
    {
      syscall: 'recvmsg',
      owner: uring,
      // The operation does not keep the process alive: the socket decides that.
      standing: true,
      group,
      prepare: (sqe: Sqe) => {
        header ??= messageHeader(uring)
        prepRecvmsgMultishot(sqe, fd, header.address, 0)
          .addFlags(IOSQE_BUFFER_SELECT)
          .setBufferGroup(group.id)
      },
      take: (res, flags) => {
        const message = group.copy(res, flags)
        const nameLength = Math.min(message.readUInt32LE(NAME_LENGTH_AT), NAME_BYTES)
        const { address, port, family } = senders.read(message.subarray(HEAD_BYTES, HEAD_BYTES + nameLength))
        return { data: message.subarray(DATA_AT), address, port, family }
      },
      discard: () => {},
      error: (res) => netError(res, 'recvmsg'),
      free: () => {
        if (header !== null) arena.free(header)
        header = null
        onEnd()
      },
    },
    options,
  )
}

function messageHeader(uring: Uring): Block {
  const block = uring.driver.arena.alloc(MSGHDR.size)
  block.bytes.fill(0)
  const bytes = block.bytes.subarray(0, MSGHDR.size) as Uint8Array<ArrayBuffer>
  new Struct(MSGHDR, bytes).assign({ msg_namelen: NAME_BYTES, msg_controllen: 0 })
  return block
}
