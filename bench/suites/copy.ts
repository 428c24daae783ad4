// `copy`: a tree of small files, a large file, and that file from a cold cache, next to node:fs and coreutils.
//
// Wait some minutes between two runs: ext4 does not use the inodes again that were just deleted, and looks for others so long
// that making a file takes all contenders ten times as long.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tsContender } from '../harness/contender.js'
import { type Effort, measureCase } from '../harness/measure.js'
import type { Row, Skip } from '../harness/measurement.js'
import { atLeast, CPU_NS_PER_OP, findRow, RATIO, SPREAD, type Suite } from '../harness/suite.js'

const FILES = 20_000
const QUICK_FILES = 200
const FILES_IN_A_FOLDER = 200
const FILE_BYTES = 4096
const LARGE_BYTES = 2 ** 30
const QUICK_LARGE_BYTES = 2 ** 22
/** Copies of trees are kept until the end, so there are few. */
const MAX_TREE_ROUNDS = 5

function makeTree(path: string, files: number): void {
  const data = Buffer.alloc(FILE_BYTES, 0xa5)
  for (let index = 0; index < files; index++) {
    const inner = join(path, `folder-${Math.floor(index / FILES_IN_A_FOLDER)}`)
    if (index % FILES_IN_A_FOLDER === 0) mkdirSync(inner, { recursive: true })
    data.writeUInt32LE(index, 0)
    writeFileSync(join(inner, `file-${index}`), data)
  }
}

function makeFile(path: string, bytes: number): void {
  const chunk = Buffer.alloc(2 ** 20, 0x5a)
  for (let at = 0; at < bytes; at += chunk.length) {
    chunk.writeUInt32LE(at / chunk.length, 0)
    writeFileSync(path, chunk, { flag: 'a' })
  }
}

export const copy: Suite = {
  name: 'copy',
  title: 'Copies of a tree and of a large file',
  columns: [
    { title: 'ms', value: (row) => 1000 / row.opsPerSec, decimals: 0 },
    { ...CPU_NS_PER_OP, title: 'CPU ms', value: (row) => row.cpuMicrosPerOp / 1000, decimals: 0 },
    SPREAD,
    RATIO,
  ],
  bar: { title: 'copies/s', value: (row) => row.opsPerSec, decimals: 2 },
  async run({ quick, effort, folder, progress }) {
    const rows: Row[] = []
    const skipped: Skip[] = []
    const files = quick ? QUICK_FILES : FILES
    const bytes = quick ? QUICK_LARGE_BYTES : LARGE_BYTES
    const size = quick ? '4 MiB' : '1 GiB'
    const treeCase = `tree of ${files} files of 4 KB`
    const fileCase = `file of ${size}`
    // The source is read past the page cache; `uring-both` writes the target so as well.
    const coldCase = `file of ${size}, cold, O_DIRECT`
    const copies = join(folder, 'copies')

    async function measure(
      name: string,
      what: string,
      source: string,
      ways: readonly string[],
      chosen: Effort,
    ): Promise<void> {
      progress(name)
      mkdirSync(copies, { recursive: true })
      const contenders = ways.map((way) => tsContender(way, 'copy.ts', [what, way, source, copies]))
      const result = await measureCase({ suite: 'copy', name, contenders }, chosen)
      rows.push(...result.rows)
      skipped.push(...result.skipped)
    }

    const rounds = Math.min(effort.rounds, MAX_TREE_ROUNDS)
    const tree = join(folder, 'tree')
    makeTree(tree, files)
    const treeEffort = { ...effort, rounds, warmUpRuns: 1 }
    await measure(treeCase, 'tree', tree, ['uring', 'cp', 'fs.promises.cp'], treeEffort)

    const file = join(folder, 'large')
    makeFile(file, bytes)
    const fileEffort = { ...effort, warmUpRuns: 1 }
    await measure(fileCase, 'file', file, ['uring', 'uring-ring', 'fs.copyFile', 'cp'], fileEffort)
    await measure(
      coldCase,
      'cold',
      file,
      ['uring', 'uring-both', 'uring-buffered', 'fs.copyFile', 'cp'],
      fileEffort,
    )
    for (const path of [tree, file, copies]) rmSync(path, { recursive: true })

    const ratio = (name: string, contender: string): number | null =>
      findRow(rows, name, contender)?.ratioToUring ?? null
    return {
      rows,
      skipped,
      targets: [
        atLeast('copy', `${treeCase}: >= 5 times fs.promises.cp`, ratio(treeCase, 'fs.promises.cp'), 5),
        atLeast('copy', `${treeCase}: level with cp -r`, ratio(treeCase, 'cp'), 0.95),
        atLeast('copy', `${fileCase}: >= 0.95 of fs.copyFile`, ratio(fileCase, 'fs.copyFile'), 0.95),
        atLeast('copy', `${coldCase}: >= 1.2 times fs.copyFile`, ratio(coldCase, 'fs.copyFile'), 1.2),
      ],
    }
  },
}
