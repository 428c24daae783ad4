// What can be written to a connection, as text or bytes: the same for both backends.

import { addressOf } from '../ring/index.js'
import { invalidType } from '../syscalls/argument-errors.js'
import { byteLengthOf } from '../syscalls/memory.js'
import type { Data } from './socket.js'

/**
 * The text, or the bytes.
 *
 * @throws TypeError `ERR_INVALID_ARG_TYPE`; `ERR_INVALID_ARG_VALUE` for memory that is detached or tells another length than it has.
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
    // A class of its own may have a length of its own.
    const prototype = Object.getPrototypeOf(data) as unknown
    if (prototype !== Buffer.prototype && prototype !== Uint8Array.prototype) byteLengthOf(data)
    return data
  }
  const byteLength = byteLengthOf(data)
  if (byteLength === 0) {
    // Only what is empty can be detached.
    addressOf(data)
    return ''
  }
  return isView
    ? new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, byteLength)
    : new Uint8Array(data)
}
