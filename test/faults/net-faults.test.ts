// uring/net on a faulty kernel; `npm run faults -- --only net` runs more seeds.

import { assert, needs, test } from '../harness.js'
import { runSeeds } from './main.js'

const NET_SEEDS = 150

test(
  `${NET_SEEDS} seeds: uring/net loses nothing on a faulty kernel`,
  needs({ linux: '6.0' }, async () => {
    const { failures, seeds } = await runSeeds('net', 1, NET_SEEDS)
    if (failures.length > 0) assert.unreachable(failures.join('\n'))
    assert.is(seeds, NET_SEEDS)
  }),
)

test.run()
