// Turns the outcome of an operation into its error.

import { systemError } from '../ring/index.js'
import { ECANCELED, EINTR, ETIMEDOUT } from '../syscalls/errno-values.js'
import { AbortError } from './abort-error.js'
import type { Slot } from './slot.js'

/** The error of operations that the close of their ring has ended. */
export function ringClosedError(): AbortError {
  return new AbortError(undefined, 'The ring was closed')
}

/** The error for a negative `res`. */
export function resultError(res: number, syscall: string, isClosing: boolean): Error {
  if (isClosing && isInterruption(res)) return ringClosedError()
  return systemError(res, syscall)
}

/** The error of an operation that failed, or was taken back. */
export function operationError(slot: Slot, isClosing: boolean): Error {
  const { res, syscall, path, dest } = slot
  const isInterrupted = isInterruption(res)
  if (slot.voided || (slot.aborted && isInterrupted)) return new AbortError(slot.signal?.reason)
  if (slot.timedOut && isInterrupted) return systemError(ETIMEDOUT, syscall, { path, dest })
  if (isClosing && isInterrupted) return ringClosedError()
  return systemError(res, syscall, { path, dest })
}

// A worker thread of the kernel is interrupted by a signal; every other operation is cancelled.
function isInterruption(res: number): boolean {
  return res === ECANCELED || res === EINTR
}
