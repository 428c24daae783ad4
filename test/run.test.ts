// test/run.ts, fed with files that end in every bad way a test file can end in.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assert, test } from './harness.js'

const RUN = fileURLToPath(new URL('run.ts', import.meta.url))
const HARNESS = new URL('harness.ts', import.meta.url).href
const UVU = import.meta.resolve('uvu')

interface Outcome {
  readonly status: number | null
  readonly lines: string[]
  readonly last: string
}

/** Runs test/run.ts on files with these contents (the name of each is its key). */
function run(sources: Record<string, string>, env: Record<string, string> = {}): Outcome {
  const folder = mkdtempSync(join(tmpdir(), 'uring-run-'))
  try {
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    const files = Object.entries(sources).map(([name, source]) => {
      const file = join(folder, `${name}.test.ts`)
      writeFileSync(file, `import { test, needs, assert } from '${HARNESS}'\n${source}\n`)
      return file
    })
    const { status, stdout } = spawnSync(
      process.execPath,
      ['--import', import.meta.resolve('tsx'), RUN, ...files],
      { encoding: 'utf8', env: { ...process.env, TEST_NO_SKIPS: '', ...env } },
    )
    const lines = stdout.trimEnd().split('\n')
    return { status, lines, last: lines.at(-1)! }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The line of one file in the list of failures at the end. */
function failureOf(outcome: Outcome, name: string): string {
  const from = outcome.lines.indexOf('Failed:')
  return (
    outcome.lines.slice(from).find((line) => line.includes(`${name}.test.ts: `)) ?? 'not listed as failed'
  )
}

test('run.ts runs a file that may change the machine after all others', () => {
  const args = ['--import', import.meta.resolve('tsx'), RUN, 'environments/sysctl', 'config/kernel-version']
  const env = { ...process.env, TEST_NO_SKIPS: '', TEST_SYSCTL: '', TEST_JOBS: '1' }
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', env })
  const names = [...stdout.matchAll(/^ok +(\S+):/gm)].map(([, name]) => name)
  assert.equal(names, ['config/kernel-version.test.ts', 'environments/sysctl.test.ts'])
})

test('run.ts passes good files, lists skips with their reasons and counts both', () => {
  const outcome = run({
    good: `test('one', () => {}); test('two', async () => {}); test.run()`,
    skips: `test('three', () => {})
      test('four', needs({ when: () => 'too late' }, () => { throw new Error('ran') })); test.run()`,
    all: `test.skip('five', 'no need'); test.run()`,
  })
  assert.is(outcome.last, '3 passed, 0 failed, 2 skipped')
  assert.is(outcome.status, 0)
  assert.ok(outcome.lines.some((line) => line.endsWith('skips.test.ts: four: too late')))
  assert.ok(outcome.lines.some((line) => line.endsWith('all.test.ts: five: no need')))
  assert.ok(outcome.lines.some((line) => /^ok .*good\.test\.ts: 2 passed \(\d+ ms\)$/.test(line)))
})

test('run.ts fails on every way in which a file can go wrong', () => {
  const outcome = run(
    {
      assertion: `test('bad', () => assert.is(1, 2)); test('good', () => {}); test.run()`,
      abort: `test('dies', () => process.abort()); test.run()`,
      exits: `test('leaves', () => process.exit(0)); test.run()`,
      exits3: `test('fine', () => {}); process.on('exit', () => { process.exitCode = 3 }); test.run()`,
      throws: `throw new Error('while loading')`,
      norun: `test('never', () => {})`,
      empty: `import { suite } from '${UVU}'; suite().run()`,
      none: `test.run()`,
      hook: `import { suite } from '${UVU}'; const s = suite(); s.before(() => { throw new Error('hook') })
        s('never', () => {}); s.run()`,
      quiet: `import { suite } from '${UVU}'; const s = suite(); s.skip('why'); s('good', () => {}); s.run()`,
      pending: `test('waits', () => new Promise(() => {})); test.run()`,
      hangs: `test('waits', () => new Promise(() => { setInterval(() => {}, 1000) })); test.run()`,
      handle: `test('fine', () => { setInterval(() => {}, 1000) }); test.run()`,
    },
    { TEST_TIMEOUT_MS: '5000' },
  )
  assert.is(outcome.status, 1)
  const expected: Record<string, RegExp> = {
    assertion: /: exit code 1; 1 of 2 tests failed$/,
    abort: /: killed by SIGABRT; printed no totals: it crashed, or \.run\(\) is missing$/,
    exits: /: exit code 1; printed no totals/,
    exits3: /: exit code 3$/,
    throws: /: exit code 1; printed no totals/,
    norun: /: printed no totals/,
    empty: /: has no tests$/,
    none: /: exit code 1; printed no totals/,
    hook: /printed no totals|tests failed/,
    quiet: /: 1 tests were skipped without a reason$/,
    pending: /: exit code 1; printed no totals/,
    hangs: /: no end within 5000 ms; printed no totals/,
    handle: /: no end within 5000 ms, though its tests had ended: a handle is still open$/,
  }
  for (const [name, pattern] of Object.entries(expected))
    assert.match(failureOf(outcome, name), pattern, name)
  assert.ok(outcome.lines.some((line) => line.startsWith('    bad: ')))
  // Passed: one in assertion, exits3, quiet and handle each.
  assert.is(outcome.last, '4 passed, 13 failed, 0 skipped')
})

test('run.ts does not wait long for a file whose tests have ended', () => {
  const started = Date.now()
  const outcome = run(
    { handle: `test('fine', () => { setInterval(() => {}, 1000) }); test.run()` },
    { TEST_TIMEOUT_MS: '60000' },
  )
  assert.match(failureOf(outcome, 'handle'), /: no end within 10000 ms, though its tests had ended/)
  assert.ok(Date.now() - started < 50_000)
})

test('run.ts shows the output of a failed file', () => {
  const outcome = run({
    loud: `test('bad', () => { console.log('a clue'); assert.unreachable() }); test.run()`,
  })
  assert.ok(outcome.lines.some((line) => line.includes('a clue')))
})

test('run.ts ends what a test file left running', () => {
  const started = Date.now()
  const outcome = run({
    parent: `import { spawn } from 'node:child_process'
      test('leaves a child behind', () => { spawn('sleep', ['60'], { stdio: 'inherit' }).unref() }); test.run()`,
  })
  assert.is(outcome.last, '1 passed, 0 failed, 0 skipped')
  assert.ok(Date.now() - started < 30_000)
})

test('run.ts makes skips failures when TEST_NO_SKIPS is set', () => {
  const outcome = run({ skips: `test.skip('later', 'not now'); test.run()` }, { TEST_NO_SKIPS: '1' })
  assert.is(outcome.status, 1)
  assert.is(outcome.last, '0 passed, 1 failed, 1 skipped')
})

test('run.ts refuses a part that matches no file', () => {
  const { status } = spawnSync(process.execPath, [
    '--import',
    import.meta.resolve('tsx'),
    RUN,
    'no/such/file',
  ])
  assert.is(status, 1)
})

test.run()
