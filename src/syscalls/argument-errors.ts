// Caller mistakes, reported as Node reports them: a TypeError or RangeError with a stable `code`, naming the
// argument, the bound and the value received. Nothing here touches a ring.

import { inspect } from 'node:util'

function coded<E extends Error>(error: E, code: string): E {
  return Object.assign(error, { code })
}

function shown(value: unknown): string {
  if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`
  const text = inspect(value, { depth: 0, breakLength: Infinity })
  const short = text.length > 64 ? `${text.slice(0, 61)}...` : text
  return value === null || value === undefined || typeof value === 'object'
    ? short
    : `type ${typeof value} (${short})`
}

/** `ERR_INVALID_ARG_TYPE`: the value is of the wrong type. */
export function invalidType(name: string, expected: string, value: unknown): TypeError {
  const kind = name.includes('.') ? 'property' : 'argument'
  const message = `The "${name}" ${kind} must be ${expected}. Received ${shown(value)}`
  return coded(new TypeError(message), 'ERR_INVALID_ARG_TYPE')
}

/** `ERR_INVALID_ARG_VALUE`: the type is right, the value has no meaning here. */
export function invalidValue(name: string, value: unknown, reason: string): TypeError {
  const kind = name.includes('.') ? 'property' : 'argument'
  const message = `The ${kind} '${name}' ${reason}. Received ${inspect(value, { depth: 0, breakLength: Infinity })}`
  return coded(new TypeError(message), 'ERR_INVALID_ARG_VALUE')
}

/** `ERR_OUT_OF_RANGE`: a number outside its bounds, fractional or not finite. */
export function outOfRange(name: string, bound: string, value: unknown): RangeError {
  const text = typeof value === 'bigint' ? `${value}n` : String(value)
  const message = `The value of "${name}" is out of range. It must be ${bound}. Received ${text}`
  return coded(new RangeError(message), 'ERR_OUT_OF_RANGE')
}

/** `ERR_INVALID_STATE`: the object is closed, or not yet ready for this call. */
export function invalidState(message: string): Error {
  return coded(new Error(message), 'ERR_INVALID_STATE')
}

/** Throws unless `value` is an integer from `min` to `max`; returns it otherwise. */
export function checkInteger(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value)
  if (!Number.isInteger(value) || value < min || value > max) {
    throw outOfRange(name, `an integer >= ${min} and <= ${max}`, value)
  }
  return value
}

/** Throws unless `value` is a boolean; returns it otherwise. */
export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalidType(name, 'of type boolean', value)
  return value
}

/** Throws unless `value` is a number of milliseconds from 0 to `max`, fractions allowed; returns it otherwise. */
export function checkMilliseconds(name: string, value: unknown, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value)
  // NaN is not >= 0.
  if (!(value >= 0 && value <= max)) throw outOfRange(name, `>= 0 and <= ${max}`, value)
  return value
}

/** Throws unless `signal` is undefined or an AbortSignal. */
export function checkSignal(signal: unknown): asserts signal is AbortSignal | undefined {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalidType('options.signal', 'an instance of AbortSignal', signal)
  }
}

/** Throws unless `options` can have members. */
export function checkOptions(options: unknown): asserts options is object {
  if (typeof options !== 'object' || options === null) throw invalidType('options', 'of type object', options)
}

/** Throws on a member of `value` that is not in `known`, naming the nearest one. */
export function checkMembers(name: string, value: object, known: readonly string[]): void {
  if (typeof value !== 'object' || value === null)
    throw invalidType(name || 'options', 'of type object', value)
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue
    const near = known.find((candidate) => candidate.toLowerCase() === key.toLowerCase())
    const hint = near ? `did you mean '${near}'?` : `known: ${known.join(', ')}`
    throw invalidValue(
      name ? `${name}.${key}` : key,
      (value as Record<string, unknown>)[key],
      `is not an option; ${hint}`,
    )
  }
}
