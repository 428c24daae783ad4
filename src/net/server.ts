// What a server is to its user, whichever backend carries it. Types alone.

import type { AddressInfo } from 'node:net'
import type { Uring } from '../runtime/index.js'
import type { Lease, Socket, SocketSettings } from './socket.js'

/** Called with each connection. If it returns a promise, a rejection counts as a throw: see `onError`. */
export type ConnectionHandler<Chunk = Buffer> = (socket: Socket<Chunk>) => unknown

/** How connections get to the threads of `ServerOptions.workers`. */
export type Distribution = 'message' | 'reusePort'

/** What `createServer` takes. */
export interface ServerOptions extends SocketSettings {
  /**
   * Called with what a handler throws or rejects with (its connection is destroyed then), and with lasting
   * errors of accept. Errors of the connection itself (`socket.error`) are not reported. Default: an uncaught
   * exception.
   */
  readonly onError?: ((error: unknown, socket: Socket<Buffer> | Socket<Lease> | null) => void) | undefined
  /** Connections beyond this many are closed at once. Default: no bound. */
  readonly maxConnections?: number | undefined
  /**
   * Threads that serve the connections. The handler is then a module (URL or path) whose default export is a
   * `ConnectionHandler`. Default 0: this thread.
   */
  readonly workers?: number | undefined
  /**
   * `'message'`: this thread accepts connections and hands each to the worker with the fewest, by
   * IORING_OP_MSG_RING (Linux 5.18) or through a MessagePort. `'reusePort'`: each worker listens itself, and
   * the kernel chooses one (SO_REUSEPORT). Default `'message'`.
   */
  readonly distribution?: Distribution | undefined
  /** Passed to the workers as `workerData`. */
  readonly workerData?: unknown
  /** The ring to work on. Default: the one that modules of this package share in a thread. */
  readonly uring?: Uring | undefined
}

/** Where to listen: `port`, `path` or `fd` is needed. */
export interface ListenOptions {
  /** 0 to 65535; 0 lets the system choose. */
  readonly port?: number | undefined
  /** Address or host name. Default: every IPv6 and IPv4 address, or IPv4 alone where there is no IPv6. */
  readonly host?: string | undefined
  /** Path of a Unix socket; a NUL in front means a name in the abstract namespace. */
  readonly path?: string | undefined
  /** Connections that may wait to be accepted. Default 511. */
  readonly backlog?: number | undefined
  /** Let several sockets listen on the same port (SO_REUSEPORT). Default false. */
  readonly reusePort?: boolean | undefined
  /** For compatibility with node:net: it has no effect on a ring, which shares nothing with a cluster. */
  readonly exclusive?: boolean | undefined
  /** An IPv6 address takes no IPv4 connections. Default false. */
  readonly ipv6Only?: boolean | undefined
  /** A socket that is already bound; the server takes ownership of it. */
  readonly fd?: number | undefined
  /** Gives everyone permission to read the path of a Unix socket. */
  readonly readableAll?: boolean | undefined
  /** Gives everyone permission to write to it, which it takes to connect. */
  readonly writableAll?: boolean | undefined
  /** Aborting closes the server. */
  readonly signal?: AbortSignal | undefined
}

/** How to close. */
export interface CloseOptions {
  /** Milliseconds after which connections that are still open are destroyed. Default: they are waited for. */
  readonly deadlineMs?: number | undefined
}

/** A server. */
export interface Server extends AsyncDisposable {
  /** Connections open now, those of workers included. */
  readonly connections: number
  readonly listening: boolean
  /** What carries it. */
  readonly backend: 'io_uring' | 'node:net'
  /**
   * Starts to listen; without options on any free port of all addresses. Rejects with EADDRINUSE and the like, in the
   * shape of node:net's errors.
   */
  listen(options?: ListenOptions): Promise<void>
  /** Where it listens; the path of a Unix socket; null when it does not listen. */
  address(): AddressInfo | string | null
  /** The TCP port that it listens on; undefined for a Unix socket, and when it does not listen. */
  readonly port: number | undefined
  /** Accepts no more connections; resolves when all are closed. A second call resolves with the first. */
  close(options?: CloseOptions): Promise<void>
  ref(): this
  unref(): this
  /** Destroys every connection, then closes. */
  [Symbol.asyncDispose](): Promise<void>
}
