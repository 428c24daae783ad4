// What the opcode tests share: a ring, one operation at a time on it, memory that outlives the operation, and sockets
// made without the ring, whose own operations for that are young. Nothing waits longer than WAIT_MS.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BufferRing } from '../../../src/ring/buffer-ring.js'
import {
  cString,
  type SocketAddress,
  type SocketAddressMemory,
  socketAddress,
} from '../../../src/ring/memory/index.js'
import { prepAccept, prepConnect } from '../../../src/ring/prep/index.js'
import { Ring } from '../../../src/ring/ring.js'
import type { RingOptions } from '../../../src/ring/setup.js'
import type { Sqe } from '../../../src/ring/sqe.js'
import { AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_STREAM } from '../../../src/syscalls/abi/index.js'
import { errnoName } from '../../../src/syscalls/errno.js'
import * as libc from '../../../src/syscalls/libc.js'
import { close, pipe2 } from '../../../src/syscalls/libc.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { PATIENCE } from '../../patience.js'
import { plainSocket, succeeded } from '../../plain-sockets.js'

/** How long an operation may take before its test fails. */
export const WAIT_MS = 5000 * PATIENCE

// The optimizer may let go of a variable after its last use, while the kernel still has its address: what an SQE points
// to is kept for the life of the process.
const kept: unknown[] = []

export function keep<T>(value: T): T {
  kept.push(value)
  return value
}

/** Zeroed memory, or memory that holds a text. */
export function memory(content: number | string): Uint8Array<ArrayBuffer> {
  const source = typeof content === 'string' ? Buffer.from(content) : new Uint8Array(content)
  const bytes = new Uint8Array(new ArrayBuffer(source.byteLength))
  bytes.set(source)
  return keep(bytes)
}

/** Address of a NUL-terminated string. */
export function at(text: string): number {
  return keep(cString(text)).address
}

export function text(bytes: Uint8Array, length = bytes.byteLength): string {
  return Buffer.from(bytes.subarray(0, length)).toString()
}

let folder: string | undefined

/** A path in a directory that is removed when the process ends. */
export function temporary(name: string): string {
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'uring-opcodes-'))
    folder = made
    process.on('exit', () => rmSync(made, { recursive: true, force: true }))
  }
  return join(folder, name)
}

export function openRing(options: Partial<RingOptions> = {}): Ring {
  return Ring.open({ entries: 32, ...options })
}

export interface Completion {
  readonly userData: number
  readonly res: number
  readonly flags: number
}

/** Takes the next free entry. */
export function next(ring: Ring): Sqe {
  const sqe = ring.getSqe()
  if (sqe === null) throw new Error('the submission queue is full')
  return sqe
}

// Completions that have arrived and that no test has asked for yet: a zero-copy send may post both of its at once.
const arrived = new WeakMap<Ring, Completion[]>()

/**
 * Submits what was prepared and takes the next `count` completions, waiting as needed. Operations complete in any order,
 * so they are sorted by user_data; those of one operation keep their order.
 */
export function complete(ring: Ring, count: number): Completion[] {
  const found = arrived.get(ring) ?? []
  arrived.set(ring, found)
  const deadline = performance.now() + WAIT_MS
  do {
    const left = deadline - performance.now()
    if (left <= 0) throw new Error(`only ${found.length} of ${count} completions in ${WAIT_MS} ms`)
    ring.submitAndWait(Math.max(0, count - found.length), left)
    ring.forEachCqe((userData, _high, res, flags) => found.push({ userData, res, flags }))
  } while (found.length < count)
  return found.splice(0, count).sort((a, b) => a.userData - b.userData)
}

/** Runs one operation to its only completion. */
export function run(ring: Ring, prepare: (sqe: Sqe) => unknown): Completion {
  prepare(next(ring))
  return complete(ring, 1)[0]!
}

/** The result of one operation: a number, or the name of its error. */
export function result(ring: Ring, prepare: (sqe: Sqe) => unknown): number | string {
  return named(run(ring, prepare).res)
}

export function named(res: number): number | string {
  return res < 0 ? errnoName(res) : res
}

/** The result of an operation that must succeed. */
export function must(ring: Ring, prepare: (sqe: Sqe) => unknown): number {
  const { res } = run(ring, prepare)
  if (res < 0) throw new Error(`the operation failed: ${errnoName(res)}`)
  return res
}

/** Nothing completes within some milliseconds. */
export function isQuiet(ring: Ring, ms = 20): boolean {
  ring.submitAndWait(1, ms)
  return ring.cqReady === 0 && (arrived.get(ring) ?? []).length === 0
}

let sockets = 0

export interface Listener {
  readonly fd: number
  readonly address: SocketAddressMemory
}

/** A listening Unix socket in the abstract namespace. */
export function listen(): Listener {
  sockets++
  return listenOn({ family: 'unix', abstract: `uring-test-${process.pid}-${sockets}` })
}

/** A listening stream socket. */
export function listenOn(where: SocketAddress): Listener {
  const address = keep(socketAddress(where))
  const fd = plainSocket(address.family, SOCK_STREAM)
  bindTo(fd, address)
  succeeded('listen', libc.listen(fd, 16))
  return { fd, address }
}

/** Gives a socket its name. */
export function bindTo(fd: number, { address, length }: SocketAddressMemory): void {
  succeeded('bind', libc.bind(fd, address, length))
}

const EADDRINUSE = -98

// Test files run side by side, so each process starts at a port of its own and goes on when one is taken.
let port = 20000 + (process.pid % 4000) * 10

/** Binds to a free port of this machine. */
export function bindLocal(fd: number, family: 'IPv4' | 'IPv6' = 'IPv4'): SocketAddressMemory {
  for (let attempt = 0; attempt < 100; attempt++) {
    port = port >= 60000 ? 20000 : port + 1
    const local = family === 'IPv4' ? '127.0.0.1' : '::1'
    const address = keep(socketAddress({ family, address: local, port }))
    const outcome = libc.bind(fd, address.address, address.length)
    if (outcome === EADDRINUSE) continue
    succeeded('bind', outcome)
    return address
  }
  throw new Error('no free port')
}

/** A listening TCP socket. */
export function listenTcp(family: 'IPv4' | 'IPv6' = 'IPv4'): Listener {
  const fd = plainSocket(family === 'IPv4' ? AF_INET : AF_INET6, SOCK_STREAM)
  const address = bindLocal(fd, family)
  succeeded('listen', libc.listen(fd, 16))
  return { fd, address }
}

export interface DatagramPair {
  readonly a: number
  readonly b: number
  /** Where `a` is bound. */
  readonly from: SocketAddressMemory
  /** Where `b` is bound. */
  readonly to: SocketAddressMemory
  [Symbol.dispose](): void
}

/** Two bound UDP sockets. */
export function datagramPair(): DatagramPair {
  const [a, b] = [plainSocket(AF_INET, SOCK_DGRAM), plainSocket(AF_INET, SOCK_DGRAM)]
  return { a, b, from: bindLocal(a), to: bindLocal(b), [Symbol.dispose]: () => closeAll(a, b) }
}

/** A new socket, connected. */
export function connectTo(ring: Ring, { address }: Listener): number {
  const fd = plainSocket(address.family, SOCK_STREAM)
  must(ring, (sqe) => prepConnect(sqe, fd, address.address, address.length))
  return fd
}

/** Two connected stream sockets, closed by `dispose`. */
export function socketPair(
  ring: Ring,
  listener = listen(),
): { a: number; b: number; [Symbol.dispose](): void } {
  const a = connectTo(ring, listener)
  const b = must(ring, (sqe) => prepAccept(sqe, listener.fd, 0, 0, SOCK_CLOEXEC))
  close(listener.fd)
  return { a, b, [Symbol.dispose]: () => closeAll(a, b) }
}

export function closeAll(...fds: number[]): void {
  for (const fd of fds) close(fd)
}

/** The two ends of a pipe. */
export interface Pipe {
  readonly reading: number
  readonly writing: number
  [Symbol.dispose](): void
}

export function pipe(): Pipe {
  const fds = new Int32Array(new ArrayBuffer(8))
  const outcome = pipe2(addressOf(fds), 0)
  if (outcome < 0) throw new Error(`pipe2 failed: ${errnoName(outcome)}`)
  const [reading, writing] = fds as unknown as [number, number]
  return { reading, writing, [Symbol.dispose]: () => closeAll(reading, writing) }
}

/** Registers a buffer group and gives all its buffers to the kernel. Linux 5.19. */
export function provideRing(
  ring: Ring,
  group: number,
  count: number,
  bufferBytes: number,
): Uint8Array<ArrayBuffer>[] {
  const buffers = BufferRing.setup(ring, { group, entries: count, bufferBytes })
  return Array.from({ length: count }, (_, bid) => buffers.bytes(bid, 0, bufferBytes))
}
