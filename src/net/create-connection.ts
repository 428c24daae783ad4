// A connection for callers that need the stream before it is connected: `createConnection` of http.Agent, and
// clients that take "a function that returns a socket".

import { lookup as lookupByNode } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { checkOptions, invalidType } from '../syscalls/argument-errors.js'
import { connect } from './connect.js'
import type { ConnectOptions } from './connect-options.js'
import { DEFAULT_HIGH_WATER_MARK } from './options.js'
import { SocketStream } from './stream.js'

/**
 * Connects, and returns the stream of the connection at once. What is written before it is connected goes out
 * then. The stream emits 'lookup', 'connect' and 'ready' as a net.Socket does, or 'error' and 'close'.
 *
 * @param options - As for `connect`, `timeoutMs` included; `signal` destroys the stream.
 * @param onConnect - A listener of 'connect'.
 * @throws TypeError when `options` is no object or `onConnect` no function. Other bad options emit 'error'.
 */
export function createConnection(options: ConnectOptions, onConnect?: () => void): SocketStream {
  checkOptions(options)
  // Checked before there is a stream, whose 'error' nobody would hear.
  if (onConnect !== undefined && typeof onConnect !== 'function') {
    throw invalidType('onConnect', 'of type function', onConnect)
  }
  const stream = new ConnectingStream(options)
  if (onConnect !== undefined) stream.once('connect', onConnect)
  return stream
}

/** A stream whose `_construct` (see node:stream) is over when it is connected. */
class ConnectingStream extends SocketStream {
  // These are set in time: the constructor of Duplex calls `_construct` in a later tick.
  readonly #options: ConnectOptions
  readonly #abort = new AbortController()

  constructor(options: ConnectOptions) {
    const { allowHalfOpen = false, highWaterMark = DEFAULT_HIGH_WATER_MARK } = options
    super(null, { allowHalfOpen, highWaterMark })
    this.#options = options
  }

  override _construct(callback: (error?: Error | null) => void): void {
    const { signal, lookup = lookupByNode as LookupFunction, host = 'localhost' } = this.#options
    const options: ConnectOptions = {
      ...this.#options,
      signal: signal === undefined ? this.#abort.signal : AbortSignal.any([signal, this.#abort.signal]),
    }
    const isLookedUp = options.path === undefined && options.fd === undefined && isIP(host) === 0
    connect(isLookedUp ? { ...options, lookup: this.#announcing(lookup) } : options).then(
      (socket) => {
        this.attach(socket)
        callback()
        if (this.destroyed) return
        this.emit('connect')
        this.emit('ready')
      },
      // Aborted by `destroy`, whose caller has given the error.
      (error: Error) => callback(this.#abort.signal.aborted ? null : error),
    )
  }

  override destroy(error?: Error): this {
    // Not connected yet: stops the attempt.
    if (this.connecting) this.#abort.abort()
    return super.destroy(error)
  }

  /** Wraps the lookup: emits 'lookup' events. */
  #announcing(lookup: LookupFunction): LookupFunction {
    return (host, options, done) => {
      lookup(host, options, (error, address, family) => {
        const found = Array.isArray(address) ? address : [{ address, family }]
        for (const one of error ? [{}] : found) {
          const { address: text, family: kind } = one as { address?: string; family?: number }
          this.emit('lookup', error, text, kind, host)
        }
        done(error, address, family)
      })
    }
  }
}
