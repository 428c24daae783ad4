// What goes wrong with a copy itself, beside the errors of system calls: one line each, with a stable `code`.

/** Why a copy ended. */
export type CopyErrorCode =
  /** The source is no regular file, or no directory, or the target is something that is not replaced. */
  | 'ERR_COPY_KIND'
  /** A tree was to be copied to a place inside itself, or onto itself. */
  | 'ERR_COPY_INTO_ITSELF'
  /** The source became shorter, or another file, while it was copied. */
  | 'ERR_COPY_SOURCE_CHANGED'
  /** What was written reads differently from the source. */
  | 'ERR_COPY_MISMATCH'
  /** None of the methods that were allowed can do it here. */
  | 'ERR_COPY_METHOD'
  /** A symlink, followed as was asked for, leads back to a directory that it lies in. */
  | 'ERR_COPY_CYCLE'
  /** Parts of a tree could not be copied; `errors` has one error for each. */
  | 'ERR_COPY_INCOMPLETE'

/** An error with `code` and, where one file is to blame, `path`. */
export class CopyError extends Error {
  readonly code: CopyErrorCode
  declare readonly path?: string
  /** With `ERR_COPY_INCOMPLETE`: what went wrong, entry by entry. */
  declare readonly errors?: readonly Error[]

  constructor(code: CopyErrorCode, message: string, path?: string, errors?: readonly Error[]) {
    super(path === undefined ? message : `${message}, '${path}'`)
    this.name = 'CopyError'
    this.code = code
    if (path !== undefined) this.path = path
    if (errors !== undefined) this.errors = errors
  }
}
