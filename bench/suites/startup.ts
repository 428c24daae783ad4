// `startup`: what importing the library and opening a first ring adds to the life of a Node process. It measures
// JavaScript as published, so it first builds the library into .bench/dist.

import { spawnSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { bundle } from '../../scripts/bundle.js'
import type { Contender } from '../harness/contender.js'
import { BUILD_FOLDER, ROOT } from '../harness/folders.js'
import { measureCase } from '../harness/measure.js'
import type { Measurement } from '../harness/measurement.js'
import { median, pairwiseDifferences } from '../harness/statistics.js'
import { below, type Column, detailColumn, SPREAD, type Suite } from '../harness/suite.js'

const SPAWNS = 15
const QUICK_SPAWNS = 3
const MAX_ADDED_MS = 40
const BARE = 'bare-node'
const CASE = 'process from spawn to exit'

// `-e` code is CommonJS, as in `node -e 0`: what the module loader costs is part of what an import costs.
const REPORT = `require('node:fs').writeSync(1, JSON.stringify(process.cpuUsage()))`

/** Builds `dist` afresh: a number for yesterday's code would be worse than none. @returns The folder. */
async function buildLibrary(): Promise<string> {
  const folder = join(BUILD_FOLDER, 'dist')
  rmSync(folder, { recursive: true, force: true })
  await bundle(['src/index.ts', 'src/ring/index.ts'], folder, 'src')
  return folder
}

/** A contender whose every run is a new Node process that evaluates `code`. */
function spawnContender(name: string, code: string, needed: string | null): Contender {
  return {
    name,
    async start() {
      return needed === null || existsSync(needed) ? null : 'the build has no such entry point'
    },
    // Synchronous on purpose: nothing of the bench itself runs while the clock does.
    async run(): Promise<Measurement> {
      const startedMs = performance.now()
      const { error, status, stdout, stderr } = spawnSync(process.execPath, ['-e', code], {
        cwd: ROOT,
        encoding: 'utf8',
      })
      const milliseconds = performance.now() - startedMs
      if (error !== undefined) throw error
      if (status !== 0) throw new Error(`${name}: exit code ${status}\n${stderr}`)
      const cpu = JSON.parse(stdout) as NodeJS.CpuUsage
      return {
        ops: 1,
        seconds: milliseconds / 1000,
        cpuMicros: cpu.user + cpu.system,
        details: { milliseconds },
      }
    },
    async stop() {},
  }
}

const MILLISECONDS: Column = detailColumn('ms', 'milliseconds', 1)
const CPU_MS: Column = { title: 'CPU ms', value: (row) => row.cpuMicrosPerOp / 1000, decimals: 1 }

export const startup: Suite = {
  name: 'startup',
  title: 'Import and first ring, over bare Node',
  columns: [MILLISECONDS, CPU_MS, SPREAD, detailColumn('ms over bare', 'addedMilliseconds', 1)],
  bar: MILLISECONDS,
  async run({ quick, progress }) {
    progress('building the library')
    const folder = await buildLibrary()
    const ringEntry = join(folder, 'ring', 'index.js')
    const mainEntry = join(folder, 'index.js')
    const openRing = `import(${JSON.stringify(pathToFileURL(ringEntry).href)})
      .then(({ Ring }) => { Ring.open({ entries: 64 }).close(); ${REPORT} })`
    const openDriver = `import(${JSON.stringify(pathToFileURL(mainEntry).href)})
      .then(({ Uring }) => Uring.open().close()).then(() => { ${REPORT} })`
    const contenders = [
      spawnContender(BARE, REPORT, null),
      spawnContender('uring', openRing, ringEntry),
      spawnContender('uring-driver', openDriver, mainEntry),
    ]

    const spawns = quick ? QUICK_SPAWNS : SPAWNS
    progress(`${spawns} processes each`)
    const effort = { rounds: spawns, runMs: 0, warmUpRuns: 1 }
    const { rows, skipped, samples } = await measureCase({ suite: 'startup', name: CASE, contenders }, effort)

    const addedMs = (contender: string): number | null => {
      const runs = samples.get(contender)
      if (runs === undefined) return null
      const times = (measured: readonly Measurement[]) => measured.map((run) => run.seconds * 1000)
      return median(pairwiseDifferences(times(runs), times(samples.get(BARE)!)))
    }
    return {
      rows: rows.map((row) => {
        const added = addedMs(row.contender)
        return added === null ? row : { ...row, details: { ...row.details, addedMilliseconds: added } }
      }),
      skipped,
      targets: [
        below(
          'startup',
          `import 'uring/ring' and a first ring: < ${MAX_ADDED_MS} ms`,
          addedMs('uring'),
          MAX_ADDED_MS,
        ),
        below(
          'startup',
          `import 'uring' and a first driver: < ${MAX_ADDED_MS} ms`,
          addedMs('uring-driver'),
          MAX_ADDED_MS,
        ),
      ],
    }
  },
}
