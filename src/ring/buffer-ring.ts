// A provided-buffer ring: a queue in shared memory that hands buffers to the kernel. The kernel picks one for
// each operation with `IOSQE_BUFFER_SELECT` that has data. This file tracks which buffers the kernel has and
// how far each is used; it does not look at their contents.

import {
  IO_URING_BUF_REG,
  IO_URING_BUF_STATUS,
  IORING_CQE_BUFFER_SHIFT,
  IORING_CQE_F_BUF_MORE,
  IORING_CQE_F_BUFFER,
  IORING_OFF_MMAP_MASK,
  IORING_OFF_PBUF_RING,
  IORING_OFF_PBUF_SHIFT,
  IORING_REGISTER_PBUF_RING,
  IORING_REGISTER_PBUF_STATUS,
  IORING_UNREGISTER_PBUF_RING,
  IOU_PBUF_RING_INC,
  IOU_PBUF_RING_MMAP,
} from '../syscalls/abi/index.js'
import {
  checkBoolean,
  checkInteger,
  checkMembers,
  invalidState,
  invalidType,
  invalidValue,
  outOfRange,
} from '../syscalls/argument-errors.js'
import { EINVAL, ENOENT } from '../syscalls/errno-values.js'
import { MAX_VIEW_BYTES, MappedRegion, NOT_A_FILE } from '../syscalls/memory.js'
import { type Address, type BufferId, type GroupId, highWord, lowWord } from '../syscalls/numbers.js'
import { Struct } from '../syscalls/struct.js'
import { IS_TOTAL_STORE_ORDER } from './memory-order.js'
import { callRegister, checkMappable, checkRegister, type Hints, registerError } from './register/call.js'
import type { Ring } from './ring.js'

/**
 * The highest group that can be mapped from the kernel. The mmap offset holds the group number below the bits
 * that select what is mapped. The kernel does not check that the two overlap: it takes group 32768 for
 * another mapping.
 */
const MAX_MAPPED_GROUP = (2 ** 32 - IORING_OFF_MMAP_MASK) / 2 ** IORING_OFF_PBUF_SHIFT - 1

/** The tail counts modulo 2^16 and must tell a full ring from an empty one. */
const MAX_ENTRIES = 32768
const MAX_BUFFERS = 65536

// One `struct io_uring_buf` is four words or eight halves: address, length, id. The last half of the first one is the
// tail, so the fourth word of an entry is never stored whole.
const ENTRY_BYTES = 16
const ENTRY_WORDS = 4
const LENGTH_WORD = 2
const ENTRY_HALVES = 8
const ID_HALF = 6
const TAIL_HALF = 7

const NO_WORDS = new Int32Array(0)
const NO_HALVES = new Uint16Array(0)

/** What `BufferRing.setup` takes. */
export interface BufferRingOptions {
  /** The buffer group: what `Sqe.setBufferGroup` selects. */
  readonly group: GroupId
  /** How many buffers the kernel can have at a time: a power of two up to 32768. */
  readonly entries: number
  /**
   * Map memory for `bufferCount` buffers of this size, at most 4 GiB together, and provide them all. Default:
   * they come by `add`.
   */
  readonly bufferBytes?: number | undefined
  /** Buffer ids go from 0 to one below this. Default: `entries`; more (up to 65536) only without `bufferBytes`. */
  readonly bufferCount?: number | undefined
  /** A buffer takes the data of several completions, one behind the other, until it is full. Linux 6.12. */
  readonly incremental?: boolean | undefined
  /** With `incremental`: a buffer with less room than this is not used further. Newer than Linux 6.18. */
  readonly minLeftBytes?: number | undefined
  /**
   * Let the kernel allocate the queue, instead of pinning memory of this process. Its mapping keeps the whole
   * ring alive in the kernel until `close`. For groups up to 2047; not on a ring with
   * IORING_SETUP_REGISTERED_FD_ONLY. Linux 6.4.
   */
  readonly kernelMemory?: boolean | undefined
}

/** Sees a part of one buffer. */
export type SliceVisitor = (bid: BufferId, offset: number, length: number) => void

const MEMBERS = [
  'group',
  'entries',
  'bufferBytes',
  'bufferCount',
  'incremental',
  'minLeftBytes',
  'kernelMemory',
] as const

const HINTS: Hints = {
  EEXIST: 'the buffer group is in use, or the ring belongs to another thread',
  ENOENT: 'there is no such buffer group',
}

/** The buffer that a CQE names, or -1 when it names none. */
export function bufferIdOf(cqeFlags: number): BufferId {
  return cqeFlags & IORING_CQE_F_BUFFER ? cqeFlags >>> IORING_CQE_BUFFER_SHIFT : -1
}

interface Checked {
  readonly group: GroupId
  readonly entries: number
  readonly bufferBytes: number
  readonly bufferCount: number
  readonly incremental: boolean
  readonly kernelMemory: boolean
  readonly minLeftBytes: number
}

function check(options: BufferRingOptions): Checked {
  if (typeof options !== 'object' || options === null) throw invalidType('options', 'an object', options)
  checkMembers('options', options, MEMBERS)
  const entries = checkInteger('options.entries', options.entries, 1, MAX_ENTRIES)
  if ((entries & (entries - 1)) !== 0) throw outOfRange('options.entries', 'a power of two', entries)
  const bufferBytes =
    options.bufferBytes === undefined
      ? 0
      : checkInteger('options.bufferBytes', options.bufferBytes, 1, 0x7fff_ffff)
  const mostBuffers = bufferBytes > 0 ? entries : MAX_BUFFERS
  const bufferCount = checkInteger('options.bufferCount', options.bufferCount ?? entries, 1, mostBuffers)
  checkInteger('options.bufferCount * options.bufferBytes', bufferCount * bufferBytes, 0, MAX_VIEW_BYTES)
  const incremental = checkBoolean('options.incremental', options.incremental ?? false)
  const kernelMemory = checkBoolean('options.kernelMemory', options.kernelMemory ?? false)
  const group = checkInteger('options.group', options.group, 0, kernelMemory ? MAX_MAPPED_GROUP : 0xffff)
  const minLeftBytes = checkInteger('options.minLeftBytes', options.minLeftBytes ?? 0, 0, 0xffff_ffff)
  if (minLeftBytes > 0 && !incremental) {
    throw invalidValue('options.minLeftBytes', minLeftBytes, 'has a meaning with options.incremental only')
  }
  return { group, entries, bufferBytes, bufferCount, incremental, kernelMemory, minLeftBytes }
}

/** Registers the queue. @returns Its memory. */
function registerQueue(ring: Ring, options: Checked): MappedRegion {
  const { group, entries, incremental, kernelMemory, minLeftBytes } = options
  const bytes = entries * ENTRY_BYTES
  const own = kernelMemory ? null : MappedRegion.anonymous(bytes)
  const request = Struct.alloc(IO_URING_BUF_REG).assign({
    ring_addr: own?.address ?? 0,
    ring_entries: entries,
    bgid: group,
    flags: (incremental ? IOU_PBUF_RING_INC : 0) | (kernelMemory ? IOU_PBUF_RING_MMAP : 0),
    min_left: minLeftBytes,
  })
  try {
    checkRegister(callRegister(ring, IORING_REGISTER_PBUF_RING, request, 1), IORING_REGISTER_PBUF_RING, HINTS)
  } catch (error) {
    own?.unmap()
    throw error
  }
  if (own !== null) return own
  try {
    return MappedRegion.ofFile(
      ring.fd,
      bytes,
      IORING_OFF_PBUF_RING + group * 2 ** IORING_OFF_PBUF_SHIFT,
      NOT_A_FILE,
    )
  } catch (error) {
    unregister(ring, group)
    throw error
  }
}

function unregister(ring: Ring, group: GroupId): number {
  return callRegister(ring, IORING_UNREGISTER_PBUF_RING, Struct.alloc(IO_URING_BUF_REG).set('bgid', group), 1)
}

/**
 * A group of buffers provided to a ring. Linux 5.19.
 *
 * The life of a buffer: `add` and `advance` give it to the kernel (with `bufferBytes`, `setup` does so); a
 * CQE names it (`bufferIdOf`); `take` says which part of it was filled; once the data is used, `recycle`
 * gives it back.
 *
 * The memory stays mapped until `close`, even if this object is collected. Close it when no operation uses
 * the group any more, before or after the ring.
 *
 * @see io_uring_provided_buffers(7), io_uring_setup_buf_ring(3)
 */
export class BufferRing {
  readonly group: GroupId
  readonly entries: number
  readonly bufferCount: number
  readonly incremental: boolean
  readonly #ring: Ring
  readonly #queue: MappedRegion
  readonly #memory: MappedRegion | null
  readonly #mask: number
  // By buffer id. Kept here because the kernel rewrites address and length in the queue when it uses a buffer
  // in parts.
  readonly #addresses: Float64Array
  readonly #lengths: Uint32Array
  /** Bytes used by completions so far. */
  readonly #offsets: Uint32Array
  /** Where in the queue the buffer was put last. */
  readonly #slots: Uint16Array
  /** 1 while the kernel has the buffer, or will have it with the next `advance`. */
  readonly #given: Uint8Array
  #givenCount = 0
  #words: Int32Array = NO_WORDS
  #halves: Uint16Array = NO_HALVES
  // Both count modulo 2^16.
  /** The next slot to fill. */
  #tail = 0
  /** The tail that the kernel was last shown. */
  #published = 0
  #closed = false

  private constructor(ring: Ring, options: Checked, queue: MappedRegion, memory: MappedRegion | null) {
    const { group, entries, bufferCount, incremental } = options
    this.group = group
    this.entries = entries
    this.bufferCount = bufferCount
    this.incremental = incremental
    this.#ring = ring
    this.#queue = queue
    this.#memory = memory
    this.#mask = entries - 1
    this.#addresses = new Float64Array(bufferCount)
    this.#lengths = new Uint32Array(bufferCount)
    this.#offsets = new Uint32Array(bufferCount)
    this.#slots = new Uint16Array(bufferCount)
    this.#given = new Uint8Array(bufferCount)
    this.#words = new Int32Array(queue.buffer, 0, entries * ENTRY_WORDS)
    this.#halves = new Uint16Array(queue.buffer, 0, entries * ENTRY_HALVES)
  }

  /**
   * Registers a buffer group.
   *
   * @throws TypeError, RangeError for bad options; Error `ERR_INVALID_STATE` for `kernelMemory` on a ring
   *   without a descriptor; SystemError `mmap`, or `io_uring_register`: EEXIST (the group is in use), EINVAL (an
   *   option newer than the kernel), ENOMEM.
   */
  static setup(ring: Ring, options: BufferRingOptions): BufferRing {
    const checked = check(options)
    const { bufferBytes, bufferCount } = checked
    if (checked.kernelMemory) checkMappable(ring)
    const memory = bufferBytes > 0 ? MappedRegion.anonymous(bufferBytes * bufferCount) : null
    let queue: MappedRegion
    try {
      queue = registerQueue(ring, checked)
    } catch (error) {
      memory?.unmap()
      throw error
    }
    const buffers = new BufferRing(ring, checked, queue, memory)
    // Hold the memory and not this object: it refers to the ring, which could then never be collected.
    ring.hold(queue, [queue, memory])
    if (memory !== null) {
      for (let bid = 0; bid < bufferCount; bid++)
        buffers.add(memory.address + bid * bufferBytes, bufferBytes, bid)
      buffers.advance()
    }
    return buffers
  }

  get closed(): boolean {
    return this.#closed
  }

  /** @internal What `close` unmaps; none once closed. */
  get regions(): readonly MappedRegion[] {
    if (this.#closed) return []
    return this.#memory === null ? [this.#queue] : [this.#queue, this.#memory]
  }

  /** Buffers that the kernel has, or will have with the next `advance`. */
  get givenCount(): number {
    return this.#givenCount
  }

  /** Address of a buffer; 0 for an id that was never added. @throws RangeError. */
  bufferAddress(bid: BufferId): Address {
    this.#checkId(bid)
    return this.#addresses[bid]!
  }

  /** Bytes of a buffer; 0 for an id that was never added. @throws RangeError. */
  bufferLength(bid: BufferId): number {
    this.#checkId(bid)
    return this.#lengths[bid]!
  }

  /**
   * A view of part of a buffer that `setup` mapped. It is overwritten once the buffer is recycled, and empty once this
   * is closed.
   *
   * @throws RangeError past the end of the buffer; Error `ERR_INVALID_STATE` when closed, or for your own
   *   memory.
   */
  bytes(bid: BufferId, offset: number, length: number): Uint8Array<ArrayBuffer> {
    if (this.#closed) throw closedError()
    if (this.#memory === null) throw invalidState("The memory of these buffers is not this buffer ring's")
    this.#checkId(bid)
    const whole = this.#lengths[bid]!
    checkInteger('offset', offset, 0, whole)
    checkInteger('length', length, 0, whole - offset)
    return new Uint8Array(this.#memory.buffer, bid * whole + offset, length)
  }

  /**
   * Puts a buffer into the queue; the kernel sees it after `advance`. Its memory must outlive the group.
   *
   * @param length - Bytes, 1 to 4294967295.
   * @param bid - The id that CQEs will carry, 0 to `bufferCount - 1`.
   * @throws RangeError; Error `ERR_INVALID_STATE` when the kernel has this buffer already, or `entries` buffers.
   * @see io_uring_buf_ring_add(3)
   */
  add(address: Address, length: number, bid: BufferId): void {
    if (this.#closed) throw closedError()
    this.#checkId(bid)
    if (!Number.isSafeInteger(address) || address <= 0)
      checkInteger('address', address, 1, Number.MAX_SAFE_INTEGER)
    if (length >>> 0 !== length || length === 0) checkInteger('length', length, 1, 0xffff_ffff)
    if (this.#given[bid] !== 0) throw givenError(bid)
    if (this.#givenCount >= this.entries)
      throw invalidState(`The kernel has ${this.entries} buffers of this group already`)
    this.#given[bid] = 1
    this.#givenCount++
    this.#addresses[bid] = address
    this.#lengths[bid] = length
    this.#put(bid)
  }

  /**
   * Shows the kernel the buffers added since the last call.
   *
   * @returns How many.
   * @see io_uring_buf_ring_advance(3)
   */
  advance(): number {
    if (this.#closed) throw closedError()
    const tail = this.#tail
    const count = (tail - this.#published) & 0xffff
    // Order: the words of the entries, then the tail.
    // Pairs with: the kernel's load-acquire of the tail when it picks a buffer.
    // Without it: the kernel writes to the address that the slot held before.
    // The tail is a 16-bit word that wraps; a wider store would overwrite the id of the first entry.
    // Where the processor keeps stores in order, a plain store is a release.
    if (IS_TOTAL_STORE_ORDER) this.#halves[TAIL_HALF] = tail
    else Atomics.store(this.#halves, TAIL_HALF, tail)
    this.#published = tail
    return count
  }

  /**
   * Records what a CQE says about its buffer. Call it once for each CQE that names a buffer, in order.
   *
   * @param res - The CQE's `res`: bytes filled.
   * @param cqeFlags - The CQE's `flags`.
   * @returns Where in the buffer those bytes start: 0, unless the group is incremental.
   * @throws TypeError for a CQE without a buffer; RangeError for a `res` that no CQE has; Error
   *   `ERR_INVALID_STATE` when the kernel did not have that buffer, or when there are more bytes than fit into
   *   it (a bundle, for which there is `forEachSlice`).
   */
  take(res: number, cqeFlags: number): number {
    const bid = this.#named(res, cqeFlags)
    const offset = this.#offsets[bid]!
    const used = Math.max(res, 0)
    if (used > this.#lengths[bid]! - offset)
      throw invalidState(`${used} bytes span several buffers: use forEachSlice()`)
    if (cqeFlags & IORING_CQE_F_BUF_MORE) this.#offsets[bid] = offset + used
    else this.#takeBack(bid)
    return offset
  }

  /**
   * As `take`, for a bundle: one CQE that fills buffer after buffer (`IORING_RECVSEND_BUNDLE`, Linux 6.10).
   *
   * @param visit - Sees the filled part of each buffer, in order. It may recycle buffers.
   * @returns How many buffers have data.
   * @throws As `take`.
   */
  forEachSlice(res: number, cqeFlags: number, visit: SliceVisitor): number {
    let bid = this.#named(res, cqeFlags)
    let slot = this.#slots[bid]!
    let rest = Math.max(res, 0)
    let count = 0
    for (;;) {
      const offset = this.#offsets[bid]!
      const length = Math.min(rest, this.#lengths[bid]! - offset)
      rest -= length
      slot = (slot + 1) & this.#mask
      // Read the next slot's id before the visitor runs: a buffer that it recycles may be put into that slot.
      const next = this.#halves[slot * ENTRY_HALVES + ID_HALF]!
      if (rest === 0 && cqeFlags & IORING_CQE_F_BUF_MORE) this.#offsets[bid] = offset + length
      else this.#takeBack(bid)
      if (length > 0) {
        count++
        visit(bid, offset, length)
      }
      if (rest === 0) return count
      if (this.#closed) return count
      if (this.#given[next] !== 1)
        throw invalidState(`${rest} bytes are more than the buffers behind ${bid} hold`)
      bid = next
    }
  }

  /**
   * Gives a taken buffer back to the kernel, whole and at once.
   *
   * @throws RangeError; Error `ERR_INVALID_STATE` while the kernel has it (`take` first), or when it was never added.
   */
  recycle(bid: BufferId): void {
    if (this.#closed) throw closedError()
    this.#checkId(bid)
    if (this.#given[bid] !== 0) throw givenError(bid)
    if (this.#addresses[bid] === 0) throw invalidState(`Buffer ${bid} was never added`)
    if (this.#givenCount >= this.entries)
      throw invalidState(`The kernel has ${this.entries} buffers of this group already`)
    this.#given[bid] = 1
    this.#givenCount++
    this.#put(bid)
    this.advance()
  }

  /**
   * The kernel's head: how many buffers it has used up since `setup`, modulo 65536. Linux 6.8.
   *
   * @throws SystemError `io_uring_register`: EINVAL from an older kernel.
   * @see io_uring_buf_ring_head(3)
   */
  head(): number {
    if (this.#closed) throw closedError()
    const status = Struct.alloc(IO_URING_BUF_STATUS).set('buf_group', this.group)
    const opcode = IORING_REGISTER_PBUF_STATUS
    checkRegister(callRegister(this.#ring, opcode, status, 1), opcode, HINTS)
    return status.get('head')
  }

  /** Buffers in the queue that the kernel has not used up. Linux 6.8. @throws As `head`. */
  available(): number {
    return (this.#published - this.head()) & 0xffff
  }

  /**
   * Unregisters the group and unmaps what `setup` mapped; after the ring is closed it only unmaps. A second call does
   * nothing. Operations that select from the group must have ended: one in flight could still write.
   *
   * @throws SystemError `io_uring_register` when the kernel keeps the group (a foreign thread, restrictions).
   *   Nothing is unmapped then.
   */
  close(): void {
    if (this.#closed) return
    if (!this.#ring.closed) {
      const result = unregister(this.#ring, this.group)
      // A group that no longer exists is no failure.
      if (result < 0 && result !== ENOENT && result !== EINVAL) {
        throw registerError(result, IORING_UNREGISTER_PBUF_RING)
      }
      this.#ring.hold(this.#queue, undefined)
    }
    this.#closed = true
    // Views first: using a stale view is a segfault, using an empty one an error.
    this.#words = NO_WORDS
    this.#halves = NO_HALVES
    this.#queue.unmap()
    this.#memory?.unmap()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #put(bid: BufferId): void {
    const slot = this.#tail & this.#mask
    const at = slot * ENTRY_WORDS
    const address = this.#addresses[bid]!
    const words = this.#words
    words[at] = lowWord(address)
    words[at + 1] = highWord(address)
    words[at + LENGTH_WORD] = this.#lengths[bid]!
    this.#halves[slot * ENTRY_HALVES + ID_HALF] = bid
    this.#slots[bid] = slot
    this.#offsets[bid] = 0
    this.#tail = (this.#tail + 1) & 0xffff
  }

  /** The buffer that a CQE names, which the kernel must have had. */
  #named(res: number, cqeFlags: number): BufferId {
    if (this.#closed) throw closedError()
    // NaN would pass every comparison with the lengths of the buffers.
    if ((res | 0) !== res) checkInteger('res', res, -0x8000_0000, 0x7fff_ffff)
    const bid = bufferIdOf(cqeFlags)
    if (bid < 0) throw invalidValue('cqeFlags', cqeFlags, 'names no buffer (IORING_CQE_F_BUFFER)')
    if (this.#given[bid] !== 1)
      throw invalidState(`Buffer ${bid} is not the kernel's: was its CQE taken already?`)
    return bid
  }

  #takeBack(bid: BufferId): void {
    this.#given[bid] = 0
    this.#givenCount--
  }

  #checkId(bid: BufferId): void {
    if (bid >>> 0 !== bid || bid >= this.bufferCount) checkInteger('bid', bid, 0, this.bufferCount - 1)
  }
}

function closedError(): Error {
  return invalidState('The buffer ring is closed')
}

function givenError(bid: BufferId): Error {
  return invalidState(`The kernel has buffer ${bid}: take() it when a CQE names it, then give it back`)
}
