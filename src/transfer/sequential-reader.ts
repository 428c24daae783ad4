// Reads a file or a pipe from start to end, one chunk ahead of the consumer.

import { constants } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { AbortError } from '../runtime/index.js'
import type { DataPath } from './data-path.js'
import { TransferError } from './transfer-errors.js'

const CHUNK_BYTES = 262144
/** Bytes that are kept free in front of a chunk, for what is left of the one before. */
export const HEADROOM_BYTES = 32

/** @internal */
export class SequentialReader {
  readonly path: string
  /** Bytes in all; 0 for what has no size, such as a pipe. */
  readonly size: number
  readonly dev: bigint
  readonly ino: bigint
  /** Bytes handed out. */
  bytesRead = 0
  readonly #handle: FileHandle
  readonly #data: DataPath
  readonly #isRegular: boolean
  readonly #signal: AbortSignal | undefined
  readonly #buffers = [0, 1].map(() => Buffer.allocUnsafeSlow(HEADROOM_BYTES + CHUNK_BYTES))
  #turn = 0
  #position = 0
  #ahead: Promise<number> | null = null
  #ended = false

  private constructor(
    path: string,
    handle: FileHandle,
    data: DataPath,
    stats: { size: bigint; dev: bigint; ino: bigint; isFile: () => boolean },
    signal: AbortSignal | undefined,
  ) {
    this.path = path
    this.#handle = handle
    this.#data = data
    this.#isRegular = stats.isFile()
    // Not needed for a file, whose reads always end.
    this.#signal = this.#isRegular ? undefined : signal
    this.size = this.#isRegular ? Number(stats.size) : 0
    this.dev = stats.dev
    this.ino = stats.ino
  }

  /** False for a pipe and its like. */
  get isSized(): boolean {
    return this.#isRegular
  }

  get bytesToRead(): number {
    return this.size
  }

  /** @throws SystemError `open`: ENOENT, EACCES; EISDIR. */
  static async open(path: string, data: DataPath, signal?: AbortSignal): Promise<SequentialReader> {
    const handle = await openToRead(path, signal)
    try {
      const stats = await handle.stat({ bigint: true })
      if (stats.isDirectory()) {
        const error = new Error(`EISDIR: illegal operation on a directory, open '${path}'`)
        throw Object.assign(error, { code: 'EISDIR', errno: -21, syscall: 'open', path })
      }
      return new SequentialReader(path, handle, data, stats, signal)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /**
   * The next chunk with `HEADROOM_BYTES` in front of it, or null at the end. It is valid until `next` is called again.
   */
  async next(): Promise<Buffer<ArrayBuffer> | null> {
    if (this.#ended) return null
    const buffer = this.#buffers[this.#turn]!
    const count = await (this.#ahead ?? this.#read())
    this.#ahead = null
    if (count === 0) {
      this.#ended = true
      if (this.#isRegular && this.#position < this.size) {
        const text = `The file shrank while it was read: ${this.#position} of ${this.size} bytes were there`
        throw new TransferError('ERR_BASIS_CHANGED', text, { path: this.path })
      }
      return null
    }
    this.#position += count
    this.bytesRead += count
    this.#turn ^= 1
    // The other buffer is free: its chunk has been worked through.
    this.#ahead = this.#read()
    this.#ahead.catch(() => {})
    return buffer.subarray(0, HEADROOM_BYTES + count)
  }

  async close(): Promise<void> {
    await this.#ahead?.catch(() => {})
    await this.#handle.close()
  }

  #read(): Promise<number> {
    const target = this.#buffers[this.#turn]!.subarray(HEADROOM_BYTES)
    return this.#data.read(this.#handle.fd, target, this.#isRegular ? this.#position : -1, this.#signal)
  }
}

async function openToRead(path: string, signal: AbortSignal | undefined): Promise<FileHandle> {
  const { O_RDONLY, O_RDWR, O_NONBLOCK = 0 } = constants
  const isFifo = signal !== undefined && (await stat(path)).isFIFO()
  if (!isFifo) return open(path, O_RDONLY)
  // This open waits on a thread of libuv's pool until there is a writer. So an abort opens the FIFO for
  // writing.
  const wake = (): void => {
    open(path, O_RDWR | O_NONBLOCK)
      .then((writer) => writer.close())
      .catch(() => {})
  }
  if (signal.aborted) throw new AbortError(signal.reason)
  signal.addEventListener('abort', wake, { once: true })
  try {
    const handle = await open(path, O_RDONLY)
    if (!signal.aborted) return handle
    await handle.close()
    throw new AbortError(signal.reason)
  } finally {
    signal.removeEventListener('abort', wake)
  }
}
