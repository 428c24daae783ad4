// What a suite is, and what it gets from the bench.

import type { Effort } from './measure.js'
import type { Row, Skip, Target } from './measurement.js'

export interface SuiteContext {
  /** A smoke run: every part once, numbers without worth. */
  readonly quick: boolean
  readonly effort: Effort
  /** Where files to read are made; removed when the suite ends. */
  readonly folder: string
  /** Says what is being measured; goes to stderr. */
  readonly progress: (text: string) => void
}

export interface SuiteResult {
  readonly rows: readonly Row[]
  readonly skipped: readonly Skip[]
  readonly targets: readonly Target[]
}

/** A number that the table and the chart show for each row. */
export interface Column {
  readonly title: string
  readonly value: (row: Row) => number | null
  readonly decimals: number
}

export interface Suite {
  readonly name: string
  readonly title: string
  /** Table columns, after case and contender. */
  readonly columns: readonly Column[]
  /** The number that the chart draws as bars. */
  readonly bar: Column
  readonly run: (context: SuiteContext) => Promise<SuiteResult>
}

export const OPS_PER_SEC: Column = { title: 'ops/s', value: (row) => row.opsPerSec, decimals: 0 }
export const NS_PER_OP: Column = { title: 'ns/op', value: (row) => 1e9 / row.opsPerSec, decimals: 1 }
export const CPU_NS_PER_OP: Column = {
  title: 'CPU ns/op',
  value: (row) => row.cpuMicrosPerOp * 1000,
  decimals: 1,
}
export const SPREAD: Column = { title: '± %', value: (row) => row.spreadPercent, decimals: 1 }
export const RATIO: Column = { title: 'uring / it', value: (row) => row.ratioToUring, decimals: 3 }

/** The columns of a suite that measures speed. */
export const SPEED_COLUMNS: readonly Column[] = [OPS_PER_SEC, NS_PER_OP, CPU_NS_PER_OP, SPREAD, RATIO]

/** A column for a number out of a row's details. */
export function detailColumn(title: string, detail: string, decimals: number): Column {
  return { title, value: (row) => row.details?.[detail] ?? null, decimals }
}

/** The row of one contender in one case. */
export function findRow(rows: readonly Row[], caseName: string, contender: string): Row | undefined {
  return rows.find((row) => row.case === caseName && row.contender === contender)
}

/** A target that wants `measured` to be at least `floor`. */
export function atLeast(suite: string, target: string, measured: number | null, floor: number): Target {
  return { suite, target, measured, pass: measured === null ? null : measured >= floor }
}

/** A target that wants `measured` to be above `floor`. */
export function above(suite: string, target: string, measured: number | null, floor: number): Target {
  return { suite, target, measured, pass: measured === null ? null : measured > floor }
}

/** A target that wants `measured` to stay below `ceiling`. */
export function below(suite: string, target: string, measured: number | null, ceiling: number): Target {
  return { suite, target, measured, pass: measured === null ? null : measured < ceiling }
}
