#!/usr/bin/env node
// The `uring` command: parses arguments, runs a command, turns a failure into one line and an exit code.

import { parseArgs } from 'node:util'
import { demo } from './demo.js'
import { diagnose, printDoctor } from './doctor.js'
import { exitCodeFor, failureLine, UsageError } from './errors.js'
import { version } from './version.js'

const HELP = `Usage: uring <command> [options]

Commands:
  doctor [--json]   what this machine offers: kernel, features, opcodes, SQPOLL, and why not more
  demo [FILE]       doctor, then copies FILE (default: the running Node) through a ring and verifies it,
                    then again with SQPOLL asked for beside a mapped basis

Options:
  -h, --help        this text
  -V, --version     the version

Exit codes: 0 done, 1 failed, 2 wrong usage.`

type Write = (line: string) => void

function commandArgs(
  args: string[],
  most: number,
  booleans: string[] = [],
): { values: Record<string, unknown>; positionals: string[] } {
  const options = Object.fromEntries(booleans.map((name) => [name, { type: 'boolean' as const }]))
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
  if (positionals.length > most) throw new UsageError(`unexpected argument '${positionals[most]}'`)
  return { values, positionals }
}

async function run(args: string[], write: Write): Promise<void> {
  const [command, ...rest] = args
  if (command === undefined || command === '-h' || command === '--help' || rest.includes('--help'))
    return write(HELP)
  if (command === '-V' || command === '--version') return write(version())
  if (command === 'doctor') {
    const { values } = commandArgs(rest, 0, ['json'])
    if (values['json']) write(JSON.stringify(diagnose(), null, 2))
    else printDoctor(write)
    return
  }
  if (command === 'demo') {
    const { positionals } = commandArgs(rest, 1)
    return demo({ source: positionals[0], write })
  }
  throw new UsageError(`unknown command '${command}'`)
}

try {
  await run(process.argv.slice(2), (line) => process.stdout.write(`${line}\n`))
} catch (error) {
  process.stderr.write(`${failureLine(error)}\n`)
  process.exitCode = exitCodeFor(error)
}
