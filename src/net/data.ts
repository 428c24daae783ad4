// Checks what a program writes to a connection, and turns it into text or bytes. Used by both backends.

import { addressOf } from '../ring/index.js'
import { invalidType } from '../syscalls/argument-errors.js'
import { byteLengthOf } from '../syscalls/memory.js'
import type { Data } from './socket.js'

/**
 * The text, or the bytes as a Uint8Array.
 *
 * @throws TypeError `ERR_INVALID_ARG_TYPE`; `ERR_INVALID_ARG_VALUE` for detached memory, and for memory whose
 *   `byteLength` or `length` was overridden with more than it has.
 */
export function dataOf(data: Data): string | Uint8Array {
  if (typeof data === 'string') return data
  const isView = ArrayBuffer.isView(data)
  if (!isView && !(data instanceof ArrayBuffer)) {
    const expected =
      'of type string or an instance of Buffer, ArrayBuffer, TypedArray, DataView or an array of these'
    throw invalidType('data', expected, data)
  }
  if (data instanceof Uint8Array) {
    // Whether an element is there cannot be overridden, as `length` can. Only an empty view can be detached.
    const { length } = data
    if (length === 0) refuseDetached(data)
    else if (!(length - 1 in data)) byteLengthOf(data)
    return data
  }
  const byteLength = byteLengthOf(data)
  if (byteLength === 0) {
    refuseDetached(data)
    return ''
  }
  return isView
    ? new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, byteLength)
    : new Uint8Array(data)
}

/** Detached memory has length 0, too. */
function refuseDetached(data: ArrayBuffer | ArrayBufferView): void {
  // Shared memory has no address, and cannot be detached.
  const memory = ArrayBuffer.isView(data) ? data.buffer : data
  if (memory instanceof ArrayBuffer) addressOf(data)
}
