// `memory`: what ten million operations leave behind on the JavaScript heap, next to an empty loop.

import { tsContender } from '../harness/contender.js'
import { measureCase } from '../harness/measure.js'
import { below, detailColumn, findRow, OPS_PER_SEC, type Suite } from '../harness/suite.js'

const OPERATIONS = 10_000_000
const QUICK_OPERATIONS = 100_000
// Heap figures hardly vary, and a run takes seconds.
const MAX_ROUNDS = 3
/**
 * How much more than the empty loop a run may leave: V8 keeps code, feedback and a few maps of its own accord. It is
 * less than a thousandth of a byte for each of ten million operations.
 */
const NOISE_BYTES = 8192

const bytesPerOp = detailColumn('bytes/op allocated', 'allocatedBytesPerOp', 4)

export const memory: Suite = {
  name: 'memory',
  title: 'Heap after ten million NOPs',
  columns: [
    OPS_PER_SEC,
    detailColumn('heap growth B', 'heapGrowthBytes', 0),
    detailColumn('growth B/op', 'heapGrowthBytesPerOp', 5),
    bytesPerOp,
    detailColumn('external growth B', 'externalGrowthBytes', 0),
    detailColumn('collections', 'gcCount', 0),
  ],
  bar: bytesPerOp,
  async run({ quick, effort, progress }) {
    const operations = quick ? QUICK_OPERATIONS : OPERATIONS
    const name = `${operations} NOPs`
    progress(name)
    const nodeFlags = ['--expose-gc']
    const contenders = [
      tsContender('uring', 'memory.ts', [operations, 'nops'], { nodeFlags }),
      tsContender('empty-loop', 'memory.ts', [operations, 'empty'], { nodeFlags }),
    ]
    const rounds = Math.min(effort.rounds, MAX_ROUNDS)
    const { rows, skipped } = await measureCase({ suite: 'memory', name, contenders }, { ...effort, rounds })
    const grown = findRow(rows, name, 'uring')?.details?.['heapGrowthBytes']
    const noise = findRow(rows, name, 'empty-loop')?.details?.['heapGrowthBytes']
    const excess = grown === undefined || noise === undefined ? null : grown - noise
    const target = `${name}: heap grows < ${NOISE_BYTES} bytes more than in an empty loop`
    return { rows, skipped, targets: [below('memory', target, excess, NOISE_BYTES)] }
  },
}
