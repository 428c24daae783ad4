// kernel.io_uring_disabled. It is the whole machine's, so it is changed only where TEST_SYSCTL=1 says that the machine is
// ours, as in the guests of `npm run test:kernels`; elsewhere the doctor is asked about the value that is there.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { assert, needs, note, test } from '../harness.js'
import {
  askDoctor,
  asNewUser,
  type Environment,
  filesOf,
  othersCanRead,
  runSuite,
  SUITES,
} from './environment.js'

const SYSCTL = '/proc/sys/kernel/io_uring_disabled'
const REFUSED =
  'io_uring: disabled because io_uring_setup failed with EPERM: the sysctl kernel.io_uring_disabled is'

interface Case {
  readonly title: string
  readonly value: number
  readonly environment: Environment
  /** Null where io_uring is enabled all the same. */
  readonly reason: string | null
}

const CASES: readonly Case[] = [
  {
    title: 'root where io_uring_disabled is 2',
    value: 2,
    environment: {},
    reason: `${REFUSED} 2: disabled for every process; set it to 0 to enable`,
  },
  {
    title: 'a user where io_uring_disabled is 1',
    value: 1,
    environment: { launcher: asNewUser() },
    reason: `${REFUSED} 1: only for CAP_SYS_ADMIN or members of kernel.io_uring_group (none is set)`,
  },
  { title: 'root where io_uring_disabled is 1', value: 1, environment: {}, reason: null },
  { title: 'root where io_uring_disabled is 0', value: 0, environment: {}, reason: null },
]

const hasSysctl = existsSync(SYSCTL)
const current = hasSysctl ? Number(readFileSync(SYSCTL, 'utf8')) : 0
const isOurs = process.env['TEST_SYSCTL'] === '1' && hasSysctl
if (!hasSysctl) note('this kernel has no sysctl kernel.io_uring_disabled, which came with Linux 6.6')
else if (!isOurs) note(`io_uring_disabled is ${current} and stays so: TEST_SYSCTL=1 tries its other values`)

/** Runs `body` with the sysctl set, and sets it back. */
async function withSysctl(value: number, body: () => void | Promise<void>): Promise<void> {
  if (value === current) return body()
  writeFileSync(SYSCTL, String(value))
  try {
    await body()
  } finally {
    writeFileSync(SYSCTL, String(current))
  }
}

for (const { title, value, environment, reason } of CASES) {
  if (!isOurs && value !== current) continue
  const here = { root: true, ...(environment.launcher && { command: 'setpriv', when: othersCanRead }) }
  test(
    `the doctor is exact for ${title}`,
    needs(here, () =>
      withSysctl(value, () => {
        const diagnosis = askDoctor(environment)
        assert.is(diagnosis.cause, reason === null ? 'enabled' : 'sysctl')
        if (reason !== null) assert.is(diagnosis.reason, reason)
      }),
    ),
  )

  // Where nothing is refused, `npm test` has run them.
  if (reason === null) continue
  for (const suite of SUITES) {
    if (filesOf(suite).length === 0) continue
    test(
      `the ${suite} suite passes for ${title}`,
      needs(here, () => withSysctl(value, () => runSuite(title, environment, suite))),
    )
  }
}

test.run()
