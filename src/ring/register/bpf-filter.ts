// Filters: classic BPF programs that allow or deny requests by what is in them, as seccomp(2) does for system calls.

import {
  IO_URING_BPF,
  IO_URING_BPF_CMD_FILTER,
  IO_URING_BPF_FILTER_DENY_REST,
  IO_URING_BPF_FILTER_SZ_STRICT,
  IORING_REGISTER_BPF_FILTER,
} from '../../syscalls/abi/index.js'
import { checkInteger, checkMembers, invalidType } from '../../syscalls/argument-errors.js'
import { defineStruct, Struct } from '../../syscalls/struct.js'
import { kernelCalls, type UringCalls } from '../../syscalls/uring-calls.js'
import type { Ring } from '../ring.js'
import { type Addressed, callForTask, callRegister, checkedCopy, checkRegister } from './call.js'

const SOCK_FILTER = defineStruct('sock_filter', 8, {
  code: [0, 'u16'],
  jt: [2, 'u8'],
  jf: [3, 'u8'],
  k: [4, 'u32'],
})
const MAX_INSTRUCTIONS = 4096
const FLAGS = IO_URING_BPF_FILTER_DENY_REST | IO_URING_BPF_FILTER_SZ_STRICT

/** One instruction of classic BPF (`struct sock_filter`). */
export interface BpfInstruction {
  readonly code: number
  /** How many instructions to skip when a comparison holds, and when it does not. Default: 0. */
  readonly jt?: number | undefined
  readonly jf?: number | undefined
  readonly k: number
}

/** A program for one opcode. */
export interface BpfFilter {
  /** The `IORING_OP_*` that it judges. */
  readonly opcode: number
  /** It sees a `struct io_uring_bpf_ctx`, and returns 0 to deny. 1 to 4096 instructions. */
  readonly program: readonly BpfInstruction[]
  /** Bytes of the part of the context that depends on the opcode: 12 for SOCKET, 24 for OPENAT. Default: 0. */
  readonly payloadBytes?: number | undefined
  /** `IO_URING_BPF_FILTER_DENY_REST`, `IO_URING_BPF_FILTER_SZ_STRICT`. */
  readonly flags?: number | undefined
}

interface FilterRequest {
  readonly request: Struct<keyof typeof IO_URING_BPF.fields>
  readonly program: Addressed
}

function filterRequest(filter: BpfFilter): FilterRequest {
  if (typeof filter !== 'object' || filter === null) throw invalidType('filter', 'an object', filter)
  checkMembers('filter', filter, ['opcode', 'program', 'payloadBytes', 'flags'])
  const instructions = checkedCopy('filter.program', filter.program, MAX_INSTRUCTIONS)
  const program = Struct.alloc(SOCK_FILTER, instructions.length)
  instructions.forEach((instruction, index) => {
    const name = `filter.program[${index}]`
    if (typeof instruction !== 'object' || instruction === null)
      throw invalidType(name, 'an object', instruction)
    const { code, jt = 0, jf = 0, k } = instruction
    checkInteger(`${name}.code`, code, 0, 0xffff)
    checkInteger(`${name}.jt`, jt, 0, 0xff)
    checkInteger(`${name}.jf`, jf, 0, 0xff)
    checkInteger(`${name}.k`, k, 0, 0xffff_ffff)
    program.assign({ code, jt, jf, k }, index)
  })
  const request = Struct.alloc(IO_URING_BPF).assign({
    cmd_type: IO_URING_BPF_CMD_FILTER,
    'filter.opcode': checkInteger('filter.opcode', filter.opcode, 0, 0xff),
    'filter.flags': checkInteger('filter.flags', filter.flags ?? 0, 0, FLAGS),
    'filter.filter_len': instructions.length,
    'filter.pdu_size': checkInteger('filter.payloadBytes', filter.payloadBytes ?? 0, 0, 0xff),
    'filter.filter_ptr': program.address,
  })
  return { request, program }
}

function checkFilter(result: number, request: FilterRequest['request']): void {
  checkRegister(result, IORING_REGISTER_BPF_FILTER, {
    // The kernel writes the size that it has into the request.
    EMSGSIZE: () => `this kernel gives the opcode a payload of ${request.get('filter.pdu_size')} bytes`,
    EACCES: 'it needs CAP_SYS_ADMIN, or no_new_privs set for this thread',
  })
}

/**
 * Adds a filter to a ring, for good. Several for one opcode must all allow. Linux 7.0.
 *
 * @throws TypeError, RangeError; SystemError `io_uring_register`: EINVAL (a bad program, or an older kernel), EMSGSIZE
 *   (`payloadBytes` does not fit), EACCES.
 * @see io_uring_register_bpf_filter(3)
 */
export function registerBpfFilter(ring: Ring, filter: BpfFilter): void {
  const { request, program } = filterRequest(filter)
  checkFilter(callRegister(ring, IORING_REGISTER_BPF_FILTER, request, 1, program), request)
}

/**
 * Adds a filter to every ring that this thread, and whatever it forks, sets up from now on. Linux 7.0.
 *
 * @param calls - The system calls; tests replace them.
 * @throws As `registerBpfFilter`.
 * @see io_uring_register_bpf_filter_task(3)
 */
export function registerBpfFilterTask(filter: BpfFilter, calls: UringCalls = kernelCalls): void {
  const { request, program } = filterRequest(filter)
  checkFilter(callForTask(calls, IORING_REGISTER_BPF_FILTER, request, 1, program), request)
}
