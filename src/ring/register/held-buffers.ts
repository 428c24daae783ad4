// The memory that a ring keeps alive for its registered buffers. The kernel has pinned the pages and writes
// to them without looking up the address again: memory that was collected and then allocated anew would be
// overwritten.

import type { Ring } from '../ring.js'

interface Slot {
  readonly memory: unknown
  /** 0n: none. */
  readonly tag: bigint
}

interface Retired {
  /** How many CQEs with this tag are still to come. */
  pending: number
  readonly memory: unknown[]
}

/** The memory in the buffer table of a ring. */
interface Table {
  slots: (Slot | undefined)[]
  /**
   * Tagged buffers that were replaced or unregistered and that the kernel has not reported free yet, by tag.
   */
  readonly retired: Map<bigint, Retired>
}

const KEY = Symbol('registered buffers')

function tableOf(ring: Ring): Table {
  const known = ring.held(KEY) as Table | undefined
  if (known !== undefined) return known
  const table: Table = { slots: [], retired: new Map() }
  ring.hold(KEY, table)
  return table
}

function retire(table: Table, slot: Slot | undefined): void {
  // Without a tag nothing tells when the kernel is done with a buffer. Then the general rule applies: the
  // caller of an operation keeps its memory until the CQE.
  if (slot === undefined || slot.tag === 0n) return
  const retired = table.retired.get(slot.tag)
  if (retired === undefined) table.retired.set(slot.tag, { pending: 1, memory: [slot.memory] })
  else {
    retired.pending++
    retired.memory.push(slot.memory)
  }
}

/** Holds `memory` from slot `offset` on and retires what was there. An undefined element empties its slot. */
export function holdBuffers(
  ring: Ring,
  offset: number,
  memory: readonly unknown[],
  tags: readonly bigint[] | null,
): void {
  const table = tableOf(ring)
  for (let index = 0; index < memory.length; index++) {
    const at = offset + index
    retire(table, table.slots[at])
    const held = memory[index]
    table.slots[at] = held === undefined ? undefined : { memory: held, tag: tags?.[index] ?? 0n }
  }
}

/** Retires the whole table. */
export function dropBuffers(ring: Ring): void {
  const table = tableOf(ring)
  for (const slot of table.slots) retire(table, slot)
  table.slots = []
}

/** Memory in `count` slots from `offset` on; `count` 0 is the whole table. */
export function heldMemory(ring: Ring, offset: number, count: number): unknown[] {
  const { slots } = tableOf(ring)
  const end = count === 0 ? slots.length : offset + count
  return Array.from({ length: Math.max(0, end - offset) }, (_, index) => slots[offset + index]?.memory)
}

/** Notes one CQE with `tag`. @returns Whether a buffer was waiting for it. */
export function releaseRetired(ring: Ring, tag: bigint): boolean {
  const { retired } = tableOf(ring)
  const waiting = retired.get(tag)
  if (waiting === undefined) return false
  waiting.pending--
  // Buffers with the same tag cannot be told apart, so all are released with the last of their CQEs.
  if (waiting.pending === 0) retired.delete(tag)
  return true
}
