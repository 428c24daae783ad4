// Restrictions: an allowlist of what a ring, or every ring that a task makes from now on, may do.

import {
  IO_URING_RESTRICTION,
  IO_URING_TASK_RESTRICTION,
  IORING_REGISTER_RESTRICTIONS,
  IORING_RESTRICTION_REGISTER_OP,
  IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
  IORING_RESTRICTION_SQE_FLAGS_REQUIRED,
  IORING_RESTRICTION_SQE_OP,
} from '../../syscalls/abi/index.js'
import { checkInteger, invalidType, invalidValue } from '../../syscalls/argument-errors.js'
import { addressOf } from '../../syscalls/memory.js'
import { Struct } from '../../syscalls/struct.js'
import { kernelCalls, type UringCalls } from '../../syscalls/uring-calls.js'
import type { Ring } from '../ring.js'
import { callForTask, callRegister, checkedCopy, checkRegister } from './call.js'

/** One line of the allowlist. What no line allows is answered with -EACCES. */
export type Restriction =
  /** Allows an `IORING_REGISTER_*` operation. */
  | { readonly registerOp: number }
  /** Allows an `IORING_OP_*`. */
  | { readonly sqeOp: number }
  /** Allows these `IOSQE_*` flags. */
  | { readonly sqeFlagsAllowed: number }
  /** Demands these `IOSQE_*` flags on every entry. */
  | { readonly sqeFlagsRequired: number }

const KINDS: Readonly<Record<string, number>> = {
  registerOp: IORING_RESTRICTION_REGISTER_OP,
  sqeOp: IORING_RESTRICTION_SQE_OP,
  sqeFlagsAllowed: IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
  sqeFlagsRequired: IORING_RESTRICTION_SQE_FLAGS_REQUIRED,
}

/** The kernel counts them in 16 bits. */
const MAX_LINES = 0xffff

function fill(
  entries: Struct<keyof typeof IO_URING_RESTRICTION.fields>,
  restrictions: readonly Restriction[],
): void {
  restrictions.forEach((restriction, index) => {
    const name = `restrictions[${index}]`
    if (typeof restriction !== 'object' || restriction === null)
      throw invalidType(name, 'an object', restriction)
    const [member, ...others] = Object.entries(restriction)
    const kind = member === undefined || others.length > 0 ? undefined : KINDS[member[0]]
    if (kind === undefined) {
      throw invalidValue(name, restriction, `has other members than one of ${Object.keys(KINDS).join(', ')}`)
    }
    const value = checkInteger(`${name}.${member![0]}`, member![1], 0, 0xff)
    // The three fields are one byte under three names.
    entries.assign({ opcode: kind, sqe_op: value }, index)
  })
}

/**
 * Restricts a ring that was set up with R_DISABLED; the list takes effect with `Ring.enable`, and is final. Linux 5.10.
 *
 * @param restrictions - All that is allowed. Without an `sqeOp` line no operation is, without a `registerOp` line no
 *   registration.
 * @throws TypeError, RangeError; SystemError `io_uring_register`: EBADFD (the ring is not disabled), EBUSY (restricted
 *   already), EINVAL (an opcode that the kernel does not know).
 * @see io_uring_register_restrictions(3)
 */
export function registerRestrictions(ring: Ring, restrictions: readonly Restriction[]): void {
  const lines = checkedCopy('restrictions', restrictions, MAX_LINES)
  const entries = Struct.alloc(IO_URING_RESTRICTION, lines.length)
  fill(entries, lines)
  const result = callRegister(ring, IORING_REGISTER_RESTRICTIONS, entries, lines.length)
  checkRegister(result, IORING_REGISTER_RESTRICTIONS, {
    EBADFD: 'restrictions are registered before the ring is enabled: open it with IORING_SETUP_R_DISABLED',
    EBUSY: 'the ring has its restrictions already',
    EINVAL: 'a restriction names an opcode that the kernel does not know',
  })
}

/**
 * Restricts every ring that this thread, and whatever it forks, sets up from now on. It cannot be undone. Linux 7.0.
 *
 * @param calls - The system calls; tests replace them.
 * @throws TypeError, RangeError; SystemError `io_uring_register`: EPERM (restricted already), EACCES (neither
 *   CAP_SYS_ADMIN nor no_new_privs), EINVAL (an older kernel).
 * @see io_uring_register(2)
 */
export function registerTaskRestrictions(
  restrictions: readonly Restriction[],
  calls: UringCalls = kernelCalls,
): void {
  const lines = checkedCopy('restrictions', restrictions, MAX_LINES)
  const headBytes = IO_URING_TASK_RESTRICTION.size
  const memory = new Uint8Array(new ArrayBuffer(headBytes + lines.length * IO_URING_RESTRICTION.size))
  new Struct(IO_URING_TASK_RESTRICTION, memory).set('nr_res', lines.length)
  fill(new Struct(IO_URING_RESTRICTION, memory.subarray(headBytes)), lines)
  const argument = { address: addressOf(memory), memory }
  checkRegister(callForTask(calls, IORING_REGISTER_RESTRICTIONS, argument, 1), IORING_REGISTER_RESTRICTIONS, {
    EINVAL:
      'the restrictions of a task need Linux 7.0, or a restriction names an opcode that the kernel does not know',
    EACCES: 'it needs CAP_SYS_ADMIN, or no_new_privs set for this thread',
    EPERM: 'this task is restricted already, or io_uring is forbidden to it',
  })
}
