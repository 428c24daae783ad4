// Limits what a ring may do for whoever holds it: presets of allowlists for IORING_REGISTER_RESTRICTIONS, and
// the function that registers them. A list takes effect when the ring is enabled, and is final.

import { type Restriction, type Ring, registerProbe, registerRestrictions } from '../ring/index.js'
import {
  IORING_OP_ASYNC_CANCEL,
  IORING_OP_FADVISE,
  IORING_OP_FGETXATTR,
  IORING_OP_GETXATTR,
  IORING_OP_LINK_TIMEOUT,
  IORING_OP_NOP,
  IORING_OP_POLL_ADD,
  IORING_OP_POLL_REMOVE,
  IORING_OP_READ,
  IORING_OP_READ_FIXED,
  IORING_OP_READ_MULTISHOT,
  IORING_OP_READV,
  IORING_OP_READV_FIXED,
  IORING_OP_STATX,
  IORING_OP_TIMEOUT,
  IORING_OP_TIMEOUT_REMOVE,
  IORING_REGISTER_BUFFERS,
  IORING_REGISTER_BUFFERS_UPDATE,
  IORING_REGISTER_BUFFERS2,
  IORING_REGISTER_EVENTFD,
  IORING_REGISTER_PBUF_RING,
  IORING_REGISTER_RING_FDS,
  IORING_REGISTER_SYNC_CANCEL,
  IORING_UNREGISTER_BUFFERS,
  IORING_UNREGISTER_PBUF_RING,
  IORING_UNREGISTER_RING_FDS,
  IOSQE_ASYNC,
  IOSQE_BUFFER_SELECT,
  IOSQE_CQE_SKIP_SUCCESS,
  IOSQE_FIXED_FILE,
  IOSQE_IO_DRAIN,
  IOSQE_IO_HARDLINK,
  IOSQE_IO_LINK,
} from '../syscalls/abi/index.js'
import type { SystemError } from '../syscalls/errno.js'

/** Ready-made allowlists, named after what they allow. */
export type RestrictionPreset = 'read-only'

export const RESTRICTION_PRESETS: readonly RestrictionPreset[] = ['read-only']

interface Allowed {
  readonly operations: readonly number[]
  readonly registrations: readonly number[]
}

const PRESETS: Readonly<Record<RestrictionPreset, Allowed>> = {
  // Reading from open descriptors, and waiting. Nothing that opens, closes, writes, removes, connects, sends,
  // or reaches another ring: an open may create or empty a file.
  'read-only': {
    operations: [
      IORING_OP_NOP,
      IORING_OP_READ,
      IORING_OP_READV,
      IORING_OP_READ_FIXED,
      IORING_OP_READV_FIXED,
      IORING_OP_READ_MULTISHOT,
      IORING_OP_STATX,
      IORING_OP_GETXATTR,
      IORING_OP_FGETXATTR,
      IORING_OP_FADVISE,
      IORING_OP_POLL_ADD,
      IORING_OP_POLL_REMOVE,
      IORING_OP_TIMEOUT,
      IORING_OP_TIMEOUT_REMOVE,
      IORING_OP_LINK_TIMEOUT,
      IORING_OP_ASYNC_CANCEL,
    ],
    registrations: [
      IORING_REGISTER_BUFFERS,
      IORING_REGISTER_BUFFERS2,
      IORING_REGISTER_BUFFERS_UPDATE,
      IORING_UNREGISTER_BUFFERS,
      IORING_REGISTER_PBUF_RING,
      IORING_UNREGISTER_PBUF_RING,
    ],
  },
}

/** All are allowed: entry flags say how an operation is carried out, never what it may access. */
const ANY_FLAGS: number =
  IOSQE_FIXED_FILE |
  IOSQE_IO_DRAIN |
  IOSQE_IO_LINK |
  IOSQE_IO_HARDLINK |
  IOSQE_ASYNC |
  IOSQE_BUFFER_SELECT |
  IOSQE_CQE_SKIP_SUCCESS

/**
 * What this library itself needs to wake the event loop, to make enter(2) faster and to close the ring
 * without leaving anything behind. It gives no access to a file or to memory.
 */
const NEEDED: readonly number[] = [
  IORING_REGISTER_EVENTFD,
  IORING_REGISTER_RING_FDS,
  IORING_UNREGISTER_RING_FDS,
  IORING_REGISTER_SYNC_CANCEL,
]

/** @returns Lines that the kernel must accept, and registrations that it may not know yet. */
function linesOf(
  ring: Ring,
  restrictions: RestrictionPreset | readonly Restriction[],
): { lines: Restriction[]; registrations: number[] } {
  if (typeof restrictions !== 'string')
    return { lines: [...restrictions], registrations: optional(restrictions) }
  const { operations, registrations } = PRESETS[restrictions]
  const probe = registerProbe(ring)
  const known = operations.filter((opcode) => probe.supports(opcode))
  return {
    lines: [{ sqeFlagsAllowed: ANY_FLAGS }, ...known.map((sqeOp) => ({ sqeOp }))],
    registrations: [...registrations, ...NEEDED],
  }
}

/** Those of NEEDED that the caller has not listed. */
function optional(restrictions: readonly Restriction[]): number[] {
  const listed = new Set(restrictions.map((line) => (line as { registerOp?: number } | null)?.registerOp))
  return NEEDED.filter((opcode) => !listed.has(opcode))
}

/**
 * Registers `restrictions` with a ring that was set up with R_DISABLED, and enables it. Linux 5.10.
 *
 * @throws TypeError, RangeError for an invalid line; SystemError `io_uring_register`: EINVAL for an opcode
 *   that the kernel does not know.
 */
export function restrictRing(ring: Ring, restrictions: RestrictionPreset | readonly Restriction[]): void {
  const { lines, registrations } = linesOf(ring, restrictions)
  // Newer opcodes have higher numbers: those that an older kernel does not know are at the end, dropped
  // first.
  registrations.sort((a, b) => a - b)
  for (;;) {
    try {
      registerRestrictions(ring, [...lines, ...registrations.map((registerOp) => ({ registerOp }))])
      break
    } catch (error) {
      if ((error as SystemError).code !== 'EINVAL' || registrations.pop() === undefined) throw error
    }
  }
  ring.enable()
}
