// The argument of openat2.

import { OPEN_HOW } from '../../syscalls/abi/index.js'
import { checkMembers, invalidType, outOfRange } from '../../syscalls/argument-errors.js'
import { Struct } from '../../syscalls/struct.js'

export interface OpenHow {
  /** `O_*`. */
  readonly flags: number | bigint
  /** Permission bits; 0 unless the flags make a file (`O_CREAT`, `O_TMPFILE`), or the kernel refuses. */
  readonly mode?: number | bigint
  /** `RESOLVE_*`. */
  readonly resolve?: number | bigint
}

/**
 * Makes a `struct open_how`. Keep it until the entry that points to its `address` was consumed.
 *
 * @throws TypeError `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` for an unknown member; RangeError
 *   `ERR_OUT_OF_RANGE`.
 * @see openat2(2)
 */
export function openHow(how: OpenHow): Struct<'flags' | 'mode' | 'resolve'> {
  if (typeof how !== 'object' || how === null) throw invalidType('how', 'of type object', how)
  checkMembers('how', how, ['flags', 'mode', 'resolve'])
  const { flags, mode = 0, resolve = 0 } = how
  return Struct.alloc(OPEN_HOW).assign({
    flags: checked('how.flags', flags),
    mode: checked('how.mode', mode),
    resolve: checked('how.resolve', resolve),
  })
}

function checked(name: string, value: number | bigint): number | bigint {
  if (typeof value === 'bigint') {
    if (value >= 0n && value < 1n << 64n) return value
  } else {
    if (typeof value !== 'number') throw invalidType(name, 'of type number or bigint', value)
    if (Number.isSafeInteger(value) && value >= 0) return value
  }
  throw outOfRange(name, 'an integer >= 0 and < 2 ** 64', value)
}
