import nodeSync from 'node:fs'
import nodeFs from 'node:fs/promises'
import { basename } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import promises, {
  appendFile,
  link,
  lstat,
  mkdir,
  open,
  readFile,
  readFiles,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  truncate,
  unlink,
  writeFile,
} from '../../src/fs/index.js'
import { assert, needs, test } from '../harness.js'
import { errorOf, makeFifo, scratch } from './scratch.js'

test('stat() and lstat() give what node:fs gives, member for member', async () => {
  const file = scratch('described')
  nodeSync.writeFileSync(file, 'x'.repeat(10_000))
  nodeSync.symlinkSync(file, scratch('to-described'))
  nodeSync.linkSync(file, scratch('described-too'))
  makeFifo('described-fifo')
  nodeSync.utimesSync(file, 1_234_567_890.987_654, new Date(-86_400_123))
  const paths = [
    file,
    scratch('to-described'),
    scratch('described-fifo'),
    scratch('.'),
    '/dev/null',
    '/dev/tty',
    '/proc/self/status',
    '/',
    '/proc/1/exe',
  ]
  for (const path of paths.filter((one) => nodeSync.existsSync(one))) {
    const again = (): [nodeSync.Stats, nodeSync.Stats, nodeSync.BigIntStats] => [
      nodeSync.statSync(path),
      nodeSync.lstatSync(path),
      nodeSync.statSync(path, { bigint: true }),
    ]
    const expected = again()
    const actual = [await stat(path), await lstat(path), await stat(path, { bigint: true })]
    // A file of /proc is made when it is looked at, with the time of that moment.
    if (!isDeepStrictEqual(expected, again())) continue
    assert.ok(
      isDeepStrictEqual(actual, expected),
      `${path}: ${JSON.stringify(actual[0])} ${JSON.stringify(expected[0])}`,
    )
    assert.equal(Object.keys(actual[0]!), Object.keys(expected[0]))
    assert.equal(Object.keys(actual[2]!), Object.keys(expected[2]))
    for (const stats of actual) assert.ok((stats.mtime as Date) instanceof Date)
  }
})

test('Stats have the class and the methods of Node’s', async () => {
  const stats = await stat(scratch('.'))
  assert.instance(stats, nodeSync.Stats)
  assert.equal(
    [stats.isDirectory(), stats.isFile(), stats.isSymbolicLink(), stats.isFIFO(), stats.isSocket()],
    [true, false, false, false, false],
  )
  assert.ok((await stat('/dev/null')).isCharacterDevice())
  assert.ok((await lstat(scratch('to-described'))).isSymbolicLink())
  const big = await stat(scratch('.'), { bigint: true })
  assert.ok(big.isDirectory())
  assert.is(Object.getPrototypeOf(big), Object.getPrototypeOf(nodeSync.statSync('/', { bigint: true })))
  const handle = await open(scratch('described'))
  try {
    assert.ok(isDeepStrictEqual(await handle.stat(), nodeSync.fstatSync(handle.fd)))
    assert.ok(
      isDeepStrictEqual(await handle.stat({ bigint: true }), nodeSync.fstatSync(handle.fd, { bigint: true })),
    )
  } finally {
    await handle.close()
  }
})

test('mkdir() with recursive gives the first directory that it made', async () => {
  const cases = ['r1', 'r1/', 'r2/a/b', 'r2/a/c/', 'r3//x/./y', 'r2', 'r2/a/b']
  for (const [index, name] of cases.entries()) {
    const ours = await mkdir(scratch(`${name}`), { recursive: true })
    nodeSync.mkdirSync(scratch('theirs'), { recursive: true })
    const theirs = await nodeFs.mkdir(scratch(`theirs/${name}`), { recursive: true })
    assert.is(ours, theirs?.replace('theirs/', ''), `case ${index}: ${name}`)
  }
  nodeSync.writeFileSync(scratch('in-the-way'), '')
  for (const name of ['in-the-way', 'in-the-way/x', 'in-the-way/x/y']) {
    const [ours, theirs] = [
      await errorOf(mkdir(scratch(name), { recursive: true })),
      await errorOf(nodeFs.mkdir(scratch(name), { recursive: true })),
    ]
    assert.equal([ours['code'], ours.message, ours['path']], [theirs['code'], theirs.message, theirs['path']])
  }
  assert.is(await mkdir(Buffer.from(scratch('bytes')), { recursive: true }), scratch('bytes'))
  assert.is(await mkdir(pathToFileURL(scratch('a%20url'))), undefined)
  assert.ok(nodeSync.existsSync(scratch('a%20url')))
})

test('mkdir() in many places at once makes each directory once', async () => {
  const results = await Promise.all(
    Array.from({ length: 50 }, () => mkdir(scratch('deep/er/and/deeper'), { recursive: true })),
  )
  assert.ok(results.some((first) => first === scratch('deep')))
  assert.ok(nodeSync.statSync(scratch('deep/er/and/deeper')).isDirectory())
})

test('mkdir() honours the mode and the umask', async () => {
  const before = process.umask(0o022)
  try {
    await mkdir(scratch('mode-default'))
    await mkdir(scratch('mode-number'), 0o700)
    await mkdir(scratch('mode-text'), { mode: '777' })
  } finally {
    process.umask(before)
  }
  const mode = (name: string): number => nodeSync.statSync(scratch(name)).mode & 0o777
  assert.equal(['mode-default', 'mode-number', 'mode-text'].map(mode), [0o755, 0o700, 0o755])
})

test('rm() removes files, trees with recursive, and what is not there with force', async () => {
  nodeSync.mkdirSync(scratch('tree/sub/deep'), { recursive: true })
  nodeSync.writeFileSync(scratch('tree/sub/file'), '')
  nodeSync.symlinkSync(scratch('tree'), scratch('to-tree'))
  const refused = await errorOf(rm(scratch('tree')))
  const expected = await errorOf(nodeFs.rm(scratch('tree')))
  assert.equal([refused['code'], refused.message], [expected['code'], expected.message])
  await rm(scratch('to-tree'), { recursive: true })
  assert.ok(nodeSync.existsSync(scratch('tree/sub/file')), 'a link is removed, not what it leads to')
  await rm(scratch('tree/sub/file'))
  await rm(scratch('tree'), { recursive: true })
  assert.not.ok(nodeSync.existsSync(scratch('tree')))
  await rm(scratch('tree'), { force: true })
  await assert.rejects(rm(scratch('tree')), { code: 'ENOENT', syscall: 'lstat' })
})

test('rename(), link(), symlink(), unlink(), rmdir() and truncate() do and refuse what Node’s do', async () => {
  nodeSync.writeFileSync(scratch('one'), '12345')
  await link(scratch('one'), scratch('two'))
  await rename(scratch('two'), scratch('three'))
  await symlink('three', scratch('four'))
  assert.is(nodeSync.readlinkSync(scratch('four')), 'three')
  await truncate(scratch('four'), 2)
  assert.is(nodeSync.readFileSync(scratch('one'), 'utf8'), '12')
  await truncate(Buffer.from(scratch('one')))
  assert.is(nodeSync.statSync(scratch('one')).size, 0)
  await unlink(pathToFileURL(scratch('four')))
  nodeSync.mkdirSync(scratch('empty'))
  await rmdir(scratch('empty'))
  const [no, nowhere] = [scratch('no'), scratch('nowhere/x')]
  for (const [call, args] of [
    ['rename', [no, nowhere]],
    ['link', [no, nowhere]],
    ['symlink', ['target', nowhere]],
    ['unlink', [no]],
    ['unlink', [scratch('.')]],
    ['rmdir', [scratch('one')]],
    ['rmdir', [scratch('.')]],
    ['truncate', [no, 1]],
    ['stat', [no]],
    ['lstat', [`${scratch('one')}/x`]],
    ['mkdir', [scratch('one')]],
  ] as const) {
    const ours = { rename, link, symlink, unlink, rmdir, truncate, stat, lstat, mkdir }[call] as (
      ...args: readonly unknown[]
    ) => Promise<unknown>
    const theirs = nodeFs[call] as (...args: readonly unknown[]) => Promise<unknown>
    const [actual, expected] = [await errorOf(ours(...args)), await errorOf(theirs(...args))]
    for (const member of ['message', 'code', 'errno', 'syscall', 'path', 'dest'])
      assert.is(
        actual[member],
        expected[member],
        `${call}(${args.map(String).map((path) => basename(path))}): ${member}`,
      )
    assert.equal(Object.keys(actual), Object.keys(expected))
  }
})

test('names that are no UTF-8 and names of every length are taken', async () => {
  const odd = Buffer.concat([Buffer.from(scratch('odd-')), Buffer.from([0xff, 0xfe, 0x80])])
  await mkdir(odd)
  assert.ok((await stat(odd)).isDirectory())
  await rmdir(odd)
  for (const length of [1, 59, 60, 61, 63, 64, 65, 250, 255]) {
    const path = scratch('n'.repeat(length))
    await mkdir(path)
    await rmdir(path)
  }
  await assert.rejects(mkdir(scratch('n'.repeat(256))), { code: 'ENAMETOOLONG' })
  await assert.rejects(stat(`/${'x'.repeat(5000)}`), { code: 'ENAMETOOLONG', syscall: 'stat' })
})

test('an error shows who has asked', async () => {
  async function innermost(): Promise<void> {
    await stat(scratch('nothing'))
  }
  async function outermost(): Promise<void> {
    await innermost()
  }
  assert.match((await errorOf(outermost())).stack!, /async innermost[\s\S]*async outermost/)
})

test(
  'open() with resolve keeps a path where it belongs',
  needs({ opcode: 'IORING_OP_OPENAT2' }, async () => {
    const before = process.cwd()
    nodeSync.mkdirSync(scratch('jail'))
    nodeSync.writeFileSync(scratch('jail/inside'), 'inside')
    nodeSync.writeFileSync(scratch('outside'), 'outside')
    nodeSync.symlinkSync('inside', scratch('jail/link'))
    nodeSync.symlinkSync('../outside', scratch('jail/out'))
    process.chdir(scratch('jail'))
    try {
      await (await open('inside', 'r', undefined, { resolve: 'beneath' })).close()
      await (await open('link', 'r', undefined, { resolve: ['beneath'] })).close()
      await (await open('made', 'w', 0o600, { resolve: 8 })).close()
      await assert.rejects(open('../outside', 'r', undefined, { resolve: 'beneath' }), {
        code: 'EXDEV',
        syscall: 'open',
      })
      await assert.rejects(open('out', 'r', undefined, { resolve: 'beneath' }), { code: 'EXDEV' })
      await assert.rejects(open('link', 'r', undefined, { resolve: ['beneath', 'noSymlinks'] }), {
        code: 'ELOOP',
      })
      await (await open('out', 'r')).close()
    } finally {
      process.chdir(before)
    }
  }),
)

test('open() with resolve is refused where there is no openat2', async () => {
  process.env['URING_DISABLE'] = '1'
  try {
    await assert.rejects(open(scratch('outside'), 'r', undefined, { resolve: 'beneath' }), {
      code: 'ENOSYS',
      syscall: 'openat2',
    })
  } finally {
    delete process.env['URING_DISABLE']
  }
})

test('an undefined member of the options of rm() is refused, and data that is none leaves the file as it was', async () => {
  const file = scratch('to stay')
  nodeSync.writeFileSync(file, 'x')
  for (const name of ['force', 'recursive', 'maxRetries', 'retryDelay']) {
    const options = { [name]: undefined } as object
    const outcomes: string[] = []
    for (const remove of [nodeSync.promises.rm, rm]) {
      nodeSync.writeFileSync(file, 'x')
      outcomes.push(
        await remove(file, options).then(
          () => 'removed',
          (error) => error.code,
        ),
      )
    }
    assert.is(outcomes[1], outcomes[0], name)
  }
  nodeSync.writeFileSync(file, 'x')
  for (const none of [
    { [Symbol.iterator]: undefined },
    { [Symbol.iterator]: 5 },
    { [Symbol.asyncIterator]: null },
  ]) {
    assert.is((await errorOf(writeFile(file, none as never))).code, 'ERR_INVALID_ARG_TYPE')
    assert.is(nodeSync.readFileSync(file, 'utf8'), 'x')
  }
})

test('a limit on paths, and durability, are refused where they cannot be kept', async () => {
  const beneath = { resolve: 'beneath' } as object
  const durable = { durable: true } as object
  const file = scratch('without a limit')
  nodeSync.writeFileSync(file, 'x')
  const handle = await open(file, 'r+')
  const refused: readonly (() => unknown)[] = [
    () => open(file, 'r', undefined, 'beneath' as unknown as object),
    () => open(file, 'r', undefined, ['beneath'] as unknown as object),
    () => open(file, 'r', undefined, 8 as unknown as object),
    () => readFile(handle, beneath),
    () => writeFile(handle, 'y', beneath),
    () => appendFile(handle, 'y', beneath),
    () => handle.readFile(beneath),
    () => handle.writeFile('y', beneath),
    () => handle.createReadStream(beneath),
    () => handle.createWriteStream(beneath),
    () => handle.readLines(beneath),
    () => stat(file, beneath),
    () => lstat(file, beneath),
    () => mkdir(`${file} folder`, beneath),
    () => mkdir(`${file} folder`, { ...beneath, recursive: true }),
    () => rmdir(file, beneath),
    () => rm(file, beneath),
    () => rm(file, { ...beneath, recursive: true }),
    () => promises.cp(file, `${file} copy`, beneath),
    () => promises.mkdtemp(file, beneath),
    () => promises.opendir(scratch('.'), beneath),
    () => promises.readdir(scratch('.'), beneath),
    () => promises.readlink(file, beneath),
    () => promises.realpath(file, beneath),
    () => promises.statfs(file, beneath),
    () => promises.watch(file, beneath),
    () => readFiles([handle as unknown as string], beneath).next(),
    () => handle.createWriteStream(durable),
    () => rm(file, durable),
    () => promises.cp(file, `${file} copy`, durable),
  ]
  try {
    for (const call of refused) {
      const { code } = await errorOf((async () => call())())
      assert.match(String(code), /^ERR_INVALID_ARG_(VALUE|TYPE)$/, String(call))
    }
    assert.throws(() => readFiles([], { resolve: 'nowhere' } as object), { code: 'ERR_INVALID_ARG_VALUE' })
    assert.is(nodeSync.readFileSync(file, 'utf8'), 'x')
    assert.not(nodeSync.existsSync(`${file} folder`))
    assert.not(nodeSync.existsSync(`${file} copy`))
    // None is no limit.
    const none = { resolve: 0 } as object
    assert.is(String(await handle.readFile(none)), 'x')
    assert.is((await stat(file, none)).size, 1)
  } finally {
    await handle.close()
  }
})

test(
  'a limit on paths holds whatever else is asked for',
  needs({ ring: true }, async () => {
    const before = process.cwd()
    nodeSync.mkdirSync(scratch('confined'))
    nodeSync.writeFileSync(scratch('beside'), 'secret')
    process.chdir(scratch('confined'))
    try {
      const beneath = { resolve: 'beneath' } as const
      const long = `${'./'.repeat(700)}../beside`
      assert.is(String(await readFile(long)), 'secret')
      for (const path of [long, '../beside']) {
        await assert.rejects(open(path, 'r', undefined, beneath), { code: 'EXDEV' })
        await assert.rejects(readFile(path, beneath), { code: 'EXDEV' })
        await assert.rejects(writeFile(path, 'x', beneath), { code: 'EXDEV' })
        // Options that nobody knows, or that are others'.
        await assert.rejects(readFile(path, { ...beneath, foo: 1 } as object), { code: 'EXDEV' })
        await assert.rejects(readFile(path, { ...beneath, mode: 0o600 } as object), { code: 'EXDEV' })
        await assert.rejects(appendFile(path, 'x', { ...beneath, foo: 1 } as object), { code: 'EXDEV' })
        // What only Node could judge is not judged by it.
        const signal = { aborted: false } as AbortSignal
        const url = { ...new URL('file:///'), href: 'file:///', pathname: path } as URL
        for (const refuse of [
          () => readFile(path, { ...beneath, signal }),
          () => writeFile(path, 'x', { ...beneath, signal }),
          () => writeFile(path, 'x', { durable: true, signal }),
          () => writeFile(path, 'x', { ...beneath, mode: 'wrong' }),
          () => open(path, 'wrong', undefined, beneath),
          () => open(url, 'r', undefined, beneath),
          () => readFile('x'.repeat(5000), beneath),
        ]) {
          await assert.rejects(refuse(), { code: 'ERR_INVALID_ARG_VALUE' })
        }
      }
      assert.is(nodeSync.readFileSync(scratch('beside'), 'utf8'), 'secret')
    } finally {
      process.chdir(before)
    }
  }),
)

test.run()
