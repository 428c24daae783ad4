// `uring signature`, `delta` and `patch` as programs, next to rdiff; the SQPOLL policy end to end.

import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { join } from 'node:path'
import { assert, needs, test } from '../harness.js'
import { IS_EMULATED } from '../patience.js'
import { distinctBytes } from '../transfer/copy-fixture.js'
import { inFolder, listensForSignals, unfinished, uring, uringKilled, uringOnTerminal } from './program.js'

const ENVIRONMENTS: readonly NodeJS.ProcessEnv[] = [{}, { URING_DISABLE: '1' }]

interface Files {
  readonly folder: string
  readonly basis: string
  readonly changed: string
  readonly signature: string
  readonly delta: string
  readonly output: string
}

function makeFiles(folder: string, bytes = 2_000_000): Files {
  const at = (name: string): string => join(folder, name)
  const content = distinctBytes(bytes)
  fs.writeFileSync(at('basis'), content)
  const parts = [
    content.subarray(0, bytes / 2),
    Buffer.from('something new'),
    content.subarray(bytes / 2 + 999),
  ]
  fs.writeFileSync(at('changed'), Buffer.concat(parts))
  const names = { basis: at('basis'), changed: at('changed'), signature: at('signature'), delta: at('delta') }
  return { folder, ...names, output: at('output') }
}

function makeDelta({ basis, signature, changed, delta }: Files, env: NodeJS.ProcessEnv = {}): void {
  for (const args of [
    ['signature', '-q', basis, signature],
    ['delta', '-q', signature, changed, delta],
  ]) {
    assert.equal(uring(args, env), { code: 0, out: '', err: '' }, args[0])
  }
}

test('uring signature, delta and patch bring a file up to date', () =>
  inFolder((folder) => {
    const files = makeFiles(folder)
    const { basis, changed, signature, delta, output } = files
    for (const env of ENVIRONMENTS) {
      const signed = uring(['signature', basis, signature], env)
      assert.is(signed.code, 0, signed.err)
      assert.match(signed.out, /^'.*signature': [\d.]+ KiB written in [^\n]*; \d+ blocks of [^\n]*\n$/)
      const made = JSON.parse(uring(['delta', '--json', signature, changed, delta], env).out)
      assert.ok(made.matchedBytes > 1_900_000, JSON.stringify(made))
      const patched = uring(['patch', basis, delta, output], env)
      assert.is(patched.code, 0, patched.err)
      assert.match(patched.out, /^'.*output': 1\.9 MiB written in /)
      assert.ok(fs.readFileSync(output).equals(fs.readFileSync(changed)))
    }
    assert.equal(unfinished(folder), [])
  }))

test(
  'uring patch takes deltas of rdiff, and rdiff those of uring',
  needs({ command: 'rdiff' }, () =>
    inFolder((folder) => {
      const { basis, changed, signature, delta, output } = makeFiles(folder)
      const rdiff = (...args: string[]): void => {
        const run = spawnSync('rdiff', args, { encoding: 'utf8' })
        assert.is(run.status, 0, run.stderr)
      }
      rdiff('signature', basis, signature)
      rdiff('delta', signature, changed, delta)
      assert.is(uring(['patch', '-q', basis, delta, output]).code, 0)
      assert.ok(fs.readFileSync(output).equals(fs.readFileSync(changed)))
      for (const name of [signature, delta, output]) fs.rmSync(name)
      assert.is(uring(['signature', '-q', '--hash=md4', '--block-size=512', basis, signature]).code, 0)
      assert.is(uring(['delta', '-q', signature, changed, delta]).code, 0)
      rdiff('patch', basis, delta, output)
      assert.ok(fs.readFileSync(output).equals(fs.readFileSync(changed)))
    }),
  ),
)

test(
  'uring patch --sqpoll runs on a regular ring beside a mapped basis, and says why; beside a buffered one it keeps SQPOLL',
  needs({ setup: 'IORING_SETUP_SQPOLL' }, () =>
    inFolder((folder) => {
      const files = makeFiles(folder)
      makeDelta(files)
      const { basis, delta, output, changed } = files
      const mapped = uring(['patch', '--sqpoll', '--basis=mmap', basis, delta, output])
      assert.is(mapped.code, 0, mapped.err)
      assert.match(mapped.out, /refusing SQPOLL because an mmap basis reader is active on this transfer plan/)
      assert.match(mapped.out, /SQPOLL asked for, not granted: mmap-basis-active/)
      assert.ok(fs.readFileSync(output).equals(fs.readFileSync(changed)))
      const buffered = uring(['patch', '--sqpoll', '--basis=buffered', basis, delta, output])
      assert.is(buffered.code, 0, buffered.err)
      assert.match(buffered.out, /SQPOLL asked for, granted/)
      const json = JSON.parse(
        uring(['patch', '--sqpoll', '--basis=mmap', '--json', basis, delta, output]).out,
      )
      assert.is(json.ring.sqpoll.granted, false)
      assert.is(json.ring.sqpoll.reason, 'mmap-basis-active')
      fs.rmSync(output)
      const dry = uring(['patch', '--dry-run', '--sqpoll', '--basis=mmap', basis, delta, output])
      assert.is(dry.code, 0, dry.err)
      assert.match(dry.out, /refusing SQPOLL/)
      assert.not.ok(fs.existsSync(output))
    }),
  ),
)

test('uring patch: what is broken is one line, exit code 1, and the old output stays', () =>
  inFolder((folder) => {
    const files = makeFiles(folder)
    makeDelta(files)
    const { basis, delta, output } = files
    const whole = fs.readFileSync(delta)
    fs.writeFileSync(output, 'the old output')
    const at = (name: string, content: Buffer | string): string => {
      fs.writeFileSync(join(folder, name), content)
      return join(folder, name)
    }
    const right = createHash('sha256').update(fs.readFileSync(files.changed)).digest('hex')
    const cases: [string[], RegExp][] = [
      [[basis, at('cut', whole.subarray(0, whole.length - 5)), output], /cut/],
      [[basis, at('other', 'this is no delta at all'), output], /other/],
      [[basis, at('empty', ''), output], /empty/],
      [[at('short', 'far too short'), delta, output], /block|basis|end/i],
      [[basis, delta, basis], /basis/],
      [[basis, delta, folder], /EISDIR/],
      [[basis, join(folder, 'none'), output], /ENOENT/],
      [['--max-output=100', basis, delta, output], /100/],
      [[`--verify=${'0'.repeat(64)}`, basis, delta, output], /sha256|digest/i],
    ]
    for (const env of ENVIRONMENTS) {
      for (const [args, pattern] of cases) {
        const { code, out, err } = uring(['patch', ...args], env)
        assert.is(code, 1, `${args.join(' ')}: ${err}`)
        assert.is(out, '')
        assert.match(err, /^uring: [^\n]+\n$/)
        assert.match(err, pattern)
        assert.is(fs.readFileSync(output, 'utf8'), 'the old output')
      }
      assert.is(uring(['patch', '-q', `--verify=${right}`, basis, delta, join(folder, 'right')], env).code, 0)
      assert.equal(unfinished(folder), [])
    }
  }))

test(
  'uring patch, delta and signature show a bar on a terminal',
  needs({ command: 'script' }, () =>
    inFolder((folder) => {
      const files = makeFiles(folder, 24_000_000)
      const { basis, signature, changed, delta, output } = files
      const shown = [
        uringOnTerminal(['signature', basis, signature]),
        uringOnTerminal(['delta', signature, changed, delta]),
        uringOnTerminal(['patch', basis, delta, output]),
      ]
      for (const { code, out } of shown) {
        assert.is(code, 0, out)
        assert.match(out, /written in /)
      }
      assert.match(shown.map(({ out }) => out).join(''), /\[[=-]*\] \d+%/)
      assert.ok(fs.readFileSync(output).equals(fs.readFileSync(changed)))
    }),
  ),
)

test('uring signature, delta and patch that are interrupted clean up', () =>
  inFolder(async (folder) => {
    const files = makeFiles(folder, 64_000_000)
    makeDelta(files)
    const { basis, changed, signature, delta, output } = files
    fs.writeFileSync(output, 'the old output')
    const commands = [
      ['signature', '--block-size=16', basis, output],
      ['delta', signature, changed, output],
      ['patch', '--durable', `--verify=${'0'.repeat(64)}`, '--depth=1', basis, delta, output],
    ]
    for (const args of commands) {
      for (const [signal, code] of [
        ['SIGINT', 130],
        ['SIGTERM', 143],
      ] as const) {
        let outcome = await uringKilled(args, signal, () => unfinished(folder).length > 0)
        // On a busy machine a command may be over before the signal comes.
        for (let again = 0; again < 5 && /digest|written/.test(outcome.err); again++) {
          fs.writeFileSync(output, 'the old output')
          outcome = await uringKilled(args, signal, () => unfinished(folder).length > 0)
        }
        assert.is(outcome.code, code, `${args[0]}: ${outcome.err}`)
        assert.is(outcome.err, `uring: interrupted by ${signal}\n`)
        assert.is(fs.readFileSync(output, 'utf8'), 'the old output')
        assert.equal(unfinished(folder), [])
      }
      const killed = await uringKilled(args, 'SIGKILL', () => unfinished(folder).length > 0)
      assert.is(killed.signal, 'SIGKILL')
      assert.is(fs.readFileSync(output, 'utf8'), 'the old output')
      for (const name of unfinished(folder)) fs.rmSync(join(folder, name))
    }
  }))

test('uring signature, delta and patch wait for the writer of a FIFO, and can be interrupted', () =>
  inFolder(async (folder) => {
    const { basis, changed, signature, output } = makeFiles(folder, 10_000)
    const fifo = join(folder, 'fifo')
    execFileSync('mkfifo', [fifo])
    uring(['signature', basis, signature])
    const commands = [
      ['signature', fifo, output],
      ['delta', signature, fifo, output],
      ['patch', basis, fifo, output],
    ]
    const environments = [{}, { URING_DISABLE: '1' }]
    for (const [index, args] of commands.entries()) {
      // An emulated processor takes a minute for each.
      for (const env of IS_EMULATED ? [environments[index % 2]!] : environments) {
        // Then it opens the FIFO, which takes it no time.
        let looks = 0
        const isWaiting = (pid: number): boolean => listensForSignals(pid) && ++looks > 100
        const { code, err } = await uringKilled(args, 'SIGTERM', isWaiting, env)
        assert.equal([code, err], [143, 'uring: interrupted by SIGTERM\n'])
      }
    }
    const writer = spawn('sh', ['-c', 'sleep 0.2; cat "$1" > "$2"', 'sh', changed, fifo])
    const { code, err } = uring(['delta', signature, fifo, output])
    assert.is(code, 0, err)
    uring(['patch', basis, output, join(folder, 'patched')])
    assert.ok(fs.readFileSync(join(folder, 'patched')).equals(fs.readFileSync(changed)))
    writer.kill()
  }))

test.run()
