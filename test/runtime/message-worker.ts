// The other thread of messages.test.ts: a ring of its own that answers what it is sent.

import { parentPort, workerData } from 'node:worker_threads'
import type { RingEndpoint } from '../../src/runtime/messages.js'
import { openUring } from './open-uring.js'

const { main } = workerData as { main: RingEndpoint }
const uring = openUring({ entries: 64 })
uring.registerFileTable({ size: 8 })

async function answer(): Promise<void> {
  parentPort!.postMessage(uring.endpoint)
  const buffer = Buffer.alloc(64)
  for await (const { value, extra, file } of uring.messages()) {
    if (value === 0) break
    if (file === null) await uring.postMessage(main, { value: value + 1, extra })
    else {
      const length = await uring.read(file.index, buffer, { fixedFile: true, offset: 0 })
      await file.close()
      await uring.postMessage(main, { value, extra: length })
    }
  }
  await uring.close()
}

answer().catch((error: unknown) => {
  setImmediate(() => {
    throw error
  })
})
