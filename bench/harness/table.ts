// The bench's output for people: the header that says how to read the numbers, and aligned tables.

import type { Machine } from './machine.js'
import type { Row, Skip, Target } from './measurement.js'
import type { Suite } from './suite.js'

/** What `ratioToUring` and the other numbers mean; it is printed above the first table. */
const CONVENTION = [
  'Each contender runs in a process of its own; they take turns, round after round, and every number is the median of',
  "its rounds. 'uring / it' (ratioToUring in JSON) is uring's ops/s over this contender's, taken within each round:",
  "0.93 in the row of c-liburing says that uring reaches 0.93 of C's speed; above 1, uring is the faster one. CPU time is",
  "that of the contender's whole process, SQPOLL thread and kernel workers included. '± %' is the median distance from",
  'the median.',
]

export function header(machine: Machine, quick: boolean): string {
  const { kernel, arch, cpu, cores, node, liburing } = machine
  const lines = [
    `Linux ${kernel} ${arch}, ${cpu}, ${cores} cores, Node ${node}, liburing ${liburing ?? 'not found'}`,
    '',
    ...CONVENTION,
  ]
  if (quick) lines.push('', 'This is a --quick run: its numbers say that everything works, and nothing else.')
  return lines.join('\n')
}

/** A number with separators for thousands; `-` for one that is missing. */
export function formatNumber(value: number | null, decimals: number): string {
  if (value === null || !Number.isFinite(value)) return '-'
  return value.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
}

/** Lines of cells, padded to columns: the first `leftColumns` to the left, the others to the right. */
export function alignCells(lines: readonly (readonly string[])[], leftColumns: number): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  return lines
    .map((line) =>
      line
        .map((cell, column) =>
          column < leftColumns ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

export function suiteTable(suite: Suite, rows: readonly Row[]): string {
  const titles = ['case', 'contender', ...suite.columns.map((column) => column.title), 'runs']
  let previousCase = ''
  const lines = rows.map((row) => {
    // A case's name once, at its first contender: the eye then sees where the next case begins.
    const caseName = row.case === previousCase ? '' : row.case
    previousCase = row.case
    const numbers = suite.columns.map((column) => formatNumber(column.value(row), column.decimals))
    return [caseName, row.contender, ...numbers, String(row.runs)]
  })
  return `${suite.name}: ${suite.title}\n\n${alignCells([titles, ...lines], 2)}`
}

/** Those skipped, with their reasons; '' when there are none. */
export function skipTable(skipped: readonly Skip[]): string {
  if (skipped.length === 0) return ''
  const lines = skipped.map(({ case: caseName, contender, reason }) => [caseName, contender, reason])
  return alignCells([['skipped case', 'contender', 'reason'], ...lines], 3)
}

export function targetTable(targets: readonly Target[]): string {
  const lines = targets.map(({ target, measured, pass }) => {
    const decimals = measured !== null && Math.abs(measured) >= 1000 ? 0 : 2
    return [target, formatNumber(measured, decimals), pass === null ? 'not measured' : pass ? 'yes' : 'NO']
  })
  return alignCells([['target', 'measured', 'pass'], ...lines], 1)
}
