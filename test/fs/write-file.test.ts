import nodeSync from 'node:fs'
import nodeFs from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { appendFile, writeFile } from '../../src/fs/index.js'
import { descriptorCount } from '../descriptors.js'
import { cachedDisk, hasCachedDisk, takesDirect } from '../file-systems.js'
import { assert, needs, test } from '../harness.js'
import { transfersOf } from '../watched-entries.js'
import { errorOf, scratch } from './scratch.js'
import '../settled.js'

const read = (path: string): Buffer => nodeSync.readFileSync(path)

for (const size of [0, 1, 4096, 16_384, 16_385, 262_144, 262_145, 1_048_577, 5_000_000]) {
  test(`writeFile() writes ${size} bytes, and as many characters`, async () => {
    const path = scratch('sized')
    const content = Buffer.from(Uint8Array.from({ length: size }, (_, index) => (index * 13) >> 2))
    await writeFile(path, content)
    assert.ok(read(path).equals(content))
    const text = 'ü'.repeat(size)
    await writeFile(path, text)
    assert.is(read(path).toString(), text)
    await writeFile(path, content, { durable: true })
    assert.ok(read(path).equals(content))
  })
}

test('writeFile() takes text in every encoding, views of every kind, and pieces', async () => {
  const path = scratch('kinds')
  for (const encoding of ['utf8', 'latin1', 'hex', 'base64', 'utf16le', 'ascii'] as const) {
    const expected = scratch('kinds-expected')
    await Promise.all([
      writeFile(path, 'deadbeef\u00fc', encoding),
      nodeFs.writeFile(expected, 'deadbeef\u00fc', encoding),
    ])
    assert.ok(read(path).equals(read(expected)), encoding)
  }
  const memory = Uint8Array.from({ length: 16 }, (_, index) => index).buffer
  for (const view of [
    new Uint8Array(memory, 3, 5),
    new Uint16Array(memory, 2, 3),
    new Float64Array(memory, 8),
    new DataView(memory, 1, 2),
  ]) {
    await writeFile(path, view)
    assert.ok(read(path).equals(Buffer.from(memory, view.byteOffset, view.byteLength)))
  }
  const shared = new Uint8Array(new SharedArrayBuffer(4)).fill(7)
  await writeFile(path, shared)
  assert.equal([...read(path)], [7, 7, 7, 7])
  async function* pieces(): AsyncGenerator<string | Uint8Array> {
    yield 'a'
    yield Buffer.from('b')
  }
  for (const data of [['a', Buffer.from('b')], new Set(['a', 'b']), pieces(), Readable.from(['a', 'b'])]) {
    await writeFile(path, data)
    assert.is(read(path).toString(), 'ab')
  }
})

test('writeFile() makes files with the mode asked for, less the umask', async () => {
  const before = process.umask(0o027)
  try {
    await writeFile(scratch('default-mode'), '')
    await writeFile(scratch('own-mode'), '', { mode: 0o777 })
    await writeFile(scratch('text-mode'), '', { mode: '600' })
  } finally {
    process.umask(before)
  }
  const mode = (name: string): number => nodeSync.statSync(scratch(name)).mode & 0o777
  assert.equal(['default-mode', 'own-mode', 'text-mode'].map(mode), [0o640, 0o750, 0o600])
})

test('flags do what they do in Node', async () => {
  const path = scratch('flags')
  await writeFile(path, 'first', { flag: 'wx' })
  await assert.rejects(writeFile(path, 'second', { flag: 'wx' }), { code: 'EEXIST', syscall: 'open', path })
  await writeFile(path, 'F', { flag: 'r+' })
  await writeFile(path, '!', { flag: 'a' })
  await appendFile(path, '?')
  assert.is(read(path).toString(), 'First!?')
  await writeFile(path, 'new', { flag: nodeSync.constants.O_WRONLY | nodeSync.constants.O_TRUNC })
  assert.is(read(path).toString(), 'new')
  await assert.rejects(writeFile(path, 'x', { flag: 'r' }), { code: 'EBADF', syscall: 'write' })
  await assert.rejects(writeFile(scratch('none/x'), ''), { code: 'ENOENT', syscall: 'open' })
})

test('appendFile() from many sides loses nothing', async () => {
  const path = scratch('race')
  await Promise.all(Array.from({ length: 1000 }, (_, index) => appendFile(path, `${index}\n`)))
  const lines = read(path).toString().trim().split('\n').map(Number)
  assert.equal(
    lines.sort((a, b) => a - b),
    Array.from({ length: 1000 }, (_, index) => index),
  )
})

test('flush and durable write what is written otherwise', async () => {
  const path = scratch('durable')
  await writeFile(path, 'a', { flush: true })
  await writeFile(path, 'b', { durable: true })
  await writeFile(path, 'c', { durable: true, flush: true })
  await appendFile(path, 'd', { durable: true })
  await appendFile(path, ['e', 'f'] as unknown as string, { durable: true })
  await appendFile(path, '', { durable: true })
  assert.is(read(path).toString(), 'cdef')
  // A device refuses to be synced, and a full one to be written.
  await assert.rejects(writeFile('/dev/full', 'x', { durable: true }), { code: 'ENOSPC', syscall: 'write' })
  await assert.rejects(writeFile('/dev/null', 'x', { durable: true }), {
    code: 'EINVAL',
    syscall: 'fdatasync',
  })
  await assert.rejects(writeFile('/dev/null', 'x', { flush: true }), { code: 'EINVAL', syscall: 'fsync' })
  await assert.rejects(writeFile('/dev/null', 'x', { direct: true, durable: true }), {
    code: 'EINVAL',
    syscall: 'fdatasync',
  })
  await assert.rejects(writeFile('/dev/full', 'x'), { code: 'ENOSPC', syscall: 'write' })
})

test('an abort in the turn of the call leaves the file as it was', async () => {
  const path = scratch('aborted')
  nodeSync.writeFileSync(path, 'before')
  for (const data of ['after', Buffer.from('after'), ['after'], Readable.from(['after'])]) {
    const controller = new AbortController()
    const writing = writeFile(path, data, { signal: controller.signal })
    process.nextTick(() => controller.abort('why'))
    const error = await errorOf(writing)
    assert.equal([error.name, error['code'], error['cause']], ['AbortError', 'ABORT_ERR', 'why'])
    assert.is(read(path).toString(), 'before')
  }
  await assert.rejects(writeFile(path, 'x', { signal: AbortSignal.abort() }), { name: 'AbortError' })
  await assert.rejects(writeFile(path, 'x', { signal: AbortSignal.abort(), direct: true }), {
    name: 'AbortError',
  })
})

test('an abort stops data that comes in pieces', async () => {
  const controller = new AbortController()
  let given = 0
  async function* endless(): AsyncGenerator<string> {
    for (;;) {
      if (++given === 5) controller.abort()
      yield 'piece'
    }
  }
  await assert.rejects(writeFile(scratch('endless'), endless(), { signal: controller.signal }), {
    name: 'AbortError',
  })
  assert.is(given, 5)
  assert.is(read(scratch('endless')).toString(), 'piece'.repeat(4))
})

test('what goes wrong in a source of pieces rejects, and the file is closed', async () => {
  const before = descriptorCount()
  async function* failing(): AsyncGenerator<string> {
    yield 'x'
    throw new Error('no more')
  }
  await assert.rejects(writeFile(scratch('failing'), failing()), { message: 'no more' })
  await assert.rejects(writeFile(scratch('failing'), [5] as unknown as string[]), {
    code: 'ERR_INVALID_ARG_TYPE',
  })
  // Fewer when something older was closed meanwhile.
  assert.ok(descriptorCount() <= before)
})

test('direct: true writes what is written otherwise', async () => {
  const path = scratch('direct')
  for (const size of [0, 1, 4095, 4096, 10_000, 262_144, 262_145, 1_000_001]) {
    const content = Buffer.from(Uint8Array.from({ length: size }, (_, index) => (index * 7) >> 1))
    await writeFile(path, content, { direct: true })
    assert.ok(read(path).equals(content), `${size} bytes`)
  }
  await writeFile(path, ['some ', Buffer.alloc(300_000, 'x'), ' text'], { direct: true, durable: true })
  assert.is(read(path).length, 300_010)
  await writeFile(path, 'tail', { direct: true, flag: 'a' })
  assert.is(read(path).length, 300_014)
})

test(
  'direct: true writes with O_DIRECT, and nothing else does',
  needs({ ring: true, when: takesDirect }, async () => {
    const path = scratch('direct-or-not')
    for (const [direct, flag] of [
      [true, 'w'],
      [false, 'w'],
      [true, 'wx'],
    ] as const) {
      if (flag === 'wx') nodeSync.unlinkSync(path)
      // Whole blocks: the rest of a last one would go through the page cache.
      const seen = await transfersOf(() => writeFile(path, Buffer.alloc(262_144), { direct, flag }))
      assert.equal(seen, [direct ? 'write direct' : 'write'], flag)
    }
  }),
)

test('ten thousand writeFile() calls in one turn all succeed', async () => {
  const path = scratch('many')
  nodeSync.mkdirSync(path)
  await Promise.all(
    Array.from({ length: 10_000 }, (_, index) =>
      writeFile(`${path}/${index % 500}`, `${index % 500}`, { flag: 'a' }),
    ),
  )
  assert.is(nodeSync.readdirSync(path).length, 500)
  assert.is(read(`${path}/123`).toString(), '123'.repeat(20))
})

test('writeFile() says so when its buffer is transferred away meanwhile, and writes nothing else in its place', async () => {
  const path = scratch('transferred')
  for (const turns of [0, 1, 2, 3]) {
    const data = Buffer.allocUnsafeSlow(24 << 20).fill('D')
    const writing = writeFile(path, data)
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
    structuredClone(data.buffer, { transfer: [data.buffer] })
    const others = Buffer.allocUnsafeSlow(24 << 20).fill('S')
    const outcome = await writing.then(
      () => 'written',
      (error) => (error.code === 'EFAULT' ? 'EFAULT' : error.constructor.name),
    )
    const written = read(path)
    if (outcome === 'written') assert.is(written.length, 24 << 20)
    // EFAULT, where the memory was unmapped under the kernel.
    else assert.ok(['TypeError', 'RangeError', 'EFAULT'].includes(outcome), outcome)
    // What was in flight when it was taken away is its owner's mistake.
    const wrong = written.filter((byte) => byte !== 68).length
    assert.ok(wrong <= 1 << 20, `${wrong} bytes of others`)
    assert.is(others.length, 24 << 20)
  }
})

test('writeFile() writes an empty view of shared memory', async () => {
  const path = scratch('empty-shared')
  await writeFile(path, new Uint8Array(new SharedArrayBuffer(0)))
  assert.is(read(path).length, 0)
})

async function writeNewFile(path: string): Promise<void> {
  await writeFile(path, 'x'.repeat(10_000), { direct: true, flag: 'wx' })
  assert.is(read(path).length, 10_000)
  await assert.rejects(writeFile(path, 'y', { direct: true, flag: 'wx' }), { code: 'EEXIST' })
}

test('a new file is written past the page cache', () => writeNewFile(scratch('new-direct')))

test(
  'a new file is written through the page cache where the file system has no other way',
  needs({ root: true, when: hasCachedDisk }, async () => {
    using disk = cachedDisk(scratch('.'))
    await writeNewFile(join(disk.path, 'new-direct'))
  }),
)

test.run()
