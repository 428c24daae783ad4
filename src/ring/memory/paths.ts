// NUL-terminated strings: paths, and the names of extended attributes.

import { invalidType, invalidValue } from '../../syscalls/argument-errors.js'
import { addressOf } from '../../syscalls/memory.js'
import type { Address } from '../../syscalls/numbers.js'

/** A NUL-terminated string in memory of its own. Keep it until the entry that points to it was consumed. */
export class CString {
  /** The bytes, the NUL included. */
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly address: Address

  /** @internal */
  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.bytes = bytes
    this.address = addressOf(bytes)
  }
}

/**
 * Makes a NUL-terminated string. Text becomes UTF-8; bytes are taken as they are, for paths that are not UTF-8.
 *
 * @param name - What to call the value in an error.
 * @throws TypeError `ERR_INVALID_ARG_TYPE`; TypeError `ERR_INVALID_ARG_VALUE` for a NUL inside, which would
 *   cut it short.
 */
export function cString(text: string | Uint8Array, name = 'path'): CString {
  if (typeof text !== 'string' && !(text instanceof Uint8Array))
    throw invalidType(name, 'of type string or Uint8Array', text)
  const content = typeof text === 'string' ? Buffer.from(text) : text
  if (content.includes(0)) throw invalidValue(name, text, 'must be a string or Uint8Array without null bytes')
  const bytes = new Uint8Array(new ArrayBuffer(content.byteLength + 1))
  bytes.set(content)
  return new CString(bytes)
}
