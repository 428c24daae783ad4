// What a seccomp filter that refuses io_uring must not change. Each errno has a test file of its own, for its time limit.

import { assert, needs, test } from '../harness.js'
import { askDoctor, filesOf, runSuite, SUITES } from './environment.js'

/** A filter's answer, and what the doctor makes of it. */
export interface Refusal {
  readonly name: string
  readonly errno: number
  readonly cause: string
  readonly reason: string
}

/** Registers the tests under a filter that answers so. */
export function testUnderFilter({ name, errno, cause, reason }: Refusal): void {
  const environment = { refuseWith: errno }

  test(
    `the doctor names the filter that answers ${name}`,
    needs({ ring: true }, () => {
      const diagnosis = askDoctor(environment)
      assert.is(diagnosis.cause, cause)
      assert.is(diagnosis.backend, 'node')
      // What the sysctl is, where there is one, comes after.
      assert.is(diagnosis.reason.replace(/; kernel\.io_uring_disabled is 0 and not the cause$/, ''), reason)
    }),
  )

  for (const suite of SUITES) {
    if (filesOf(suite).length === 0) continue
    test(
      `the ${suite} suite passes where a seccomp filter answers ${name}`,
      needs({ swift: true }, () => runSuite(`seccomp ${name}`, environment, suite)),
    )
  }
}
