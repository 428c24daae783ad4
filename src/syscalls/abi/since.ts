// Which kernel release introduced each constant, and look-ups of constants by name and by value. Versions are
// for messages and for skipping tests only. What a kernel can do is probed, since distributions backport
// features.

import { bpfFilterSince } from './bpf-filter.js'
import { cqeFlagsSince } from './cqe-flags.js'
import { enterSince } from './enter.js'
import { opFlagsSince } from './op-flags.js'
import { opcodesSince } from './opcodes.js'
import { querySince } from './query.js'
import { registerSince } from './register.js'
import { setupSince } from './setup.js'
import { sqeFlagsSince } from './sqe-flags.js'
import { zcrxSince } from './zcrx.js'

const TABLES = {
  ...{ opcodesSince, setupSince, enterSince, sqeFlagsSince, cqeFlagsSince },
  ...{ opFlagsSince, registerSince, querySince, zcrxSince, bpfFilterSince },
} as const

type NamesIn<Table> = { [Release in keyof Table]: keyof Table[Release] }[keyof Table] & string
type Tables = typeof TABLES

/** The name of an io_uring constant, as the kernel header spells it. */
export type UringConstantName = { [T in keyof Tables]: NamesIn<Tables[T]> }[keyof Tables]
/** `'IORING_OP_NOP'` and so on. */
export type OpcodeName = Exclude<NamesIn<typeof opcodesSince>, 'IORING_OP_LAST'>
/** `'IORING_REGISTER_BUFFERS'` and so on. */
export type RegisterOpcodeName = Exclude<
  Extract<NamesIn<typeof registerSince>, `IORING_REGISTER_${string}` | `IORING_UNREGISTER_${string}`>,
  `IORING_REGISTER_${'LAST' | 'USE_REGISTERED_RING' | 'FILES_SKIP' | 'SRC_REGISTERED' | 'DST_REPLACE'}`
>
/** `'IORING_SETUP_IOPOLL'` and so on. */
export type SetupFlagName = Extract<NamesIn<typeof setupSince>, `IORING_SETUP_${string}`>
/** `'IORING_FEAT_SINGLE_MMAP'` and so on. */
export type FeatureName = Extract<NamesIn<typeof setupSince>, `IORING_FEAT_${string}`>

interface Entry {
  readonly since: string
  readonly value: number | bigint
}

const ENTRIES: ReadonlyMap<string, Entry> = new Map(
  Object.values(TABLES).flatMap((table) =>
    Object.entries(table).flatMap(([since, constants]) =>
      Object.entries(constants as Record<string, number | bigint>).map(
        ([name, value]) => [name, { since, value }] as const,
      ),
    ),
  ),
)

/** The names of all io_uring constants. */
export function constantNames(): UringConstantName[] {
  return [...ENTRIES.keys()] as UringConstantName[]
}

/** The kernel release that brought an io_uring constant, such as `'5.6'`; undefined for an unknown name. */
export function sinceOf(name: UringConstantName): string
export function sinceOf(name: string): string | undefined
export function sinceOf(name: string): string | undefined {
  return ENTRIES.get(name)?.since
}

/** The value of an io_uring constant by name. Only IORING_ZCRX_AREA_MASK is a bigint. */
export function constantValue(name: Exclude<UringConstantName, 'IORING_ZCRX_AREA_MASK'>): number
export function constantValue(name: string): number | bigint | undefined
export function constantValue(name: string): number | bigint | undefined {
  return ENTRIES.get(name)?.value
}

// Bounds are not opcodes: their number will belong to the next opcode that is added.
const BOUNDS: ReadonlySet<string> = new Set(['IORING_OP_LAST', 'IORING_REGISTER_LAST'])

function namesByValue(prefix: RegExp): ReadonlyMap<number | bigint, string> {
  const names = new Map<number | bigint, string>()
  for (const [name, { value }] of ENTRIES) {
    if (prefix.test(name) && !BOUNDS.has(name) && !names.has(value)) names.set(value, name)
  }
  return names
}

const OPCODES = namesByValue(/^IORING_OP_/)
// Opcodes come first in their table, so flags with the same prefix and value do not replace them.
const REGISTER_OPCODES = namesByValue(/^IORING_(UN)?REGISTER_/)

/** The name of an SQE opcode: `opcodeName(22)` is `'IORING_OP_READ'`; an unknown one is `'IORING_OP_200'`. */
export function opcodeName(opcode: number): string {
  return OPCODES.get(opcode) ?? `IORING_OP_${opcode}`
}

/** The name of an io_uring_register(2) opcode. */
export function registerOpcodeName(opcode: number): string {
  return REGISTER_OPCODES.get(opcode) ?? `IORING_REGISTER_${opcode}`
}

/**
 * The names of the bits of a flag word, lowest first: `flagNames('IORING_SETUP_', 3)` is
 * `['IORING_SETUP_IOPOLL', 'IORING_SETUP_SQPOLL']`. Bits without a name come last as one hexadecimal number.
 */
export function flagNames(prefix: string, value: number): string[] {
  const names: string[] = []
  let rest = value >>> 0
  for (const [name, entry] of ENTRIES) {
    const bit = Number(entry.value)
    const isBit = bit > 0 && Number.isInteger(Math.log2(bit)) && !/_(BIT|SHIFT|MASK)$/.test(name)
    if (!isBit || !name.startsWith(prefix) || (rest & bit) === 0) continue
    names.push(name)
    rest = (rest & ~bit) >>> 0
  }
  names.sort((a, b) => Number(constantValue(a)) - Number(constantValue(b)))
  if (rest !== 0) names.push(`0x${rest.toString(16)}`)
  return names
}
