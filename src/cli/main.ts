#!/usr/bin/env node
// The `uring` command: finds the command that is meant, runs it, and turns a failure into one line and an
// exit code.

import { type Command, helpText, parse } from './command.js'
import { COMMANDS } from './commands.js'
import { exitCodeFor, failureLine, UsageError } from './errors.js'
import { Interruption } from './interruption.js'
import { version } from './version.js'

function generalHelp(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length)) + 2
  return [
    'Usage: uring <command> [options]',
    '',
    'Commands:',
    ...COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}${summary.split(/[:.(]/)[0]!.trimEnd()}`),
    '',
    'Options:',
    '  -h, --help        this text, or after a command its own',
    '  -V, --version     the version',
    '',
    'Exit codes: 0 done, 1 failed, 2 wrong usage, 129, 130, 143 interrupted (SIGHUP, SIGINT, SIGTERM).',
  ].join('\n')
}

const write = (line: string): void => {
  process.stdout.write(`${line}\n`)
}
const warn = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

function find(name: string): Command {
  const command = COMMANDS.find((candidate) => candidate.name === name)
  if (command === undefined) throw new UsageError(`unknown command '${name}'`)
  return command
}

async function run(args: readonly string[], interruption: Interruption): Promise<void> {
  const [name, ...rest] = args
  if (name === undefined || name === '-h' || name === '--help') return write(generalHelp())
  if (name === '-V' || name === '--version') return write(version())
  const command = find(name)
  const given = parse(command, rest)
  if (given.has('help')) return write(helpText(command))
  await command.run(given, {
    write,
    warn,
    get signal() {
      return interruption.signal
    },
  })
}

let hasOutputFailed = false

// A reader that has gone (`uring doctor | head -1`) is not our failure: the command runs on to its end.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE' || hasOutputFailed) return
  hasOutputFailed = true
  warn(`uring: standard output: ${error.message}`)
  process.exitCode = 1
})
// Nobody is left to be told.
process.stderr.on('error', () => {})

const args = process.argv.slice(2)
const interruption = new Interruption()
try {
  await run(args, interruption)
} catch (error) {
  if (interruption.received === null) {
    const name = COMMANDS.some((command) => command.name === args[0]) ? args[0]! : ''
    warn(failureLine(error, name))
    process.exitCode = exitCodeFor(error)
  } else {
    warn(`uring: interrupted by ${interruption.received}`)
    process.exitCode = interruption.exitCode
  }
} finally {
  interruption.stop()
}
