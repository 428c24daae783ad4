// Container runtimes deny io_uring by a seccomp filter, with EPERM. Everything works all the same.

import { test } from '../harness.js'
import { testUnderFilter } from './seccomp.js'

testUnderFilter({
  name: 'EPERM',
  errno: 1,
  cause: 'seccomp-or-container',
  reason:
    'io_uring: disabled because io_uring_setup failed with EPERM: the seccomp filter in force refuses io_uring with ' +
    'EPERM (container runtimes do by default)',
})

test.run()
