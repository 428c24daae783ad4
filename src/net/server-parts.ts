// What all kinds of servers share: their life cycle (listen, close on request or on abort, destroy
// connections at a deadline), resolving the host to listen on, and removing the file of a Unix socket.

import { unlinkSync } from 'node:fs'
import { type AddressInfo, isIP } from 'node:net'
import { AbortError } from '../runtime/index.js'
import { addressesOf } from './address.js'
import { alreadyListening, notRunning } from './errors.js'
import { checkCloseOptions, checkListenOptions } from './options.js'
import type { CloseOptions, ListenOptions } from './server.js'

/** Whether there is no host name to look up. */
export function isResolved(host: string | undefined): boolean {
  return host === undefined || isIP(host) !== 0
}

/** The first address of a host name. */
export async function firstAddressOf(host: string): Promise<string | undefined> {
  return (await addressesOf(host, { family: 0, all: false }))[0]
}

/** The life cycle of a server, whichever backend carries it: it listens, closes, may then listen again. */
export abstract class ServerLife {
  /** The deadline is over: connections were destroyed, and those that still arrive are closed, too. */
  protected isCut = false
  /** True from the call of `listen` until `close` is done. */
  #isListening = false
  /** While `open` runs: resolves to whether it succeeded, which `close` waits for. */
  #opening: Promise<boolean> | null = null
  #closing: Promise<void> | null = null
  #deadline: NodeJS.Timeout | null = null
  #stopWatching: (() => void) | null = null

  abstract get listening(): boolean
  abstract address(): AddressInfo | string | null

  /** Starts to listen. It may stop half-way if the server is being closed. */
  protected abstract open(options: ListenOptions): Promise<void>
  /** Releases what `open` made before it failed. */
  protected abstract openFailed(): Promise<void> | void
  /** Accepts no more connections. Resolves when the last one is closed. */
  protected abstract end(): Promise<void>
  protected abstract destroyAll(): void

  get port(): number | undefined {
    const address = this.address()
    return typeof address === 'object' ? address?.port : undefined
  }

  protected get isClosing(): boolean {
    return this.#closing !== null
  }

  async listen(options: ListenOptions = { port: 0 }): Promise<void> {
    checkListenOptions(options)
    if (this.#isListening) throw alreadyListening()
    const { signal } = options
    if (signal?.aborted) throw new AbortError(signal.reason)
    this.#isListening = true
    this.isCut = false
    this.#closing = null
    const opening = this.#open(options)
    this.#opening = opening.then(yes, no)
    try {
      await opening
    } catch (error) {
      this.#isListening = false
      throw error
    } finally {
      this.#opening = null
    }
    if (signal?.aborted) {
      if (this.listening) await this.close({ deadlineMs: 0 })
      throw new AbortError(signal.reason)
    }
    if (signal !== undefined) this.#closeOnAbort(signal)
  }

  close(options: CloseOptions = {}): Promise<void> {
    try {
      checkCloseOptions(options)
    } catch (error) {
      return Promise.reject(error)
    }
    if (this.#closing === null) {
      if (!this.#isListening) return Promise.reject(notRunning())
      this.#closing = this.#close()
    }
    const { deadlineMs } = options
    if (deadlineMs !== undefined) void this.#cutAfter(deadlineMs)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isListening || this.#closing !== null) await this.close({ deadlineMs: 0 })
  }

  async #open(options: ListenOptions): Promise<void> {
    try {
      await this.open(options)
    } catch (error) {
      await this.openFailed()
      throw error
    }
  }

  async #close(): Promise<void> {
    this.#stopWatching?.()
    // If `open` failed, there is nothing left to end.
    if (this.#opening !== null && !(await this.#opening)) return
    await this.end()
    this.#clearDeadline()
    this.#isListening = false
  }

  /** @param deadlineMs - 0 for now. A later call replaces the deadline of an earlier one. */
  async #cutAfter(deadlineMs: number): Promise<void> {
    if (this.#opening !== null) await this.#opening
    if (!this.#isListening) return
    this.#clearDeadline()
    const cut = (): void => {
      this.isCut = true
      this.destroyAll()
    }
    if (deadlineMs === 0) cut()
    else this.#deadline = setTimeout(cut, deadlineMs)
  }

  #clearDeadline(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline)
    this.#deadline = null
  }

  #closeOnAbort(signal: AbortSignal): void {
    const onAbort = (): void => {
      if (this.listening) void this.close()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    this.#stopWatching = () => signal.removeEventListener('abort', onAbort)
  }
}

/** Removes the file of a Unix socket, which bind(2) has made. */
export function removeSocketFile(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // Somebody else has removed it.
  }
}

function yes(): boolean {
  return true
}

function no(): boolean {
  return false
}
