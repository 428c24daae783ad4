// The longer tests of this folder without a ring.

import { test } from '../harness.js'
import { testWithoutRing } from './without-ring.js'

testWithoutRing(true)

test.run()
