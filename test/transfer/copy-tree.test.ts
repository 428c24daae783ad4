// copyTree next to `cp -a`: kinds, attributes, holes, links, names that are no text; what it leaves alone when it fails.

import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { registerIowqMaxWorkers } from '../../src/ring/index.js'
import { Uring } from '../../src/runtime/index.js'
import { type CopyTreeOptions, copyTree } from '../../src/transfer/index.js'
import { hasSmallDisk, smallDisk, takesAttributes } from '../file-systems.js'
import { assert, needs, test, unmet } from '../harness.js'
import { scaled } from '../patience.js'
import { asNobody } from './as-nobody.js'
import {
  copyFolder,
  describeFiles,
  describeTree,
  describeXattrs,
  differences,
  distinctBytes,
  leftovers,
  withAndWithoutRing,
} from './copy-fixture.js'

const folder = copyFolder()
const at = (name: string): string => join(folder, name)
const isRoot = process.geteuid?.() === 0

/** A tree with one of everything. */
function makeTree(path: string): void {
  const inside = (name: string): string => join(path, name)
  for (const name of ['a/b/c', 'empty', 'read-only']) fs.mkdirSync(inside(name), { recursive: true })
  for (const size of [0, 1, 4096, 65_535, 65_536, 65_537, 300_000, 3_000_001]) {
    fs.writeFileSync(inside(`a/size-${size}`), distinctBytes(size, size + 1))
  }
  fs.writeFileSync(inside('read-only/file'), 'not to be written')
  fs.writeFileSync(inside('a/first'), 'one file')
  fs.linkSync(inside('a/first'), inside('a/b/second'))
  fs.linkSync(inside('a/first'), inside('third'))
  fs.writeFileSync(inside('a/large-one'), distinctBytes(200_000, 9))
  fs.linkSync(inside('a/large-one'), inside('a/b/large-two'))
  fs.symlinkSync('../a/first', inside('empty/link'))
  fs.symlinkSync('nowhere', inside('dangling'))
  fs.symlinkSync('.', inside('a/cycle'))
  fs.writeFileSync(Buffer.from(inside('a/no-text-\xff\xfe'), 'latin1'), 'named by bytes')
  fs.writeFileSync(inside('a/ünïcode ☃'), 'named by a text')
  const sparse = fs.openSync(inside('sparse'), 'w')
  fs.writeSync(sparse, 'data', 1_000_000)
  fs.ftruncateSync(sparse, 3 * 2 ** 20 + 1)
  fs.closeSync(sparse)
  fs.writeFileSync(inside('hole'), '')
  fs.truncateSync(inside('hole'), 20_000)
  spawnSync('mkfifo', [inside('fifo')])
  spawnSync('setfattr', ['-n', 'user.of-a-file', '-v', 'its value', inside('a/first')])
  spawnSync('setfattr', ['-n', 'user.of-a-folder', '-v', 'another', inside('a/b')])
  fs.chmodSync(inside('a/size-1'), 0o600)
  fs.chmodSync(inside('a/size-4096'), 0o777)
  fs.chmodSync(inside('empty'), 0o1777)
  fs.chmodSync(inside('read-only/file'), 0o444)
  if (isRoot) {
    fs.chownSync(inside('a/size-300000'), 1234, 4321)
    fs.chownSync(inside('a/size-65536'), 1234, 4321)
    spawnSync('mknod', [inside('null'), 'c', '1', '3'])
    fs.chmodSync(inside('a/size-65536'), 0o4755)
  }
  spawnSync('touch', [
    '-d',
    '2001-02-03 04:05:06.123456789',
    inside('a/size-1'),
    inside('a/b'),
    inside('empty'),
  ])
  spawnSync('touch', ['-h', '-d', '1999-12-31 23:59:59.999999999', inside('dangling')])
  fs.chmodSync(inside('read-only'), 0o555)
}

makeTree(at('tree'))

/** Small files are copied by linked operations that are answered together. */
const hasLinks = unmet({ feature: 'IORING_FEAT_CQE_SKIP' }) === null

test('copyTree() copies as cp -a does: contents, kinds, permissions, owners, times, links, holes, attributes', async () => {
  execFileSync('cp', ['-a', at('tree'), at('by-cp')])
  await withAndWithoutRing(async (label) => {
    const target = at(`as-cp ${label}`)
    const result = await copyTree(at('tree'), target, { preserve: true })
    assert.is(differences(at('by-cp'), target), '', label)
    assert.equal(describeTree(target), describeTree(at('by-cp')), label)
    assert.equal(describeFiles(target), describeFiles(at('by-cp')), label)
    assert.is(describeXattrs(target), describeXattrs(at('by-cp')), label)
    assert.is(result.hardLinks, 3)
    assert.is(result.symlinks, 3)
    assert.is(result.errors.length, 0)
    assert.ok(result.holeBytes > 3_000_000)
    assert.is(result.ring === null, label !== 'with a ring')
    if (label === 'with a ring' && hasLinks) {
      assert.ok(result.methods.ring >= 6, JSON.stringify(result.methods))
    }
  })
  assert.equal(leftovers(folder), [])
})

test('copyTree() without options copies as cp -r does, permissions included', async () => {
  // Bits that the umask takes away are given all the same: `cp -r` would leave them out.
  execFileSync('cp', ['-r', '--preserve=mode', at('tree'), at('by-cp-r')])
  await withAndWithoutRing(async (label) => {
    const target = at(`as-cp-r ${label}`)
    await copyTree(at('tree'), target)
    assert.is(differences(at('by-cp-r'), target), '', label)
    const format = '%p %y %l\n'
    assert.equal(describeTree(target, format), describeTree(at('by-cp-r'), format))
    const modes = (path: string): string[] =>
      describeTree(path, '%p %m\n').filter((line) => !/size-65536 /.test(line))
    assert.equal(modes(target), modes(at('by-cp-r')))
  })
})

test('copyTree() into a tree that is there replaces files and keeps what else there is', async () => {
  await withAndWithoutRing(async (label) => {
    const target = at(`merged ${label}`)
    fs.mkdirSync(join(target, 'a/mine'), { recursive: true })
    fs.writeFileSync(join(target, 'a/size-1'), 'to be replaced')
    fs.writeFileSync(join(target, 'a/size-300000'), 'to be replaced as well')
    fs.writeFileSync(join(target, 'a/mine/file'), 'to be kept')
    fs.symlinkSync('mine', join(target, 'a/first'))
    const result = await copyTree(at('tree'), target, { preserve: { links: true } })
    assert.is(fs.readFileSync(join(target, 'a/mine/file'), 'utf8'), 'to be kept')
    fs.rmSync(join(target, 'a/mine'), { recursive: true })
    assert.is(differences(at('tree'), target), '', label)
    assert.is(result.errors.length, 0)
    // Once more: everything is replaced.
    await copyTree(at('tree'), target)
    assert.is(differences(at('tree'), target), '', label)
    // And once more with nothing to be replaced.
    fs.writeFileSync(join(target, 'third'), 'mine')
    fs.rmSync(join(target, 'a/size-4096'))
    const kept = await copyTree(at('tree'), target, { overwrite: false })
    assert.is(fs.readFileSync(join(target, 'third'), 'utf8'), 'mine')
    assert.ok(fs.readFileSync(join(target, 'a/size-4096')).equals(fs.readFileSync(at('tree/a/size-4096'))))
    assert.is(kept.files, 1)
    assert.equal(leftovers(target), [])
  })
})

test('copyTree() copies what include picks and exclude does not', async () => {
  const names = (path: string): string[] =>
    (fs.readdirSync(path, { recursive: true, encoding: 'latin1' }) as string[]).sort()
  const cases: [CopyTreeOptions, string[]][] = [
    [{ include: 'third' }, ['third']],
    [{ include: ['a/b/*', 'nothing'] }, ['a', 'a/b', 'a/b/large-two', 'a/b/second']],
    [{ include: /size-[01]$/ }, ['a', 'a/size-0', 'a/size-1']],
    [
      { include: 'size-*', exclude: ['size-6*', (path) => path.endsWith('1')] },
      ['a', 'a/size-0', 'a/size-300000', 'a/size-4096'],
    ],
    [
      { exclude: ['a/', 'f*', '**/link', (_, kind) => kind === 'device'] },
      ['dangling', 'empty', 'hole', 'read-only', 'sparse', 'third'],
    ],
  ]
  await withAndWithoutRing(async () => {
    for (const [options, expected] of cases) {
      const target = at('picked')
      await copyTree(at('tree'), target, options)
      const found = names(target).filter((name) => name !== 'read-only/file')
      assert.equal(found, expected, JSON.stringify(options))
      spawnSync('chmod', ['-R', 'u+rwx', target])
      fs.rmSync(target, { recursive: true })
    }
  })
})

test('copyTree() follows symlinks when told to, and names those that lead in a circle', async () => {
  fs.mkdirSync(at('linked/inner'), { recursive: true })
  fs.writeFileSync(at('linked/inner/file'), 'data')
  fs.symlinkSync('inner', at('linked/to-folder'))
  fs.symlinkSync('inner/file', at('linked/to-file'))
  await withAndWithoutRing(async (label) => {
    const target = at(`followed ${label}`)
    await copyTree(at('linked'), target, { dereference: true })
    assert.is(fs.readFileSync(join(target, 'to-folder/file'), 'utf8'), 'data')
    assert.ok(fs.lstatSync(join(target, 'to-file')).isFile())

    fs.symlinkSync('..', at('linked/inner/up'))
    fs.symlinkSync('round', at('linked/round'))
    await assert.rejects(copyTree(at('linked'), at('never'), { dereference: true }), (error) =>
      ['ERR_COPY_CYCLE', 'ELOOP'].includes(error.code),
    )
    assert.not.ok(fs.existsSync(at('never')))
    const { errors, files } = await copyTree(at('linked'), at('partly'), {
      dereference: true,
      errors: 'collect',
    })
    assert.equal(errors.map((error) => (error as NodeJS.ErrnoException).code).sort(), [
      'ELOOP',
      'ERR_COPY_CYCLE',
      'ERR_COPY_CYCLE',
    ])
    assert.is(files, 3)
    for (const name of ['linked/inner/up', 'linked/round']) fs.rmSync(at(name))
    fs.rmSync(at('partly'), { recursive: true })
  })
})

test('copyTree() refuses sources and targets that make no sense', async () => {
  fs.writeFileSync(at('file'), 'a file')
  fs.symlinkSync('tree', at('tree-link'))
  fs.symlinkSync('gone', at('gone-link'))
  const cases: [string, string, string][] = [
    [at('tree'), at('tree'), 'ERR_COPY_INTO_ITSELF'],
    [at('tree'), at('tree-link'), 'ERR_COPY_INTO_ITSELF'],
    [at('tree'), at('tree/a/copy'), 'ERR_COPY_INTO_ITSELF'],
    [at('tree-link'), at('tree/copy'), 'ERR_COPY_INTO_ITSELF'],
    [at('tree'), at('tree-link/empty'), 'ERR_COPY_INTO_ITSELF'],
    [at('file'), at('x'), 'ERR_COPY_KIND'],
    [at('tree'), at('file'), 'ERR_COPY_KIND'],
    [at('nothing'), at('x'), 'ENOENT'],
    [at('tree'), at('no/such/x'), 'ENOENT'],
    [at('tree'), at('gone-link'), 'ENOENT'],
  ]
  await withAndWithoutRing(async () => {
    for (const [source, target, code] of cases) await assert.rejects(copyTree(source, target), { code })
  })
  for (const options of [
    { errors: 'ignore' },
    { filesInFlight: 0 },
    { include: 7 },
    { include: '[a' },
    { onEntry: 1 },
  ]) {
    await assert.rejects(copyTree(at('tree'), at('x'), options as CopyTreeOptions), (error) =>
      /^ERR_(INVALID_ARG|OUT_OF_RANGE)/.test(error.code),
    )
  }
  assert.not.ok(fs.existsSync(at('x')))
  assert.equal(leftovers(folder), [])
})

test('copyTree() replaces no directory by a file, and says which', async () => {
  await withAndWithoutRing(async (label) => {
    const target = at(`in-the-way ${label}`)
    fs.mkdirSync(join(target, 'third'), { recursive: true })
    fs.writeFileSync(join(target, 'a'), 'a file where a directory is to be')
    const { errors } = await copyTree(at('tree'), target, { errors: 'collect' })
    const codes = errors.map((error) => `${(error as NodeJS.ErrnoException).code}`).sort()
    assert.equal(codes, ['EEXIST', 'EISDIR'])
    assert.is(fs.readFileSync(join(target, 'a'), 'utf8'), 'a file where a directory is to be')
    await assert.rejects(copyTree(at('tree'), target), (error) => ['EEXIST', 'EISDIR'].includes(error.code))
    assert.equal(leftovers(target), [])
  })
})

test('copyTree() with dryRun says what there is, and touches nothing', async () => {
  await withAndWithoutRing(async () => {
    const seen: string[] = []
    const result = await copyTree(at('tree'), at('dry'), { dryRun: true, onEntry: (path) => seen.push(path) })
    assert.not.ok(fs.existsSync(at('dry')))
    assert.ok(seen.includes('a/size-4096'))
    assert.ok(seen.includes('a/ünïcode ☃'))
    assert.is(result.files + result.directories + result.symlinks + result.specials, seen.length + 1)
  })
})

test('copyTree() stops on an abort, and leaves no new tree', async () => {
  fs.mkdirSync(at('many'))
  for (let index = 0; index < 500; index++)
    fs.writeFileSync(at(`many/file-${index}`), distinctBytes(3000, index + 1))
  await withAndWithoutRing(async (label) => {
    const controller = new AbortController()
    const copying = copyTree(at('many'), at('aborted'), {
      signal: controller.signal,
      progressIntervalMs: 0,
      onProgress: ({ entries }) => entries > 100 && controller.abort('enough'),
    })
    await assert.rejects(copying, { name: 'AbortError' })
    assert.not.ok(fs.existsSync(at('aborted')), label)
    await assert.rejects(copyTree(at('many'), at('aborted'), { signal: AbortSignal.abort() }), {
      name: 'AbortError',
    })
    const onProgress = (): void => {
      throw new Error('not one more')
    }
    await assert.rejects(
      copyTree(at('many'), at('aborted'), { onProgress, progressIntervalMs: 0 }),
      /not one more/,
    )
    assert.equal(leftovers(folder), [])
    // The same again, to its end.
    const last = { bytes: 0, entries: 0, totalBytes: 0, totalEntries: 0 }
    await copyTree(at('many'), at(`whole ${label}`), {
      onProgress: (progress) => Object.assign(last, progress),
    })
    assert.equal(last, { bytes: 1_500_000, totalBytes: 1_500_000, entries: 501, totalEntries: 501 })
    assert.is(differences(at('many'), at(`whole ${label}`)), '')
  })
})

test('copyTree() verifies and syncs every file when told to', async () => {
  await withAndWithoutRing(async (label) => {
    const { files } = await copyTree(at('tree/a'), at(`verified ${label}`), { verify: true, durable: true })
    assert.ok(files > 10)
    assert.is(differences(at('tree/a'), at(`verified ${label}`)), '')
  })
})

test(
  'copyTree() onto a full disk is ENOSPC, with nothing left of it',
  needs({ root: true, when: hasSmallDisk }, async () => {
    using disk = smallDisk(folder, 2 ** 20)
    fs.writeFileSync(join(disk.path, 'kept'), 'old')
    await withAndWithoutRing(async (label) => {
      for (const errors of ['throw', 'collect'] as const) {
        await assert.rejects(copyTree(at('many'), join(disk.path, 'new'), { errors }), (error) => {
          assert.is(error.code, 'ENOSPC', `${label}: ${error}`)
          return true
        })
        assert.equal(fs.readdirSync(disk.path), ['kept'], label)
      }
      fs.mkdirSync(join(disk.path, 'old'))
      await assert.rejects(copyTree(at('many'), join(disk.path, 'old')), { code: 'ENOSPC' })
      // Every file that is there is whole.
      for (const name of fs.readdirSync(join(disk.path, 'old'))) {
        assert.ok(
          fs.readFileSync(join(disk.path, 'old', name)).equals(fs.readFileSync(at(`many/${name}`))),
          name,
        )
      }
      fs.rmSync(join(disk.path, 'old'), { recursive: true })
    })
  }),
)

test(
  'copyTree() collects what a user may not read, and copies the rest',
  needs({ root: true }, async () => {
    fs.chmodSync(folder, 0o777)
    fs.mkdirSync(at('guarded/closed'), { recursive: true })
    fs.writeFileSync(at('guarded/secret'), 'x', { mode: 0o600 })
    fs.writeFileSync(at('guarded/open'), 'y', { mode: 0o644 })
    fs.chmodSync(at('guarded/closed'), 0o700)
    const code = `
      const { errors, files } = await copyTree(...args, { errors: 'collect' })
      process.stdout.write(JSON.stringify([files, ...errors.map((error) => error.code)]))`
    for (const env of [{}, { URING_DISABLE: '1' }]) {
      const output = asNobody(code, [at('guarded'), at(`unguarded ${Object.keys(env).length}`)], env)
      assert.is(output, '[1,"EACCES","EACCES"]')
    }
  }),
)

test(
  'copyTree() by a user who may not give files away drops the set-id bits',
  needs({ root: true }, () => {
    fs.chmodSync(folder, 0o777)
    fs.mkdirSync(at('set-ids'))
    fs.writeFileSync(at('set-ids/program'), 'a program')
    fs.chmodSync(at('set-ids/program'), 0o6755)
    for (const env of [{}, { URING_DISABLE: '1' }]) {
      const target = at(`set-ids of nobody ${Object.keys(env).length}`)
      asNobody('await copyTree(...args, { preserve: { owner: true } })', [at('set-ids'), target], env)
      const { mode, uid } = fs.statSync(join(target, 'program'))
      assert.equal([mode & 0o7777, uid], [0o755, 65534])
    }
  }),
)

test(
  "copyTree() without the owner drops the set-id bits of another's programs and folders",
  needs({ root: true }, () =>
    withAndWithoutRing(async () => {
      const [source, target] = [at('of another'), at('now of root')]
      fs.mkdirSync(source)
      fs.writeFileSync(join(source, 'program'), 'a program')
      for (const path of [source, join(source, 'program')]) {
        fs.chownSync(path, 65534, 65534)
        fs.chmodSync(path, 0o6755)
      }
      await copyTree(source, target)
      for (const path of [target, join(target, 'program')]) {
        const { mode, uid } = fs.statSync(path)
        assert.equal([mode & 0o7777, uid], [0o755, 0])
      }
      for (const path of [source, target]) fs.rmSync(path, { recursive: true })
    }),
  ),
)

test('a process that is killed in mid-copy leaves files whole or not there', async () => {
  const target = at('killed')
  fs.mkdirSync(target)
  const index = new URL('../../src/transfer/index.ts', import.meta.url).href
  const code = `import { copyTree } from '${index}'
    process.stdout.write('ready')
    for (;;) await copyTree(process.argv[1], process.argv[2])`
  for (const delay of [0, 3, 10]) {
    const args = ['--import', 'tsx', '--input-type=module', '-e', code, at('many'), target]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    await sleep(delay + 5)
    child.kill('SIGKILL')
    await once(child, 'exit')
    for (const name of fs.readdirSync(target)) {
      if (name.endsWith('.partial')) fs.rmSync(join(target, name))
      else assert.ok(fs.readFileSync(join(target, name)).equals(fs.readFileSync(at(`many/${name}`))), name)
    }
  }
})

test('a copied program can be run at once: nothing has it open for writing any more', async () => {
  const source = at('programs')
  fs.mkdirSync(source)
  fs.mkdirSync(at('programs of others'))
  const names = Array.from({ length: 20 }, (_, index) => `true-${index}`)
  for (const name of names) fs.copyFileSync('/bin/true', join(source, name))
  for (const target of [at('programs copied'), at('programs of others')]) {
    const { files } = await copyTree(source, target, { filesInFlight: 16 })
    assert.is(files, names.length)
    for (const name of names) execFileSync(join(target, name))
  }
})

test(
  'the bound on worker threads is after a copy what it was before',
  needs({ register: 'IORING_REGISTER_IOWQ_MAX_WORKERS' }, async () => {
    const uring = Uring.open({ fileWorkers: 19 })
    const bounded = (): number => registerIowqMaxWorkers(uring.driver.ring).bounded
    registerIowqMaxWorkers(uring.driver.ring, { bounded: 11 })
    const during: number[] = []
    await Promise.all([
      copyTree(at('tree'), at('bounded 1'), {
        onProgress: () => during.push(bounded()),
        progressIntervalMs: 0,
      }),
      copyTree(at('tree'), at('bounded 2')),
    ])
    if (hasLinks) assert.ok(during.some((bound) => bound !== 11))
    assert.is(bounded(), 11)
    await assert.rejects(
      copyTree(at('tree'), at('bounded 3'), {
        onProgress: () => {
          throw new Error('of the user')
        },
      }),
    )
    assert.is(bounded(), 11)
    await uring.close()
  }),
)

const UNREADABLE = '/proc/self/mem'

test(
  'a file that cannot be read is not in the copy',
  needs({ when: () => fs.existsSync(UNREADABLE) || 'needs a file of /proc' }, async () => {
    const [source, target] = [at('with one that cannot be read'), at('without it')]
    fs.mkdirSync(source)
    fs.writeFileSync(join(source, 'whole'), 'whole')
    fs.symlinkSync(UNREADABLE, join(source, 'half'))
    const options = { dereference: true, errors: 'collect' } as const
    const { errors, files } = await copyTree(source, target, options)
    assert.is(files, 1)
    assert.is(errors.length, 1)
    assert.equal(fs.readdirSync(target), ['whole'])
    // The same into one that is there.
    await copyTree(source, target, options)
    assert.equal(fs.readdirSync(target), ['whole'])
    for (const path of [source, target]) fs.rmSync(path, { recursive: true })
  }),
)

test('copyTree() through a symlink to a folder above the target does not copy the copy', async () => {
  const [source, above] = [at('leads up'), at('above')]
  for (const path of [source, above]) fs.mkdirSync(path)
  fs.writeFileSync(join(source, 'file'), 'a file')
  fs.writeFileSync(join(above, 'beside'), 'another')
  fs.symlinkSync('../above', join(source, 'up'))
  await withAndWithoutRing(async () => {
    for (const isThere of [false, true]) {
      const target = join(above, 'target')
      if (isThere) fs.mkdirSync(target)
      const options = { dereference: true }
      await assert.rejects(copyTree(source, target, options), { code: 'ERR_COPY_INTO_ITSELF' })
      assert.is(fs.existsSync(target), isThere)
      const { errors } = await copyTree(source, target, { ...options, errors: 'collect' })
      const codes = errors.map((error) => (error as NodeJS.ErrnoException).code)
      assert.equal(codes, ['ERR_COPY_INTO_ITSELF'])
      assert.equal(fs.readdirSync(join(target, 'up')), ['beside'])
      fs.rmSync(target, { recursive: true })
    }
  })
  assert.equal(leftovers(above), [])
})

test('a name that is taken while its file is copied leaves nothing beside it', async () => {
  const [source, target] = [at('to be taken'), at('taken')]
  for (const folder of [source, target]) fs.mkdirSync(folder)
  const names = Array.from({ length: 200 }, (_, i) => `file ${i}`)
  for (const name of names) fs.writeFileSync(join(source, name), 'the source')
  let isFirst = true
  await copyTree(source, target, {
    onEntry: () => {
      // The names of the target have been read, and none of these was among them.
      if (isFirst) for (const name of names) fs.writeFileSync(join(target, name), 'in the way')
      isFirst = false
    },
  })
  for (const name of names) assert.is(fs.readFileSync(join(target, name), 'utf8'), 'the source')
  assert.equal(leftovers(target), [])
})

test('a process that exits in mid-copy into a tree that is there leaves nothing beside its files', () => {
  const [source, target] = [at('many to copy'), at('many copied')]
  fs.mkdirSync(source)
  const [small, large] = [scaled(2000), scaled(20)]
  for (let i = 0; i < small; i++) fs.writeFileSync(join(source, `small ${i}`), distinctBytes(3000, i))
  for (let i = 0; i < large; i++) fs.writeFileSync(join(source, `large ${i}`), distinctBytes(3_000_000, i))
  const module = new URL('../../src/transfer/index.ts', import.meta.url).href
  const code = `const { copyTree } = await import(${JSON.stringify(module)})
    const [from, to, files] = process.argv.slice(-3)
    let done = 0
    await copyTree(from, to, {
      methods: ['ring', 'node'],
      progressIntervalMs: 0,
      onProgress: ({ entries }) => entries > Number(files) && process.exit(3),
    })`
  for (const disabled of ['', '1']) {
    for (const files of [5, small / 10, small / 2]) {
      fs.rmSync(target, { recursive: true, force: true })
      fs.mkdirSync(target)
      const args = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', code, source, target]
      const env = { ...process.env, ...(disabled && { URING_DISABLE: disabled }) }
      const { status, stderr } = spawnSync(process.execPath, [...args, `${files}`], { encoding: 'utf8', env })
      assert.is(status, 3, stderr)
      assert.equal(leftovers(target), [])
    }
  }
  for (const path of [source, target]) fs.rmSync(path, { recursive: true })
})

test(
  'copyTree() takes the extended attributes of files, of folders, and of what symlinks lead to',
  needs({ when: takesAttributes }, () =>
    withAndWithoutRing(async (label) => {
      const [source, target] = [at(`attributed ${label}`), at(`attributes ${label}`)]
      const give = (name: string, path: string): void => {
        execFileSync('setfattr', ['-n', `user.${name}`, '-v', 'its value', path])
      }
      fs.mkdirSync(join(source, 'folder'), { recursive: true })
      fs.writeFileSync(join(source, 'folder/file'), 'a file')
      fs.writeFileSync(at('elsewhere'), 'another')
      fs.symlinkSync(at('elsewhere'), join(source, 'link'))
      give('of-the-folder', join(source, 'folder'))
      give('of-the-file', join(source, 'folder/file'))
      give('of-another', at('elsewhere'))
      await copyTree(source, target, { dereference: true, preserve: true })
      const copied = describeXattrs(target)
      for (const name of ['of-the-folder', 'of-the-file', 'of-another']) {
        assert.match(copied, `user.${name}="its value"`, label)
      }
    }),
  ),
)

test.run()
