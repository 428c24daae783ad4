// The worker threads that run operations which would block: where they run, and how many there may be.

import { readFileSync } from 'node:fs'
import {
  IO_WQ_BOUND,
  IO_WQ_UNBOUND,
  IORING_REGISTER_IOWQ_AFF,
  IORING_REGISTER_IOWQ_MAX_WORKERS,
  IORING_UNREGISTER_IOWQ_AFF,
} from '../../syscalls/abi/index.js'
import { checkInteger, checkMembers } from '../../syscalls/argument-errors.js'
import { addressOf } from '../../syscalls/memory.js'
import type { Ring } from '../ring.js'
import { callRegister, checkedCopy, checkRegister, ints } from './call.js'

/** The most processors that a kernel can be built for. */
const MAX_CPUS = 8192

/** One past the highest number that a processor of this machine can have. */
function possibleCpus(): number {
  try {
    const ranges = readFileSync('/sys/devices/system/cpu/possible', 'latin1')
    return Number.parseInt(/(\d+)\s*$/.exec(ranges)?.[1] ?? '', 10) + 1 || MAX_CPUS
  } catch {
    return MAX_CPUS
  }
}

/** Bounds on the worker threads of a ring, per NUMA node. */
export interface IowqWorkers {
  /** Workers for regular files and block devices, whose operations end in bounded time. */
  readonly bounded: number
  /** Workers for sockets, pipes and everything else. */
  readonly unbounded: number
}

/**
 * Binds the workers of this thread's rings to processors. This holds for workers that start from now on; idle
 * workers on other processors end. Linux 5.14.
 *
 * @param cpus - Numbers of processors of this machine, at least one.
 * @throws TypeError, RangeError; SystemError `io_uring_register`: EINVAL for processors that this task may not use.
 * @see io_uring_register_iowq_aff(3), sched_setaffinity(2)
 */
export function registerIowqAff(ring: Ring, cpus: readonly number[]): void {
  const wanted = checkedCopy('cpus', cpus, MAX_CPUS)
  // The kernel truncates a mask that is too long: a processor that does not exist would give an empty mask,
  // not an error.
  const last = possibleCpus() - 1
  for (const [index, cpu] of wanted.entries()) checkInteger(`cpus[${index}]`, cpu, 0, last)
  // A cpu_set_t is an array of unsigned longs; in little-endian memory, bit n of it is bit n % 8 of byte n / 8.
  const mask = new Uint8Array(new ArrayBuffer((Math.floor(Math.max(...wanted) / 64) + 1) * 8))
  for (const cpu of wanted) mask[cpu >>> 3] = mask[cpu >>> 3]! | (1 << (cpu & 7))
  const argument = { address: addressOf(mask), mask }
  checkRegister(
    callRegister(ring, IORING_REGISTER_IOWQ_AFF, argument, mask.length),
    IORING_REGISTER_IOWQ_AFF,
    {
      EINVAL:
        'a processor is not among those that this task may use (its cpuset), or the ring is not enabled yet',
    },
  )
}

/**
 * Lets the workers run wherever this task may. Linux 5.14.
 *
 * @throws SystemError `io_uring_register`.
 * @see io_uring_unregister_iowq_aff(3)
 */
export function unregisterIowqAff(ring: Ring): void {
  checkRegister(callRegister(ring, IORING_UNREGISTER_IOWQ_AFF, null, 0), IORING_UNREGISTER_IOWQ_AFF)
}

/**
 * Bounds the number of workers. Linux 5.15.
 *
 * @param workers - A bound that is left out, or 0, does not change: `registerIowqMaxWorkers(ring)` only reads
 *   them.
 * @returns The bounds before the call.
 * @throws TypeError, RangeError; SystemError `io_uring_register`.
 * @see io_uring_register_iowq_max_workers(3)
 */
export function registerIowqMaxWorkers(ring: Ring, workers: Partial<IowqWorkers> = {}): IowqWorkers {
  checkMembers('workers', workers, ['bounded', 'unbounded'])
  const bounded = checkInteger('workers.bounded', workers.bounded ?? 0, 0, 0x7fff_ffff)
  const unbounded = checkInteger('workers.unbounded', workers.unbounded ?? 0, 0, 0x7fff_ffff)
  const bounds = ints([bounded, unbounded])
  const result = callRegister(ring, IORING_REGISTER_IOWQ_MAX_WORKERS, bounds, 2)
  checkRegister(result, IORING_REGISTER_IOWQ_MAX_WORKERS)
  return { bounded: bounds.get('value', IO_WQ_BOUND), unbounded: bounds.get('value', IO_WQ_UNBOUND) }
}
