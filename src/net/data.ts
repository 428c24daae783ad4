// Checks what a program writes to a connection, and turns it into text or bytes. Used by both backends.

import { addressOf } from '../ring/index.js'
import { invalidType } from '../syscalls/argument-errors.js'
import { byteLengthOf } from '../syscalls/memory.js'
import type { Data } from './socket.js'

/**
 * The text, or the bytes as a Uint8Array. A detached Uint8Array counts as empty.
 *
 * @throws TypeError `ERR_INVALID_ARG_TYPE`; `ERR_INVALID_ARG_VALUE` for other detached memory, and for memory
 *   of a class that overrides `byteLength` or `length` with another value.
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
    // A subclass may have overridden its length.
    const prototype = Object.getPrototypeOf(data) as unknown
    if (prototype !== Buffer.prototype && prototype !== Uint8Array.prototype) byteLengthOf(data)
    return data
  }
  const byteLength = byteLengthOf(data)
  if (byteLength === 0) {
    // Detached memory has length 0, too: `addressOf` throws then.
    addressOf(data)
    return ''
  }
  return isView
    ? new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, byteLength)
    : new Uint8Array(data)
}
