// Whole files read and written past the page cache. O_DIRECT requires memory, offsets and lengths that are
// multiples of the disk's block size: the data goes through page-aligned memory of the driver, so that the
// caller need not care.

import { constants } from 'node:fs'
import {
  AT_EMPTY_PATH,
  IORING_FSYNC_DATASYNC,
  prepFsync,
  prepRead,
  prepStatx,
  prepWrite,
  systemError,
} from '../ring/index.js'
import { AbortError, type Uring } from '../runtime/index.js'
import { EIO } from '../syscalls/errno-values.js'
import { fcntl } from '../syscalls/libc.js'
import { isPieces } from './arguments.js'
import { call } from './call.js'
import { closeFd } from './descriptor.js'
import type { FileData } from './file-handle.js'
import { allocateLarge } from './huge-pages.js'
import { nextTurn } from './next-turn.js'
import { dataLost, fileTooLarge, withCloseError } from './node-errors.js'
import { openOnRing } from './open.js'
import { regularSize, STATX_BYTES, STATX_MASK } from './stats.js'
import type { Durability } from './write-lane.js'

const { O_APPEND, O_CREAT, O_DIRECT = 0, O_EXCL } = constants
/**
 * Bytes of one transfer. Driver blocks of this size are page-aligned, and the driver keeps them for reuse.
 */
const CHUNK_BYTES = 262_144
/** Transfers in flight. */
const DEPTH = 4
/** A multiple of every logical block size in use. */
const UNIT_BYTES = 4096
const MAX_FILE_BYTES = 2 ** 31 - 1
const F_GETFL = 3
const F_SETFL = 4

interface DirectRequest {
  readonly uring: Uring
  readonly path: string | Buffer
  readonly flags: number
  readonly mode: number
  readonly resolveBits: number
  readonly signal: AbortSignal | undefined
}

/** Opens the file with O_DIRECT, or without where the file system does not support it (EINVAL). */
async function openDirect(request: DirectRequest): Promise<{ fd: number; direct: boolean }> {
  const { uring, path, flags, mode, resolveBits } = request
  const wanted = (flags & O_APPEND) === 0
  if (wanted && (flags & O_CREAT) !== 0 && (flags & O_EXCL) !== 0) {
    // A file system without O_DIRECT creates the file before it refuses, and a second attempt would find it
    // there. So O_DIRECT is set after the open.
    const fd = await openOnRing(uring, path, flags, mode, resolveBits)
    return { fd, direct: fcntl(fd, F_SETFL, flags | O_DIRECT) >= 0 }
  }
  if (wanted) {
    try {
      return { fd: await openOnRing(uring, path, flags | O_DIRECT, mode, resolveBits), direct: true }
    } catch (error) {
      if ((error as { code?: string }).code !== 'EINVAL') throw error
    }
  }
  return { fd: await openOnRing(uring, path, flags, mode, resolveBits), direct: false }
}

async function withFile<T>(
  request: DirectRequest,
  work: (fd: number, direct: boolean) => Promise<T>,
): Promise<T> {
  if (request.signal !== undefined) await nextTurn(request.signal)
  const { fd, direct } = await openDirect(request)
  let value: T
  try {
    value = await work(fd, direct)
  } catch (error) {
    await closeFd(fd).catch((closeError) => {
      throw withCloseError(error, closeError)
    })
    throw error
  }
  await closeFd(fd)
  return value
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortError(signal.reason)
}

/** Reads a whole file. */
export function readDirectly(
  request: DirectRequest & { readonly encoding: BufferEncoding | undefined },
): Promise<string | Buffer> {
  const { uring, encoding, signal } = request
  return withFile(request, async (fd, direct) => {
    const size = await sizeOf(uring, fd)
    if (size > MAX_FILE_BYTES) throw fileTooLarge(size)
    const data =
      size <= 0
        ? await readUnsized(uring, fd, direct, signal)
        : await readSized(uring, fd, size, direct, signal)
    return encoding === undefined ? data : data.toString(encoding)
  })
}

function sizeOf(uring: Uring, fd: number): Promise<number> {
  const block = uring.driver.arena.alloc(2 * STATX_BYTES)
  // The empty path of AT_EMPTY_PATH.
  block.bytes[STATX_BYTES] = 0
  return call(uring, {
    syscall: 'fstat',
    prepare: (sqe) =>
      prepStatx(sqe, fd, block.address + STATX_BYTES, AT_EMPTY_PATH, STATX_MASK, block.address),
    finish: () => regularSize(block.view),
    block,
  })
}

/** Reads `target.length` bytes, or as many as there are, from `offset` on; the file's position is not used. */
function readChunk(uring: Uring, fd: number, target: Buffer, offset: number): Promise<number> {
  const block = uring.driver.arena.alloc(CHUNK_BYTES)
  const length = Math.ceil(target.length / UNIT_BYTES) * UNIT_BYTES
  return call(uring, {
    syscall: 'read',
    prepare: (sqe) => prepRead(sqe, fd, block.address, length, offset),
    finish: (res) => block.bytes.copy(target, 0, 0, Math.min(res, target.length)),
    block,
  })
}

async function readSized(
  uring: Uring,
  fd: number,
  size: number,
  direct: boolean,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const whole = allocateLarge(size)
  let end = size
  let next = 0
  const work = async (): Promise<void> => {
    while (next < end) {
      throwIfAborted(signal)
      const offset = next
      next += CHUNK_BYTES
      const part = whole.subarray(offset, Math.min(offset + CHUNK_BYTES, size))
      let count = await readChunk(uring, fd, part, offset)
      // A direct read is short only at the end of the file, and no other could begin at that unaligned
      // offset.
      for (let more = count; !direct && more > 0 && count < part.length; count += more) {
        more = await readChunk(uring, fd, part.subarray(count), offset + count)
      }
      // The file has shrunk.
      if (count < part.length) end = Math.min(end, offset + count)
    }
  }
  const worker = (): Promise<void> =>
    work().catch((error) => {
      // The other workers begin nothing more; the file is closed when they have ended.
      next = size
      throw error
    })
  const results = await Promise.allSettled(Array.from({ length: DEPTH }, worker))
  for (const result of results) if (result.status === 'rejected') throw result.reason
  return end === size ? whole : whole.subarray(0, end)
}

/** Reads a file that has no size, or reports 0: a block device, a file of /proc. */
async function readUnsized(
  uring: Uring,
  fd: number,
  direct: boolean,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let total = 0; ; ) {
    throwIfAborted(signal)
    const part = Buffer.allocUnsafeSlow(CHUNK_BYTES)
    const count = await readChunk(uring, fd, part, total)
    parts.push(part.subarray(0, count))
    total += count
    // A direct read is short only at the end of the file, and no other could begin at that unaligned offset.
    if (count === 0 || (direct && count < part.length)) return Buffer.concat(parts, total)
    if (total > MAX_FILE_BYTES) throw fileTooLarge(total)
  }
}

/** Writes a whole file. With O_APPEND it uses the page cache, because the end of a file is seldom aligned. */
export function writeDirectly(
  request: DirectRequest & {
    readonly data: FileData
    /** Bytes of a view when it was given. */
    readonly dataBytes: number
    readonly encoding: BufferEncoding
    readonly durability: Durability
  },
): Promise<void> {
  const { uring, data, dataBytes, encoding, durability, signal } = request
  return withFile(request, async (fd, direct) => {
    const writer = new AlignedWriter(uring, fd, direct)
    try {
      if (isPieces(data)) {
        for await (const piece of data) {
          throwIfAborted(signal)
          await writer.write(bytesOf(piece, encoding))
        }
      } else {
        if (ArrayBuffer.isView(data) && data.byteLength !== dataBytes) throw dataLost()
        const bytes = bytesOf(data, encoding)
        for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
          throwIfAborted(signal)
          await writer.write(bytes.subarray(at, at + CHUNK_BYTES))
        }
      }
      await writer.finish()
    } finally {
      writer.free()
    }
    if (durability === 'none') return
    const flags = durability === 'fdatasync' ? IORING_FSYNC_DATASYNC : 0
    await call(uring, {
      syscall: durability,
      prepare: (sqe) => prepFsync(sqe, fd, flags),
      finish: () => undefined,
    })
  })
}

function bytesOf(data: string | ArrayBufferView, encoding: BufferEncoding): Buffer {
  if (typeof data === 'string') return Buffer.from(data, encoding)
  if (!ArrayBuffer.isView(data)) return Buffer.from(data)
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength)
}

/** Gathers data in one aligned block and writes that whenever it is full. */
class AlignedWriter {
  readonly #uring: Uring
  readonly #fd: number
  readonly #direct: boolean
  readonly #block
  #filled = 0
  #written = 0

  constructor(uring: Uring, fd: number, direct: boolean) {
    this.#uring = uring
    this.#fd = fd
    this.#direct = direct
    this.#block = uring.driver.arena.alloc(CHUNK_BYTES)
  }

  async write(data: Buffer): Promise<void> {
    for (let at = 0; at < data.length; ) {
      const count = data.copy(this.#block.bytes, this.#filled, at)
      at += count
      this.#filled += count
      if (this.#filled === this.#block.bytes.length) await this.#flush(this.#filled)
    }
  }

  /** Writes what is left. The last piece, shorter than a block, goes through the page cache. */
  async finish(): Promise<void> {
    await this.#flush(this.#filled - (this.#filled % UNIT_BYTES))
    if (this.#filled === 0) return
    if (this.#direct) {
      const flags = fcntl(this.#fd, F_GETFL, 0)
      const result = flags < 0 ? flags : fcntl(this.#fd, F_SETFL, flags & ~O_DIRECT)
      if (result < 0) throw systemError(result, 'fcntl')
    }
    await this.#flush(this.#filled)
  }

  free(): void {
    this.#uring.driver.arena.free(this.#block)
  }

  async #flush(length: number): Promise<void> {
    const { address, bytes } = this.#block
    for (let at = 0; at < length; ) {
      const offset = this.#written
      const count = await call(this.#uring, {
        syscall: 'write',
        prepare: (sqe) => prepWrite(sqe, this.#fd, address + at, length - at, offset),
        finish: (res) => res,
      })
      if (count === 0) throw systemError(EIO, 'write')
      at += count
      this.#written += count
    }
    bytes.copyWithin(0, length, this.#filled)
    this.#filled -= length
  }
}
