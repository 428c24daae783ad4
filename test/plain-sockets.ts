// Sockets made without the ring, whose own operations for that are young.

import { errnoName, SOCK_CLOEXEC } from '../src/ring/index.js'
import { socket } from '../src/syscalls/libc.js'

/** Throws what a call answered when it failed; returns it otherwise. */
export function succeeded(what: string, result: number): number {
  if (result < 0) throw new Error(`${what} failed: ${errnoName(result)}`)
  return result
}

/** A socket that is neither bound nor connected. */
export function plainSocket(domain: number, type: number): number {
  return succeeded('socket', socket(domain, type | SOCK_CLOEXEC, 0))
}
