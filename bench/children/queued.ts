// Child of the `promises` suite: so many operations issued in one turn, of which most wait in line, and the memory that
// each of them takes until it settles, on a ring that has never had as many. Variants: nop, signal (a NOP with an
// AbortSignal), node (fs.promises' stat).

import { stat } from 'node:fs/promises'
import { Uring } from '../../src/index.js'
import { serve } from '../harness/serve.js'
import { orSkip } from './ring-mode.js'

const [countText, variant] = process.argv.slice(2)
const count = Number(countText)
const { signal } = new AbortController()
let uring = orSkip(() => Uring.open())
await uring.close()

const issue: Readonly<Record<string, () => Promise<unknown>>> = {
  nop: () => uring.nop(),
  signal: () => uring.nop({ signal }),
  node: () => stat('/'),
}

/** The heap, and what is outside of it (typed arrays, C++ objects), without garbage. */
function memoryInUse(): { heap: number; other: number } {
  gc!()
  const { heapUsed, external } = process.memoryUsage()
  return { heap: heapUsed, other: external }
}

const start = issue[variant!]!
await serve(async () => {
  uring = Uring.open()
  const pending: Promise<unknown>[] = new Array(count)
  pending.fill(Promise.resolve())
  const before = memoryInUse()
  const cpuBefore = process.cpuUsage()
  const startedMs = performance.now()
  for (let index = 0; index < count; index++) pending[index] = start()
  const issuedMs = performance.now()
  const cpuIssued = process.cpuUsage(cpuBefore)
  const during = memoryInUse()
  // The collection is the bench's own, and stays out of the times.
  const cpuResumed = process.cpuUsage()
  const resumedMs = performance.now()
  await Promise.all(pending)
  const seconds = (issuedMs - startedMs + performance.now() - resumedMs) / 1000
  const cpu = process.cpuUsage(cpuResumed)
  await uring.close()
  return {
    ops: count,
    seconds,
    cpuMicros: cpuIssued.user + cpuIssued.system + cpu.user + cpu.system,
    details: {
      heapBytesPerOperation: (during.heap - before.heap) / count,
      otherBytesPerOperation: (during.other - before.other) / count,
    },
  }
})
