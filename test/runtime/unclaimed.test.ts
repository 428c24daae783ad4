// What a terminated worker has opened and not taken in yet: the descriptors are in its completion queue, and nowhere else.

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import '../../src/index.js'
import { descriptorsOf } from '../descriptors.js'
import { assert, needs, test } from '../harness.js'
import { temporaryFolder, until } from './fixture.js'
import { startWorker } from './open-uring.js'

const COUNT = 50
const path = join(temporaryFolder(), 'file')
writeFileSync(path, 'of a worker')

const openOnFile = (): number => descriptorsOf(path).length

const program = new URL('./unclaimed-worker.ts', import.meta.url)

for (const taken of [1, 2, 25, COUNT]) {
  test(
    `of ${COUNT} files that a worker has opened, and ${taken} of which it has taken in, none is left`,
    needs({ ring: true }, async () => {
      const worker = startWorker(program, { task: 'open', path, count: COUNT, taken })
      await once(worker, 'message')
      assert.is(openOnFile(), COUNT)
      await worker.terminate()
      await until(() => openOnFile() === 0, 'no file is open')
    }),
  )
}

test(
  'of files that a worker has opened and not taken in when it exits, none is left',
  needs({ ring: true }, async () => {
    for (const task of ['open-exit', 'open-throw']) {
      const worker = startWorker(program, { task, path, count: COUNT, taken: COUNT + 1 })
      worker.on('error', () => {})
      await new Promise((resolve) => worker.once('exit', resolve))
      assert.is(openOnFile(), 0, task)
    }
  }),
)

test(
  'connections that a worker has accepted and not taken in are ended',
  needs({ ring: true }, async () => {
    const worker = startWorker(program, { task: 'accept', path, count: 0, taken: 1 })
    const [{ port }] = (await once(worker, 'message')) as [AddressInfo]
    const stopped = once(worker, 'message')
    const clients: Socket[] = Array.from({ length: 20 }, () => connect(port, '127.0.0.1'))
    let ended = 0
    for (const client of clients) {
      client.on('error', () => {})
      client.on('close', () => ended++)
      client.resume()
    }
    await stopped
    await sleep(100)
    assert.is(ended, 0)
    await worker.terminate()
    await until(() => ended === clients.length, 'all have ended')
  }),
)

test.run()
