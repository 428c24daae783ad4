// iovec arrays: several pieces of memory for one operation.

import { IOVEC } from '../../syscalls/abi/index.js'
import { checkInteger, invalidType, outOfRange } from '../../syscalls/argument-errors.js'
import { addressOf, byteLengthOf } from '../../syscalls/memory.js'
import type { Address } from '../../syscalls/numbers.js'
import { Struct } from '../../syscalls/struct.js'

/** Memory given by address and length only: its owner must keep it alive. */
export interface MemoryRange {
  readonly address: Address
  /** Bytes. */
  readonly length: number
}

/** The most iovecs the kernel takes in one operation. */
export const MAX_VECTORS = 1024

/** An array of `struct iovec`, and the buffers it points to, which it keeps alive. Keep it until the CQE. */
export class IovecArray {
  readonly buffers: readonly (ArrayBuffer | ArrayBufferView | MemoryRange)[]
  /** How many iovecs. */
  readonly count: number
  /** Bytes of all buffers together. */
  readonly byteLength: number
  readonly #struct: Struct<'iov_base' | 'iov_len'>

  /** @internal */
  constructor(given: readonly (ArrayBuffer | ArrayBufferView | MemoryRange)[]) {
    // A copy, for an array may change, and answer something else each time it is asked.
    const buffers = [...given]
    if (buffers.length > MAX_VECTORS) throw outOfRange('buffers.length', `<= ${MAX_VECTORS}`, buffers.length)
    this.buffers = buffers
    this.count = buffers.length
    this.#struct = Struct.alloc(IOVEC, buffers.length)
    let byteLength = 0
    for (const [index, buffer] of buffers.entries()) {
      const { address, length } = rangeOf(buffer, index)
      this.#struct.set('iov_base', address, index).set('iov_len', length, index)
      byteLength += length
    }
    this.byteLength = byteLength
  }

  /** Address of the first iovec, 0 for an empty array. */
  get address(): Address {
    return this.#struct.address
  }
}

/**
 * Makes an array of `struct iovec`.
 *
 * @param buffers - At most 1024. ArrayBuffers and views are kept alive; `{ address, length }` memory is not.
 * @throws TypeError `ERR_INVALID_ARG_TYPE`, RangeError `ERR_OUT_OF_RANGE`.
 */
export function iovecs(buffers: readonly (ArrayBuffer | ArrayBufferView | MemoryRange)[]): IovecArray {
  if (!Array.isArray(buffers)) throw invalidType('buffers', 'an Array', buffers)
  return new IovecArray(buffers)
}

function rangeOf(buffer: ArrayBuffer | ArrayBufferView | MemoryRange, index: number): MemoryRange {
  if (buffer instanceof ArrayBuffer || ArrayBuffer.isView(buffer)) {
    return { address: addressOf(buffer), length: byteLengthOf(buffer) }
  }
  const name = `buffers[${index}]`
  if (typeof buffer !== 'object' || buffer === null) {
    throw invalidType(name, 'an ArrayBuffer, a view of one, or { address, length }', buffer)
  }
  const address = checkInteger(`${name}.address`, buffer.address, 0, Number.MAX_SAFE_INTEGER)
  const length = checkInteger(`${name}.length`, buffer.length, 0, Number.MAX_SAFE_INTEGER)
  return { address, length }
}
