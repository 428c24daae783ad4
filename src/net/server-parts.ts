// What every kind of server does alike: resolve where it listens, close when a signal says so, cut connections at a deadline,
// remove the name of its Unix socket.

import { unlinkSync } from 'node:fs'
import { isIP } from 'node:net'
import { AbortError } from '../runtime/index.js'
import { addressesOf } from './address.js'
import type { Server } from './server.js'

/** Whether there is no name to resolve. */
export function isResolved(host: string | undefined): boolean {
  return host === undefined || isIP(host) !== 0
}

/** The first address of a host name. */
export async function firstAddressOf(host: string): Promise<string | undefined> {
  return (await addressesOf(host, { family: 0, all: false }))[0]
}

/** Closes a server again whose signal was aborted while it was being opened. @throws AbortError. */
export async function closeIfAborted(server: Server, signal: AbortSignal | undefined): Promise<void> {
  if (!signal?.aborted) return
  if (server.listening) await server.close({ deadlineMs: 0 })
  throw new AbortError(signal.reason)
}

/** Closes the server when the signal is aborted. @returns Ends that. */
export function closeOnAbort(server: Server, signal: AbortSignal): () => void {
  const onAbort = (): void => {
    if (server.listening) void server.close()
  }
  signal.addEventListener('abort', onAbort, { once: true })
  return () => signal.removeEventListener('abort', onAbort)
}

/** When the connections of a server that is closing are cut. */
export class Deadline {
  #timer: NodeJS.Timeout | null = null

  /** @param deadlineMs - 0 for now. A later call replaces the deadline of an earlier one. */
  set(deadlineMs: number, cut: () => void): void {
    this.clear()
    if (deadlineMs === 0) cut()
    else this.#timer = setTimeout(cut, deadlineMs)
  }

  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}

/** Removes what bind(2) has made in the file system. */
export function removeSocketFile(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // Somebody else has removed it.
  }
}
