// Where accepted connections go: the interface of such a target, and the target that serves them in this
// thread. workers/pool.ts is the one that passes them to other threads.

import type { AnyHandler } from '../backend.js'
import { runHandler } from '../run-handler.js'
import type { ServerOptions } from '../server.js'
import type { Lease, Socket } from '../socket.js'
import type { Hub } from './hub.js'
import { type ConnectionKeeper, RingSocket } from './ring-socket.js'

/** A target of accepted connections. */
export interface ConnectionTarget {
  /** Connections open now. */
  readonly connections: number
  /** Called when a connection was closed; by a pool, when a thread is idle after `drain`, or has ended. */
  onClosed: (() => void) | null
  /** Resolves when connections can be taken. */
  open(): Promise<void>
  /** Takes charge of a descriptor. */
  take(fd: number): void
  /** No more connections will come. */
  drain(): void
  destroyAll(): void
  /** Releases what the target has of its own, such as threads. No connection is left by then. */
  close(): Promise<void>
}

/** Notes the descriptors of a thread's connections, and that connections were closed. */
export interface Ledger {
  taken?(fd: number): void
  closing(fd: number): void
  closed(): void
}

/** Connections that this thread serves itself. */
export class LocalConnections implements ConnectionTarget, ConnectionKeeper {
  onClosed: (() => void) | null = null
  readonly #hub: Hub
  readonly #options: ServerOptions
  readonly #handler: AnyHandler
  readonly #ledger: Ledger | null
  readonly #sockets = new Set<RingSocket>()

  constructor(hub: Hub, options: ServerOptions, handler: AnyHandler, ledger: Ledger | null) {
    this.#hub = hub
    this.#options = options
    this.#handler = handler
    this.#ledger = ledger
  }

  get connections(): number {
    return this.#sockets.size
  }

  async open(): Promise<void> {}

  take(fd: number): void {
    this.#ledger?.taken?.(fd)
    let socket: RingSocket
    try {
      socket = RingSocket.over(this.#hub, fd, this.#options, this)
    } catch (error) {
      this.#ledger?.closed()
      this.onClosed?.()
      throw error
    }
    this.#sockets.add(socket)
    runHandler(this.#handler, socket as Socket<Buffer> | Socket<Lease>, this.#options.onError)
  }

  drain(): void {}

  destroyAll(): void {
    for (const socket of [...this.#sockets]) socket.destroy()
  }

  async close(): Promise<void> {}

  /** @internal */
  closing(fd: number): void {
    this.#ledger?.closing(fd)
  }

  /** @internal */
  closed(socket: RingSocket): void {
    this.#sockets.delete(socket)
    this.#ledger?.closed()
    this.onClosed?.()
  }
}
