// `npm run soak`: everything at once for a while, and whether anything grows or is lost.
//
//   npm run soak -- --minutes 10 [--seed N] [--svg FILE] [--json FILE]

import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { describeMachine } from '../../bench/harness/machine.js'
import { drawCourse } from './chart.js'
import type { Sample } from './observe.js'
import { soak } from './soak.js'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    svg: { type: 'string' },
    json: { type: 'string' },
  },
})
const minutes = Number(values.minutes)
if (!(minutes > 0)) throw new RangeError(`--minutes must be more than 0, not ${values.minutes}`)
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
const machine = describeMachine()
const date = new Date().toISOString().slice(0, 10)
console.log(
  `soak of ${minutes} minutes, seed ${seed}, ${date}, Linux ${machine.kernel}, Node ${machine.node}`,
)

const COLUMNS = ['at', 'descriptors', 'mappings', 'threads', 'iouWrk', 'iouSqp', 'heapMiB', 'rssMiB'] as const
const HEADS = ['s', 'descriptors', 'mappings', 'threads', 'iou-wrk', 'iou-sqp', 'heap MiB', 'RSS MiB']

function row(sample: Sample): string {
  return COLUMNS.map((name, index) => {
    const value = sample[name]
    const text = name.endsWith('MiB') || name === 'at' ? value.toFixed(1) : String(value)
    return text.padStart(HEADS[index]!.length)
  }).join('  ')
}

console.log(HEADS.map((head) => head.padStart(head.length)).join('  '))
const report = await soak({
  seconds: minutes * 60,
  seed,
  isShort: minutes < 1,
  onSample: (sample) => {
    if (sample.quiet) console.log(row(sample))
  },
})

const { tally, samples, seconds, problems } = report
const most = (name: keyof Sample): number => Math.max(...samples.map((sample) => sample[name] as number))
console.log(
  `\n${seconds.toFixed(0)} s: ${(tally.bytes / 2 ** 30).toFixed(2)} GiB checked, ${tally.connections} connections ` +
    `(${tally.resets} broken off), ${tally.fileRounds} files, ${tally.cancels} cancelled operations, ` +
    `${tally.workers} workers, ${tally.copies} copies`,
)
console.log(
  `at most: ${most('descriptors')} descriptors, ${most('mappings')} mappings, ${most('threads')} threads ` +
    `(${most('iouWrk')} iou-wrk, ${most('iouSqp')} iou-sqp), heap ${most('heapMiB').toFixed(0)} MiB, RSS ${most('rssMiB').toFixed(0)} MiB`,
)
if (values.svg !== undefined) {
  writeFileSync(
    values.svg,
    `${await drawCourse(machine, `uring soak, ${minutes} minutes, ${date}`, samples)}\n`,
  )
}
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify({ date, machine, seed, ...report }, null, 1)}\n`)
}
for (const problem of problems) console.log(`PROBLEM: ${problem}`)
console.log(problems.length === 0 ? 'nothing lost, nothing grew' : `${problems.length} problems`)
process.exit(problems.length === 0 ? 0 : 1)
