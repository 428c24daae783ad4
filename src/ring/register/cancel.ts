// Synchronous cancellation: `prepCancel` without an SQE, and with the result as the return value.

import {
  IO_URING_SYNC_CANCEL_REG,
  IORING_ASYNC_CANCEL_ALL,
  IORING_ASYNC_CANCEL_ANY,
  IORING_ASYNC_CANCEL_FD,
  IORING_ASYNC_CANCEL_FD_FIXED,
  IORING_ASYNC_CANCEL_OP,
  IORING_ASYNC_CANCEL_USERDATA,
  IORING_REGISTER_SYNC_CANCEL,
} from '../../syscalls/abi/index.js'
import {
  checkBoolean,
  checkInteger,
  checkMembers,
  checkMilliseconds,
  invalidType,
  invalidValue,
} from '../../syscalls/argument-errors.js'
import { EINTR, ENOENT } from '../../syscalls/errno-values.js'
import type { Fd } from '../../syscalls/numbers.js'
import { Struct } from '../../syscalls/struct.js'
import { splitMilliseconds } from '../milliseconds.js'
import type { Ring } from '../ring.js'
import { callRegister, checkRegister } from './call.js'

/** How often an interrupted call is repeated before EINTR reaches the caller. */
const MAX_RETRIES = 16

/** Which operations to cancel: those that match every criterion given, of which there is at least one. */
export interface SyncCancelMatch {
  /** The low half of user_data; the high one is 0 unless given. */
  readonly userDataLow?: number | undefined
  readonly userDataHigh?: number | undefined
  /** A descriptor that the operation works on. Linux 5.19 for the opcode, 6.0 for this call. */
  readonly fd?: Fd | undefined
  /** The slot of a registered file, instead of `fd`. */
  readonly fixedFile?: number | undefined
  /** An `IORING_OP_*`. Linux 6.6. */
  readonly opcode?: number | undefined
  /** Every operation; excludes the others. */
  readonly any?: boolean | undefined
  /** Cancel all that match, not only the first. `any` implies it. */
  readonly all?: boolean | undefined
}

/** How `registerSyncCancel` waits. */
export interface SyncCancelOptions {
  /** How long to wait for running operations, in milliseconds, fractions allowed. Default: for ever. */
  readonly timeoutMs?: number | undefined
}

const MATCHES = ['userDataLow', 'userDataHigh', 'fd', 'fixedFile', 'opcode', 'any', 'all'] as const

type Request = Struct<keyof typeof IO_URING_SYNC_CANCEL_REG.fields>

function cancelRequest(match: SyncCancelMatch): Request {
  if (typeof match !== 'object' || match === null) throw invalidType('match', 'an object', match)
  checkMembers('match', match, MATCHES)
  const request = Struct.alloc(IO_URING_SYNC_CANCEL_REG).set('fd', -1)
  const { userDataLow, userDataHigh, fd, fixedFile, opcode } = match
  const any = checkBoolean('match.any', match.any ?? false)
  const byUserData = userDataLow !== undefined || userDataHigh !== undefined
  const byOther = fd !== undefined || fixedFile !== undefined || opcode !== undefined
  if (any && (byUserData || byOther)) throw invalidValue('match.any', any, 'excludes every other criterion')
  if (!any && !byUserData && !byOther) throw invalidValue('match', match, 'names no operation')
  if (fd !== undefined && fixedFile !== undefined)
    throw invalidValue('match.fixedFile', fixedFile, 'excludes match.fd')

  let flags = any || checkBoolean('match.all', match.all ?? false) ? IORING_ASYNC_CANCEL_ALL : 0
  if (any) flags |= IORING_ASYNC_CANCEL_ANY
  if (byUserData) {
    const low = checkInteger('match.userDataLow', userDataLow ?? 0, 0, 0xffff_ffff)
    const high = checkInteger('match.userDataHigh', userDataHigh ?? 0, 0, 0xffff_ffff)
    request.set('addr', (BigInt(high) << 32n) | BigInt(low))
    // Matching user_data is what the call does when no other criterion is given; kernels before 6.6 lack the flag.
    if (byOther) flags |= IORING_ASYNC_CANCEL_USERDATA
  }
  if (fd !== undefined) {
    request.set('fd', checkInteger('match.fd', fd, 0, 0x7fff_ffff))
    flags |= IORING_ASYNC_CANCEL_FD
  } else if (fixedFile !== undefined) {
    request.set('fd', checkInteger('match.fixedFile', fixedFile, 0, 0x7fff_ffff))
    flags |= IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_FD_FIXED
  }
  if (opcode !== undefined) {
    request.set('opcode', checkInteger('match.opcode', opcode, 0, 0xff))
    flags |= IORING_ASYNC_CANCEL_OP
  }
  return request.set('flags', flags)
}

function setTimeout(request: Request, timeoutMs: number | undefined): void {
  if (timeoutMs === undefined) {
    // -1 in both fields means no timeout.
    request.set('timeout.tv_sec', -1).set('timeout.tv_nsec', -1)
    return
  }
  const { sec, nsec } = splitMilliseconds(checkMilliseconds('options.timeoutMs', timeoutMs))
  request.set('timeout.tv_sec', sec).set('timeout.tv_nsec', nsec)
}

/**
 * Cancels operations at once. Each still posts its CQE, with -ECANCELED or with the result it had reached
 * before; its memory must stay alive until then. An operation that is running and cannot be interrupted
 * (regular-file IO) is waited for, except with `all` or `any`, which leave it running. Linux 6.0.
 *
 * @returns How many operations were cancelled; without `all` and `any` at most 1.
 * @throws TypeError, RangeError; SystemError `io_uring_register`: ETIME (one that cannot be interrupted still runs),
 *   EBADF (`fd` is not open, or `fixedFile` is empty), EINVAL (an older kernel), EINTR.
 * @see io_uring_register_sync_cancel(3), io_uring_cancelation(7)
 */
export function registerSyncCancel(
  ring: Ring,
  match: SyncCancelMatch,
  options: SyncCancelOptions = {},
): number {
  checkMembers('options', options, ['timeoutMs'])
  const request = cancelRequest(match)
  setTimeout(request, options.timeoutMs)
  let result = EINTR
  for (let attempt = 0; attempt <= MAX_RETRIES && result === EINTR; attempt++) {
    result = callRegister(ring, IORING_REGISTER_SYNC_CANCEL, request, 1)
  }
  if (result === ENOENT) return 0
  checkRegister(result, IORING_REGISTER_SYNC_CANCEL, {
    ETIME: 'an operation that cannot be interrupted is still running',
    EBADF: 'the descriptor is not open, or the slot of registered files is empty',
  })
  // The kernel returns a count only with ALL; otherwise 0 means that one was found.
  return request.get('flags') & IORING_ASYNC_CANCEL_ALL ? result : 1
}
