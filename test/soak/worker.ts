// A worker of the soak: reads a file through a ring of its own, and checks it.

import { openSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { Uring } from '../../src/index.js'
import { Pattern } from './bytes.js'

const { path, forever, sqpoll } = workerData as { path: string; forever: boolean; sqpoll: boolean }
const uring = Uring.open({ sqpoll, ...(sqpoll && { setupFlags: 0 }) })
const fd = openSync(path, 'r')
const pattern = new Pattern(1)
let checked = 0
for (let round = 0; forever || round < 20; round++) {
  const buffers = Array.from({ length: 16 }, () => Buffer.alloc(6000))
  const counts = await Promise.all(
    buffers.map((buffer, index) => uring.read(fd, buffer, { offset: index * 6000 })),
  )
  for (const [index, buffer] of buffers.entries()) {
    pattern.check(index * 6000, buffer.subarray(0, counts[index]), 'worker')
    checked += counts[index]!
  }
  if (round === 0 && forever) parentPort!.postMessage(checked)
}
await uring.close()
parentPort!.postMessage(checked)
