// Lives in a worker thread: opens rings of the kinds asked for, uses them, and posts what came out. With 'stay' it posts
// and waits to be terminated with a read in flight.

import { parentPort, workerData } from 'node:worker_threads'
import { prepRead } from '../../../src/ring/prep/read-write.js'
import { Ring } from '../../../src/ring/ring.js'
import { IORING_ENTER_GETEVENTS } from '../../../src/syscalls/abi/index.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { kernelCalls } from '../../../src/syscalls/uring-calls.js'
import { nextSqe, openPipe, queueNops, range, reap } from '../drive.js'

const { task, flags = 0, foreignFd = -1 } = workerData as { task: string; flags?: number; foreignFd?: number }

if (task === 'use') {
  const seen: number[] = []
  for (let round = 0; round < 50; round++) {
    const ring = Ring.open({ entries: 8, flags })
    queueNops(ring, ...range(round * 8, round * 8 + 7))
    ring.submitAndWait(8)
    seen.push(...reap(ring))
    ring.close()
  }
  parentPort!.postMessage(seen)
} else if (task === 'enter') {
  parentPort!.postMessage(kernelCalls.enter(foreignFd, 0, 0, IORING_ENTER_GETEVENTS, 0, 0))
} else {
  const ring = Ring.open({ entries: 8, flags })
  const bytes = new Uint8Array(new ArrayBuffer(64))
  const { readEnd } = openPipe()
  prepRead(nextSqe(ring), readEnd, addressOf(bytes), 64, 0)
  ring.submit()
  parentPort!.postMessage(ring.fd)
  setInterval(() => ring.cqReady, 1000)
}
