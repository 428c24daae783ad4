// A server carried by node:net.

import { type AddressInfo, createServer, type Server as NetServer, type Socket as NetSocket } from 'node:net'
import type { AnyHandler } from '../backend.js'
import { listenTargets, openListener } from '../descriptor.js'
import { DEFAULT_HIGH_WATER_MARK } from '../options.js'
import { report, runHandler } from '../run-handler.js'
import type { ListenOptions, Server, ServerOptions } from '../server.js'
import { firstAddressOf, isResolved, ServerLife } from '../server-parts.js'
import type { Lease, Socket } from '../socket.js'
import { NodeSocket } from './node-socket.js'

export class NodeServer extends ServerLife implements Server {
  readonly backend = 'node:net'
  readonly #options: ServerOptions
  readonly #handler: AnyHandler
  readonly #sockets = new Set<NodeSocket>()
  #server: NetServer | null = null
  #isReferenced = true

  constructor(options: ServerOptions, handler: AnyHandler) {
    super()
    this.#options = options
    this.#handler = handler
  }

  get connections(): number {
    return this.#sockets.size
  }

  get listening(): boolean {
    return this.#server?.listening === true && !this.isClosing
  }

  address(): AddressInfo | string | null {
    return this.#server?.address() ?? null
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

  protected async open(options: ListenOptions): Promise<void> {
    const { signal: _, path, port = 0, ...rest } = options
    const { noDelay = false, keepAlive = false, keepAliveInitialDelay = 0 } = this.#options
    const { highWaterMark = DEFAULT_HIGH_WATER_MARK } = this.#options
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
    const fd = rest.fd ?? (await sharedListener(options))
    const place = fd !== undefined ? { fd } : path !== undefined ? { path } : { port }
    await started(server, { ...defined(rest), ...place })
    server.on('error', (error) => report(error, null, this.#options.onError))
    if (!this.#isReferenced) server.unref()
  }

  protected openFailed(): void {
    this.#server = null
  }

  protected async end(): Promise<void> {
    const server = this.#server!
    if (server.listening) await new Promise((resolve) => server.close(resolve))
    // node:net counts a connection as gone a little before its socket is closed.
    while (this.#sockets.size > 0) await Promise.all([...this.#sockets].map(({ closed }) => closed))
    this.#server = null
  }

  protected destroyAll(): void {
    for (const socket of [...this.#sockets]) socket.destroy()
  }

  #onConnection(connection: NetSocket): void {
    const { maxConnections, onError } = this.#options
    if (this.isCut || (maxConnections !== undefined && this.connections >= maxConnections)) {
      connection.destroy()
      return
    }
    const socket = new NodeSocket(connection, this.#options)
    this.#sockets.add(socket)
    void socket.closed.then(() => this.#sockets.delete(socket))
    runHandler(this.#handler, socket as unknown as Socket<Buffer> | Socket<Lease>, onError)
  }
}

/** Opens a socket that shares its port, by the C library: node:net can do so only from Node 23.1 on. */
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

/** Drops members that are undefined: node:net does not treat them as absent. */
function defined(options: object): object {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}
