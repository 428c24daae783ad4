// Shows a test the entries of this process's rings, just before the kernel gets them.

import { Ring } from '../src/ring/ring.js'
import { type Sqe, WORD_FD, WORD_OPCODE } from '../src/ring/sqe.js'
import {
  F_GETFL,
  IORING_OP_READ,
  IORING_OP_READ_FIXED,
  IORING_OP_WRITE,
  IORING_OP_WRITE_FIXED,
  O_DIRECT,
  type OpcodeName,
  opcodeName,
} from '../src/syscalls/abi/index.js'
import { fcntl } from '../src/syscalls/libc.js'
import { kernelCalls } from '../src/syscalls/uring-calls.js'

/** The opcode of an entry. */
export function opcodeOf({ words }: Sqe): number {
  return words[WORD_OPCODE]! & 0xff
}

/** Has `visit` see every entry from now on. @returns What ends that. */
export function watchEntries(visit: (sqe: Sqe) => void): () => void {
  let entries: Sqe[] = []
  const { getSqe } = Ring.prototype
  Ring.prototype.getSqe = function () {
    const sqe = getSqe.call(this)
    if (sqe !== null) entries.push(sqe)
    return sqe
  }
  const { enter } = kernelCalls
  kernelCalls.enter = (...args) => {
    const given = entries
    entries = []
    for (const sqe of given) visit(sqe)
    return enter(...args)
  }
  return () => {
    Ring.prototype.getSqe = getSqe
    kernelCalls.enter = enter
  }
}

/** As `watchEntries`, while `body` runs. */
async function watchDuring(body: () => Promise<unknown>, visit: (sqe: Sqe) => void): Promise<void> {
  const end = watchEntries(visit)
  try {
    await body()
  } finally {
    end()
  }
}

/** How many entries of each opcode the kernel gets while `body` runs. */
export async function countOpcodes(
  body: () => Promise<unknown>,
): Promise<Readonly<Partial<Record<OpcodeName, number>>>> {
  const counts: Partial<Record<OpcodeName, number>> = {}
  await watchDuring(body, (sqe) => {
    const name = opcodeName(opcodeOf(sqe)) as OpcodeName
    counts[name] = (counts[name] ?? 0) + 1
  })
  return counts
}

const KINDS = new Map([
  [IORING_OP_READ, 'read'],
  [IORING_OP_READ_FIXED, 'read'],
  [IORING_OP_WRITE, 'write'],
  [IORING_OP_WRITE_FIXED, 'write'],
])

/** The ways in which data is moved while `body` runs, each once: `read`, `read direct` (O_DIRECT), `write`, `write direct`. */
export async function transfersOf(body: () => Promise<unknown>): Promise<string[]> {
  const seen = new Set<string>()
  await watchDuring(body, (sqe) => {
    const kind = KINDS.get(opcodeOf(sqe))
    if (kind === undefined) return
    const isDirect = (fcntl(sqe.words[WORD_FD]!, F_GETFL, 0) & O_DIRECT) !== 0
    seen.add(isDirect ? `${kind} direct` : kind)
  })
  return [...seen].sort()
}
