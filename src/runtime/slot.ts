// A slot: what the driver knows of one operation in flight. Slots are reused, so an operation allocates its
// promise and nothing else. user_data carries the slot's index and its generation.

import type { Sqe } from '../ring/index.js'
import type { AbortWatch } from './abort-watch.js'
import type { Block } from './arena.js'
import type { Bounce } from './mapped-entry.js'

/** Fills a submission queue entry. It is called once, at once, and must not keep the entry. */
export type Prepare = (sqe: Sqe) => void

/** Turns a successful `res` into what the promise resolves to. Runs before the operation's blocks are freed. */
export type Finish = (res: number) => unknown

/** Sees every CQE of a multishot operation; `more` is false on the last. */
export type CqeHandler = (res: number, flags: number, more: boolean) => void

/** Sees a message of another ring: the bits of user_data's low word below the role, its high word, and `res`. */
export type MessageHandler = (bits: number, high: number, res: number) => void

const nothing = (): void => {}

// Low word of user_data: the slot's index, and above it the role, which says what kind of CQE it is.
export const SLOT_BITS = 24
export const MAX_SLOTS = 1 << SLOT_BITS
export const SLOT_MASK = MAX_SLOTS - 1
/** The operation itself. */
export const ROLE_OPERATION = 0
/** The linked timeout of the operation. */
export const ROLE_TIMEOUT = 1 << SLOT_BITS
/** The driver's own attempt to cancel the operation; with slot 0, to cancel all. */
export const ROLE_CANCEL = 2 << SLOT_BITS
/** An entry that could not be prepared: its CQE is counted, but nobody waits for it. */
export const ROLE_NOBODY = 3 << SLOT_BITS
/** A message from another ring, not an operation of this one. The bits below belong to the sender. */
export const ROLE_MESSAGE = 4 << SLOT_BITS

/**
 * A bit in user_data's high word, above the generation: the operation's result is a descriptor of this
 * process. Set only in workers, for the thread that reclaims what a terminated one has not taken in.
 */
export const OPENS = 0x4000_0000

/** As `expected`: no negative `res` is a success. (A `res` of 1 is one in any case.) */
export const NO_RESULT = 1

export class Slot {
  readonly index: number
  /** Counts uses, to recognise a CQE of an earlier use. Stays below 2^30, a small integer. */
  generation = 0
  resolve: (value: unknown) => void = nothing
  reject: (error: unknown) => void = nothing
  /** What the kernel may read or write: referenced until the final CQE. */
  memory: unknown = null
  /** Name of the call in error messages. */
  syscall = ''
  /** Fast path: exactly one CQE, its `res` is the result. */
  plain = true
  /** CQEs still to come; 0 while the kernel has nothing of the operation. */
  remaining = 0
  /** Called with each CQE, instead of a promise. */
  onCqe: CqeHandler | null = null

  // The fields below keep their initial values while `plain`.

  res = 0
  /** The operation waits in line for room in the ring. Until there is room its entry is kept as an image. */
  waiting = false
  next: Slot | null = null
  previous: Slot | null = null
  /** The entry in the submission queue, and its batch: it can be taken back until that batch is submitted. */
  sqe: Sqe | null = null
  batch = 0
  /** Taken back: its entry in the submission queue is a NOP. */
  voided = false
  /** Cancels that found nothing, or could not stop the operation. */
  cancels = 0
  /** A zero-copy send has one CQE more, its notification. */
  zeroCopy = false
  timedOut = false
  aborted = false
  /** Milliseconds, or -1. */
  timeoutMs = -1
  /** A negative `res` that is a success. */
  expected: number = NO_RESULT
  /** Driver-owned memory, freed after the final CQE. */
  block: Block | null = null
  /** A second block: the bounce buffer of a worker, or an operation's second path. */
  block2: Block | null = null
  /** The timespec of the linked timeout. */
  timeoutBlock: Block | null = null
  /** Driver memory that replaces buffers which are mappings of files. */
  bounce: Bounce | null = null
  finish: Finish | null = null
  /** Operations that share this one's CQE, and post none of their own. */
  silent = 0
  /** Its user_data has `OPENS`. */
  opens = false
  /** Waits for what may never come, such as data of an idle connection. */
  standing = false
  /** All members of the operation's chain, in order. */
  chain: readonly Slot[] | null = null
  /** `IOSQE_IO_LINK` or `IOSQE_IO_HARDLINK` when another member follows. */
  linkFlags = 0
  signal: AbortSignal | null = null
  watch: AbortWatch | null = null
  path: string | undefined = undefined
  dest: string | undefined = undefined

  constructor(index: number) {
    this.index = index
  }

  /** Entries that the operation takes in the submission queue: its own, and that of its time limit. */
  get entries(): number {
    return this.timeoutMs >= 0 ? 2 : 1
  }

  /** The high word of its user_data. */
  get userDataHigh(): number {
    return this.opens ? this.generation | OPENS : this.generation
  }

  /** Drops every reference; the next use starts clean. */
  clear(): void {
    this.generation = (this.generation + 1) & 0x3fff_ffff
    this.resolve = nothing
    this.reject = nothing
    this.memory = null
    this.remaining = 0
    this.onCqe = null
    if (this.plain) return
    this.plain = true
    this.res = 0
    this.waiting = false
    this.next = null
    this.previous = null
    this.sqe = null
    this.batch = 0
    this.voided = false
    this.cancels = 0
    this.zeroCopy = false
    this.timedOut = false
    this.aborted = false
    this.timeoutMs = -1
    this.expected = NO_RESULT
    this.block = null
    this.block2 = null
    this.timeoutBlock = null
    this.bounce = null
    this.finish = null
    this.silent = 0
    this.opens = false
    this.standing = false
    this.chain = null
    this.linkFlags = 0
    this.signal = null
    this.watch = null
    this.path = undefined
    this.dest = undefined
  }
}
