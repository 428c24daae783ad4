// The command line of `npm run bench`.

import { parseArgs } from 'node:util'

export interface BenchOptions {
  readonly suites: readonly string[]
  readonly json: boolean
  /** Where to write the chart, or null. */
  readonly svg: string | null
  /** Measured rounds, or null for each suite's own choice. */
  readonly rounds: number | null
  readonly quick: boolean
  readonly help: boolean
}

export const USAGE = `Usage: npm run bench -- [suite...] [options]

Suites: {suites} (all of them when none is named)

  --json      print one JSON object on stdout and nothing else
  --svg FILE  also draw the results as a bar chart
  --runs N    measured runs of each contender (7 unless given; memory at most 3, startup always 15)
  --quick     a smoke run: everything once and briefly, numbers without worth
  --help      print this

Files to read are made in TMPDIR, which decides what disk the O_DIRECT case meets.`

/** @throws Error with a message for the user when an argument is wrong. */
export function parseOptions(args: readonly string[], known: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      svg: { type: 'string' },
      runs: { type: 'string' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  for (const suite of positionals) {
    if (!known.includes(suite)) throw new Error(`No such suite: ${suite}. There are: ${known.join(', ')}`)
  }
  const rounds = values.runs === undefined ? null : Number(values.runs)
  if (rounds !== null && !(Number.isInteger(rounds) && rounds >= 1 && rounds <= 1000)) {
    throw new Error(`--runs must be an integer from 1 to 1000, not ${values.runs}`)
  }
  return {
    // In their own order, each once.
    suites: known.filter((suite) => positionals.length === 0 || positionals.includes(suite)),
    json: values.json,
    svg: values.svg ?? null,
    rounds,
    quick: values.quick,
    help: values.help,
  }
}
