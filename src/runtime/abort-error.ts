// The error of an aborted operation, shaped like the one that Node's own modules reject with.

/** `name` is 'AbortError', `code` is 'ABORT_ERR', `cause` the signal's reason. */
export class AbortError extends Error {
  readonly code = 'ABORT_ERR'

  constructor(reason?: unknown, message = 'The operation was aborted') {
    super(message, reason === undefined ? undefined : { cause: reason })
    this.name = 'AbortError'
  }
}
