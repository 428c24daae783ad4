// Connects through node:net.

import {
  createConnection,
  type NetConnectOpts,
  Socket as NetSocket,
  type SocketConstructorOpts,
} from 'node:net'
import { AbortError } from '../../runtime/index.js'
import type { ConnectOptions } from '../connect-options.js'
import { timedOut } from '../errors.js'
import { DEFAULT_HIGH_WATER_MARK } from '../options.js'
import { NodeSocket } from './node-socket.js'

/** Rejects with node:net's errors, or with AbortError. */
export function connectThroughNode(options: ConnectOptions): Promise<NodeSocket> {
  const { signal, timeoutMs } = options
  if (signal?.aborted) return Promise.reject(new AbortError(signal.reason))
  return new Promise((resolve, reject) => {
    const connection = open(options)
    let timer: NodeJS.Timeout | null = null
    const cleanUp = (): void => {
      if (timer !== null) clearTimeout(timer)
      connection.removeListener('error', onError)
    }
    const fail = (error: Error): void => {
      cleanUp()
      connection.on('error', () => {})
      connection.destroy()
      signal?.removeEventListener('abort', onAbort)
      reject(error)
    }
    const onError = (error: Error): void => fail(error)
    let socket: NodeSocket | null = null
    const onAbort = (): void => {
      const error = new AbortError(signal!.reason)
      if (socket === null) fail(error)
      else socket.destroy(error)
    }
    const onConnect = (): void => {
      cleanUp()
      socket = new NodeSocket(connection, options)
      if (signal !== undefined) void socket.closed.then(() => signal.removeEventListener('abort', onAbort))
      resolve(socket)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    connection.on('error', onError)
    if (timeoutMs !== undefined) {
      const { host = 'localhost', port, path } = options
      const place = path === undefined ? { address: host, port } : { address: path }
      timer = setTimeout(() => fail(timedOut('connect', place)), timeoutMs)
    }
    if (connection.connecting) connection.once('connect', onConnect)
    else onConnect()
  })
}

function open(options: ConnectOptions): NetSocket {
  const { port, host = 'localhost', path, fd, localAddress, localPort, family, hints, lookup } = options
  const { noDelay = false, keepAlive = false, keepAliveInitialDelay = 0 } = options
  const { autoSelectFamily = true, autoSelectFamilyAttemptTimeout = 250 } = options
  const { highWaterMark = DEFAULT_HIGH_WATER_MARK } = options
  const common = { allowHalfOpen: true, highWaterMark, noDelay, keepAlive, keepAliveInitialDelay }
  const place =
    fd !== undefined
      ? { fd, readable: true, writable: true }
      : path !== undefined
        ? { path }
        : {
            port,
            host,
            ...(localAddress !== undefined && { localAddress }),
            ...(localPort !== undefined && { localPort }),
            ...(family !== undefined && { family }),
            ...(hints !== undefined && { hints }),
            ...(lookup !== undefined && { lookup }),
            autoSelectFamily,
            autoSelectFamilyAttemptTimeout: Math.max(10, autoSelectFamilyAttemptTimeout),
          }
  const all = { ...common, ...place }
  return fd === undefined
    ? createConnection(all as NetConnectOpts)
    : new NetSocket(all as SocketConstructorOpts)
}
