import { EventEmitter } from 'node:events'
import nodeSync from 'node:fs'
import nodeFs from 'node:fs/promises'
import { appendFile, FileHandle, open, readFile, writeFile } from '../../src/fs/index.js'
import { defaultUring } from '../../src/runtime/index.js'
import { assert, needs, test } from '../harness.js'
import { errorOf, makeFifo, runModule, scratch, stateOf } from './scratch.js'
import '../settled.js'

// biome-ignore lint/suspicious/noExplicitAny: methods are called by name, with arguments of every kind
type Anything = any

async function withFile(
  text: string,
  flags: string,
  body: (handle: FileHandle, path: string) => Promise<void>,
): Promise<void> {
  const path = scratch(`file-${Math.random().toString(36).slice(2)}`)
  nodeSync.writeFileSync(path, text)
  const handle = await open(path, flags)
  try {
    await body(handle, path)
  } finally {
    await handle.close()
  }
}

test('open() gives a FileHandle, which is an EventEmitter with a descriptor', () =>
  withFile('x', 'r', async (handle) => {
    assert.instance(handle, FileHandle)
    assert.instance(handle, EventEmitter)
    assert.ok(handle.fd > 2)
    assert.ok(nodeSync.fstatSync(handle.fd).isFile())
    assert.type(handle.getAsyncId(), 'number')
  }))

test('the descriptor is closed on exec', () =>
  withFile('x', 'r', async (handle) => {
    const flags = /flags:\s+(\d+)/.exec(nodeSync.readFileSync(`/proc/self/fdinfo/${handle.fd}`, 'utf8'))![1]!
    assert.is(Number.parseInt(flags, 8) & 0o2000000, 0o2000000)
  }))

test('close() sets fd to -1, emits close once, and can be repeated', () =>
  withFile('x', 'r', async (handle) => {
    let events = 0
    handle.on('close', () => events++)
    const { fd, close } = handle
    const first = close()
    assert.is(handle.fd, -1)
    assert.is(events, 1)
    await first
    await handle.close()
    assert.is(events, 1)
    assert.throws(() => nodeSync.fstatSync(fd), { code: 'EBADF' })
  }))

test('close() waits for the operations in progress', () =>
  withFile('hello', 'r', async (handle) => {
    const reading = handle.read(Buffer.alloc(5), 0, 5, 0)
    const closing = handle.close()
    assert.ok(handle.fd > 0, 'the file is open as long as it is used')
    assert.is(handle.close(), closing)
    assert.is((await reading).bytesRead, 5)
    await closing
    assert.is(handle.fd, -1)
  }))

test('[Symbol.asyncDispose]() closes', () =>
  withFile('x', 'r', async (handle) => {
    await handle[Symbol.asyncDispose]()
    assert.is(handle.fd, -1)
  }))

test('every operation of a closed handle fails as Node’s does', async () => {
  const path = scratch('closed')
  nodeSync.writeFileSync(path, 'x')
  const calls: [string, ...unknown[]][] = [
    ['read', Buffer.alloc(1)],
    ['readv', [Buffer.alloc(1)]],
    ['write', Buffer.alloc(1)],
    ['write', 'text'],
    ['writev', [Buffer.alloc(1)]],
    ['readFile'],
    ['writeFile', 'x'],
    ['appendFile', 'x'],
    ['stat'],
    ['truncate', 1],
    ['sync'],
    ['datasync'],
    ['chmod', 0o644],
    ['chown', 0, 0],
    ['utimes', 0, 0],
  ]
  const ours: Anything = await open(path, 'r+')
  const theirs: Anything = await nodeFs.open(path, 'r+')
  await Promise.all([ours.close(), theirs.close()])
  for (const [name, ...args] of calls) {
    const [actual, expected] = [await errorOf(ours[name](...args)), await errorOf(theirs[name](...args))]
    for (const member of ['message', 'code', 'syscall', 'errno', 'name']) {
      assert.is(actual[member], expected[member], `${name}: ${member}`)
    }
  }
  for (const name of ['createReadStream', 'createWriteStream', 'readableWebStream', 'readLines']) {
    for (const handle of [ours, theirs])
      assert.throws(
        () => handle[name](),
        (error: Error) => /closed|out of range/.test(error.message),
        name,
      )
  }
})

test('a forgotten handle is closed by the garbage collector, with Node’s warning', async () => {
  const { stdout, stderr } = await runModule(
    `
    import { open } from 'SRC/fs/index.ts'
    const fd = await (async () => (await open('/dev/null')).fd)()
    const { fstatSync } = await import('node:fs')
    for (let round = 0; round < 100; round++) {
      globalThis.gc()
      await new Promise((resolve) => setTimeout(resolve, 10))
      try { fstatSync(fd) } catch { console.log('closed'); break }
    }`,
    { flags: ['--expose-gc'] },
  )
  assert.match(stdout, /closed/)
  assert.match(stderr, /Warning: Closing file descriptor \d+ on garbage collection/)
  assert.match(stderr, /DEP0137/)
})

test(
  'reads at the current position go through the ring, one operation each',
  needs({ ring: true }, () =>
    withFile('abcdef', 'r', async (handle) => {
      const next = async (): Promise<string> => (await handle.read(Buffer.alloc(2))).buffer.toString()
      const before = defaultUring()!.counters.submitted
      assert.equal([await next(), await next(), await next()], ['ab', 'cd', 'ef'])
      assert.is(defaultUring()!.counters.submitted - before, 3)
    }),
  ),
)

// Node's own reads have no order among them.
test(
  'concurrent reads at the current position get one piece each, in order',
  needs({ ring: true }, async () => {
    const pieces = 64
    const text = Array.from({ length: pieces }, (_, index) => String(index).padStart(4096, '.')).join('')
    await withFile(text, 'r', async (handle) => {
      const results = await Promise.all(
        Array.from({ length: pieces + 2 }, () => handle.read(Buffer.alloc(4096), 0, 4096)),
      )
      const read = results.map(({ bytesRead, buffer }) =>
        buffer.toString('utf8', 0, bytesRead).replace(/^\.+/, ''),
      )
      assert.equal(read, [...Array.from({ length: pieces }, (_, index) => String(index)), '', ''])
    })
  }),
)

test('concurrent writes at the current position do not overwrite one another', () =>
  withFile('', 'w+', async (handle, path) => {
    const pieces = Array.from({ length: 200 }, (_, index) => `${String(index).padStart(9, '0')}\n`)
    await Promise.all(pieces.map((piece) => handle.write(piece)))
    assert.equal(
      nodeSync.readFileSync(path, 'utf8').split('\n').filter(Boolean).sort(),
      pieces.map((piece) => piece.trim()),
    )
  }))

// Node's own operations have no order among them.
test(
  'reads, writes and whole-file operations at the current position take turns',
  needs({ ring: true }, () =>
    withFile('abcdef', 'r+', async (handle) => {
      const [first, , rest] = await Promise.all([
        handle.read(Buffer.alloc(2)),
        handle.write('X'),
        handle.readFile('utf8'),
        handle.appendFile('YZ'),
      ])
      assert.is(first.buffer.toString(), 'ab')
      assert.is(rest, 'def')
      const { buffer, bytesRead } = await handle.read({ position: 0 })
      assert.is(buffer.toString('utf8', 0, bytesRead), 'abXdefYZ')
    }),
  ),
)

test('handles that append at once lose nothing', async () => {
  const path = scratch('appended')
  const handles = await Promise.all(Array.from({ length: 4 }, () => open(path, 'a')))
  await Promise.all(
    Array.from({ length: 400 }, (_, index) => {
      const line = `${String(index).padStart(7, '0')}\n`
      return index % 3 === 0 ? appendFile(path, line) : handles[index % 4]!.appendFile(line)
    }),
  )
  await Promise.all(handles.map((handle) => handle.close()))
  const lines = nodeSync.readFileSync(path, 'utf8').trim().split('\n').map(Number)
  assert.equal(
    lines.sort((a, b) => a - b),
    Array.from({ length: 400 }, (_, index) => index),
  )
})

test('a read that waits for data does not hold up a write to the same FIFO', async () => {
  const handle = await open(makeFifo('both-ways'), 'r+')
  try {
    const reading = handle.read(Buffer.alloc(10))
    assert.is(await stateOf(reading), 'pending')
    await handle.write('ping')
    const { bytesRead, buffer } = await reading
    assert.is(buffer.toString('utf8', 0, bytesRead), 'ping')
  } finally {
    await handle.close()
  }
})

test('positions are numbers, bigints, null and -1', () =>
  withFile('0123456789', 'r+', async (handle) => {
    const at = async (position: number | bigint | null | undefined): Promise<string> => {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, position)
      return buffer.toString('utf8', 0, bytesRead)
    }
    assert.is(await at(4), '45')
    assert.is(await at(6n), '67')
    assert.is(await at(null), '01')
    assert.is(await at(-1), '23')
    assert.is(await at(undefined), '45')
    assert.is(await at(-1n), '67')
    assert.is(await at(100), '')
    const [{ bytesRead }, { bytesWritten }] = [
      await handle.readv([Buffer.alloc(1), Buffer.alloc(2)], 8),
      await handle.writev([Buffer.from('ab')], 20),
    ]
    assert.is(bytesRead, 2)
    assert.is(bytesWritten, 2)
    assert.is((await handle.stat()).size, 22)
    await assert.rejects(handle.read(Buffer.alloc(1), 0, 1, 2n ** 63n), {
      code: 'ERR_OUT_OF_RANGE',
      name: 'RangeError',
    })
  }))

test('sparse files beyond 4 GiB are read and written where asked', () =>
  withFile('', 'w+', async (handle) => {
    const far = 5 * 2 ** 30 + 3
    await handle.write('far away', far)
    assert.is((await handle.stat()).size, far + 8)
    assert.is((await handle.stat({ bigint: true })).size, BigInt(far + 8))
    const { buffer } = await handle.read(Buffer.alloc(12), 0, 12, BigInt(far - 4))
    assert.is(buffer.toString(), '\0\0\0\0far away')
  }))

test(
  'offsets beyond 2^53 go to the kernel as they are',
  needs({ ring: true }, () =>
    withFile('', 'w+', async (handle) => {
      // ext4 ends at 16 TiB, so the answer is the kernel's refusal; a rounded offset would be answered alike, but one cut
      // to 32 or 53 bits would be within the file.
      await assert.rejects(handle.write(Buffer.from('x'), 0, 1, 2n ** 62n + 1n), (error: Anything) =>
        ['EFBIG', 'EINVAL'].includes(error.code),
      )
      const { bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, 2n ** 62n + 1n)
      assert.is(bytesRead, 0)
    }),
  ),
)

test('views of every kind are read into and written from, those of shared memory too', () =>
  withFile('', 'w+', async (handle) => {
    const shared = new Uint8Array(new SharedArrayBuffer(8)).fill(65)
    await handle.write(shared, 2, 4, 0)
    await handle.write(new Uint16Array([0x4242, 0x4343]), 0, 4, 4)
    await handle.write(new DataView(Uint8Array.from([68, 69]).buffer), 1, 1, 8)
    const target = new Uint8Array(new SharedArrayBuffer(16))
    const { bytesRead, buffer } = await handle.read(target, 3, 9, 0)
    assert.is(bytesRead, 9)
    assert.is(buffer, target)
    assert.is(Buffer.from(target).toString(), '\0\0\0AAAABBCCE\0\0\0\0')
    const views = [new Uint8Array(new SharedArrayBuffer(2)), new DataView(new ArrayBuffer(3))] as const
    await handle.readv([...views], 3)
    assert.is(Buffer.concat(views.map((view) => Buffer.from(view.buffer as ArrayBuffer))).toString(), 'ABBCC')
  }))

test('read() and write() have results without a prototype, naming the caller’s own buffer', () =>
  withFile('abc', 'r+', async (handle) => {
    const buffer = Buffer.alloc(3)
    const result = await handle.read(buffer, 0, 3, 0)
    assert.is(Object.getPrototypeOf(result), null)
    assert.is(result.buffer, buffer)
    assert.is((await handle.write('text')).buffer, 'text')
    const buffers = [buffer]
    assert.is((await handle.readv(buffers, 0)).buffers, buffers)
    assert.is((await handle.read()).buffer.length, 16_384)
  }))

test('more vectors than one system call takes are all written', () =>
  withFile('', 'w+', async (handle) => {
    const views = Array.from({ length: 3000 }, (_, index) => Buffer.from(`${index % 10}`))
    assert.is((await handle.writev(views, 0)).bytesWritten, 3000)
    assert.is(await handle.readFile('utf8'), views.join(''))
  }))

test('readFile() starts at the current position, writeFile() goes on from it', () =>
  withFile('0123456789', 'r+', async (handle) => {
    await handle.read(Buffer.alloc(3))
    assert.is(await handle.readFile('utf8'), '3456789')
    assert.is(await readFile(handle, 'utf8'), '')
    await writeFile(handle, 'ab')
    await handle.writeFile(['c', Buffer.from('d')])
    const { buffer, bytesRead } = await handle.read({ position: 8 })
    assert.is(buffer.toString('utf8', 0, bytesRead), '89abcd')
  }))

test('a handle of Node’s own is served by Node', async () => {
  const path = scratch('foreign')
  const handle = await nodeFs.open(path, 'w+')
  try {
    await writeFile(handle as Anything, 'theirs')
    assert.is(nodeSync.readFileSync(path, 'utf8'), 'theirs')
  } finally {
    await handle.close()
  }
})

test('a durable append is on the disk in one write and one sync', () =>
  withFile('', 'a', async (handle, path) => {
    await Promise.all(
      Array.from({ length: 16 }, (_, index) => handle.appendFile(`${index}\n`, { durable: true })),
    )
    assert.is(nodeSync.readFileSync(path, 'utf8').trim().split('\n').length, 16)
    await assert.rejects(handle.appendFile('x', { durable: 'yes' as Anything }), {
      code: 'ERR_INVALID_ARG_TYPE',
    })
  }))

test('close() waits for all of a writev() of more buffers than one call takes', () =>
  withFile('', 'w', async (handle, path) => {
    const writing = handle.writev(Array.from({ length: 3000 }, (_, index) => Buffer.from([index & 0xff])))
    const closing = handle.close()
    assert.is((await writing).bytesWritten, 3000)
    await closing
    const expected = Buffer.from(Uint8Array.from({ length: 3000 }, (_, index) => index & 0xff))
    assert.ok(nodeSync.readFileSync(path).equals(expected))
  }))

test(
  'a writev() of more buffers than one call takes is one piece between other writes',
  // Node's own is several calls on a thread of its pool.
  needs({ ring: true }, () =>
    withFile('', 'w', async (handle, path) => {
      const many = (text: string): Promise<unknown> =>
        handle.writev(Array.from({ length: 3000 }, () => Buffer.from(text)))
      await Promise.all([
        many('a'),
        handle.write('b'),
        many('c'),
        handle.write('d'),
        handle.writev([Buffer.from('e')]),
      ])
      assert.is(nodeSync.readFileSync(path, 'latin1'), `${'a'.repeat(3000)}b${'c'.repeat(3000)}de`)
    }),
  ),
)

test('readFile() of a handle past the page cache has an end', () =>
  withFile('x'.repeat(65_536), 'r', async (_, path) => {
    const handle = await open(path, nodeSync.constants.O_RDONLY | nodeSync.constants.O_DIRECT)
    // Whether the memory that Node reads into is aligned is a matter of luck, here and there.
    const outcome = await handle.readFile('latin1').catch((error: NodeJS.ErrnoException) => error.code)
    assert.ok(outcome === 'EINVAL' || outcome === 'x'.repeat(65_536))
    await handle.close()
  }))

test('a place in a pipe is refused, as Node refuses it', async () => {
  const handle = await open(makeFifo('placeless'), 'r+')
  try {
    await handle.write('abc')
    const bytes = Buffer.alloc(3)
    for (const [call, syscall] of [
      [() => handle.read(bytes, 0, 3, 0), 'read'],
      [() => handle.write(bytes, 0, 3, 5), 'write'],
      [() => handle.readv([bytes], 1), 'read'],
      [() => handle.writev([bytes], 1), 'write'],
    ] as const) {
      const { code, syscall: named } = await errorOf(call())
      assert.equal([code, named], ['ESPIPE', syscall])
    }
    assert.is((await handle.read(bytes)).bytesRead, 3)
    assert.is(String(bytes), 'abc')
  } finally {
    await handle.close()
  }
})

test(
  'every sync() and datasync() reaches the kernel, and those of one moment share one',
  needs({ ring: true }, () =>
    withFile('', 'r+', async (handle) => {
      const uring = defaultUring()!
      const before = uring.counters.submitted
      await handle.sync()
      await handle.sync()
      await handle.datasync()
      await handle.datasync()
      assert.is(uring.counters.submitted - before, 4)
      await Promise.all([handle.sync(), handle.sync(), handle.sync()])
      assert.is(uring.counters.submitted - before, 5)
    }),
  ),
)

test(
  'operations on a pipe opened with O_NONBLOCK do not wait',
  needs({ command: 'mkfifo' }, async () => {
    const { O_APPEND, O_NONBLOCK, O_RDONLY, O_RDWR } = nodeSync.constants
    const path = makeFifo('unwilling')
    const full = Buffer.alloc(1_048_576)
    const handle = await open(path, O_RDWR | O_APPEND | O_NONBLOCK)
    try {
      for (const call of [
        () => handle.read(Buffer.alloc(1)),
        () => handle.readv([Buffer.alloc(1)]),
        () => handle.readFile(),
        () => readFile(path, { flag: O_RDONLY | O_NONBLOCK }),
        () => readFile(path, { flag: O_RDONLY | O_NONBLOCK, encoding: 'utf8' }),
      ]) {
        assert.is((await errorOf(call())).code, 'EAGAIN', String(call))
      }
      assert.is((await errorOf(handle.writeFile(full))).code, 'EAGAIN')
      for (const call of [
        () => handle.write(full),
        () => handle.writev([full]),
        () => handle.appendFile('x'),
        () => writeFile(path, 'x', { flag: O_RDWR | O_NONBLOCK }),
      ]) {
        assert.is((await errorOf(call())).code, 'EAGAIN', String(call))
      }
      assert.is((await handle.read(Buffer.alloc(5))).bytesRead, 5)
    } finally {
      await handle.close()
    }
  }),
)

test(
  'readv() keeps the memory it reads into, whatever becomes of the array',
  needs({ ring: true, command: 'mkfifo' }, async () => {
    // In a process of its own: without the memory it would be the end of this one.
    const text = `
      import v8 from 'node:v8'
      import vm from 'node:vm'
      import { open } from 'SRC/fs/index.js'
      v8.setFlagsFromString('--expose-gc')
      const collect = vm.runInNewContext('gc')
      const handle = await open(${JSON.stringify(makeFifo('emptied'))}, 'r+')
      const buffers = [new Uint8Array(65_536)]
      const memory = new WeakRef(buffers[0].buffer)
      const reading = handle.readv(buffers)
      buffers.length = 0
      for (let round = 0; round < 5; round++) {
        await new Promise((resolve) => setImmediate(resolve))
        collect()
      }
      console.log(memory.deref() === undefined ? 'freed' : 'kept')
      process.exit()
    `
    const { stdout, stderr } = await runModule(text)
    assert.equal([stdout.trim(), stderr], ['kept', ''])
  }),
)

test('a long writev() writes the buffers that were there when it was called', () =>
  withFile('', 'w', async (handle, path) => {
    const buffers = Array.from({ length: 3000 }, () => Buffer.from('a'))
    const writing = handle.writev(buffers)
    buffers.fill(Buffer.from('b'))
    const { bytesWritten, buffers: named } = await writing
    assert.is(bytesWritten, 3000)
    assert.is(named, buffers)
    assert.ok(nodeSync.readFileSync(path, 'latin1') === 'a'.repeat(3000))
  }))

test(
  'a long writev() is one piece in a file opened for appending, too',
  // Node's own is several calls on a thread of its pool.
  needs({ ring: true }, () =>
    withFile('', 'a', async (handle, path) => {
      const buffers = Array.from({ length: 20_000 }, () => Buffer.alloc(100, 'a'))
      let isOver = false
      const long = handle.writev(buffers).then(() => {
        isOver = true
      })
      const others: Promise<unknown>[] = [long]
      for (let count = 0; !isOver; count++) {
        if (count % 3 === 0) others.push(handle.write('b'))
        else others.push(count % 3 === 1 ? handle.writev([Buffer.from('b')]) : handle.appendFile('b'))
        await new Promise((resolve) => setImmediate(resolve))
      }
      await Promise.all(others)
      const pieces = nodeSync.readFileSync(path, 'latin1').match(/a+|b+/g)!
      const lengths = pieces.filter((piece) => piece.startsWith('a')).map((piece) => piece.length)
      assert.equal(lengths, [2_000_000])
      assert.is(pieces.join('').length, 2_000_000 + others.length - 1)
    }),
  ),
)

test.run()
