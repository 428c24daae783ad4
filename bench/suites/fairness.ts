// `fairness`: how late a 1 ms interval is while four loops await reads that complete at once.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { makeBlockFile } from '../harness/block-file.js'
import { tsContender } from '../harness/contender.js'
import { measureCase } from '../harness/measure.js'
import { below, detailColumn, findRow, OPS_PER_SEC, type Suite } from '../harness/suite.js'

const CASE = 'setInterval(1 ms) beside four busy loops'
const BLOCKS = 4096
const MAX_P99_MS = 10
/** A percentile wants some hundred intervals. */
const RUN_MS = 1000
const QUICK_RUN_MS = 200

const P99 = detailColumn('p99 delay ms', 'p99DelayMs', 2)

export const fairness: Suite = {
  name: 'fairness',
  title: 'Delay of the event loop',
  columns: [
    OPS_PER_SEC,
    detailColumn('median delay ms', 'medianDelayMs', 2),
    P99,
    detailColumn('max delay ms', 'maxDelayMs', 2),
    detailColumn('intervals/s', 'intervalsPerSecond', 0),
  ],
  bar: P99,
  async run({ quick, effort, folder, progress }) {
    progress(CASE)
    const file = join(folder, 'blocks')
    makeBlockFile(file, BLOCKS)
    const contenders = ['uring', 'uring-files', 'fs.promises', 'idle'].map((name) =>
      tsContender(name, 'fairness.ts', [file, BLOCKS, name]),
    )
    const runMs = quick ? QUICK_RUN_MS : RUN_MS
    const { rows, skipped } = await measureCase(
      { suite: 'fairness', name: CASE, contenders },
      { ...effort, runMs },
    )
    rmSync(file)
    const delay = (contender: string): number | null =>
      findRow(rows, CASE, contender)?.details?.['p99DelayMs'] ?? null
    return {
      rows,
      skipped,
      targets: [
        below('fairness', `uring.read: p99 delay < ${MAX_P99_MS} ms`, delay('uring'), MAX_P99_MS),
        below('fairness', `FileHandle.read: p99 delay < ${MAX_P99_MS} ms`, delay('uring-files'), MAX_P99_MS),
      ],
    }
  },
}
