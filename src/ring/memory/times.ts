// The timespec in which io_uring operations take a time.

import { KERNEL_TIMESPEC } from '../../syscalls/abi/index.js'
import { checkInteger, invalidType, outOfRange } from '../../syscalls/argument-errors.js'
import { Struct } from '../../syscalls/struct.js'
import { splitMilliseconds } from '../milliseconds.js'

/** A time in the two parts that the kernel uses. */
export interface SecondsAndNanoseconds {
  /** Seconds, 0 or more. */
  readonly sec: number
  /** Nanoseconds, 0 to 999999999. */
  readonly nsec?: number
}

/**
 * Makes a `struct __kernel_timespec`. Keep it until the entry that points to its `address` was consumed.
 *
 * @param time - Milliseconds (fractions count), or seconds and nanoseconds.
 * @throws TypeError `ERR_INVALID_ARG_TYPE`, RangeError `ERR_OUT_OF_RANGE`.
 */
export function timespec(time: number | SecondsAndNanoseconds): Struct<'tv_sec' | 'tv_nsec'> {
  const { sec, nsec } = typeof time === 'number' ? fromMilliseconds(time) : checked(time)
  return Struct.alloc(KERNEL_TIMESPEC).set('tv_sec', sec).set('tv_nsec', nsec)
}

function fromMilliseconds(ms: number): Required<SecondsAndNanoseconds> {
  // NaN fails the first comparison, Infinity the second.
  if (!(ms >= 0) || ms > Number.MAX_SAFE_INTEGER) {
    throw outOfRange('time', `>= 0 and <= ${Number.MAX_SAFE_INTEGER} milliseconds`, ms)
  }
  return splitMilliseconds(ms)
}

function checked(time: SecondsAndNanoseconds): Required<SecondsAndNanoseconds> {
  if (typeof time !== 'object' || time === null) throw invalidType('time', 'of type number or object', time)
  const sec = checkInteger('time.sec', time.sec, 0, Number.MAX_SAFE_INTEGER)
  const nsec = checkInteger('time.nsec', time.nsec ?? 0, 0, 999_999_999)
  return { sec, nsec }
}
