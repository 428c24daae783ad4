// A thousand seeds of the driver on a faulty kernel, and some of uring/fs. `npm run faults` runs more.

import { assert, needs, test } from '../harness.js'
import { runSeeds, type SeedsReport } from './main.js'

const DRIVER_SEEDS = 1000
const FILE_SEEDS = 150

function checkReport({ failures, seeds, injected }: SeedsReport, wanted: number): void {
  if (failures.length > 0) assert.unreachable(failures.join('\n'))
  assert.is(seeds, wanted)
  // A run without faults shows nothing.
  for (const what of ['refuse', 'holdBack', 'delay', 'shorten', 'fail', 'spurious', 'shortSubmit']) {
    assert.ok((injected[what] ?? 0) > 50, `${what} was injected ${injected[what]} times only`)
  }
}

test(
  `${DRIVER_SEEDS} seeds: the driver loses nothing on a faulty kernel`,
  needs({ linux: '6.0' }, async () => {
    const report = await runSeeds('driver', 1, DRIVER_SEEDS)
    checkReport(report, DRIVER_SEEDS)
    assert.ok(report.injected['endEarly']! > 50)
  }),
)

test(
  `${FILE_SEEDS} seeds: uring/fs loses nothing on a faulty kernel`,
  needs({ linux: '6.9' }, async () => {
    checkReport(await runSeeds('files', 1, FILE_SEEDS), FILE_SEEDS)
  }),
)

test.run()
