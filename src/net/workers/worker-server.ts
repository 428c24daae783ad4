// A server whose threads accept for themselves: on sockets of their own that share the port (SO_REUSEPORT),
// or on duplicates of one socket (without io_uring, for a Unix socket, and for a given `fd`).

import type { AddressInfo } from 'node:net'
import { F_DUPFD_CLOEXEC } from '../../ring/index.js'
import { checkResult } from '../../syscalls/errno.js'
import { close, fcntl } from '../../syscalls/libc.js'
import { listeningAddress, listenOn, listenTargets, openListener } from '../descriptor.js'
import type { ListenOptions, Server, ServerOptions } from '../server.js'
import { firstAddressOf, isResolved, removeSocketFile, ServerLife } from '../server-parts.js'
import { WorkerPool } from './pool.js'

export class WorkerServer extends ServerLife implements Server {
  readonly backend: Server['backend']
  readonly #pool: WorkerPool
  readonly #sharesPort: boolean
  /** Reserves the port, or is the socket that is duplicated for the threads. */
  #fd = -1
  #path: string | null = null
  #openNext: () => number = () => -1
  #whenIdle: (() => void) | null = null
  /** Keeps the process alive while the server listens: its threads do not. */
  readonly #hold = setInterval(() => {}, 0x7fff_ffff).unref()
  #isReferenced = true

  constructor(backend: Server['backend'], options: ServerOptions, handler: URL, sharesPort: boolean) {
    super()
    this.backend = backend
    this.#sharesPort = sharesPort
    this.#pool = new WorkerPool(null, options, handler, () => this.#openNext())
    this.#pool.onClosed = () => {
      if (this.#pool.idle) this.#whenIdle?.()
    }
  }

  get connections(): number {
    return this.#pool.connections
  }

  get listening(): boolean {
    return this.#fd >= 0 && !this.isClosing
  }

  address(): AddressInfo | string | null {
    return this.#fd < 0 ? null : (listeningAddress(this.#fd) as AddressInfo | string | null)
  }

  ref(): this {
    this.#isReferenced = true
    if (this.listening) this.#hold.ref()
    return this
  }

  unref(): this {
    this.#isReferenced = false
    this.#hold.unref()
    return this
  }

  protected async open(options: ListenOptions): Promise<void> {
    await this.#openDescriptor(options)
    if (!this.isClosing) await this.#pool.open()
    if (this.listening && this.#isReferenced) this.#hold.ref()
  }

  protected openFailed(): void {
    this.#closeDescriptor()
  }

  async #openDescriptor(options: ListenOptions): Promise<void> {
    const { fd, host, path, backlog } = options
    const resolved = isResolved(host) ? host : await firstAddressOf(host!)
    if (fd !== undefined) {
      listenOn(fd, backlog)
      this.#fd = fd
    } else if (!this.#sharesPort || path !== undefined) {
      this.#fd = openListener(listenTargets(options, resolved))
      if (path !== undefined && !path.startsWith('\0')) this.#path = path
    } else {
      const shared = { ...options, reusePort: true }
      // Bound but not listening: it gets no connections, and fixes the port for all threads for port 0.
      this.#fd = openListener(listenTargets(shared, resolved), false)
      const { address, port } = listeningAddress(this.#fd) as AddressInfo
      const targets = listenTargets({ ...shared, port }, resolved ?? address)
      this.#openNext = () => openListener(targets)
      return
    }
    this.#openNext = () => checkResult(fcntl(this.#fd, F_DUPFD_CLOEXEC, 0), 'fcntl')
  }

  protected async end(): Promise<void> {
    const idle = new Promise<void>((resolve) => {
      this.#whenIdle = resolve
    })
    this.#pool.drain()
    this.#closeDescriptor()
    if (!this.#pool.idle) await idle
    this.#whenIdle = null
    await this.#pool.close()
    this.#hold.unref()
  }

  protected destroyAll(): void {
    this.#pool.destroyAll()
  }

  #closeDescriptor(): void {
    if (this.#fd < 0) return
    close(this.#fd)
    this.#fd = -1
    if (this.#path === null) return
    removeSocketFile(this.#path)
    this.#path = null
  }
}
