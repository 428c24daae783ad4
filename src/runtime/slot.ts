// One place for an operation in flight. Slots are reused, so an operation costs its promise and nothing else; what
// user_data carries is the slot's index and its generation.

import type { Sqe } from '../ring/index.js'
import type { Block } from './arena.js'

/** Fills a submission queue entry. It must not keep it. */
export type Prepare = (sqe: Sqe) => void

/** Turns a successful `res` into what the promise resolves to. Runs before the operation's blocks are freed. */
export type Finish = (res: number) => unknown

/** Sees every CQE of a multishot operation; `more` is false on the last. */
export type CqeHandler = (res: number, flags: number, more: boolean) => void

/** Sees a message of another ring: the bits of user_data's low word below the role, its high word, and `res`. */
export type MessageHandler = (bits: number, high: number, res: number) => void

const nothing = (): void => {}

// user_data low word: the slot's index, and in bits 24-25 whose CQE it is.
export const SLOT_BITS = 24
export const MAX_SLOTS = 1 << SLOT_BITS
export const SLOT_MASK = MAX_SLOTS - 1
/** The operation itself. */
export const ROLE_OPERATION = 0
/** The linked timeout of the operation. */
export const ROLE_TIMEOUT = 1 << SLOT_BITS
/** A cancel that was sent for the operation. */
export const ROLE_CANCEL = 2 << SLOT_BITS
/** No operation of this ring: another ring has sent it. What is below is the sender's. */
export const ROLE_MESSAGE = 3 << SLOT_BITS

/** @internal */
export class Slot {
  readonly index: number
  /** Counts uses; a CQE of an earlier use is told by it. Stays below 2^30, a small integer. */
  generation = 0
  resolve: (value: unknown) => void = nothing
  reject: (error: unknown) => void = nothing
  /** What the kernel may read or write: referenced until the final CQE. */
  memory: unknown = null
  /** Driver-owned memory, freed after the final CQE. */
  block: Block | null = null
  /** A second block: the bounce buffer of a worker, or an operation's second path. */
  block2: Block | null = null
  /** The timespec of the linked timeout. */
  timeoutBlock: Block | null = null
  finish: Finish | null = null
  onCqe: CqeHandler | null = null
  /** Set while the operation waits for room in the ring. */
  prepare: Prepare | null = null
  /** CQEs still to come: 1, or 2 with a linked timeout or a zero-copy notification. */
  remaining = 0
  res = 0
  /** Fast path: exactly one CQE, its `res` is the result. */
  plain = true
  timedOut = false
  aborted = false
  /** Cancels that missed. */
  cancels = 0
  /** Once the SQE is in the submission queue a cancel must go through the kernel. */
  queued = false
  timeoutMs = -1
  /** All members of the operation's chain, in order. */
  chain: readonly Slot[] | null = null
  /** `IOSQE_IO_LINK` or `IOSQE_IO_HARDLINK` when another member follows. */
  linkFlags = 0
  signal: AbortSignal | null = null
  onAbort: (() => void) | null = null
  /** For error messages, as Node has them. */
  syscall = ''
  path: string | undefined = undefined
  dest: string | undefined = undefined

  constructor(index: number) {
    this.index = index
  }

  /** Entries that the operation takes in the submission queue: its own, and that of its time limit. */
  get entries(): number {
    return this.timeoutMs >= 0 ? 2 : 1
  }

  /** Drops every reference; the next use starts clean. */
  clear(): void {
    this.generation = (this.generation + 1) & 0x3fff_ffff
    this.resolve = nothing
    this.reject = nothing
    this.memory = null
    if (this.plain) return
    this.block = null
    this.block2 = null
    this.timeoutBlock = null
    this.finish = null
    this.onCqe = null
    this.prepare = null
    this.timedOut = false
    this.aborted = false
    this.cancels = 0
    this.timeoutMs = -1
    this.chain = null
    this.linkFlags = 0
    this.signal = null
    this.onAbort = null
    this.path = undefined
    this.dest = undefined
    this.plain = true
  }
}
