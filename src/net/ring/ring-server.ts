// A server carried by a ring: owns the listening socket, passes on what it accepts, and sees to an orderly
// close.

import type { AddressInfo } from 'node:net'
import { close } from '../../syscalls/libc.js'
import { listeningAddress, listenOn, listenTargets, openListener } from '../descriptor.js'
import { report } from '../run-handler.js'
import type { ListenOptions, Server, ServerOptions } from '../server.js'
import { firstAddressOf, isResolved, removeSocketFile, ServerLife } from '../server-parts.js'
import { Acceptor, type AcceptorHost } from './acceptor.js'
import { announced } from './announced.js'
import type { Hub, RingUser } from './hub.js'
import type { ConnectionTarget } from './local-connections.js'

export class RingServer extends ServerLife implements Server, AcceptorHost, RingUser {
  readonly backend = 'io_uring'
  readonly #hub: Hub
  readonly #options: ServerOptions
  readonly #target: ConnectionTarget
  #acceptor: Acceptor | null = null
  #fd = -1
  #path: string | null = null
  #isReferenced = true
  #isHolding = false
  /** While it closes: called when nothing is accepted any more and no connection is left. */
  #whenIdle: (() => void) | null = null

  constructor(hub: Hub, options: ServerOptions, target: ConnectionTarget) {
    super()
    this.#hub = hub
    this.#options = options
    this.#target = target
    target.onClosed = this.#onConnectionClosed
  }

  get connections(): number {
    return this.#target.connections
  }

  get listening(): boolean {
    return this.#fd >= 0 && !this.isClosing
  }

  address(): AddressInfo | string | null {
    return this.#fd < 0 ? null : (listeningAddress(this.#fd) as AddressInfo | string | null)
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

  /** @internal */
  accepted(fd: number): void {
    const { maxConnections } = this.#options
    if (
      this.isCut ||
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
    if (this.listening) void this.close()
  }

  protected async open(options: ListenOptions): Promise<void> {
    const { fd, host, path, backlog } = options
    await this.#target.open()
    const resolved = isResolved(host) ? host : await firstAddressOf(host!)
    if (this.isClosing) return
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

  protected openFailed(): Promise<void> {
    this.#closeDescriptor()
    return this.#target.close()
  }

  protected async end(): Promise<void> {
    const idle = new Promise<void>((resolve) => {
      this.#whenIdle = resolve
    })
    this.#acceptor?.stop()
    this.#target.drain()
    this.#closeWhenIdle()
    await idle
    this.#whenIdle = null
    await this.#target.close()
  }

  protected destroyAll(): void {
    this.#target.destroyAll()
  }

  readonly #onConnectionClosed = (): void => {
    this.#acceptor?.descriptorClosed()
    this.#closeWhenIdle()
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
    if (this.#whenIdle === null || this.#acceptor?.idle === false) return
    this.#closeDescriptor()
    if (this.#target.connections === 0) this.#whenIdle()
  }

  /** Closes the listening socket, which no operation uses any more: from here on connections are refused. */
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
