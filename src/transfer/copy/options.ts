// The options that copies of files and of trees have in common, and their checks.

import type { PathLike } from '../../runtime/index.js'
import {
  checkBoolean,
  checkInteger,
  checkSignal,
  invalidType,
  invalidValue,
} from '../../syscalls/argument-errors.js'
import { pathOf } from '../output-file.js'
import { type Preserve, type Preserved, preservedBy } from './attributes.js'
import type { ContentOptions } from './contents.js'
import { COPY_METHODS, type CopyMethod, DIRECT_UNIT_BYTES } from './job.js'
import type { ProgressOptions } from './progress.js'
import type { SessionOptions } from './session.js'
import { verification } from './verify.js'

/** How to copy. */
export interface CopyOptions extends ProgressOptions {
  /**
   * The methods that may be tried, in order. Default: `'reflink'`, `'copy-file-range'`, `'ring'`, `'node'`.
   * If there is only one, its failure ends the copy; otherwise the next one takes its place.
   */
  readonly methods?: readonly CopyMethod[] | undefined
  /**
   * Read and write past the page cache (O_DIRECT), through the ring; with `'source'` only read. A hint: where a file
   * system has no O_DIRECT, and without a ring, the cache is used. Default false.
   */
  readonly direct?: boolean | 'source' | undefined
  /** Keep holes. Default true. */
  readonly sparse?: boolean | undefined
  /** What to take over beside the data; true is everything, false (the default) permissions alone. */
  readonly preserve?: boolean | Preserve | undefined
  /** Read both afterwards and compare their hashes: true for SHA-256, or an algorithm of node:crypto. Default false. */
  readonly verify?: boolean | string | undefined
  /** Replace what is there. Default true. */
  readonly overwrite?: boolean | undefined
  /** Have everything on the disk before the copy takes its place (fsync). Default false. */
  readonly durable?: boolean | undefined
  /**
   * Bytes of each buffer that the ring copies through, a multiple of 4096 up to 64 MiB. Default 65536, with
   * `direct: true` 262144.
   */
  readonly bufferSize?: number | undefined
  /** Buffers, and so operations in flight, for each file that goes through the ring: 1 to 256. Default 16. */
  readonly depth?: number | undefined
  /**
   * Ask for a kernel thread that submits (SQPOLL). A refusal gives a regular ring; the result says so.
   * Default false.
   */
  readonly sqpoll?: boolean | undefined
  /** Ends the copy: operations in flight complete, and what is unfinished is removed. */
  readonly signal?: AbortSignal | undefined
}

export const COPY_OPTION_NAMES = [
  'methods',
  'direct',
  'sparse',
  'preserve',
  'verify',
  'overwrite',
  'durable',
  'bufferSize',
  'depth',
  'sqpoll',
  'signal',
  'onProgress',
  'progressIntervalMs',
] as const

/** The options, with every default filled in. */
export interface CopySettings extends ContentOptions, SessionOptions {
  readonly sparse: boolean
  readonly preserved: Preserved
  /** The hash to verify by, or null. */
  readonly verify: string | null
  readonly overwrite: boolean
  readonly durable: boolean
  readonly signal: AbortSignal | undefined
}

/** Larger writes get large folios in the page cache, which takes much longer; see output-assembler.ts. */
const BUFFER_BYTES = 65_536
const DIRECT_BUFFER_BYTES = 262_144
const MAX_BUFFER_BYTES = 2 ** 26
const DEPTH = 16
const MAX_DEPTH = 256

/** @throws TypeError, RangeError for bad options. */
export function copySettings(options: CopyOptions): CopySettings {
  const { depth = DEPTH, signal } = options
  const { bufferSize = options.direct === true ? DIRECT_BUFFER_BYTES : BUFFER_BYTES } = options
  checkInteger('options.bufferSize', bufferSize, DIRECT_UNIT_BYTES, MAX_BUFFER_BYTES)
  if (bufferSize % DIRECT_UNIT_BYTES !== 0) {
    throw invalidValue('options.bufferSize', bufferSize, `must be a multiple of ${DIRECT_UNIT_BYTES}`)
  }
  checkSignal(signal)
  return {
    methods: checkedMethods(options.methods),
    direct: options.direct === 'source' ? 'source' : checkBoolean('options.direct', options.direct ?? false),
    sparse: checkBoolean('options.sparse', options.sparse ?? true),
    preserved: preservedBy(options.preserve),
    verify: verification(options.verify),
    overwrite: checkBoolean('options.overwrite', options.overwrite ?? true),
    durable: checkBoolean('options.durable', options.durable ?? false),
    bufferSize,
    depth: checkInteger('options.depth', depth, 1, MAX_DEPTH),
    sqpoll: checkBoolean('options.sqpoll', options.sqpoll ?? false),
    signal,
  }
}

function checkedMethods(methods: readonly CopyMethod[] | undefined): readonly CopyMethod[] {
  if (methods === undefined) return COPY_METHODS
  if (!Array.isArray(methods) || methods.length === 0) {
    throw invalidType('options.methods', 'a non-empty array', methods)
  }
  for (const method of methods) {
    if (!COPY_METHODS.includes(method)) {
      throw invalidValue('options.methods', method, `must be one of ${COPY_METHODS.join(', ')}`)
    }
  }
  return methods
}

/**
 * A path as text, and as latin1 text: one character for each byte. @throws TypeError for a path that is not
 * UTF-8.
 */
export function textPath(name: string, path: PathLike): { readonly text: string; readonly latin1: string } {
  if (typeof path !== 'string' && !(path instanceof Uint8Array) && !(path instanceof URL)) {
    throw invalidType(name, 'of type string or an instance of Buffer or URL', path)
  }
  const text = path instanceof Uint8Array ? Buffer.from(path).toString() : pathOf(path)
  if (text === '' || text.includes('\0')) {
    throw invalidValue(name, path, 'must be a path of at least one character, without null bytes')
  }
  const bytes = Buffer.from(text)
  if (path instanceof Uint8Array && !bytes.equals(path)) {
    throw invalidValue(name, path, 'must be a path in UTF-8')
  }
  return { text, latin1: bytes.toString('latin1') }
}
