// What one small ring tells about the kernel: whether rings can be had at all, the features, the opcodes, whether
// provided-buffer rings work. Set up, asked and closed; nothing is kept open.

import {
  IO_URING_BUF_REG,
  IO_URING_OP_SUPPORTED,
  IO_URING_PARAMS,
  IO_URING_PROBE,
  IO_URING_PROBE_OP,
  IORING_REGISTER_PBUF_RING,
  IORING_REGISTER_PROBE,
  IORING_UNREGISTER_PBUF_RING,
} from '../syscalls/abi/index.js'
import { addressOf, MappedRegion, PAGE_BYTES } from '../syscalls/memory.js'
import type { Fd } from '../syscalls/numbers.js'
import { Struct } from '../syscalls/struct.js'
import type { UringCalls } from '../syscalls/uring-calls.js'
import type { Machine } from './machine.js'
import { MemoryRetries } from './memory-retry.js'

/** The answers of one small ring. */
export interface RingProbe {
  /** 0, or the negated errno with which io_uring_setup(2) refused. */
  readonly setup: number
  /** 0, or the negated errno of IORING_REGISTER_PROBE: EINVAL before Linux 5.6. */
  readonly probe: number
  /** `IORING_FEAT_*` bits. */
  readonly features: number
  /** SQE opcodes that the kernel supports, ascending. */
  readonly opcodes: readonly number[]
  /** A provided-buffer ring could be registered. */
  readonly pbufRing: boolean
}

/** The most opcodes a probe can name: the opcode of an SQE is a byte. */
const MAX_OPCODES = 256

/** A setup of two entries with `flags`. The descriptor is the caller's to close. @returns It, or a negated errno. */
export function trySetup(
  calls: UringCalls,
  flags: number,
  more: Readonly<Partial<Record<keyof typeof IO_URING_PARAMS.fields, number>>> = {},
): { readonly result: number; readonly features: number } {
  const params = Struct.alloc(IO_URING_PARAMS).set('flags', flags).assign(more)
  const result = calls.setup(2, params.address)
  return { result, features: params.get('features') }
}

/** Sets up a small ring, asks it, closes it. `whileOpen` asks more of it before it is closed. */
export function probeRing(machine: Machine, whileOpen?: (fd: Fd) => void): RingProbe {
  const { calls } = machine
  const retries = new MemoryRetries((milliseconds) => machine.sleepMs(milliseconds))
  let ring = trySetup(calls, 0)
  while (retries.again(ring.result)) ring = trySetup(calls, 0)
  if (ring.result < 0) return { setup: ring.result, probe: 0, features: 0, opcodes: [], pbufRing: false }
  const fd = ring.result
  try {
    const { probe, opcodes } = supportedOpcodes(calls, fd)
    whileOpen?.(fd)
    return { setup: 0, probe, features: ring.features, opcodes, pbufRing: takesPbufRing(calls, fd) }
  } finally {
    machine.close(fd)
  }
}

function supportedOpcodes(calls: UringCalls, fd: Fd): { probe: number; opcodes: number[] } {
  const headBytes = IO_URING_PROBE.size
  const memory = new Uint8Array(new ArrayBuffer(headBytes + MAX_OPCODES * IO_URING_PROBE_OP.size))
  const probe = calls.register(fd, IORING_REGISTER_PROBE, addressOf(memory), MAX_OPCODES)
  if (probe < 0) return { probe, opcodes: [] }
  const operations = new Struct(IO_URING_PROBE_OP, memory.subarray(headBytes))
  const opcodes: number[] = []
  for (let index = 0; index < MAX_OPCODES; index++) {
    if (operations.get('flags', index) & IO_URING_OP_SUPPORTED) opcodes.push(operations.get('op', index))
  }
  return { probe: 0, opcodes }
}

function takesPbufRing(calls: UringCalls, fd: Fd): boolean {
  const memory = MappedRegion.anonymous(PAGE_BYTES)
  try {
    const ring = Struct.alloc(IO_URING_BUF_REG).assign({
      ring_addr: memory.address,
      ring_entries: 1,
      bgid: 0,
    })
    if (calls.register(fd, IORING_REGISTER_PBUF_RING, ring.address, 1) < 0) return false
    const group = Struct.alloc(IO_URING_BUF_REG).assign({ bgid: 0 })
    return calls.register(fd, IORING_UNREGISTER_PBUF_RING, group.address, 1) >= 0
  } finally {
    memory.unmap()
  }
}
