// What a command of the program consists of: what it does, and its options, from which the help text is made
// and with which the manual page must agree.

import { parseArgs } from 'node:util'
import { UsageError } from './errors.js'

/** One option. `value` names what it takes; without it the option is a switch. */
export interface OptionSpec {
  readonly short?: string
  readonly value?: string
  /** May be given more than once. */
  readonly multiple?: boolean
  readonly help: string
}

/** What was given on the command line. */
export class Given {
  readonly operands: readonly string[]
  readonly #values: Readonly<Record<string, unknown>>

  constructor(values: Readonly<Record<string, unknown>>, operands: readonly string[]) {
    this.#values = values
    this.operands = operands
  }

  has(name: string): boolean {
    return this.#values[name] !== undefined
  }

  text(name: string): string | undefined {
    return this.#values[name] as string | undefined
  }

  list(name: string): readonly string[] {
    return (this.#values[name] as readonly string[] | undefined) ?? []
  }

  /** @throws UsageError when it is no whole number from `least` to `most`. */
  integer(name: string, least: number, most: number): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (value >= least && value <= most) return value
    throw new UsageError(`--${name} takes a whole number from ${least} to ${most}, not '${text}'`)
  }

  /** @throws UsageError when it is none of `choices`. */
  choice<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const text = this.text(name)
    if (text === undefined || choices.includes(text as T)) return text as T | undefined
    throw new UsageError(`--${name} takes ${choices.join(', ')}, not '${text}'`)
  }
}

/** Where a command writes, and how it hears that it is to end. */
export interface Surroundings {
  readonly write: (line: string) => void
  /** A line on stderr. */
  readonly warn: (line: string) => void
  /** Aborted by SIGINT or SIGTERM. */
  readonly signal: AbortSignal
}

export interface Command {
  readonly name: string
  /** What comes after the name: `[-r] SOURCE… TARGET`. */
  readonly operands: string
  /** How many operands there may be. */
  readonly least: number
  readonly most: number
  /** One line. */
  readonly summary: string
  readonly options: Readonly<Record<string, OptionSpec>>
  run(given: Given, surroundings: Surroundings): void | Promise<void>
}

const COMMON: Readonly<Record<string, OptionSpec>> = {
  help: { short: 'h', help: 'this text' },
}

/** The options of the command, including those that every command has. */
export function optionsOf(command: Command): Readonly<Record<string, OptionSpec>> {
  return { ...command.options, ...COMMON }
}

/** @throws UsageError, or the error of parseArgs, for bad arguments. */
export function parse(command: Command, args: readonly string[]): Given {
  const options = Object.fromEntries(
    Object.entries(optionsOf(command)).map(([name, { short, value, multiple }]) => [
      name,
      {
        type: value === undefined ? ('boolean' as const) : ('string' as const),
        ...(short !== undefined && { short }),
        ...(multiple !== undefined && { multiple }),
      },
    ]),
  )
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
  if (values['help'] !== undefined) return new Given(values, positionals)
  if (positionals.length > command.most)
    throw new UsageError(`unexpected argument '${positionals[command.most]}'`)
  if (positionals.length < command.least)
    throw new UsageError(`${command.name} wants ${command.operands.replace(/^\[.*?\] /, '')}`)
  return new Given(values, positionals)
}

const HELP_COLUMN = 24
const HELP_WIDTH = 100

/** What `uring COMMAND --help` prints. */
export function helpText(command: Command): string {
  const lines = [`Usage: uring ${command.name} ${command.operands}`.trimEnd(), '', `${command.summary}.`, '']
  lines.push('Options:')
  for (const [name, option] of Object.entries(optionsOf(command))) {
    const short = option.short === undefined ? '    ' : `-${option.short}, `
    const flag = `  ${short}--${name}${option.value === undefined ? '' : `=${option.value}`}`
    const text = wrap(option.help, HELP_WIDTH - HELP_COLUMN)
    if (flag.length >= HELP_COLUMN - 1) lines.push(flag)
    else lines.push(`${flag.padEnd(HELP_COLUMN)}${text.shift()}`)
    for (const line of text) lines.push(' '.repeat(HELP_COLUMN) + line)
  }
  return lines.join('\n')
}

function wrap(text: string, width: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const last = lines.at(-1)!
    if (last === '') lines[lines.length - 1] = word
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
