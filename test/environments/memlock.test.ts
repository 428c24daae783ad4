// RLIMIT_MEMLOCK, to which rings and registered buffers are charged: rings before Linux 5.12 and again from 6.14 on. With
// none of it the fallback serves; with little of it a small ring does.

import { spawnSync } from 'node:child_process'
import { assert, needs, test } from '../harness.js'
import { askDoctor, asNewUser, filesOf, othersCanRead, runSuite, SUITES } from './environment.js'

function limitsWork(): true | string {
  const { status } = spawnSync('prlimit', ['--memlock=0:0', 'true'])
  return status === 0 ? othersCanRead() : 'prlimit cannot set RLIMIT_MEMLOCK here'
}

const here = { root: true, ring: true, command: 'prlimit', when: limitsWork } as const

for (const bytes of [0, 65_536]) {
  const environment = { launcher: asNewUser(`--memlock=${bytes}:${bytes}`) }

  test(
    `the doctor tells what RLIMIT_MEMLOCK of ${bytes} bytes does`,
    needs(here, () => {
      const { cause, reason, memlockLimitBytes } = askDoctor(environment)
      assert.is(memlockLimitBytes, bytes)
      // Whether rings are charged to it is the kernel's affair; if they are, the reason is this limit and its value.
      if (cause === 'enabled') return
      assert.is(cause, 'memlock-limit')
      assert.match(reason, `exceeds RLIMIT_MEMLOCK of ${bytes} bytes`)
    }),
  )

  // With some of it there is a ring, as in most runs.
  if (bytes > 0 && process.env['TEST_ENVIRONMENTS'] !== 'all') continue
  for (const suite of SUITES) {
    if (filesOf(suite).length === 0) continue
    test(
      `the ${suite} suite passes under RLIMIT_MEMLOCK of ${bytes} bytes`,
      needs({ ...here, swift: true }, () => runSuite(`RLIMIT_MEMLOCK ${bytes}`, environment, suite)),
    )
  }
}

test.run()
