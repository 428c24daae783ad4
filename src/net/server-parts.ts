// What every kind of server does alike: live, that is listen, close when a signal says so and cut connections at a deadline;
// resolve where it listens, remove the name of its Unix socket.

import { unlinkSync } from 'node:fs'
import { isIP } from 'node:net'
import { AbortError } from '../runtime/index.js'
import { addressesOf } from './address.js'
import { alreadyListening, notRunning } from './errors.js'
import { checkCloseOptions, checkListenOptions } from './options.js'
import type { CloseOptions, ListenOptions } from './server.js'

/** Whether there is no name to resolve. */
export function isResolved(host: string | undefined): boolean {
  return host === undefined || isIP(host) !== 0
}

/** The first address of a host name. */
export async function firstAddressOf(host: string): Promise<string | undefined> {
  return (await addressesOf(host, { family: 0, all: false }))[0]
}

/** The life of a server, whatever carries it: it listens, closes once, and may listen again then. */
export abstract class ServerLife {
  /** Its connections were destroyed at the deadline: so are those that still come. */
  protected isCut = false
  /** From the call of `listen` on, until `close` has come to its end. */
  #isListening = false
  /** Whether `open` succeeds, while it runs: closing waits for that. */
  #opening: Promise<boolean> | null = null
  #closing: Promise<void> | null = null
  #deadline: NodeJS.Timeout | null = null
  #stopWatching: (() => void) | null = null

  abstract get listening(): boolean

  /** Starts to listen. It may stop half-way when it finds itself closing. */
  protected abstract open(options: ListenOptions): Promise<void>
  /** Gives up what `open` has made before it failed. */
  protected abstract openFailed(): Promise<void> | void
  /** Takes no more connections. Resolves when the last one is closed. */
  protected abstract end(): Promise<void>
  protected abstract destroyAll(): void

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
    // What failed to open has nothing left to end.
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

/** Removes what bind(2) has made in the file system. */
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
