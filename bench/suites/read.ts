// `read`: random 4 KiB reads of one file, out of the page cache and with O_DIRECT, next to C and node:fs.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { BLOCK_BYTES, directRefusal, makeBlockFile } from '../harness/block-file.js'
import { type Contender, programContender, tsContender } from '../harness/contender.js'
import { fioContender } from '../harness/fio.js'
import { measureCase } from '../harness/measure.js'
import type { Row, Skip } from '../harness/measurement.js'
import { peer } from '../harness/peers.js'
import { above, atLeast, findRow, OPS_PER_SEC, SPEED_COLUMNS, type Suite } from '../harness/suite.js'

const BLOCKS = 65536
const QUICK_BLOCKS = 4096
const DEPTHS = [1, 16, 64]
const QUICK_DEPTHS = [1, 64]
/** The depth that the targets speak of, and the only one with O_DIRECT and fio. */
const DEEP = 64

const DIRECT_CASE = `O_DIRECT, depth ${DEEP}`

function bufferedCase(depth: number): string {
  return `page cache, depth ${depth}`
}

function contenders(
  file: string,
  blocks: number,
  depth: number,
  caching: 'buffered' | 'direct',
): Contender[] {
  const args = [file, blocks, depth, caching]
  const direct = caching === 'direct'
  const all = [
    tsContender('uring', 'read-ring.ts', [...args, 'plain']),
    tsContender('uring-fixed', 'read-ring.ts', [...args, 'fixed']),
    programContender('c-liburing', peer('read', [...args, 'plain'])),
    programContender('c-liburing-fixed', peer('read', [...args, 'fixed'])),
    tsContender('uring-promises', 'read-driver.ts', [...args, 'plain']),
    tsContender('fs.read', 'read-fs.ts', [...args, 'callback']),
    tsContender('fs.promises', 'read-fs.ts', [...args, 'promises']),
  ]
  if (!direct) all.push(tsContender('fs.readSync', 'read-fs.ts', [...args, 'sync']))
  if (direct) {
    // Node's default of four threads caps the reads that reach the disk; this one has as many as reads in flight.
    const env = { UV_THREADPOOL_SIZE: String(depth) }
    all.push(tsContender(`fs.read-${depth}-threads`, 'read-fs.ts', [...args, 'callback'], { env }))
  }
  if (depth === DEEP) all.push(fioContender({ file, depth, direct }))
  return all
}

function ratioTo(rows: readonly Row[], caseName: string, contender: string): number | null {
  return findRow(rows, caseName, contender)?.ratioToUring ?? null
}

export const read: Suite = {
  name: 'read',
  title: 'Random 4 KiB reads of a 256 MiB file',
  columns: SPEED_COLUMNS,
  bar: { ...OPS_PER_SEC, title: 'thousand reads/s', value: (row) => row.opsPerSec / 1e3, decimals: 0 },
  async run({ quick, effort, folder, progress }) {
    const rows: Row[] = []
    const skipped: Skip[] = []
    const file = join(folder, 'blocks')
    const blocks = quick ? QUICK_BLOCKS : BLOCKS

    async function measure(name: string, depth: number, caching: 'buffered' | 'direct'): Promise<void> {
      progress(name)
      const subject = { suite: 'read', name, contenders: contenders(file, blocks, depth, caching) }
      const result = await measureCase(subject, effort)
      rows.push(...result.rows)
      skipped.push(...result.skipped)
    }

    progress(`writing a file of ${(blocks * BLOCK_BYTES) / 2 ** 20} MiB`)
    makeBlockFile(file, blocks)
    for (const depth of quick ? QUICK_DEPTHS : DEPTHS) await measure(bufferedCase(depth), depth, 'buffered')
    const refusal = directRefusal(file)
    if (refusal === null) await measure(DIRECT_CASE, DEEP, 'direct')
    else skipped.push({ suite: 'read', case: DIRECT_CASE, contender: 'all', reason: refusal })
    rmSync(file)

    const deep = bufferedCase(DEEP)
    return {
      rows,
      skipped,
      targets: [
        atLeast('read', `${deep}: >= 0.90 of C`, ratioTo(rows, deep, 'c-liburing'), 0.9),
        above('read', `${deep}: > 1 times fs.readSync`, ratioTo(rows, deep, 'fs.readSync'), 1),
        atLeast('read', `${DIRECT_CASE}: >= 0.95 of C`, ratioTo(rows, DIRECT_CASE, 'c-liburing'), 0.95),
      ],
    }
  },
}
