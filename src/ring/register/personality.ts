// Personalities: credentials of this process that an operation may be issued with (`Sqe.setPersonality`).

import { IORING_REGISTER_PERSONALITY, IORING_UNREGISTER_PERSONALITY } from '../../syscalls/abi/index.js'
import { checkInteger } from '../../syscalls/argument-errors.js'
import type { Ring } from '../ring.js'
import { callRegister, checkRegister } from './call.js'

/**
 * Registers the credentials that this thread has now. Linux 5.6.
 *
 * @returns Their id, 1 to 65535.
 * @throws SystemError `io_uring_register`.
 * @see io_uring_register_personality(3)
 */
export function registerPersonality(ring: Ring): number {
  return checkRegister(callRegister(ring, IORING_REGISTER_PERSONALITY, null, 0), IORING_REGISTER_PERSONALITY)
}

/**
 * Unregisters credentials; operations in flight keep them. Linux 5.6.
 *
 * @throws RangeError; SystemError `io_uring_register`: EINVAL for an id that is not registered.
 * @see io_uring_unregister_personality(3)
 */
export function unregisterPersonality(ring: Ring, id: number): void {
  checkInteger('id', id, 1, 0xffff)
  checkRegister(callRegister(ring, IORING_UNREGISTER_PERSONALITY, null, id), IORING_UNREGISTER_PERSONALITY, {
    EINVAL: `no personality ${id} is registered`,
  })
}
