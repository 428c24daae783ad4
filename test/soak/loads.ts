// What a soak keeps doing: files, echo over connections that come and go, cancels, workers, copies. Each checks its own
// bytes and throws when one is missing, doubled or another's.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { appendFile, open, readFile, rename, stat, unlink, writeFile } from '../../src/fs/index.js'
import type { Uring } from '../../src/index.js'
import { connect, createServer, type Server } from '../../src/net/index.js'
import { copyFile } from '../../src/transfer/index.js'
import { Random } from '../faults/random.js'
import { Signal } from '../runtime/fixture.js'
import { startWorker } from '../runtime/open-uring.js'
import { Pattern } from './bytes.js'
import type { Gate } from './gate.js'

/** What has been done so far. */
export interface Tally {
  bytes: number
  fileRounds: number
  connections: number
  resets: number
  cancels: number
  workers: number
  copies: number
}

export interface Soil {
  readonly gate: Gate
  readonly tally: Tally
  readonly folder: string
  readonly seed: number
}

/** Whole files, handles, durable appends. */
export async function files(soil: Soil, id: number): Promise<void> {
  const random = new Random(soil.seed + id)
  const path = join(soil.folder, `file-${id}`)
  await soil.gate.repeat(`files ${id}`, async () => {
    const pattern = new Pattern(random.integer(0, 2 ** 31))
    let length = random.integer(0, 300_000)
    await writeFile(path, pattern.bytes(0, length))
    for (let appends = random.integer(0, 3); appends > 0; appends--) {
      const more = pattern.bytes(length, random.integer(1, 20_000))
      await appendFile(path, more, { durable: random.chance(0.05) })
      length += more.length
    }
    const renamed = `${path}-renamed`
    await rename(path, renamed)
    const whole = await readFile(renamed)
    if (whole.length !== length) throw new Error(`readFile: ${whole.length} bytes of ${length}`)
    pattern.check(0, whole, 'readFile')
    const { size } = await stat(renamed)
    if (size !== length) throw new Error(`stat: ${size} bytes of ${length}`)
    const handle = await open(renamed, 'r')
    const reads = Array.from({ length: 8 }, async () => {
      const start = random.integer(0, length)
      const buffer = Buffer.allocUnsafe(random.integer(1, 8192))
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, start)
      if (bytesRead !== Math.min(buffer.length, length - start)) throw new Error(`read: ${bytesRead} bytes`)
      pattern.check(start, buffer.subarray(0, bytesRead), 'read')
    })
    await Promise.all(reads)
    await handle.close()
    await unlink(renamed)
    soil.tally.bytes += 2 * length
    soil.tally.fileRounds++
  })
}

/** A server that sends back what comes. Every second one takes leases instead of copies. */
export async function echoServer(chunks: 'copy' | 'lease'): Promise<Server> {
  const server =
    chunks === 'copy'
      ? createServer({}, async (socket) => {
          try {
            for await (const chunk of socket) await socket.write(chunk)
            await socket.end()
          } catch {
            // The client has broken the connection on purpose.
          }
        })
      : createServer({ chunks: 'lease' }, async (socket) => {
          try {
            for await (const lease of socket) {
              try {
                const written = socket.write(lease.bytes)
                if (written !== true) await written
                await socket.flush()
              } finally {
                lease.release()
              }
            }
            await socket.end()
          } catch {
            // As above.
          }
        })
  await server.listen({ host: '127.0.0.1', port: 0 })
  return server
}

/** Connections that come and go: each sends a stream and checks what comes back; some are broken off half way. */
export async function connections(soil: Soil, id: number, port: () => number): Promise<void> {
  const random = new Random(soil.seed + 1000 + id)
  await soil.gate.repeat(`connections ${id}`, async () => {
    const pattern = new Pattern(random.integer(0, 2 ** 31))
    const total = random.chance(0.1) ? random.integer(1, 2_000_000) : random.integer(1, 30_000)
    const breaksAt = random.chance(0.15) ? random.integer(0, total) : Number.POSITIVE_INFINITY
    const socket = await connect({ host: '127.0.0.1', port: port() })
    const send = async (): Promise<void> => {
      for (let at = 0; at < total; ) {
        const part = pattern.bytes(at, Math.min(total - at, random.integer(1, 40_000)))
        at += part.length
        await socket.write(part)
      }
      await socket.end()
    }
    const receive = async (): Promise<number> => {
      let at = 0
      for await (const chunk of socket) {
        pattern.check(at, chunk, 'echo')
        at += chunk.length
        if (at >= breaksAt) {
          socket.destroy()
          return at
        }
      }
      return at
    }
    const [sent, received] = await Promise.allSettled([send(), receive()])
    await socket.closed
    soil.tally.connections++
    if (breaksAt <= total) {
      soil.tally.resets++
      return
    }
    if (sent.status === 'rejected') throw sent.reason
    if (received.status === 'rejected') throw received.reason
    if (received.value !== total) throw new Error(`echo: ${received.value} of ${total} bytes came back`)
    soil.tally.bytes += 2 * total
  })
}

/** Waits that are aborted, and time limits that expire, in crowds. */
export async function cancels(soil: Soil, uring: Uring): Promise<void> {
  const random = new Random(soil.seed + 2000)
  await soil.gate.repeat('cancels', async () => {
    using signal = new Signal()
    const controller = new AbortController()
    const waits = Array.from({ length: random.integer(1, 200) }, (_, index) => {
      const buffer = Buffer.alloc(8)
      return index % 3 === 0
        ? uring.read(signal.fd, buffer, { timeoutMs: random.integer(0, 20) })
        : uring.read(signal.fd, buffer, { signal: controller.signal })
    })
    setTimeout(() => controller.abort(), random.integer(0, 10))
    for (const result of await Promise.allSettled(waits)) {
      const code = result.status === 'rejected' ? (result.reason as { code?: string }).code : 'none'
      if (code !== 'ABORT_ERR' && code !== 'ETIMEDOUT') throw new Error(`a cancelled read came to ${code}`)
      soil.tally.cancels++
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
  })
}

/** Workers with rings of their own, of which some are terminated in the middle of their work. */
export async function workers(soil: Soil): Promise<void> {
  const random = new Random(soil.seed + 3000)
  const path = join(soil.folder, 'for-workers')
  await writeFile(path, new Pattern(1).bytes(0, 100_000))
  await soil.gate.repeat('workers', async () => {
    const isTerminated = random.chance(0.5)
    const worker = startWorker(new URL('worker.ts', import.meta.url), {
      path,
      forever: isTerminated,
      sqpoll: random.chance(0.3),
    })
    let checked = 0
    worker.on('message', (count: number) => {
      checked = count
    })
    const exited = new Promise<number>((resolve, reject) => {
      worker.once('error', reject)
      worker.once('exit', resolve)
    })
    if (isTerminated) {
      await Promise.race([new Promise((resolve) => worker.once('message', resolve)), exited])
      await new Promise((resolve) => setTimeout(resolve, random.integer(0, 50)))
      await worker.terminate()
    }
    await exited
    if (!isTerminated && checked === 0) throw new Error('a worker has read nothing')
    soil.tally.bytes += checked
    soil.tally.workers++
    await new Promise((resolve) => setTimeout(resolve, 200))
  })
}

/** Copies, compared with what was copied. */
export async function copies(soil: Soil): Promise<void> {
  const random = new Random(soil.seed + 4000)
  const source = join(soil.folder, 'source')
  const target = join(soil.folder, 'target')
  await soil.gate.repeat('copies', async () => {
    const pattern = new Pattern(random.integer(0, 2 ** 31))
    const length = random.integer(0, 3_000_000)
    await writeFile(source, pattern.bytes(0, length))
    await copyFile(source, target)
    const copied = await readFile(target)
    if (copied.length !== length) throw new Error(`copyFile: ${copied.length} of ${length} bytes`)
    pattern.check(0, copied, 'copyFile')
    rmSync(source)
    rmSync(target)
    soil.tally.bytes += length
    soil.tally.copies++
    await new Promise((resolve) => setTimeout(resolve, 50))
  })
}
