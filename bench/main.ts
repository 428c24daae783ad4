// `npm run bench -- [suite...] [--json] [--svg FILE] [--runs N] [--quick]`: measures uring against C on liburing and
// against node:fs, and says which of the stated targets hold.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drawChart, type Panel } from './harness/chart.js'
import { describeMachine } from './harness/machine.js'
import type { Effort } from './harness/measure.js'
import type { Row, Skip, Target } from './harness/measurement.js'
import { type BenchOptions, parseOptions, USAGE } from './harness/options.js'
import type { Suite } from './harness/suite.js'
import { header, skipTable, suiteTable, targetTable } from './harness/table.js'
import { copy } from './suites/copy.js'
import { fairness } from './suites/fairness.js'
import { fs } from './suites/fs.js'
import { memory } from './suites/memory.js'
import { net } from './suites/net.js'
import { nop } from './suites/nop.js'
import { promises } from './suites/promises.js'
import { read } from './suites/read.js'
import { scaling } from './suites/scaling.js'
import { smallfiles } from './suites/smallfiles.js'
import { startup } from './suites/startup.js'
import { stores } from './suites/stores.js'
import { transfer } from './suites/transfer.js'

const SUITES: readonly Suite[] = [
  nop,
  read,
  promises,
  fs,
  smallfiles,
  fairness,
  scaling,
  memory,
  startup,
  stores,
  net,
  transfer,
  copy,
]
const NAMES = SUITES.map((suite) => suite.name)

const FULL: Effort = { rounds: 7, runMs: 300, warmUpRuns: 2 }
const QUICK: Effort = { rounds: 2, runMs: 20, warmUpRuns: 1 }

async function runBench(options: BenchOptions): Promise<void> {
  const print = options.json ? () => {} : (text: string) => console.log(`${text}\n`)
  const machine = describeMachine()
  const effort = options.quick ? QUICK : FULL
  const rows: Row[] = []
  const skipped: Skip[] = []
  const targets: Target[] = []
  const panels: Panel[] = []

  print(header(machine, options.quick))
  const folder = mkdtempSync(join(tmpdir(), 'uring-bench-'))
  // An interrupted bench must not leave its file behind either; the children see the end of their stdin.
  const interrupted = () => process.exit(130)
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted)
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))

  for (const suite of SUITES.filter(({ name }) => options.suites.includes(name))) {
    const result = await suite.run({
      quick: options.quick,
      effort: options.rounds === null ? effort : { ...effort, rounds: options.rounds },
      folder,
      progress: (text) => console.error(`# ${suite.name}: ${text}`),
    })
    rows.push(...result.rows)
    skipped.push(...result.skipped)
    targets.push(...result.targets)
    panels.push({ suite, rows: result.rows })
    print(suiteTable(suite, result.rows))
    if (result.skipped.length > 0) print(skipTable(result.skipped))
    print(targetTable(result.targets))
  }

  if (options.json) console.log(JSON.stringify({ machine, rows, skipped, targets }, null, 2))
  if (options.svg !== null) {
    const drawn = panels.filter((panel) => panel.rows.length > 0)
    writeFileSync(options.svg, await drawChart(machine, drawn))
    console.error(`# wrote ${options.svg}`)
  }
}

function readOptions(): BenchOptions {
  try {
    return parseOptions(process.argv.slice(2), NAMES)
  } catch (error) {
    console.error((error as Error).message)
    process.exit(2)
  }
}

const options = readOptions()
if (options.help) console.log(USAGE.replace('{suites}', NAMES.join(', ')))
else await runBench(options)
