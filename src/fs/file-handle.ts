// FileHandle: an open file, with the methods, results and errors of Node's own.

import { AsyncResource } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import fs, { type BigIntStats, type ReadStream, type Stats, type WriteStream } from 'node:fs'
import { open as openByNode } from 'node:fs/promises'
import { createInterface, type Interface } from 'node:readline'
import type { ReadableStream } from 'node:stream/web'
import { StringDecoder } from 'node:string_decoder'
import { AT_EMPTY_PATH, prepFtruncate, prepStatx } from '../ring/index.js'
import { AbortError } from '../runtime/index.js'
import { fileMode, isPieces, modeForNode, plainEncoding, refuseLimit } from './arguments.js'
import { call } from './call.js'
import { closeFd, Descriptor, positionOf } from './descriptor.js'
import {
  type HandleReadStreamOptions,
  type HandleWriteStreamOptions,
  readStream,
  type WebStreamOptions,
  webStream,
  writeStream,
} from './file-streams.js'
import type { LanePool, LaneRequest } from './lane.js'
import {
  dataLost,
  fileTooLarge,
  handleClosed,
  outOfBounds,
  requireBoolean,
  requireInteger,
  wrongState,
  wrongType,
  wrongValue,
} from './node-errors.js'
import { CHECKS_UNUSED_MODE, READS_INTO_MEMORY, STRICT_POSITIONS, TRUNCATES_LENGTH } from './node-version.js'
import { type ReadTarget, readInto, requireTarget } from './read-into.js'
import { type ReadRequest, readLanes } from './read-lane.js'
import { ringFor } from './ring-choice.js'
import { bigStatsOf, STATX_BYTES, STATX_MASK, statsOf } from './stats.js'
import { inDescriptor, type Position, transfer, transferVectors } from './transfer.js'
import { type WriteRequest, writeLanes } from './write-lane.js'

/** Data for writeFile and appendFile: one string or view, or an iterable of pieces. */
export type FileData =
  | string
  | ArrayBufferView
  | Iterable<string | ArrayBufferView>
  | AsyncIterable<string | ArrayBufferView>

/** Options of `FileHandle.readFile`. */
export interface HandleReadOptions {
  readonly encoding?: BufferEncoding | null | undefined
  readonly signal?: AbortSignal | undefined
  /**
   * Memory to read into; the result is a view of it. In Node from 24 on; with an older Node it is ignored
   * here too.
   */
  readonly buffer?: ReadTarget | undefined
}

/** Options of `FileHandle.writeFile` and `appendFile`. */
export interface HandleWriteOptions {
  readonly encoding?: BufferEncoding | null | undefined
  readonly signal?: AbortSignal | undefined
  /** Without effect on a handle, as in Node. */
  readonly flush?: boolean | undefined
  /** Have the data on the disk before the promise resolves (fdatasync(2)). Not in Node. */
  readonly durable?: boolean | undefined
}

/** Options of `FileHandle.read`. */
export interface ReadOptions<T extends ArrayBufferView = Buffer> {
  readonly buffer?: T | undefined
  readonly offset?: number | null | undefined
  readonly length?: number | null | undefined
  readonly position?: number | bigint | null | undefined
}

/** Options of `FileHandle.write`. */
export interface WriteOptions {
  readonly offset?: number | null | undefined
  readonly length?: number | null | undefined
  readonly position?: number | bigint | null | undefined
}

const MAX_BIG_POSITION = 2n ** 63n - 1n
const DEFAULT_READ_BYTES = 16_384
const MAX_INT32 = 0x7fff_ffff
/** The most that readFile puts into one Buffer, as in Node. */
const MAX_FILE_BYTES = MAX_INT32

/** @internal The key of a handle's Descriptor. */
export const descriptorOf = Symbol('descriptor')

let warnedOfCollection = false

// Node does the same for its handles, with the same words.
const forgotten = new FinalizationRegistry<number>((fd) => {
  process.emitWarning(`Closing file descriptor ${fd} on garbage collection`)
  if (!warnedOfCollection) {
    warnedOfCollection = true
    const text =
      'Closing a FileHandle object on garbage collection is deprecated. Please close FileHandle objects explicitly ' +
      'using FileHandle.prototype.close(). In the future, an error will be thrown if a file descriptor is closed ' +
      'during garbage collection.'
    process.emitWarning(text, 'DeprecationWarning', 'DEP0137')
  }
  closeFd(fd).catch(() => {})
})

/**
 * An open file, as `open` returns it. It emits 'close' once, when `close` is first called.
 *
 * Close every handle. One that is garbage-collected is closed too, but with a warning and at an unpredictable
 * time.
 */
export class FileHandle extends EventEmitter {
  /** @internal */
  readonly [descriptorOf]: Descriptor
  #asyncResource: AsyncResource | null = null
  #locked = false

  /** @internal Made by `open`. */
  constructor(fd = -1, flags = 0) {
    super()
    const token = {}
    this[descriptorOf] = new Descriptor(fd, flags, this, () => forgotten.unregister(token))
    if (fd >= 0) forgotten.register(this, fd, token)
  }

  /** The descriptor; -1 once closed. */
  get fd(): number {
    return this[descriptorOf].fd
  }

  /** The id of the handle's asynchronous context. */
  getAsyncId(): number {
    this.#asyncResource ??= new AsyncResource('FILEHANDLE')
    return this.#asyncResource.asyncId()
  }

  /**
   * Closes the file once the operations in progress have ended. A second call returns the same promise.
   *
   * @see close(2)
   */
  close = (): Promise<void> => {
    const { closed, began } = this[descriptorOf].close()
    if (began) this.emit('close')
    return closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /**
   * Reads into `buffer`, by default as much as it holds, from the current position or from `position`. A read
   * may be short; 0 bytes mean the end of the file.
   *
   * @see read(2), pread(2)
   */
  read<T extends ArrayBufferView>(
    buffer: T,
    offset?: number | null,
    length?: number | null,
    position?: number | bigint | null,
  ): Promise<{ bytesRead: number; buffer: T }>
  read<T extends ArrayBufferView = Buffer>(
    buffer: T,
    options?: ReadOptions<T> | null,
  ): Promise<{ bytesRead: number; buffer: T }>
  read<T extends ArrayBufferView = Buffer>(
    options?: ReadOptions<T> | null,
  ): Promise<{ bytesRead: number; buffer: T }>
  read(bufferOrOptions?: unknown, offset?: unknown, length?: unknown, position?: unknown): Promise<unknown> {
    const descriptor = this[descriptorOf]
    if (descriptor.fd === -1) return Promise.reject(handleClosed('read'))
    try {
      let buffer = bufferOrOptions
      if (!ArrayBuffer.isView(buffer)) {
        const options = buffer ?? {}
        if (typeof options !== 'object' || Array.isArray(options)) {
          throw wrongType('options', 'of type object', options)
        }
        const given = options as ReadOptions
        buffer = given.buffer === undefined ? Buffer.alloc(DEFAULT_READ_BYTES) : given.buffer
        offset = given.offset
        length = given.length
        position = given.position
        if (!ArrayBuffer.isView(buffer)) {
          throw wrongType('buffer', 'an instance of Buffer, TypedArray, or DataView', buffer)
        }
      } else if (offset !== null && typeof offset === 'object') {
        const given = offset as ReadOptions
        offset = given.offset
        length = given.length
        position = given.position
      }
      const view = buffer as ArrayBufferView
      const { byteLength } = view
      const from = offset ?? 0
      if (from !== 0) requireInteger('offset', from, 0)
      const asked = length ?? byteLength - (from as number)
      const count = TRUNCATES_LENGTH ? (asked as number) | 0 : asked
      const at = readPosition(position, count as number)
      if (count === 0) return Promise.resolve({ __proto__: null, bytesRead: 0, buffer: view })
      if (byteLength === 0) throw wrongValue('buffer', view, 'is empty and cannot be written')
      checkReadRange(from as number, count, byteLength)
      return transfer('read', descriptor, view, from as number, count as number, at, view)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Reads into several buffers, one after the other. @see readv(2), preadv(2) */
  readv<T extends readonly ArrayBufferView[]>(
    buffers: T,
    position?: number | bigint | null,
  ): Promise<{ bytesRead: number; buffers: T }>
  readv(buffers: unknown, position?: unknown): Promise<unknown> {
    const descriptor = this[descriptorOf]
    if (descriptor.fd === -1) return Promise.reject(handleClosed('readv'))
    try {
      const views = checkedViews(buffers)
      return transferVectors('readv', descriptor, views, loosePosition(position), buffers)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * Writes `buffer`, or a part of it, at the current position or at `position`. A write may be short.
   *
   * Text is given as `write(text, position, encoding)`.
   *
   * @see write(2), pwrite(2)
   */
  write<T extends ArrayBufferView>(
    buffer: T,
    offset?: number | null,
    length?: number | null,
    position?: number | bigint | null,
  ): Promise<{ bytesWritten: number; buffer: T }>
  write<T extends ArrayBufferView>(
    buffer: T,
    options?: WriteOptions | null,
  ): Promise<{ bytesWritten: number; buffer: T }>
  write(
    data: string,
    position?: number | bigint | null,
    encoding?: BufferEncoding | null,
  ): Promise<{ bytesWritten: number; buffer: string }>
  write(data: unknown, offset?: unknown, length?: unknown, position?: unknown): Promise<unknown> {
    const descriptor = this[descriptorOf]
    if (descriptor.fd === -1) return Promise.reject(handleClosed('write'))
    try {
      if ((data as { byteLength?: number } | null | undefined)?.byteLength === 0) {
        return Promise.resolve({ __proto__: null, bytesWritten: 0, buffer: data })
      }
      if (!ArrayBuffer.isView(data)) return writeText(descriptor, data, offset, length)
      if (typeof offset === 'object') {
        const given = (offset ?? {}) as WriteOptions
        offset = given.offset
        length = given.length
        position = given.position
      }
      const from = offset ?? 0
      if (from !== 0) requireInteger('offset', from, 0)
      const { byteLength } = data
      const count = typeof length === 'number' ? length : byteLength - (from as number)
      checkWriteRange(from as number, count, byteLength)
      if (count === 0 && byteLength > 0 && descriptor.fd < 0) throw handleClosed('write')
      return transfer('write', descriptor, data, from as number, count, loosePosition(position), data)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Writes several buffers, one after the other. @see writev(2), pwritev(2) */
  writev<T extends readonly ArrayBufferView[]>(
    buffers: T,
    position?: number | bigint | null,
  ): Promise<{ bytesWritten: number; buffers: T }>
  writev(buffers: unknown, position?: unknown): Promise<unknown> {
    const descriptor = this[descriptorOf]
    if (descriptor.fd === -1) return Promise.reject(handleClosed('writev'))
    try {
      const views = checkedViews(buffers)
      if (views.length === 0) {
        return Promise.resolve({ __proto__: null, bytesWritten: 0, buffers })
      }
      return transferVectors('writev', descriptor, views, loosePosition(position), buffers)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Reads from the current position to the end of the file. */
  readFile(options?: (HandleReadOptions & { readonly encoding?: null | undefined }) | null): Promise<Buffer>
  readFile(
    options: (HandleReadOptions & { readonly encoding: BufferEncoding }) | BufferEncoding,
  ): Promise<string>
  readFile(options?: HandleReadOptions | BufferEncoding | null): Promise<string | Buffer>
  async readFile(options?: unknown): Promise<string | Buffer> {
    const descriptor = this.#opened('readFile')
    const { encoding, signal, buffer } = checkedOptions(options)
    const plain = readEncoding(encoding)
    if (READS_INTO_MEMORY && buffer !== undefined) {
      requireTarget(buffer)
      const check = (): void => throwIfAborted(signal)
      return inDescriptorAsync(descriptor, () => readInto(this, buffer, plain, check))
    }
    throwIfAborted(signal)
    const uring = ringFor('readFile')
    const { movesPosition } = descriptor
    if (uring === null || movesPosition === false || descriptor.mustNotWait) {
      return inDescriptorAsync(descriptor, () => this.#readPlainly(plain, abortSignal(signal)))
    }
    return inDescriptorAsync(descriptor, () =>
      descriptor.withPosition(() =>
        laneTask<ReadRequest, string | Buffer>(readLanes, {
          uring,
          path: '',
          fd: descriptor.fd,
          // While it is not known whether the ring moves the position, the reads name their offsets, and the
          // position is set behind what was read at the end.
          position: movesPosition === null ? (positionOf(descriptor.fd) ?? -1) : -1,
          flags: 0,
          mode: 0,
          resolveBits: 0,
          signal: abortSignal(signal),
          slab: null,
          encoding: plain,
        }),
      ),
    )
  }

  /** Writes all of `data` at the current position. */
  async writeFile(data: FileData, options?: HandleWriteOptions | BufferEncoding | null): Promise<void> {
    const descriptor = this.#opened('writeFile')
    const { encoding, signal, flush, durable, mode } = checkedOptions(options)
    if (flush !== undefined && flush !== null) requireBoolean('options.flush', flush)
    if (CHECKS_UNUSED_MODE && mode !== undefined && fileMode(mode, 0) === null) await judgeMode(mode)
    if (durable !== undefined) requireBoolean('options.durable', durable)
    if (!isPieces(data) && !ArrayBuffer.isView(data) && typeof data !== 'string')
      throw wrongData('data', data)
    const plain = encoding ? plainEncoding(encoding) : undefined
    // 'buffer' passes the earlier check, and means nothing to bytes.
    if (plain === null && !ArrayBuffer.isView(data)) Buffer.from('', encoding as BufferEncoding)
    throwIfAborted(signal)
    await inDescriptorAsync(descriptor, async () => {
      await this.#writeAll(data, plain ?? 'utf8', abortSignal(signal))
      if (durable) await descriptor.sync('fdatasync')
    })
  }

  /** As `writeFile`: the data goes to the current position, which is the end in a file opened for appending. */
  appendFile(data: FileData, options?: HandleWriteOptions | BufferEncoding | null): Promise<void> {
    return this.writeFile(data, options)
  }

  /** Describes the file. @see statx(2) */
  stat(options?: { readonly bigint?: false | undefined }): Promise<Stats>
  stat(options: { readonly bigint: true }): Promise<BigIntStats>
  stat(options?: { readonly bigint?: boolean | undefined }): Promise<Stats | BigIntStats>
  async stat(options: { readonly bigint?: boolean | undefined } = {}): Promise<Stats | BigIntStats> {
    const descriptor = this.#opened('fstat')
    if (typeof options !== 'object' || options === null) throw wrongType('options', 'of type object', options)
    const { bigint } = options
    const uring = ringFor('stat')
    if (uring === null) {
      return inDescriptor<Stats | BigIntStats>(descriptor, (done) => {
        fs.fstat(descriptor.fd, { bigint: bigint === true }, done)
      })
    }
    const block = uring.driver.arena.alloc(2 * STATX_BYTES)
    // The empty path of AT_EMPTY_PATH.
    block.bytes[STATX_BYTES] = 0
    const { fd } = descriptor
    return inDescriptorAsync(descriptor, () =>
      call<Stats | BigIntStats>(uring, {
        syscall: 'fstat',
        prepare: (sqe) =>
          prepStatx(sqe, fd, block.address + STATX_BYTES, AT_EMPTY_PATH, STATX_MASK, block.address),
        finish: () => (bigint === true ? bigStatsOf(block.view) : statsOf(block.view)),
        block,
      }),
    )
  }

  /** Cuts the file, or lengthens it with zeros, to `length` bytes. @see ftruncate(2) */
  async truncate(length = 0): Promise<void> {
    const descriptor = this.#opened('ftruncate')
    requireInteger('len', length)
    const bytes = Math.max(0, length)
    const uring = ringFor('ftruncate')
    const { fd } = descriptor
    if (uring === null) {
      return inDescriptor<void>(descriptor, (done) => fs.ftruncate(fd, bytes, (error) => done(error)))
    }
    return inDescriptorAsync(descriptor, () =>
      call(uring, {
        syscall: 'ftruncate',
        prepare: (sqe) => prepFtruncate(sqe, fd, bytes),
        finish: () => undefined,
      }),
    )
  }

  /** Waits until data and metadata are on the disk. @see fsync(2) */
  async sync(): Promise<void> {
    return this.#opened('fsync').sync('fsync')
  }

  /** Waits until the data, and what is needed to read it back, is on the disk. @see fdatasync(2) */
  async datasync(): Promise<void> {
    return this.#opened('fdatasync').sync('fdatasync')
  }

  /** Changes the permissions, through Node: io_uring has no such operation. @see fchmod(2) */
  async chmod(mode: number | string): Promise<void> {
    const descriptor = this.#opened('fchmod')
    const bits = modeForNode(mode)
    return inDescriptor<void>(descriptor, (done) => fs.fchmod(descriptor.fd, bits, (error) => done(error)))
  }

  /** Changes the owner, through Node: io_uring has no such operation. @see fchown(2) */
  async chown(uid: number, gid: number): Promise<void> {
    const descriptor = this.#opened('fchown')
    return inDescriptor<void>(descriptor, (done) => {
      fs.fchown(descriptor.fd, uid, gid, (error) => done(error))
    })
  }

  /**
   * Sets the times of last access and change, through Node: io_uring has no such operation. @see futimens(2)
   */
  async utimes(atime: string | number | Date, mtime: string | number | Date): Promise<void> {
    const descriptor = this.#opened('futimes')
    return inDescriptor<void>(descriptor, (done) => {
      fs.futimes(descriptor.fd, atime, mtime, (error) => done(error))
    })
  }

  /** A stream of the file's content, which closes the handle at its end unless `autoClose` is false. */
  createReadStream(options?: HandleReadStreamOptions): ReadStream {
    return readStream(this, this[descriptorOf], options)
  }

  /** A stream into the file, which closes the handle at its end unless `autoClose` is false. */
  createWriteStream(options?: HandleWriteStreamOptions): WriteStream {
    return writeStream(this, this[descriptorOf], options)
  }

  /** The lines of the file, as an async iterable. */
  readLines(options?: HandleReadStreamOptions): Interface {
    return createInterface({ input: this.createReadStream(options), crlfDelay: Number.POSITIVE_INFINITY })
  }

  /**
   * The file's content as a web stream. A handle gives only one: a second call throws `ERR_INVALID_STATE`.
   */
  readableWebStream(options: WebStreamOptions = {}): ReadableStream {
    const descriptor = this[descriptorOf]
    if (descriptor.fd === -1) throw wrongState('The FileHandle is closed')
    if (descriptor.closing) throw wrongState('The FileHandle is closing')
    if (this.#locked) throw wrongState('The FileHandle is locked')
    this.#locked = true
    return webStream(this, descriptor, options)
  }

  #opened(syscall: string): Descriptor {
    const descriptor = this[descriptorOf]
    if (descriptor.fd === -1) throw handleClosed(syscall)
    return descriptor
  }

  /** readFile without a ring. */
  async #readPlainly(
    encoding: BufferEncoding | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string | Buffer> {
    throwIfAborted(signal)
    const stats = await this.stat()
    const size = stats.isFile() ? stats.size : 0
    if (size > MAX_FILE_BYTES) throw fileTooLarge(size)
    const parts: Buffer[] = []
    let total = 0
    for (;;) {
      throwIfAborted(signal)
      // One byte more than a known size, so that the end is seen without another read in between.
      const buffer = Buffer.allocUnsafeSlow(parts.length === 0 && size > 0 ? size + 1 : PIECE_BYTES)
      let filled = 0
      let count = 0
      do {
        const length = Math.min(PIECE_BYTES, buffer.length - filled)
        ;({ bytesRead: count } = await this.read(buffer, filled, length))
        filled += count
        throwIfAborted(signal)
      } while (count > 0 && filled < buffer.length)
      parts.push(buffer.subarray(0, filled))
      total += filled
      if (count === 0) break
    }
    const whole = parts.length === 1 ? parts[0]! : Buffer.concat(parts, total)
    return encoding === undefined ? whole : whole.toString(encoding)
  }

  async #writeAll(data: FileData, encoding: BufferEncoding, signal: AbortSignal | undefined): Promise<void> {
    const descriptor = this[descriptorOf]
    const uring = ringFor('writeFile')
    // A file opened for appending is written at its end whatever the position.
    const appends = (descriptor.flags & fs.constants.O_APPEND) !== 0
    const onRing = uring !== null && !isPieces(data) && !descriptor.mustNotWait
    if (onRing && (appends || descriptor.movesPosition === true)) {
      const bytes = ArrayBuffer.isView(data) ? viewBytes(data) : data
      const write = (): Promise<void> =>
        laneTask<WriteRequest, void>(writeLanes, {
          uring,
          path: '',
          fd: descriptor.fd,
          position: -1,
          flags: 0,
          mode: 0,
          resolveBits: 0,
          signal,
          data: bytes,
          dataBytes: typeof bytes === 'string' ? -1 : bytes.byteLength,
          encoding,
          durability: 'none',
        })
      return appends && !descriptor.appendsWait ? write() : descriptor.withPosition(write)
    }
    if (isPieces(data)) {
      for await (const piece of data) {
        throwIfAborted(signal)
        await this.#writePiece(ArrayBuffer.isView(piece) ? piece : Buffer.from(piece, encoding), signal)
      }
    } else await this.#writePiece(ArrayBuffer.isView(data) ? data : Buffer.from(data, encoding), signal)
  }

  async #writePiece(piece: ArrayBufferView, signal: AbortSignal | undefined): Promise<void> {
    const descriptor = this[descriptorOf]
    const { byteLength } = piece
    let at = 0
    while (at < byteLength) {
      if (piece.byteLength !== byteLength) throw dataLost()
      const length = Math.min(PIECE_BYTES, piece.byteLength - at)
      const { bytesWritten = 0 } = await transfer('write', descriptor, piece, at, length, -1, piece)
      at += bytesWritten
      throwIfAborted(signal)
    }
  }
}

/**
 * Bytes of one transfer, in whole-file operations without a ring and in writes of data that comes in pieces.
 */
const PIECE_BYTES = 524_288

function writeText(
  descriptor: Descriptor,
  data: unknown,
  position: unknown,
  encoding: unknown,
): Promise<unknown> {
  if (typeof data !== 'string') throw wrongData('buffer', data)
  if (String(encoding).toLowerCase() === 'hex' && data.length % 2 !== 0) {
    throw wrongValue('encoding', encoding, `is invalid for data of length ${data.length}`)
  }
  // An unknown encoding counts as UTF-8, as in Node.
  const bytes = Buffer.from(data, plainEncoding(encoding) ?? 'utf8')
  return transfer('write', descriptor, bytes, 0, bytes.length, loosePosition(position), data)
}

/** Rejects with Node's own error for an invalid mode. */
async function judgeMode(mode: unknown): Promise<void> {
  const opened = await openByNode('/dev/null', 'r', mode as number)
  await opened.close()
}

function wrongData(name: string, value: unknown): TypeError {
  return wrongType(name, 'of type string or an instance of Buffer, TypedArray, or DataView', value)
}

function readPosition(position: unknown, length: number): Position {
  if (position === undefined || position === null) return -1
  if (typeof position === 'number') {
    if (Number.isSafeInteger(position)) {
      if (position >= -1) return position
      if (!STRICT_POSITIONS) return -1
    } else if (!STRICT_POSITIONS) return -1
    requireInteger('position', position, -1)
  }
  if (typeof position === 'bigint') {
    const most = MAX_BIG_POSITION - BigInt(Math.trunc(length) || 0)
    if (position < -1n || position > most) {
      throw outOfBounds('position', `>= -1 && <= ${most}`, position)
    }
    return position === -1n ? -1 : position
  }
  if (!STRICT_POSITIONS) return -1
  throw wrongType('position', 'of type bigint or integer', position)
}

/** Unlike `read`, the other calls take anything that is not a valid position as the current one. */
function loosePosition(position: unknown): Position {
  if (typeof position === 'number') return Number.isSafeInteger(position) && position >= 0 ? position : -1
  if (typeof position === 'bigint') return position >= 0n && position <= MAX_BIG_POSITION ? position : -1
  return -1
}

function checkReadRange(offset: number, length: unknown, byteLength: number): void {
  if (typeof length !== 'number') throw wrongType('length', 'of type number', length)
  if (length < 0) throw outOfBounds('length', '>= 0', length)
  if (offset + length > byteLength) throw outOfBounds('length', `<= ${byteLength - offset}`, length)
  if (!Number.isInteger(length)) throw outOfBounds('length', 'an integer', length)
}

function checkWriteRange(offset: number, length: number, byteLength: number): void {
  if (offset > byteLength) throw outOfBounds('offset', `<= ${byteLength}`, offset)
  if (length > byteLength - offset) throw outOfBounds('length', `<= ${byteLength - offset}`, length)
  if (length < 0) throw outOfBounds('length', '>= 0', length)
  requireInteger('length', length, 0, MAX_INT32)
}

/** @returns A copy, which has no holes, and which the caller cannot change during the operation. */
function checkedViews(buffers: unknown): readonly ArrayBufferView[] {
  if (Array.isArray(buffers)) {
    const views: unknown[] = [...buffers]
    if (views.every((view) => ArrayBuffer.isView(view))) return views
  }
  throw wrongType('buffers', 'an ArrayBufferView[]', buffers)
}

interface GivenOptions {
  readonly encoding?: unknown
  readonly signal?: unknown
  readonly flush?: unknown
  readonly durable?: unknown
  readonly mode?: unknown
  readonly buffer?: unknown
}

const NONE: GivenOptions = {}

/** Checks options as every function of Node does: a string is an encoding. */
function checkedOptions(options: unknown): GivenOptions {
  if (options === undefined || options === null || typeof options === 'function') return NONE
  const given: GivenOptions = typeof options === 'string' ? { encoding: options } : options
  if (typeof given !== 'object') {
    throw wrongType('options', 'one of type string or object', options)
  }
  refuseLimit(given)
  const { encoding, signal } = given
  if (encoding && encoding !== 'buffer' && plainEncoding(encoding) === null) {
    throw wrongValue('encoding', encoding, 'is invalid encoding')
  }
  if (signal !== undefined && (signal === null || typeof signal !== 'object' || !('aborted' in signal))) {
    throw wrongType('options.signal', 'an instance of AbortSignal', signal)
  }
  return given
}

function readEncoding(encoding: unknown): BufferEncoding | undefined {
  if (!encoding) return undefined
  const plain = plainEncoding(encoding)
  // 'buffer' passes the earlier check. The decoder throws the error that Node gives for it.
  if (plain === null) new StringDecoder(encoding as BufferEncoding)
  return plain ?? undefined
}

function throwIfAborted(signal: unknown): void {
  const { aborted, reason } = (signal ?? {}) as { aborted?: boolean; reason?: unknown }
  if (aborted) throw new AbortError(reason)
}

/** What looks like a signal passes the check; only a real one can be listened to. */
function abortSignal(signal: unknown): AbortSignal | undefined {
  return signal instanceof AbortSignal ? signal : undefined
}

function viewBytes(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}

async function inDescriptorAsync<T>(descriptor: Descriptor, work: () => Promise<T>): Promise<T> {
  descriptor.ref()
  try {
    return await work()
  } finally {
    descriptor.unref()
  }
}

/** A whole-file operation as a promise. @internal */
export function laneTask<R extends LaneRequest, T>(
  lanes: LanePool<R>,
  request: Omit<R, 'resolve' | 'reject' | 'lane'>,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const task = { ...request, resolve, reject, lane: null } as unknown as R
    if (task.signal === undefined) lanes.start(task)
    else lanes.startWithSignal(task, task.signal)
  })
}
