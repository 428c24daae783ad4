// `promises`: what `uring.read` costs as a promise, next to C on liburing and node:fs; what an operation that waits in
// line costs in memory.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { BLOCK_BYTES, makeBlockFile } from '../harness/block-file.js'
import { type Contender, programContender, tsContender } from '../harness/contender.js'
import { measureCase } from '../harness/measure.js'
import type { Row, Skip } from '../harness/measurement.js'
import { peer } from '../harness/peers.js'
import {
  atLeast,
  CPU_NS_PER_OP,
  detailColumn,
  findRow,
  NS_PER_OP,
  OPS_PER_SEC,
  RATIO,
  SPREAD,
  type Suite,
} from '../harness/suite.js'

const BLOCKS = 65536
const QUICK_BLOCKS = 4096
const DEPTHS = [1, 64]
const QUEUED = 100_000
const QUICK_QUEUED = 10_000

const QUEUE_CASE = 'operations issued in one turn'

function depthCase(depth: number): string {
  return `4 KiB from the page cache, depth ${depth}`
}

function contenders(file: string, blocks: number, depth: number): Contender[] {
  const args = [file, blocks, depth, 'buffered']
  return [
    tsContender('uring', 'read-driver.ts', args),
    programContender('c-liburing', peer('read', [...args, 'plain'])),
    tsContender('fs.readSync', 'read-fs.ts', [...args, 'sync']),
    tsContender('fs.promises', 'read-fs.ts', [...args, 'promises']),
  ]
}

export const promises: Suite = {
  name: 'promises',
  title: 'Random 4 KiB reads of a 256 MiB file, as promises; memory of operations that wait',
  columns: [
    OPS_PER_SEC,
    NS_PER_OP,
    CPU_NS_PER_OP,
    SPREAD,
    RATIO,
    detailColumn('heap B/op', 'heapBytesPerOperation', 0),
    detailColumn('other B/op', 'otherBytesPerOperation', 0),
  ],
  bar: { ...OPS_PER_SEC, title: 'thousand ops/s', value: (row) => row.opsPerSec / 1e3, decimals: 0 },
  async run({ quick, effort, folder, progress }) {
    const rows: Row[] = []
    const skipped: Skip[] = []
    const file = join(folder, 'blocks')
    const blocks = quick ? QUICK_BLOCKS : BLOCKS

    async function measure(name: string, subjects: readonly Contender[]): Promise<void> {
      progress(name)
      const result = await measureCase({ suite: 'promises', name, contenders: subjects }, effort)
      rows.push(...result.rows)
      skipped.push(...result.skipped)
    }

    progress(`writing a file of ${(blocks * BLOCK_BYTES) / 2 ** 20} MiB`)
    makeBlockFile(file, blocks)
    for (const depth of DEPTHS) await measure(depthCase(depth), contenders(file, blocks, depth))
    rmSync(file)

    const count = quick ? QUICK_QUEUED : QUEUED
    const nodeFlags = ['--expose-gc']
    await measure(`${count} ${QUEUE_CASE}`, [
      tsContender('uring', 'queued.ts', [count, 'nop'], { nodeFlags }),
      tsContender('uring-signal', 'queued.ts', [count, 'signal'], { nodeFlags }),
      tsContender('fs.promises', 'queued.ts', [count, 'node'], { nodeFlags }),
    ])

    const ratio = (depth: number, contender: string): number | null =>
      findRow(rows, depthCase(depth), contender)?.ratioToUring ?? null
    return {
      rows,
      skipped,
      targets: [
        atLeast('promises', 'depth 64: >= 0.85 of C', ratio(64, 'c-liburing'), 0.85),
        atLeast('promises', 'depth 64: >= 1.0 of fs.readSync', ratio(64, 'fs.readSync'), 1),
        atLeast('promises', 'depth 1: >= 0.6 of fs.readSync', ratio(1, 'fs.readSync'), 0.6),
      ],
    }
  },
}
