// IORING_REGISTER_PROBE: which SQE opcodes the running kernel has.

import {
  IO_URING_OP_SUPPORTED,
  IO_URING_PROBE,
  IO_URING_PROBE_OP,
  IORING_REGISTER_PROBE,
} from '../../syscalls/abi/index.js'
import { addressOf } from '../../syscalls/memory.js'
import { Struct } from '../../syscalls/struct.js'
import type { Ring } from '../ring.js'
import { callRegister, checkRegister } from './call.js'

/** The most opcodes that the kernel reports. */
const MAX_OPS = 256

/** One opcode as the kernel reports it. */
export interface OpcodeReport {
  readonly opcode: number
  /** `IO_URING_OP_SUPPORTED` or nothing. */
  readonly flags: number
}

/** What the kernel reports about its opcodes. */
export interface OpcodeProbe {
  /** The highest opcode that the kernel knows by number, supported or not. */
  readonly lastOp: number
  /** One entry for each opcode from 0 to `lastOp`. */
  readonly ops: readonly OpcodeReport[]
  /** Whether an opcode can be used. */
  supports(opcode: number): boolean
}

/**
 * Asks which opcodes the kernel supports. Linux 5.6.
 *
 * @throws SystemError `io_uring_register`: EINVAL from an older kernel.
 * @see io_uring_register_probe(3), io_uring_get_probe_ring(3)
 */
export function registerProbe(ring: Ring): OpcodeProbe {
  const memory = new Uint8Array(new ArrayBuffer(IO_URING_PROBE.size + MAX_OPS * IO_URING_PROBE_OP.size))
  const argument = { address: addressOf(memory), memory }
  checkRegister(callRegister(ring, IORING_REGISTER_PROBE, argument, MAX_OPS), IORING_REGISTER_PROBE)
  const head = new Struct(IO_URING_PROBE, memory)
  const entries = new Struct(IO_URING_PROBE_OP, memory.subarray(IO_URING_PROBE.size))
  const ops = Array.from({ length: head.get('ops_len') }, (_, index) => ({
    opcode: entries.get('op', index),
    flags: entries.get('flags', index),
  }))
  return {
    lastOp: head.get('last_op'),
    ops,
    supports: (opcode) => ((ops[opcode]?.flags ?? 0) & IO_URING_OP_SUPPORTED) !== 0,
  }
}
