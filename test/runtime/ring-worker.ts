// The threads of workers.test.ts: what one does is told by `workerData.task`.

import { openSync, readdirSync, writeSync } from 'node:fs'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { Uring } from '../../src/index.js'
import { POLLIN } from '../../src/ring/index.js'
import { outcome, pipe, Signal } from './fixture.js'

interface Task {
  readonly task: string
  readonly path: string
  /** How a worker of a worker is started. */
  readonly code: string
}

const { task, path, code } = workerData as Task
const say = (message: unknown): void => parentPort!.postMessage(message)
const file = openSync(path, 'r')

/** Loops and waits of every kind, for ever. */
function work(uring: Uring): void {
  const loop = async (bytes: number, timeoutMs?: number): Promise<void> => {
    const buffer = Buffer.alloc(bytes)
    for (;;) {
      await uring.read(file, buffer, { offset: 0, ...(timeoutMs !== undefined && { timeoutMs }) })
      if (buffer[0] !== 1 || buffer[bytes - 1] !== 1) throw new Error('not what was written')
    }
  }
  for (let index = 0; index < 4; index++) {
    void loop(1000 + index)
    void loop(70_000, 1000)
  }
  const [readEnd, writeEnd] = pipe()
  const echo = async (): Promise<void> => {
    const heard = Buffer.alloc(64)
    for (;;) {
      await uring.write(writeEnd, Buffer.from('12345678'))
      await uring.read(readEnd, heard)
    }
  }
  void echo()
  const never = new Signal()
  for (let index = 0; index < 100; index++) {
    void uring.poll(never.fd, POLLIN).catch(() => {})
    void uring.read(never.fd, Buffer.alloc(4096), { timeoutMs: 50_000 }).catch(() => {})
  }
  const nap = async (): Promise<void> => {
    for (;;) await uring.timeout(1)
  }
  void nap()
}

const tasks: Record<string, () => Promise<void>> = {
  // Runs until it is terminated.
  async work() {
    work(Uring.open())
    say('up')
  },

  async workInPlace() {
    const uring = Uring.open({ zeroCopy: true })
    const never = new Signal()
    void uring.read(never.fd, Buffer.alloc(8)).catch(() => {})
    say('up')
  },

  // Ends by itself, with its ring open.
  async end() {
    const uring = Uring.open()
    const buffer = Buffer.alloc(5000)
    say([await uring.read(file, buffer, { offset: 0 }), buffer.every((byte) => byte === 1)])
  },

  async endPending() {
    const uring = Uring.open().unref()
    const never = new Signal()
    void uring.read(never.fd, Buffer.alloc(8)).catch(() => {})
    await uring.nop()
    say('up')
  },

  async exit() {
    work(Uring.open())
    setImmediate(() => process.exit(7))
  },

  async throw() {
    work(Uring.open())
    setImmediate(() => {
      throw new Error('thrown on purpose')
    })
  },

  // Data goes through driver memory here, with the same results.
  async copies() {
    const uring = Uring.open()
    const [readEnd, writeEnd] = pipe()
    const bytes = Buffer.alloc(300_000)
    const words = new Uint16Array(4)
    const results = {
      copies: uring.copies,
      isMainThread,
      large: await uring.read(file, bytes, { offset: 0 }),
      whole: bytes.every((byte) => byte === 1),
      part: await uring.read(file, words, { offset: 5, length: 3 }),
      words: [...words],
      written: await uring.write(writeEnd, Buffer.from('abcdef'), { length: 4 }),
      vector: await uring.writev(writeEnd, [Buffer.from('gh'), new Uint8Array(0), Buffer.from('ij')]),
      readv: 0,
      parts: [] as string[],
      stat: Number((await uring.statx(path)).size),
      shared: '',
      registered: '',
      missing: await outcome(uring.open('/does/not/exist')),
      blocks: 0,
    }
    const parts = [Buffer.alloc(3), Buffer.alloc(20, '.')]
    results.readv = await uring.readv(readEnd, parts)
    results.parts = parts.map(String)
    try {
      await uring.read(file, new Uint8Array(new SharedArrayBuffer(8)) as never)
    } catch (error) {
      results.shared = (error as { code: string }).code
    }
    try {
      await uring.read(file, bytes, { bufferIndex: 0 })
    } catch (error) {
      results.registered = (error as { code: string }).code
    }
    results.blocks = uring.driver.arena.blocksInUse
    say(results)
    await uring.close()
  },

  // A worker of a worker, and what is left of it in this thread when it was terminated.
  async nest() {
    const counts: number[] = []
    for (let round = 0; round < 3; round++) {
      const before = readdirSync('/proc/self/fd').length
      const inner = new Worker(code, { eval: true, workerData: { task: 'work', path, code } })
      await new Promise((resolve) => inner.once('message', resolve))
      await inner.terminate()
      await new Promise((resolve) => setTimeout(resolve, 50))
      counts.push(readdirSync('/proc/self/fd').length - before)
    }
    say(counts)
    // One more, to be ended together with this thread.
    const inner = new Worker(code, { eval: true, workerData: { task: 'work', path, code } })
    inner.once('message', () => {
      work(Uring.open())
      say('up')
    })
  },
}

writeSync(2, '')
await tasks[task]!()
