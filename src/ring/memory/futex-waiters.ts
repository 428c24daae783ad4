// The argument of a wait on several futexes.

import { FUTEX_32, FUTEX_PRIVATE_FLAG, FUTEX_WAITV } from '../../syscalls/abi/index.js'
import { checkInteger, invalidType, outOfRange } from '../../syscalls/argument-errors.js'
import type { Address } from '../../syscalls/numbers.js'
import { Struct } from '../../syscalls/struct.js'

/** The most futexes that one wait takes. */
export const FUTEX_WAITV_MAX = 128

export interface FutexWaiter {
  /** Address of the 32-bit word, alive until the CQE. */
  readonly address: Address
  /** What the word is expected to hold, unsigned. */
  readonly value: number
  /** `FUTEX_32`, and `FUTEX_PRIVATE_FLAG` inside one process: both by default. */
  readonly flags?: number
}

/**
 * Makes an array of `struct futex_waitv`. Keep it until the entry that points to its `address` was consumed.
 *
 * @param waiters - 1 to 128.
 * @throws TypeError `ERR_INVALID_ARG_TYPE`, RangeError `ERR_OUT_OF_RANGE`.
 * @see futex_waitv(2)
 */
export function futexWaitv(
  waiters: readonly FutexWaiter[],
): Struct<'val' | 'uaddr' | 'flags' | '__reserved'> {
  if (!Array.isArray(waiters)) throw invalidType('waiters', 'an Array', waiters)
  if (waiters.length < 1 || waiters.length > FUTEX_WAITV_MAX) {
    throw outOfRange('waiters.length', `>= 1 and <= ${FUTEX_WAITV_MAX}`, waiters.length)
  }
  const struct = Struct.alloc(FUTEX_WAITV, waiters.length)
  for (const [index, waiter] of waiters.entries()) {
    const { address, value, flags = FUTEX_32 | FUTEX_PRIVATE_FLAG } = waiter as FutexWaiter
    struct.set('uaddr', checkInteger(`waiters[${index}].address`, address, 0, Number.MAX_SAFE_INTEGER), index)
    struct.set('val', checkInteger(`waiters[${index}].value`, value, 0, 0xffff_ffff), index)
    struct.set('flags', checkInteger(`waiters[${index}].flags`, flags, 0, 0xffff_ffff), index)
  }
  return struct
}
