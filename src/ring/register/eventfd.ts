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
 * Makes the ring signal `eventfd` on completions. A signal is a hint to look at the CQ, not a count: several
 * CQEs may give one signal, and a signal may come without a CQE. The ring keeps a reference, so the
 * descriptor may be closed. Linux 5.2.
 *
 * @throws RangeError; SystemError `io_uring_register`: EBUSY (there is one), EBADF, EINVAL (no eventfd).
 * @see io_uring_register_eventfd(3), eventfd(2)
 */
export function registerEventfd(ring: Ring, eventfd: Fd): void {
  register(ring, IORING_REGISTER_EVENTFD, eventfd)
}

/**
 * As `registerEventfd`, but only completions from the ring's worker threads give a signal. Completions posted
 * during submission do not, nor (measured on Linux 6.18) do those that a poll triggers. Linux 5.6.
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
