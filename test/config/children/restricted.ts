// Puts itself under a restriction, asks for rings, and prints what it was told as one line of JSON. Everything is loaded
// before the restriction is in force: the new user may not be allowed to read these files.

import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  availability,
  buildRing,
  type IoUringConfig,
  probe,
  type RingReport,
  sqpollFellBack,
} from '../../../src/config/index.js'
import { SystemError } from '../../../src/syscalls/errno.js'
import { refuseUring, restart, setNoNewPrivileges } from './seccomp.js'

/** What this child is told, as JSON in its first argument. */
export interface Orders {
  /** Give up root for this user and group. */
  readonly uid?: number
  readonly noNewPrivileges?: boolean
  /** Refuse every io_uring call with this errno. */
  readonly seccompErrno?: number
  /** Use up all descriptors. */
  readonly fillFiles?: boolean
  readonly config?: Partial<IoUringConfig>
  /** How many rings to build and close one after the other: 1 unless given. */
  readonly rounds?: number
}

export interface Refused {
  readonly code: string
  readonly errno: number
  readonly syscall: string
  readonly message: string
  readonly causeCode: string | undefined
}

/** What it prints. */
export interface Findings {
  readonly availability: ReturnType<typeof availability>
  readonly probed: ReturnType<typeof probe>
  /** Of the last ring. */
  readonly report?: RingReport
  readonly refused?: Refused
  readonly memoryRetries: number
  readonly fellBack: boolean
  /** Timers and files still work. */
  readonly alive: boolean
}

const orders = JSON.parse(process.argv[2] ?? '{}') as Orders

const UNDER_FILTER = 'TEST_UNDER_FILTER'
if (orders.seccompErrno !== undefined && process.env[UNDER_FILTER] === undefined) {
  refuseUring(orders.seccompErrno)
  restart({ ...process.env, [UNDER_FILTER]: '1' })
}

// The threads for file operations are started now: later there may be no thread or descriptor left.
await readFile('/proc/self/stat')

if (orders.uid !== undefined) {
  process.setgroups!([])
  process.setgid!(orders.uid)
  process.setuid!(orders.uid)
}
if (orders.noNewPrivileges) setNoNewPrivileges()
const opened: number[] = []
if (orders.fillFiles) {
  try {
    for (;;) opened.push(openSync('/dev/null', 'r'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EMFILE') throw error
  }
}

const available = availability()
const probed = probe()
let report: RingReport | undefined
let refused: Refused | undefined
let memoryRetries = 0
try {
  for (let round = 0; round < (orders.rounds ?? 1); round++) {
    const built = buildRing(orders.config)
    built.ring.close()
    report = built.report
    memoryRetries += built.report.memoryRetries
  }
} catch (error) {
  if (!(error instanceof SystemError)) throw error
  const { code, errno, syscall, message, cause } = error
  refused = { code, errno, syscall, message, causeCode: (cause as SystemError | undefined)?.code }
}
for (const fd of opened) closeSync(fd)
await sleep(5)
const alive = (await readFile('/proc/self/stat', 'utf8')).length > 0
const findings: Findings = {
  availability: available,
  probed,
  ...(report && { report }),
  ...(refused && { refused }),
  memoryRetries,
  fellBack: sqpollFellBack(),
  alive,
}
console.log(JSON.stringify(findings))
