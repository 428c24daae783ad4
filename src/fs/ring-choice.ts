// Which ring serves a call, if any: the thread's shared one, provided that the kernel has every opcode the call needs.

import { probe } from '../config/index.js'
import { announceFallback } from '../runtime/diagnostics.js'
import { defaultUring, type Uring } from '../runtime/index.js'
import type { OpcodeName } from '../syscalls/abi/index.js'

/** What a call needs of the kernel. */
export const NEEDS = {
  open: ['IORING_OP_OPENAT'],
  openResolving: ['IORING_OP_OPENAT2'],
  close: ['IORING_OP_CLOSE'],
  read: ['IORING_OP_READ'],
  write: ['IORING_OP_WRITE'],
  readv: ['IORING_OP_READV'],
  writev: ['IORING_OP_WRITEV'],
  fsync: ['IORING_OP_FSYNC'],
  stat: ['IORING_OP_STATX'],
  ftruncate: ['IORING_OP_FTRUNCATE'],
  truncate: ['IORING_OP_OPENAT', 'IORING_OP_FTRUNCATE', 'IORING_OP_CLOSE'],
  rename: ['IORING_OP_RENAMEAT'],
  unlink: ['IORING_OP_UNLINKAT'],
  mkdir: ['IORING_OP_MKDIRAT'],
  symlink: ['IORING_OP_SYMLINKAT'],
  link: ['IORING_OP_LINKAT'],
  readFile: ['IORING_OP_OPENAT', 'IORING_OP_READ', 'IORING_OP_STATX', 'IORING_OP_CLOSE'],
  writeFile: ['IORING_OP_OPENAT', 'IORING_OP_WRITE', 'IORING_OP_FSYNC', 'IORING_OP_CLOSE'],
} as const satisfies Record<string, readonly OpcodeName[]>

export type Need = keyof typeof NEEDS

// undefined: `defaultUring` is to be asked again. Its answer is kept until the pending microtasks have run,
// because it looks at the environment, which costs more than a small read.
let known: Uring | null | undefined
const settled = Promise.resolve()
const forget = (): void => {
  known = undefined
}

/** The calls that the kernel has no ring operation for, and what it lacks. */
let lacking: ReadonlyMap<Need, string> | null = null

/** The thread's shared ring, or null where Node's own fs is to be used. */
function currentRing(): Uring | null {
  if (known !== undefined && (known === null || !known.closed)) return known
  known = defaultUring()
  settled.then(forget)
  return known
}

/** The ring for a call, or null when there is none or the kernel lacks an opcode for this one. */
export function ringFor(need: Need): Uring | null {
  const ring = currentRing()
  if (ring === null) return null
  lacking ??= lackingWith(probe().opcodes)
  const missing = lacking.get(need)
  if (missing === undefined) return ring
  announceFallback(`fs ${need}`, `the kernel lacks ${missing}`)
  return null
}

function lackingWith(opcodes: readonly string[]): ReadonlyMap<Need, string> {
  const lacks = new Map<Need, string>()
  for (const need of Object.keys(NEEDS) as Need[]) {
    const missing = NEEDS[need].find((opcode) => !opcodes.includes(opcode))
    if (missing !== undefined) lacks.set(need, missing)
  }
  return lacks
}

/** @internal For tests: as if the kernel had no other opcodes than these; null asks the kernel again. */
export function pretendOpcodes(opcodes: readonly string[] | null): void {
  lacking = opcodes === null ? null : lackingWith(opcodes)
}
