// Child of the `memory` suite, run with --expose-gc. Arguments: operations a run, and `nops` or `empty` (a loop of the
// same shape without a ring: what the measuring itself does to the heap).

import { PerformanceObserver } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import type { Measurement } from '../harness/measurement.js'
import { serve, timeUnits, type Work } from '../harness/serve.js'
import { runEntering } from './nop-traffic.js'
import { openRing } from './ring-mode.js'

const BATCH = 64
const batches = Math.ceil(Number(process.argv[2]) / BATCH)
const collect = (globalThis as unknown as { gc: () => void }).gc

function emptyLoop(): Work['loop'] {
  const words = new Int32Array(1)
  return (units) => {
    for (let done = 0; done < units * BATCH; done++) words[0]! ^= done
  }
}

function nopLoop(): Work['loop'] {
  const ring = openRing(BATCH, 'default')
  return (units) => runEntering(ring, BATCH, units)
}

/** Used heap after everything unreachable is gone. One pass leaves what only finalizers or weak maps still hold. */
async function settledHeapBytes(): Promise<number> {
  for (let pass = 0; pass < 3; pass++) {
    collect()
    await turn()
  }
  return process.memoryUsage().heapUsed
}

async function measure(work: Work): Promise<Measurement> {
  const settledBytes = await settledHeapBytes()
  let gcCount = 0
  const observer = new PerformanceObserver((list) => {
    gcCount += list.getEntries().length
  })
  observer.observe({ entryTypes: ['gc'] })
  const before = process.memoryUsage()
  const measurement = await timeUnits(work, batches)
  const after = process.memoryUsage()
  // The observer hears of a collection in a later turn.
  await turn()
  await turn()
  observer.disconnect()
  const grownBytes = (await settledHeapBytes()) - settledBytes
  return {
    ...measurement,
    details: {
      heapGrowthBytes: grownBytes,
      heapGrowthBytesPerOp: grownBytes / measurement.ops,
      // Only exact when nothing was collected in between; the count beside it says so.
      allocatedBytesPerOp: (after.heapUsed - before.heapUsed) / measurement.ops,
      externalGrowthBytes: after.external - before.external,
      gcCount,
    },
  }
}

const work = { opsPerUnit: BATCH, loop: process.argv[3] === 'nops' ? nopLoop() : emptyLoop() }
await serve(() => measure(work))
