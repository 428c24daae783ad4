// Where accepted connections go: to this thread here, to others in workers/.

import type { AnyHandler } from '../backend.js'
import { runHandler } from '../run-handler.js'
import type { ServerOptions } from '../server.js'
import type { Lease, Socket } from '../socket.js'
import type { Hub } from './hub.js'
import { type ConnectionKeeper, RingSocket } from './ring-socket.js'

/** Where accepted connections go. */
export interface ConnectionTarget {
  /** Connections open now. */
  readonly connections: number
  /** Calls back whenever a connection was closed; told by others, when none is left after `drain`. */
  onClosed: (() => void) | null
  /** Resolves when connections can be taken. */
  open(): Promise<void>
  /** Takes charge of a descriptor. */
  take(fd: number): void
  /** No more connections will come. */
  drain(): void
  destroyAll(): void
  /** Gives up what it has of its own: no connection is left. */
  close(): Promise<void>
}

/** Who notes the descriptors of a thread, besides counting them. */
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
