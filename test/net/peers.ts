// The other ends of the tests in this folder: servers and clients of node:net, and what ours are compared with.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { ipAddress } from '../../src/net/address.js'
import { listeningAddress, openListener } from '../../src/net/descriptor.js'
import {
  type ConnectionHandler,
  type ConnectOptions,
  connect,
  createServer,
  type Server,
  type ServerOptions,
  type Socket,
} from '../../src/net/index.js'
import { Uring } from '../../src/runtime/index.js'
import { close as closeDescriptor } from '../../src/syscalls/libc.js'
import { descriptorCount } from '../descriptors.js'
import type { Requirements } from '../harness.js'
import { PATIENCE } from '../patience.js'

/** A test of the ring itself, which the fallback has no part in. */
export const onRing: Requirements = {
  when: () => Uring.available || `needs io_uring: ${Uring.availability().reason}`,
}

/** A server of ours on a free port of 127.0.0.1. */
export async function serve(
  handler: ConnectionHandler<Buffer>,
  options: ServerOptions = {},
): Promise<{ server: Server; port: number }> {
  const server = createServer(options, handler)
  await server.listen({ port: 0, host: '127.0.0.1' })
  return { server, port: (server.address() as AddressInfo).port }
}

/** A server of node:net on a free port. Its sockets swallow errors. */
export async function serveNode(
  handler: (socket: net.Socket) => void,
  options: net.ServerOpts = {},
): Promise<{ server: net.Server; port: number; close(): Promise<void> }> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer(options, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    handler(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  }
  return { server, port: (server.address() as AddressInfo).port, close }
}

/** A connected client of node:net that swallows errors. */
export async function dial(port: number, options: Partial<net.TcpNetConnectOpts> = {}): Promise<net.Socket> {
  const socket = net.connect({ port, host: '127.0.0.1', ...options })
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** Sends back what comes, with back pressure. */
export async function echo(socket: Socket): Promise<void> {
  for await (const chunk of socket) await socket.write(chunk)
}

/** A listening socket whose queue is full: a further connection waits for ever. */
export async function fullListener(): Promise<{ port: number; close(): void }> {
  const target = {
    address: ipAddress('127.0.0.1', 0),
    backlog: 0,
    reusePort: false,
    ipv6Only: false,
    modeBits: 0,
  }
  const fd = openListener([target])
  const { port } = listeningAddress(fd) as AddressInfo
  // One may wait to be accepted.
  const waiting = await dial(port)
  return {
    port,
    close: () => {
      waiting.destroy()
      closeDescriptor(fd)
    },
  }
}

/** Everything that a connection of ours brings. */
export async function readAll(socket: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** A connection of ours and the socket of node:net at its other end. */
export async function pair(
  options: ConnectOptions & { readonly chunks?: 'copy' } = {},
  nodeOptions: net.ServerOpts = {},
): Promise<{ ours: Socket; theirs: net.Socket; close(): Promise<void> }> {
  let take!: (socket: net.Socket) => void
  const accepted = new Promise<net.Socket>((resolve) => {
    take = resolve
  })
  const peer = await serveNode(take, nodeOptions)
  const ours = await connect({ host: '127.0.0.1', port: peer.port, ...options })
  const theirs = await accepted
  const close = async (): Promise<void> => {
    ours.destroy()
    await ours.closed
    await peer.close()
  }
  return { ours, theirs, close }
}

/** Bytes that repeat at no power of two, so that data in the wrong place shows. */
export function pattern(length: number, seed = 0): Buffer {
  const unit = Buffer.from(
    Uint8Array.from({ length: 65521 }, (_, index) => (index * 31 + seed + (index >> 8)) & 0xff),
  )
  const data = Buffer.alloc(length)
  for (let at = 0; at < length; at += unit.length) unit.copy(data, at)
  return data
}

export function digest(data: Uint8Array): string {
  return createHash('sha1').update(data).digest('hex')
}

/** The same, once those of a test before are closed. */
export async function settledDescriptorCount(): Promise<number> {
  for (;;) {
    const count = descriptorCount()
    await delay(50)
    if (descriptorCount() === count) return count
  }
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Waits until `condition` holds; gives up after ten seconds of a usual machine. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const start = performance.now()
  while (!(await condition())) {
    if (performance.now() - start > 10_000 * PATIENCE) throw new Error(`not in time: ${what}`)
    await delay(5)
  }
}
