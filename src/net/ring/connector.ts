// Connects through a ring: tries one address after the other until one answers, within a time limit, unless
// it is aborted.

import { isIP } from 'node:net'
import type { SocketAddress } from '../../ring/index.js'
import { AbortError } from '../../runtime/index.js'
import { close } from '../../syscalls/libc.js'
import { addressesOf, ipAddress, placeOf, unixAddress } from '../address.js'
import type { ConnectOptions } from '../connect-options.js'
import { bindTo, connectedState, makeBlocking, openSocket } from '../descriptor.js'
import { allFailed, type NetError, netError, type Place, timedOut } from '../errors.js'
import { announced } from './announced.js'
import type { Hub } from './hub.js'
import { RingSocket } from './ring-socket.js'

const ATTEMPT_MS = 250

/** Rejects in the shape of node:net's errors, or with AbortError. */
export async function connectThroughRing(hub: Hub, options: ConnectOptions): Promise<RingSocket> {
  const { signal, fd } = options
  if (signal?.aborted) throw new AbortError(signal.reason)
  const connected = fd === undefined ? await open(hub, options) : adopt(fd)
  announced?.taken(connected)
  const socket = RingSocket.over(hub, connected, options, announced)
  if (signal !== undefined) watch(socket, signal)
  return socket
}

/** Destroys the connection on abort, for as long as it is open. */
function watch(socket: RingSocket, signal: AbortSignal): void {
  const onAbort = (): void => socket.destroy(new AbortError(signal.reason))
  if (signal.aborted) {
    onAbort()
    return
  }
  signal.addEventListener('abort', onAbort, { once: true })
  void socket.closed.then(() => signal.removeEventListener('abort', onAbort))
}

function adopt(fd: number): number {
  const state = connectedState(fd)
  if (state < 0) throw netError(state, 'open')
  makeBlocking(fd)
  return fd
}

async function open(hub: Hub, options: ConnectOptions): Promise<number> {
  const deadline = options.timeoutMs === undefined ? null : performance.now() + options.timeoutMs
  const addresses = await destinations(options, deadline)
  const errors: Error[] = []
  for (const [index, address] of addresses.entries()) {
    const isLast = index === addresses.length - 1
    const left = deadline === null ? undefined : Math.max(0, deadline - performance.now())
    const attempt = isLast ? undefined : (options.autoSelectFamilyAttemptTimeout ?? ATTEMPT_MS)
    const timeoutMs = Math.min(left ?? Number.POSITIVE_INFINITY, attempt ?? Number.POSITIVE_INFINITY)
    try {
      return await tryAddress(hub, address, options, timeoutMs)
    } catch (error) {
      if (options.signal?.aborted) throw error
      errors.push(error as Error)
      if (deadline !== null && performance.now() >= deadline) throw timedOut('connect', placeOf(address))
    }
  }
  throw allFailed(errors)
}

async function destinations(options: ConnectOptions, deadline: number | null): Promise<SocketAddress[]> {
  const { path, port = 0, host = 'localhost', family = 0, hints, lookup, localAddress } = options
  if (path !== undefined) return [unixAddress(path)]
  const all = (options.autoSelectFamily ?? true) && family === 0
  // With `localAddress` the other end must have an address of the same family.
  const needed = localAddress === undefined ? family : (isIP(localAddress) as 4 | 6)
  const lookedUp = aborted(options, addressesOf(host, { family: needed, hints, lookup, all }))
  const found = await (deadline === null ? lookedUp : inTime(lookedUp, deadline, { address: host, port }))
  return found.map((address) => ipAddress(address, port))
}

/** Settles as the promise does, or rejects with ETIMEDOUT if the deadline comes first. */
function inTime<T>(promise: Promise<T>, deadline: number, place: Place): Promise<T> {
  return new Promise((resolve, reject) => {
    const left = Math.max(0, deadline - performance.now())
    const timer = setTimeout(() => reject(timedOut('connect', place)), left)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** Settles as the promise does, or rejects if the abort comes first: a lookup cannot be stopped. */
function aborted<T>({ signal }: ConnectOptions, promise: Promise<T>): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new AbortError(signal.reason))
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

async function tryAddress(
  hub: Hub,
  address: SocketAddress,
  options: ConnectOptions,
  timeoutMs: number,
): Promise<number> {
  const { localAddress, localPort = 0, signal } = options
  const place = placeOf(address)
  const fd = openSocket(address, 'connect')
  // Before it connects: if the worker is terminated meanwhile, the other end would wait for ever.
  announced?.taken(fd)
  try {
    if (localAddress !== undefined || localPort !== 0) {
      const from = localAddress ?? (address.family === 'IPv6' ? '::' : '0.0.0.0')
      const bound = bindTo(fd, ipAddress(from, localPort))
      if (bound < 0) throw netError(bound, 'bind', { address: from, port: localPort })
    }
    const limit = Number.isFinite(timeoutMs) ? Math.ceil(timeoutMs) : undefined
    await hub.uring.connect(fd, address, { signal, timeoutMs: limit })
    return fd
  } catch (error) {
    // No operation uses the descriptor any more, so it can be closed.
    announced?.closing(fd)
    close(fd)
    const { code, errno } = error as NetError
    if (code === 'ABORT_ERR' || errno === undefined) throw error
    throw (error as NetError).syscall === 'bind' ? error : netError(errno, 'connect', place)
  }
}
