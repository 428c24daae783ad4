// What docs/kernels.md is made of.

import {
  countTests,
  findingsOf,
  type KernelFindings,
  mergeReport,
  summaryLine,
} from '../../scripts/kernels/report.js'
import { assert, test } from '../harness.js'

const LOG = `ok   syscalls/errno.test.ts: 8 passed (5455 ms)
ok   ring/million.test.ts: 1 passed, 4 skipped (35818 ms)
FAIL ring/close.test.ts: 19 passed, 1 failed (62712 ms)
    • ✘ •   (19 / 20)
  ring/close.test.ts: exit code 1

Skipped:
  ring/million.test.ts: a name: with a colon: needs Linux 6.5, this is 6.1
  ring/million.test.ts: another: needs Linux 6.5, this is 6.1
  ring/million.test.ts: a third: needs IORING_OP_PIPE, which this kernel (6.1) lacks
  ring/million.test.ts: a fourth: the machine has no such disk

Failed:
  ring/close.test.ts: exit code 1; 1 of 20 tests failed
    close() of a ring that is closed: Expected values to be strictly equal:

28 passed, 1 failed, 4 skipped
`

const CHOICE = { name: '6.1', suite: 'bookworm', architecture: 'amd64', parts: ['test/ring/'] } as const
const KERNEL = { release: '6.1.0-50-amd64', version: '6.1.176-1', image: 'vmlinuz', initramfs: 'initramfs' }

function findings(files: Record<string, string>, failure: string | null = null): KernelFindings {
  return findingsOf(CHOICE, KERNEL, { failure, files, elapsedMs: 600_000 })
}

const ENDED = { release: '6.1.0-50-amd64\n', node: 'v20.20.2\n', 'tests.log': LOG, exit: 'exit 1\n' }

test('countTests() counts by folder, and skips by what was missing', () => {
  const { files, passed, failed, skipped } = countTests(LOG)
  assert.equal(
    [...files],
    [
      ['syscalls', 1],
      ['ring', 2],
    ],
  )
  assert.equal(
    [...passed],
    [
      ['syscalls', 8],
      ['ring', 20],
    ],
  )
  assert.equal(failed, ['ring/close.test.ts: exit code 1; 1 of 20 tests failed'])
  assert.equal(
    [...skipped],
    [
      ['needs Linux 6.5', 2],
      ['needs IORING_OP_PIPE', 1],
      ['the machine has no such disk', 1],
    ],
  )
})

test('summaryLine() tells how it ended', () => {
  assert.is(
    summaryLine(findings(ENDED)),
    'FAIL 6.1 (6.1.0-50-amd64): 28 passed, 1 files failed, 4 skipped (10 minutes)',
  )
  assert.match(summaryLine(findings({}, 'the kernel panicked')), /^FAIL 6\.1 .*: the kernel panicked/)
  assert.match(summaryLine(findings({ ...ENDED, exit: 'exit 137\n' })), /^FAIL .* ended with exit 137/)
  const clean = {
    ...ENDED,
    'tests.log': LOG.replace(/^FAIL[\s\S]*?\n\n/m, '\n').replace(/Failed:[\s\S]*?\n\n/, ''),
    exit: 'exit 0\n',
  }
  assert.match(summaryLine(findings(clean)), /^ok {3}6\.1 .*: 9 passed, 0 files failed, 4 skipped/)
})

test('mergeReport() replaces the results of the same kernel, and keeps the others in order', () => {
  const newer = { ...findings(ENDED), choice: { ...CHOICE, name: '6.12' } }
  const arm = { ...findings(ENDED), choice: { ...CHOICE, name: 'arm64', architecture: 'arm64' as const } }
  const first = mergeReport('', [arm, newer])
  const both = mergeReport(first, [findings(ENDED)])
  assert.equal(
    [...both.matchAll(/^## (.*)$/gm)].map((match) => match[1]),
    ['6.1', '6.12', '6.1.0 on arm64'],
  )
  assert.is(mergeReport(both, [findings(ENDED)]), both)
  const failed = mergeReport(both, [findings({}, 'no end within 5 minutes')])
  assert.is(failed.match(/no end within 5 minutes/g)?.length, 1)
  assert.equal([...failed.matchAll(/^## (.*)$/gm)].length, 3)
})

test.run()
