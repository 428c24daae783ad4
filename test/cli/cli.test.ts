// The `uring` command as a program: what it prints, and how it ends.

import { spawnSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Diagnosis } from '../../src/cli/doctor.js'
import { assert, needs, test } from '../harness.js'
import { inFolder, MAIN, uring, uringKilled, uringOnTerminal } from './program.js'

test('uring without a command, or with --help, prints the usage', () => {
  for (const args of [[], ['--help'], ['-h']]) {
    const { code, out } = uring(args)
    assert.is(code, 0)
    assert.match(out, /^Usage: uring <command>/)
  }
})

test('uring --version prints the version of the package', () => {
  assert.match(uring(['--version']).out, /^\d+\.\d+\.\d+\n$/)
})

test('a mistake in the arguments is one line, exit code 2', () => {
  const mistakes = [
    ['nonsense'],
    ['doctor', '--jsno'],
    ['doctor', 'extra'],
    ['demo', 'a', 'b'],
    ['cp'],
    ['cp', 'one'],
    ['cp', '--depth=none', 'a', 'b'],
    ['cp', '--depth=0', 'a', 'b'],
    ['cp', '--method=magic', 'a', 'b'],
    ['cp', '--preserve=modes', 'a', 'b'],
    ['patch', 'a', 'b'],
    ['patch', '--basis=tape', 'a', 'b', 'c'],
    ['patch', '--verify=abc', 'a', 'b', 'c'],
    ['patch', '--dry-run', '--verify=abc', 'a', 'b', 'c'],
    ['signature', '--hash=md4', '--sum-size=32', import.meta.filename, 'b'],
    ['cp', '-r', '--exclude=[', import.meta.dirname, 'b'],
    ['cp', '-r', '--include=', import.meta.dirname, 'b'],
    ['cp', import.meta.filename, ''],
    ['signature', 'a'],
    ['signature', '--hash=crc', 'a', 'b'],
    ['delta', 'a', 'b', 'c', 'd'],
    ['bench', 'extra'],
  ]
  for (const args of mistakes) {
    const { code, out, err } = uring(args)
    assert.is(code, 2, args.join(' '))
    assert.is(out, '')
    assert.match(err, /^uring: [^\n]+\n$/)
  }
})

test(
  'uring doctor --json tells what the machine offers',
  needs({ linux: '5.6' }, () => {
    const { code, out } = uring(['doctor', '--json'])
    assert.is(code, 0)
    const diagnosis = JSON.parse(out) as Diagnosis
    assert.is(diagnosis.available, true)
    assert.is(diagnosis.backend, 'io_uring')
    assert.match(diagnosis.reason, /^io_uring: enabled/)
    assert.ok(diagnosis.opcodes.includes('IORING_OP_READ'))
    assert.not.ok(diagnosis.missingOpcodes.includes('IORING_OP_READ'))
    assert.ok(diagnosis.features.includes('IORING_FEAT_NODROP'))
  }),
)

test(
  'uring doctor says the same for a person',
  needs({ linux: '5.6' }, () => {
    const { code, out } = uring(['doctor'])
    assert.is(code, 0)
    for (const label of ['machine:', 'backend:', 'features:', 'opcodes:', 'setup:', 'sqpoll:', 'memlock:']) {
      assert.ok(out.includes(`\n${label}`), label)
    }
    for (const line of out.split('\n')) assert.ok(line.length <= 100, line)
  }),
)

test('uring doctor says why there is no ring', () => {
  const { code, out } = uring(['doctor'], { URING_DISABLE: '1' })
  assert.is(code, 0)
  assert.match(out, /^io_uring: disabled[^\n]*URING_DISABLE=1/)
  assert.match(out, /backend: +Node's own modules/)
})

test(
  'uring demo copies and verifies, on a regular ring beside a mapped basis',
  needs({ linux: '5.19' }, () =>
    inFolder((folder) => {
      const source = join(folder, 'source')
      // Odd in size, and larger than one buffer.
      const bytes = Buffer.alloc(1_000_003)
      for (let at = 0; at < bytes.length; at++) bytes[at] = (at * 31) >>> 3
      writeFileSync(source, bytes)
      const { code, out, err } = uring(['demo', source], { TMPDIR: folder })
      assert.is(code, 0, err)
      assert.is(out.match(/verified +sha256/g)?.length, 2)
      assert.match(out, /SQPOLL asked for, not granted: mmap-basis-active/)
      const left = readdirSync(folder).filter((name) => !name.startsWith('tsx-'))
      assert.equal(left, ['source'], 'nothing is left behind')
    }),
  ),
)

test(
  'uring demo copies an empty file',
  needs({ linux: '5.19' }, () =>
    inFolder((folder) => {
      const source = join(folder, 'empty')
      writeFileSync(source, '')
      const { code, err } = uring(['demo', source], { TMPDIR: folder })
      assert.is(code, 0, err)
    }),
  ),
)

test('uring demo of a file that is not there is one line, exit code 1', () => {
  const { code, err } = uring(['demo', '/nowhere/at/all'])
  assert.is(code, 1)
  assert.match(err, /^uring: ENOENT: no such file or directory[^\n]*\n$/)
})

test('uring demo that is interrupted leaves nothing', () =>
  inFolder(async (folder) => {
    const made = (): boolean => readdirSync(folder).some((name) => name.startsWith('uring-demo-'))
    for (const env of [{}, { URING_DISABLE: '1' }]) {
      const { code, err } = await uringKilled(['demo'], 'SIGINT', made, { ...env, TMPDIR: folder })
      assert.is(code, 130, err)
      assert.is(made(), false)
    }
  }))

test('uring demo works without a ring', () =>
  inFolder((folder) => {
    const source = join(folder, 'source')
    writeFileSync(source, 'some bytes')
    const { code, out, err } = uring(['demo', source], { TMPDIR: folder, URING_DISABLE: '1' })
    assert.is(code, 0, err)
    assert.match(out, /by node:fs instead/)
    assert.match(out, /verified/)
  }))

test(
  'uring doctor and demo run on a terminal',
  needs({ command: 'script' }, () =>
    inFolder((folder) => {
      writeFileSync(join(folder, 'source'), 'some bytes')
      assert.match(uringOnTerminal(['doctor']).out, /^io_uring: /)
      assert.match(uringOnTerminal(['demo', join(folder, 'source')], { TMPDIR: folder }).out, /verified/)
    }),
  ),
)

test(
  'a reader of the output that has gone is no failure',
  needs({ command: 'sh' }, () => {
    const { status, stderr } = spawnSync('sh', ['-c', '"$0" "$1" doctor | head -1', process.execPath, MAIN], {
      encoding: 'utf8',
    })
    assert.is(status, 0)
    assert.is(stderr, '')
  }),
)

test.run()
