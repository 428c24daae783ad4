// The worker threads of a server, seen from the thread that owns the server: starts them, chooses one for
// each connection, replaces one that died and closes what it left open, and ends them.

import { setTimeout as delay } from 'node:timers/promises'
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import { MOST_DESCRIPTORS } from '../../runtime/descriptor-table.js'
import type { Uring } from '../../runtime/index.js'
import type { RingEndpoint } from '../../runtime/messages.js'
import { throwLater } from '../../runtime/throw-later.js'
import { close } from '../../syscalls/libc.js'
import type { ConnectionTarget } from '../ring/local-connections.js'
import type { ServerOptions } from '../server.js'
import { ConnectionLimit } from './connection-limit.js'
import { SharedState } from './shared-state.js'
import {
  THREAD_MODULE,
  type ThreadConfig,
  type ThreadNews,
  type ThreadOrder,
  type ThreadStart,
} from './thread.js'

/** Delay before a worker that has died is replaced, so that one that keeps dying does not spin. */
const REPLACE_MS = 100

interface Thread {
  readonly worker: Worker
  readonly port: MessagePort
  readonly state: SharedState
  /** Its index among the threads; its replacement gets the same. */
  readonly index: number
  readonly limit: ConnectionLimit | null
  /** Its ring, to send connections to; null when they go through the port, or it accepts for itself. */
  endpoint: RingEndpoint | null
  isReady: boolean
  /** It was told to drain, and has no connection left. */
  isIdle: boolean
  /**
   * Resolves when it is ready or has failed. A thread must not be terminated while it imports this package:
   * koffi then aborts the process.
   */
  started: Promise<void>
}

/** How long a thread may go on importing before it is terminated. Its handler may import for ever. */
const START_TIMEOUT_MS = 2000

/** Opens a listening socket for one thread; -1 where connections are handed over. */
export type ListenFor = () => number

export class WorkerPool implements ConnectionTarget {
  onClosed: (() => void) | null = null
  readonly #uring: Uring | null
  readonly #config: ThreadConfig
  readonly #count: number
  readonly #workerData: unknown
  readonly #listenFor: ListenFor
  readonly #maxConnections: number | undefined
  readonly #limitMemory: SharedArrayBuffer
  readonly #threads = new Set<Thread>()
  #isEnding = false
  #isDraining = false

  /** @param uring - Hands connections over; null when the threads listen for themselves. */
  constructor(uring: Uring | null, options: ServerOptions, handler: URL, listenFor: ListenFor = () => -1) {
    const {
      workers = 0,
      workerData,
      uring: _,
      distribution: __,
      onError: ___,
      maxConnections,
      ...told
    } = options
    this.#uring = uring
    this.#config = { handler: handler.href, options: told }
    this.#count = workers
    this.#workerData = workerData
    this.#listenFor = listenFor
    // Where connections are handed over, the thread that accepts them enforces the limit.
    this.#maxConnections = uring === null ? maxConnections : undefined
    this.#limitMemory = new SharedArrayBuffer(4 * workers)
  }

  get connections(): number {
    let sum = 0
    for (const { state } of this.#threads) sum += state.connections
    return sum
  }

  /** After `drain`: no thread has a connection left. */
  get idle(): boolean {
    for (const { isIdle } of this.#threads) if (!isIdle) return false
    return true
  }

  /** Resolves when every thread takes connections; rejects when one cannot. */
  async open(): Promise<void> {
    this.#isEnding = false
    this.#isDraining = false
    try {
      await Promise.all(Array.from({ length: this.#count }, (_, index) => this.#start(index)))
    } catch (error) {
      await this.close()
      throw error
    }
  }

  take(fd: number): void {
    const thread = this.#leastBusy()
    if (thread === null || fd >= MOST_DESCRIPTORS) {
      close(fd)
      if (thread !== null) throw new RangeError(`Descriptor ${fd} is too high to be handed to a worker`)
      return
    }
    thread.state.given(fd)
    if (thread.endpoint === null) this.#order(thread, { order: 'take', fd })
    else this.#handOver(thread, thread.endpoint, fd)
  }

  drain(): void {
    this.#isDraining = true
    this.#orderAll('drain')
  }

  destroyAll(): void {
    this.#isDraining = true
    this.#orderAll('destroy')
  }

  async close(): Promise<void> {
    this.#isEnding = true
    await Promise.all(
      [...this.#threads].map(async ({ worker, started }) => {
        await Promise.race([started, delay(START_TIMEOUT_MS, undefined, { ref: false })])
        await worker.terminate()
      }),
    )
  }

  #orderAll(order: 'drain' | 'destroy'): void {
    for (const thread of this.#threads) {
      this.#order(thread, { order })
      // Keeps the process alive until the thread answers.
      thread.worker.ref()
    }
  }

  #order({ port }: Thread, order: ThreadOrder): void {
    port.postMessage(order)
  }

  #handOver(thread: Thread, endpoint: RingEndpoint, fd: number): void {
    this.#uring!.postMessage(endpoint, { value: fd }).catch(() => {
      // Before Linux 5.18, or where a ring may not send messages: from now on this thread gets connections
      // through its port. If the ring has failed, the message may have arrived all the same: the thread then
      // takes the first of the two. If the thread has died, `#onExit` closes the descriptor, or has done so.
      thread.endpoint = null
      if (this.#threads.has(thread)) this.#order(thread, { order: 'take', fd })
    })
  }

  #leastBusy(): Thread | null {
    let best: Thread | null = null
    let fewest = Number.POSITIVE_INFINITY
    for (const thread of this.#threads) {
      const { connections } = thread.state
      if (!thread.isReady || connections >= fewest) continue
      best = thread
      fewest = connections
    }
    return best
  }

  #start(index: number): Promise<void> {
    const { port1: port, port2 } = new MessageChannel()
    const state = new SharedState()
    const maxConnections = this.#maxConnections
    const limit = maxConnections === undefined ? null : { memory: this.#limitMemory, index, maxConnections }
    const listenFd = this.#listenFor()
    // The thread owns the socket once it listens. If it ends before that, `#onExit` closes the socket.
    if (listenFd >= 0) state.holds(listenFd)
    const config = JSON.stringify(this.#config)
    const code = `import(${JSON.stringify(THREAD_MODULE)}).then((net) => net.serveConnections(${config}))`
    const worker = new Worker(code, { eval: true, workerData: this.#workerData })
    const thread: Thread = {
      worker,
      port,
      state,
      index,
      limit: limit && new ConnectionLimit(limit),
      endpoint: null,
      isReady: false,
      isIdle: false,
      started: Promise.resolve(),
    }
    this.#threads.add(thread)
    const start: ThreadStart = { memory: state.memory, port: port2, listenFd, limit }
    worker.postMessage(start, [port2])
    const started = new Promise<void>((resolve, reject) => {
      port.on('message', ({ endpoint, isIdle }: ThreadNews) => {
        if (isIdle) {
          thread.isIdle = true
          this.onClosed?.()
        }
        if (endpoint === undefined) return
        thread.endpoint = endpoint
        thread.isReady = true
        // The listening socket keeps the process alive, as without workers.
        worker.unref()
        resolve()
      })
      port.unref()
      worker.on('error', (error) => {
        if (thread.isReady) throwLater(error)
        reject(error)
      })
      worker.on('exit', () => {
        reject(new Error('A worker of the server ended before it was ready'))
        this.#onExit(thread)
      })
    })
    thread.started = started.catch(() => {})
    return started
  }

  #onExit(thread: Thread): void {
    thread.port.close()
    this.#threads.delete(thread)
    for (const fd of thread.state.descriptors()) close(fd)
    thread.limit?.reset()
    this.onClosed?.()
    if (this.#isEnding || this.#isDraining || !thread.isReady) return
    const replace = (): void => {
      if (this.#isEnding || this.#isDraining) return
      this.#start(thread.index).catch((error) => {
        if (!this.#isEnding && !this.#isDraining) throwLater(error)
      })
    }
    setTimeout(replace, REPLACE_MS).unref()
  }
}
