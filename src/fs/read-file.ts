// readFile(), by path.

import { constants } from 'node:fs'
import nodeFs, { type FileHandle as NodeFileHandle } from 'node:fs/promises'
import { AbortError, type PathLike } from '../runtime/index.js'
import {
  givenOptions,
  openFlags,
  plainEncoding,
  plainPath,
  type ResolveName,
  requireNoOwnOptions,
  resolveBits,
} from './arguments.js'
import { readDirectly } from './direct-io.js'
import { FileHandle } from './file-handle.js'
import { inTurns } from './in-turns.js'
import { requireBoolean } from './node-errors.js'
import { open } from './open.js'
import type { ReadTarget } from './read-into.js'
import { type ReadRequest, readLanes } from './read-lane.js'
import { ringFor } from './ring-choice.js'
import type { Slab } from './slab.js'

/** Options of `readFile`. */
export interface ReadFileOptions {
  readonly encoding?: BufferEncoding | null | undefined
  /** A string such as `'r+'`, or `O_*` bits. Default: `'r'`. */
  readonly flag?: string | number | undefined
  readonly signal?: AbortSignal | undefined
  /** Read past the page cache (O_DIRECT) where the file system supports it; a hint. Not in Node. */
  readonly direct?: boolean | undefined
  /** Memory to read into; the result is a view of it. In Node from 24 on; an older Node ignores it. */
  readonly buffer?: ReadTarget | undefined
  /** How far the path may lead; see `OpenExtras`. Not in Node. */
  readonly resolve?: number | ResolveName | readonly ResolveName[] | undefined
}

const { O_NONBLOCK = 0 } = constants
const KNOWN_OPTIONS: ReadonlySet<string> = new Set(['encoding', 'flag', 'signal', 'direct', 'resolve'])
const NONE: ReadFileOptions = {}

let takenResolve: (value: never) => void
let takenReject: (error: unknown) => void
function takeResolvers(resolve: (value: never) => void, reject: (error: unknown) => void): void {
  takenResolve = resolve
  takenReject = reject
}

/**
 * Reads a whole file: a Buffer, or a string with an encoding.
 *
 * It rejects with `ERR_FS_FILE_TOO_LARGE` for a file over 2 GiB, and with AbortError when the signal is aborted before
 * the end. A file that is replaced, grows or shrinks meanwhile may be seen in part, as in Node.
 *
 * @param path - A path, or a FileHandle, which is read from its current position and stays open.
 */
export function readFile(
  path: PathLike | FileHandle | NodeFileHandle,
  options?: (ReadFileOptions & { readonly encoding?: null | undefined }) | null,
): Promise<Buffer>
export function readFile(
  path: PathLike | FileHandle | NodeFileHandle,
  options: (ReadFileOptions & { readonly encoding: BufferEncoding }) | BufferEncoding,
): Promise<string>
export function readFile(
  path: PathLike | FileHandle | NodeFileHandle,
  options?: ReadFileOptions | BufferEncoding | null,
): Promise<string | Buffer>
export function readFile(path: unknown, options?: unknown): Promise<string | Buffer> {
  try {
    return readWhole(path, options, null)
  } catch (error) {
    // A getter of the options has thrown it.
    return Promise.reject(error)
  }
}

/**
 * As `readFile`.
 *
 * @param slab - Memory from which the data of small files is cut; null gives each its own.
 */
export function readWhole(path: unknown, options: unknown, slab: Slab | null): Promise<string | Buffer> {
  const given = givenOptions(options, KNOWN_OPTIONS, NONE)
  const plain = plainPath(path)
  if (plain !== null && given !== null) {
    const encoding = plainEncoding(given.encoding)
    const flags = given.flag ? openFlags(given.flag) : 0
    const { signal } = given
    if (encoding !== null && flags !== null && (signal === undefined || signal instanceof AbortSignal)) {
      return start(plain, flags, encoding, given, slab)
    }
  }
  if (path instanceof FileHandle) return path.readFile(options as ReadFileOptions)
  return leaveToNode(path as PathLike, options)
}

async function leaveToNode(path: PathLike, options: unknown): Promise<string | Buffer> {
  requireNoOwnOptions(options)
  return nodeFs.readFile(path, options as BufferEncoding)
}

function start(
  path: string | Buffer,
  flags: number,
  encoding: BufferEncoding | undefined,
  options: ReadFileOptions,
  slab: Slab | null,
): Promise<string | Buffer> {
  const { signal, direct, resolve } = options
  if (signal?.aborted) return Promise.reject(new AbortError(signal.reason))
  let bits = 0
  try {
    if (resolve !== undefined) bits = resolveBits(resolve)
    if (direct !== undefined) requireBoolean('options.direct', direct)
  } catch (error) {
    return Promise.reject(error)
  }
  const uring = ringFor('readFile')
  if (uring === null || (bits !== 0 && ringFor('openResolving') === null)) {
    if (bits !== 0) return refuse(path, flags, bits)
    // Without a ring there is no aligned memory for O_DIRECT, so the hint is dropped.
    const plainly = { encoding, flag: flags, signal } as { encoding: BufferEncoding }
    return inTurns(signal, () => nodeFs.readFile(path, plainly))
  }
  if (flags & O_NONBLOCK) return throughHandle(path, flags, bits, { encoding, signal })
  if (direct) return readDirectly({ uring, path, flags, mode: 0o666, resolveBits: bits, signal, encoding })
  const promise = new Promise<never>(takeResolvers)
  const request: ReadRequest = {
    uring,
    path,
    fd: -1,
    position: -1,
    flags,
    mode: 0o666,
    resolveBits: bits,
    signal,
    encoding,
    slab,
    resolve: takenResolve,
    reject: takenReject,
    lane: null,
  }
  if (signal === undefined) readLanes.start(request)
  else readLanes.startWithSignal(request, signal)
  return promise
}

/** A file that must not be waited for; whether it could have to be shows once it is open. */
async function throughHandle(
  path: string | Buffer,
  flags: number,
  resolve: number,
  options: ReadFileOptions,
): Promise<string | Buffer> {
  const handle = await open(path, flags, 0o666, { resolve })
  try {
    return await handle.readFile(options)
  } finally {
    await handle.close()
  }
}

/** Rejects with the error that `open` has for a `resolve` which cannot be enforced here. */
async function refuse(path: string | Buffer, flags: number, resolve: number): Promise<never> {
  const handle = await open(path, flags, 0o666, { resolve })
  await handle.close()
  throw new Error('openat2 is there after all')
}
