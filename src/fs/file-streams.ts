// Streams over a FileHandle. Node's own ReadStream and WriteStream do the streaming; their operations go to the handle.

import fs, { type ReadStream, type WriteStream } from 'node:fs'
import type { Descriptor } from './descriptor.js'
import type {
  FileHandle,
  HandleReadStreamOptions,
  HandleWriteStreamOptions,
} from './file-handle.js'
import { requireBoolean, wrongType } from './node-errors.js'

type Callback = (error: unknown, count?: number, data?: unknown) => void

const [NODE_MAJOR = 0] = process.versions.node.split('.').map(Number)
/** Older Nodes make a stream of ArrayBuffers unless `type` is 'bytes'. */
const ALWAYS_BYTES = NODE_MAJOR >= 24
const WEB_CHUNK_BYTES = 16_384
const DEFAULT_CHUNK_BYTES = 65_536

/** What `fs` calls on behalf of a stream whose `fs` option this is. */
function operationsOn(handle: FileHandle, release: () => void): object {
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
  handle: FileHandle,
  descriptor: Descriptor,
  options: object | undefined,
): S {
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
  handle.on('close', stream.close.bind(stream))
  return stream
}

/** @see FileHandle.createReadStream */
export function readStream(
  handle: FileHandle,
  descriptor: Descriptor,
  options: HandleReadStreamOptions | undefined,
): ReadStream {
  return streamOver<ReadStream>(fs.ReadStream, handle, descriptor, options)
}

/** @see FileHandle.createWriteStream */
export function writeStream(
  handle: FileHandle,
  descriptor: Descriptor,
  options: HandleWriteStreamOptions | undefined,
): WriteStream {
  return streamOver<WriteStream>(fs.WriteStream, handle, descriptor, options)
}

/** Options of `FileHandle.readableWebStream`. */
export interface WebStreamOptions {
  /** `'bytes'` for a byte stream, which Node 24 always makes. */
  readonly type?: 'bytes' | undefined
  /** Close the handle at the end. Default false. Node 24 knows it; here every Node does. */
  readonly autoClose?: boolean | undefined
}

/** @see FileHandle.readableWebStream */
export function webStream(
  handle: FileHandle,
  descriptor: Descriptor,
  options: WebStreamOptions,
): ReadableStream {
  const { type, autoClose = false } = options
  if (type !== undefined && typeof type !== 'string') throw wrongType('options.type', 'of type string', type)
  requireBoolean('options.autoClose', autoClose)
  let held = true
  const over = async (): Promise<void> => {
    if (held) descriptor.unref()
    held = false
    if (autoClose) await handle.close()
  }
  const stream = type === 'bytes' || ALWAYS_BYTES ? byteStream(handle, over) : bufferStream(handle, over)
  descriptor.ref()
  handle.once('close', () => {
    // A stream that somebody reads from cannot be cancelled from outside; it fails at its next read.
    if (!stream.locked) stream.cancel().catch(() => {})
    else void over()
  })
  return stream
}

function byteStream(handle: FileHandle, over: () => Promise<void>): ReadableStream {
  return new ReadableStream({
    type: 'bytes',
    autoAllocateChunkSize: WEB_CHUNK_BYTES,
    async pull(controller) {
      const request = (controller as ReadableByteStreamController).byobRequest!
      const view = request.view as Uint8Array
      // The stream transfers the view's memory around, so it is not the kernel's to write to.
      const own = Buffer.allocUnsafe(view.byteLength)
      const { bytesRead } = await handle.read(own, 0, own.length)
      if (bytesRead === 0) {
        controller.close()
        await over()
      } else view.set(own.subarray(0, bytesRead))
      request.respond(bytesRead)
    },
    async cancel() {
      await over()
    },
  })
}

function bufferStream(handle: FileHandle, over: () => Promise<void>): ReadableStream {
  return new ReadableStream({
    async pull(controller) {
      const own = Buffer.allocUnsafeSlow(DEFAULT_CHUNK_BYTES)
      const { bytesRead } = await handle.read(own, 0, own.length)
      if (bytesRead > 0) {
        controller.enqueue(own.buffer.slice(0, bytesRead))
        return
      }
      controller.close()
      await over()
    },
    async cancel() {
      await over()
    },
  })
}
