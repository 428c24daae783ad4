// A server carried by node:net.

import { type AddressInfo, createServer, type Server as NetServer, type Socket as NetSocket } from 'node:net'
import { AbortError } from '../../runtime/index.js'
import type { AnyHandler } from '../backend.js'
import { listenTargets, openListener } from '../descriptor.js'
import { alreadyListening, notRunning } from '../errors.js'
import { checkCloseOptions, checkListenOptions, DEFAULT_HIGH_WATER_MARK } from '../options.js'
import { report, runHandler } from '../run-handler.js'
import type { CloseOptions, ListenOptions, Server, ServerOptions } from '../server.js'
import { closeIfAborted, closeOnAbort, Deadline, firstAddressOf, isResolved } from '../server-parts.js'
import type { Lease, Socket } from '../socket.js'
import { NodeSocket } from './node-socket.js'

export class NodeServer implements Server {
  readonly backend = 'node:net'
  readonly #options: ServerOptions
  readonly #handler: AnyHandler
  readonly #sockets = new Set<NodeSocket>()
  #server: NetServer | null = null
  /** What `listen` does; closing waits for its end. */
  #opening: Promise<void> | null = null
  /** Its connections were destroyed at the deadline: so are those that still come. */
  #isCut = false
  #isReferenced = true
  #closing: Promise<void> | null = null
  readonly #deadline = new Deadline()
  #stopWatching: (() => void) | null = null

  constructor(options: ServerOptions, handler: AnyHandler) {
    this.#options = options
    this.#handler = handler
  }

  get connections(): number {
    return this.#sockets.size
  }

  get listening(): boolean {
    return this.#server?.listening === true && this.#closing === null
  }

  async listen(options: ListenOptions = { port: 0 }): Promise<void> {
    checkListenOptions(options)
    if (this.#server !== null) throw alreadyListening()
    const { signal, path, port = 0, ...rest } = options
    if (signal?.aborted) throw new AbortError(signal.reason)
    const { noDelay = false, keepAlive = false, keepAliveInitialDelay = 0 } = this.#options
    const { highWaterMark = DEFAULT_HIGH_WATER_MARK } = this.#options
    this.#closing = null
    this.#isCut = false
    const server = createServer({
      allowHalfOpen: true,
      pauseOnConnect: true,
      noDelay,
      keepAlive,
      keepAliveInitialDelay,
      highWaterMark,
    })
    this.#server = server
    server.on('connection', (socket) => this.#onConnection(socket))
    const opening = (async () => {
      const fd = rest.fd ?? (await sharedListener(options))
      const place = fd !== undefined ? { fd } : path !== undefined ? { path } : { port }
      await started(server, { ...defined(rest), ...place })
    })()
    this.#opening = opening.catch(() => {})
    try {
      await opening
    } catch (error) {
      this.#server = null
      throw error
    } finally {
      this.#opening = null
    }
    server.on('error', (error) => report(error, null, this.#options.onError))
    if (!this.#isReferenced) server.unref()
    await closeIfAborted(this, signal)
    if (signal !== undefined) this.#stopWatching = closeOnAbort(this, signal)
  }

  address(): AddressInfo | string | null {
    return this.#server?.address() ?? null
  }

  close(options: CloseOptions = {}): Promise<void> {
    try {
      checkCloseOptions(options)
    } catch (error) {
      return Promise.reject(error)
    }
    const { deadlineMs } = options
    if (this.#closing === null) {
      const server = this.#server
      if (server === null) return Promise.reject(notRunning())
      this.#closing = this.#end(server)
    }
    if (deadlineMs !== undefined && this.#server !== null) {
      this.#deadline.set(deadlineMs, () => {
        this.#isCut = true
        this.#destroyAll()
      })
    }
    return this.#closing
  }

  ref(): this {
    this.#isReferenced = true
    this.#server?.ref()
    return this
  }

  unref(): this {
    this.#isReferenced = false
    this.#server?.unref()
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server !== null || this.#closing !== null) await this.close({ deadlineMs: 0 })
  }

  async #end(server: NetServer): Promise<void> {
    if (this.#opening !== null) await this.#opening
    this.#stopWatching?.()
    if (server.listening) await new Promise((resolve) => server.close(resolve))
    // node:net counts a connection as gone a little before its socket is closed.
    while (this.#sockets.size > 0) await Promise.all([...this.#sockets].map(({ closed }) => closed))
    this.#deadline.clear()
    this.#server = null
  }

  #onConnection(connection: NetSocket): void {
    const { maxConnections, onError } = this.#options
    if (this.#isCut || (maxConnections !== undefined && this.connections >= maxConnections)) {
      connection.destroy()
      return
    }
    const socket = new NodeSocket(connection, this.#options)
    this.#sockets.add(socket)
    void socket.closed.then(() => this.#sockets.delete(socket))
    runHandler(this.#handler, socket as unknown as Socket<Buffer> | Socket<Lease>, onError)
  }

  #destroyAll(): void {
    for (const socket of [...this.#sockets]) socket.destroy()
  }
}

/** A socket that shares its port: node:net can open one from Node 23.1 on, and the C library always. */
async function sharedListener(options: ListenOptions): Promise<number | undefined> {
  const { reusePort = false, path, host } = options
  if (!reusePort || path !== undefined || process.platform !== 'linux') return undefined
  const resolved = isResolved(host) ? host : await firstAddressOf(host!)
  return openListener(listenTargets(options, resolved), false)
}

/** Resolves when the server listens. */
function started(server: NetServer, options: object): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(options, () => {
      server.removeListener('error', reject)
      resolve()
    })
  })
}

/** Without the members that are undefined, which node:net does not take for absent. */
function defined(options: object): object {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}
