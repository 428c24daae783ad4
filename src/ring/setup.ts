// From options to a mapped ring: validates the options, calls io_uring_setup(2), maps the memory and asserts
// what the kernel promises. It makes no choices: which flags to ask for is decided in `config/`.

import {
  IO_URING_PARAMS,
  IO_URING_RSRC_UPDATE,
  IORING_FEAT_SINGLE_MMAP,
  IORING_OFF_CQ_RING,
  IORING_OFF_SQ_RING,
  IORING_OFF_SQES,
  IORING_REGISTER_USE_REGISTERED_RING,
  IORING_SETUP_ATTACH_WQ,
  IORING_SETUP_CLAMP,
  IORING_SETUP_COOP_TASKRUN,
  IORING_SETUP_CQE_MIXED,
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
  IORING_SETUP_SQE_MIXED,
  IORING_SETUP_SQE128,
  IORING_SETUP_SQPOLL,
  IORING_SETUP_TASKRUN_FLAG,
  IORING_UNREGISTER_RING_FDS,
  MAP_ANONYMOUS,
  MAP_HUGETLB,
  MAP_POPULATE,
  MAP_SHARED,
} from '../syscalls/abi/index.js'
import {
  checkInteger,
  checkMembers,
  invalidState,
  invalidType,
  invalidValue,
  outOfRange,
} from '../syscalls/argument-errors.js'
import { closeNoted, noteHeld } from '../syscalls/descriptor-notes.js'
import { systemError } from '../syscalls/errno.js'
import { MappedRegion, NOT_A_FILE, PAGE_BYTES } from '../syscalls/memory.js'
import type { Fd } from '../syscalls/numbers.js'
import { Struct } from '../syscalls/struct.js'
import type { UringCalls } from '../syscalls/uring-calls.js'

/** Bounds of the kernel: entries above them are refused, or cut with IORING_SETUP_CLAMP. */
export const MAX_SQ_ENTRIES = 32768
export const MAX_CQ_ENTRIES = 65536

/** All setup flags this library knows: bits 0 to 20. */
const KNOWN_FLAGS = 0x1f_ffff

/** What `Ring.open` takes. */
export interface RingOptions {
  /** Submission queue entries, 1 to 32768; the kernel rounds up to a power of two. */
  readonly entries: number
  /** Completion queue entries, at least `entries` and at most 65536. Default: twice `entries`. Linux 5.5. */
  readonly cqEntries?: number | undefined
  /** `IORING_SETUP_*` bits. CQSIZE, SQ_AFF and ATTACH_WQ are set by the options that need them. */
  readonly flags?: number | undefined
  /** How long an SQPOLL thread spins before it sleeps, in milliseconds. 0: the kernel's default of one second. */
  readonly sqThreadIdleMs?: number | undefined
  /** The processor an SQPOLL thread is bound to. */
  readonly sqThreadCpu?: number | undefined
  /**
   * A ring (or its descriptor) whose worker and SQPOLL threads this one shares; not one with
   * IORING_SETUP_REGISTERED_FD_ONLY. Linux 5.6.
   */
  readonly attachTo?: { readonly fd: Fd; readonly flags?: number | undefined } | Fd | undefined
}

const OPTION_NAMES = ['entries', 'cqEntries', 'flags', 'sqThreadIdleMs', 'sqThreadCpu', 'attachTo'] as const

/** Where things lie in the mapped memory (`...At`: 32-bit word indices), and what the kernel granted. */
export interface RingLayout {
  readonly fd: Fd
  readonly flags: number
  readonly features: number
  readonly sqEntries: number
  readonly cqEntries: number
  readonly sqHeadAt: number
  readonly sqTailAt: number
  readonly sqFlagsAt: number
  readonly sqDroppedAt: number
  /** -1 with IORING_SETUP_NO_SQARRAY. */
  readonly sqArrayAt: number
  readonly cqHeadAt: number
  readonly cqTailAt: number
  readonly cqOverflowAt: number
  readonly cqFlagsAt: number
  readonly cqesAt: number
  readonly sqeWords: number
  readonly cqeWords: number
  readonly sqRing: MappedRegion
  /** The same region as `sqRing` where the kernel maps both in one. */
  readonly cqRing: MappedRegion
  readonly sqes: MappedRegion
  /** Every region, once, in the order in which to unmap them. */
  readonly regions: readonly MappedRegion[]
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && (value & (value - 1)) === 0
}

function nextPowerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(value))
}

/** A `struct io_uring_params`. */
export type SetupParams = Struct<keyof typeof IO_URING_PARAMS.fields>

type Conflict = readonly [flags: number, forbidden: number, text: string]
type Need = readonly [flags: number, needed: number, text: string]

// Each line is an EINVAL of io_uring_setup(2), said in words before the kernel is asked.
const CONFLICTS: readonly Conflict[] = [
  [
    IORING_SETUP_SQPOLL,
    IORING_SETUP_DEFER_TASKRUN,
    'IORING_SETUP_SQPOLL excludes IORING_SETUP_DEFER_TASKRUN',
  ],
  [IORING_SETUP_SQPOLL, IORING_SETUP_COOP_TASKRUN, 'IORING_SETUP_SQPOLL excludes IORING_SETUP_COOP_TASKRUN'],
  [IORING_SETUP_SQPOLL, IORING_SETUP_TASKRUN_FLAG, 'IORING_SETUP_SQPOLL excludes IORING_SETUP_TASKRUN_FLAG'],
  [IORING_SETUP_SQPOLL, IORING_SETUP_SQ_REWIND, 'IORING_SETUP_SQPOLL excludes IORING_SETUP_SQ_REWIND'],
  [IORING_SETUP_CQE32, IORING_SETUP_CQE_MIXED, 'IORING_SETUP_CQE32 excludes IORING_SETUP_CQE_MIXED'],
  [IORING_SETUP_SQE128, IORING_SETUP_SQE_MIXED, 'IORING_SETUP_SQE128 excludes IORING_SETUP_SQE_MIXED'],
]
const NEEDS: readonly Need[] = [
  [IORING_SETUP_SQ_AFF, IORING_SETUP_SQPOLL, 'IORING_SETUP_SQ_AFF needs IORING_SETUP_SQPOLL'],
  [
    IORING_SETUP_DEFER_TASKRUN,
    IORING_SETUP_SINGLE_ISSUER,
    'IORING_SETUP_DEFER_TASKRUN needs IORING_SETUP_SINGLE_ISSUER',
  ],
  [
    IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN,
    'IORING_SETUP_TASKRUN_FLAG needs IORING_SETUP_COOP_TASKRUN or IORING_SETUP_DEFER_TASKRUN',
  ],
  [
    IORING_SETUP_REGISTERED_FD_ONLY,
    IORING_SETUP_NO_MMAP,
    'IORING_SETUP_REGISTERED_FD_ONLY needs IORING_SETUP_NO_MMAP',
  ],
  [IORING_SETUP_HYBRID_IOPOLL, IORING_SETUP_IOPOLL, 'IORING_SETUP_HYBRID_IOPOLL needs IORING_SETUP_IOPOLL'],
  [IORING_SETUP_SQ_REWIND, IORING_SETUP_NO_SQARRAY, 'IORING_SETUP_SQ_REWIND needs IORING_SETUP_NO_SQARRAY'],
]

/** Why io_uring_setup(2) never takes these flags together; null when it may. */
export function contradiction(flags: number): string | null {
  for (const [having, forbidden, text] of CONFLICTS) {
    if (flags & having && flags & forbidden) return `is contradictory: ${text}`
  }
  for (const [having, needed, text] of NEEDS) {
    if (flags & having && !(flags & needed)) return `is incomplete: ${text}`
  }
  return null
}

/** The setup flags that `options` ask for, explicit and implied. @throws as `Ring.open` does for bad options. */
function requestedFlags(options: RingOptions): number {
  let flags = options.flags ?? 0
  if (typeof flags !== 'number') throw invalidType('options.flags', 'of type number', flags)
  if (!Number.isInteger(flags) || flags < 0 || flags > KNOWN_FLAGS) {
    throw outOfRange('options.flags', `a combination of IORING_SETUP_ flags, 0 to ${KNOWN_FLAGS}`, flags)
  }
  if (flags & IORING_SETUP_CQSIZE && options.cqEntries === undefined) {
    throw invalidValue('options.flags', flags, 'has IORING_SETUP_CQSIZE, which needs options.cqEntries')
  }
  if (flags & IORING_SETUP_ATTACH_WQ && options.attachTo === undefined) {
    throw invalidValue('options.flags', flags, 'has IORING_SETUP_ATTACH_WQ, which needs options.attachTo')
  }
  if (options.cqEntries !== undefined) flags |= IORING_SETUP_CQSIZE
  if (options.sqThreadCpu !== undefined) flags |= IORING_SETUP_SQ_AFF
  if (options.attachTo !== undefined) flags |= IORING_SETUP_ATTACH_WQ
  const text = contradiction(flags)
  if (text !== null) throw invalidValue('options.flags', flags, text)
  return flags
}

function attachedFd(attachTo: RingOptions['attachTo']): Fd {
  if (typeof attachTo !== 'object' || attachTo === null) {
    return checkInteger('options.attachTo', attachTo, 0, 0x7fff_ffff)
  }
  const { fd, flags = 0 } = attachTo
  if (flags & IORING_SETUP_REGISTERED_FD_ONLY) {
    throw invalidState('options.attachTo has no descriptor (IORING_SETUP_REGISTERED_FD_ONLY)')
  }
  return checkInteger('options.attachTo', fd, 0, 0x7fff_ffff)
}

/** A `struct io_uring_params` for `options`. @throws TypeError, RangeError with Node's codes for bad options. */
export function setupParams(given: RingOptions): SetupParams {
  if (typeof given !== 'object' || given === null) throw invalidType('options', 'an object', given)
  checkMembers('options', given, OPTION_NAMES)
  // Each option is read once: it may be a getter, and the value checked must be the value used.
  const { entries: wanted, cqEntries, flags: bits, sqThreadIdleMs, sqThreadCpu, attachTo } = given
  const options = { entries: wanted, cqEntries, flags: bits, sqThreadIdleMs, sqThreadCpu, attachTo }
  const flags = requestedFlags(options)
  const clamp = (flags & IORING_SETUP_CLAMP) !== 0
  const entries = checkInteger('options.entries', wanted, 1, clamp ? 0xffff_ffff : MAX_SQ_ENTRIES)
  const params = Struct.alloc(IO_URING_PARAMS).set('sq_entries', entries)
  if (cqEntries !== undefined) {
    const least = nextPowerOfTwo(Math.min(entries, MAX_SQ_ENTRIES))
    const most = clamp ? 0xffff_ffff : MAX_CQ_ENTRIES
    checkInteger('options.cqEntries', cqEntries, 1, most)
    if (nextPowerOfTwo(cqEntries) < least) throw outOfRange('options.cqEntries', `>= ${least}`, cqEntries)
    params.set('cq_entries', cqEntries)
  }
  if (!(flags & IORING_SETUP_SQPOLL) && sqThreadIdleMs !== undefined) {
    const text = 'has a meaning with IORING_SETUP_SQPOLL only'
    throw invalidValue('options.sqThreadIdleMs', sqThreadIdleMs, text)
  }
  params.set('flags', flags)
  params.set('sq_thread_idle', checkInteger('options.sqThreadIdleMs', sqThreadIdleMs ?? 0, 0, 0xffff_ffff))
  params.set('sq_thread_cpu', checkInteger('options.sqThreadCpu', sqThreadCpu ?? 0, 0, 0xffff_ffff))
  if (attachTo !== undefined) params.set('wq_fd', attachedFd(attachTo))
  return params
}

/** Throws when the kernel breaks a promise of its ABI: there is no way to go on. */
function promised(condition: boolean, what: string): void {
  if (!condition) throw new Error(`The kernel broke a promise of io_uring_setup(2): ${what}`)
}

function pageAligned(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES
}

/**
 * Where the kernel puts the SQ array: at the first cache line after the CQEs. For 32-byte CQEs it doubles the
 * whole offset, header included.
 */
export function arrayOffset(cqesOffset: number, cqEntries: number, cqeWords: number): number {
  const CACHE_LINE_BYTES = 64
  const bytes = (cqesOffset + cqEntries * CQE_BYTES) * ((cqeWords * 4) / CQE_BYTES)
  return Math.ceil(bytes / CACHE_LINE_BYTES) * CACHE_LINE_BYTES
}

const HUGE_PAGE_BYTES = 2 * 1024 * 1024
// The size is explicit, because a machine's default may be another. linux/mman.h writes it log2(size) << 26.
const MAP_HUGE_2MB = 21 << 26

/** Memory of our own for a ring that is not mapped from the kernel (IORING_SETUP_NO_MMAP). Linux 6.5. */
function ownMemory(bytes: number): MappedRegion {
  // Before 6.10 the kernel insists on physically contiguous memory: one page, or one huge page. Later kernels
  // take any memory. For more than one page a huge page is tried first, then ordinary pages.
  const kind = MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE
  if (bytes > PAGE_BYTES) {
    try {
      const length = Math.ceil(bytes / HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES
      return MappedRegion.anonymous(length, kind | MAP_HUGETLB | MAP_HUGE_2MB)
    } catch {
      // No huge page is free: use ordinary pages, which the kernel may refuse in setup with a clear errno.
    }
  }
  return MappedRegion.anonymous(pageAligned(bytes), kind)
}

const SQE_BYTES = 64
const CQE_BYTES = 16
// Room for the head, tail, mask and counter words in front of the CQEs; the kernel uses 64 bytes, we ask for more.
const RING_HEADER_BYTES = 320

/**
 * Sets up a ring and maps it. On any failure nothing is left behind.
 *
 * @throws TypeError, RangeError for bad options; SystemError `io_uring_setup` or `mmap` for a refusal.
 * @see io_uring_setup(2)
 */
export function setupRing(options: RingOptions, calls: UringCalls): RingLayout {
  const params = setupParams(options)
  const flags = params.get('flags')
  const entries = params.get('sq_entries')
  const sqeBytes = flags & IORING_SETUP_SQE128 ? 2 * SQE_BYTES : SQE_BYTES
  const cqeBytes = flags & IORING_SETUP_CQE32 ? 2 * CQE_BYTES : CQE_BYTES
  const regions: MappedRegion[] = []
  let fd = -1
  try {
    let own: OwnMemory | null = null
    if (flags & IORING_SETUP_NO_MMAP) {
      const sq = nextPowerOfTwo(Math.min(entries, MAX_SQ_ENTRIES))
      const cq = Math.min(nextPowerOfTwo(params.get('cq_entries') || 2 * sq), MAX_CQ_ENTRIES)
      const ring = ownMemory(RING_HEADER_BYTES + cq * cqeBytes + sq * 4)
      regions.push(ring)
      const sqes = ownMemory(sq * sqeBytes)
      regions.push(sqes)
      params.set('cq_off.user_addr', ring.address)
      params.set('sq_off.user_addr', sqes.address)
      own = { ring, sqes }
    }

    fd = calls.setup(entries, params.address)
    if (fd < 0) throw systemError(fd, 'io_uring_setup')
    // With REGISTERED_FD_ONLY it is an index, and there is no descriptor.
    if (!(flags & IORING_SETUP_REGISTERED_FD_ONLY)) noteHeld(fd)
    return mapRings(params, fd, params.get('flags'), params.get('features'), own, regions)
  } catch (error) {
    // Close the descriptor first: a ring in memory of our own must not outlive that memory.
    if (fd >= 0) {
      if (flags & IORING_SETUP_REGISTERED_FD_ONLY)
        unregisterRing(fd, fd, IORING_REGISTER_USE_REGISTERED_RING, calls)
      else closeNoted(fd)
    }
    for (const region of regions) region.unmap()
    throw error
  }
}

/**
 * Takes a ring out of this thread's table of registered rings.
 *
 * @param opcodeFlag - IORING_REGISTER_USE_REGISTERED_RING when `fd` is itself an index into that table, else 0.
 * @returns 1, or a negated errno.
 */
export function unregisterRing(fd: Fd, index: number, opcodeFlag: number, calls: UringCalls): number {
  const update = Struct.alloc(IO_URING_RSRC_UPDATE).set('offset', index)
  return calls.register(fd, (IORING_UNREGISTER_RING_FDS | opcodeFlag) >>> 0, update.address, 1)
}

/** Memory of our own, given to the kernel for a NO_MMAP ring. */
interface OwnMemory {
  readonly ring: MappedRegion
  readonly sqes: MappedRegion
}

/**
 * Maps the memory of ring `fd` as `params` (filled in by the kernel) describes it. What was mapped before a failure
 * is in `regions`, for the caller to unmap.
 *
 * @throws SystemError `mmap`; Error where the kernel broke a promise.
 */
export function mapRings(
  params: SetupParams,
  fd: Fd,
  granted: number,
  features: number,
  own: OwnMemory | null = null,
  regions: MappedRegion[] = [],
): RingLayout {
  const sqeBytes = granted & IORING_SETUP_SQE128 ? 2 * SQE_BYTES : SQE_BYTES
  const cqeBytes = granted & IORING_SETUP_CQE32 ? 2 * CQE_BYTES : CQE_BYTES
  const sqEntries = params.get('sq_entries')
  const cqEntries = params.get('cq_entries')
  promised(isPowerOfTwo(sqEntries), 'sq_entries is a power of two')
  promised(
    isPowerOfTwo(cqEntries) && cqEntries >= sqEntries,
    'cq_entries is a power of two, at least sq_entries',
  )
  const hasArray = (granted & IORING_SETUP_NO_SQARRAY) === 0
  const sqBytes = hasArray ? params.get('sq_off.array') + 4 * sqEntries : params.get('sq_off.dropped') + 4
  // With CQE_MIXED `cqEntries` still counts 16-byte entries: a 32-byte CQE takes two of them.
  const cqBytes = params.get('cq_off.cqes') + cqEntries * cqeBytes
  for (const field of ['head', 'tail', 'ring_mask', 'ring_entries', 'flags', 'dropped'] as const) {
    promised(params.get(`sq_off.${field}`) % 4 === 0, `sq_off.${field} is word-aligned`)
  }
  for (const field of ['head', 'tail', 'ring_mask', 'ring_entries', 'overflow', 'cqes'] as const) {
    promised(params.get(`cq_off.${field}`) % 4 === 0, `cq_off.${field} is word-aligned`)
  }

  let sqRing: MappedRegion
  let cqRing: MappedRegion
  let sqes: MappedRegion
  if (own !== null) {
    sqRing = cqRing = own.ring
    sqes = own.sqes
    promised(Math.max(sqBytes, cqBytes) <= sqRing.length, 'the ring fits the memory it was given')
  } else if (features & IORING_FEAT_SINGLE_MMAP) {
    sqRing = cqRing = MappedRegion.ofFile(fd, Math.max(sqBytes, cqBytes), IORING_OFF_SQ_RING, NOT_A_FILE)
    regions.push(sqRing)
    sqes = MappedRegion.ofFile(fd, sqEntries * sqeBytes, IORING_OFF_SQES, NOT_A_FILE)
    regions.push(sqes)
  } else {
    sqRing = MappedRegion.ofFile(fd, sqBytes, IORING_OFF_SQ_RING, NOT_A_FILE)
    regions.push(sqRing)
    cqRing = MappedRegion.ofFile(fd, cqBytes, IORING_OFF_CQ_RING, NOT_A_FILE)
    regions.push(cqRing)
    sqes = MappedRegion.ofFile(fd, sqEntries * sqeBytes, IORING_OFF_SQES, NOT_A_FILE)
    regions.push(sqes)
  }

  const sqWords = new Int32Array(sqRing.buffer, 0, sqRing.length >>> 2)
  const cqWords = new Int32Array(cqRing.buffer, 0, cqRing.length >>> 2)
  promised(sqWords[params.get('sq_off.ring_mask') / 4] === sqEntries - 1, 'the SQ mask is sq_entries - 1')
  promised(cqWords[params.get('cq_off.ring_mask') / 4] === cqEntries - 1, 'the CQ mask is cq_entries - 1')

  const cqFlags = params.get('cq_off.flags')
  return {
    fd,
    flags: granted,
    features,
    sqEntries,
    cqEntries,
    sqHeadAt: params.get('sq_off.head') / 4,
    sqTailAt: params.get('sq_off.tail') / 4,
    sqFlagsAt: params.get('sq_off.flags') / 4,
    sqDroppedAt: params.get('sq_off.dropped') / 4,
    sqArrayAt: hasArray ? params.get('sq_off.array') / 4 : -1,
    cqHeadAt: params.get('cq_off.head') / 4,
    cqTailAt: params.get('cq_off.tail') / 4,
    cqOverflowAt: params.get('cq_off.overflow') / 4,
    // Kernels before 5.8 have no CQ flags word and leave the offset 0, which would be the SQ head.
    cqFlagsAt: cqFlags === 0 ? -1 : cqFlags / 4,
    cqesAt: params.get('cq_off.cqes') / 4,
    sqeWords: sqeBytes / 4,
    cqeWords: cqeBytes / 4,
    sqRing,
    cqRing,
    sqes,
    regions,
  }
}
