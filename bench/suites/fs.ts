// `fs`: FileHandles, durable appends, large files and streams of uring/fs, next to node:fs.

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { BLOCK_BYTES, directRefusal, makeBlockFile } from '../harness/block-file.js'
import { type Contender, tsContender } from '../harness/contender.js'
import { measureCase } from '../harness/measure.js'
import type { Measurement, Row, Skip } from '../harness/measurement.js'
import { median, pairwiseRatios } from '../harness/statistics.js'
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
const DEPTH = 64
const WRITERS = 64
const LARGE_MIB = 1024
const QUICK_LARGE_MIB = 16
/** One run moves a whole file, and takes about half a second. */
const MAX_LARGE_ROUNDS = 5

const CACHED_CASE = `FileHandle.read, 4 KiB from the page cache, depth ${DEPTH}`
const DIRECT_CASE = `FileHandle.read, 4 KiB O_DIRECT, depth ${DEPTH}`
const APPEND_CASE = `durable append of 4 KiB, ${WRITERS} files`
const LOG_CASE = `durable append of 4 KiB, ${WRITERS} writers of one file`

const WAYS = ['readFile', 'createReadStream', 'writeFile', 'createWriteStream'] as const
type Way = (typeof WAYS)[number]

function largeCase(way: Way, mebibytes: number): string {
  return `${way} of ${mebibytes} MiB (an op is 1 MiB)`
}

function readers(file: string, blocks: number, direct: boolean): Contender[] {
  const args = [file, blocks, DEPTH, direct ? 'direct' : 'buffered']
  const all = [
    tsContender('uring', 'read-fs.ts', [...args, 'files']),
    tsContender('fs.promises', 'read-fs.ts', [...args, 'promises']),
    tsContender('fs.read', 'read-fs.ts', [...args, 'callback'], { env: { UV_USE_IO_URING: '0' } }),
    tsContender('fs.read+io_uring', 'read-fs.ts', [...args, 'callback'], { env: { UV_USE_IO_URING: '1' } }),
  ]
  if (direct) {
    // Node's default of four threads caps the reads that reach the disk.
    const env = { UV_THREADPOOL_SIZE: String(DEPTH) }
    all.push(tsContender(`fs.promises-${DEPTH}-threads`, 'read-fs.ts', [...args, 'promises'], { env }))
  }
  return all
}

function appenders(folder: string, sharing: 'own' | 'shared'): Contender[] {
  return ['uring', 'fs.promises'].map((who) => {
    const own = join(folder, `${sharing}-${who}`)
    mkdirSync(own)
    return tsContender(who, 'durable.ts', [own, WRITERS, BLOCK_BYTES, sharing, who])
  })
}

function movers(folder: string, way: Way, mebibytes: number): Contender[] {
  const args = [join(folder, 'large'), mebibytes, way]
  const all = ['uring', 'fs.promises'].map((who) => tsContender(who, 'large-file.ts', [...args, who]))
  if (way === 'readFile') all.push(tsContender('fs.readFileSync', 'large-file.ts', [...args, 'sync']))
  return all
}

export const fs: Suite = {
  name: 'fs',
  title: 'Files: handles, durable appends, large files, streams',
  columns: [
    OPS_PER_SEC,
    NS_PER_OP,
    CPU_NS_PER_OP,
    SPREAD,
    RATIO,
    detailColumn('enters/op', 'entersPerOperation', 2),
  ],
  bar: { ...OPS_PER_SEC, title: 'thousand ops/s', value: (row) => row.opsPerSec / 1e3, decimals: 0 },
  async run({ quick, effort, folder, progress }) {
    const rows: Row[] = []
    const skipped: Skip[] = []
    const mebibytes = quick ? QUICK_LARGE_MIB : LARGE_MIB

    async function measure(
      name: string,
      contenders: readonly Contender[],
      chosen = effort,
    ): Promise<ReadonlyMap<string, readonly Measurement[]>> {
      progress(name)
      const result = await measureCase({ suite: 'fs', name, contenders }, chosen)
      rows.push(...result.rows)
      skipped.push(...result.skipped)
      return result.samples
    }

    const file = join(folder, 'blocks')
    const blocks = quick ? QUICK_BLOCKS : BLOCKS
    progress(`writing a file of ${(blocks * BLOCK_BYTES) / 2 ** 20} MiB`)
    makeBlockFile(file, blocks)
    await measure(CACHED_CASE, readers(file, blocks, false))
    const refusal = directRefusal(file)
    let directCpu: number | null = null
    if (refusal === null) {
      const samples = await measure(DIRECT_CASE, readers(file, blocks, true))
      directCpu = cpuRatio(samples.get('uring'), samples.get('fs.promises'))
    } else skipped.push({ suite: 'fs', case: DIRECT_CASE, contender: 'all', reason: refusal })
    rmSync(file)

    const appends = join(folder, 'appends')
    mkdirSync(appends)
    await measure(APPEND_CASE, appenders(appends, 'own'))
    await measure(LOG_CASE, appenders(appends, 'shared'))
    rmSync(appends, { recursive: true })

    makeBlockFile(join(folder, 'large'), mebibytes * (2 ** 20 / BLOCK_BYTES))
    const rounds = Math.min(effort.rounds, MAX_LARGE_ROUNDS)
    for (const way of WAYS) {
      await measure(largeCase(way, mebibytes), movers(folder, way, mebibytes), { ...effort, rounds })
    }
    rmSync(join(folder, 'large'))

    const ratio = (caseName: string, ...contenders: string[]): number | null => {
      const ratios = contenders.flatMap((name) => findRow(rows, caseName, name)?.ratioToUring ?? [])
      return ratios.length === 0 ? null : Math.min(...ratios)
    }
    return {
      rows,
      skipped,
      targets: [
        atLeast('fs', 'FileHandle.read: >= 8 times fs.promises', ratio(CACHED_CASE, 'fs.promises'), 8),
        atLeast(
          'fs',
          'FileHandle.read: >= 2 times the better fs.read',
          ratio(CACHED_CASE, 'fs.read', 'fs.read+io_uring'),
          2,
        ),
        atLeast('fs', 'O_DIRECT: >= 1.3 times fs.promises', ratio(DIRECT_CASE, 'fs.promises'), 1.3),
        atLeast('fs', 'O_DIRECT: fs.promises takes >= 4 times the CPU a read', directCpu, 4),
        atLeast('fs', 'durable appends: >= 1.5 times fs.promises', ratio(APPEND_CASE, 'fs.promises'), 1.5),
        ...WAYS.map((way) =>
          atLeast('fs', `${way}: >= 1 times node:fs`, ratio(largeCase(way, mebibytes), 'fs.promises'), 1),
        ),
      ],
    }
  },
}

/** The other's processor time for an operation over uring's, within each round. */
function cpuRatio(
  uring: readonly Measurement[] | undefined,
  other: readonly Measurement[] | undefined,
): number | null {
  if (uring === undefined || other === undefined) return null
  const perOp = (runs: readonly Measurement[]): number[] => runs.map((run) => run.cpuMicros / run.ops)
  return median(pairwiseRatios(perOp(other), perOp(uring)))
}
