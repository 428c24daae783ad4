// Rings in worker threads: each belongs to the thread that opened it.

import { once } from 'node:events'
import { closeSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { Ring } from '../../src/ring/ring.js'
import {
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_NO_MMAP,
  IORING_SETUP_R_DISABLED,
  IORING_SETUP_REGISTERED_FD_ONLY,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SQPOLL,
} from '../../src/syscalls/abi/index.js'
import { assert, needs, test, unmet } from '../harness.js'
import { queueNops, range, reap, ringDescriptors, ringMappings } from './drive.js'

const EEXIST = -17
const defer = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN

function start(workerData: object): Worker {
  const script = new URL('children/in-worker.ts', import.meta.url)
  // A worker has no loader for TypeScript unless it is told so again.
  const source = `import(${JSON.stringify(import.meta.resolve('tsx/esm/api'))})
    .then(({ register }) => { register(); return import(${JSON.stringify(script.href)}) })`
  return new Worker(source, { eval: true, workerData })
}

/** What a worker posts first. */
async function answer(worker: Worker): Promise<unknown> {
  const [message] = (await Promise.race([
    once(worker, 'message'),
    once(worker, 'error').then(([error]) => Promise.reject(error)),
  ])) as unknown[]
  return message
}

for (const [name, flags] of [
  ['plain', 0],
  ['DEFER_TASKRUN', defer],
  ['SQPOLL', IORING_SETUP_SQPOLL],
  ['REGISTERED_FD_ONLY', IORING_SETUP_NO_MMAP | IORING_SETUP_REGISTERED_FD_ONLY],
] as const) {
  test(
    `rings live and end in two workers and the main thread at once: ${name}`,
    needs({ setup: flags }, async () => {
      const workers = [start({ task: 'use', flags }), start({ task: 'use', flags })]
      const exits = workers.map((worker) => once(worker, 'exit'))
      const answers = workers.map(answer)
      const ring = Ring.open({ entries: 8, flags })
      for (const round of range(0, 20)) {
        queueNops(ring, round)
        ring.submitAndWait(1)
        assert.equal(reap(ring), [round])
        await new Promise((settle) => setTimeout(settle, 5))
      }
      assert.equal(await Promise.all(answers), [range(0, 399), range(0, 399)])
      await Promise.all(exits)
      ring.close()
      assert.equal([ringDescriptors(), ringMappings()], [[], []])
    }),
  )
}

test(
  'a SINGLE_ISSUER ring refuses every thread but the one that opened it',
  needs({ setup: defer }, async () => {
    const ring = Ring.open({ entries: 8, flags: defer })
    assert.is(await answer(start({ task: 'enter', foreignFd: ring.fd })), EEXIST)
    queueNops(ring, 1)
    ring.submitAndWait(1)
    assert.equal(reap(ring), [1])
    ring.close()
    // A disabled ring becomes the property of the thread that enables it.
    const disabled = Ring.open({ entries: 8, flags: defer | IORING_SETUP_R_DISABLED })
    disabled.enable()
    assert.is(await answer(start({ task: 'enter', foreignFd: disabled.fd })), EEXIST)
    disabled.close()
  }),
)

test(
  'a worker terminated with a read in flight harms nobody, and its descriptor stays behind',
  needs({ ring: true }, async () => {
    for (const flags of [0, defer]) {
      if (unmet({ setup: flags }) !== null) continue
      const worker = start({ task: 'stay', flags })
      const fd = (await answer(worker)) as number
      await worker.terminate()
      // A terminated thread runs no JavaScript: the ring is for others to reclaim.
      assert.ok(ringDescriptors().includes(fd))
      closeSync(fd)
    }
    const ring = Ring.open({ entries: 8 })
    queueNops(ring, 1)
    ring.submit()
    assert.equal(reap(ring), [1])
    ring.close()
  }),
)

test.run()
