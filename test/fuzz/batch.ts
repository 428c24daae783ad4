// The process of one batch; see main.ts.

import { closeSync, writeSync } from 'node:fs'
import { fcntl } from '../../src/syscalls/libc.js'
import { fuzzApi } from './api.js'
import { fuzzDelta } from './delta.js'

const F_DUPFD_CLOEXEC = 1030
const [kind, seed, runs, folder] = process.argv.slice(2) as [string, string, string, string]

// Where no case reaches: those have descriptors from 800 on, and 0.
const traceFd = fcntl(3, F_DUPFD_CLOEXEC, 700)
closeSync(3)
const run = kind === 'api' ? fuzzApi : fuzzDelta
try {
  const inputs = await run(Number(seed), Number(runs), folder, traceFd)
  writeSync(traceFd, `\n# done ${inputs}\n`)
  process.exit(0)
} catch (error) {
  writeSync(traceFd, `\n# failed ${JSON.stringify((error as Error).message)}\n`)
  process.exit(1)
}
