// Mistakes of the caller, worded exactly as Node's own fs/promises words them: programs and tests compare messages.
// `syscalls/argument-errors.ts` serves the rest of the package, whose functions have no counterpart in Node.

import { inspect } from 'node:util'

function coded<E extends Error>(error: E, code: string): E & { code: string } {
  // The first line of the stack names the code, as in Node's own errors; `name` stays what the class says.
  Object.defineProperty(error, 'name', { value: `${error.name} [${code}]`, configurable: true })
  Error.captureStackTrace(error, coded)
  // The stack's text is made when it is first read: while `name` has the code in it.
  void error.stack
  delete (error as { name?: string }).name
  return Object.assign(error, { code })
}

function received(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  switch (typeof value) {
    case 'function':
      return `function ${value.name}`
    case 'object': {
      const maker = (value as { constructor?: { name?: string } }).constructor
      return maker && 'name' in maker ? `an instance of ${maker.name}` : inspect(value, { depth: -1 })
    }
    case 'string': {
      const text = value.length > 28 ? `${value.slice(0, 25)}...` : value
      return `type string (${text.includes("'") ? JSON.stringify(text) : `'${text}'`})`
    }
    case 'symbol':
      return `type symbol (${String(value)})`
    default:
      return `type ${typeof value} (${inspect(value)})`
  }
}

function grouped(value: number | bigint): string {
  if (value > 2 ** 32 || value < -(2 ** 32)) {
    return String(value).replace(/\B(?=(\d{3})+$)/g, '_')
  }
  return String(value)
}

/**
 * `ERR_INVALID_ARG_TYPE`.
 *
 * @param expected - The words after "must be".
 */
export function wrongType(name: string, expected: string, value: unknown): TypeError {
  const kind = name.includes('.') ? 'property' : 'argument'
  const message = `The "${name}" ${kind} must be ${expected}. Received ${received(value)}`
  return coded(new TypeError(message), 'ERR_INVALID_ARG_TYPE')
}

/** `ERR_INVALID_ARG_VALUE`. */
export function wrongValue(name: string, value: unknown, reason: string): TypeError {
  const kind = name.includes('.') ? 'property' : 'argument'
  const text = inspect(value)
  const short = text.length > 128 ? `${text.slice(0, 128)}...` : text
  return coded(new TypeError(`The ${kind} '${name}' ${reason}. Received ${short}`), 'ERR_INVALID_ARG_VALUE')
}

/** `ERR_OUT_OF_RANGE`. */
export function outOfBounds(name: string, bounds: string, value: unknown): RangeError {
  let text = inspect(value)
  if (typeof value === 'bigint') text = `${grouped(value)}n`
  else if (Number.isInteger(value)) text = grouped(value as number)
  const message = `The value of "${name}" is out of range. It must be ${bounds}. Received ${text}`
  return coded(new RangeError(message), 'ERR_OUT_OF_RANGE')
}

/** `ERR_INVALID_STATE`. */
export function wrongState(text: string): Error {
  return coded(new Error(`Invalid state: ${text}`), 'ERR_INVALID_STATE')
}

/** `ERR_FS_FILE_TOO_LARGE`: readFile makes one Buffer of a file, and that has a limit. */
export function fileTooLarge(size: number): RangeError {
  return coded(new RangeError(`File size (${size}) is greater than 2 GiB`), 'ERR_FS_FILE_TOO_LARGE')
}

/** The memory was transferred away, or the buffer resized, before all of it was written. */
export function dataLost(): TypeError {
  const message = "The argument 'data' was detached or resized while it was being written"
  return coded(new TypeError(message), 'ERR_INVALID_ARG_VALUE')
}

/** What every operation of a closed FileHandle rejects with. */
export function handleClosed(syscall: string): Error {
  return Object.assign(new Error('file closed'), { code: 'EBADF', syscall })
}

/** The error of an operation whose file could not be closed either: both are kept. */
export function withCloseError(operationError: unknown, closeError: unknown): unknown {
  if (!(operationError instanceof Error)) return closeError
  const both = new AggregateError([operationError, closeError], operationError.message)
  return Object.assign(both, { code: (operationError as { code?: string }).code })
}

/** Throws unless `value` is an integer within the bounds. */
export function requireInteger(
  name: string,
  value: unknown,
  min = Number.MIN_SAFE_INTEGER,
  max = Number.MAX_SAFE_INTEGER,
): asserts value is number {
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value)
  if (!Number.isInteger(value)) throw outOfBounds(name, 'an integer', value)
  if (value < min || value > max) throw outOfBounds(name, `>= ${min} && <= ${max}`, value)
}

/** Throws unless `value` is a boolean. */
export function requireBoolean(name: string, value: unknown): asserts value is boolean {
  if (typeof value !== 'boolean') throw wrongType(name, 'of type boolean', value)
}
