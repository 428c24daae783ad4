// The base of every family of operations: common options, entry flags, and paths and buffers for the kernel.

import { fileURLToPath } from 'node:url'
import { types } from 'node:util'
import { isMainThread } from 'node:worker_threads'
import {
  AT_FDCWD,
  addressOf,
  type Fd,
  IOSQE_ASYNC,
  IOSQE_FIXED_FILE,
  IOSQE_IO_DRAIN,
  type Sqe,
} from '../../ring/index.js'
import {
  checkInteger,
  checkMilliseconds,
  checkSignal,
  invalidType,
  invalidValue,
  outOfRange,
} from '../../syscalls/argument-errors.js'
import { byteLengthOf } from '../../syscalls/memory.js'
import type { Block } from '../arena.js'
import type { Driver } from '../driver.js'
import { isMappedFile } from '../move-bytes.js'
import type { Prepare } from '../slot.js'

/** Options that every operation takes. */
export interface OperationOptions {
  /** Aborting rejects with Node's AbortError, once the kernel has let go of the operation's memory. */
  readonly signal?: AbortSignal | undefined
  /** After this many milliseconds the kernel cancels the operation, which rejects with ETIMEDOUT. Linux 5.5. */
  readonly timeoutMs?: number | undefined
  /** The descriptor is an index into the registered files. Linux 5.1. */
  readonly fixedFile?: boolean | undefined
  /** Run on a worker thread of the kernel from the start (IOSQE_ASYNC): never blocks this thread. Linux 5.6. */
  readonly async?: boolean | undefined
  /** Start only when everything issued before is complete (IOSQE_IO_DRAIN). Linux 5.2. */
  readonly drain?: boolean | undefined
  /** The id of credentials, from `registerPersonality`. Linux 5.6. */
  readonly personality?: number | undefined
}

/** A path as `node:fs` takes it. */
export type PathLike = string | Buffer | URL

/** What data is read into or written from. */
export type Bytes = ArrayBuffer | ArrayBufferView

export const MAX_TRANSFER = 0x7fff_f000

/** The options of all operations. */
const OPTION_NAMES: ReadonlySet<string> = new Set([
  ...['signal', 'timeoutMs', 'fixedFile', 'async', 'drain', 'personality'],
  ...['offset', 'length', 'bufferIndex', 'flags', 'mode', 'mask', 'count', 'resolve', 'direct', 'to'],
  ...['syscall', 'memory', 'dirFd', 'fromDirFd', 'toDirFd', 'nameBytes', 'control', 'controlBytes'],
])

/**
 * Like `checkMembers`, but makes no list of the keys: every operation with options comes through here.
 *
 * @throws TypeError for an option that no operation has, such as the `position` and `flag` of node:fs.
 */
export function checkNames(options: object): void {
  for (const name in options) {
    if (!OPTION_NAMES.has(name)) {
      const value = (options as Record<string, unknown>)[name]
      throw invalidValue(`options.${name}`, value, 'is no option of an operation')
    }
  }
}

/** The values of the common options. Each is read once: a getter may return another value the next time. */
interface CommonOptions extends Pick<OperationOptions, 'timeoutMs' | 'signal' | 'personality'> {
  /** `IOSQE_*` bits. */
  readonly flags: number
}

/** @throws TypeError, RangeError; what a getter throws. */
function commonOptions(options: OperationOptions): CommonOptions {
  if (typeof options !== 'object' || options === null) throw invalidType('options', 'of type object', options)
  checkNames(options)
  const { timeoutMs, signal, personality } = options
  if (timeoutMs !== undefined) checkMilliseconds('options.timeoutMs', timeoutMs, 0xffff_ffff)
  checkSignal(signal)
  if (personality !== undefined && typeof personality !== 'number') {
    throw invalidType('options.personality', 'of type number', personality)
  }
  if (personality !== undefined && (personality & 0xffff) !== personality) {
    throw outOfRange('options.personality', 'an integer >= 0 and <= 65535', personality)
  }
  let flags = 0
  if (options.fixedFile) flags |= IOSQE_FIXED_FILE
  if (options.async) flags |= IOSQE_ASYNC
  if (options.drain) flags |= IOSQE_IO_DRAIN
  return { timeoutMs, signal, personality, flags }
}

interface StartDetails<T> {
  readonly memory?: unknown
  readonly path?: string | undefined
  readonly dest?: string | undefined
  readonly finish?: ((res: number) => T) | undefined
  readonly expected?: number | undefined
  readonly block?: Block | null | undefined
  readonly block2?: Block | null | undefined
}

const NO_DETAILS: StartDetails<never> = {}

/** What all operations share. */
export abstract class Operations {
  /** @internal */
  readonly driver: Driver
  /**
   * @internal True where data goes through driver memory: in a worker, whose ArrayBuffers vanish when it is
   * terminated while the kernel still writes.
   */
  readonly copies: boolean

  /** @internal */
  constructor(driver: Driver, zeroCopy: boolean) {
    this.driver = driver
    this.copies = !isMainThread && !zeroCopy
  }

  /**
   * @internal Whether the data of `buffer` is copied through a block. Driver memory, such as a pool's, need
   * not be. A mapping of a file must not be: the driver's guard handles it.
   *
   * @throws TypeError `ERR_INVALID_ARG_TYPE` for shared memory, `ERR_INVALID_ARG_VALUE` for a buffer whose
   *   `length` or `byteLength` is not its real one. Nothing has been allocated then.
   */
  copied(buffer: Bytes): boolean {
    if (!this.copies) return false
    if (ArrayBuffer.isView(buffer) && !types.isArrayBuffer(buffer.buffer)) throw noBytes(buffer)
    byteLengthOf(buffer)
    return !this.driver.arena.owns(buffer) && !isMappedFile(buffer)
  }

  /**
   * @internal Issues an operation with the common options. It owns the blocks from here on.
   *
   * @throws The caller's mistakes, those that `prepare` finds included.
   */
  start<T = number>(
    syscall: string,
    options: OperationOptions,
    prepare: Prepare,
    details: StartDetails<T> = NO_DETAILS,
  ): Promise<T> {
    const { block, block2 } = details
    let common: CommonOptions
    try {
      common = commonOptions(options)
    } catch (error) {
      this.free(block)
      this.free(block2)
      throw error
    }
    const { timeoutMs, signal, personality, flags } = common
    const decorated =
      flags === 0 && personality === undefined
        ? prepare
        : (sqe: Sqe) => {
            prepare(sqe)
            if (flags !== 0) sqe.addFlags(flags)
            if (personality !== undefined) sqe.setPersonality(personality)
          }
    const { memory, path, dest, finish, expected } = details
    return this.driver.submit<T>(decorated, {
      syscall,
      signal,
      timeoutMs,
      memory,
      path,
      dest,
      finish,
      expected,
      block,
      block2,
    })
  }

  /** @internal Frees a block that no operation owns. */
  free(block: Block | null | undefined): void {
    if (block) this.driver.arena.free(block)
  }

  /** @internal The path as a NUL-terminated string in driver memory. */
  pathBlock(given: PathLike, name = 'path'): Block {
    const { arena } = this.driver
    const path = given instanceof URL ? fileURLToPath(given) : given
    if (typeof path === 'string') {
      if (path.includes('\0'))
        throw invalidValue(name, path, 'must be a string, Uint8Array, or URL without null bytes')
      const block = arena.alloc(path.length * 3 + 1)
      block.bytes[block.bytes.write(path, 0, 'utf8')] = 0
      return block
    }
    if (path instanceof Uint8Array) {
      const length = byteLengthOf(path)
      // Only an empty buffer can be detached, which `addressOf` finds.
      if (length === 0) addressOf(path)
      if (path.includes(0))
        throw invalidValue(name, path, 'must be a string, Uint8Array, or URL without null bytes')
      const block = arena.alloc(length + 1)
      block.bytes.set(path)
      block.bytes[length] = 0
      return block
    }
    throw invalidType(name, 'of type string or an instance of Buffer or URL', path)
  }
}

/** A path in error messages, as Node shows it. */
export function pathText(path: PathLike): string {
  if (typeof path === 'string') return path
  return path instanceof URL ? fileURLToPath(path) : path.toString()
}

/**
 * Checks a buffer and the part of it to use.
 *
 * @returns The length, in bytes.
 * @throws TypeError `ERR_INVALID_ARG_TYPE` (shared memory included), `ERR_INVALID_ARG_VALUE` for a detached
 *   buffer; RangeError `ERR_OUT_OF_RANGE` for a length beyond the buffer.
 */
export function checkedLength(buffer: Bytes, length: number | undefined, name = 'length'): number {
  if (!ArrayBuffer.isView(buffer) && !types.isArrayBuffer(buffer)) throw noBytes(buffer)
  // A detached one would throw at the next line, and without a code.
  if (types.isDataView(buffer)) byteLengthOf(buffer)
  // `length` where there is one: V8 reads it in place, while `byteLength` is a call in Node 20. `addressOf`
  // and `copied` check later that it is the buffer's real length.
  const byteLength = buffer instanceof Uint8Array ? buffer.length : buffer.byteLength
  // Only an empty buffer can be detached, which `addressOf` finds.
  if (byteLength === 0) addressOf(buffer)
  if (length === undefined) return Math.min(byteLength, MAX_TRANSFER)
  return checkInteger(name, length, 0, Math.min(byteLength, MAX_TRANSFER))
}

function noBytes(value: unknown): TypeError {
  return invalidType('buffer', 'an instance of ArrayBuffer, Buffer, TypedArray, or DataView', value)
}

/** The bytes of any view. @throws TypeError `ERR_INVALID_ARG_TYPE` for shared memory. */
export function asBytes(buffer: Bytes): Uint8Array<ArrayBuffer> {
  if (types.isArrayBuffer(buffer)) return new Uint8Array(buffer)
  const memory = buffer.buffer
  if (!types.isArrayBuffer(memory)) throw noBytes(buffer)
  return new Uint8Array(memory, buffer.byteOffset, byteLengthOf(buffer))
}

/** The directory that a relative path starts at. */
export function dirFd(fd: Fd | undefined): Fd {
  return fd === undefined ? AT_FDCWD : fd
}
