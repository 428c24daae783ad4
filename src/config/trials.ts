// Finds out by trying what a kernel without IORING_REGISTER_QUERY knows: each setup flag on a small ring that
// is closed at once, and each registration with an argument that the kernel cannot read. No trial has a
// lasting effect.

import {
  constantNames,
  constantValue,
  IO_URING_PARAMS,
  IORING_REGISTER_BUFFERS_UPDATE,
  IORING_REGISTER_BUFFERS2,
  IORING_REGISTER_CLOCK,
  IORING_REGISTER_CLONE_BUFFERS,
  IORING_REGISTER_ENABLE_RINGS,
  IORING_REGISTER_FILE_ALLOC_RANGE,
  IORING_REGISTER_FILES_UPDATE2,
  IORING_REGISTER_FILES2,
  IORING_REGISTER_IOWQ_AFF,
  IORING_REGISTER_IOWQ_MAX_WORKERS,
  IORING_REGISTER_MEM_REGION,
  IORING_REGISTER_NAPI,
  IORING_REGISTER_PBUF_RING,
  IORING_REGISTER_PBUF_STATUS,
  IORING_REGISTER_RESIZE_RINGS,
  IORING_REGISTER_RESTRICTIONS,
  IORING_REGISTER_RING_FDS,
  IORING_REGISTER_SEND_MSG_RING,
  IORING_REGISTER_SYNC_CANCEL,
  IORING_REGISTER_ZCRX_IFQ,
  IORING_SETUP_ATTACH_WQ,
  IORING_SETUP_COOP_TASKRUN,
  IORING_SETUP_CQE32,
  IORING_SETUP_CQSIZE,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_HYBRID_IOPOLL,
  IORING_SETUP_IOPOLL,
  IORING_SETUP_NO_MMAP,
  IORING_SETUP_NO_SQARRAY,
  IORING_SETUP_REGISTERED_FD_ONLY,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SQ_AFF,
  IORING_SETUP_SQ_REWIND,
  IORING_SETUP_SQPOLL,
  IORING_SETUP_TASKRUN_FLAG,
  IORING_UNREGISTER_IOWQ_AFF,
  IORING_UNREGISTER_NAPI,
  IORING_UNREGISTER_PBUF_RING,
  IORING_UNREGISTER_RING_FDS,
} from '../syscalls/abi/index.js'
import { EFAULT, EINVAL } from '../syscalls/errno-values.js'
import type { Fd } from '../syscalls/numbers.js'
import { Struct } from '../syscalls/struct.js'
import type { UringCalls } from '../syscalls/uring-calls.js'
import type { Machine } from './machine.js'

/**
 * Flags that setup refuses without others. NO_MMAP without memory gives EFAULT, but only where it is known.
 */
const COMPANIONS: ReadonlyMap<number, number> = new Map([
  [IORING_SETUP_TASKRUN_FLAG, IORING_SETUP_COOP_TASKRUN],
  [IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_SINGLE_ISSUER],
  [IORING_SETUP_REGISTERED_FD_ONLY, IORING_SETUP_NO_MMAP],
  [IORING_SETUP_HYBRID_IOPOLL, IORING_SETUP_IOPOLL],
  [IORING_SETUP_SQ_REWIND, IORING_SETUP_NO_SQARRAY],
])

type Params = Partial<Record<keyof typeof IO_URING_PARAMS.fields, number>>

/**
 * Sets up a ring of two entries.
 *
 * @returns The descriptor, which the caller must close, or a negated errno.
 */
export function trySetup(calls: UringCalls, flags: number, more: Readonly<Params> = {}): number {
  const params = Struct.alloc(IO_URING_PARAMS).set('flags', flags).assign(more)
  return calls.setup(2, params.address)
}

/** What a flag needs in the parameters to be accepted. */
function parametersFor(flag: number, openRing: Fd): Params {
  if (flag === IORING_SETUP_CQSIZE) return { cq_entries: 4 }
  if (flag === IORING_SETUP_ATTACH_WQ) return { wq_fd: openRing }
  return {}
}

/** All setup flags that have a name, in one word. */
const NAMED_FLAGS = constantNames()
  .filter((name) => name.startsWith('IORING_SETUP_'))
  .reduce((flags, name) => flags | Number(constantValue(name as 'IORING_SETUP_SQPOLL')), 0)

/**
 * The setup flags that the kernel knows. Any errno other than EINVAL means that the kernel knows the flag and
 * refuses for another reason.
 *
 * @param openRing - A ring for ATTACH_WQ to attach to.
 */
export function trySetupFlags(machine: Machine, openRing: Fd): number {
  // As old as io_uring itself; SQPOLL has a trial of its own, and SQ_AFF would need a processor to be named.
  let known = IORING_SETUP_IOPOLL | IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF
  for (let flag = 1; flag <= NAMED_FLAGS; flag *= 2) {
    if (!(NAMED_FLAGS & flag) || known & flag) continue
    const flags = flag | (COMPANIONS.get(flag) ?? 0)
    const result = trySetup(machine.calls, flags, parametersFor(flag, openRing))
    if (result >= 0) machine.close(result)
    if (result !== EINVAL) known |= flag
  }
  return known
}

/** No page is ever mapped here, so the kernel fails to read an argument at this address. */
const UNREADABLE = 8

/** For each registration newer than PROBE: the count (or size) that the kernel wants for its argument. */
const REGISTRATIONS: readonly (readonly [opcode: number, count: number])[] = [
  [IORING_REGISTER_RESTRICTIONS, 1],
  [IORING_REGISTER_FILES2, 32],
  [IORING_REGISTER_FILES_UPDATE2, 32],
  [IORING_REGISTER_BUFFERS2, 32],
  [IORING_REGISTER_BUFFERS_UPDATE, 32],
  [IORING_REGISTER_IOWQ_AFF, 8],
  [IORING_REGISTER_IOWQ_MAX_WORKERS, 2],
  [IORING_REGISTER_RING_FDS, 1],
  [IORING_UNREGISTER_RING_FDS, 1],
  [IORING_REGISTER_PBUF_RING, 1],
  [IORING_UNREGISTER_PBUF_RING, 1],
  [IORING_REGISTER_SYNC_CANCEL, 1],
  [IORING_REGISTER_FILE_ALLOC_RANGE, 0],
  [IORING_REGISTER_PBUF_STATUS, 1],
  [IORING_REGISTER_NAPI, 1],
  [IORING_UNREGISTER_NAPI, 1],
  [IORING_REGISTER_CLOCK, 0],
  [IORING_REGISTER_CLONE_BUFFERS, 1],
  [IORING_REGISTER_ZCRX_IFQ, 1],
  [IORING_REGISTER_RESIZE_RINGS, 1],
  [IORING_REGISTER_MEM_REGION, 1],
]

/**
 * The io_uring_register(2) opcodes that the kernel knows, for one that knows PROBE (Linux 5.6). An unknown opcode is
 * EINVAL; a known one fails to read its argument (EFAULT) or objects to something else.
 *
 * @param openRing - Any ring. Opcodes that want a ring of a certain kind are tried on one of that kind, where the
 *   kernel has it.
 */
export function tryRegistrations(machine: Machine, openRing: Fd): number[] {
  const { calls } = machine
  // A kernel that can probe opcodes (Linux 5.6) has everything up to personalities.
  const known = Array.from({ length: IORING_REGISTER_RESTRICTIONS }, (_, opcode) => opcode)
  const kind = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQE32
  const special = trySetup(calls, kind)
  const ring = special >= 0 ? special : openRing
  for (const [opcode, count] of REGISTRATIONS) {
    if (calls.register(ring, opcode, UNREADABLE, count) !== EINVAL) known.push(opcode)
  }
  if (calls.register(ring, IORING_REGISTER_ENABLE_RINGS, 0, 0) !== EINVAL) {
    known.push(IORING_REGISTER_ENABLE_RINGS)
  }
  // Not tried, because it would undo an affinity chosen for this thread's workers. It came together with its
  // opposite.
  if (known.includes(IORING_REGISTER_IOWQ_AFF)) known.push(IORING_UNREGISTER_IOWQ_AFF)
  // This one is sent without a ring.
  if (calls.register(-1, IORING_REGISTER_SEND_MSG_RING, UNREADABLE, 1) === EFAULT) {
    known.push(IORING_REGISTER_SEND_MSG_RING)
  }
  if (special >= 0) machine.close(special)
  return known.sort((a, b) => a - b)
}
