// Child of the `nop` and `scaling` suites. Arguments: batch, mode, ring entries, and how many reads of an empty
// eventfd stay in flight the whole time.

import { prepRead, type Ring } from '../../src/ring/index.js'
import { eventfd } from '../../src/syscalls/libc.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { serveWork } from '../harness/serve.js'
import { runEntering, runPolled } from './nop-traffic.js'
import { openRing, type RingMode } from './ring-mode.js'

const batch = Number(process.argv[2])
const mode = process.argv[3] as RingMode
const entries = Number(process.argv[4])
const pending = Number(process.argv[5])

const ring = openRing(entries, mode)
// Held here because the kernel may write to it as long as the reads are in flight.
const pendingBuffer = new BigUint64Array(1)
if (pending > 0) holdReads(ring, pending)

const run = mode === 'sqpoll' ? runPolled : runEntering
await serveWork({ opsPerUnit: batch, loop: (batches) => run(ring, batch, batches) })

function holdReads(ring: Ring, count: number): void {
  const fd = eventfd(0, 0)
  if (fd < 0) throw new Error(`eventfd: ${fd}`)
  const address = addressOf(pendingBuffer)
  for (let index = 0; index < count; index++)
    prepRead(ring.getSqe()!, fd, address, pendingBuffer.byteLength, 0)
  for (let taken = 0; taken < count; ) taken += ring.submit()
}
