// What runs in a worker of a server: it is given connections, or listens itself, and calls the handler that the module
// exports. The listening thread's side is pool.ts.

import { type MessagePort, parentPort } from 'node:worker_threads'
import { defaultUring, Uring } from '../../runtime/index.js'
import type { RingEndpoint } from '../../runtime/messages.js'
import type { AnyHandler } from '../backend.js'
import { nodeBackend } from '../fallback/backend.js'
import { hubOf } from '../ring/hub.js'
import { LocalConnections } from '../ring/local-connections.js'
import { RingServer } from '../ring/ring-server.js'
import type { CloseOptions, ConnectionHandler, Server, ServerOptions } from '../server.js'
import { ConnectionLimit, type ConnectionLimitStart } from './connection-limit.js'
import { SharedState } from './shared-state.js'

/** This module, or what it was joined into: what a worker imports to get at `serveConnections`. */
export const THREAD_MODULE: string = import.meta.url

/** What the code of a worker has from the start. */
export interface ThreadConfig {
  /** URL of the module with the handler. */
  readonly handler: string
  /** Those of the options that can be told. */
  readonly options: ServerOptions
}

/** The first message to a worker. */
export interface ThreadStart {
  readonly memory: SharedArrayBuffer
  readonly port: MessagePort
  /** A listening socket to accept from, which `memory` has as held until it does; or -1: connections are handed over. */
  readonly listenFd: number
  /** For threads that accept for themselves: how many connections all of them may have; null without such a limit. */
  readonly limit: ConnectionLimitStart | null
}

/**
 * What the listening thread asks for afterwards: to take a connection that could not be sent to the ring, to take no more,
 * to destroy what is open.
 */
export type ThreadOrder =
  | { readonly order: 'take'; readonly fd: number }
  | { readonly order: 'drain' | 'destroy' }

/** What the worker tells: where it takes connections, once it does; after an order, that it has none left. */
export interface ThreadNews {
  readonly endpoint?: RingEndpoint | null
  readonly isIdle?: boolean
}

/** @internal Runs in a worker; see pool.ts. */
export function serveConnections(config: ThreadConfig): void {
  parentPort!.once('message', (start: ThreadStart) => {
    // The module has the port for itself from here on; it does not keep the thread alive.
    serve(config, start).catch((error: unknown) => {
      setImmediate(() => {
        throw error
      })
    })
  })
}

async function serve(config: ThreadConfig, start: ThreadStart): Promise<void> {
  const { handler: url, options } = config
  const { port, listenFd, memory, limit } = start
  const state = new SharedState(memory)
  const { default: handler } = (await import(url)) as { default: AnyHandler }
  if (typeof handler !== 'function') throw new TypeError(`The default export of ${url} is not a function`)
  let isDraining = false
  const tellIdle = (): void => port.postMessage({ isIdle: true } satisfies ThreadNews)
  const tellIfIdle = (): void => {
    if (isDraining && state.connections === 0) tellIdle()
  }
  const thread =
    listenFd < 0
      ? receiving(state, options, handler, tellIfIdle)
      : await listening(state, options, limited(handler, limit), tellIdle, listenFd)
  port.on('message', (order: ThreadOrder) => {
    if (order.order === 'take') {
      thread.take(order.fd)
      return
    }
    isDraining = true
    if (order.order === 'destroy') thread.destroyAll()
    else thread.drain()
    if (listenFd < 0) tellIfIdle()
  })
  port.postMessage({ endpoint: thread.endpoint } satisfies ThreadNews)
}

interface Thread {
  readonly endpoint: RingEndpoint | null
  /** A connection, where others are handed over. */
  take(fd: number): void
  /** Takes no more. */
  drain(): void
  destroyAll(): void
}

/** Connections come as messages, each a descriptor: descriptors are the process's, so a number is all it takes. */
function receiving(
  state: SharedState,
  options: ServerOptions,
  handler: AnyHandler,
  onClosed: () => void,
): Thread {
  const uring = Uring.open()
  // The listening thread has put them down already.
  const ledger = { closing: (fd: number) => state.closing(fd), closed: () => state.closed() }
  const connections = new LocalConnections(hubOf(uring), options, handler, ledger)
  connections.onClosed = onClosed
  let isDestroying = false
  const take = (fd: number): void => {
    // The ring that sent it failed, and did not know that it had: it comes through the port as well.
    if (!state.take(fd)) return
    connections.take(fd)
    // It was on its way when the order came.
    if (isDestroying) connections.destroyAll()
  }
  void (async () => {
    for await (const { value: fd } of uring.messages()) take(fd)
  })()
  const destroyAll = (): void => {
    isDestroying = true
    connections.destroyAll()
  }
  return { endpoint: uring.endpoint, take, drain: nothing, destroyAll }
}

/** The thread accepts for itself. */
async function listening(
  state: SharedState,
  options: ServerOptions,
  handler: AnyHandler,
  onIdle: () => void,
  fd: number,
): Promise<Thread> {
  const uring = defaultUring()
  let server: Server
  if (uring === null) server = nodeBackend.createServer(options, counted(handler, state))
  else server = ringServer(uring, state, options, handler)
  await server.listen({ fd })
  // The server's from here on.
  state.closing(fd)
  const close = (deadline: CloseOptions): void => void server.close(deadline).then(onIdle, nothing)
  return {
    endpoint: null,
    take: nothing,
    drain: () => close({}),
    destroyAll: () => close({ deadlineMs: 0 }),
  }
}

function ringServer(uring: Uring, state: SharedState, options: ServerOptions, handler: AnyHandler): Server {
  const ledger = {
    taken: (fd: number) => state.taken(fd),
    closing: (fd: number) => state.closing(fd),
    closed: () => state.closed(),
  }
  const hub = hubOf(uring)
  return new RingServer(hub, options, new LocalConnections(hub, options, handler, ledger))
}

/** The handler, with no more connections than all threads together may have. */
function limited(handler: AnyHandler, start: ConnectionLimitStart | null): AnyHandler {
  if (start === null) return handler
  const limit = new ConnectionLimit(start)
  const call: ConnectionHandler = (socket) => {
    if (!limit.enter()) {
      socket.destroy()
      return
    }
    void socket.closed.then(() => limit.leave())
    return (handler as ConnectionHandler)(socket)
  }
  return call
}

/** The handler, with its connections counted. */
function counted(handler: AnyHandler, state: SharedState): AnyHandler {
  const call: ConnectionHandler = (socket) => {
    state.counted()
    void socket.closed.then(() => state.closed())
    return (handler as ConnectionHandler)(socket)
  }
  return call
}

function nothing(): void {}
