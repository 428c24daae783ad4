// Finds the memory that an entry names: for each opcode that moves data, where its buffers are. Replaces
// buffers that are mappings of files by copies in driver memory.

import {
  type Address,
  addressOf,
  IORING_OP_PROVIDE_BUFFERS,
  IORING_OP_READ,
  IORING_OP_READV,
  IORING_OP_RECV,
  IORING_OP_RECVMSG,
  IORING_OP_SEND,
  IORING_OP_SEND_ZC,
  IORING_OP_SENDMSG,
  IORING_OP_SENDMSG_ZC,
  IORING_OP_WRITE,
  IORING_OP_WRITEV,
  IORING_SEND_VECTORIZED,
  IOSQE_BUFFER_SELECT,
  IOVEC,
  MAX_VECTORS,
  MSGHDR,
} from '../ring/index.js'
import { EFAULT } from '../syscalls/errno-values.js'
import { kernelCopy } from '../syscalls/kernel-copy.js'
import type { Arena, Block } from './arena.js'

/** The most that one operation copies; a longer one comes back short, as reads and writes may. */
const COPY_LIMIT_BYTES = 1 << 22

const ADDRESS_WORD = 4
const LENGTH_WORD = 6
const SELECT_BIT = IOSQE_BUFFER_SELECT << 8
const VECTORIZED_BIT = IORING_SEND_VECTORIZED << 16
const VECTORS_AT = MSGHDR.fields.msg_iov.offset
const COUNT_AT = MSGHDR.fields.msg_iovlen.offset

type Shape = 'bytes' | 'vectors' | 'message'

interface Kind {
  readonly shape: Shape
  /** The kernel stores into the memory; otherwise it loads from there. */
  readonly stores: boolean
  /**
   * Part of the data is not enough: unless all can be loaded the operation fails, as it does in the kernel.
   */
  readonly isWhole: boolean
  /** The memory is for later operations. */
  readonly providesBuffers?: boolean
}

const read = (shape: Shape): Kind => ({ shape, stores: true, isWhole: false })
const write = (shape: Shape): Kind => ({ shape, stores: false, isWhole: false })
const send = (shape: Shape): Kind => ({ shape, stores: false, isWhole: true })

const KINDS: (Kind | undefined)[] = []
KINDS[IORING_OP_READ] = read('bytes')
KINDS[IORING_OP_READV] = read('vectors')
KINDS[IORING_OP_RECV] = read('bytes')
KINDS[IORING_OP_RECVMSG] = read('message')
KINDS[IORING_OP_WRITE] = write('bytes')
KINDS[IORING_OP_WRITEV] = write('vectors')
KINDS[IORING_OP_SEND] = KINDS[IORING_OP_SEND_ZC] = send('bytes')
KINDS[IORING_OP_SENDMSG] = KINDS[IORING_OP_SENDMSG_ZC] = send('message')
KINDS[IORING_OP_PROVIDE_BUFFERS] = { ...read('bytes'), providesBuffers: true }
const SEND_VECTORS = send('vectors')

/** One buffer of an entry. */
export interface Segment {
  readonly address: Address
  readonly length: number
  /** It is a mapping of a file, or partly so. */
  isMapped: boolean
}

/** The buffers of an entry. */
export interface EntryMemory {
  readonly kind: Kind
  readonly segments: readonly Segment[]
}

/** Driver memory that replaces buffers of an operation. */
export interface Bounce {
  readonly block: Block
  /** After the final CQE: copies what was read to the caller's buffers. Returns `res`, or -EFAULT. */
  readonly finish: ((res: number) => number) | null
}

function addressIn(words: Int32Array): Address {
  return (words[ADDRESS_WORD]! >>> 0) + (words[ADDRESS_WORD + 1]! >>> 0) * 2 ** 32
}

function setAddress(words: Int32Array, address: Address): void {
  words[ADDRESS_WORD] = address | 0
  words[ADDRESS_WORD + 1] = Math.floor(address / 2 ** 32)
}

/** A copy of the bytes at `address`, or null where they cannot all be loaded. */
function peek(address: Address, length: number): DataView | null {
  const bytes = new Uint8Array(length)
  return kernelCopy(address, addressOf(bytes), length) === length ? new DataView(bytes.buffer) : null
}

function poke(address: Address, value: bigint): void {
  const bytes = new BigUint64Array([value])
  kernelCopy(addressOf(bytes), address, bytes.byteLength)
}

/** The buffers that a prepared entry names, or null when it names none. */
export function entryMemory(words: Int32Array): EntryMemory | null {
  const head = words[0]!
  const opcode = head & 0xff
  let kind = KINDS[opcode]
  if (kind === undefined || (kind.stores && head & SELECT_BIT)) return null
  const isSend = opcode === IORING_OP_SEND || opcode === IORING_OP_SEND_ZC
  if (isSend && head & VECTORIZED_BIT) kind = SEND_VECTORS
  const address = addressIn(words)
  const length = words[LENGTH_WORD]! >>> 0
  if (kind.shape === 'bytes') {
    // IORING_OP_PROVIDE_BUFFERS has the number of its buffers where others have the descriptor.
    const count = opcode === IORING_OP_PROVIDE_BUFFERS ? words[1]! : 1
    return { kind, segments: [{ address, length: length * count, isMapped: false }] }
  }
  if (kind.shape === 'vectors') return vectorMemory(kind, address, length)
  const header = peek(address, MSGHDR.size)
  if (header === null) return null
  const count = Number(header.getBigUint64(COUNT_AT, true))
  return vectorMemory(kind, Number(header.getBigUint64(VECTORS_AT, true)), count)
}

function vectorMemory(kind: Kind, address: Address, count: number): EntryMemory | null {
  // What the kernel will refuse is left to it.
  if (count === 0 || count > MAX_VECTORS) return null
  const vectors = peek(address, count * IOVEC.size)
  if (vectors === null) return null
  const segments: Segment[] = []
  for (let at = 0; at < vectors.byteLength; at += IOVEC.size) {
    const start = Number(vectors.getBigUint64(at, true))
    segments.push({ address: start, length: Number(vectors.getBigUint64(at + 8, true)), isMapped: false })
  }
  return { kind, segments }
}

/**
 * Replaces the mapped buffers of an entry by copies.
 *
 * @returns null when too little could be loaded: the entry is left as it is, for the kernel to answer EFAULT.
 */
export function bounceEntry(words: Int32Array, memory: EntryMemory, arena: Arena): Bounce | null {
  const { kind, segments } = memory
  const headerBytes = kind.shape === 'message' ? MSGHDR.size : 0
  const listBytes = kind.shape === 'bytes' ? 0 : segments.length * IOVEC.size
  const mapped = segments.reduce((sum, { isMapped, length }) => sum + (isMapped ? length : 0), 0)
  const block = arena.alloc(headerBytes + listBytes + Math.min(mapped, COPY_LIMIT_BYTES))
  const placed = place(memory, block, headerBytes + listBytes)
  if (placed === null) {
    arena.free(block)
    return null
  }
  let restore: (() => void) | null = null
  if (kind.shape === 'bytes') {
    setAddress(words, placed[0]!.at)
    words[LENGTH_WORD] = placed[0]!.length
  } else {
    placed.forEach(({ at, length }, index) => {
      block.view.setBigUint64(headerBytes + index * IOVEC.size, BigInt(at), true)
      block.view.setBigUint64(headerBytes + index * IOVEC.size + 8, BigInt(length), true)
    })
    if (kind.shape === 'vectors') {
      setAddress(words, block.address)
      words[LENGTH_WORD] = placed.length
    } else restore = redirectMessage(words, kind, block, placed.length)
  }
  const finish = kind.stores
    ? (res: number): number => {
        restore?.()
        return giveBack(segments, placed, res)
      }
    : null
  return { block, finish }
}

/** Where a segment's data is during the operation. */
interface Place {
  readonly at: Address
  readonly length: number
}

/** Copies what is to be written; null when the operation is to fail. */
function place({ kind, segments }: EntryMemory, block: Block, dataAt: number): Place[] | null {
  const places: Place[] = []
  let at = block.address + dataAt
  let room = COPY_LIMIT_BYTES
  for (const { address, length, isMapped } of segments) {
    if (!isMapped) {
      places.push({ at: address, length })
      continue
    }
    const wanted = Math.min(length, room)
    const count = kind.stores ? wanted : kernelCopy(address, at, wanted)
    if (count < wanted && (kind.isWhole || (count <= 0 && places.length === 0))) return null
    if (count > 0 || length === 0) places.push({ at, length: Math.max(0, count) })
    if (count < length) break
    at += count
    room -= count
  }
  return places
}

/** Puts our vectors into the entry's header. @returns What undoes that, if the header is the caller's own. */
function redirectMessage(words: Int32Array, kind: Kind, block: Block, count: number): (() => void) | null {
  const original = addressIn(words)
  const ours = BigInt(block.address + MSGHDR.size)
  if (!kind.stores) {
    kernelCopy(original, block.address, MSGHDR.size)
    block.view.setBigUint64(VECTORS_AT, ours, true)
    block.view.setBigUint64(COUNT_AT, BigInt(count), true)
    setAddress(words, block.address)
    return null
  }
  // The kernel also stores into the header, so the entry must keep the one that the caller reads.
  const header = peek(original, MSGHDR.size)!
  poke(original + VECTORS_AT, ours)
  poke(original + COUNT_AT, BigInt(count))
  return () => {
    poke(original + VECTORS_AT, header.getBigUint64(VECTORS_AT, true))
    poke(original + COUNT_AT, header.getBigUint64(COUNT_AT, true))
  }
}

function giveBack(segments: readonly Segment[], places: readonly Place[], res: number): number {
  let left = res
  for (const [index, { at, length }] of places.entries()) {
    const { address, isMapped } = segments[index]!
    const count = Math.min(left, length)
    if (count <= 0) break
    if (isMapped && kernelCopy(at, address, count) < count) return EFAULT
    left -= count
  }
  return res
}
