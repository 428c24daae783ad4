// A server carried by a ring: the listening socket, its connections, and its end.

import type { AddressInfo } from 'node:net'
import { AbortError } from '../../runtime/index.js'
import { close } from '../../syscalls/libc.js'
import { listeningAddress, listenOn, listenTargets, openListener } from '../descriptor.js'
import { alreadyListening, notRunning } from '../errors.js'
import { checkCloseOptions, checkListenOptions } from '../options.js'
import { report } from '../run-handler.js'
import type { CloseOptions, ListenOptions, Server, ServerOptions } from '../server.js'
import {
  closeIfAborted,
  closeOnAbort,
  Deadline,
  firstAddressOf,
  isResolved,
  removeSocketFile,
} from '../server-parts.js'
import { Acceptor, type AcceptorHost } from './acceptor.js'
import { announced } from './announced.js'
import type { Hub, RingUser } from './hub.js'
import type { ConnectionTarget } from './local-connections.js'

export class RingServer implements Server, AcceptorHost, RingUser {
  readonly backend = 'io_uring'
  readonly #hub: Hub
  readonly #options: ServerOptions
  readonly #target: ConnectionTarget
  #acceptor: Acceptor | null = null
  #fd = -1
  #path: string | null = null
  /** From the call of `listen` on. */
  #isListening = false
  /** `listen` has not come to its end: closing waits for that. */
  #isOpening = false
  /** Its connections were destroyed at the deadline: those that an accept under way still brings are as well. */
  #isCut = false
  #isReferenced = true
  #isHolding = false
  #closing: Promise<void> | null = null
  #closed: (() => void) | null = null
  readonly #deadline = new Deadline()
  #stopWatching: (() => void) | null = null

  constructor(hub: Hub, options: ServerOptions, target: ConnectionTarget) {
    this.#hub = hub
    this.#options = options
    this.#target = target
    target.onClosed = this.#onConnectionClosed
  }

  get connections(): number {
    return this.#target.connections
  }

  get listening(): boolean {
    return this.#fd >= 0 && this.#closing === null
  }

  /** The listening socket, or -1. */
  get fd(): number {
    return this.#fd
  }

  async listen(options: ListenOptions = { port: 0 }): Promise<void> {
    checkListenOptions(options)
    if (this.#isListening) throw alreadyListening()
    const { signal } = options
    if (signal?.aborted) throw new AbortError(signal.reason)
    this.#isListening = true
    this.#isOpening = true
    this.#isCut = false
    this.#closing = null
    try {
      await this.#open(options)
    } catch (error) {
      this.#closeDescriptor()
      await this.#target.close()
      this.#isListening = false
      throw error
    } finally {
      this.#isOpening = false
      this.#closeWhenIdle()
    }
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
    const { deadlineMs } = options
    if (this.#closing === null) {
      if (!this.#isListening) return Promise.reject(notRunning())
      this.#closing = new Promise((resolve) => {
        this.#closed = resolve
      })
      this.#stopWatching?.()
      this.#acceptor?.stop()
      this.#target.drain()
      this.#closeWhenIdle()
    }
    if (deadlineMs !== undefined && this.#closed !== null) {
      this.#deadline.set(deadlineMs, () => {
        this.#isCut = true
        this.#target.destroyAll()
      })
    }
    return this.#closing
  }

  ref(): this {
    this.#isReferenced = true
    this.#updateHold()
    return this
  }

  unref(): this {
    this.#isReferenced = false
    this.#updateHold()
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isListening || this.#closing !== null) await this.close({ deadlineMs: 0 })
  }

  /** @internal */
  accepted(fd: number): void {
    const { maxConnections } = this.#options
    if (
      this.#isCut ||
      this.#hub.driver.closed ||
      (maxConnections !== undefined && this.connections >= maxConnections)
    ) {
      close(fd)
      return
    }
    try {
      this.#target.take(fd)
    } catch (error) {
      report(error, null, this.#options.onError)
    }
  }

  /** @internal */
  acceptFailed(error: Error): void {
    report(error, null, this.#options.onError)
  }

  /** @internal */
  acceptorIdle(): void {
    this.#closeWhenIdle()
  }

  /** @internal */
  ringClosed(): void {
    if (this.#isListening && this.#closing === null) void this.close()
  }

  async #open(options: ListenOptions): Promise<void> {
    const { fd, host, path, backlog } = options
    await this.#target.open()
    const resolved = isResolved(host) ? host : await firstAddressOf(host!)
    if (this.#closing !== null) return
    if (this.#hub.driver.closed) throw this.#hub.driver.closedError('listen')
    if (fd !== undefined) {
      listenOn(fd, backlog)
      this.#fd = fd
    } else {
      this.#fd = openListener(listenTargets(options, resolved))
      if (path !== undefined && !path.startsWith('\0')) this.#path = path
    }
    this.#hub.users.add(this)
    announced?.taken(this.#fd)
    this.#acceptor = new Acceptor(this.#hub, this, this.#fd)
    this.#acceptor.start()
    this.#updateHold()
  }

  readonly #onConnectionClosed = (): void => {
    this.#acceptor?.descriptorClosed()
    if (this.#closing !== null) this.#closeWhenIdle()
  }

  /** Keeps the process alive while it listens. */
  #updateHold(): void {
    const isWanted = this.#isReferenced && this.#fd >= 0
    if (isWanted === this.#isHolding) return
    this.#isHolding = isWanted
    if (isWanted) this.#hub.driver.listen()
    else this.#hub.driver.unlisten()
  }

  #closeWhenIdle(): void {
    if (this.#closing === null || this.#isOpening || this.#acceptor?.idle === false) return
    this.#closeDescriptor()
    if (this.#target.connections > 0) return
    const closed = this.#closed
    if (closed === null) return
    this.#closed = null
    this.#isListening = false
    this.#deadline.clear()
    this.#target.close().then(closed)
  }

  /** The kernel has let go of the listening socket: from here on connections are refused. */
  #closeDescriptor(): void {
    if (this.#fd < 0) return
    announced?.closing(this.#fd)
    close(this.#fd)
    this.#fd = -1
    this.#acceptor = null
    this.#hub.users.delete(this)
    if (this.#path !== null) {
      removeSocketFile(this.#path)
      this.#path = null
    }
    this.#updateHold()
  }
}
