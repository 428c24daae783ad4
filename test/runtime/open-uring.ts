// What tests of sockets and streams share: rings, connections, descriptors.

import { Worker } from 'node:worker_threads'
import {
  AF_INET,
  type Fd,
  type RingOptions,
  SOCK_DGRAM,
  SOCK_STREAM,
  SocketAddressResult,
  socketAddress,
} from '../../src/ring/index.js'
import type { RingOperations } from '../../src/runtime/operations/ring.js'
import * as libc from '../../src/syscalls/libc.js'
import { close } from '../../src/syscalls/libc.js'
import { unmet } from '../harness.js'
import { plainSocket, succeeded } from '../plain-sockets.js'
import { TestRing } from './fixture.js'

/** @param options - `copies`: data goes through driver memory, as in a worker. */
export function openUring(options: Partial<RingOptions> & { copies?: boolean } = {}): TestRing {
  const { copies = false, ...ring } = options
  return new TestRing(ring, undefined, copies)
}

/** The ring itself makes the sockets where it can: Linux 6.11. */
const hasRingSockets = unmet({ opcode: 'IORING_OP_LISTEN' }) === null

/** A socket that is neither bound nor connected. */
export function newSocket(uring: RingOperations, type: number): Fd | Promise<Fd> {
  if (hasRingSockets) return uring.socket(AF_INET, type)
  return plainSocket(AF_INET, type)
}

function bindWithoutRing(type: number): Bound {
  const fd = plainSocket(AF_INET, type)
  const { address, length } = socketAddress({ family: 'IPv4', address: '127.0.0.1', port: 0 })
  succeeded('bind', libc.bind(fd, address, length))
  const name = new SocketAddressResult()
  succeeded('getsockname', libc.getsockname(fd, name.address, name.lengthAddress))
  return { fd, port: (name.read() as { port: number }).port }
}

export interface Bound {
  readonly fd: Fd
  readonly port: number
}

/** A listening TCP socket on a free port of 127.0.0.1. */
export async function listenTcp(uring: RingOperations, backlog = 4096): Promise<Bound> {
  const bound = await bindSomewhere(uring, SOCK_STREAM)
  if (hasRingSockets) await uring.listen(bound.fd, backlog)
  else succeeded('listen', libc.listen(bound.fd, backlog))
  return bound
}

/** A bound UDP socket. */
export function bindUdp(uring: RingOperations): Promise<Bound> {
  return bindSomewhere(uring, SOCK_DGRAM)
}

/** A connection: the client's end and the server's. */
export async function connectPair(uring: RingOperations): Promise<[Fd, Fd]> {
  const listener = await listenTcp(uring, 1)
  const client = await newSocket(uring, SOCK_STREAM)
  await uring.connect(client, { family: 'IPv4', address: '127.0.0.1', port: listener.port })
  const server = await uring.accept(listener.fd)
  close(listener.fd)
  return [client, server]
}

/** Sends all of it. */
export async function sendAll(uring: RingOperations, fd: Fd, data: Buffer): Promise<void> {
  for (let at = 0; at < data.length; ) at += await uring.send(fd, data.subarray(at))
}

/** Runs a module of TypeScript in a worker: Node 20 does not hand its loader on. */
export function startWorker(module: URL, workerData: unknown): Worker {
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'))
  const code = `import(${loader}).then((tsx) => tsx.register()).then(() => import(${JSON.stringify(module.href)}))`
  return new Worker(code, { eval: true, workerData })
}

async function bindSomewhere(uring: RingOperations, type: number): Promise<Bound> {
  if (!hasRingSockets) return bindWithoutRing(type)
  // A port is found by trying: the kernel could choose one, but the ring can ask which only from Linux 6.19 on.
  for (let attempt = 0; ; attempt++) {
    const fd = await uring.socket(AF_INET, type)
    const port = 20000 + Math.floor(Math.random() * 12000)
    try {
      await uring.bind(fd, { family: 'IPv4', address: '127.0.0.1', port })
      return { fd, port }
    } catch (error) {
      close(fd)
      if (attempt === 50) throw error
    }
  }
}
