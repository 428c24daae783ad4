// What `connect` takes. Types alone.

import type { LookupFunction } from 'node:net'
import type { Uring } from '../runtime/index.js'
import type { SocketSettings } from './socket.js'

/** Where to connect to, and how. */
export interface ConnectOptions extends SocketSettings {
  readonly port?: number | undefined
  /** Address or host name. Default `'localhost'`. */
  readonly host?: string | undefined
  /** Path of a Unix socket; a NUL in front means a name in the abstract namespace. */
  readonly path?: string | undefined
  /** A stream socket that is already connected; the connection takes ownership of it. */
  readonly fd?: number | undefined
  /** Address to connect from. */
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  /** 4 or 6 for only that family. Default 0: both. */
  readonly family?: 0 | 4 | 6 | undefined
  /** `hints` of dns.lookup. */
  readonly hints?: number | undefined
  /** Called instead of dns.lookup. */
  readonly lookup?: LookupFunction | undefined
  /** Try the addresses of the host one after the other. Default true. */
  readonly autoSelectFamily?: boolean | undefined
  /** Milliseconds to try each address but the last. Default 250. */
  readonly autoSelectFamilyAttemptTimeout?: number | undefined
  /** Milliseconds after which `connect` rejects with ETIMEDOUT. Default: as long as the system tries. */
  readonly timeoutMs?: number | undefined
  /** Aborting rejects with AbortError, and destroys the connection when there is one. */
  readonly signal?: AbortSignal | undefined
  /** The ring to work on. Default: the one that modules of this package share in a thread. */
  readonly uring?: Uring | undefined
}
