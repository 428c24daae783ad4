// A worker for unclaimed.test.ts: it opens, or accepts, many at once, says so when it is shown the first, and never comes to
// the others.

import { parentPort, workerData } from 'node:worker_threads'
import { createServer } from '../../src/net/index.js'
import { AT_FDCWD, prepOpenat, type Sqe } from '../../src/ring/index.js'
import { Uring } from '../../src/runtime/index.js'

const { task, path, count, taken } = workerData as {
  task: 'open' | 'open-exit' | 'open-throw' | 'accept'
  path: string
  count: number
  /** How many it takes in before it stops. */
  taken: number
}

let shown = 0

function stopAfterSome(): void {
  if (++shown < taken) return
  parentPort!.postMessage('stopped')
  for (;;) {
    // Until it is terminated.
  }
}

if (task.startsWith('open')) {
  const { driver } = Uring.open()
  const block = driver.arena.alloc(path.length + 1)
  block.bytes.write(`${path}\0`)
  const prepare = (sqe: Sqe): void => {
    prepOpenat(sqe, AT_FDCWD, block.address, 0, 0)
  }
  for (let index = 0; index < count; index++) {
    driver.submitOnce(prepare, stopAfterSome, 'open', null, true)
  }
  if (task === 'open-exit') process.exit()
  if (task === 'open-throw') throw new Error('in the same turn')
} else {
  const server = createServer({}, stopAfterSome)
  await server.listen({ port: 0, host: '127.0.0.1' })
  parentPort!.postMessage(server.address())
}
