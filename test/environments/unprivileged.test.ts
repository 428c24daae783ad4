// An unprivileged user has the ring, and everything works through it.

import { assert, needs, test } from '../harness.js'
import { askDoctor, asNewUser, filesOf, othersCanRead, runSuite, SUITES } from './environment.js'

const here = { root: true, ring: true, command: 'setpriv', when: othersCanRead } as const
const environment = { launcher: asNewUser() }

test(
  'the doctor finds io_uring enabled for an unprivileged user',
  needs(here, () => {
    const { available, cause, backend } = askDoctor(environment)
    assert.is(cause, 'enabled')
    assert.is(backend, 'io_uring')
    assert.ok(available)
  }),
)

for (const suite of SUITES) {
  if (filesOf(suite).length === 0) continue
  test(
    `the ${suite} suite passes for an unprivileged user`,
    needs({ ...here, swift: true }, () => runSuite('unprivileged user', environment, suite)),
  )
}

test.run()
