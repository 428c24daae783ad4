// Registered buffers: memory that the kernel pins once, for operations that name it by index (such as
// `prepReadFixed`).

import {
  IO_URING_CLONE_BUFFERS,
  IO_URING_RSRC_REGISTER,
  IO_URING_RSRC_UPDATE2,
  IORING_REGISTER_BUFFERS,
  IORING_REGISTER_BUFFERS_UPDATE,
  IORING_REGISTER_BUFFERS2,
  IORING_REGISTER_CLONE_BUFFERS,
  IORING_REGISTER_DST_REPLACE,
  IORING_REGISTER_SRC_REGISTERED,
  IORING_RSRC_REGISTER_SPARSE,
  IORING_SETUP_REGISTERED_FD_ONLY,
  IORING_UNREGISTER_BUFFERS,
  IOVEC,
} from '../../syscalls/abi/index.js'
import {
  checkInteger,
  checkMembers,
  invalidState,
  invalidType,
  invalidValue,
  outOfRange,
} from '../../syscalls/argument-errors.js'
import { addressOf, byteLengthOf } from '../../syscalls/memory.js'
import type { Address } from '../../syscalls/numbers.js'
import { Struct } from '../../syscalls/struct.js'
import type { Ring } from '../ring.js'
import { callRegister, checkedCopy, checkRegister, checkTags, type Hints, type Tag, words64 } from './call.js'
import { dropBuffers, heldMemory, holdBuffers, releaseRetired } from './held-buffers.js'

/** Slots of a buffer table. Before Linux 5.13 the kernel's bound was 1024. */
export const MAX_REGISTERED_BUFFERS = 16384

const MAX_BUFFER_BYTES = 2 ** 30

/**
 * Memory to register: JavaScript memory, or a range that the caller keeps (a `MappedRegion` is one). Null stands for a
 * slot to be filled later. An ArrayBuffer that is registered must not be transferred.
 */
export type RegisterableBuffer =
  | ArrayBuffer
  | ArrayBufferView
  | { readonly address: Address; readonly length: number }
  | null

/** Options of `registerBuffers`. */
export interface RegisterBuffersOptions {
  /**
   * One per buffer, 0 for none. When a tagged buffer was replaced or unregistered and no operation uses it any more, a
   * CQE comes with the tag as its user_data: hand it to `releaseBufferTag`. Linux 5.13.
   */
  readonly tags?: readonly Tag[] | undefined
}

const HINTS: Hints = {
  EBUSY: 'buffers are registered already: update them, or unregister them first',
  EFAULT:
    'a buffer is file-backed, read-only or not mapped, or longer than 1 GiB: only writable anonymous memory can be registered',
  // Node's name for EOPNOTSUPP, which older kernels answer for the same.
  ENOTSUP: 'a buffer is file-backed: only anonymous memory can be registered',
  ENXIO: 'no buffers are registered',
}

interface Vectors {
  readonly iovecs: Struct<'iov_base' | 'iov_len'>
  /** What to hold, by slot. */
  readonly memory: readonly unknown[]
}

function checkBuffers(given: readonly RegisterableBuffer[], room: number): Vectors {
  const buffers = checkedCopy('buffers', given, room)
  const iovecs = Struct.alloc(IOVEC, buffers.length)
  const memory = buffers.map((buffer: RegisterableBuffer, index) => {
    if (buffer === null) return undefined
    const range = rangeOf(`buffers[${index}]`, buffer)
    iovecs.assign({ iov_base: range.address, iov_len: range.length }, index)
    return buffer
  })
  return { iovecs, memory }
}

function rangeOf(
  name: string,
  buffer: Exclude<RegisterableBuffer, null>,
): { address: Address; length: number } {
  const isMemory = ArrayBuffer.isView(buffer) || buffer instanceof ArrayBuffer
  if (!isMemory && (typeof buffer !== 'object' || !('address' in buffer) || !('length' in buffer))) {
    throw invalidType(name, 'an ArrayBuffer, a view, { address, length } or null', buffer)
  }
  // The bound on a view is checked first: an empty one has no address.
  const length = isMemory ? byteLengthOf(buffer) : buffer.length
  checkInteger(`${name}.${isMemory ? 'byteLength' : 'length'}`, length, 1, MAX_BUFFER_BYTES)
  const address = isMemory ? addressOf(buffer) : buffer.address
  return { address: checkInteger(`${name}.address`, address, 1, Number.MAX_SAFE_INTEGER), length }
}

function checkBufferTags(name: string, tags: readonly Tag[], memory: readonly unknown[]): bigint[] {
  const words = checkTags(name, tags, memory.length)
  for (let index = 0; index < words.length; index++) {
    if (words[index] !== 0n && memory[index] === undefined) {
      throw invalidValue(`${name}[${index}]`, tags[index], 'tags a slot without a buffer')
    }
  }
  return words
}

/**
 * Registers a table of buffers; the ring must not have one yet. The ring keeps the buffers alive until they
 * are replaced or unregistered, tagged ones until `releaseBufferTag`. The caller must still keep the memory
 * of operations in flight.
 *
 * @param buffers - 1 to 16384 (1024 before Linux 5.13) of 1 byte to 1 GiB. Null leaves a slot empty (Linux 5.13).
 * @throws TypeError, RangeError for bad arguments; SystemError `io_uring_register`: EBUSY (there is a table), EFAULT
 *   (file-backed or read-only memory), ENOMEM (RLIMIT_MEMLOCK), EINVAL (an older kernel). Linux 5.1.
 * @see io_uring_register_buffers(3), io_uring_register_buffers_tags(3), io_uring_registered_buffers(7)
 */
export function registerBuffers(
  ring: Ring,
  buffers: readonly RegisterableBuffer[],
  options: RegisterBuffersOptions = {},
): void {
  checkMembers('options', options, ['tags'])
  const { iovecs, memory } = checkBuffers(buffers, MAX_REGISTERED_BUFFERS)
  const tags = options.tags === undefined ? null : checkBufferTags('options.tags', options.tags, memory)
  if (tags === null) {
    const result = callRegister(ring, IORING_REGISTER_BUFFERS, iovecs, memory.length, memory)
    checkRegister(result, IORING_REGISTER_BUFFERS, HINTS)
  } else {
    const tagWords = words64(tags)
    // Each tag comes back as a CQE.
    ring.expectForeignCqes()
    const request = Struct.alloc(IO_URING_RSRC_REGISTER)
    request.assign({ nr: memory.length, data: iovecs.address, tags: tagWords.address })
    const size = IO_URING_RSRC_REGISTER.size
    const result = callRegister(ring, IORING_REGISTER_BUFFERS2, request, size, iovecs, tagWords, memory)
    checkRegister(result, IORING_REGISTER_BUFFERS2, HINTS)
  }
  holdBuffers(ring, 0, memory, tags)
}

/**
 * Registers a table of `count` empty slots, to be filled by `registerBuffersUpdateTag`. Linux 5.19.
 *
 * @param count - 1 to 16384.
 * @throws As `registerBuffers`.
 * @see io_uring_register_buffers_sparse(3)
 */
export function registerBuffersSparse(ring: Ring, count: number): void {
  checkInteger('count', count, 1, MAX_REGISTERED_BUFFERS)
  const request = Struct.alloc(IO_URING_RSRC_REGISTER).assign({
    nr: count,
    flags: IORING_RSRC_REGISTER_SPARSE,
  })
  const result = callRegister(ring, IORING_REGISTER_BUFFERS2, request, IO_URING_RSRC_REGISTER.size)
  checkRegister(result, IORING_REGISTER_BUFFERS2, HINTS)
}

/**
 * Replaces registered buffers from slot `offset` on. Operations in flight go on with the old ones. Linux 5.13.
 *
 * @param offset - The first slot.
 * @param buffers - Null empties a slot.
 * @param tags - One per buffer, 0 for none; see `RegisterBuffersOptions`.
 * @returns How many slots were replaced: fewer than asked when a later buffer was refused.
 * @throws TypeError, RangeError; SystemError: as `registerBuffers` when the first buffer is refused; ENXIO without a
 *   table; EINVAL past its end.
 * @see io_uring_register_buffers_update_tag(3)
 */
export function registerBuffersUpdateTag(
  ring: Ring,
  offset: number,
  buffers: readonly RegisterableBuffer[],
  tags?: readonly Tag[],
): number {
  checkInteger('offset', offset, 0, MAX_REGISTERED_BUFFERS - 1)
  const { iovecs, memory } = checkBuffers(buffers, MAX_REGISTERED_BUFFERS - offset)
  const words = tags === undefined ? null : checkBufferTags('tags', tags, memory)
  const tagWords = words === null ? null : words64(words)
  // Each tag comes back as a CQE.
  if (tagWords !== null) ring.expectForeignCqes()
  const request = Struct.alloc(IO_URING_RSRC_UPDATE2)
  request.assign({ offset, data: iovecs.address, tags: tagWords?.address ?? 0, nr: memory.length })
  const opcode = IORING_REGISTER_BUFFERS_UPDATE
  const result = callRegister(ring, opcode, request, IO_URING_RSRC_UPDATE2.size, iovecs, tagWords, memory)
  const replaced = checkRegister(result, opcode, HINTS)
  holdBuffers(ring, offset, memory.slice(0, replaced), words)
  return replaced
}

/**
 * Removes the table. From Linux 6.13 on operations in flight go on with the buffers they have. Older kernels
 * wait for those operations and post no CQEs for tags: tagged memory is then held until the ring closes.
 * Linux 5.1.
 *
 * @throws SystemError `io_uring_register`: ENXIO when there is no table.
 * @see io_uring_unregister_buffers(3)
 */
export function unregisterBuffers(ring: Ring): void {
  checkRegister(callRegister(ring, IORING_UNREGISTER_BUFFERS, null, 0), IORING_UNREGISTER_BUFFERS, HINTS)
  dropBuffers(ring)
}

/**
 * Releases the memory of a tagged buffer. Call it with the user_data of the CQE that the kernel posts when it
 * is done with a replaced or unregistered buffer. Memory that is never released is held until the ring
 * closes.
 *
 * @returns Whether a buffer was waiting for this tag; if false, the CQE belongs to something else.
 */
export function releaseBufferTag(ring: Ring, userDataLow: number, userDataHigh = 0): boolean {
  checkInteger('userDataLow', userDataLow, 0, 0xffff_ffff)
  checkInteger('userDataHigh', userDataHigh, 0, 0xffff_ffff)
  return releaseRetired(ring, (BigInt(userDataHigh) << 32n) | BigInt(userDataLow))
}

const CLONE_HINTS: Hints = {
  EBUSY:
    'the destination has a buffer table: unregister it, or pass IORING_REGISTER_DST_REPLACE (Linux 6.13)',
  ENXIO: 'the source has no registered buffers',
  EOVERFLOW: 'the range ends past the buffers of the source',
  EBADF: 'the source is no open ring of this process',
}

/**
 * Gives `destination` the whole buffer table of `source`, without pinning anything again. Each of the two
 * rings then keeps the memory alive. Linux 6.12.
 *
 * @throws SystemError `io_uring_register`: EBUSY (the destination has a table), ENXIO (the source has none).
 * @see io_uring_clone_buffers(3)
 */
export function cloneBuffers(destination: Ring, source: Ring): void {
  cloneBuffersOffset(destination, source, 0, 0, 0, 0)
}

/**
 * Gives `destination` a range of the buffers of `source`. Linux 6.13.
 *
 * @param destinationOffset - First slot to fill; the table grows as needed.
 * @param sourceOffset - First slot to copy.
 * @param count - Slots; 0 with both offsets 0 is the whole table.
 * @param flags - `IORING_REGISTER_DST_REPLACE` where the destination has a table already.
 * @throws RangeError; SystemError as `cloneBuffers`, and EOVERFLOW past the end of the source.
 * @see io_uring_clone_buffers_offset(3)
 */
export function cloneBuffersOffset(
  destination: Ring,
  source: Ring,
  destinationOffset: number,
  sourceOffset: number,
  count: number,
  flags = 0,
): void {
  checkInteger('destinationOffset', destinationOffset, 0, MAX_REGISTERED_BUFFERS - 1)
  checkInteger('sourceOffset', sourceOffset, 0, MAX_REGISTERED_BUFFERS - 1)
  checkInteger('count', count, 0, MAX_REGISTERED_BUFFERS)
  if (flags !== 0 && flags !== IORING_REGISTER_DST_REPLACE) {
    throw outOfRange('flags', '0 or IORING_REGISTER_DST_REPLACE', flags)
  }
  if (source.closed) throw invalidState('The source ring is closed')
  // Look up the memory before the call: cloning a ring onto itself changes the table that is read here.
  const memory = heldMemory(source, sourceOffset, count)
  // A ring without a descriptor is found by its index among the rings that this thread registered.
  const byIndex = source.flags & IORING_SETUP_REGISTERED_FD_ONLY ? IORING_REGISTER_SRC_REGISTERED : 0
  const request = Struct.alloc(IO_URING_CLONE_BUFFERS)
  request.assign({
    src_fd: source.fd,
    flags: flags | byIndex,
    src_off: sourceOffset,
    dst_off: destinationOffset,
    nr: count,
  })
  const result = callRegister(destination, IORING_REGISTER_CLONE_BUFFERS, request, 1)
  checkRegister(result, IORING_REGISTER_CLONE_BUFFERS, CLONE_HINTS)
  holdBuffers(destination, destinationOffset, memory, null)
}
