// The code that runs in a worker of a server. It receives connections, or listens itself, and calls the
// handler that the user's module exports. pool.ts is the other side, in the thread that owns the server.

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

/** The module that a worker imports for `serveConnections`: this one, or the bundle that it is part of. */
export const THREAD_MODULE: string = import.meta.url

/** Part of the code that a worker is started with. */
export interface ThreadConfig {
  /** URL of the module with the handler. */
  readonly handler: string
  /** The server options that the worker needs. They go to it as JSON. */
  readonly options: ServerOptions
}

/** The first message to a worker. */
export interface ThreadStart {
  readonly memory: SharedArrayBuffer
  readonly port: MessagePort
  /** A socket to listen on, noted in `memory` until the worker does; or -1: connections are handed over. */
  readonly listenFd: number
  /** For threads that accept for themselves: the limit of connections for all of them together, or null. */
  readonly limit: ConnectionLimitStart | null
}

/**
 * Later messages to a worker: take a connection that could not be sent to its ring; accept no more; destroy
 * all connections.
 */
export type ThreadOrder =
  | { readonly order: 'take'; readonly fd: number }
  | { readonly order: 'drain' | 'destroy' }

/**
 * Messages from a worker: where to send it connections, once it is ready; after 'drain' or 'destroy', that
 * none is left.
 */
export interface ThreadNews {
  readonly endpoint?: RingEndpoint | null
  readonly isIdle?: boolean
}

/** @internal Runs in a worker; see pool.ts. */
export function serveConnections(config: ThreadConfig): void {
  parentPort!.once('message', (start: ThreadStart) => {
    // From here on the port is free for the user's module, and does not keep the thread alive.
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
  /** Takes a connection that was handed over. */
  take(fd: number): void
  /** Accepts no more connections. */
  drain(): void
  destroyAll(): void
}

/** Connections arrive as messages that hold a descriptor number: threads share the process's descriptors. */
function receiving(
  state: SharedState,
  options: ServerOptions,
  handler: AnyHandler,
  onClosed: () => void,
): Thread {
  const uring = Uring.open()
  // Without `taken`: the listening thread has noted the descriptors already.
  const ledger = { closing: (fd: number) => state.closing(fd), closed: () => state.closed() }
  const connections = new LocalConnections(hubOf(uring), options, handler, ledger)
  connections.onClosed = onClosed
  let isDestroying = false
  const take = (fd: number): void => {
    // The sending ring failed without knowing that the message arrived, and the port was used as well.
    if (!state.take(fd)) return
    connections.take(fd)
    // The connection was on its way when the order to destroy came.
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
  // The server owns the descriptor from here on.
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

/** Wraps the handler: destroys connections beyond the limit for all threads together. */
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

/** Wraps the handler: counts its connections. */
function counted(handler: AnyHandler, state: SharedState): AnyHandler {
  const call: ConnectionHandler = (socket) => {
    state.counted()
    void socket.closed.then(() => state.closed())
    return (handler as ConnectionHandler)(socket)
  }
  return call
}

function nothing(): void {}
