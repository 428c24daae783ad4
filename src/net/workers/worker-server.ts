// A server whose threads listen for themselves: on sockets of their own that share the port (SO_REUSEPORT), or, without
// io_uring, on duplicates of one socket.

import type { AddressInfo } from 'node:net'
import { F_DUPFD_CLOEXEC } from '../../ring/index.js'
import { AbortError } from '../../runtime/index.js'
import { checkResult } from '../../syscalls/errno.js'
import { close, fcntl } from '../../syscalls/libc.js'
import { listeningAddress, listenOn, listenTargets, openListener } from '../descriptor.js'
import { alreadyListening, notRunning } from '../errors.js'
import { checkCloseOptions, checkListenOptions } from '../options.js'
import type { CloseOptions, ListenOptions, Server, ServerOptions } from '../server.js'
import {
  closeIfAborted,
  closeOnAbort,
  Deadline,
  firstAddressOf,
  isResolved,
  removeSocketFile,
} from '../server-parts.js'
import { WorkerPool } from './pool.js'

export class WorkerServer implements Server {
  readonly backend: Server['backend']
  readonly #pool: WorkerPool
  readonly #sharesPort: boolean
  /** Keeps the port, or is what is duplicated. */
  #fd = -1
  #path: string | null = null
  #openNext: () => number = () => -1
  #isListening = false
  /** What `listen` does; closing waits for its end. */
  #opening: Promise<void> | null = null
  #closing: Promise<void> | null = null
  readonly #deadline = new Deadline()
  #whenIdle: (() => void) | null = null
  #stopWatching: (() => void) | null = null
  /** The threads keep no process alive, so this does while it listens. */
  readonly #hold = setInterval(() => {}, 0x7fff_ffff).unref()
  #isReferenced = true

  constructor(backend: Server['backend'], options: ServerOptions, handler: URL, sharesPort: boolean) {
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
    return this.#fd >= 0 && this.#closing === null
  }

  async listen(options: ListenOptions = { port: 0 }): Promise<void> {
    checkListenOptions(options)
    if (this.#isListening) throw alreadyListening()
    const { signal } = options
    if (signal?.aborted) throw new AbortError(signal.reason)
    this.#isListening = true
    this.#closing = null
    const opening = this.#open(options)
    this.#opening = opening.then(nothing, nothing)
    try {
      await opening
    } catch (error) {
      this.#closeDescriptor()
      this.#isListening = false
      throw error
    } finally {
      this.#opening = null
    }
    if (this.listening && this.#isReferenced) this.#hold.ref()
    await closeIfAborted(this, signal)
    if (signal !== undefined) this.#stopWatching = closeOnAbort(this, signal)
  }

  address(): AddressInfo | string | null {
    return this.#fd < 0 ? null : (listeningAddress(this.#fd) as AddressInfo | string | null)
  }

  close(options: CloseOptions = {}): Promise<void> {
    try {
      checkCloseOptions(options)
    } catch (error) {
      return Promise.reject(error)
    }
    if (this.#closing === null) {
      if (!this.#isListening) return Promise.reject(notRunning())
      this.#closing = this.#end()
    }
    const { deadlineMs } = options
    if (deadlineMs !== undefined) void this.#cutAfter(deadlineMs)
    return this.#closing
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

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isListening || this.#closing !== null) await this.close({ deadlineMs: 0 })
  }

  async #open(options: ListenOptions): Promise<void> {
    await this.#openDescriptor(options)
    if (this.#closing === null) await this.#pool.open()
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
      // Bound and not listening: it is given no connections, and port 0 means the same port for every thread.
      this.#fd = openListener(listenTargets(shared, resolved), false)
      const { address, port } = listeningAddress(this.#fd) as AddressInfo
      const targets = listenTargets({ ...shared, port }, resolved ?? address)
      this.#openNext = () => openListener(targets)
      return
    }
    this.#openNext = () => checkResult(fcntl(this.#fd, F_DUPFD_CLOEXEC, 0), 'fcntl')
  }

  async #cutAfter(deadlineMs: number): Promise<void> {
    if (this.#opening !== null) await this.#opening
    if (this.#whenIdle !== null) this.#deadline.set(deadlineMs, () => this.#pool.destroyAll())
  }

  async #end(): Promise<void> {
    if (this.#opening !== null) await this.#opening
    this.#stopWatching?.()
    const idle = new Promise<void>((resolve) => {
      this.#whenIdle = resolve
    })
    this.#pool.drain()
    this.#closeDescriptor()
    if (!this.#pool.idle) await idle
    this.#whenIdle = null
    this.#deadline.clear()
    await this.#pool.close()
    this.#hold.unref()
    this.#isListening = false
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

function nothing(): void {}
