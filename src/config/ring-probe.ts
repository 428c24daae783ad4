// What one small ring tells about the kernel: whether rings can be set up at all, the features, the opcodes,
// whether provided-buffer rings work. The ring is opened, asked and closed; nothing is kept.

import { IOSQE_ASYNC, prepNop, Ring } from '../ring/index.js'
import { callRegister } from '../ring/register/call.js'
import { registerProbe } from '../ring/register/probe.js'
import {
  IO_URING_BUF_REG,
  IORING_REGISTER_PBUF_RING,
  IORING_SETUP_SQPOLL,
  IORING_UNREGISTER_PBUF_RING,
} from '../syscalls/abi/index.js'
import { SystemError } from '../syscalls/errno.js'
import { EAGAIN, ETIME } from '../syscalls/errno-values.js'
import { MappedRegion, PAGE_BYTES } from '../syscalls/memory.js'
import { Struct } from '../syscalls/struct.js'
import type { Machine } from './machine.js'
import { MemoryRetries } from './memory-retry.js'
import { trySetup } from './trials.js'

/** The answers of one small ring. */
export interface RingProbe {
  /** 0, or the negated errno with which the ring was refused. */
  readonly setup: number
  /** 0, or the negated errno of IORING_REGISTER_PROBE: EINVAL before Linux 5.6. */
  readonly probe: number
  /** `IORING_FEAT_*` bits. */
  readonly features: number
  /** SQE opcodes that the kernel supports, ascending. */
  readonly opcodes: readonly number[]
  /** A provided-buffer ring could be registered. */
  readonly pbufRing: boolean
  /**
   * 0, or the negated errno of an operation that needs a kernel thread. When none can be started: ECANCELED,
   * or ETIME where the kernel keeps trying.
   */
  readonly thread: number
}

/** Enough time for a thread to start, even on a very busy machine. */
const THREAD_TIMEOUT_MS = 1000

/** Two entries fit into the smallest memory that a ring can have: two pages. */
const ENTRIES = 2

/**
 * Opens a small ring (with retries after ENOMEM), asks it and closes it.
 *
 * @param whileOpen - Called before the ring is closed, to ask more. `canProbe`: opcodes could be probed.
 * @throws Error where the kernel breaks a promise of its ABI; a refusal is returned.
 */
export function probeRing(machine: Machine, whileOpen?: (ring: Ring, canProbe: boolean) => void): RingProbe {
  const retries = new MemoryRetries((milliseconds) => machine.sleepMs(milliseconds))
  let ring = openOrErrno(machine)
  while (typeof ring === 'number' && retries.again(ring)) ring = openOrErrno(machine)
  if (typeof ring === 'number') {
    return { setup: ring, probe: 0, features: 0, opcodes: [], pbufRing: false, thread: 0 }
  }
  try {
    const opcodes = supportedOpcodes(ring)
    whileOpen?.(ring, typeof opcodes !== 'number')
    return {
      setup: 0,
      probe: typeof opcodes === 'number' ? opcodes : 0,
      features: ring.features,
      opcodes: typeof opcodes === 'number' ? [] : opcodes,
      pbufRing: takesPbufRing(ring),
      thread: startThread(ring, machine),
    }
  } finally {
    ring.close()
  }
}

function openOrErrno(machine: Machine): Ring | number {
  try {
    return Ring.open({ entries: ENTRIES }, machine.calls)
  } catch (error) {
    if (error instanceof SystemError) return error.errno
    throw error
  }
}

function supportedOpcodes(ring: Ring): number[] | number {
  try {
    const { ops, supports } = registerProbe(ring)
    return ops.map(({ opcode }) => opcode).filter(supports)
  } catch (error) {
    if (error instanceof SystemError) return error.errno
    throw error
  }
}

function takesPbufRing(ring: Ring): boolean {
  let memory: MappedRegion
  try {
    memory = MappedRegion.anonymous(PAGE_BYTES)
  } catch (error) {
    // Without a free page such a ring would be of no use either.
    if (error instanceof SystemError) return false
    throw error
  }
  try {
    const group = Struct.alloc(IO_URING_BUF_REG).assign({ ring_addr: memory.address, ring_entries: 1 })
    if (callRegister(ring, IORING_REGISTER_PBUF_RING, group, 1, memory) < 0) return false
    return callRegister(ring, IORING_UNREGISTER_PBUF_RING, Struct.alloc(IO_URING_BUF_REG), 1) >= 0
  } finally {
    memory.unmap()
  }
}

/**
 * Makes the kernel run one operation in a worker thread. Where RLIMIT_NPROC or pids.max allows none, the
 * kernel cancels every such operation, as if somebody had asked for it; older kernels (seen in the io_uring
 * of 5.15) try again and again. The worker stays with the calling thread, even after the ring is closed, so a
 * limit that is reached later does no harm.
 */
function startThread(ring: Ring, machine: Machine): number {
  try {
    prepNop(ring.getSqe()!).setFlags(IOSQE_ASYNC)
    ring.submitAndWait(1, THREAD_TIMEOUT_MS)
  } catch (error) {
    if (error instanceof SystemError) return error.errno
    throw error
  }
  let result: number | null = null
  ring.forEachCqe((_low, _high, res) => {
    result = res
  })
  return result ?? (canHaveThread(machine) ? 0 : ETIME)
}

/** Whether the kernel starts a thread for SQPOLL, or refuses it for a reason other than a lack of threads. */
function canHaveThread({ calls, close }: Machine): boolean {
  const fd = trySetup(calls, IORING_SETUP_SQPOLL, { sq_thread_idle: 1 })
  if (fd >= 0) close(fd)
  return fd !== EAGAIN
}
