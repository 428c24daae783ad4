// Error numbers: their names, their messages, and the error object that a failed system call becomes.
// Kernel calls answer with negative numbers everywhere in this code; only messages and `code` use names.

import { constants } from 'node:os'
import { getSystemErrorMap } from 'node:util'

const NAMES: ReadonlyMap<number, string> = new Map(
  // EWOULDBLOCK and friends are second names of one number: the first name listed by Node wins.
  Object.entries(constants.errno)
    .reverse()
    .map(([name, value]) => [value, name] as const),
)

// Numbers that libuv, and so Node, has no name for but that io_uring can answer with.
const LINUX_ONLY: ReadonlyMap<number, readonly [name: string, message: string]> = new Map([
  [53, ['EBADR', 'invalid request descriptor']],
  [77, ['EBADFD', 'file descriptor in bad state']],
  [117, ['EUCLEAN', 'structure needs cleaning']],
  [121, ['EREMOTEIO', 'remote I/O error']],
  [123, ['ENOMEDIUM', 'no medium found']],
  [124, ['EMEDIUMTYPE', 'wrong medium type']],
  [126, ['ENOKEY', 'required key not available']],
  [127, ['EKEYEXPIRED', 'key has expired']],
  [128, ['EKEYREVOKED', 'key has been revoked']],
  [129, ['EKEYREJECTED', 'key was rejected by service']],
  [130, ['EOWNERDEAD', 'owner died']],
  [131, ['ENOTRECOVERABLE', 'state not recoverable']],
  [132, ['ERFKILL', 'operation not possible due to RF-kill']],
  [133, ['EHWPOISON', 'memory page has hardware error']],
])

/** The name of an error number given with either sign: `errnoName(-2)` is `'ENOENT'`. */
export function errnoName(errno: number): string {
  const number = Math.abs(errno)
  return (
    getSystemErrorMap().get(-number)?.[0] ?? LINUX_ONLY.get(number)?.[0] ?? NAMES.get(number) ?? `E${number}`
  )
}

/** What an error number means, in the words Node uses for it. */
export function errnoMessage(errno: number): string {
  const number = Math.abs(errno)
  return getSystemErrorMap().get(-number)?.[1] ?? LINUX_ONLY.get(number)?.[1] ?? 'unknown error'
}

export interface SystemErrorDetails {
  readonly path?: string | undefined
  readonly dest?: string | undefined
  /** One more sentence: the likely cause and what to do about it. */
  readonly hint?: string | undefined
  readonly cause?: unknown
}

/** A failed system call, shaped like Node's own: `code`, negative `errno`, `syscall`, `path`, `dest`. */
export class SystemError extends Error {
  declare readonly errno: number
  declare readonly code: string
  declare readonly syscall: string
  declare readonly path?: string
  declare readonly dest?: string

  constructor(errno: number, syscall: string, details: SystemErrorDetails = {}) {
    const code = errnoName(errno)
    const { path, dest, hint } = details
    let message = `${code}: ${errnoMessage(errno)}, ${syscall}`
    if (path !== undefined) message += ` '${path}'`
    if (dest !== undefined) message += ` -> '${dest}'`
    if (hint !== undefined) message += ` (${hint})`
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.errno = -Math.abs(errno)
    this.code = code
    this.syscall = syscall
    if (path !== undefined) this.path = path
    if (dest !== undefined) this.dest = dest
  }

  // Node's system errors print as "Error: ENOENT: ...", and programs compare that name.
  override get name(): string {
    return 'Error'
  }
}

/** The error for `errno` (either sign) from `syscall`. */
export function systemError(errno: number, syscall: string, details?: SystemErrorDetails): SystemError {
  return new SystemError(errno, syscall, details)
}

/** Throws the error for a negative result, returns any other result as it is. */
export function checkResult(result: number, syscall: string, details?: SystemErrorDetails): number {
  if (result < 0) throw new SystemError(result, syscall, details)
  return result
}
