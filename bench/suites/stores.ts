// `stores`: what filling one submission queue entry costs by each of the ways to store in shared memory. The decision
// that follows from it is docs/decisions/words-not-dataview.md.

import { tsContender } from '../harness/contender.js'
import { measureCase } from '../harness/measure.js'
import { CPU_NS_PER_OP, NS_PER_OP, RATIO, SPREAD, type Suite } from '../harness/suite.js'

const WAYS = ['DataView per entry', 'one DataView', 'BigInt64Array per entry']

export const stores: Suite = {
  name: 'stores',
  title: 'Zeroing and filling one submission queue entry',
  columns: [NS_PER_OP, CPU_NS_PER_OP, SPREAD, RATIO],
  bar: NS_PER_OP,
  async run({ effort, progress }) {
    progress('one entry')
    // `uring` is the way the ring does it; the others are ratios to it.
    const contenders = [
      tsContender('uring', 'stores.ts', ['words per entry']),
      ...WAYS.map((way) => tsContender(way, 'stores.ts', [way])),
    ]
    const { rows, skipped } = await measureCase({ suite: 'stores', name: 'one entry', contenders }, effort)
    return { rows, skipped, targets: [] }
  },
}
