// The clock by which the timeouts of waits are measured.

import {
  CLOCK_BOOTTIME,
  CLOCK_MONOTONIC,
  IO_URING_CLOCK_REGISTER,
  IORING_REGISTER_CLOCK,
} from '../../syscalls/abi/index.js'
import { invalidType, outOfRange } from '../../syscalls/argument-errors.js'
import { Struct } from '../../syscalls/struct.js'
import type { Ring } from '../ring.js'
import { callRegister, checkRegister } from './call.js'

/**
 * Sets the clock of `Ring.submitAndWait` with a timeout. Linux 6.12.
 *
 * @param clockId - `CLOCK_MONOTONIC`, which every ring starts with, or `CLOCK_BOOTTIME`, which also runs while the
 *   machine is suspended.
 * @throws TypeError, RangeError for another clock; SystemError `io_uring_register`: EINVAL from an older kernel.
 * @see io_uring_register_clock(3), clock_gettime(2)
 */
export function registerClock(ring: Ring, clockId: number): void {
  if (typeof clockId !== 'number') throw invalidType('clockId', 'of type number', clockId)
  if (clockId !== CLOCK_MONOTONIC && clockId !== CLOCK_BOOTTIME) {
    throw outOfRange('clockId', 'CLOCK_MONOTONIC (1) or CLOCK_BOOTTIME (7)', clockId)
  }
  const argument = Struct.alloc(IO_URING_CLOCK_REGISTER).set('clockid', clockId)
  checkRegister(callRegister(ring, IORING_REGISTER_CLOCK, argument, 0), IORING_REGISTER_CLOCK)
}
