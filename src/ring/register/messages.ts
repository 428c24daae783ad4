// A message to a ring from a thread that has no ring itself: `prepMsgRing` without the sending ring.

import {
  IO_URING_SQE,
  IORING_MSG_DATA,
  IORING_MSG_RING_FLAGS_PASS,
  IORING_OP_MSG_RING,
  IORING_REGISTER_SEND_MSG_RING,
  IORING_SETUP_REGISTERED_FD_ONLY,
} from '../../syscalls/abi/index.js'
import {
  checkInteger,
  checkMembers,
  invalidState,
  invalidType,
  invalidValue,
} from '../../syscalls/argument-errors.js'
import type { Fd } from '../../syscalls/numbers.js'
import { Struct } from '../../syscalls/struct.js'
import { kernelCalls, type UringCalls } from '../../syscalls/uring-calls.js'
import { Ring } from '../ring.js'
import { callWithoutRing, checkDescriptor, checkRegister } from './call.js'

/** The CQE that the target ring gets. */
export interface RingMessage {
  readonly userDataLow: number
  readonly userDataHigh?: number | undefined
  /** A signed 32-bit integer. Default: 0. */
  readonly res?: number | undefined
  /** `IORING_CQE_F_*` or bits of your own; the kernel may add some. Default: 0. */
  readonly cqeFlags?: number | undefined
}

const MESSAGE = ['userDataLow', 'userDataHigh', 'res', 'cqeFlags'] as const

function targetFd(target: Ring | Fd): Fd {
  if (typeof target === 'number') return checkDescriptor('target', target)
  if (!(target instanceof Ring)) throw invalidType('target', 'a Ring or of type number', target)
  if (target.closed) throw invalidState('The target ring is closed')
  if (target.flags & IORING_SETUP_REGISTERED_FD_ONLY) {
    throw invalidValue('target', target, 'has no descriptor (IORING_SETUP_REGISTERED_FD_ONLY)')
  }
  return target.fd
}

/**
 * Posts a CQE to `target`, which may belong to another thread. Linux 6.13.
 *
 * @param target - A ring, or its descriptor.
 * @param calls - The system calls; tests replace them.
 * @throws TypeError, RangeError; SystemError `io_uring_register`: EBADFD (`target` is disabled or no ring), EOVERFLOW
 *   (its CQ is full), EBADF, EINVAL (an older kernel).
 * @see io_uring_register_sync_msg(3), io_uring_prep_msg_ring_cqe_flags(3)
 */
export function registerSyncMsg(
  target: Ring | Fd,
  message: RingMessage,
  calls: UringCalls = kernelCalls,
): void {
  const fd = targetFd(target)
  if (typeof message !== 'object' || message === null) throw invalidType('message', 'an object', message)
  checkMembers('message', message, MESSAGE)
  const low = checkInteger('message.userDataLow', message.userDataLow, 0, 0xffff_ffff)
  const high = checkInteger('message.userDataHigh', message.userDataHigh ?? 0, 0, 0xffff_ffff)
  const res = checkInteger('message.res', message.res ?? 0, -0x8000_0000, 0x7fff_ffff)
  const cqeFlags = checkInteger('message.cqeFlags', message.cqeFlags ?? 0, 0, 0xffff_ffff)
  const sqe = Struct.alloc(IO_URING_SQE)
  sqe.assign({ opcode: IORING_OP_MSG_RING, fd, len: res, addr: IORING_MSG_DATA })
  sqe.set('off', (BigInt(high) << 32n) | BigInt(low))
  if (cqeFlags !== 0) sqe.assign({ msg_ring_flags: IORING_MSG_RING_FLAGS_PASS, file_index: cqeFlags })
  const result = callWithoutRing(calls, IORING_REGISTER_SEND_MSG_RING, sqe, 1, target)
  checkRegister(result, IORING_REGISTER_SEND_MSG_RING, {
    EBADFD: 'the target is no ring, or is not enabled yet',
    EOVERFLOW: 'the completion queue of the target is full',
    EBADF: 'the target descriptor is not open',
  })
}
