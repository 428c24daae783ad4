import { isAtLeast, parseKernelRelease } from '../../src/config/kernel-version.js'
import { assert, test } from '../harness.js'

test('parseKernelRelease() reads what distributions and boards put behind the numbers', () => {
  const cases: [string, [number, number, number] | null][] = [
    ['5.10.159-20950-g1', [5, 10, 159]],
    ['6.1.0', [6, 1, 0]],
    ['6.18-rc1', [6, 18, 0]],
    ['4.18.0-553.el8_10.x86_64', [4, 18, 0]],
    ['6.6.87.2-microsoft-standard-WSL2', [6, 6, 87]],
    ['5.15.0-1051-azure\n', [5, 15, 0]],
    ['7.0', [7, 0, 0]],
    ['5', null],
    ['', null],
    ['v6.1', null],
    ['6.', null],
    ['six.one', null],
    ['-6.1', null],
    ['6.123456', null],
  ]
  for (const [release, wanted] of cases) {
    const version = parseKernelRelease(release)
    assert.equal(version && [version.major, version.minor, version.patch], wanted, release)
  }
})

test('isAtLeast() compares numbers, not text', () => {
  const of = (release: string) => parseKernelRelease(release)!
  assert.ok(isAtLeast(of('5.13.0'), '5.13'))
  assert.ok(isAtLeast(of('5.20'), '5.6'))
  assert.ok(isAtLeast(of('6.0'), '5.13'))
  assert.not(isAtLeast(of('5.9.16'), '5.13'))
  assert.not(isAtLeast(of('4.19'), '5.6'))
})

test.run()
