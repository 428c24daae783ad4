// The `uring` command as a program: what it prints, and how it ends.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Diagnosis } from '../../src/cli/doctor.js'
import { assert, needs, test } from '../harness.js'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

interface Outcome {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function uring(args: readonly string[], env: NodeJS.ProcessEnv = {}): Outcome {
  const run = spawnSync(process.execPath, ['--import', 'tsx', MAIN, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  return { code: run.status, out: run.stdout, err: run.stderr }
}

function inFolder(work: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'uring-cli-'))
  try {
    work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

test('uring without a command, or with --help, prints the usage', () => {
  for (const args of [[], ['--help'], ['-h'], ['doctor', '--help']]) {
    const { code, out } = uring(args)
    assert.is(code, 0)
    assert.match(out, /^Usage: uring <command>/)
  }
})

test('uring --version prints the version of the package', () => {
  assert.match(uring(['--version']).out, /^\d+\.\d+\.\d+\n$/)
})

test('a mistake in the arguments is one line, exit code 2', () => {
  for (const args of [['nonsense'], ['doctor', '--jsno'], ['doctor', 'extra'], ['demo', 'a', 'b']]) {
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

test('uring demo works without a ring', () =>
  inFolder((folder) => {
    const source = join(folder, 'source')
    writeFileSync(source, 'some bytes')
    const { code, out, err } = uring(['demo', source], { TMPDIR: folder, URING_DISABLE: '1' })
    assert.is(code, 0, err)
    assert.match(out, /by node:fs instead/)
    assert.match(out, /verified/)
  }))

test.run()
