// The garbage collector, at a test's command, in a process that was not started with --expose-gc.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')

/** Collects all garbage, or with `type: 'minor'` the young. */
export const collectGarbage = runInNewContext('gc') as (options?: { type: string }) => void
