// `smallfiles`: whole files of 4 KB by the thousand, 64 at a time.

import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { childFile } from '../harness/children.js'
import { type Command, type Contender, programContender, tsContender } from '../harness/contender.js'
import { measureCase } from '../harness/measure.js'
import type { Row, Skip } from '../harness/measurement.js'
import { peer } from '../harness/peers.js'
import { atLeast, findRow, OPS_PER_SEC, SPEED_COLUMNS, type Suite } from '../harness/suite.js'

const FILES = 10_000
const QUICK_FILES = 200
const FILE_BYTES = 4096
const CONCURRENCY = 64
const CHILD = 'small-files.ts'
/** Writing waits for the disk now and then, for longer than a run takes. */
const MAX_WRITE_ROUNDS = 5

/** How Bun runs the same child, or why it cannot. */
async function bun(args: readonly (string | number)[]): Promise<Command> {
  const script = await childFile(CHILD)
  const ways = [['bun'], ['npx', '--no-install', 'bun']]
  for (const [file, ...first] of ways) {
    const { status } = spawnSync(file!, [...first, '--version'], { stdio: 'ignore' })
    if (status === 0) return { file: file!, args: [...first, script, ...args.map(String)] }
  }
  return { skip: 'bun is not installed' }
}

/** The bare system calls in C, one file after the other: what the file system itself takes. */
function bareCalls(folder: string, count: number, what: 'read' | 'replace'): Contender {
  return programContender('c-syscalls', peer('small-files', [folder, count, FILE_BYTES, what]))
}

export const smallfiles: Suite = {
  name: 'smallfiles',
  title: `Files of ${FILE_BYTES} bytes, ${CONCURRENCY} at a time`,
  columns: SPEED_COLUMNS,
  bar: { ...OPS_PER_SEC, title: 'thousand files/s', value: (row) => row.opsPerSec / 1e3, decimals: 0 },
  async run({ quick, effort, folder, progress }) {
    const rows: Row[] = []
    const skipped: Skip[] = []
    const count = quick ? QUICK_FILES : FILES
    const readCase = `readFile of ${count} files`
    const createCase = `writeFile of ${count} new files`
    const replaceCase = `writeFile of ${count} existing files`

    async function measure(name: string, contenders: readonly Contender[], chosen = effort): Promise<void> {
      progress(name)
      const result = await measureCase({ suite: 'smallfiles', name, contenders }, chosen)
      rows.push(...result.rows)
      skipped.push(...result.skipped)
    }

    const files = join(folder, 'files')
    mkdirSync(files)
    const data = Buffer.alloc(FILE_BYTES, 'x')
    for (let index = 0; index < count; index++) writeFileSync(join(files, `file-${index}`), data)
    const args = [files, count, CONCURRENCY]
    const ts = (name: string, variant: string): Contender => tsContender(name, CHILD, [...args, variant])
    await measure(readCase, [
      ts('uring', 'uring-read'),
      ts('uring-readFiles', 'uring-readFiles'),
      ts('fs.promises', 'node-read'),
      ts('fs.readFileSync', 'sync-read'),
      programContender('bun', await bun([...args, 'bun-read'])),
      bareCalls(files, count, 'read'),
    ])

    const rounds = Math.min(effort.rounds, MAX_WRITE_ROUNDS)
    for (const [name, how] of [
      [createCase, 'create'],
      [replaceCase, 'replace'],
    ] as const) {
      const contenders = ['uring', 'node', 'sync'].map((who) => {
        const own = join(folder, `${how}-${who}`)
        mkdirSync(own)
        const shown = { uring: 'uring', node: 'fs.promises', sync: 'fs.writeFileSync' }[who]!
        return tsContender(shown, CHILD, [own, count, CONCURRENCY, `${who}-${how}`])
      })
      if (how === 'replace') {
        const own = join(folder, 'replace-c')
        mkdirSync(own)
        contenders.push(bareCalls(own, count, 'replace'))
      }
      await measure(name, contenders, { ...effort, rounds })
    }
    rmSync(files, { recursive: true })

    const ratio = (caseName: string, contender: string): number | null =>
      findRow(rows, caseName, contender)?.ratioToUring ?? null
    return {
      rows,
      skipped,
      targets: [
        atLeast('smallfiles', 'readFile: >= 10 times fs.promises', ratio(readCase, 'fs.promises'), 10),
        atLeast('smallfiles', 'readFile: >= 1.2 times readFileSync', ratio(readCase, 'fs.readFileSync'), 1.2),
        atLeast('smallfiles', 'readFile: level with Bun', ratio(readCase, 'bun'), 1),
        atLeast('smallfiles', 'writeFile, new: >= 5 times fs.promises', ratio(createCase, 'fs.promises'), 5),
        atLeast(
          'smallfiles',
          'writeFile, existing: >= 5 times fs.promises',
          ratio(replaceCase, 'fs.promises'),
          5,
        ),
      ],
    }
  },
}
