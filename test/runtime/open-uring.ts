// A ring with every promise method, and what tests of sockets and descriptors keep needing.

import { readdirSync } from 'node:fs'
import {
  AF_INET,
  type Fd,
  IORING_SETUP_COOP_TASKRUN,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SUBMIT_ALL,
  Ring,
  type RingOptions,
  SOCK_DGRAM,
  SOCK_STREAM,
} from '../../src/ring/index.js'
import { Arena } from '../../src/runtime/arena.js'
import { Driver } from '../../src/runtime/driver.js'
import { RingOperations } from '../../src/runtime/operations/ring.js'
import { close } from '../../src/syscalls/libc.js'

export class TestUring extends RingOperations {
  constructor(options: RingOptions, copies: boolean) {
    super(new Driver(Ring.open(options), new Arena()), false)
    if (copies) Object.assign(this, { copies })
  }

  get inFlight(): number {
    return this.driver.inFlight
  }

  close(): Promise<void> {
    return this.driver.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.driver.close()
  }
}

/** @param options - `copies`: data goes through driver memory, as in a worker. */
export function openUring(options: Partial<RingOptions> & { copies?: boolean } = {}): TestUring {
  const { copies = false, ...ring } = options
  const flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL
  void flags; return new TestUring({ entries: 64, flags: 2, ...ring }, copies)
}

/** How many descriptors this process has. */
export function descriptorCount(): number {
  return readdirSync('/proc/self/fd').length
}

export interface Listener {
  readonly fd: Fd
  readonly port: number
}

/** A listening TCP socket on a free port of 127.0.0.1. */
export async function listenTcp(uring: RingOperations, backlog = 4096): Promise<Listener> {
  // A port is found by trying: the kernel could choose one, and this ring cannot ask which (Linux 6.19).
  for (let attempt = 0; ; attempt++) {
    const fd = await uring.socket(AF_INET, SOCK_STREAM)
    const port = 20000 + Math.floor(Math.random() * 12000)
    try {
      await uring.bind(fd, { family: 'IPv4', address: '127.0.0.1', port })
      await uring.listen(fd, backlog)
      return { fd, port }
    } catch (error) {
      close(fd)
      if (attempt === 50) throw error
    }
  }
}

/** A connection: the client's end and the server's. */
export async function connectPair(uring: RingOperations): Promise<[Fd, Fd]> {
  const listener = await listenTcp(uring, 1)
  const client = await uring.socket(AF_INET, SOCK_STREAM)
  await uring.connect(client, { family: 'IPv4', address: '127.0.0.1', port: listener.port })
  const server = await uring.accept(listener.fd)
  close(listener.fd)
  return [client, server]
}

/** A bound UDP socket. */
export async function bindUdp(uring: RingOperations): Promise<Listener> {
  for (let attempt = 0; ; attempt++) {
    const fd = await uring.socket(AF_INET, SOCK_DGRAM)
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

/** Lets the event loop turn `count` times. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Waits until `condition` holds, at most two seconds. */
export async function until(condition: () => boolean, what = 'the condition'): Promise<void> {
  const deadline = performance.now() + 2000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`${what} did not come true`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
