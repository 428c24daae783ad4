// Streams over a FileHandle. Node's own ReadStream and WriteStream do the streaming; their operations go to the handle.

import fs, { type ReadStream, type WriteStream } from 'node:fs'
import {
  type ReadableByteStreamController,
  ReadableStream,
  type UnderlyingByteSource,
  type UnderlyingSource,
} from 'node:stream/web'
import { refuseOwnOptions } from './arguments.js'
import type { Descriptor } from './descriptor.js'
import { requireBoolean, wrongType } from './node-errors.js'
import { ALWAYS_BYTES } from './node-version.js'

/** Options of `FileHandle.createReadStream`; see `fs.createReadStream`. */
export interface HandleReadStreamOptions {
  readonly encoding?: BufferEncoding | null | undefined
  readonly autoClose?: boolean | undefined
  readonly emitClose?: boolean | undefined
  readonly start?: number | undefined
  readonly end?: number | undefined
  readonly highWaterMark?: number | undefined
  readonly signal?: AbortSignal | null | undefined
}

/** Options of `FileHandle.createWriteStream`; see `fs.createWriteStream`. */
export interface HandleWriteStreamOptions {
  readonly encoding?: BufferEncoding | null | undefined
  readonly autoClose?: boolean | undefined
  readonly emitClose?: boolean | undefined
  readonly start?: number | undefined
  readonly highWaterMark?: number | undefined
  readonly flush?: boolean | undefined
  readonly signal?: AbortSignal | null | undefined
}

/** The part of a FileHandle that a stream uses. */
interface StreamedHandle {
  readonly fd: number
  read(
    buffer: ArrayBufferView,
    offset: number,
    length: number,
    position?: number,
  ): Promise<{ readonly bytesRead: number }>
  write(
    buffer: ArrayBufferView,
    offset: number,
    length: number,
    position?: number,
  ): Promise<{ readonly bytesWritten: number }>
  writev(buffers: readonly ArrayBufferView[], position?: number): Promise<{ readonly bytesWritten: number }>
  sync(): Promise<void>
  close(): Promise<void>
  on(event: 'close', listener: () => void): unknown
  once(event: 'close', listener: () => void): unknown
}

type Callback = (error: unknown, count?: number, data?: unknown) => void

const WEB_CHUNK_BYTES = 16_384
const BUFFER_CHUNK_BYTES = 65_536

/** The `fs` option of a stream: the functions that the stream calls instead of those of node:fs. */
function operationsOn(handle: StreamedHandle, release: () => void): object {
  return {
    open(): never {
      throw new Error('A stream over a FileHandle opens nothing')
    },
    close(_fd: number, done: Callback): void {
      release()
      handle.close().then(() => done(null), done)
    },
    fsync(_fd: number, done: Callback): void {
      handle.sync().then(() => done(null), done)
    },
    read(_fd: number, data: Buffer, offset: number, length: number, position: number, done: Callback): void {
      handle.read(data, offset, length, position).then(
        ({ bytesRead }) => done(null, bytesRead, data),
        (error) => done(error, 0, data),
      )
    },
    write(_fd: number, data: Buffer, offset: number, length: number, position: number, done: Callback): void {
      handle.write(data, offset, length, position).then(
        ({ bytesWritten }) => done(null, bytesWritten, data),
        (error) => done(error, 0, data),
      )
    },
    writev(_fd: number, data: Buffer[], position: number, done: Callback): void {
      handle.writev(data, position).then(
        ({ bytesWritten }) => done(null, bytesWritten, data),
        (error) => done(error, 0, data),
      )
    },
  }
}

type StreamClass<S> = new (path: undefined, options: object) => S

function streamOver<S extends ReadStream | WriteStream>(
  Stream: unknown,
  handle: StreamedHandle,
  descriptor: Descriptor,
  options: object | undefined,
): S {
  refuseOwnOptions(options)
  let held = false
  const release = (): void => {
    if (held) descriptor.unref()
    held = false
  }
  const operations = operationsOn(handle, release)
  const stream = new (Stream as StreamClass<S>)(undefined, { ...options, fd: handle.fd, fs: operations })
  // The stream keeps the file open until it has closed itself, which the handle's close() makes it do.
  held = true
  descriptor.ref()
  handle.on('close', () => {
    // Node's close() of a stream that has finished without closing would wait for ever.
    if ((stream as WriteStream).writableFinished) stream.destroy()
    else stream.close()
  })
  return stream
}

/** @see FileHandle.createReadStream */
export function readStream(
  handle: StreamedHandle,
  descriptor: Descriptor,
  options: HandleReadStreamOptions | undefined,
): ReadStream {
  return streamOver<ReadStream>(fs.ReadStream, handle, descriptor, options)
}

/** @see FileHandle.createWriteStream */
export function writeStream(
  handle: StreamedHandle,
  descriptor: Descriptor,
  options: HandleWriteStreamOptions | undefined,
): WriteStream {
  return streamOver<WriteStream>(fs.WriteStream, handle, descriptor, options)
}

/** Options of `FileHandle.readableWebStream`. */
export interface WebStreamOptions {
  /** `'bytes'` for a byte stream, which Node 24 always makes. */
  readonly type?: 'bytes' | undefined
  /** Close the handle at the end. Default false. Node has it from 24 on; here it works with every Node. */
  readonly autoClose?: boolean | undefined
}

/** @see FileHandle.readableWebStream */
export function webStream(
  handle: StreamedHandle,
  descriptor: Descriptor,
  options: WebStreamOptions,
): ReadableStream {
  if (typeof options !== 'object' || options === null) throw wrongType('options', 'of type object', options)
  const { type, autoClose = false } = options
  if (type !== undefined && typeof type !== 'string') throw wrongType('options.type', 'of type string', type)
  requireBoolean('options.autoClose', autoClose)
  const source = new WebSource(handle, descriptor, autoClose)
  const bytes = type === 'bytes' || ALWAYS_BYTES
  return bytes ? new ReadableStream(source.ofBytes()) : new ReadableStream(source.ofBuffers())
}

/** The source of a web stream over a handle. It keeps the file open until the stream ends. */
class WebSource {
  readonly #handle: StreamedHandle
  readonly #descriptor: Descriptor
  readonly #autoClose: boolean
  #end: () => void = () => {}
  #over = false

  constructor(handle: StreamedHandle, descriptor: Descriptor, autoClose: boolean) {
    this.#handle = handle
    this.#descriptor = descriptor
    this.#autoClose = autoClose
    descriptor.ref()
    // The handle's close() ends the stream, whoever reads from it.
    handle.once('close', () => {
      if (this.#over) return
      this.#end()
      // The caller of close() gets its error.
      this.#finish().catch(() => {})
    })
  }

  ofBytes(): UnderlyingByteSource {
    return {
      type: 'bytes',
      autoAllocateChunkSize: WEB_CHUNK_BYTES,
      start: (controller) => {
        this.#end = () => controller.close()
      },
      pull: async (controller) => {
        const request = (controller as ReadableByteStreamController).byobRequest!
        const view = request.view!
        const bytesRead = await this.#read(view)
        const ended = this.#over
        if (bytesRead === 0 && !ended) {
          controller.close()
          await this.#finish()
        }
        // A stream that has ended meanwhile takes no more data, but its pending read must still be answered.
        request.respond(ended ? 0 : bytesRead)
      },
      cancel: () => this.#finish(),
    }
  }

  ofBuffers(): UnderlyingSource {
    return {
      start: (controller) => {
        this.#end = () => controller.close()
      },
      pull: async (controller) => {
        const buffer = new ArrayBuffer(BUFFER_CHUNK_BYTES)
        const bytesRead = await this.#read(new Uint8Array(buffer))
        if (this.#over) return
        if (bytesRead > 0) {
          controller.enqueue(bytesRead === buffer.byteLength ? buffer : buffer.slice(0, bytesRead))
          return
        }
        controller.close()
        await this.#finish()
      },
      cancel: () => this.#finish(),
    }
  }

  /** A read that fails is the end of the stream. */
  async #read(view: ArrayBufferView): Promise<number> {
    try {
      return (await this.#handle.read(view, 0, view.byteLength)).bytesRead
    } catch (error) {
      await this.#finish()
      throw error
    }
  }

  async #finish(): Promise<void> {
    if (this.#over) return
    this.#over = true
    this.#descriptor.unref()
    if (this.#autoClose) await this.#handle.close()
  }
}
