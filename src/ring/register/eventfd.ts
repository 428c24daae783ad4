// The eventfd that a ring signals when completions are posted. One per ring; `Ring.eventfdEnabled` mutes it.

import {
  IORING_REGISTER_EVENTFD,
  IORING_REGISTER_EVENTFD_ASYNC,
  IORING_UNREGISTER_EVENTFD,
} from '../../syscalls/abi/index.js'
import type { Fd } from '../../syscalls/numbers.js'
import type { Ring } from '../ring.js'
import { callRegister, checkDescriptor, checkRegister, type Hints, ints } from './call.js'

const HINTS: Hints = {
  EBUSY: 'an eventfd is registered already: unregister it first',
  EINVAL: 'the descriptor is no eventfd',
  EBADF: 'the descriptor is not open',
  ENXIO: 'no eventfd is registered',
}

function register(ring: Ring, opcode: number, eventfd: Fd): void {
  checkDescriptor('eventfd', eventfd)
  checkRegister(callRegister(ring, opcode, ints([eventfd]), 1), opcode, HINTS)
}

/**
 * Has the ring signal `eventfd` on completions. A hint to look at the CQ, not a count: several CQEs may signal once,
 * and a signal may come without one. The ring keeps a reference, so the descriptor may be closed. Linux 5.2.
 *
 * @throws RangeError; SystemError `io_uring_register`: EBUSY (there is one), EBADF, EINVAL (no eventfd).
 * @see io_uring_register_eventfd(3), eventfd(2)
 */
export function registerEventfd(ring: Ring, eventfd: Fd): void {
  register(ring, IORING_REGISTER_EVENTFD, eventfd)
}

/**
 * As `registerEventfd`, for the completions alone that one of the ring's worker threads comes to: none that are posted
 * while they are submitted, and (measured on Linux 6.18) none that a poll brings about. Linux 5.6.
 *
 * @see io_uring_register_eventfd_async(3)
 */
export function registerEventfdAsync(ring: Ring, eventfd: Fd): void {
  register(ring, IORING_REGISTER_EVENTFD_ASYNC, eventfd)
}

/**
 * Ends the signals. Linux 5.2.
 *
 * @throws SystemError `io_uring_register`: ENXIO when none is registered.
 * @see io_uring_unregister_eventfd(3)
 */
export function unregisterEventfd(ring: Ring): void {
  checkRegister(callRegister(ring, IORING_UNREGISTER_EVENTFD, null, 0), IORING_UNREGISTER_EVENTFD, HINTS)
}
