// A seccomp filter that answers ENOSYS, as if the kernel had no io_uring. Everything works all the same.

import { release } from 'node:os'
import { test } from '../harness.js'
import { testUnderFilter } from './seccomp.js'

testUnderFilter({
  name: 'ENOSYS',
  errno: 38,
  cause: 'not-implemented',
  reason:
    `io_uring: disabled because io_uring_setup failed with ENOSYS: the kernel (${release()}) has no io_uring: it was ` +
    'built without CONFIG_IO_URING, or the seccomp filter in force answers so',
})

test.run()
