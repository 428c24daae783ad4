// `connect`: checks the options, chooses a backend, and calls it.

import { chooseBackend } from './backend-choice.js'
import type { ConnectOptions } from './connect-options.js'
import { checkConnectOptions } from './options.js'
import type { Lease, Socket } from './socket.js'

/**
 * Connects to a TCP or Unix socket. The addresses of a host are tried one after the other.
 *
 * ```ts
 * const socket = await connect({ host: 'localhost', port: 7000 })
 * socket.write('hello\n')
 * console.log(String(await socket.read()))
 * await socket.end()
 * ```
 *
 * Rejects with ECONNREFUSED, ETIMEDOUT and the like in the shape of node:net's errors; with an AggregateError
 * when several addresses failed; with AbortError; with TypeError or RangeError for bad options.
 *
 * @see io_uring_prep_connect(3)
 */
export function connect(options: ConnectOptions & { readonly chunks: 'lease' }): Promise<Socket<Lease>>
export function connect(options: ConnectOptions & { readonly chunks?: 'copy' | undefined }): Promise<Socket>
export function connect(options: ConnectOptions): Promise<Socket<Buffer> | Socket<Lease>>
export async function connect(options: ConnectOptions): Promise<Socket<Buffer> | Socket<Lease>> {
  checkConnectOptions(options)
  return chooseBackend(options.uring).connect(options)
}
