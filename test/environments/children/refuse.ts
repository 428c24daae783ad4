// Imported before a test: every io_uring call of this process and of what it starts ends in the errno of
// TEST_REFUSE_WITH, from the first moment of a program that takes this one's place.

import { refuseUring, restart } from '../../config/children/seccomp.js'

const UNDER_FILTER = 'TEST_UNDER_FILTER'
if (process.env[UNDER_FILTER] === undefined) {
  refuseUring(Number(process.env['TEST_REFUSE_WITH']))
  restart({ ...process.env, [UNDER_FILTER]: '1' })
}
