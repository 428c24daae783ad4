import { spawn } from 'node:child_process'
import { once } from 'node:events'
import nodeSync from 'node:fs'
import nodeFs from 'node:fs/promises'
import { availability } from '../../src/config/index.js'
import { open, readFile, readFiles } from '../../src/fs/index.js'
import { defaultUring, Uring } from '../../src/runtime/index.js'
import { descriptorCount, descriptorsOf } from '../descriptors.js'
import { takesDirect } from '../file-systems.js'
import { assert, needs, test } from '../harness.js'
import { PATIENCE, scaled } from '../patience.js'
import { transfersOf } from '../watched-entries.js'
import { errorOf, makeFifo, scratch, stateOf } from './scratch.js'
import '../settled.js'

// Around the first block, the blocks of unknown size, and the chunks of large files.
const SIZES = [
  0, 1, 4096, 16_383, 16_384, 16_385, 32_768, 65_536, 81_920, 81_921, 262_144, 1_048_576, 1_064_960,
  3_333_333,
]

function bytesOf(size: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: size }, (_, index) => (index * 31) >> 3))
}

for (const size of SIZES) {
  test(`readFile() reads a file of ${size} bytes`, async () => {
    const path = scratch(`size-${size}`)
    const content = bytesOf(size)
    nodeSync.writeFileSync(path, content)
    const data = await readFile(path)
    assert.ok(data.equals(content))
    // What Node's own fs does is its affair.
    if (Uring.available) assert.is(data.buffer.byteLength, size, 'the Buffer has memory of its own')
    const handle = await open(path)
    try {
      assert.ok((await handle.readFile()).equals(content))
    } finally {
      await handle.close()
    }
  })
}

test('readFile() decodes as Node does, characters across block borders too', async () => {
  const path = scratch('text')
  const text = `${'x'.repeat(16_382)}\u{1f600}${'ü'.repeat(40_000)}`
  nodeSync.writeFileSync(path, text)
  for (const encoding of [
    'utf8',
    'utf-8',
    'UTF8',
    'latin1',
    'binary',
    'ascii',
    'hex',
    'base64',
    'base64url',
    'utf16le',
    'ucs2',
  ] as const) {
    const expected = await nodeFs.readFile(path, encoding as BufferEncoding)
    assert.is(await readFile(path, encoding as BufferEncoding), expected, encoding)
    assert.is(await readFile(path, { encoding: encoding as BufferEncoding }), expected, encoding)
  }
})

test('readFile() reads what says that its size is 0: /proc and /sys', async () => {
  for (const path of [
    '/proc/self/status',
    '/proc/self/maps',
    '/proc/cpuinfo',
    '/proc/self/limits',
    '/sys/kernel/mm/transparent_hugepage/enabled',
    '/proc/version',
  ]) {
    if (!nodeSync.existsSync(path)) continue
    const text = await readFile(path, 'utf8')
    // A process changes while it is looked at, its first line does not.
    assert.is(text.split('\n')[0], nodeSync.readFileSync(path, 'utf8').split('\n')[0], path)
    assert.ok(text.length > 10, path)
  }
  const bytes = await readFile('/proc/kallsyms')
  assert.is(bytes.length, nodeSync.readFileSync('/proc/kallsyms').length)
})

test('readFile() reads a FIFO to its end, however slowly it is filled', async () => {
  const path = makeFifo('slow')
  const reading = readFile(path, 'utf8')
  assert.is(await stateOf(reading), 'pending')
  const writer = spawn(
    'sh',
    ['-c', 'printf one; sleep 0.05; printf two; sleep 0.05; head -c 200000 /dev/zero'],
    { stdio: ['ignore', nodeSync.openSync(path, 'w'), 'ignore'] },
  )
  // The descriptor here would keep the FIFO open.
  nodeSync.closeSync(writingDescriptor(path))
  await once(writer, 'exit')
  const text = await reading
  assert.is(text.length, 200_006)
  assert.ok(text.startsWith('onetwo\0'))
})

/** The descriptor that the path is open on for writing. */
function writingDescriptor(path: string): number {
  return descriptorsOf(path).find((fd) => {
    const flags = /flags:\s+(\d+)/.exec(nodeSync.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))![1]!
    return Number.parseInt(flags, 8) & nodeSync.constants.O_WRONLY
  })!
}

test('readFile() reads a file that shrinks or grows meanwhile as far as it goes', async () => {
  const path = scratch('changing')
  for (let round = 0; round < 20; round++) {
    const before = 200_000 + round * 50_000
    const after = round % 2 === 0 ? 1000 : before + 500_000
    nodeSync.writeFileSync(path, Buffer.alloc(before, 'a'))
    const reading = readFile(path)
    await new Promise((resolve) => setImmediate(resolve))
    nodeSync.truncateSync(path, after)
    const { length } = await reading
    const [least, most] = [Math.min(before, after), Math.max(before, after)]
    assert.ok(length >= least && length <= most, `${length} of ${before}, then ${after}`)
  }
})

test('readFile() refuses a file over 2 GiB before it reads it', async () => {
  const path = scratch('too-large')
  nodeSync.closeSync(nodeSync.openSync(path, 'w'))
  nodeSync.truncateSync(path, 2 ** 31)
  const error = await errorOf(readFile(path))
  const expected = await errorOf(nodeFs.readFile(path))
  assert.instance(error, RangeError)
  assert.is(error['code'], 'ERR_FS_FILE_TOO_LARGE')
  assert.is(error.message, expected.message)
  const handle = await open(path)
  try {
    await assert.rejects(handle.readFile(), { code: 'ERR_FS_FILE_TOO_LARGE' })
  } finally {
    await handle.close()
  }
})

test('readFile() of thousands of files at once neither fails nor opens them all', async () => {
  const path = scratch('many')
  nodeSync.writeFileSync(path, 'content')
  let most = 0
  const timer = setInterval(() => {
    most = Math.max(most, descriptorCount())
  }, 1)
  const all = await Promise.all(Array.from({ length: scaled(20_000) }, () => readFile(path, 'utf8')))
  clearInterval(timer)
  assert.ok(all.every((text) => text === 'content'))
  assert.ok(most < 1000, `${most} descriptors`)
})

test('readFile() has an error of open, read or close with Node’s syscall and path', async () => {
  const missing = scratch('missing')
  await assert.rejects(readFile(missing), {
    code: 'ENOENT',
    syscall: 'open',
    path: missing,
    message: `ENOENT: no such file or directory, open '${missing}'`,
  })
  await assert.rejects(readFile(Buffer.from(missing)), { code: 'ENOENT', path: missing })
  const directory = await errorOf(readFile(scratch('.')))
  assert.equal([directory['code'], directory['syscall']], ['EISDIR', 'read'])
  // Node 26 names the file here, older ones do not.
  const theirs = await errorOf(nodeFs.readFile(scratch('.')))
  assert.equal([directory['path'], directory.message], [theirs['path'], theirs.message])
  await assert.rejects(readFile(`${scratch('size-0')}/x`), { code: 'ENOTDIR', syscall: 'open' })
})

test('descriptors are closed whatever the end', async () => {
  await readFile(scratch('size-1'))
  const before = descriptorCount()
  await Promise.allSettled([
    readFile(scratch('.')),
    readFile(scratch('size-1')),
    readFile(scratch('size-1'), { signal: AbortSignal.timeout(0) }),
    readFile(scratch('too-large')),
    readFile(scratch('size-3333333')),
  ])
  // Fewer when something older was closed meanwhile.
  assert.ok(descriptorCount() <= before)
})

test('an abort before or in the turn of the call wins', async () => {
  const path = scratch('size-4096')
  const aborted = await errorOf(readFile(path, { signal: AbortSignal.abort('early') }))
  assert.equal(
    [aborted.name, aborted['code'], aborted['cause'], aborted.message],
    ['AbortError', 'ABORT_ERR', 'early', 'The operation was aborted'],
  )
  const late = [
    queueMicrotask,
    process.nextTick,
    (abort: () => void) => abort(),
    (abort: () => void) =>
      void Promise.resolve()
        .then(() => Promise.resolve())
        .then(abort),
  ]
  for (const schedule of late) {
    const controller = new AbortController()
    const reading = readFile(path, { signal: controller.signal })
    schedule(() => controller.abort(new Error('why')))
    const error = await errorOf(reading)
    assert.is(error.name, 'AbortError', schedule.name)
    assert.is((error['cause'] as Error).message, 'why')
  }
})

test('an abort afterwards does nothing, and leaves no listener', async () => {
  const controller = new AbortController()
  const data = await readFile(scratch('size-4096'), { signal: controller.signal })
  controller.abort()
  assert.is(data.length, 4096)
})

test(
  'an abort ends a read that waits for data',
  needs({ ring: true }, async () => {
    const path = makeFifo('never')
    const handle = await open(path, 'r+')
    try {
      const controller = new AbortController()
      const reading = readFile(path, { signal: controller.signal })
      assert.is(await stateOf(reading), 'pending')
      controller.abort()
      assert.is((await errorOf(reading)).name, 'AbortError')
      const second = new AbortController()
      const byHandle = handle.readFile({ signal: second.signal })
      assert.is(await stateOf(byHandle), 'pending')
      second.abort()
      assert.is((await errorOf(byHandle)).name, 'AbortError')
    } finally {
      await handle.close()
    }
  }),
)

test('an abort ends readFile() calls that wait for their turn', async () => {
  const controller = new AbortController()
  const { signal } = controller
  const all = Promise.allSettled(
    Array.from({ length: 2000 }, () => readFile(scratch('size-4096'), { signal })),
  )
  setImmediate(() => controller.abort())
  for (const result of await all) {
    if (result.status === 'rejected') assert.is(result.reason.name, 'AbortError')
  }
})

test('direct: true reads past the page cache what is read otherwise', async () => {
  for (const size of [0, 1, 511, 4096, 5000, 262_144, 262_145, 1_500_000]) {
    const path = scratch(`direct-${size}`)
    nodeSync.writeFileSync(path, bytesOf(size))
    assert.ok((await readFile(path, { direct: true })).equals(bytesOf(size)), `${size} bytes`)
  }
  assert.match(await readFile('/proc/self/status', { direct: true, encoding: 'utf8' }), /^Name:/)
  await assert.rejects(readFile(scratch('missing'), { direct: true }), { code: 'ENOENT', syscall: 'open' })
  await assert.rejects(readFile(scratch('too-large'), { direct: true }), { code: 'ERR_FS_FILE_TOO_LARGE' })
  await assert.rejects(readFile(scratch('direct-1'), { direct: true, signal: AbortSignal.abort() }), {
    name: 'AbortError',
  })
})

test(
  'direct: true reads with O_DIRECT, and nothing else does',
  needs({ ring: true, when: takesDirect }, async () => {
    const path = scratch('direct-or-not')
    nodeSync.writeFileSync(path, bytesOf(300_000))
    for (const direct of [true, false]) {
      const seen = await transfersOf(() => readFile(path, { direct }))
      assert.equal(seen, [direct ? 'read direct' : 'read'])
    }
  }),
)

test('readFiles() yields the files in order', async () => {
  const paths = Array.from({ length: 300 }, (_, index) => scratch(`many-${index}`))
  for (const [index, path] of paths.entries()) nodeSync.writeFileSync(path, `${index}`.repeat(index))
  for (const concurrency of [1, 2, 64, 1024]) {
    const seen: string[] = []
    for await (const { path, data } of readFiles(paths, { concurrency, encoding: 'utf8' })) {
      assert.is(data, `${seen.length}`.repeat(seen.length))
      seen.push(path)
    }
    assert.equal(seen, paths)
  }
  const lengths: number[] = []
  for await (const { data } of readFiles(paths)) lengths.push(data.length)
  assert.is(lengths.length, 300)
  for await (const _ of readFiles([])) assert.unreachable()
})

test('readFiles() gives small files parts of shared memory, which cannot be taken away from each other', async () => {
  const paths = Array.from({ length: 50 }, (_, index) => scratch(`shared-${index}`))
  for (const [index, path] of paths.entries())
    nodeSync.writeFileSync(path, Buffer.alloc(index * 700, index + 1))
  const all: Buffer[] = []
  for await (const { data } of readFiles(paths, { concurrency: 8 })) all.push(data)
  const buffers = new Set(all.map(({ buffer }) => buffer))
  // Where there is no ring each has memory of its own.
  if (availability().available) {
    assert.ok(buffers.size < 40, `${buffers.size} pieces of memory`)
    const shared = all[1]!.buffer as ArrayBuffer
    try {
      structuredClone(shared, { transfer: [shared] })
    } catch {
      // Nodes differ in how they refuse.
    }
  }
  for (const [index, data] of all.entries()) {
    assert.is(data.length, index * 700)
    assert.ok(
      data.every((byte) => byte === index + 1),
      `file ${index}`,
    )
  }
  // A large file has memory of its own.
  nodeSync.writeFileSync(scratch('large'), Buffer.alloc(20_000, 7))
  for await (const { data } of readFiles([scratch('large')])) assert.is(data.buffer.byteLength, 20_000)
})

test('readFiles() takes paths as they come, even in answer to what was read', async () => {
  let release: () => void = () => {}
  async function* chain(): AsyncGenerator<string> {
    for (let index = 1; index <= 5; index++) {
      yield scratch(`many-${index}`)
      await new Promise<void>((resolve) => {
        release = resolve
      })
    }
  }
  const seen: string[] = []
  for await (const { data } of readFiles(chain(), { encoding: 'utf8' })) {
    seen.push(data)
    release()
  }
  assert.equal(seen, ['1', '22', '333', '4444', '55555'])
})

test('readFiles() ends with the first error, and closes its source', async () => {
  let returned = 0
  function* source(): Generator<string> {
    try {
      yield scratch('many-1')
      yield scratch('missing')
      for (;;) yield scratch('many-2')
    } finally {
      returned++
    }
  }
  const seen: number[] = []
  const error = await errorOf(
    (async () => {
      for await (const { data } of readFiles(source(), { concurrency: 4 })) seen.push(data.length)
    })(),
  )
  assert.equal([error['code'], error['path'], seen, returned], ['ENOENT', scratch('missing'), [1], 1])
  for await (const _ of readFiles(source())) break
  assert.is(returned, 2)
  assert.throws(() => readFiles([], { concurrency: 0 }), { code: 'ERR_OUT_OF_RANGE' })
  assert.throws(() => readFiles('path' as unknown as string[]), { code: 'ERR_INVALID_ARG_TYPE' })
  await assert.rejects(readFiles([scratch('many-1')], { signal: AbortSignal.abort() }).next(), {
    name: 'AbortError',
  })
})

test(
  'readFile() goes on with a new ring when the shared one was closed',
  needs({ ring: true }, async () => {
    const waiting = Array.from({ length: 1000 }, () => readFile(scratch('size-4096')))
    const closing = defaultUring()!.close()
    const results = await Promise.allSettled(waiting)
    await closing
    for (const result of results) {
      if (result.status === 'fulfilled') assert.is(result.value.length, 4096)
    }
    assert.is((await readFile(scratch('size-4096'))).length, 4096)
  }),
)

test('readFiles() over paths that do not come ends by an abort, an error, and when it is left', async () => {
  nodeSync.writeFileSync(scratch('comes'), 'x')
  async function* stuck(first: string): AsyncGenerator<string> {
    yield first
    await new Promise(() => {})
  }
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 20)
  const aborted = (async () => {
    for await (const _ of readFiles(stuck(scratch('comes')), { signal: controller.signal }));
  })()
  await assert.rejects(aborted, { name: 'AbortError' })
  const failed = (async () => {
    for await (const _ of readFiles(stuck(scratch('is not there'))));
  })()
  await assert.rejects(failed, { code: 'ENOENT' })
  for await (const { data } of readFiles(stuck(scratch('comes')))) {
    assert.is(String(data), 'x')
    break
  }
})

test('a signal whose event another listener has stopped aborts all the same', async () => {
  nodeSync.writeFileSync(scratch('stopped'), 'x')
  const controller = new AbortController()
  controller.signal.addEventListener('abort', (event) => event.stopImmediatePropagation())
  const reading = readFile(scratch('stopped'), { signal: controller.signal })
  controller.abort()
  await assert.rejects(reading, { name: 'AbortError' })
})

const { O_RDWR, O_NONBLOCK } = nodeSync.constants
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20 * PATIENCE))

/** Has as many operations in flight as there may be, and some that wait for a place. `end` lets them all end. */
async function fullRing(name: string): Promise<{ more(): void; endOne(): void; end(): Promise<void> }> {
  const { driver } = defaultUring()!
  const handle = await open(makeFifo(name), O_RDWR)
  const writer = nodeSync.openSync(scratch(name), O_RDWR | O_NONBLOCK)
  let count = 0
  const more = (): void => {
    count++
    void handle.read(Buffer.alloc(1)).catch(() => {})
  }
  while (driver.waiting === 0) more()
  return {
    more,
    endOne: () => nodeSync.writeSync(writer, '1'),
    end: async () => {
      nodeSync.writeSync(writer, '1'.repeat(count))
      for (let round = 0; round < 200 && driver.inFlight > 0; round++) await turn()
      nodeSync.closeSync(writer)
      await handle.close()
    },
  }
}

for (const fails of [false, true]) {
  test(
    `an abort while the file is being closed ${fails ? 'hides no error of that' : 'leaves no descriptor'}`,
    needs({ ring: true, command: 'mkfifo' }, async () => {
      const path = makeFifo(`closing ${fails}`)
      const toFile = nodeSync.openSync(path, O_RDWR)
      const controller = new AbortController()
      const reading = readFile(path, { signal: controller.signal })
      reading.catch(() => {})
      await turn()
      nodeSync.writeSync(toFile, 'x')
      await turn()
      const full = await fullRing(`filler ${fails}`)
      await turn()
      // The end of the file, whose close has to wait behind others.
      full.more()
      const { completed } = defaultUring()!.counters
      nodeSync.closeSync(toFile)
      while (defaultUring()!.counters.completed === completed) await turn()
      const [fd] = descriptorsOf(path)
      if (fails) nodeSync.closeSync(fd!)
      controller.abort()
      await turn()
      await full.end()
      if (fails) await assert.rejects(reading, { code: 'EBADF', syscall: 'close' })
      else assert.is(String(await reading), 'x')
      assert.equal(descriptorsOf(path), [])
    }),
  )
}

test(
  'close() of a handle closes the file also where the ring is closed before it comes to that',
  needs({ ring: true, command: 'mkfifo' }, async () => {
    const full = await fullRing('in the way')
    nodeSync.writeFileSync(scratch('left open'), 'x')
    const opening = open(scratch('left open'))
    full.more()
    full.endOne()
    full.endOne()
    const handle = await opening
    for (let count = 0; count < 8; count++) full.more()
    const closing = handle.close()
    assert.is(descriptorsOf(scratch('left open')).length, 1)
    await Promise.all([defaultUring()!.close(), closing])
    assert.equal(descriptorsOf(scratch('left open')), [])
    await full.end()
  }),
)

test(
  'readFiles() keeps a limit on paths',
  needs({ opcode: 'IORING_OP_OPENAT2' }, async () => {
    async function* later(path: string): AsyncGenerator<string> {
      yield path
    }
    nodeSync.writeFileSync(scratch('beyond'), 'x')
    for (const paths of [[scratch('beyond')], later(scratch('beyond'))]) {
      await assert.rejects(readFiles(paths, { resolve: 'beneath' }).next(), { code: 'EXDEV' })
    }
  }),
)

for (const fails of [false, true]) {
  test(
    `a file that was read when its ring was closed has been read${fails ? ', whatever its close says' : ''}`,
    needs({ ring: true, command: 'mkfifo' }, async () => {
      let outcome = 'rejected'
      // The read may be cancelled before the kernel has seen the end: then it is an abort, and nothing was read.
      for (let attempt = 0; attempt < 20 && outcome === 'rejected'; attempt++) {
        const path = makeFifo(`last ${fails} ${attempt}`)
        const toFile = nodeSync.openSync(path, O_RDWR)
        const reading = readFile(path)
        reading.catch(() => {})
        await turn()
        nodeSync.writeSync(toFile, 'x')
        await turn()
        // The end of the file is there before the ring is closed, but not known: the ring takes no close of the file then.
        nodeSync.closeSync(toFile)
        const [fd] = descriptorsOf(path)
        if (fails) nodeSync.closeSync(fd!)
        await defaultUring()!.close()
        outcome = await stateOf(reading)
        if (outcome === 'rejected') assert.is((await errorOf(reading))['code'], 'ABORT_ERR')
        else assert.is(String(await reading), 'x')
        assert.equal(descriptorsOf(path), [])
      }
      assert.is(outcome, 'fulfilled')
    }),
  )
}

test(
  'readFile() rejects when there is no memory to go on with',
  needs({ ring: true }, async () => {
    const path = scratch('too much')
    nodeSync.writeFileSync(path, 'x'.repeat(100_000))
    const { arena } = defaultUring()!.driver
    const { alloc } = arena
    // The kernel does not run out of memory on demand.
    arena.alloc = (bytes) => {
      if (bytes > 100_000) throw new RangeError('no memory')
      return alloc.call(arena, bytes)
    }
    try {
      assert.is((await errorOf(readFile(path))).message, 'no memory')
    } finally {
      arena.alloc = alloc
    }
    assert.equal(descriptorsOf(path), [])
    assert.is((await readFile(path)).length, 100_000)
  }),
)

test.run()
