// `createServer`: checks the options, chooses a backend, and calls it.

import { pathToFileURL } from 'node:url'
import { invalidType, invalidValue } from '../syscalls/argument-errors.js'
import type { AnyHandler } from './backend.js'
import { chooseBackend } from './backend-choice.js'
import { checkServerOptions } from './options.js'
import type { ConnectionHandler, Server, ServerOptions } from './server.js'
import type { Lease } from './socket.js'
import { WorkerServer } from './workers/worker-server.js'

/**
 * Makes a server for TCP or Unix sockets. It does nothing before `listen()`.
 *
 * ```ts
 * const server = createServer({ noDelay: true }, async (socket) => {
 *   for await (const chunk of socket) await socket.write(chunk)
 * })
 * await server.listen({ port: 7000 })
 * ```
 *
 * @param onConnection - Called with each connection. With `workers`, the URL or path of a module whose
 *   default export is that function, which then runs in those threads.
 * @throws TypeError, RangeError for bad options.
 * @see io_uring_prep_multishot_accept(3)
 */
export function createServer(
  options: ServerOptions & { readonly chunks: 'lease' },
  onConnection: ConnectionHandler<Lease> | URL | string,
): Server
export function createServer(
  options: ServerOptions,
  onConnection: ConnectionHandler<Buffer> | URL | string,
): Server
export function createServer(onConnection: ConnectionHandler<Buffer>): Server
export function createServer(
  options: ServerOptions | ConnectionHandler<Buffer>,
  onConnection?: AnyHandler | URL | string,
): Server {
  if (typeof options === 'function') {
    if (onConnection !== undefined) {
      throw invalidType('onConnection', 'left out after a function; options come first', onConnection)
    }
    return createServer({}, options)
  }
  checkServerOptions(options)
  const { workers = 0 } = options
  if (workers === 0 && typeof onConnection !== 'function') {
    throw invalidType('onConnection', 'of type function', onConnection)
  }
  if (workers > 0 && typeof onConnection !== 'string' && !(onConnection instanceof URL)) {
    throw invalidType('onConnection', 'the URL or path of a module, with options.workers', onConnection)
  }
  if (workers > 0 && options.onError !== undefined) {
    throw invalidValue(
      'options.onError',
      options.onError,
      'cannot cross threads: see to errors in the module',
    )
  }
  const handler = typeof onConnection === 'string' ? pathToFileURL(onConnection) : onConnection!
  const backend = chooseBackend(options.uring)
  // node:net cannot hand connections over to other threads, so these share a listening socket.
  if (handler instanceof URL && backend.name === 'node:net') {
    return new WorkerServer(backend.name, options, handler, false)
  }
  return backend.createServer(options, handler)
}
