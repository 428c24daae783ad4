// The interface between the public functions and what carries connections: the ring, or node:net. Options are
// checked before it is called (options.ts).

import type { ConnectOptions } from './connect-options.js'
import type { ConnectionHandler, Server, ServerOptions } from './server.js'
import type { Lease, Socket } from './socket.js'

/** A handler of either kind of chunk: `options.chunks` says which its sockets yield. */
export type AnyHandler = ConnectionHandler<Buffer> | ConnectionHandler<Lease>

/** What carries connections. */
export interface Backend {
  readonly name: 'io_uring' | 'node:net'
  /** @param handler - A function, or with `options.workers` the URL of the module that exports it. */
  createServer(options: ServerOptions, handler: AnyHandler | URL): Server
  /** Resolves to a connected socket; its chunks are as `options.chunks` says. */
  connect(options: ConnectOptions): Promise<Socket<Buffer> | Socket<Lease>>
}
