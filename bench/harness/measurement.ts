// What a contender answers to one `run`, and what the bench makes of all its runs.

/** One measured run, as it travels from a child in one line of JSON. */
export interface Measurement {
  readonly ops: number
  readonly seconds: number
  /** User and system time of the contender's whole process, its kernel-side poll and worker threads included. */
  readonly cpuMicros: number
  /** Whatever else the contender measured; names end with their unit. */
  readonly details?: Readonly<Record<string, number>>
}

/** One contender in one case: medians over all rounds. */
export interface Row {
  readonly suite: string
  readonly case: string
  readonly contender: string
  readonly opsPerSec: number
  readonly cpuMicrosPerOp: number
  /** How many runs were measured. */
  readonly runs: number
  /** uring's opsPerSec / this contender's, taken within each round, then the median; null when uring was skipped. */
  readonly ratioToUring: number | null
  /** Median distance of the runs' opsPerSec from their median, in percent of it. */
  readonly spreadPercent: number
  readonly details?: Readonly<Record<string, number>>
}

/** A contender, or a whole case, that could not run here. */
export interface Skip {
  readonly suite: string
  readonly case: string
  readonly contender: string
  readonly reason: string
}

/** One stated goal, and whether this run met it. */
export interface Target {
  readonly suite: string
  readonly target: string
  /** In the target's own unit; null when it was not measured. */
  readonly measured: number | null
  readonly pass: boolean | null
}
