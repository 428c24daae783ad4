// A worker for multishot.test.ts that is terminated in the middle of everything a ring can stream.

import { parentPort } from 'node:worker_threads'
import { Ring } from '../../src/ring/index.js'
import { Arena } from '../../src/runtime/arena.js'
import { Driver } from '../../src/runtime/driver.js'
import { announceRegion, announceRing } from '../../src/runtime/lifetime.js'
import { RingOperations } from '../../src/runtime/operations/ring.js'
import { DEFAULT_FLAGS } from './fixture.js'
import { connectPair, listenTcp } from './open-uring.js'

class WorkerRing extends RingOperations {}

const ring = Ring.open({ entries: 64, flags: DEFAULT_FLAGS })
announceRing(ring)
const uring = new WorkerRing(new Driver(ring, new Arena(announceRegion)), false)

async function run(): Promise<void> {
  const [client, server] = await connectPair(uring)
  const listener = await listenTcp(uring)
  const group = uring.createBufferGroup({ count: 8, size: 4096 })
  const data = Buffer.alloc(65536, 1)
  const sending = async (): Promise<void> => {
    for (;;) await uring.send(client, data)
  }
  const receiving = async (): Promise<void> => {
    for await (const lease of uring.recvMultishot(server, { group })) lease.release()
  }
  const accepting = async (): Promise<void> => {
    for await (const fd of uring.acceptMultishot(listener.fd)) await uring.closeFd(fd)
  }
  const ticking = async (): Promise<void> => {
    for await (const _count of uring.timeoutMultishot(0.1))
      await uring.postMessage(uring.endpoint, { value: 1 })
  }
  const listening = async (): Promise<void> => {
    for await (const _message of uring.messages()) await uring.nop()
  }
  const all = [sending(), receiving(), accepting(), ticking(), listening()]
  setTimeout(() => parentPort!.postMessage('running'), 5)
  await Promise.all(all)
}

run().catch((error: unknown) => {
  setImmediate(() => {
    throw error
  })
})
