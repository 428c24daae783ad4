// What a connection is to its user, whichever backend carries it: the ring (ring/ring-socket.ts) or node:net
// (fallback/). Types alone; nothing here does anything.

import type { FileHandle } from 'node:fs/promises'
import type { Duplex } from 'node:stream'

/** What can be written: text is sent as UTF-8. */
export type Data = string | ArrayBuffer | ArrayBufferView

/** One end of a connection, in the shape of Node's `socket.address()`. Empty if a Unix socket, or closed. */
export interface EndpointAddress {
  readonly address?: string
  readonly family?: 'IPv4' | 'IPv6'
  readonly port?: number
}

/**
 * Received bytes in memory of the driver, without a copy. The holder may use them until `release()`; after
 * that the memory is filled with other data.
 */
export interface Lease {
  /** Bytes of data. */
  readonly length: number
  /** The data itself. Not to be kept, transferred, or looked at after `release()`. */
  readonly bytes: Buffer
  readonly released: boolean
  /** The data in memory of its own. */
  copy(): Buffer
  /** Gives the memory back. @throws Error `ERR_INVALID_STATE` the second time. */
  release(): void
  /** Releases what is not released yet. */
  [Symbol.dispose](): void
}

/** How received data is delivered: in memory of its own, or as leases of driver memory. */
export type ChunkKind = 'copy' | 'lease'

/** Options of a connection, the same for `connect` and for accepted connections. */
export interface SocketSettings {
  /** Send small writes at once (TCP_NODELAY). Default false. */
  readonly noDelay?: boolean | undefined
  /** Probe a silent peer (SO_KEEPALIVE). Default false. */
  readonly keepAlive?: boolean | undefined
  /** Milliseconds of silence before the first probe; 0 keeps the system's default. Default 0. */
  readonly keepAliveInitialDelay?: number | undefined
  /** Keep our side open after the peer has ended. Default false. */
  readonly allowHalfOpen?: boolean | undefined
  /** Bytes that may wait in each direction before that direction pauses. Default 65536. */
  readonly highWaterMark?: number | undefined
  /** How received data is delivered. Default `'copy'`. */
  readonly chunks?: ChunkKind | undefined
}

/** Callbacks for received data, instead of an iteration; see `Socket.consume`. */
export interface SocketSink {
  /** Data, in memory of its own (also where `chunks` is `'lease'`). `pause()` may be called from here. */
  onData(bytes: Buffer): void
  /** The peer has ended. Called once, after all data, unless the connection broke. */
  onEnd(): void
  /** The connection is closed. Called once, last of all. */
  onClose(error: Error | null): void
}

/** A file that `sendFile` takes: a path, or an open file. */
export type FileSource = string | URL | number | FileHandle

/** Which part of a file to send. */
export interface FileRange {
  /** Bytes from the start of the file. Default 0. */
  readonly offset?: number | undefined
  /** Bytes. Default: to the end of the file. */
  readonly length?: number | undefined
  /** Aborting destroys the connection: the peer cannot know how much of the file was sent. */
  readonly signal?: AbortSignal | undefined
}

/**
 * A connection. One reader at a time: an iteration, `read()`, a sink, or the stream.
 *
 * Errors of the connection (`ECONNRESET`, `EPIPE`, `ETIMEDOUT`) reject the read and the writes that wait, and
 * `error` has them from then on.
 *
 * @typeParam Chunk - What reading yields: a Buffer, or a Lease with `chunks: 'lease'`.
 */
export interface Socket<Chunk = Buffer> extends AsyncIterable<Chunk>, AsyncDisposable {
  /** The descriptor; -1 once the connection is closed, and always on node:net. */
  readonly fd: number
  readonly localAddress: string | undefined
  readonly localPort: number | undefined
  readonly localFamily: 'IPv4' | 'IPv6' | undefined
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly remoteFamily: 'IPv4' | 'IPv6' | undefined
  /** Bytes received: delivered, or waiting for the reader. */
  readonly bytesRead: number
  /** Bytes accepted by `write`, `end` and `sendFile`, whether the kernel has taken them yet or not. */
  readonly bytesWritten: number
  /** Bytes of `bytesWritten` that the kernel has not taken yet. */
  readonly pendingBytes: number
  /** The peer has ended, and all of its data was delivered. */
  readonly readableEnded: boolean
  /** `end` was called: nothing more can be written. */
  readonly writableEnded: boolean
  /** `destroy` was called, or the connection broke or is over. */
  readonly destroyed: boolean
  /** What broke the connection, or null. */
  readonly error: Error | null
  /**
   * Resolves when the descriptor is closed, for whatever reason. Never rejects: see `error`. Unlike `closed` of other
   * objects it is no boolean: that is `destroyed`.
   */
  readonly closed: Promise<void>

  /** The next chunk, or null after the last. Rejects when the connection breaks. */
  read(): Promise<Chunk | null>
  /**
   * The chunks, until the peer ends. Leaving the loop early keeps the connection: a later loop continues
   * where it stopped.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Chunk, undefined, undefined>
  /**
   * Calls `sink` with received data that waits, and with all that follows. Reading starts at once.
   *
   * @throws Error `ERR_INVALID_STATE` when there is a reader.
   */
  consume(sink: SocketSink): void
  /**
   * Stops calling the sink until `resume()`. Data waits meanwhile, up to `highWaterMark`, and then the peer.
   */
  pause(): void
  resume(): void

  /**
   * Sends data. What is written in one turn of the event loop goes out together.
   *
   * @returns `true` when the data was taken, so that its memory may be changed, and more may be written.
   *   Otherwise a promise that resolves when that is so, and rejects if the connection breaks first: until
   *   then the data must not be changed.
   * @throws TypeError `ERR_INVALID_ARG_TYPE`. After `end()` the promise rejects with
   *   `ERR_STREAM_WRITE_AFTER_END`, after `destroy()` with `ERR_STREAM_DESTROYED`.
   */
  write(data: Data | readonly Data[]): true | Promise<void>
  /**
   * Resolves when the kernel has taken all that was written. Rejects if the connection breaks first, or is
   * destroyed with data left; such a rejection may go unhandled.
   */
  flush(): Promise<void>
  /**
   * Writes `data`, if any, then tells the peer that no more follows. Resolves when the kernel has taken both;
   * rejects as `flush` does.
   */
  end(data?: Data | readonly Data[]): Promise<void>
  /**
   * Ends one direction or both: `'write'` (default) after what was written before, as `end()` does; `'read'`
   * drops what waits and what is received from now on.
   */
  shutdown(how?: 'read' | 'write' | 'both'): Promise<void>
  /**
   * Sends part of a file without bringing it into JavaScript, behind what was written before.
   *
   * @returns Bytes sent: fewer than `length` when the file is shorter.
   */
  sendFile(file: FileSource, range?: FileRange): Promise<number>
  /**
   * Closes the connection now; data that was not sent is dropped. The read and the writes that wait reject
   * with `error`; without one the read finds the end, and the writes reject with `ERR_STREAM_DESTROYED`.
   */
  destroy(error?: Error): void
  /** `end()`, then `destroy()` when all is sent. */
  destroySoon(): void
  /** Closes with a reset (RST) instead of an orderly end, where the transport has that. */
  resetAndDestroy(): void

  /**
   * Calls `onTimeout` when nothing was received or sent for this long; without it, destroys the connection
   * with ETIMEDOUT.
   *
   * @param timeoutMs - Milliseconds; 0 for never.
   */
  setTimeout(timeoutMs: number, onTimeout?: () => void): this
  setNoDelay(noDelay?: boolean): this
  /** @param initialDelayMs - Silence before the first probe; 0 keeps the system's default. */
  setKeepAlive(enable?: boolean, initialDelayMs?: number): this
  /** Keeps the process alive while the connection is open, which is the default. */
  ref(): this
  /** Lets the process end although the connection is open. */
  unref(): this
  address(): EndpointAddress
  /** The connection as a Duplex with the members of a `net.Socket`. The native reader must not be used beside it. */
  stream(): Duplex
}
