// `scaling`: what one operation costs as the number in flight grows from 1 to 32768. In one half all of them are
// NOPs of one batch; in the other, reads that never complete wait while small batches of NOPs flow past them. A cost
// that grows with the number in flight (a search, a copy, a scan) would show as a line that climbs.

import { measureCase } from '../harness/measure.js'
import type { Row, Skip } from '../harness/measurement.js'
import { below, CPU_NS_PER_OP, findRow, NS_PER_OP, RATIO, SPREAD, type Suite } from '../harness/suite.js'
import { nopContenders } from './nop.js'

// The same for every case: a larger ring touches more memory, which is not the question here.
const ENTRIES = 32768
const COUNTS = [1, 8, 64, 512, 4096, 32768]
const QUICK_COUNTS = [1, 32768]
/** NOPs in a batch that flows past the waiting reads. */
const FLOW = 16
/**
 * How much of C's growth uring may exceed. Cache misses grow with the memory in use, in both; an O(n) step in
 * JavaScript would be off by orders of magnitude.
 */
const MAX_EXCESS = 2

function batchCase(count: number): string {
  return `NOPs in flight: ${count}`
}

function waitingCase(count: number): string {
  return `reads waiting: ${count}, NOPs by ${FLOW}`
}

/** Cost of an operation at the largest count over its cost at `from`, uring's growth over C's. */
function excessGrowth(
  rows: readonly Row[],
  nameOf: (count: number) => string,
  from: number,
  to: number,
): number | null {
  const uringFrom = findRow(rows, nameOf(from), 'uring')
  const uringTo = findRow(rows, nameOf(to), 'uring')
  const cFrom = findRow(rows, nameOf(from), 'c-liburing')
  const cTo = findRow(rows, nameOf(to), 'c-liburing')
  if (!uringFrom || !uringTo || !cFrom || !cTo) return null
  return uringFrom.opsPerSec / uringTo.opsPerSec / (cFrom.opsPerSec / cTo.opsPerSec)
}

export const scaling: Suite = {
  name: 'scaling',
  title: 'Cost of an operation as operations in flight grow from 1 to 32768',
  columns: [NS_PER_OP, CPU_NS_PER_OP, SPREAD, RATIO],
  bar: NS_PER_OP,
  async run({ quick, effort, progress }) {
    const counts = quick ? QUICK_COUNTS : COUNTS
    const rows: Row[] = []
    const skipped: Skip[] = []
    async function measure(name: string, batch: number, waiting: number): Promise<void> {
      progress(name)
      const contenders = nopContenders(batch, 'default', ENTRIES, waiting)
      const result = await measureCase({ suite: 'scaling', name, contenders }, effort)
      rows.push(...result.rows)
      skipped.push(...result.skipped)
    }

    for (const count of counts) await measure(batchCase(count), count, 0)
    // The ring's completion queue holds twice its entries, so these and the batch fit in it together.
    for (const count of counts) await measure(waitingCase(count), FLOW, count)

    const first = counts[0]!
    const last = counts.at(-1)!
    const batches = excessGrowth(rows, batchCase, first, last)
    const waiting = excessGrowth(rows, waitingCase, first, last)
    return {
      rows,
      skipped,
      targets: [
        below(
          'scaling',
          `${first} to ${last} NOPs: cost grows < ${MAX_EXCESS} times C's growth`,
          batches,
          MAX_EXCESS,
        ),
        below(
          'scaling',
          `${first} to ${last} waiting: cost grows < ${MAX_EXCESS} times C's growth`,
          waiting,
          MAX_EXCESS,
        ),
      ],
    }
  },
}
