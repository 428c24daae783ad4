// writeFile() and appendFile(), by path.

import { constants } from 'node:fs'
import nodeFs, { type FileHandle as NodeFileHandle } from 'node:fs/promises'
import { AbortError, type PathLike } from '../runtime/index.js'
import {
  fileMode,
  givenOptions,
  isPieces,
  openFlags,
  plainEncoding,
  plainPath,
  type ResolveName,
  requireNoOwnOptions,
  resolveBits,
} from './arguments.js'
import { writeDirectly } from './direct-io.js'
import { type FileData, FileHandle } from './file-handle.js'
import { inTurns } from './in-turns.js'
import { nextTurn } from './next-turn.js'
import { dataLost, requireBoolean, withCloseError } from './node-errors.js'
import { open } from './open.js'
import { ringFor } from './ring-choice.js'
import { type Durability, type WriteRequest, writeLanes } from './write-lane.js'

/** Options of `writeFile` and `appendFile`. */
export interface WriteFileOptions {
  readonly encoding?: BufferEncoding | null | undefined
  /** Permissions of a file that is made, before the umask. Default: 0o666. */
  readonly mode?: number | string | undefined
  /** A string such as `'wx'`, or `O_*` bits. Default: `'w'`, in appendFile `'a'`. */
  readonly flag?: string | number | undefined
  /** Have data and metadata on the disk before the promise resolves (fsync(2)). In Node from 21 on. */
  readonly flush?: boolean | undefined
  readonly signal?: AbortSignal | undefined
  /**
   * Have the data on the disk before the promise resolves (fdatasync(2)). The name of a file that is new may still be
   * lost with the power: sync its directory too, as `uring/transfer` does. Not in Node.
   */
  readonly durable?: boolean | undefined
  /** Write past the page cache (O_DIRECT) where the file system supports it; a hint. Not in Node. */
  readonly direct?: boolean | undefined
  /** How far the path may lead; see `OpenExtras`. Not in Node. */
  readonly resolve?: number | ResolveName | readonly ResolveName[] | undefined
}

const { O_NONBLOCK = 0 } = constants
const KNOWN_OPTIONS: ReadonlySet<string> = new Set([
  'encoding',
  'mode',
  'flag',
  'flush',
  'signal',
  'durable',
  'direct',
  'resolve',
])
const NONE: WriteFileOptions = {}

let takenResolve: (value: never) => void
let takenReject: (error: unknown) => void
function takeResolvers(resolve: (value: never) => void, reject: (error: unknown) => void): void {
  takenResolve = resolve
  takenReject = reject
}

/**
 * Writes a whole file, which is made, or emptied first.
 *
 * @param path - A path, or a FileHandle, which is written from its current position and stays open.
 * @param data - Text, a Buffer or any view, or pieces of these: an iterable, an async iterable, a stream.
 */
export function writeFile(
  path: PathLike | FileHandle | NodeFileHandle,
  data: FileData,
  options?: WriteFileOptions | BufferEncoding | null,
): Promise<void> {
  return write(path, data, options, 'w')
}

/** As `writeFile`, at the end of the file. */
export function appendFile(
  path: PathLike | FileHandle | NodeFileHandle,
  data: string | Uint8Array,
  options?: WriteFileOptions | BufferEncoding | null,
): Promise<void> {
  return write(path, data, options, 'a')
}

function write(path: unknown, data: unknown, options: unknown, flag: 'w' | 'a'): Promise<void> {
  try {
    return startOrLeave(path, data, options, flag)
  } catch (error) {
    // A getter of the options has thrown it.
    return Promise.reject(error)
  }
}

function startOrLeave(path: unknown, data: unknown, options: unknown, flag: 'w' | 'a'): Promise<void> {
  const given = givenOptions(options, KNOWN_OPTIONS, NONE)
  const plain = plainPath(path)
  if (plain !== null && given !== null) {
    const encoding = plainEncoding(given.encoding)
    const flags = openFlags(given.flag || flag)
    const mode = fileMode(given.mode, 0o666)
    const { signal, flush } = given
    if (
      encoding !== null &&
      flags !== null &&
      mode !== null &&
      (signal === undefined || signal instanceof AbortSignal) &&
      (flush === undefined || flush === null || typeof flush === 'boolean') &&
      (typeof data === 'string' || ArrayBuffer.isView(data) || isPieces(data))
    ) {
      return start(plain, data, flags, mode, encoding ?? 'utf8', given)
    }
  }
  if (path instanceof FileHandle) return path.writeFile(data as FileData, options as WriteFileOptions)
  return leaveToNode(path as PathLike, data as string, options, flag)
}

async function leaveToNode(path: PathLike, data: string, options: unknown, flag: 'w' | 'a'): Promise<void> {
  requireNoOwnOptions(options)
  const node = flag === 'w' ? nodeFs.writeFile : nodeFs.appendFile
  await node(path, data, options as BufferEncoding)
}

function start(
  path: string | Buffer,
  data: FileData,
  flags: number,
  mode: number,
  encoding: BufferEncoding,
  options: WriteFileOptions,
): Promise<void> {
  const { signal, flush, durable, direct, resolve } = options
  let bits = 0
  try {
    if (resolve !== undefined) bits = resolveBits(resolve)
    if (durable !== undefined) requireBoolean('options.durable', durable)
    if (direct !== undefined) requireBoolean('options.direct', direct)
  } catch (error) {
    return Promise.reject(error)
  }
  if (signal?.aborted) return Promise.reject(new AbortError(signal.reason))
  let durability: Durability = 'none'
  if (flush) durability = 'fsync'
  else if (durable) durability = 'fdatasync'
  const uring = ringFor('writeFile')
  // Whether a file that is not to be waited for could have to be shows once it is open.
  const inParts = direct || isPieces(data) || (flags & O_NONBLOCK) !== 0
  if (uring === null || inParts || (bits !== 0 && ringFor('openResolving') === null)) {
    const dataBytes = ArrayBuffer.isView(data) ? data.byteLength : -1
    const steps = { path, fd: -1, flags, mode, resolveBits: bits, signal, encoding, durability, dataBytes }
    if (uring !== null && direct) return writeDirectly({ ...steps, uring, data })
    // Pieces may depend on another write of this module, which must not have to wait for this one.
    return isPieces(data) ? inSteps(steps, data) : inTurns(signal, () => inSteps(steps, data))
  }
  const promise = new Promise<never>(takeResolvers)
  const request: WriteRequest = {
    uring,
    path,
    fd: -1,
    position: -1,
    flags,
    mode,
    resolveBits: bits,
    signal,
    data: bytesOf(data),
    dataBytes: typeof data === 'string' ? -1 : data.byteLength,
    encoding,
    durability,
    resolve: takenResolve,
    reject: takenReject,
    lane: null,
  }
  if (signal === undefined) writeLanes.start(request)
  else writeLanes.startWithSignal(request, signal)
  return promise
}

function bytesOf(data: string | ArrayBufferView): string | Uint8Array {
  if (typeof data === 'string' || data instanceof Uint8Array) return data
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

interface Steps {
  readonly path: string | Buffer
  readonly flags: number
  readonly mode: number
  readonly resolveBits: number
  readonly signal: AbortSignal | undefined
  readonly encoding: BufferEncoding
  readonly durability: Durability
  /** Bytes of a view when it was given; else -1. */
  readonly dataBytes: number
}

/** Through a handle: data that comes piece by piece, or no ring. */
async function inSteps(steps: Steps, data: FileData): Promise<void> {
  const { path, flags, mode, resolveBits: resolve, signal, encoding, durability, dataBytes } = steps
  if (signal !== undefined) await nextTurn(signal)
  const handle = await open(path, flags, mode, { resolve })
  try {
    if (ArrayBuffer.isView(data) && data.byteLength !== dataBytes) throw dataLost()
    const durable = durability === 'fdatasync'
    await handle.writeFile(data, { encoding, signal, durable })
    if (durability === 'fsync') await handle.sync()
  } catch (error) {
    await handle.close().catch((closeError) => {
      throw withCloseError(error, closeError)
    })
    throw error
  }
  await handle.close()
}
