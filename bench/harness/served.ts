// A contender that is a server: it runs in one process, a load generator in another drives it, and what counts is how
// many operations the load saw and how much processor time the server took for them.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { childFile } from './children.js'
import type { Command, Contender } from './contender.js'
import { ROOT } from './folders.js'
import type { Measurement } from './measurement.js'

/** Ticks of /proc/PID/stat, which Linux shows in hundredths of a second on every architecture. */
const TICK_MICROS = 10_000

/** The command that runs the server `bench/children/<script>`. */
export async function tsServer(script: string, args: readonly string[]): Promise<Command> {
  return { file: process.execPath, args: [await childFile(script), ...args] }
}

/** A server's process. It prints `{"ready":true,"port":N}` or `{"skip":"reason"}`, and leaves when its stdin ends. */
export class ServerProcess {
  readonly #command: Command
  #child: ChildProcess | null = null
  #stderr = ''
  port = 0

  constructor(command: Command) {
    this.#command = command
  }

  /** @returns null when it listens, or the reason why it cannot run here. */
  async start(): Promise<string | null> {
    const command = this.#command
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
    child.stdin!.on('error', () => {})
    await once(child, 'spawn')
    const { value, done } = await createInterface({ input: child.stdout! })[Symbol.asyncIterator]().next()
    if (done === true) throw new Error(`${command.file}: ended before it listened\n${this.#stderr.trim()}`)
    const answer = JSON.parse(value as string) as { port: number } | { skip: string }
    if ('skip' in answer) return answer.skip
    this.port = answer.port
    return null
  }

  /** Processor time so far, kernel threads of the process included: the same measure for every language. */
  cpuMicros(): { user: number; system: number } {
    const stat = readFileSync(`/proc/${this.#pid()}/stat`, 'utf8')
    // The second field is the program's name in parentheses, and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { user: Number(fields[11]) * TICK_MICROS, system: Number(fields[12]) * TICK_MICROS }
  }

  /** Resident memory. */
  residentMiB(): number {
    const status = readFileSync(`/proc/${this.#pid()}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) / 1024
  }

  async stop(): Promise<void> {
    const child = this.#child
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.stdin!.end()
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
    await exit
    clearTimeout(timer)
  }

  /** @throws Error when the process has ended. */
  #pid(): number {
    const { pid, exitCode, signalCode } = this.#child!
    if (exitCode !== null || signalCode !== null) {
      throw new Error(
        `The server has ended (${signalCode ?? `exit code ${exitCode}`})\n${this.#stderr.trim()}`,
      )
    }
    return pid!
  }
}

/** A server under load. @param loadOn - Makes the load generator for the server's port. */
export function servedContender(
  name: string,
  command: Command,
  loadOn: (port: number) => Contender,
): Contender {
  const server = new ServerProcess(command)
  let load: Contender | null = null
  return {
    name,
    async start() {
      const reason = await server.start()
      if (reason !== null) return reason
      load = loadOn(server.port)
      return load.start()
    },
    async run(milliseconds): Promise<Measurement> {
      const before = server.cpuMicros()
      const { ops, seconds } = await load!.run(milliseconds)
      const after = server.cpuMicros()
      const user = after.user - before.user
      const system = after.system - before.system
      return {
        ops,
        seconds,
        cpuMicros: user + system,
        details: { userMicrosPerOp: user / ops, systemMicrosPerOp: system / ops },
      }
    },
    async stop() {
      await load?.stop()
      await server.stop()
    },
  }
}
