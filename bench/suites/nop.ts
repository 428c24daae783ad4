// `nop`: what one operation costs when the kernel does nothing for it, next to the same loop in C.

import { type Contender, programContender, tsContender } from '../harness/contender.js'
import { measureCase } from '../harness/measure.js'
import type { Row, Skip, Target } from '../harness/measurement.js'
import { peer } from '../harness/peers.js'
import { atLeast, findRow, OPS_PER_SEC, SPEED_COLUMNS, type Suite } from '../harness/suite.js'

const MODES = ['default', 'defer', 'sqpoll'] as const
type Mode = (typeof MODES)[number]

const MODE_TITLES: Readonly<Record<Mode, string>> = {
  default: 'flags 0',
  defer: 'DEFER_TASKRUN',
  sqpoll: 'SQPOLL',
}

const BATCHES = [1, 4, 16, 64, 256]
const QUICK_BATCHES = [1, 16]
// Twice the largest batch: an SQPOLL thread may post completions before it frees their entries.
const ENTRIES = 512
// Longer than the idle time after which the children's SQPOLL threads sleep.
const SQPOLL_SETTLE_MS = 20

// uring registers the ring's descriptor with the thread by default, liburing on request: C is shown both ways.
const C_PLAIN = 'c-liburing'
const C_REGISTERED = 'c-liburing+fd'

/** uring and C, each with a loop of NOPs in batches. `pending` reads that never complete stay in flight beside them. */
export function nopContenders(batch: number, mode: string, entries: number, pending = 0): Contender[] {
  const args = [batch, mode, entries, pending]
  const contenders = [tsContender('uring', 'nop.ts', args), programContender(C_PLAIN, peer('nop', args))]
  // An SQPOLL ring is hardly ever entered, so that there is nothing to compare.
  if (mode === 'sqpoll' || pending > 0) return contenders
  return [...contenders, programContender(C_REGISTERED, peer('nop', [batch, `${mode}+`, entries, pending]))]
}

function caseName(mode: Mode, batch: number): string {
  return `${MODE_TITLES[mode]}, batch ${batch}`
}

/** How much of C's speed uring reaches in the worst of the given batches; null when any of them was not measured. */
function worstShareOfC(rows: readonly Row[], mode: Mode, batches: readonly number[]): number | null {
  const ratios = batches.map(
    (batch) => findRow(rows, caseName(mode, batch), 'c-liburing')?.ratioToUring ?? null,
  )
  return ratios.includes(null) ? null : Math.min(...(ratios as number[]))
}

export const nop: Suite = {
  name: 'nop',
  title: 'NOPs in batches: prepare, submit and wait, reap',
  columns: SPEED_COLUMNS,
  bar: { ...OPS_PER_SEC, title: 'million ops/s', value: (row) => row.opsPerSec / 1e6, decimals: 2 },
  async run({ quick, effort, progress }) {
    const batches = quick ? QUICK_BATCHES : BATCHES
    const rows: Row[] = []
    const skipped: Skip[] = []
    for (const mode of MODES) {
      for (const batch of batches) {
        const name = caseName(mode, batch)
        progress(name)
        const contenders = nopContenders(batch, mode, ENTRIES)
        const settle = mode === 'sqpoll' ? { settleMs: SQPOLL_SETTLE_MS } : {}
        const result = await measureCase({ suite: 'nop', name, contenders, ...settle }, effort)
        rows.push(...result.rows)
        skipped.push(...result.skipped)
      }
    }
    const large = batches.filter((batch) => batch >= 16)
    const targets: Target[] = MODES.flatMap((mode) => [
      atLeast('nop', `${MODE_TITLES[mode]}, batch 1: >= 0.60 of C`, worstShareOfC(rows, mode, [1]), 0.6),
      atLeast(
        'nop',
        `${MODE_TITLES[mode]}, each batch >= 16: >= 0.90 of C`,
        worstShareOfC(rows, mode, large),
        0.9,
      ),
    ])
    return { rows, skipped, targets }
  },
}
