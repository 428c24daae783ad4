// What an operation, or a chain of them, is submitted with, and what a driver counts.

import type { Block } from './arena.js'
import type { Prepare } from './slot.js'

/** What an operation may carry besides its prepare function. */
export interface SubmitOptions<T = number> {
  /** Memory that the SQE points to: kept referenced until the final CQE. */
  readonly memory?: unknown
  readonly signal?: AbortSignal | undefined
  /** Milliseconds until the kernel cancels the operation, which then rejects with ETIMEDOUT. Linux 5.5. */
  readonly timeoutMs?: number | undefined
  /** Name of the call in error messages. */
  readonly syscall?: string | undefined
  readonly path?: string | undefined
  readonly dest?: string | undefined
  /** Turns `res` (not negative, or `expected`) into the promise's value. */
  readonly finish?: ((res: number) => T) | undefined
  /** A negative `res` that is no error. */
  readonly expected?: number | undefined
  /** @internal Driver memory that the SQE points to, freed after the final CQE (and after `finish`). */
  readonly block?: Block | null | undefined
  /** @internal */
  readonly block2?: Block | null | undefined
}

/** One operation of a chain, and the functions that receive its outcome. */
export interface ChainMember {
  readonly prepare: Prepare
  readonly options: SubmitOptions<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** Entries that an operation takes in the submission queue: its own, and that of its time limit. */
export function entriesFor({ timeoutMs = -1 }: SubmitOptions<never> | SubmitOptions<unknown>): number {
  return timeoutMs >= 0 ? 2 : 1
}

/** Counts since the driver was opened. */
export interface Counters {
  /** Operations whose SQE reached the submission queue. */
  readonly submitted: number
  /** Operations that the kernel has completed. */
  readonly completed: number
  /** Times the driver entered the kernel to submit (with SQPOLL: published a batch). */
  readonly enters: number
  /** Operations that were complete when their enter returned: no trip through the event loop. */
  readonly inlineCompletions: number
  /** Wakeups of the event loop. */
  readonly wakeups: number
  /** Times the fairness budget ran out and the driver yielded to the event loop. */
  readonly yields: number
  /** Times the kernel refused a batch, which was then kept and tried again. */
  readonly refusals: number
  /** Times the completion queue was found overflowing. Nothing is lost: the kernel keeps what does not fit. */
  readonly overflows: number
}
