// What goes wrong with a transfer itself, beside the errors of system calls: one line each, with a stable `code`.

/** Why a transfer ended. */
export type TransferErrorCode =
  /** The delta or signature is not one, or is broken. */
  | 'ERR_DELTA_FORMAT'
  /** Something refers to a part of the basis that does not exist. */
  | 'ERR_BASIS_RANGE'
  /** The basis shrank or was changed while it was read. */
  | 'ERR_BASIS_CHANGED'
  /** The output would replace what it is made from. */
  | 'ERR_TARGET_IS_SOURCE'
  /** The output does not have the expected digest. */
  | 'ERR_DIGEST_MISMATCH'
  /** The output is larger than was allowed. */
  | 'ERR_OUTPUT_TOO_LARGE'

/** What is known of where it happened. */
export interface ErrorPlace {
  readonly path?: string
  /** Bytes from the start of that file. */
  readonly offset?: number
}

/** An error with `code` and, where a file is to blame, `path` and `offset`. */
export class TransferError extends Error {
  readonly code: TransferErrorCode
  declare readonly path?: string
  declare readonly offset?: number

  constructor(code: TransferErrorCode, message: string, place: ErrorPlace = {}) {
    super(place.path === undefined ? message : `${message}, '${place.path}'`)
    this.name = 'TransferError'
    this.code = code
    Object.assign(this, place)
  }
}
