// Memory that the kernel accesses: the addresses of JavaScript buffers, and mapped regions, which own all
// views over themselves and empty them when they are unmapped.

import { types } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
  MAP_ANONYMOUS,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
} from './abi/memory-flags.js'
import { invalidState, invalidType, invalidValue, outOfRange } from './argument-errors.js'
import { checkResult } from './errno.js'
import { type ListedMapping, listFileMapping } from './file-mappings.js'
import { madvise, mlock, mmap, munlock, munmap, pointerTo, viewMemory } from './libc.js'
import type { Address, Fd } from './numbers.js'

// By what they are, and not by their class: memory of another realm (node:vm) is memory as well.
const { isArrayBuffer, isDataView } = types

/** The page size that every supported 64-bit target accepts as an alignment (arm64 may run 64 KiB pages). */
export const PAGE_BYTES = 4096

/** The most that one ArrayBuffer can be over in every Node that is supported: it is the bound of Node 20. */
export const MAX_VIEW_BYTES = 2 ** 32

/** For `MappedRegion.ofFile`: what is mapped is the kernel's side of a ring, which nothing cuts short. */
export const NOT_A_FILE = { listed: false } as const

const MAX_FLAG_RACES = 100

type Transfer = (this: ArrayBuffer) => ArrayBuffer

/**
 * `ArrayBuffer.prototype.transfer`. Node 20 has it behind a flag only (not 22), which is set for a moment.
 */
function findTransfer(): Transfer {
  const own = (ArrayBuffer.prototype as { transfer?: Transfer }).transfer
  if (own !== undefined) return own
  // The flag is process-wide: another thread may clear it between our two steps, so they are repeated.
  for (let attempt = 0; attempt < MAX_FLAG_RACES; attempt++) {
    setFlagsFromString('--harmony-rab-gsab-transfer')
    const found = runInNewContext('ArrayBuffer.prototype.transfer') as Transfer | undefined
    setFlagsFromString('--no-harmony-rab-gsab-transfer')
    if (found !== undefined) return found
  }
  throw new Error('ArrayBuffer.prototype.transfer is not to be had: Node 20.11 or later is needed')
}

let transfer: Transfer | undefined

/**
 * Empties an ArrayBuffer and every view over it. structuredClone would not do: Node marks the memory of
 * addons as not transferable, and Node 20 then silently copies it.
 */
function detach(buffer: ArrayBuffer): void {
  transfer ??= findTransfer()
  transfer.call(buffer)
  if (buffer.byteLength !== 0) throw new Error('An ArrayBuffer over mapped memory could not be detached')
}

// Asking koffi costs a call and a BigInt; the memory of an ArrayBuffer never moves, so its base is asked for once.
const bases = new WeakMap<ArrayBuffer, Address>()

type View = ArrayBufferView | ArrayBuffer

// A subclass or an own property can make a view report a wrong length. The kernel would be given that length
// and write past the end of the memory. These getters read the true values from the engine.
function getterOf<T = number>(prototype: object, name: string): (this: View) => T {
  return Object.getOwnPropertyDescriptor(prototype, name)!.get as (this: View) => T
}
const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object
const typedByteLength = getterOf(typedArray, 'byteLength')
const typedByteOffset = getterOf(typedArray, 'byteOffset')
const typedBuffer = getterOf<ArrayBufferLike>(typedArray, 'buffer')
const dataByteLength = getterOf(DataView.prototype, 'byteLength')
const dataByteOffset = getterOf(DataView.prototype, 'byteOffset')
const dataBuffer = getterOf<ArrayBufferLike>(DataView.prototype, 'buffer')
const ownByteLength = getterOf(ArrayBuffer.prototype, 'byteLength')

/**
 * The true length of `memory` in bytes.
 *
 * @throws TypeError `ERR_INVALID_ARG_VALUE` when its `byteLength` or `length` differs, and for a detached
 *   DataView.
 */
export function byteLengthOf(memory: View): number {
  const byteLength = intrinsicByteLength(memory)
  const isBytes = memory instanceof Uint8Array
  if (memory.byteLength === byteLength && (!isBytes || memory.length === byteLength)) return byteLength
  const told = isBytes && memory.length !== byteLength ? memory.length : memory.byteLength
  throw invalidValue('memory.length', told, `is not what the memory has, ${byteLength} bytes`)
}

function intrinsicByteLength(memory: View): number {
  if (!ArrayBuffer.isView(memory)) return ownByteLength.call(memory)
  if (!isDataView(memory)) return typedByteLength.call(memory)
  // This view alone throws when it is asked for its length then.
  if (isDetached(dataBuffer.call(memory))) throw invalidValue('memory', {}, 'is detached')
  return dataByteLength.call(memory)
}

function isDetached(buffer: ArrayBufferLike): boolean {
  if (buffer.byteLength !== 0) return false
  try {
    new Uint8Array(buffer)
    return false
  } catch {
    return true
  }
}

/**
 * Address of the first byte of an ArrayBuffer, Buffer, typed array or DataView. The memory stays valid only while the
 * caller references `memory` and does not transfer it: hold it until the final CQE.
 *
 * @param minBytes - How many bytes the kernel may touch; a shorter buffer is refused.
 * @returns The address, or 0 for an empty buffer.
 * @throws TypeError `ERR_INVALID_ARG_TYPE` for anything else (the address of a SharedArrayBuffer cannot be
 *   had); TypeError `ERR_INVALID_ARG_VALUE` for a detached buffer, and for one whose overridden `byteLength`
 *   or `length` is not its true length; RangeError `ERR_OUT_OF_RANGE` for one too short.
 */
export function addressOf(memory: ArrayBuffer | ArrayBufferView, minBytes = 0): Address {
  if (typeof minBytes !== 'number') throw invalidType('minBytes', 'of type number', minBytes)
  const isView = ArrayBuffer.isView(memory)
  // The buffer of a small typed array moves off the JavaScript heap when `.buffer` is first touched; only then is
  // its address stable.
  const isTyped = isView && !isDataView(memory)
  const buffer = isView ? (isTyped ? typedBuffer : dataBuffer).call(memory) : memory
  if (!isArrayBuffer(buffer)) {
    throw invalidType('memory', 'an ArrayBuffer, Buffer, TypedArray or DataView', memory)
  }
  const byteLength = byteLengthOf(memory)
  // Written this way round, the comparison also refuses a `minBytes` of NaN.
  const isLongEnough = byteLength >= minBytes
  if (!isLongEnough || buffer.byteLength === 0) {
    if (isDetached(buffer)) throw invalidValue('memory', memory, 'is detached')
    if (!isLongEnough) {
      throw outOfRange('memory.byteLength', `>= ${minBytes}`, byteLength)
    }
    return 0
  }
  let base = bases.get(buffer)
  if (base === undefined) {
    base = pointerTo(buffer)
    bases.set(buffer, base)
  }
  if (!isView) return base
  const address = base + (isTyped ? typedByteOffset : dataByteOffset).call(memory)
  if (memory instanceof Uint8Array) makeKnown(memory, address)
  return address
}

// The addresses of views that operations are given repeatedly. A view's address never changes: once its
// memory is transferred, the view is empty.
const viewAddresses = new WeakMap<Uint8Array, Address>()
/** One in this many unknown views is remembered: a program that makes a new view each time pays little. */
const UNKNOWN_VIEWS_PER_KNOWN = 16
let unknownViews = 0

function makeKnown(view: Uint8Array, address: Address): void {
  if (++unknownViews < UNKNOWN_VIEWS_PER_KNOWN) return
  unknownViews = 0
  viewAddresses.set(view, address)
}

/**
 * The address of a view of at least `minBytes` that `addressOf` was asked for before, if it was remembered; 0
 * for any other memory. For hot paths: reading a view's `buffer` is a call into C++, and in Node 20 so are
 * `byteLength` and `byteOffset`. Together they take some 70 ns; looking up the view takes 11 (measured; bench
 * suite `promises`).
 */
export function knownAddressOf(memory: ArrayBuffer | ArrayBufferView, minBytes: number): Address {
  // Unlike `length`, the existence of an element cannot be overridden, and it ends when the memory is transferred.
  // The element is not loaded: the memory may map a file that was truncated, and a load would raise SIGBUS.
  if (!(memory instanceof Uint8Array) || minBytes <= 0 || !(minBytes - 1 in memory)) return 0
  return viewAddresses.get(memory) ?? 0
}

/**
 * A range of mapped memory and the one ArrayBuffer over it. `unmap()` detaches that ArrayBuffer first, so that every
 * view ever made over it becomes empty: reading a view after munmap(2) would be a segfault.
 */
export class MappedRegion {
  readonly address: Address
  readonly length: number
  #buffer: ArrayBuffer | null = null
  #mapped = true
  #lockedBytes = 0
  #listed: ListedMapping | null = null

  private constructor(address: Address, length: number) {
    this.address = address
    this.length = length
  }

  /**
   * Maps `length` bytes of `fd` at `offset`, shared and prefaulted. Until it is unmapped the mapping is known
   * to the drivers of all threads, which treat operations on its memory with care
   * (`UringOptions.mappedBuffers`).
   *
   * @param options - `listed: false` for memory that belongs to no file: the kernel's side of a ring.
   * @throws SystemError from mmap(2); Error `ERR_INVALID_STATE` when 1024 mappings of files are live.
   */
  static ofFile(
    fd: Fd,
    length: number,
    offset: number,
    options: { prot?: number; flags?: number; listed?: boolean } = {},
  ): MappedRegion {
    const { prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_POPULATE, listed = true } = options
    const region = new MappedRegion(checkResult(mmap(0, length, prot, flags, fd, offset), 'mmap'), length)
    if (!listed) return region
    try {
      region.#listed = listFileMapping(region)
    } catch (error) {
      region.unmap()
      throw error
    }
    return region
  }

  /** Maps `length` bytes of zeroed private memory, page-aligned. @throws SystemError from mmap(2). */
  static anonymous(length: number, flags = MAP_PRIVATE | MAP_ANONYMOUS): MappedRegion {
    return new MappedRegion(
      checkResult(mmap(0, length, PROT_READ | PROT_WRITE, flags, -1, 0), 'mmap'),
      length,
    )
  }

  /** False once unmapped. */
  get mapped(): boolean {
    return this.#mapped
  }

  /**
   * The memory. Views made over it turn empty when the region is unmapped; do not transfer it.
   *
   * @throws RangeError `ERR_OUT_OF_RANGE` for a region larger than an ArrayBuffer can be: 4 GiB in Node 20.
   */
  get buffer(): ArrayBuffer {
    if (!this.#mapped) throw invalidState('The mapped region is closed')
    this.#buffer ??= viewMemory(this.address, this.length)
    return this.#buffer
  }

  /** Advises the kernel on the whole region. @see madvise(2) */
  advise(advice: number): void {
    if (!this.#mapped) throw invalidState('The mapped region is closed')
    checkResult(madvise(this.address, this.length, advice), 'madvise')
  }

  /**
   * Pins the pages in memory; `unmap()` undoes it.
   *
   * @returns 0 or a negated errno: a refusal is not thrown.
   */
  lock(): number {
    if (!this.#mapped) throw invalidState('The mapped region is closed')
    const result = mlock(this.address, this.length)
    if (result === 0) this.#lockedBytes = this.length
    return result
  }

  /** Detaches the views, then unmaps. A second call does nothing. */
  unmap(): void {
    if (!this.#mapped) return
    this.#mapped = false
    const buffer = this.#buffer
    this.#buffer = null
    if (buffer !== null) detach(buffer)
    if (this.#lockedBytes > 0) munlock(this.address, this.#lockedBytes)
    // Taken off the list first: something else may be mapped there as soon as it is unmapped.
    this.#listed?.release()
    checkResult(munmap(this.address, this.length), 'munmap')
  }

  [Symbol.dispose](): void {
    this.unmap()
  }
}
