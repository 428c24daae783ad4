// A range of memory shared with the kernel for the life of a ring, and the only use of it so far: wait
// arguments that the kernel need not copy in at each wait.

import {
  IO_URING_MEM_REGION_REG,
  IO_URING_REG_WAIT,
  IO_URING_REGION_DESC,
  IORING_MEM_REGION_REG_WAIT_ARG,
  IORING_MEM_REGION_TYPE_USER,
  IORING_REG_WAIT_TS,
  IORING_REGISTER_MEM_REGION,
} from '../../syscalls/abi/index.js'
import {
  checkBoolean,
  checkInteger,
  checkMembers,
  checkMilliseconds,
  invalidState,
  invalidType,
} from '../../syscalls/argument-errors.js'
import { MappedRegion, NOT_A_FILE } from '../../syscalls/memory.js'
import type { Address } from '../../syscalls/numbers.js'
import { Struct } from '../../syscalls/struct.js'
import { splitMilliseconds } from '../milliseconds.js'
import type { Ring } from '../ring.js'
import { callRegister, checkMappable, checkRegister } from './call.js'

// The kernel wants whole pages. 64 KiB is a whole number of them at every page size of the supported targets.
const REGION_UNIT_BYTES = 65536
const MAX_REGION_BYTES = 2 ** 40
// The offset that enter(2) takes is a multiple of the struct's size; `submitAndWaitRegistered` counts to 65535.
const MAX_WAITS = 65536

const KEY = Symbol('registered memory region')

/** What `registerRegion` shares. */
export interface RegionOptions {
  /** Bytes, rounded up to a multiple of 64 KiB. */
  readonly lengthBytes: number
  /**
   * Let the kernel allocate, instead of pinning memory of this process. The mapping then keeps the ring alive in the
   * kernel: unmap it before (or after) the ring is closed. Not of a ring with IORING_SETUP_REGISTERED_FD_ONLY.
   */
  readonly kernelMemory?: boolean | undefined
  /** Use it for arguments of waits. The ring must be set up with R_DISABLED and not be enabled yet. */
  readonly waitArguments?: boolean | undefined
}

/** Bytes that a region of at least `lengthBytes` has. */
export function regionBytes(lengthBytes: number): number {
  return Math.ceil(lengthBytes / REGION_UNIT_BYTES) * REGION_UNIT_BYTES
}

/** Describes memory of this process to the kernel. */
export function describeRegion(region: MappedRegion): Struct<keyof typeof IO_URING_REGION_DESC.fields> {
  return Struct.alloc(IO_URING_REGION_DESC).assign({
    user_addr: region.address,
    size: region.length,
    flags: IORING_MEM_REGION_TYPE_USER,
  })
}

/**
 * Shares a range of memory with the ring, for good: it cannot be unregistered. A ring has at most one. Linux 6.13.
 *
 * @returns The memory, zeroed. Unmap it after the ring is closed; memory of this process may be unmapped before.
 * @throws TypeError, RangeError; Error `ERR_INVALID_STATE` for memory of the kernel of a ring that has no descriptor;
 *   SystemError `mmap`, or `io_uring_register`: EBUSY (there is one), EINVAL (the ring is enabled already, or an older
 *   kernel), ENOMEM (RLIMIT_MEMLOCK).
 * @see io_uring_register_region(3)
 */
export function registerRegion(ring: Ring, options: RegionOptions): MappedRegion {
  if (typeof options !== 'object' || options === null) throw invalidType('options', 'an object', options)
  checkMembers('options', options, ['lengthBytes', 'kernelMemory', 'waitArguments'])
  const length = regionBytes(checkInteger('options.lengthBytes', options.lengthBytes, 1, MAX_REGION_BYTES))
  const kernelMemory = checkBoolean('options.kernelMemory', options.kernelMemory ?? false)
  const waitArguments = checkBoolean('options.waitArguments', options.waitArguments ?? false)
  const flags = waitArguments ? IORING_MEM_REGION_REG_WAIT_ARG : 0
  if (kernelMemory) checkMappable(ring)

  const own = kernelMemory ? null : MappedRegion.anonymous(length)
  let region: MappedRegion
  try {
    const descriptor =
      own === null ? Struct.alloc(IO_URING_REGION_DESC).set('size', length) : describeRegion(own)
    const request = Struct.alloc(IO_URING_MEM_REGION_REG).assign({ region_uptr: descriptor.address, flags })
    const result = callRegister(ring, IORING_REGISTER_MEM_REGION, request, 1, descriptor)
    checkRegister(result, IORING_REGISTER_MEM_REGION, {
      EBUSY: 'the ring has its memory region already',
      ...(waitArguments && {
        EINVAL:
          'wait arguments are registered before the ring is enabled (IORING_SETUP_R_DISABLED), from Linux 6.13 on',
      }),
    })
    region = own ?? MappedRegion.ofFile(ring.fd, length, descriptor.get('mmap_offset'), NOT_A_FILE)
  } catch (error) {
    own?.unmap()
    throw error
  }
  ring.hold(KEY, region)
  return region
}

/** How a registered wait waits. */
export interface RegisteredWait {
  /** Milliseconds, fractions allowed; undefined waits for ever. */
  readonly timeoutMs?: number | undefined
  /** How long to wait for as many CQEs as wanted, in microseconds; then fewer will do. */
  readonly minWaitUs?: number | undefined
  /** Address of a 64-bit signal mask to put in force during the wait; it must outlive every use. */
  readonly signalMask?: Address | undefined
}

/** Options of `RegisteredWaits.register`. */
export interface RegisteredWaitsOptions {
  /** How many different waits, 1 to 65536. */
  readonly count: number
  /** See `RegionOptions`. */
  readonly kernelMemory?: boolean | undefined
}

/**
 * Wait arguments in memory that the kernel reads in place: `Ring.submitAndWaitRegistered(n, index)` waits as
 * the last `set(index, ...)` specified. Linux 6.13.
 *
 * @see io_uring_submit_and_wait_reg(3), io_uring_register_region(3)
 */
export class RegisteredWaits {
  readonly count: number
  readonly #region: MappedRegion
  #entries: Struct<keyof typeof IO_URING_REG_WAIT.fields> | null

  private constructor(count: number, region: MappedRegion) {
    this.count = count
    this.#region = region
    this.#entries = new Struct(IO_URING_REG_WAIT, new Uint8Array(region.buffer))
  }

  /**
   * Registers room for `count` waits. Each waits for ever until it is set.
   *
   * @param ring - Set up with R_DISABLED, not enabled yet.
   * @throws As `registerRegion`.
   */
  static register(ring: Ring, options: RegisteredWaitsOptions): RegisteredWaits {
    if (typeof options !== 'object' || options === null) throw invalidType('options', 'an object', options)
    checkMembers('options', options, ['count', 'kernelMemory'])
    const count = checkInteger('options.count', options.count, 1, MAX_WAITS)
    const lengthBytes = count * IO_URING_REG_WAIT.size
    const { kernelMemory } = options
    return new RegisteredWaits(
      count,
      registerRegion(ring, { lengthBytes, kernelMemory, waitArguments: true }),
    )
  }

  /**
   * Sets how `Ring.submitAndWaitRegistered` waits with this index from now on.
   *
   * @throws TypeError, RangeError; Error `ERR_INVALID_STATE` once closed.
   */
  set(index: number, wait: RegisteredWait): this {
    const entries = this.#entries
    if (entries === null) throw invalidState('The registered waits are closed')
    checkInteger('index', index, 0, this.count - 1)
    if (typeof wait !== 'object' || wait === null) throw invalidType('wait', 'an object', wait)
    checkMembers('wait', wait, ['timeoutMs', 'minWaitUs', 'signalMask'])
    const { timeoutMs, minWaitUs = 0, signalMask = 0 } = wait
    if (timeoutMs !== undefined) checkMilliseconds('wait.timeoutMs', timeoutMs)
    checkInteger('wait.minWaitUs', minWaitUs, 0, 0xffff_ffff)
    checkInteger('wait.signalMask', signalMask, 0, Number.MAX_SAFE_INTEGER)
    const { sec, nsec } = splitMilliseconds(timeoutMs ?? 0)
    // No barrier: the kernel reads these words inside enter(2), called by this very thread.
    entries.assign(
      {
        'ts.tv_sec': sec,
        'ts.tv_nsec': nsec,
        min_wait_usec: minWaitUs,
        flags: timeoutMs === undefined ? 0 : IORING_REG_WAIT_TS,
        sigmask: signalMask,
        sigmask_sz: signalMask === 0 ? 0 : 8,
      },
      index,
    )
    return this
  }

  /** Unmaps the memory. The ring keeps what was set last until it is closed. A second call does nothing. */
  close(): void {
    this.#entries = null
    this.#region.unmap()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
