// `uring cp` as a program: with and without a terminal and a ring, on bad input, killed in mid-work.

import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { join } from 'node:path'
import { hasSmallDisk, smallDisk } from '../file-systems.js'
import { assert, needs, test } from '../harness.js'
import { distinctBytes } from '../transfer/copy-fixture.js'
import { inFolder, MAIN, type Outcome, unfinished, uring, uringKilled, uringOnTerminal } from './program.js'

const ENVIRONMENTS: readonly NodeJS.ProcessEnv[] = [{}, { URING_DISABLE: '1' }]

/** One line on stderr, nothing on stdout, exit code 1. */
function isOneFailure({ code, out, err }: Outcome, pattern: RegExp): void {
  assert.is(code, 1, err)
  assert.is(out, '')
  assert.match(err, /^uring: [^\n]+\n$/)
  assert.match(err, pattern)
}

test('uring cp copies a file, and says how', () =>
  inFolder((folder) => {
    const bytes = distinctBytes(1_000_003)
    const [source, target] = [join(folder, 'source'), join(folder, 'target')]
    fs.writeFileSync(source, bytes)
    for (const env of ENVIRONMENTS) {
      const plain = uring(['cp', '--verify', source, target], env)
      assert.is(plain.code, 0, plain.err)
      assert.is(plain.err, '')
      assert.match(
        plain.out,
        /^'.*source' -> '.*target': 976\.6 KiB in \d+ ms.*, by [a-z-]+\n {2}verified: sha256 [0-9a-f]{64}\n$/,
      )
      assert.ok(fs.readFileSync(target).equals(bytes))

      const quiet = uring(['cp', '-q', '--direct', '--depth=4', source, target], env)
      assert.equal(quiet, { code: 0, out: '', err: '' })

      const json = uring(['cp', '--json', '--method=ring,node', '--sqpoll', source, target], env)
      const { copies, errors } = JSON.parse(json.out)
      assert.is(copies[0].bytes, bytes.length)
      assert.is(copies[0].method, env['URING_DISABLE'] ? 'node' : 'ring')
      assert.equal(errors, [])
    }
  }))

test(
  'uring cp --sqpoll says what came of it',
  needs({ setup: 'IORING_SETUP_SQPOLL' }, () =>
    inFolder((folder) => {
      fs.writeFileSync(join(folder, 'source'), 'x')
      const args = ['cp', '--sqpoll', '--method=ring', join(folder, 'source'), join(folder, 'target')]
      assert.match(uring(args).out, /SQPOLL asked for, granted/)
    }),
  ),
)

test(
  'uring cp shows a bar on a terminal, and its line',
  needs({ command: 'script' }, () =>
    inFolder((folder) => {
      fs.writeFileSync(join(folder, 'source'), distinctBytes(48 * 2 ** 20))
      for (const env of ENVIRONMENTS) {
        const args = ['cp', '--method=ring,node', join(folder, 'source'), join(folder, 'target')]
        const { code, out } = uringOnTerminal(args, env)
        assert.is(code, 0, out)
        assert.match(out, /source \[[=-]*\] \d+%/)
        assert.match(out, /'.*source' -> '.*target': 48\.0 MiB in /)
        const quiet = uringOnTerminal([...args, '--quiet'], env)
        assert.is(quiet.out.trim(), '')
      }
    }),
  ),
)

test('uring cp -r copies a directory; -a takes over everything', () =>
  inFolder((folder) => {
    const tree = join(folder, 'tree')
    fs.mkdirSync(join(tree, 'inner'), { recursive: true })
    fs.writeFileSync(join(tree, 'inner/file'), 'data')
    fs.writeFileSync(join(tree, 'skip.log'), 'noise')
    fs.symlinkSync('inner', join(tree, 'link'))
    fs.utimesSync(join(tree, 'inner/file'), 1e9, 1e9)
    fs.mkdirSync(join(folder, 'into'))
    for (const env of ENVIRONMENTS) {
      const copied = uring(['cp', '-a', '--exclude=*.log', tree, join(folder, 'into')], env)
      assert.is(copied.code, 0, copied.err)
      assert.match(copied.out, /: 1 file, 2 directories, 1 symlink, 1 left out; 4 bytes in \d+ ms/)
      assert.is(fs.statSync(join(folder, 'into/tree/inner/file')).mtimeMs, 1e12)
      assert.is(fs.readlinkSync(join(folder, 'into/tree/link')), 'inner')
      assert.not.ok(fs.existsSync(join(folder, 'into/tree/skip.log')))

      const dry = uring(['cp', '-r', '--dry-run', tree, join(folder, 'new')], env)
      assert.is(dry.code, 0)
      assert.match(dry.out, /'.*tree\/inner\/file' -> '.*new\/inner\/file'\n/)
      assert.not.ok(fs.existsSync(join(folder, 'new')))

      const json = JSON.parse(uring(['cp', '-r', '--json', tree, join(folder, 'new')], env).out)
      assert.is(json.copies[0].files, 2)
      fs.rmSync(join(folder, 'new'), { recursive: true })

      const link = uring(['cp', '-r', join(tree, 'link'), join(folder, 'the-link')], env)
      assert.is(link.code, 0, link.err)
      assert.is(fs.readlinkSync(join(folder, 'the-link')), 'inner')
    }
  }))

test('uring cp: bad input is one line, exit code 1, and the old target stays', () =>
  inFolder((folder) => {
    const at = (name: string): string => join(folder, name)
    fs.writeFileSync(at('file'), 'the source')
    fs.writeFileSync(at('old'), 'the old target')
    fs.mkdirSync(at('tree/inner'), { recursive: true })
    fs.symlinkSync('..', at('tree/inner/up'))
    for (const env of ENVIRONMENTS) {
      isOneFailure(uring(['cp', at('nothing'), at('old')], env), /ENOENT: no such file or directory.*nothing/)
      isOneFailure(uring(['cp', at('file'), at('file')], env), /is the source itself/)
      isOneFailure(uring(['cp', at('tree'), at('old')], env), /The source is a directory/)
      isOneFailure(uring(['cp', '-r', at('tree'), at('old')], env), /The target is not a directory/)
      isOneFailure(uring(['cp', at('file'), at('old'), at('old')], env), /is not a directory/)
      isOneFailure(uring(['cp', '/dev/zero', at('old')], env), /not a regular file/)
      isOneFailure(uring(['cp', '-r', at('tree'), at('tree/inner/copy')], env), /lies in it/)
      const cycle = uring(['cp', '-r', '-L', at('tree'), at('followed')], env)
      assert.is(cycle.code, 1)
      assert.match(
        cycle.err,
        /^uring: The symlink leads back to [^\n]+\nuring: 1 entry could not be copied\n$/,
      )
      fs.rmSync(at('followed'), { recursive: true })
    }
    assert.is(fs.readFileSync(at('old'), 'utf8'), 'the old target')
    assert.equal(unfinished(folder), [])
  }))

test(
  'uring cp onto a full disk is one line, exit code 1',
  needs({ root: true, when: hasSmallDisk }, () =>
    inFolder((folder) => {
      using mounted = smallDisk(folder, 2 ** 20)
      const disk = mounted.path
      fs.writeFileSync(join(folder, 'large'), distinctBytes(4 * 2 ** 20))
      fs.writeFileSync(join(disk, 'target'), 'the old target')
      for (const env of ENVIRONMENTS) {
        isOneFailure(
          uring(['cp', join(folder, 'large'), join(disk, 'target')], env),
          /ENOSPC: no space left on device/,
        )
        assert.is(fs.readFileSync(join(disk, 'target'), 'utf8'), 'the old target')
        assert.equal(fs.readdirSync(disk), ['target'])
      }
    }),
  ),
)

test('uring cp that is interrupted cleans up: exit code 130 or 143', () =>
  inFolder(async (folder) => {
    const [source, target] = [join(folder, 'source'), join(folder, 'target')]
    fs.writeFileSync(source, distinctBytes(96 * 2 ** 20))
    fs.writeFileSync(target, 'the old target')
    for (const env of ENVIRONMENTS) {
      for (const [signal, code] of [
        ['SIGINT', 130],
        ['SIGTERM', 143],
      ] as const) {
        // Little by little, so that it is still at it when the signal comes.
        const args = ['cp', '--method=ring,node', '--depth=1', '--durable', '--verify', source, target]
        const outcome = await uringKilled(args, signal, () => unfinished(folder).length > 0, env)
        assert.is(outcome.code, code, outcome.err)
        assert.match(outcome.err, new RegExp(`^uring: interrupted by ${signal}\n$`))
        assert.is(fs.readFileSync(target, 'utf8'), 'the old target')
        assert.equal(unfinished(folder), [])
      }
    }
  }))

test('uring cp that is killed outright leaves the old target', () =>
  inFolder(async (folder) => {
    const [source, target] = [join(folder, 'source'), join(folder, 'target')]
    fs.writeFileSync(source, distinctBytes(96 * 2 ** 20))
    fs.writeFileSync(target, 'the old target')
    for (const env of ENVIRONMENTS) {
      const args = ['cp', '--method=ring,node', '--depth=1', '--verify', source, target]
      const outcome = await uringKilled(args, 'SIGKILL', () => unfinished(folder).length > 0, env)
      assert.is(outcome.signal, 'SIGKILL')
      assert.is(fs.readFileSync(target, 'utf8'), 'the old target')
      for (const name of unfinished(folder)) fs.rmSync(join(folder, name))
    }
  }))

test('uring cp -r that is interrupted leaves no new tree', () =>
  inFolder(async (folder) => {
    const tree = join(folder, 'tree')
    fs.mkdirSync(tree)
    for (let index = 0; index < 40; index++)
      fs.writeFileSync(join(tree, `file-${index}`), distinctBytes(2 ** 20))
    for (const env of ENVIRONMENTS) {
      const args = ['cp', '-r', '--durable', '--verify', tree, join(folder, 'copy')]
      const outcome = await uringKilled(args, 'SIGINT', () => unfinished(folder).length > 0, env)
      assert.is(outcome.code, 130, outcome.err)
      assert.equal(fs.readdirSync(folder), ['tree'])
    }
  }))

test('uring cp -r of a symlink does not replace the file that it leads to', () =>
  inFolder((folder) => {
    const at = (name: string): string => join(folder, name)
    fs.mkdirSync(at('farm'))
    fs.mkdirSync(at('real'))
    fs.writeFileSync(at('real/file'), 'keep')
    fs.symlinkSync('../real/file', at('farm/file'))
    for (const env of ENVIRONMENTS) {
      for (const operands of [
        [at('farm/file'), at('real/file')],
        [`${at('farm')}/.`, at('real')],
      ]) {
        const { code, err } = uring(['cp', '-r', ...operands], env)
        assert.is(code, 1)
        assert.match(err, /The target is what the symlink leads to/)
        assert.is(fs.readFileSync(at('real/file'), 'utf8'), 'keep')
      }
    }
  }))

test('uring cp -a of a symlink keeps its times and, for root, its owner', () =>
  inFolder((folder) => {
    const [link, copy] = [join(folder, 'link'), join(folder, 'copy')]
    fs.symlinkSync('nowhere', link)
    fs.lutimesSync(link, 1000, 2000)
    if (process.geteuid?.() === 0) fs.lchownSync(link, 1234, 5678)
    const { uid, gid } = fs.lstatSync(link)
    for (const env of ENVIRONMENTS) {
      assert.is(uring(['cp', '-a', link, copy], env).code, 0)
      const stat = fs.lstatSync(copy)
      assert.is(fs.readlinkSync(copy), 'nowhere')
      assert.equal([stat.mtimeMs, stat.uid, stat.gid], [2_000_000, uid, gid])
    }
    assert.equal(fs.readdirSync(folder), ['copy', 'link'])
  }))

test('uring cp does not overwrite what it has just made', () =>
  inFolder((folder) => {
    const at = (name: string): string => join(folder, name)
    for (const name of ['one', 'two', 'into']) fs.mkdirSync(at(name))
    fs.writeFileSync(at('one/file'), 'first')
    fs.writeFileSync(at('two/file'), 'second')
    const { code, err } = uring(['cp', at('one/file'), at('two/file'), at('into')])
    assert.is(code, 1)
    assert.match(err, /was made a moment ago, of another source/)
    assert.is(fs.readFileSync(at('into/file'), 'utf8'), 'first')
  }))

test('uring cp -rL of a symlink copies what it leads to', () =>
  inFolder((folder) => {
    const at = (name: string): string => join(folder, name)
    fs.mkdirSync(at('tree'))
    fs.writeFileSync(at('tree/file'), 'data')
    fs.symlinkSync('tree', at('link'))
    assert.is(uring(['cp', '-rL', at('link'), at('copy')]).code, 0)
    assert.ok(fs.lstatSync(at('copy')).isDirectory())
    assert.is(fs.readFileSync(at('copy/file'), 'utf8'), 'data')
  }))

test('uring cp --dry-run -n tells what is left out', () =>
  inFolder((folder) => {
    const at = (name: string): string => join(folder, name)
    fs.writeFileSync(at('source'), 'data')
    fs.writeFileSync(at('target'), 'old')
    const { code, out } = uring(['cp', '--dry-run', '-n', at('source'), at('target')])
    assert.is(code, 0)
    assert.match(out, /left out, it is there/)
  }))

test('uring cp -r DIR/.. copies into the target', () =>
  inFolder((folder) => {
    fs.mkdirSync(join(folder, 'from/below'), { recursive: true })
    fs.writeFileSync(join(folder, 'from/file'), 'x')
    fs.mkdirSync(join(folder, 'to/in'), { recursive: true })
    const { code, err } = uring(['cp', '-r', `${join(folder, 'from/below')}/..`, join(folder, 'to/in')])
    assert.is(code, 0, err)
    assert.equal(fs.readdirSync(join(folder, 'to')), ['in'])
    assert.equal(fs.readdirSync(join(folder, 'to/in')).sort(), ['below', 'file'])
  }))

test('uring cp goes on with the other sources: past what is there with -n, and past what cannot be copied', () =>
  inFolder((folder) => {
    const at = (name: string): string => join(folder, name)
    for (const name of ['a', 'b', 'c']) fs.writeFileSync(at(name), `new ${name}`)
    fs.symlinkSync('a', at('link'))
    for (const env of ENVIRONMENTS) {
      fs.mkdirSync(at('into/c'), { recursive: true })
      for (const name of ['a', 'link']) fs.writeFileSync(at(`into/${name}`), 'old')
      const kept = uring(['cp', '-rn', at('a'), at('link'), at('b'), at('into')], env)
      assert.is(kept.code, 0, kept.err)
      assert.match(
        kept.out,
        /into\/a': left out, it is there\n.*into\/link': left out, it is there\n.*into\/b': /,
      )
      assert.is(fs.readFileSync(at('into/a'), 'utf8'), 'old')
      assert.is(fs.readFileSync(at('into/b'), 'utf8'), 'new b')
      const some = uring(['cp', at('c'), at('a'), at('into')], env)
      assert.is(some.code, 1)
      assert.match(some.err, /^uring: EISDIR[^\n]+\nuring: 1 entry could not be copied\n$/)
      assert.is(fs.readFileSync(at('into/a'), 'utf8'), 'new a')
      fs.rmSync(at('into/a'))
      const others = uring(['cp', at('nothing'), at('into/c'), at('a'), at('into')], env)
      assert.is(others.code, 1)
      assert.match(
        others.err,
        /^uring: ENOENT[^\n]+\nuring: The source is a directory[^\n]+\nuring: 2 entries could not be copied\n$/,
      )
      assert.is(fs.readFileSync(at('into/a'), 'utf8'), 'new a')
      fs.rmSync(at('into'), { recursive: true })
    }
  }))

test('uring cp does its work also when nobody reads what it says', () =>
  inFolder((folder) => {
    const at = (name: string): string => join(folder, name)
    const names = ['a', 'b', 'c'].map((name) => at(name))
    for (const name of names) fs.writeFileSync(name, distinctBytes(3_000_000))
    fs.mkdirSync(at('into'))
    const args = [process.execPath, MAIN, 'cp', ...names, at('into')]
    const line = `"$@" | true; exit "\${PIPESTATUS[0]}"`
    const { status, stderr } = spawnSync('bash', ['-c', line, 'bash', ...args], { encoding: 'utf8' })
    assert.equal([status, stderr], [0, ''])
    assert.equal(fs.readdirSync(at('into')), ['a', 'b', 'c'])
  }))

test('uring that cannot write what it says ends in one line, exit code 1', () => {
  const full = fs.openSync('/dev/full', 'w')
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'doctor'], {
    encoding: 'utf8',
    stdio: ['ignore', full, 'pipe'],
  })
  fs.closeSync(full)
  assert.is(status, 1)
  assert.match(stderr, /^uring: standard output: [^\n]*ENOSPC[^\n]*\n$/)
})

test.run()
