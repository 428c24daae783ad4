// wrk as a load generator: requests over connections that are kept alive, for a time.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Contender } from './contender.js'
import type { Measurement } from './measurement.js'

const execute = promisify(execFile)

/** wrk on `http://127.0.0.1:<port>/` with one thread. It counts whole seconds, so a run takes one at least. */
export function wrk(port: number, connections: number): Contender {
  return {
    name: 'wrk',
    async start() {
      return execute('wrk', ['-v']).then(
        () => null,
        // `wrk -v` prints its version and fails; what cannot be started has a code that is a name.
        (error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? 'wrk is not installed' : null),
      )
    },
    async run(milliseconds): Promise<Measurement> {
      const seconds = Math.max(1, Math.round(milliseconds / 1000))
      const url = `http://127.0.0.1:${port}/`
      const { stdout } = await execute('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, url])
      return parseWrk(stdout)
    },
    async stop() {},
  }
}

const UNITS: Readonly<Record<string, number>> = { us: 1e-6, ms: 1e-3, s: 1, m: 60 }

/** What wrk printed. @throws Error when requests have failed, or it is not wrk's output. */
export function parseWrk(output: string): Measurement {
  const match = /^\s*(\d+) requests in ([\d.]+)(us|ms|s|m),/m.exec(output)
  if (match === null) throw new Error(`Not what wrk prints:\n${output}`)
  const failures = /^\s*(Socket errors:.*|Non-2xx.*)$/m.exec(output)
  if (failures !== null) throw new Error(`wrk: ${failures[1]}`)
  return { ops: Number(match[1]), seconds: Number(match[2]) * UNITS[match[3]!]!, cpuMicros: 0 }
}
