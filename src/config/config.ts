// The config of a ring: its type, its three presets and its validation. No decision is made here.

import { MAX_CQ_ENTRIES, MAX_SQ_ENTRIES, type Restriction } from '../ring/index.js'
import { contradiction } from '../ring/setup.js'
import {
  flagNames,
  IORING_SETUP_ATTACH_WQ,
  IORING_SETUP_CLAMP,
  IORING_SETUP_CQSIZE,
  IORING_SETUP_R_DISABLED,
  IORING_SETUP_SQ_AFF,
  IORING_SETUP_SQ_REWIND,
  IORING_SETUP_SQPOLL,
} from '../syscalls/abi/index.js'
import {
  checkBoolean,
  checkInteger,
  checkMembers,
  invalidType,
  invalidValue,
  outOfRange,
} from '../syscalls/argument-errors.js'
import { RESTRICTION_PRESETS, type RestrictionPreset } from './restrictions.js'
import { DEFAULT_SETUP_FLAGS } from './setup-flags.js'

/** Whether sockets may try SEND_ZC: only `'enabled'` lets them; `'auto'` and `'disabled'` send plainly. */
export type ZeroCopyPolicy = 'auto' | 'enabled' | 'disabled'

/** What is wanted of a ring. The presets fill all members but the last four, which have defaults of their own. */
export interface IoUringConfig {
  /** Submission queue entries: a power of two, 1 to 32768. */
  sqEntries: number
  /**
   * A wish, which `buildRing` only reports: bytes of each IO buffer, 1 to 1 GiB; a multiple of 512 with
   * `directIo`.
   */
  bufferSize: number
  /** A wish: buffers to register, at most 1024; at least 1 with `registerBuffers`. */
  registeredBufferCount: number
  /** A wish: files opened with O_DIRECT. */
  directIo: boolean
  /** A wish: the files in use registered (IORING_REGISTER_FILES). */
  registerFiles: boolean
  /** A wish: the buffers registered (IORING_REGISTER_BUFFERS), READ_FIXED and WRITE_FIXED used. */
  registerBuffers: boolean
  /** Ask for a kernel thread that submits (IORING_SETUP_SQPOLL). A refusal gives a regular ring. */
  sqpoll: boolean
  /** How long that thread spins before it sleeps, in milliseconds; 0 is the kernel's default, one second. */
  sqpollIdleMs: number
  /** The transfer plan that this ring serves has an active reader of a mapped basis: SQPOLL is refused. */
  mmapBasisActive: boolean
  /** Whether sockets may try SEND_ZC. */
  zeroCopyPolicy: ZeroCopyPolicy
  /**
   * The mapped basis is pinned with mlock(2) before each submission, so SQPOLL is allowed. Default: false.
   */
  pinMmapBasis?: boolean | undefined
  /** Completion queue entries, `sqEntries` to 65536. Default: the kernel's, twice `sqEntries`. */
  cqEntries?: number | undefined
  /**
   * `IORING_SETUP_*` bits wanted beside SQPOLL. Those in `OPTIONAL_SETUP_FLAGS` are given up where a kernel does not
   * know them; any other is required. Default: `DEFAULT_SETUP_FLAGS`.
   */
  setupFlags?: number | undefined
  /**
   * What the ring may do for whoever holds it, as a preset or as a list of allowed things; all else fails
   * with EACCES. It cannot be changed later (`IORING_REGISTER_RESTRICTIONS`). SECURITY.md tells what it is
   * good for. Default: everything. Linux 5.10.
   *
   * `'read-only'`: reads from open descriptors, statx, waits. No open, which can empty a file, and no close.
   */
  restrictions?: RestrictionPreset | readonly Restriction[] | undefined
}

/** A validated config with nothing left open but `cqEntries`. */
export interface CompleteConfig
  extends Readonly<Omit<IoUringConfig, 'pinMmapBasis' | 'cqEntries' | 'setupFlags' | 'restrictions'>> {
  readonly pinMmapBasis: boolean
  readonly cqEntries: number | undefined
  readonly setupFlags: number
  readonly restrictions: RestrictionPreset | readonly Restriction[] | undefined
}

/** The general preset. A fresh object at each call, to be changed at will. */
export function defaultConfig(): IoUringConfig {
  return {
    sqEntries: 64,
    bufferSize: 65536,
    registeredBufferCount: 8,
    directIo: false,
    registerFiles: true,
    registerBuffers: true,
    sqpoll: false,
    sqpollIdleMs: 1000,
    mmapBasisActive: false,
    zeroCopyPolicy: 'auto',
  }
}

/** The preset for files that are read or written in bulk: more entries, buffers of 256 KiB, twice as many. */
export function forLargeFiles(): IoUringConfig {
  return { ...defaultConfig(), sqEntries: 256, bufferSize: 262144, registeredBufferCount: 16 }
}

/** The preset for many small files: more entries, buffers of 16 KiB. */
export function forSmallFiles(): IoUringConfig {
  return { ...defaultConfig(), sqEntries: 128, bufferSize: 16384 }
}

const MAX_REGISTERED_BUFFERS = 1024
/** The kernel's bound for one registered buffer. */
const MAX_BUFFER_BYTES = 2 ** 30
/** The smallest logical block, which lengths for O_DIRECT are multiples of; the file system may want more. */
const DIRECT_IO_UNIT_BYTES = 512
const MAX_U32 = 0xffff_ffff

const POLICIES: readonly unknown[] = ['auto', 'enabled', 'disabled']

// Flags that a config must not set: they follow from other members, or need an option that a config does not
// have.
const GOVERNED: readonly (readonly [flag: number, text: string])[] = [
  [IORING_SETUP_SQPOLL, "has IORING_SETUP_SQPOLL: set 'sqpoll' instead"],
  [IORING_SETUP_CQSIZE, "has IORING_SETUP_CQSIZE: set 'cqEntries' instead"],
  [IORING_SETUP_CLAMP, 'has IORING_SETUP_CLAMP, but entries are validated, never cut'],
  [IORING_SETUP_SQ_AFF, 'has IORING_SETUP_SQ_AFF: open such a ring with Ring.open'],
  [IORING_SETUP_ATTACH_WQ, 'has IORING_SETUP_ATTACH_WQ: open such a ring with Ring.open'],
  [IORING_SETUP_SQ_REWIND, 'has IORING_SETUP_SQ_REWIND: open such a ring with Ring.open'],
]

function isPowerOfTwo(value: number): boolean {
  return value > 0 && (value & (value - 1)) === 0
}

function checkSetupFlags(flags: unknown): void {
  checkInteger('config.setupFlags', flags, 0, MAX_U32)
  const bits = flags as number
  for (const [flag, text] of GOVERNED) {
    if (bits & flag) throw invalidValue('config.setupFlags', bits, text)
  }
  const unknown = flagNames('IORING_SETUP_', bits).find((name) => name.startsWith('0x'))
  if (unknown !== undefined) throw invalidValue('config.setupFlags', bits, `has the unknown bits ${unknown}`)
  const text = contradiction(bits)
  if (text !== null) throw invalidValue('config.setupFlags', bits, text)
}

function checkRestrictions(restrictions: unknown): void {
  if (typeof restrictions === 'string') {
    if (RESTRICTION_PRESETS.includes(restrictions as RestrictionPreset)) return
    const names = RESTRICTION_PRESETS.map((name) => `'${name}'`).join(', ')
    throw invalidValue('config.restrictions', restrictions, `must be one of: ${names}, or an array of lines`)
  }
  if (!Array.isArray(restrictions)) {
    throw invalidType('config.restrictions', 'of type string or an instance of Array', restrictions)
  }
}

function completePreset(): CompleteConfig {
  return {
    ...defaultConfig(),
    pinMmapBasis: false,
    cqEntries: undefined,
    setupFlags: DEFAULT_SETUP_FLAGS,
    restrictions: undefined,
  }
}

/** A config, or a part of one: what is missing, or undefined, has its default. */
export type PartialConfig = { readonly [Name in keyof IoUringConfig]?: IoUringConfig[Name] | undefined }

/**
 * The members of `config` that have a value. The values are not checked yet.
 *
 * @throws TypeError `ERR_INVALID_ARG_TYPE` for what is no object, `ERR_INVALID_ARG_VALUE` for an unknown member.
 */
export function givenMembers(config: PartialConfig): Partial<IoUringConfig> {
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw invalidType('config', 'an object', config)
  }
  const names = Object.keys(completePreset()) as (keyof IoUringConfig)[]
  checkMembers('config', config, names)
  // Each member is read by name and once: it may be inherited, or a getter.
  const given = names.map((name) => [name, config[name]] as const).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given) as Partial<IoUringConfig>
}

/**
 * Checks a config as a whole and fills in the default for each member that is missing or undefined. It does
 * not ask the kernel anything.
 *
 * @returns A new object; `config` is left as it is.
 * @throws TypeError `ERR_INVALID_ARG_TYPE` (a member of the wrong type), `ERR_INVALID_ARG_VALUE` (an unknown member,
 *   an unknown policy, contradictory flags); RangeError `ERR_OUT_OF_RANGE` (a number outside its bounds). The message
 *   gives the member, the value and the bound.
 */
export function validateConfig(config: PartialConfig = {}): CompleteConfig {
  const whole: CompleteConfig = { ...completePreset(), ...(givenMembers(config) as Partial<CompleteConfig>) }

  const { sqEntries, bufferSize, registeredBufferCount, zeroCopyPolicy, cqEntries } = whole
  checkInteger('config.sqEntries', sqEntries, 1, MAX_SQ_ENTRIES)
  if (!isPowerOfTwo(sqEntries)) {
    throw outOfRange('config.sqEntries', `a power of two >= 1 and <= ${MAX_SQ_ENTRIES}`, sqEntries)
  }
  checkInteger('config.bufferSize', bufferSize, 1, MAX_BUFFER_BYTES)
  if (checkBoolean('config.directIo', whole.directIo) && bufferSize % DIRECT_IO_UNIT_BYTES !== 0) {
    throw outOfRange('config.bufferSize', `a multiple of ${DIRECT_IO_UNIT_BYTES} with directIo`, bufferSize)
  }
  checkBoolean('config.registerFiles', whole.registerFiles)
  const fewest = checkBoolean('config.registerBuffers', whole.registerBuffers) ? 1 : 0
  checkInteger('config.registeredBufferCount', registeredBufferCount, fewest, MAX_REGISTERED_BUFFERS)
  checkBoolean('config.sqpoll', whole.sqpoll)
  checkInteger('config.sqpollIdleMs', whole.sqpollIdleMs, 0, MAX_U32)
  checkBoolean('config.mmapBasisActive', whole.mmapBasisActive)
  checkBoolean('config.pinMmapBasis', whole.pinMmapBasis)
  if (typeof zeroCopyPolicy !== 'string')
    throw invalidType('config.zeroCopyPolicy', 'of type string', zeroCopyPolicy)
  if (!POLICIES.includes(zeroCopyPolicy)) {
    throw invalidValue(
      'config.zeroCopyPolicy',
      zeroCopyPolicy,
      "must be one of: 'auto', 'enabled', 'disabled'",
    )
  }
  if (cqEntries !== undefined) checkInteger('config.cqEntries', cqEntries, sqEntries, MAX_CQ_ENTRIES)
  checkSetupFlags(whole.setupFlags)
  if (whole.restrictions === undefined) return whole
  checkRestrictions(whole.restrictions)
  // Restrictions can only be registered while the ring is disabled.
  return { ...whole, setupFlags: whole.setupFlags | IORING_SETUP_R_DISABLED }
}
