// Runs one operation of the ring as a promise. Unlike the driver's own promise, it reissues an operation that
// ended with EINTR or EAGAIN, up to a bound; `tracedCall` also gives the error a stack that shows who awaited
// it.

import { type Sqe, systemError } from '../ring/index.js'
import type { Block } from '../runtime/arena.js'
import { AbortError, type Uring } from '../runtime/index.js'
import { EAGAIN, ECANCELED, EINTR } from '../syscalls/errno-values.js'

/** How often one operation is repeated before its caller hears of it. */
export const MAX_REPEATS = 16

/**
 * Whether the operation is to be issued again: nothing was done, and the next attempt may well succeed. Not
 * to be used for close: the kernel has released the descriptor whatever it answers, and its number may be
 * another file's by now.
 */
export function asksAgain(res: number): boolean {
  return res === EINTR || res === EAGAIN
}

export interface CallDetails<T> {
  /** Name of the call in errors. */
  readonly syscall: string
  readonly prepare: (sqe: Sqe) => void
  /** It opens a file: its result is a descriptor. */
  readonly opens?: boolean
  /** Turns a `res` that is no error into the value. It runs before `block` is freed. */
  readonly finish: (res: number) => T
  readonly path?: string
  readonly dest?: string
  /** Driver memory that the SQE points to; freed at the end. */
  readonly block?: Block
  /** Kept referenced until the end. */
  readonly memory?: unknown
}

/** The error for a failed operation: a SystemError, or an AbortError when the ring was closed meanwhile. */
export function callError(uring: Uring, res: number, syscall: string, path?: string, dest?: string): Error {
  if (res === ECANCELED && uring.closed) return new AbortError(undefined, 'The ring was closed')
  return systemError(res, syscall, { path, dest })
}

/** Issues an operation. It goes to the kernel with all others of this turn. */
export function call<T>(uring: Uring, details: CallDetails<T>): Promise<T> {
  const { syscall, prepare, opens = false, finish, block, memory, path, dest } = details
  const { driver } = uring
  return new Promise<T>((resolve, reject) => {
    let repeats = 0
    const end = (settle: () => void): void => {
      try {
        settle()
      } catch (error) {
        reject(error)
      }
      if (block !== undefined) driver.arena.free(block)
    }
    const onCqe = (res: number): void => {
      if (res >= 0) end(() => resolve(finish(res)))
      else if (asksAgain(res) && repeats++ < MAX_REPEATS && !uring.closed) issue()
      else end(() => reject(callError(uring, res, syscall, path, dest)))
    }
    const issue = (): void => {
      try {
        driver.submitOnce(prepare, onCqe, syscall, memory, opens)
      } catch (error) {
        end(() => reject(error))
      }
    }
    issue()
  })
}

/** As `call`, for the slower operations: the error's stack names the awaiting async functions, as in Node. */
export async function tracedCall<T>(uring: Uring, details: CallDetails<T>): Promise<T> {
  return await call(uring, details).then(undefined, retrace)
}

function retrace(error: Error): never {
  Error.captureStackTrace(error, retrace)
  throw error
}
