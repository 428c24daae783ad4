// In a worker the kernel gets no memory that vanishes when the worker is terminated: all that an entry points to is in
// blocks of the driver that are in use.

import { once } from 'node:events'
import { assert, needs, test } from '../harness.js'
import { temporaryFolder } from './fixture.js'
import { startWorker } from './open-uring.js'

test(
  'what the entries of a worker point to is memory of the driver: of operations, files, sockets and copies',
  needs({ ring: true }, async () => {
    const worker = startWorker(new URL('./memory-worker.ts', import.meta.url), { folder: temporaryFolder() })
    const [{ seen, strays }] = await once(worker, 'message')
    await worker.terminate()
    assert.equal(strays, [])
    for (const name of ['READ', 'WRITE', 'READV', 'WRITEV', 'SEND', 'RECV', 'SENDMSG', 'RECVMSG', 'STATX']) {
      assert.ok(seen[`IORING_OP_${name}`] > 0, `no ${name} was seen among ${JSON.stringify(seen)}`)
    }
  }),
)

test.run()
