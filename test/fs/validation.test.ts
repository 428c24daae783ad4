// Wrong arguments end in the error that Node gives for them: same class, code and message.

import nodeSync from 'node:fs'
import nodeFs from 'node:fs/promises'
import uringFs from '../../src/fs/index.js'
import { assert, test } from '../harness.js'
import { errorOf, scratch } from './scratch.js'

// biome-ignore lint/suspicious/noExplicitAny: wrong arguments are the point
type Anything = any

const FILE = scratch('file')
nodeSync.writeFileSync(FILE, 'some content')

class Odd {}
const ODD_VALUES: readonly unknown[] = [
  undefined,
  null,
  true,
  5,
  -1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 40,
  10n,
  'x\0y',
  "it's",
  'a text that is longer than what is shown of it',
  Symbol('odd'),
  () => {},
  function named() {},
  {},
  [],
  new Odd(),
  Object.create(null),
  new Date(0),
  new Map(),
  new Uint8Array([47, 0, 48]),
  new URL('http://localhost/x'),
  new URL('file:///a%2Fb'),
]

async function compare(label: string, call: (fs: Anything) => Promise<unknown>): Promise<void> {
  let expected: Error & Record<string, unknown>
  try {
    await call(nodeFs)
    return
  } catch (error) {
    expected = error as typeof expected
  }
  const actual = await errorOf(call(uringFs).then(() => Promise.reject(new Error(`${label} succeeded`))))
  // An accident on the way, such as reading a member of null: ours says what is wrong.
  if (expected['code'] === undefined && expected.message.startsWith('Cannot ')) {
    assert.instance(actual, TypeError, label)
    assert.is(actual['code'], 'ERR_INVALID_ARG_TYPE', label)
    return
  }
  for (const member of ['message', 'name', 'code', 'errno', 'syscall', 'path', 'dest']) {
    assert.is(actual[member], expected[member], `${label}: ${member}`)
  }
  for (const kind of [TypeError, RangeError])
    assert.is(actual instanceof kind, expected instanceof kind, label)
  if (typeof expected['code'] === 'string' && expected['code'].startsWith('ERR_')) {
    assert.is(
      actual.stack!.split('\n')[0],
      expected.stack!.split('\n')[0],
      `${label}: first line of the stack`,
    )
  }
}

function shown(value: unknown): string {
  return typeof value === 'object' && value !== null ? Object.prototype.toString.call(value) : String(value)
}

const ON_ONE_PATH = [
  'access',
  'appendFile',
  'chmod',
  'chown',
  'lchown',
  'lstat',
  'lutimes',
  'mkdir',
  'mkdtemp',
  'open',
  'opendir',
  'readFile',
  'readdir',
  'readlink',
  'realpath',
  'rm',
  'rmdir',
  'stat',
  'statfs',
  'truncate',
  'unlink',
  'utimes',
  'writeFile',
]
const ON_TWO_PATHS = ['copyFile', 'cp', 'link', 'rename', 'symlink']

for (const name of ON_ONE_PATH) {
  test(`${name}() refuses odd paths as Node does`, async () => {
    const more = ['chown', 'lchown', 'lutimes', 'utimes'].includes(name)
      ? [0, 0]
      : name.endsWith('File')
        ? ['data']
        : name === 'chmod'
          ? [0o644]
          : []
    for (const path of ODD_VALUES) {
      // Nothing here can succeed but mkdtemp with a relative prefix.
      if (name === 'mkdtemp' && typeof path === 'string') continue
      if (typeof path === 'string' && !path.includes('\0')) continue
      await compare(`${name}(${shown(path)})`, (fs) => fs[name](path, ...more))
    }
  })
}

for (const name of ON_TWO_PATHS) {
  test(`${name}() refuses odd paths in both places as Node does`, async () => {
    for (const path of ODD_VALUES) {
      if (typeof path === 'string' && !path.includes('\0')) continue
      await compare(`${name}(${shown(path)}, good)`, (fs) => fs[name](path, scratch('good')))
      await compare(`${name}(good, ${shown(path)})`, (fs) => fs[name](scratch('good'), path))
    }
  })
}

test('options and flags of every kind are refused as Node refuses them', async () => {
  for (const value of ODD_VALUES) {
    const is = shown(value)
    await compare(`readFile options ${is}`, (fs) => fs.readFile(FILE, value))
    await compare(`readFile encoding ${is}`, (fs) => fs.readFile(FILE, { encoding: value }))
    await compare(`readFile flag ${is}`, (fs) => fs.readFile(FILE, { flag: value }))
    await compare(`readFile signal ${is}`, (fs) => fs.readFile(FILE, { signal: value }))
    await compare(`writeFile data ${is}`, (fs) => fs.writeFile(scratch('w'), value))
    await compare(`writeFile options ${is}`, (fs) => fs.writeFile(scratch('w'), '', value))
    await compare(`writeFile encoding ${is}`, (fs) => fs.writeFile(scratch('w'), '', { encoding: value }))
    await compare(`writeFile flag ${is}`, (fs) => fs.writeFile(scratch('w'), '', { flag: value }))
    await compare(`writeFile mode ${is}`, (fs) => fs.writeFile(scratch('w'), '', { mode: value }))
    await compare(`writeFile flush ${is}`, (fs) => fs.writeFile(scratch('w'), '', { flush: value }))
    await compare(`writeFile signal ${is}`, (fs) => fs.writeFile(scratch('w'), '', { signal: value }))
    await compare(`appendFile options ${is}`, (fs) => fs.appendFile(scratch('w'), '', value))
    await compare(`open flags ${is}`, (fs) => fs.open(FILE, value).then((handle: Anything) => handle.close()))
    await compare(`open mode ${is}`, (fs) =>
      fs.open(FILE, 'r', value).then((handle: Anything) => handle.close()),
    )
    await compare(`mkdir options ${is}`, (fs) => fs.mkdir(FILE, value))
    await compare(`mkdir mode ${is}`, (fs) => fs.mkdir(FILE, { mode: value }))
    await compare(`mkdir recursive ${is}`, (fs) => fs.mkdir(FILE, { recursive: value }))
    await compare(`truncate length ${is}`, (fs) => fs.truncate(scratch('missing'), value))
    await compare(`stat options ${is}`, (fs) => fs.stat(scratch('missing'), value))
    await compare(`lstat options ${is}`, (fs) => fs.lstat(scratch('missing'), value))
    await compare(`rm options ${is}`, (fs) => fs.rm(scratch('missing'), value))
    await compare(`rm force ${is}`, (fs) => fs.rm(scratch('missing'), { force: value }))
    await compare(`rm recursive ${is}`, (fs) => fs.rm(scratch('missing'), { recursive: value }))
    await compare(`rm retryDelay ${is}`, (fs) => fs.rm(scratch('missing'), { retryDelay: value }))
    await compare(`rm maxRetries ${is}`, (fs) => fs.rm(scratch('missing'), { maxRetries: value }))
    await compare(`rmdir options ${is}`, (fs) => fs.rmdir(scratch('missing'), value))
    await compare(`symlink type ${is}`, (fs) => fs.symlink('x', FILE, value))
  }
})

test('arguments of a FileHandle’s methods are refused as Node refuses them', async () => {
  const onHandle = (label: string, call: (handle: Anything) => Promise<unknown>): Promise<void> =>
    compare(label, async (fs) => {
      const handle = await fs.open(FILE, 'r+')
      try {
        return await call(handle)
      } finally {
        await handle.close()
      }
    })
  for (const value of ODD_VALUES) {
    const is = shown(value)
    await onHandle(`read(${is})`, (handle) => handle.read(value))
    await onHandle(`read buffer ${is}`, (handle) => handle.read({ buffer: value }))
    await onHandle(`read offset ${is}`, (handle) => handle.read(Buffer.alloc(3), value))
    // Node 20 aborts the process for a length that is no integer.
    if (Number.isInteger(value))
      await onHandle(`read length ${is}`, (handle) => handle.read(Buffer.alloc(3), 0, value))
    await onHandle(`read position ${is}`, (handle) => handle.read(Buffer.alloc(3), 0, 3, value))
    await onHandle(`readv(${is})`, (handle) => handle.readv(value))
    await onHandle(`readv([${is}])`, (handle) => handle.readv([value]))
    await onHandle(`write(${is})`, (handle) => handle.write(value))
    await onHandle(`write offset ${is}`, (handle) => handle.write(Buffer.alloc(3), value))
    await onHandle(`write length ${is}`, (handle) => handle.write(Buffer.alloc(3), 0, value))
    await onHandle(`write encoding ${is}`, (handle) => handle.write('abc', 0, value))
    await onHandle(`writev(${is})`, (handle) => handle.writev(value))
    await onHandle(`readFile(${is})`, (handle) => handle.readFile(value))
    await onHandle(`readFile encoding ${is}`, (handle) => handle.readFile({ encoding: value }))
    await onHandle(`readFile signal ${is}`, (handle) => handle.readFile({ signal: value }))
    await onHandle(`writeFile(${is})`, (handle) => handle.writeFile(value))
    await onHandle(`writeFile options ${is}`, (handle) => handle.writeFile('', value))
    await onHandle(`writeFile encoding ${is}`, (handle) => handle.writeFile('', { encoding: value }))
    await onHandle(`truncate(${is})`, (handle) => handle.truncate(value))
    await onHandle(`chmod(${is})`, (handle) => handle.chmod(value))
    await onHandle(`chown(${is})`, (handle) => handle.chown(value, 0))
    await onHandle(`utimes(${is})`, (handle) => handle.utimes(value, 0))
    // Newer Nodes warn of a type instead; this one aborts the process when such a stream is closed in mid-flight.
    if (process.version.startsWith('v20.') && typeof value !== 'string' && value !== undefined) {
      await onHandle(`readableWebStream type ${is}`, async (handle) =>
        handle.readableWebStream({ type: value }),
      )
    }
  }
  await onHandle('write hex', (handle) => handle.write('abc', 0, 'hex'))
  await onHandle('write past the end', (handle) => handle.write(Buffer.alloc(3), 2, 2))
  await onHandle('read past the end', (handle) => handle.read(Buffer.alloc(3), 2, 2))
  await onHandle('read into nothing', (handle) => handle.read(Buffer.alloc(0), 0, 1))
})

test('encodings of a FileHandle’s methods end as in Node', async () => {
  const file = scratch('encoded')
  const encodings: readonly unknown[] = ['', 0, false, null, undefined, 'buffer', 'HEX', 'Latin1', 'none', 5]
  const calls: readonly ((handle: Anything, encoding: unknown) => Promise<unknown>)[] = [
    (handle, encoding) => handle.readFile({ encoding }),
    (handle, encoding) => handle.readFile(encoding),
    (handle, encoding) => handle.writeFile('414', { encoding }),
    (handle, encoding) => handle.writeFile(Buffer.from('414'), { encoding }),
    (handle, encoding) => handle.appendFile(Buffer.from('414'), encoding),
    (handle, encoding) => handle.write('414', 0, encoding),
  ]
  for (const encoding of encodings) {
    for (const call of calls) {
      const ends: unknown[] = []
      for (const fs of [nodeFs, uringFs]) {
        nodeSync.writeFileSync(file, 'content')
        const handle = await (fs as Anything).open(file, 'r+')
        const answer = await call(handle, encoding).catch((error) => String(error.code))
        await handle.close()
        ends.push([answer, nodeSync.readFileSync(file, 'latin1')])
      }
      assert.equal(ends[1], ends[0], `${call} with ${String(encoding)}`)
    }
  }
})

test('options whose getter throws reject', async () => {
  const error = new Error('from the getter')
  const options: Anything = {
    get encoding() {
      throw error
    },
  }
  const { appendFile, readFile, writeFile } = uringFs
  assert.is(await errorOf(readFile(FILE, options)), error)
  assert.is(await errorOf(writeFile(FILE, 'x', options)), error)
  assert.is(await errorOf(appendFile(FILE, 'x', options)), error)
})

test('the options that Node does not have are checked too', async () => {
  const refused = async (promise: Promise<unknown>, code: string): Promise<void> => {
    assert.is((await errorOf(promise))['code'], code)
  }
  const { open, readFile, writeFile } = uringFs as Anything
  await refused(open(FILE, 'r', 0, { resolve: 'nowhere' }), 'ERR_INVALID_ARG_VALUE')
  await refused(open(FILE, 'r', 0, { resolve: -1 }), 'ERR_OUT_OF_RANGE')
  await refused(open(FILE, 'r', 0, { resolve: {} }), 'ERR_INVALID_ARG_TYPE')
  await refused(readFile(FILE, { direct: 1 }), 'ERR_INVALID_ARG_TYPE')
  await refused(readFile(FILE, { resolve: ['beneath', 'x'] }), 'ERR_INVALID_ARG_VALUE')
  await refused(writeFile(FILE, '', { durable: 'yes' }), 'ERR_INVALID_ARG_TYPE')
})

// For which Node 20's own functions abort the process.
test('a mode, or flags, of -0 are those of 0', async () => {
  const { chmod, mkdir, open } = uringFs
  const before = process.env['URING_DISABLE']
  try {
    for (const disabled of ['', '1']) {
      process.env['URING_DISABLE'] = disabled
      const folder = scratch(`minus-zero-${disabled}`)
      await mkdir(folder)
      await mkdir(`${folder}/a`, -0)
      await mkdir(`${folder}/b`, { mode: -0 })
      await chmod(`${folder}/b`, -0)
      nodeSync.writeFileSync(`${folder}/file`, '')
      const handle = await open(`${folder}/file`, -0, -0)
      await handle.close()
      for (const name of ['a', 'b']) assert.is(nodeSync.statSync(`${folder}/${name}`).mode & 0o777, 0)
    }
  } finally {
    if (before === undefined) delete process.env['URING_DISABLE']
    else process.env['URING_DISABLE'] = before
  }
})

test.run()
