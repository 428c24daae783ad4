// Sends files on a connection. The pages of large files go from the page cache to the socket through a pipe
// (splice); small files, and those that cannot be spliced, are read into driver memory and sent from there.

import { close as closeFile, fstat, open as openFile } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { promisify } from 'node:util'
import {
  addressOf,
  F_SETPIPE_SZ,
  MSG_MORE,
  MSG_NOSIGNAL,
  MSG_WAITALL,
  O_CLOEXEC,
  POLLOUT,
  SPLICE_F_MORE,
  SPLICE_F_NONBLOCK,
} from '../../ring/index.js'
import { AbortError } from '../../runtime/index.js'
import { invalidType } from '../../syscalls/argument-errors.js'
import { close, fcntl, pipe2 } from '../../syscalls/libc.js'
import { netError } from '../errors.js'
import type { FileRange, FileSource } from '../socket.js'
import type { Hub } from './hub.js'
import type { Task } from './outgoing.js'
import type { Sender } from './sender.js'

/** Files from this size on are spliced. For smaller ones the pipe and its threads cost more than copies. */
const SHORTEST_SPLICE = 262144
const PIPE_BYTES = 1 << 20
const BLOCK_BYTES = 262144

interface Connection {
  readonly fd: number
  destroy(error?: Error): void
}

/** An open file, and how to close it if it was opened here. */
interface OpenFile {
  readonly fd: number
  close(): Promise<void>
}

async function openSource(file: FileSource): Promise<OpenFile> {
  if (typeof file === 'number') return { fd: file, close: async () => {} }
  if (typeof file === 'string' || file instanceof URL) {
    const fd = await promisify(openFile)(file, 'r')
    return { fd, close: () => promisify(closeFile)(fd) }
  }
  if (typeof (file as FileHandle | null)?.fd !== 'number') {
    throw invalidType('file', 'a path, a URL, a descriptor or a FileHandle', file)
  }
  return { fd: file.fd, close: async () => {} }
}

/** See `Socket.sendFile`. */
export async function sendFile(
  hub: Hub,
  socket: Connection,
  sender: Sender,
  file: FileSource,
  range: FileRange,
): Promise<number> {
  const { offset = 0, length = Number.POSITIVE_INFINITY, signal } = range
  if (signal?.aborted) throw new AbortError(signal.reason)
  // The transfer takes its place in the queue while the file is still being opened.
  const opening = openSource(file)
  const transfer = new FileTransfer(hub, socket, sender, opening, offset, length)
  const onAbort = (): void => socket.destroy(new AbortError(signal!.reason))
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    sender.run(transfer)
    return await transfer.done
  } finally {
    signal?.removeEventListener('abort', onAbort)
    await opening.then((open) => open.close()).catch(() => {})
  }
}

class FileTransfer implements Task {
  readonly done: Promise<number>
  readonly #hub: Hub
  readonly #socket: Connection
  readonly #sender: Sender
  readonly #opening: Promise<OpenFile>
  readonly #abort = new AbortController()
  #resolve!: (sent: number) => void
  #reject!: (error: unknown) => void
  #offset: number
  #left: number
  #sent = 0
  #hasStarted = false

  constructor(
    hub: Hub,
    socket: Connection,
    sender: Sender,
    opening: Promise<OpenFile>,
    offset: number,
    length: number,
  ) {
    this.#hub = hub
    this.#socket = socket
    this.#sender = sender
    this.#opening = opening
    this.#offset = offset
    this.#left = length
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    opening.catch(() => {})
  }

  async run(): Promise<void> {
    this.#hasStarted = true
    let fd: number
    try {
      fd = (await this.#opening).fd
    } catch (error) {
      // Nothing has been sent, so the connection can still be used.
      this.#reject(error)
      return
    }
    try {
      await this.#send(fd)
      this.#resolve(this.#sent)
    } catch (error) {
      this.#reject(error)
      // The peer may expect the bytes that are missing, and must not take later data for them.
      throw error
    }
  }

  abort(error: Error): void {
    this.#abort.abort(error)
    if (!this.#hasStarted) this.#reject(error)
  }

  async #send(fd: number): Promise<void> {
    const { size } = await promisify(fstat)(fd)
    // What has no size (a pipe, /proc) is read to its end.
    const isSized = size > 0
    if (isSized) this.#left = Math.min(this.#left, Math.max(0, size - this.#offset))
    try {
      if (isSized && this.#left >= SHORTEST_SPLICE && (await this.#splice(fd))) return
      await this.#copy(fd)
    } catch (error) {
      if (this.#abort.signal.aborted) throw this.#abort.signal.reason
      const { errno, syscall } = error as { errno?: number; syscall?: string }
      throw errno !== undefined && syscall !== 'read' ? netError(errno, 'write') : error
    }
  }

  #count(bytes: number): void {
    this.#sent += bytes
    this.#sender.countTaskBytes(bytes)
  }

  /** Alternates between two blocks: one is filled from the file while the other is sent. */
  async #copy(fd: number): Promise<void> {
    const { uring, driver } = this.#hub
    const size = Math.min(BLOCK_BYTES, Math.max(1, this.#left))
    const first = driver.arena.alloc(size)
    const blocks = [first, driver.arena.allocBeside(first, size)] as const
    const { signal } = this.#abort
    let sending: Promise<number> = Promise.resolve(0)
    try {
      for (let turn = 0; this.#left > 0; turn++) {
        const { bytes } = blocks[turn & 1]!
        const want = Math.min(size, this.#left)
        const got = await uring.read(fd, bytes, { offset: this.#offset, length: want, signal })
        await sending
        if (got === 0) break
        this.#offset += got
        this.#left -= got
        const more = this.#left > 0 && Number.isFinite(this.#left) ? MSG_MORE : 0
        const flags = MSG_NOSIGNAL | MSG_WAITALL | more
        sending = this.#sendAll(bytes, got, flags)
        // Awaited in the next round, or below.
        sending.catch(() => {})
      }
      await sending
    } finally {
      await sending.catch(() => {})
      for (const block of blocks) if (!driver.closed) driver.arena.free(block)
    }
  }

  async #sendAll(bytes: Buffer, length: number, flags: number): Promise<number> {
    const { uring } = this.#hub
    const { signal } = this.#abort
    for (let at = 0; at < length; ) {
      const sent = await uring.send(this.#socket.fd, bytes.subarray(at, length), { flags, signal })
      at += sent
      this.#count(sent)
    }
    return length
  }

  /** @returns False when this file cannot be spliced, and nothing has been sent. */
  async #splice(fd: number): Promise<boolean> {
    const { uring } = this.#hub
    const { signal } = this.#abort
    const pipe = openPipe()
    if (pipe === null) return false
    try {
      while (this.#left > 0) {
        const want = Math.min(this.#left, pipe.capacity)
        let inPipe: number
        try {
          inPipe = await uring.splice(fd, this.#offset, pipe.writeEnd, -1, want, 0, { signal })
        } catch (error) {
          if (this.#sent === 0 && (error as { code?: string }).code === 'EINVAL') return false
          throw error
        }
        if (inPipe === 0) break
        this.#offset += inPipe
        this.#left -= inPipe
        await this.#drain(pipe.readEnd, inPipe)
      }
      return true
    } finally {
      close(pipe.readEnd)
      close(pipe.writeEnd)
    }
  }

  /** Moves what is in the pipe into the socket, without blocking a kernel thread on a slow peer. */
  async #drain(pipe: number, bytes: number): Promise<void> {
    const { uring } = this.#hub
    const { signal } = this.#abort
    for (let left = bytes; left > 0; ) {
      const flags = SPLICE_F_NONBLOCK | (this.#left > 0 ? SPLICE_F_MORE : 0)
      try {
        const moved = await uring.splice(pipe, -1, this.#socket.fd, -1, left, flags, { signal })
        left -= moved
        this.#count(moved)
      } catch (error) {
        if ((error as { code?: string }).code !== 'EAGAIN') throw error
        await uring.poll(this.#socket.fd, POLLOUT, { signal })
      }
    }
  }
}

interface Pipe {
  readonly readEnd: number
  readonly writeEnd: number
  readonly capacity: number
}

function openPipe(): Pipe | null {
  const pair = new Int32Array(2)
  if (pipe2(addressOf(pair), O_CLOEXEC) < 0) return null
  const [readEnd, writeEnd] = [pair[0]!, pair[1]!]
  const wide = fcntl(writeEnd, F_SETPIPE_SZ, PIPE_BYTES)
  return { readEnd, writeEnd, capacity: wide > 0 ? wide : 65536 }
}
