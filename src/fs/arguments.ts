// Decides which arguments the ring can take as they are. Everything else goes unchanged to Node's own
// function, which rejects it in the words of the running Node, or accepts it after all.

import { constants } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  RESOLVE_BENEATH,
  RESOLVE_CACHED,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from '../ring/index.js'
import { requireInteger, wrongType, wrongValue } from './node-errors.js'

const { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_SYNC, O_TRUNC, O_WRONLY } = constants

/** How far the resolution of a path may go; see openat2(2). */
export type ResolveName = 'beneath' | 'inRoot' | 'noSymlinks' | 'noMagiclinks' | 'noXdev' | 'cached'

const RESOLVE_BITS: Readonly<Record<ResolveName, number>> = {
  beneath: RESOLVE_BENEATH,
  inRoot: RESOLVE_IN_ROOT,
  noSymlinks: RESOLVE_NO_SYMLINKS,
  noMagiclinks: RESOLVE_NO_MAGICLINKS,
  noXdev: RESOLVE_NO_XDEV,
  cached: RESOLVE_CACHED,
}

const FLAG_STRINGS: ReadonlyMap<unknown, number> = new Map([
  ['r', O_RDONLY],
  ['rs', O_RDONLY | O_SYNC],
  ['sr', O_RDONLY | O_SYNC],
  ['r+', O_RDWR],
  ['rs+', O_RDWR | O_SYNC],
  ['sr+', O_RDWR | O_SYNC],
  ['w', O_TRUNC | O_CREAT | O_WRONLY],
  ['wx', O_TRUNC | O_CREAT | O_WRONLY | O_EXCL],
  ['xw', O_TRUNC | O_CREAT | O_WRONLY | O_EXCL],
  ['w+', O_TRUNC | O_CREAT | O_RDWR],
  ['wx+', O_TRUNC | O_CREAT | O_RDWR | O_EXCL],
  ['xw+', O_TRUNC | O_CREAT | O_RDWR | O_EXCL],
  ['a', O_APPEND | O_CREAT | O_WRONLY],
  ['ax', O_APPEND | O_CREAT | O_WRONLY | O_EXCL],
  ['xa', O_APPEND | O_CREAT | O_WRONLY | O_EXCL],
  ['as', O_APPEND | O_CREAT | O_WRONLY | O_SYNC],
  ['sa', O_APPEND | O_CREAT | O_WRONLY | O_SYNC],
  ['a+', O_APPEND | O_CREAT | O_RDWR],
  ['ax+', O_APPEND | O_CREAT | O_RDWR | O_EXCL],
  ['xa+', O_APPEND | O_CREAT | O_RDWR | O_EXCL],
  ['as+', O_APPEND | O_CREAT | O_RDWR | O_SYNC],
  ['sa+', O_APPEND | O_CREAT | O_RDWR | O_SYNC],
])

/**
 * PATH_MAX without the NUL. With two paths, the ring rejects an empty or overlong second path before it
 * resolves the first one; the system calls check the second path afterwards.
 */
const MAX_PATH_BYTES = 4095
/** Text of at most this length has at most MAX_PATH_BYTES bytes in UTF-8, whatever its characters. */
const SHORT_PATH_LENGTH = 1365

/**
 * The path in the form that the kernel gets, or null for Node to judge. A Buffer is copied, because its owner
 * may change it before the operation begins.
 */
export function plainPath(path: unknown): string | Buffer | null {
  if (typeof path === 'string') {
    const bytes = path.length <= SHORT_PATH_LENGTH ? path.length : Buffer.byteLength(path)
    return isPlain(bytes) && !path.includes('\0') ? path : null
  }
  if (path instanceof Uint8Array) {
    return isPlain(path.length) && !path.includes(0) ? Buffer.from(path) : null
  }
  if (path instanceof URL) {
    try {
      return plainPath(fileURLToPath(path))
    } catch {
      return null
    }
  }
  return null
}

function isPlain(bytes: number): boolean {
  return bytes > 0 && bytes <= MAX_PATH_BYTES
}

/**
 * Options of this module that Node would drop in silence. Hints such as `direct` are not listed: they may be
 * dropped.
 */
interface OwnOptions {
  readonly resolve?: unknown
  readonly durable?: unknown
}

function hasOwnOptions({ resolve, durable }: OwnOptions): boolean {
  return (resolve !== undefined && resolve !== null) || (durable !== undefined && durable !== false)
}

/**
 * The options of a whole-file operation as an object, or null when Node must judge them. An option that this
 * module does not know leads to null, since the running Node may give it a meaning; but not if `resolve` or
 * `durable` is set too, which Node would drop.
 */
export function givenOptions<O extends object>(
  options: unknown,
  known: ReadonlySet<string>,
  none: O,
): (O & { readonly encoding?: BufferEncoding }) | null {
  if (options === undefined || options === null) return none
  if (typeof options === 'string') return { ...none, encoding: options as BufferEncoding }
  if (typeof options !== 'object') return null
  for (const key in options) if (!known.has(key)) return hasOwnOptions(options) ? (options as O) : null
  return options as O
}

/**
 * To be called before an operation is left to Node, which would drop `resolve` and `durable` in silence.
 *
 * @throws TypeError when one of the two is set.
 */
export function requireNoOwnOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null || !hasOwnOptions(options)) return
  const { resolve, durable } = options as OwnOptions
  const reason = 'cannot be kept with the other arguments, which are not of a kind that is known'
  if (resolve !== undefined && resolve !== null) throw wrongValue('options.resolve', resolve, reason)
  throw wrongValue('options.durable', durable, reason)
}

const UNKEPT = 'cannot be kept by this function'

/**
 * Checks the options of a call on a file that is open already, whose path is not resolved any more.
 *
 * @throws TypeError when `resolve` is set.
 */
export function refuseLimit(options: unknown): void {
  if (typeof options !== 'object' || options === null) return
  const { resolve } = options as OwnOptions
  if (resolve === undefined || resolve === null || resolve === 0) return
  throw wrongValue('options.resolve', resolve, UNKEPT)
}

/**
 * Checks the options of a function that supports neither `resolve` nor `durable`.
 *
 * @throws TypeError when one of the two is set.
 */
export function refuseOwnOptions(options: unknown): void {
  refuseLimit(options)
  if (typeof options !== 'object' || options === null) return
  const { durable } = options as OwnOptions
  if (durable === true) throw wrongValue('options.durable', durable, UNKEPT)
}

/** The path as an error shows it. */
export function pathText(path: string | Buffer): string {
  return typeof path === 'string' ? path : path.toString('utf8')
}

/** `O_*` bits of a flags argument, or null. */
export function openFlags(flags: unknown): number | null {
  if (flags === undefined || flags === null) return O_RDONLY
  if (typeof flags === 'number') return (flags | 0) === flags ? flags | 0 : null
  return FLAG_STRINGS.get(flags) ?? null
}

/** Permission bits of a mode argument, or null. */
export function fileMode(mode: unknown, ifMissing: number): number | null {
  if (mode === undefined || mode === null) return ifMissing
  if (typeof mode === 'number') return mode >>> 0 === mode ? mode >>> 0 : null
  if (typeof mode !== 'string' || !/^[0-7]+$/.test(mode)) return null
  const bits = Number.parseInt(mode, 8)
  return bits >>> 0 === bits ? bits : null
}

/**
 * A mode that Node's own functions can be given: they abort the process for -0 and for 2^31 and more (Node
 * 20). Of such a mode only the permission bits are kept.
 */
export function modeForNode<T>(mode: T): T | number {
  const bits = fileMode(mode, 0)
  return bits !== null && (bits > 0x7fff_ffff || Object.is(mode, -0)) ? bits & 0o7777 : mode
}

/** The encoding; undefined when none is given, null when it is unknown. */
export function plainEncoding(encoding: unknown): BufferEncoding | undefined | null {
  if (encoding === undefined || encoding === null || encoding === '') return undefined
  // The most common name by far is recognised without a look-up.
  if (encoding === 'utf8' || encoding === 'utf-8') return 'utf8'
  if (typeof encoding === 'string' && Buffer.isEncoding(encoding)) return encoding
  return null
}

/** `RESOLVE_*` bits of a `resolve` option, which Node does not have. */
export function resolveBits(resolve: unknown): number {
  if (resolve === undefined || resolve === null) return 0
  if (typeof resolve === 'number') {
    requireInteger('options.resolve', resolve, 0, 0xffff_ffff)
    return resolve
  }
  const names: unknown = typeof resolve === 'string' ? [resolve] : resolve
  if (!Array.isArray(names))
    throw wrongType('options.resolve', 'a number, a name or an Array of names', resolve)
  let bits = 0
  for (const name of names) {
    if (!Object.hasOwn(RESOLVE_BITS, name as string)) {
      throw wrongValue('options.resolve', name, `must be one of: ${Object.keys(RESOLVE_BITS).join(', ')}`)
    }
    bits |= RESOLVE_BITS[name as ResolveName]
  }
  return bits
}

/** Whether `value` yields data piece by piece: an iterable, an async iterable or a stream. */
export function isPieces(
  value: unknown,
): value is Iterable<string | ArrayBufferView> | AsyncIterable<string | ArrayBufferView> {
  if (value === null || typeof value !== 'object' || ArrayBuffer.isView(value)) return false
  const { [Symbol.asyncIterator]: asyncIterator, [Symbol.iterator]: iterator } = value as Record<
    symbol,
    unknown
  >
  return typeof asyncIterator === 'function' || typeof iterator === 'function'
}
