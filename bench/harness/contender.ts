// The parent's half of the bench protocol: starts a contender's process, asks it to run, and reads its answers.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { childFile } from './children.js'
import { ROOT } from './folders.js'
import type { Measurement } from './measurement.js'

/** Someone who can be asked again and again to do the case's work. */
export interface Contender {
  readonly name: string
  /** @returns null when ready, or the reason why it cannot run here. */
  start(): Promise<string | null>
  /** Works for about that long. A contender may have its own idea of a run and ignore the time. */
  run(milliseconds: number): Promise<Measurement>
  stop(): Promise<void>
}

/** How to start a contender's process, or why that is impossible. */
export type Command =
  | {
      readonly file: string
      readonly args: readonly string[]
      readonly env?: Readonly<Record<string, string>>
    }
  | { readonly skip: string }

type Answer = Measurement | { readonly ready: true } | { readonly skip: string }

/** A contender that lives in a child process of its own, which speaks the protocol of serve.ts. */
class ChildContender implements Contender {
  readonly name: string
  readonly #command: () => Promise<Command>
  #child: ChildProcess | null = null
  #answers: AsyncIterator<string> | null = null
  #stderr = ''

  constructor(name: string, command: () => Promise<Command>) {
    this.name = name
    this.#command = command
  }

  async start(): Promise<string | null> {
    const command = await this.#command()
    if ('skip' in command) return command.skip
    const child = spawn(command.file, command.args, {
      cwd: ROOT,
      env: { ...process.env, ...command.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#child = child
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
    })
    // A child that died is noticed by its missing answer, which says more than EPIPE.
    child.stdin!.on('error', () => {})
    await once(child, 'spawn')
    this.#answers = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
    const first = await this.#answer()
    if ('skip' in first) return first.skip
    return null
  }

  async run(milliseconds: number): Promise<Measurement> {
    this.#child!.stdin!.write(`run ${Math.round(milliseconds)}\n`)
    const answer = await this.#answer()
    if (!('ops' in answer)) throw new Error(`${this.name}: not a measurement: ${JSON.stringify(answer)}`)
    return answer
  }

  async stop(): Promise<void> {
    const child = this.#child
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    // The end of stdin is the order to leave; a child that does not obey must not outlive its case.
    child.stdin!.end()
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
    await exit
    clearTimeout(timer)
  }

  async #answer(): Promise<Answer> {
    const { value, done } = await this.#answers!.next()
    if (done === true) {
      const child = this.#child!
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      const how = child.signalCode ?? `exit code ${child.exitCode}`
      throw new Error(`${this.name}: its process ended early (${how})\n${this.#stderr.trim()}`)
    }
    return JSON.parse(value) as Answer
  }
}

/** A contender written in TypeScript: `bench/children/<script>`. */
export function tsContender(
  name: string,
  script: string,
  args: readonly (string | number)[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly nodeFlags?: readonly string[] } = {},
): Contender {
  const { env, nodeFlags = [] } = options
  return new ChildContender(name, async () => ({
    file: process.execPath,
    args: [...nodeFlags, '--enable-source-maps', await childFile(script), ...args.map(String)],
    ...(env === undefined ? {} : { env }),
  }))
}

/** A contender that is any other program which speaks the protocol. */
export function programContender(name: string, command: Command): Contender {
  return new ChildContender(name, async () => command)
}
