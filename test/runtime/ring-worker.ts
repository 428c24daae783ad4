// The threads of workers.test.ts: what one does is told by `workerData.task`.

import { openSync } from 'node:fs'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { Uring } from '../../src/index.js'
import { type Fd, POLLIN } from '../../src/ring/index.js'
import { descriptorCount } from '../descriptors.js'

interface Task {
  readonly task: string
  readonly path: string
  readonly fifo: string
  /** This program, for a worker of a worker. */
  readonly program: string
}

const { task, path, fifo, program } = workerData as Task
const say = (message: unknown): void => parentPort!.postMessage(message)
const file = openSync(path, 'r')

// Node closes what a terminated worker has opened through node:fs.
function openFifo(): Fd {
  return openSync(fifo, 'r+')
}

/** Loops and waits of every kind, for ever. */
function work(uring: Uring): void {
  let reads = 0
  const loop = async (bytes: number, timeoutMs?: number): Promise<void> => {
    const buffer = Buffer.alloc(bytes)
    for (;;) {
      await uring.read(file, buffer, { offset: 0, ...(timeoutMs !== undefined && { timeoutMs }) })
      if (buffer[0] !== 1 || buffer[bytes - 1] !== 1) throw new Error('not what was written')
      // Others are starting meanwhile.
      if (++reads % 16 === 0) await uring.timeout(1)
    }
  }
  for (let index = 0; index < 4; index++) {
    void loop(1000 + index)
    void loop(70_000, 1000)
  }
  const never = openFifo()
  for (let index = 0; index < 100; index++) {
    void uring.poll(never, POLLIN).catch(() => {})
    void uring.read(never, Buffer.alloc(4096), { timeoutMs: 50_000 }).catch(() => {})
  }
  const nap = async (): Promise<void> => {
    for (;;) await uring.timeout(1)
  }
  void nap()
}

/** A pool's buffers are memory of the driver: they serve in place, with and without their index. */
async function registered(uring: Uring, results: { pool: unknown[] }): Promise<void> {
  const pool = uring.registerBufferPool({ count: 2, size: 8192 })
  const [first, second] = [await pool.acquire(), await pool.acquire()]
  const { blocksInUse } = uring.driver.arena
  const reading = uring.read(file, first.bytes, { offset: 0, bufferIndex: first.index })
  const plain = uring.read(file, second.bytes, {
    offset: 0,
    length: 100,
    signal: new AbortController().signal,
  })
  results.pool.push(uring.driver.arena.blocksInUse - blocksInUse)
  results.pool.push(
    await reading,
    await plain,
    first.bytes.every((byte) => byte === 1),
  )
  const echo = openFifo()
  first.bytes.write('in place')
  const options = { length: 8, bufferIndex: first.index }
  results.pool.push(await uring.write(echo, first.bytes, options), await uring.read(echo, second.bytes))
  results.pool.push(second.bytes.toString('latin1', 0, 8))
  // What is not the pool's memory is refused by the kernel on a main thread, and here before that.
  try {
    await uring.write(echo, Buffer.alloc(8), { bufferIndex: first.index })
  } catch (error) {
    results.pool.push((error as { code: string }).code)
  }
  first.release()
  second.release()
  pool.close()
}

const tasks: Record<string, () => Promise<void>> = {
  // Runs until it is terminated.
  async work() {
    const uring = Uring.open()
    work(uring)
    // A block that would be missed: 16 MiB of driver memory.
    await uring.read(file, Buffer.alloc(1 << 24), { offset: 0 })
    say('up')
  },

  // The same with buffer groups, whose queues are mapped apart from the driver's other memory.
  async groups() {
    const uring = Uring.open()
    for (let index = 0; index < 8; index++) uring.createBufferGroup({ count: 32768, size: 64 })
    // One that was closed before is no longer the worker's to be reclaimed.
    uring.createBufferGroup({ count: 4096, size: 64 }).close()
    // Neither ended nor collected until it is terminated.
    setInterval(() => uring.flush(), 1000)
    say('up')
  },

  async workInPlace() {
    const uring = Uring.open({ zeroCopy: true })
    void uring.read(openFifo(), Buffer.alloc(8)).catch(() => {})
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
    void uring.read(openFifo(), Buffer.alloc(8)).catch(() => {})
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
    const echo = openFifo()
    const bytes = Buffer.alloc(300_000)
    const words = new Uint16Array(4)
    const results = {
      copies: uring.copies,
      isMainThread,
      large: await uring.read(file, bytes, { offset: 0 }),
      whole: bytes.every((byte) => byte === 1),
      part: await uring.read(file, words, { offset: 5, length: 3 }),
      words: [...words],
      written: await uring.write(echo, Buffer.from('abcdef'), { length: 4 }),
      vector: await uring.writev(echo, [Buffer.from('gh'), new Uint8Array(0), Buffer.from('ij')]),
      readv: 0,
      parts: [] as string[],
      stat: Number((await uring.statx(path)).size),
      shared: '',
      registered: '',
      pool: [] as unknown[],
      missing: await uring.open('/does/not/exist').catch((error) => error.code),
      blocks: 0,
    }
    const parts = [Buffer.alloc(3), Buffer.alloc(20, '.')]
    results.readv = await uring.readv(echo, parts)
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
    await registered(uring, results)
    results.blocks = uring.driver.arena.blocksInUse
    say(results)
    await uring.close()
  },

  // A worker of a worker, and what is left of it in this thread when it was terminated.
  async nest() {
    const counts: number[] = []
    // Newer Nodes close what they have opened to start this thread a little later.
    await new Promise((resolve) => setTimeout(resolve, 100))
    for (let round = 0; round < 3; round++) {
      const before = descriptorCount()
      const inner = new Worker(program, { workerData: { task: 'work', path, fifo, program } })
      await new Promise((resolve) => inner.once('message', resolve))
      await inner.terminate()
      await new Promise((resolve) => setTimeout(resolve, 50))
      counts.push(descriptorCount() - before)
    }
    say(counts)
    // One more, to be ended together with this thread.
    const inner = new Worker(program, { workerData: { task: 'work', path, fifo, program } })
    inner.once('message', () => {
      work(Uring.open())
      say('up')
    })
  },
}

await tasks[task]!()
