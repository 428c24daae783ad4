// One case: its contenders run in turns, round after round, so that whatever the machine does in the meantime
// (frequency, neighbours, caches) meets all of them alike.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Contender } from './contender.js'
import type { Measurement, Row, Skip } from './measurement.js'
import { median, pairwiseRatios, spreadPercent } from './statistics.js'

/** How long and how often to measure. */
export interface Effort {
  readonly rounds: number
  readonly runMs: number
  /** Runs of each contender that are thrown away first. */
  readonly warmUpRuns: number
}

export interface Case {
  readonly suite: string
  readonly name: string
  readonly contenders: readonly Contender[]
  /** A pause before each run, for kernel threads of the previous contender to fall asleep. */
  readonly settleMs?: number
}

export interface CaseResult {
  readonly rows: Row[]
  readonly skipped: Skip[]
  /** Each contender's measured runs, by round. */
  readonly samples: ReadonlyMap<string, readonly Measurement[]>
}

/** The contender that all others are compared with. */
export const BASE_CONTENDER = 'uring'

/** Measures one case. @throws Error when a contender fails in a way that is not a skip. */
export async function measureCase(subject: Case, effort: Effort): Promise<CaseResult> {
  const samples = new Map<string, Measurement[]>()
  const skipped: Skip[] = []
  const ready: Contender[] = []
  try {
    // One after the other: starting them together would make some of them find their speed in a crowd.
    for (const contender of subject.contenders) {
      const reason = await contender.start()
      if (reason === null) ready.push(contender)
      else skipped.push({ suite: subject.suite, case: subject.name, contender: contender.name, reason })
    }
    for (const contender of ready) {
      samples.set(contender.name, [])
      for (let run = 0; run < effort.warmUpRuns; run++) await contender.run(effort.runMs)
    }
    for (let round = 0; round < effort.rounds; round++) {
      for (let turn = 0; turn < ready.length; turn++) {
        // Each round starts with another one: always running after the same neighbour would be a bias.
        const contender = ready[(round + turn) % ready.length]!
        if (subject.settleMs !== undefined) await sleep(subject.settleMs)
        samples.get(contender.name)!.push(await contender.run(effort.runMs))
      }
    }
  } finally {
    await Promise.all(subject.contenders.map((contender) => contender.stop()))
  }
  return { rows: summarize(subject.suite, subject.name, samples), skipped, samples }
}

/** One row for each contender: medians, and the median of the ratios taken within each round. */
export function summarize(
  suite: string,
  caseName: string,
  samples: ReadonlyMap<string, readonly Measurement[]>,
): Row[] {
  const base = samples.get(BASE_CONTENDER)?.map(opsPerSec)
  return [...samples].map(([contender, runs]) => {
    const speeds = runs.map(opsPerSec)
    const details = medianDetails(runs)
    return {
      suite,
      case: caseName,
      contender,
      opsPerSec: median(speeds),
      cpuMicrosPerOp: median(runs.map((run) => run.cpuMicros / run.ops)),
      runs: runs.length,
      ratioToUring: base === undefined ? null : median(pairwiseRatios(base, speeds)),
      spreadPercent: spreadPercent(speeds),
      ...(details === null ? {} : { details }),
    }
  })
}

function opsPerSec(run: Measurement): number {
  return run.ops / run.seconds
}

function medianDetails(runs: readonly Measurement[]): Record<string, number> | null {
  const names = Object.keys(runs[0]?.details ?? {})
  if (names.length === 0) return null
  return Object.fromEntries(
    names.map((name) => [name, median(runs.map((run) => run.details?.[name] ?? Number.NaN))]),
  )
}
