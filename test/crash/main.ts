// `npm run crash`: SIGKILL at random moments, 500 times in all, and whether anything acknowledged is lost or anything is
// half written.
//
//   npm run crash -- [--kills N] [--seed N]     N in all: three fifths appends, a fifth copies, a fifth patches

import { parseArgs } from 'node:util'
import { buildVictim, crash, type Kind } from './crash.js'

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '500' }, seed: { type: 'string' } },
})
const total = Number(values.kills)
if (!Number.isInteger(total) || total < 3)
  throw new RangeError(`--kills must be 3 at least, not ${values.kills}`)
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 30))
const fifth = Math.ceil(total / 5)
const counts: readonly (readonly [kind: Kind, count: number])[] = [
  ['append', Math.max(1, total - 2 * fifth)],
  ['copy', fifth],
  ['patch', fifth],
]

console.log(`${total} kills, seed ${seed}`)
const victim = await buildVictim()
let problems = 0
let kills = 0
for (const [kind, count] of counts) {
  const report = await crash(kind, count, seed, victim)
  for (const problem of report.problems) console.log(`PROBLEM: ${problem}`)
  console.log(
    `${kind}: ${report.kills} kills, ${report.acknowledged} of them after something was acknowledged; ` +
      `${report.leftOver} unfinished files left beside; ${report.problems.length} problems`,
  )
  kills += report.kills
  problems += report.problems.length
}
console.log(problems === 0 ? `${kills} kills, nothing lost, nothing half written` : `${problems} problems`)
process.exit(problems === 0 ? 0 : 1)
