// How the registration functions call io_uring_register(2): arguments stay alive during the call, and a
// refusal becomes an error that names the likely cause. Nothing here belongs to one single registration.

import { readFileSync } from 'node:fs'
import { IORING_SETUP_REGISTERED_FD_ONLY, registerOpcodeName, sinceOf } from '../../syscalls/abi/index.js'
import { checkInteger, invalidState, invalidType, outOfRange } from '../../syscalls/argument-errors.js'
import { errnoName, type SystemError, systemError } from '../../syscalls/errno.js'
import { EBADF, EINVAL } from '../../syscalls/errno-values.js'
import type { Address, Fd } from '../../syscalls/numbers.js'
import { defineStruct, Struct } from '../../syscalls/struct.js'
import type { UringCalls } from '../../syscalls/uring-calls.js'
import type { Ring } from '../ring.js'

/** Likely causes by error name. A function is called only when its error has occurred. */
export type Hints = Readonly<Record<string, string | (() => string)>>

/** Memory with an address: a `Struct`, which is also what keeps it alive. */
export interface Addressed {
  readonly address: Address
}

const INT = defineStruct('int', 4, { value: [0, 'i32'] })
const U64 = defineStruct('__u64', 8, { value: [0, 'u64'] })
const MAX_TAG = 0xffff_ffff_ffff_ffffn

/** What the kernel may access during the calls that are being made. */
const underWay: unknown[] = []

/** @returns The result, or a negated errno. `alsoTouched`: memory that `argument` points to. */
export function callRegister(
  ring: Ring,
  opcode: number,
  argument: Addressed | null,
  count: number,
  ...alsoTouched: unknown[]
): number {
  const address = argument === null ? 0 : argument.address
  return kept([argument, ...alsoTouched], () => ring.register(opcode, address, count))
}

/** The same without a ring: the few operations that take descriptor -1. */
export function callWithoutRing(
  calls: UringCalls,
  opcode: number,
  argument: Addressed,
  count: number,
  ...alsoTouched: unknown[]
): number {
  const { address } = argument
  return kept([argument, ...alsoTouched], () => calls.register(-1, opcode, address, count))
}

/**
 * As `callWithoutRing`, for registrations that apply to a task. A kernel that lacks these looks up descriptor
 * -1 as a ring and answers EBADF. That becomes EINVAL here, as for any opcode that a kernel lacks.
 */
export function callForTask(
  calls: UringCalls,
  opcode: number,
  argument: Addressed,
  count: number,
  ...alsoTouched: unknown[]
): number {
  const result = callWithoutRing(calls, opcode, argument, count, ...alsoTouched)
  return result === EBADF ? EINVAL : result
}

// A local variable could be collected once its address is taken; what this module refers to cannot.
function kept(memory: readonly unknown[], call: () => number): number {
  const depth = underWay.length
  underWay.push(...memory)
  try {
    return call()
  } finally {
    underWay.length = depth
  }
}

/** Returns `result` unless it is negative. @throws SystemError `io_uring_register` for a negative one. */
export function checkRegister(result: number, opcode: number, hints: Hints = {}): number {
  if (result < 0) throw registerError(result, opcode, hints)
  return result
}

/** The error for a refused registration. */
export function registerError(errno: number, opcode: number, hints: Hints = {}): SystemError {
  const hint = hints[errnoName(errno)] ?? generalHint(errno, opcode)
  return systemError(errno, 'io_uring_register', { hint: typeof hint === 'function' ? hint() : hint })
}

function generalHint(errno: number, opcode: number): string | undefined {
  const name = registerOpcodeName(opcode)
  switch (errnoName(errno)) {
    case 'EINVAL':
      return `the kernel refused an argument of ${name}, or is older than Linux ${sinceOf(name) ?? '?'}`
    case 'ENOMEM':
      return memlockHint()
    case 'EMFILE':
      return nofileHint()
    case 'EACCES':
      return `the restrictions of this ring do not allow ${name}`
    case 'EEXIST':
      return 'a SINGLE_ISSUER ring is registered with by the thread that created or enabled it, and by no other'
    case 'EPERM':
      return 'a sysctl, a seccomp filter or a missing capability forbids it'
    case 'ENXIO':
      return `there is nothing for ${name} to work on, or the ring is being torn down`
    default:
      return undefined
  }
}

function memlockHint(): string {
  const limit = softLimit('Max locked memory') ?? 'unknown'
  const bytes = /^\d+$/.test(limit) ? `${limit} bytes` : limit
  return `pinned memory counts against RLIMIT_MEMLOCK, which is ${bytes} for all rings of this user together: raise it (ulimit -l, LimitMEMLOCK=), or run with CAP_IPC_LOCK`
}

function nofileHint(): string {
  const limit = softLimit('Max open files') ?? 'unknown'
  return `a table of registered files may have no more slots than RLIMIT_NOFILE, which is ${limit} (ulimit -n, LimitNOFILE=)`
}

function softLimit(name: string): string | null {
  try {
    const line = readFileSync('/proc/self/limits', 'latin1')
      .split('\n')
      .find((candidate) => candidate.startsWith(name))
    return line?.slice(name.length).trim().split(/\s+/)[0] ?? null
  } catch {
    // The error message then does not show the limit.
    return null
  }
}

/**
 * Throws unless `given` is an array of 1 to `most` entries; returns a copy, in which a hole is undefined. The
 * copy is needed because a proxy or a getter may make the array longer while it is read: the kernel would
 * then be told of more entries than there is memory for.
 */
export function checkedCopy<T>(name: string, given: readonly T[], most: number): T[] {
  if (!Array.isArray(given)) throw invalidType(name, 'an array', given)
  const copy: T[] = [...given]
  checkInteger(`${name}.length`, copy.length, 1, most)
  return copy
}

/** An array of C ints. */
export function ints(values: readonly number[]): Struct<'value'> {
  const array = Struct.alloc(INT, values.length)
  for (let index = 0; index < values.length; index++) array.set('value', values[index]!, index)
  return array
}

/** A tag as 64 bits: 0 for none. */
export type Tag = number | bigint

/** Throws unless `tags` has one tag, 0 to 2^64 - 1, for each of `count` resources; returns them as bigints. */
export function checkTags(name: string, given: readonly Tag[], count: number): bigint[] {
  if (!Array.isArray(given)) throw invalidType(name, 'an array of numbers or bigints', given)
  const tags: Tag[] = [...given]
  if (tags.length !== count) throw outOfRange(`${name}.length`, `${count}, a tag for each entry`, tags.length)
  return tags.map((tag, index) => {
    if (typeof tag === 'number')
      return BigInt(checkInteger(`${name}[${index}]`, tag, 0, Number.MAX_SAFE_INTEGER))
    if (typeof tag !== 'bigint') throw invalidType(`${name}[${index}]`, 'of type number or bigint', tag)
    if (tag < 0n || tag > MAX_TAG) throw outOfRange(`${name}[${index}]`, `>= 0n and <= ${MAX_TAG}n`, tag)
    return tag
  })
}

/** An array of 64-bit words. */
export function words64(values: readonly bigint[]): Struct<'value'> {
  const array = Struct.alloc(U64, values.length)
  for (let index = 0; index < values.length; index++) array.set('value', values[index]!, index)
  return array
}

/**
 * Throws for a ring whose memory cannot be mapped. On a ring without a descriptor `Ring.fd` is an index, and
 * the descriptor with that number is some other file of the process.
 */
export function checkMappable(ring: Ring): void {
  if (ring.flags & IORING_SETUP_REGISTERED_FD_ONLY) {
    throw invalidState(
      'A ring without a descriptor (IORING_SETUP_REGISTERED_FD_ONLY) shares no memory of the kernel: leave kernelMemory out',
    )
  }
}

/** Throws unless `fd` can be a descriptor; returns it otherwise. */
export function checkDescriptor(name: string, fd: Fd, least = 0): Fd {
  return checkInteger(name, fd, least, 0x7fff_ffff)
}
