// The child's half of the bench protocol: `{"ready":true}` or `{"skip":"reason"}` once, then one JSON line for each
// `run <milliseconds>` line on stdin, until stdin ends. bench/peers/serve.h is the same in C.
//
// A child lives through all rounds of its case: it warms up once, keeps its own JIT state, and costs nothing while
// others have their turn.

import { createInterface } from 'node:readline'
import type { Measurement } from './measurement.js'

function answer(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

/**
 * Ends this child with a reason that goes into the report: the machine lacks something. A failure that may be a bug
 * must be thrown instead, which fails the whole bench.
 */
export function skip(reason: string): never {
  answer({ skip: reason })
  process.exit(0)
}

/** Answers `run` lines with what `measure` returns. The result settles when stdin ends. */
export async function serve(
  measure: (milliseconds: number) => Measurement | Promise<Measurement>,
): Promise<void> {
  const lines = createInterface({ input: process.stdin })
  answer({ ready: true })
  for await (const line of lines) {
    const match = /^run (\d+)$/.exec(line)
    if (match === null) throw new Error(`Not a command: ${line}`)
    answer(await measure(Number(match[1])))
  }
}

/** A piece of work in units of `opsPerUnit` operations each. */
export interface Work {
  readonly opsPerUnit: number
  /** Runs that many units. */
  readonly loop: (units: number) => void | Promise<void>
}

/** The time and the processor time that `units` units of work took. */
export async function timeUnits(work: Work, units: number): Promise<Measurement> {
  const cpuBefore = process.cpuUsage()
  const startedMs = performance.now()
  const pending = work.loop(units)
  // An await would put a trip through the microtask queue into the time of a loop that is already done.
  if (pending !== undefined) await pending
  const seconds = (performance.now() - startedMs) / 1000
  const cpu = process.cpuUsage(cpuBefore)
  return { ops: units * work.opsPerUnit, seconds, cpuMicros: cpu.user + cpu.system }
}

/**
 * Serves `run` lines with as many units as fit in the time asked for. The number comes from the speed of earlier runs,
 * so that the measured loop itself never reads a clock.
 */
export async function serveWork(work: Work): Promise<void> {
  let unitsPerSecond = 0
  await serve(async (milliseconds) => {
    const targetSeconds = milliseconds / 1000
    // The first run finds the speed by doubling, up to a tenth of the time asked for.
    for (let units = 1; unitsPerSecond === 0; units *= 2) {
      const { seconds } = await timeUnits(work, units)
      if (seconds >= targetSeconds / 10) unitsPerSecond = units / seconds
    }
    const units = Math.max(1, Math.floor(unitsPerSecond * targetSeconds))
    const measurement = await timeUnits(work, units)
    unitsPerSecond = units / measurement.seconds
    return measurement
  })
}
