// Caller mistakes: each is thrown at the call, with Node's codes, and nothing is taken for it; operating errors reject.

import { openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { runInNewContext } from 'node:vm'
import { Uring } from '../../src/index.js'
import { prepNop } from '../../src/ring/index.js'
import { close, write } from '../../src/syscalls/libc.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { assert, needs, test } from '../harness.js'
import { outcome, pipe, TestRing, temporaryFolder } from './fixture.js'

const here = needs.bind(null, { ring: true } as const)
const folder = temporaryFolder()
const path = join(folder, 'file')
writeFileSync(path, 'x'.repeat(1000))
const file = openSync(path, 'r+')

// biome-ignore lint/suspicious/noExplicitAny: what is wrong is wrong for the compiler as well
type Anything = any

function detached(): Uint8Array {
  const buffer = new ArrayBuffer(8)
  const view = new Uint8Array(buffer)
  structuredClone(buffer, { transfer: [buffer] })
  return view
}

/** Memory that would have the kernel write beyond it. */
function longerThanItIs(): Uint8Array {
  return Object.defineProperty(new Uint8Array(8), 'length', { value: 1000 })
}

const TYPE = 'ERR_INVALID_ARG_TYPE'
const VALUE = 'ERR_INVALID_ARG_VALUE'
const RANGE = 'ERR_OUT_OF_RANGE'

/** Bad arguments for read, write, and with other names for the vectored ones. */
const TRANSFERS: readonly (readonly [fd: Anything, buffer: Anything, options: Anything, code: string])[] = [
  [Number.NaN, new Uint8Array(8), {}, RANGE],
  [1.5, new Uint8Array(8), {}, RANGE],
  [2 ** 31, new Uint8Array(8), {}, RANGE],
  [1n, new Uint8Array(8), {}, TYPE],
  ['1', new Uint8Array(8), {}, TYPE],
  [undefined, new Uint8Array(8), {}, TYPE],
  [file, 'text', {}, TYPE],
  [file, null, {}, TYPE],
  [file, undefined, {}, TYPE],
  [file, [1, 2, 3], {}, TYPE],
  [file, 8, {}, TYPE],
  [file, new SharedArrayBuffer(8), {}, TYPE],
  [file, new Uint8Array(new SharedArrayBuffer(8)), {}, TYPE],
  [file, detached(), {}, VALUE],
  [file, detached().buffer, {}, VALUE],
  [file, longerThanItIs(), {}, VALUE],
  [file, new Uint8Array(8), { length: 9 }, RANGE],
  [file, new Uint8Array(8), { length: -1 }, RANGE],
  [file, new Uint8Array(8), { length: 1.5 }, RANGE],
  [file, new Uint8Array(8), { length: Number.NaN }, RANGE],
  [file, new Uint8Array(8), { length: '8' }, TYPE],
  [file, new Uint8Array(8), { length: null }, TYPE],
  [file, new Uint8Array(8), { offset: -2 }, RANGE],
  [file, new Uint8Array(8), { offset: 0.5 }, RANGE],
  [file, new Uint8Array(8), { offset: Number.NaN }, RANGE],
  [file, new Uint8Array(8), { offset: 2 ** 53 }, RANGE],
  [file, new Uint8Array(8), { offset: 2n ** 63n }, RANGE],
  [file, new Uint8Array(8), { offset: -2n }, RANGE],
  [file, new Uint8Array(8), { offset: '0' }, TYPE],
  [file, new Uint8Array(8), { offset: null }, TYPE],
  [file, new Uint8Array(8), { position: 4 }, VALUE],
  [file, new Uint8Array(8), { timeout: 4, async: true }, VALUE],
  [file, new Uint8Array(8), { timeoutMs: -1 }, RANGE],
  [file, new Uint8Array(8), { timeoutMs: Number.NaN }, RANGE],
  [file, new Uint8Array(8), { timeoutMs: 2 ** 32 }, RANGE],
  [file, new Uint8Array(8), { timeoutMs: '5' }, TYPE],
  [file, new Uint8Array(8), { signal: {} }, TYPE],
  [file, new Uint8Array(8), { signal: new AbortController() }, TYPE],
  [file, new Uint8Array(8), { personality: -1 }, RANGE],
  [file, new Uint8Array(8), { personality: 65_536 }, RANGE],
  [file, new Uint8Array(8), { bufferIndex: -1 }, RANGE],
  [file, new Uint8Array(8), { bufferIndex: 0.5 }, RANGE],
  [file, new Uint8Array(8), null, TYPE],
  [file, new Uint8Array(8), 'r', TYPE],
]

for (const copies of [false, true]) {
  const where = copies ? 'in a worker' : 'in the main thread'
  test(
    `read() and write() throw for each bad argument at once, ${where}`,
    here(async () => {
      await using uring = new TestRing({}, undefined, copies)
      for (const [fd, buffer, options, code] of TRANSFERS) {
        // In a worker registered buffers are refused whatever their number.
        const expected = copies && options?.bufferIndex !== undefined ? TYPE : code
        for (const method of ['read', 'write'] as const) {
          assert.throws(() => uring[method](fd, buffer, options), { code: expected })
          assert.is(uring.driver.inFlight, 0)
          assert.is(uring.arena.blocksInUse, 0)
        }
        if (
          buffer instanceof Uint8Array &&
          options?.length === undefined &&
          options?.bufferIndex === undefined
        ) {
          for (const method of ['readv', 'writev'] as const) {
            assert.throws(() => uring[method](fd, [new Uint8Array(1), buffer], options), { code })
            assert.is(uring.arena.blocksInUse, 0)
          }
        }
      }
      for (const method of ['readv', 'writev'] as const) {
        assert.throws(() => uring[method](file, null as Anything), { code: TYPE })
        assert.throws(() => uring[method](file, new Uint8Array(8) as Anything), { code: TYPE })
        assert.throws(() => uring[method](file, [null] as Anything), { code: TYPE })
        assert.throws(() => uring[method](file, new Array(1025).fill(new Uint8Array(1))), { code: RANGE })
      }
      assert.is(uring.arena.blocksInUse, 0)
      assert.is(await uring.nop(), 0)
      assert.is(uring.driver.inFlight, 0)
    }),
  )

  test(
    `what is empty, at the edge or beyond the end is no mistake, ${where}`,
    here(async () => {
      await using uring = new TestRing({}, undefined, copies)
      assert.is(await uring.read(file, new Uint8Array(0), { offset: 0 }), 0)
      assert.is(await uring.write(file, new Uint8Array(0), { offset: 0 }), 0)
      assert.is(await uring.readv(file, [], { offset: 0 }), 0)
      assert.is(await uring.readv(file, [new Uint8Array(0), new Uint8Array(3)], { offset: 0 }), 3)
      assert.is(await uring.read(file, new Uint8Array(8), { offset: 0, length: 0 }), 0)
      assert.is(await uring.read(file, new Uint8Array(8), { offset: 5000 }), 0)
      assert.is(await uring.read(file, new Uint8Array(8), { offset: 998 }), 2)
      assert.is(await uring.read(file, new Uint8Array(8), { offset: 2n ** 62n }), 0)
      assert.is(await uring.read(file, new ArrayBuffer(8), { offset: 0 }), 8)
      assert.is(await uring.read(file, new DataView(new ArrayBuffer(20), 4, 6), { offset: 0 }), 6)
      assert.is(await uring.read(file, new Float64Array(3), { offset: 0n, length: 9 }), 9)
      assert.is(await uring.read(file, Buffer.from('abc'), { offset: undefined, length: undefined }), 3)
      assert.is(await uring.read(file, Buffer.alloc(3), { signal: undefined, timeoutMs: undefined }), 3)
      assert.is(await outcome(uring.read(-1, new Uint8Array(8))), 'EBADF')
      assert.is(await outcome(uring.read(99_999, new Uint8Array(8), { timeoutMs: 10 })), 'EBADF')
      assert.is(await outcome(uring.write(file, Buffer.from('y'), { offset: 0, fixedFile: true })), 'EBADF')
    }),
  )
}

test(
  'options are asked once, and a getter that throws costs nothing',
  here(async () => {
    await using uring = new TestRing()
    const thrown = new Error('not now')
    for (const name of ['signal', 'timeoutMs', 'personality', 'async', 'drain', 'fixedFile']) {
      const options = Object.defineProperty({}, name, {
        get() {
          throw thrown
        },
      })
      assert.throws(() => uring.statx(path, options), thrown)
      assert.throws(() => uring.rename(path, path, options), thrown)
    }
    let asked = 0
    const options = {
      get signal(): Anything {
        return asked++ === 0 ? undefined : 'no signal'
      },
    }
    assert.is(Number((await uring.statx(path, options)).size), 1000)
    assert.equal([uring.arena.blocksInUse, uring.driver.inFlight], [0, 0])
  }),
)

test(
  'options of node:fs that no operation has, and a descriptor given to close(), are refused',
  here(async () => {
    await using uring = new TestRing()
    const loose: Anything = uring
    assert.throws(() => loose.open(path, { flag: 'r+' }), { code: VALUE })
    assert.throws(() => loose.mkdir(join(folder, 'a/b'), { recursive: true }), { code: VALUE })
    assert.throws(() => loose.recv(file, new Uint8Array(8), { timeout: 5 }), { code: VALUE })
    assert.equal([uring.arena.blocksInUse, uring.driver.inFlight], [0, 0])
    await using whole = Uring.open()
    assert.throws(() => (whole as Anything).close(file), { code: VALUE })
    assert.not(whole.closed)
    assert.is(await whole.nop(), 0)
  }),
)

test(
  'memory that changes while it is looked at is never written beyond its end, nor once it is another’s',
  here(async () => {
    await using uring = new TestRing()
    const { buffer } = new Uint8Array(new ArrayBuffer(4096))
    const guarded = new Uint8Array(buffer, 0, 64)
    // A view that is known from earlier reads.
    for (let round = 0; round < 100; round++) await uring.read(file, guarded, { offset: 0 })
    Object.defineProperty(guarded, 'length', { value: 1000 })
    assert.throws(() => uring.read(file, guarded, { offset: 0 }), { code: VALUE })
    // A length that is told truly once.
    let asked = 0
    const fickle = new Uint8Array(buffer, 0, 64)
    Object.defineProperty(fickle, 'length', { get: () => (asked++ === 0 ? 1000 : 64) })
    assert.throws(() => uring.read(file, fickle, { offset: 0 }), { code: RANGE })
    // A list that has another buffer each time.
    const seen: Uint8Array[] = []
    const list: Uint8Array[] = []
    Object.defineProperty(list, 0, {
      get() {
        seen.push(new Uint8Array(new ArrayBuffer(32)))
        return seen.at(-1)
      },
    })
    await uring.readv(file, list, { offset: 0 })
    // Where no other test reads.
    await uring.writev(file, list, { offset: 900 })
    assert.is(seen.length, 2)
    assert.is(seen[0]![31], 'x'.charCodeAt(0))
    assert.ok(new Uint8Array(buffer, 64).every((byte) => byte === 0))
    // An option that takes the buffer away when it is asked for.
    for (const name of ['signal', 'timeoutMs', 'async'] as const) {
      for (const method of ['read', 'write', 'recv', 'send'] as const) {
        const own = new Uint8Array(new ArrayBuffer(4096))
        let taken: ArrayBuffer | null = null
        const options = {
          offset: 0,
          get [name](): undefined {
            taken ??= structuredClone(own.buffer, { transfer: [own.buffer] })
            return undefined
          },
        }
        assert.throws(() => uring[method](file, own, options), { code: VALUE }, `${method}, ${name}`)
        assert.ok(new Uint8Array(taken!).every((byte) => byte === 0))
      }
    }
    assert.equal([uring.arena.blocksInUse, uring.driver.inFlight], [0, 0])
  }),
)

test(
  'memory of another realm is memory, and a detached DataView is an error with a code',
  here(async () => {
    await using uring = new TestRing()
    for (const code of ['new Uint8Array(8)', 'new DataView(new ArrayBuffer(8))', 'new ArrayBuffer(8)']) {
      const memory = runInNewContext(code) as Uint8Array
      assert.is(await uring.read(file, memory, { offset: 0 }), 8)
      assert.is(await uring.readv(file, [memory], { offset: 0 }), 8)
    }
    const gone = new DataView(new ArrayBuffer(8))
    structuredClone(gone.buffer, { transfer: [gone.buffer] })
    for (const call of [
      () => uring.read(file, gone),
      () => uring.readv(file, [gone]),
      () => uring.send(file, gone),
      () => uring.sendmsg(file, { buffers: [gone] }),
    ]) {
      assert.throws(call, { code: VALUE })
    }
  }),
)

test(
  'a position of -1, the default, is the file’s own, which moves',
  here(async () => {
    await using uring = new TestRing()
    const fd = openSync(path, 'r')
    assert.is(await uring.read(fd, new Uint8Array(600)), 600)
    assert.is(await uring.read(fd, new Uint8Array(600), { offset: -1 }), 400)
    assert.is(await uring.read(fd, new Uint8Array(600), { offset: 0 }), 600)
    assert.is(await uring.read(fd, new Uint8Array(600)), 0)
  }),
)

test(
  'paths are strings, buffers or URLs without null bytes',
  here(async () => {
    await using uring = new TestRing()
    const url = pathToFileURL(path)
    for (const good of [path, Buffer.from(path), url]) {
      const fd = await uring.open(good)
      assert.is(Number((await uring.statx(good)).size), 1000)
      await uring.closeFd(fd)
    }
    const missing = pathToFileURL(join(folder, 'missing #1'))
    const error = await uring.open(missing).catch((reason) => reason)
    assert.is(error.message, `ENOENT: no such file or directory, open '${join(folder, 'missing #1')}'`)
    assert.is(error.path, join(folder, 'missing #1'))
    const calls: ((given: Anything) => unknown)[] = [
      (given) => uring.open(given),
      (given) => uring.open(given, { resolve: 8 }),
      (given) => uring.statx(given),
      (given) => uring.rename(given, path),
      (given) => uring.rename(path, given),
      (given) => uring.unlink(given),
      (given) => uring.mkdir(given),
      (given) => uring.symlink(given, path),
      (given) => uring.symlink(path, given),
      (given) => uring.link(given, path),
      (given) => uring.link(path, given),
      (given) => uring.getxattr(given, 'user.x'),
      (given) => uring.setxattr(given, 'user.x', 'y'),
    ]
    for (const call of calls) {
      for (const [given, code] of [
        [null, TYPE],
        [undefined, TYPE],
        [{}, TYPE],
        [5n, TYPE],
        ['a\0b', VALUE],
        [Buffer.from('a\0b'), VALUE],
        [new URL('https://example.com/x'), 'ERR_INVALID_URL_SCHEME'],
      ] as const) {
        assert.throws(() => call(given), { code })
      }
    }
    assert.throws(() => uring.getxattr(path, 5 as Anything), { code: TYPE })
    assert.throws(() => uring.getxattr(path, 'a\0b'), { code: VALUE })
    assert.throws(() => uring.open(path, { flags: 1.5 }), { code: RANGE })
    assert.throws(() => uring.open(path, { mode: '0666' as Anything }), { code: TYPE })
    assert.throws(() => uring.open(path, { resolve: -1 }), { code: RANGE })
    assert.throws(() => uring.open(path, { resolve: 8, mode: 1.5 }), { code: RANGE })
    assert.throws(() => uring.mkdir(path, { dirFd: 0.5 }), { code: RANGE })
    assert.is(uring.arena.blocksInUse, 0)
    assert.is(uring.driver.inFlight, 0)
  }),
)

test(
  'the other operations check what they are given as well',
  here(async () => {
    await using uring = new TestRing()
    const bad: (() => unknown)[] = [
      () => uring.timeout(-1),
      () => uring.timeout(Number.NaN),
      () => uring.timeout('5' as Anything),
      () => uring.poll(1.5, 1),
      () => uring.fsync('x' as Anything),
      () => uring.ftruncate(file, -1),
      () => uring.fallocate(file, 0, -1, 5),
      () => uring.splice(file, 0.5, file, 0, 5),
      () => uring.cancelFd(Number.NaN),
      () => uring.closeFd(0.1),
      () => uring.submit(null as Anything),
      () => uring.submit(prepNop, { timeoutMs: -5 }),
      () => uring.madvise(null as Anything, 0),
      () => uring.futexWait(new Int32Array(0), 0),
      () => uring.epollCtl(1, 1, 1, { events: -1, data: 0n }),
      () => uring.epollCtl(1, 1, 1, { events: 1, data: 5 as Anything }),
      () => uring.nop(null as Anything),
      () => uring.nop(5 as Anything),
    ]
    for (const call of bad)
      assert.throws(call, (error) => /^ERR_(INVALID_ARG|OUT_OF)/.test(String(error.code)))
    assert.is(uring.arena.blocksInUse, 0)
    assert.is(uring.driver.inFlight, 0)
    assert.is(await uring.nop({}), 0)
  }),
)

test(
  'Uring.open() refuses what it does not know, and what no ring can be',
  here(() => {
    for (const options of [
      null,
      5,
      { zeroCopy: 1 },
      { sqEntries: 3 },
      { sqEntries: Number.NaN },
      { sqEntries: 0 },
      { cqEntries: 0 },
      { cqEntries: Number.NaN },
      { cqEntries: 100_000 },
      { sqEntries: 64, cqEntries: 32 },
      { entries: 64 },
      { setupFlags: -1 },
      { setupFlags: 1 },
      { sqpoll: 'yes' },
    ] as Anything[]) {
      assert.throws(
        () => Uring.open(options),
        (error) => /^ERR_(INVALID_ARG|OUT_OF)/.test(String(error.code)),
      )
    }
  }),
)

test(
  'in a worker, buffers whose array is changed afterwards are read into all the same',
  needs({ ring: true }, async () => {
    await using uring = new TestRing({}, undefined, true)
    const [readEnd, writeEnd] = pipe()
    const first = Buffer.alloc(3)
    const buffers = [first, Buffer.alloc(2)]
    const last = buffers[1]!
    const reading = uring.readv(readEnd, buffers)
    buffers[0] = Buffer.alloc(3)
    buffers.length = 1
    write(writeEnd, addressOf(Buffer.from('abcde')), 5)
    assert.is(await reading, 5)
    assert.equal([String(first), String(last)], ['abc', 'de'])
    close(readEnd)
    close(writeEnd)
  }),
)

test(
  'in a worker vectors of more than 4 GiB are refused, and whatever comes later is served',
  here(async () => {
    await using uring = new TestRing({}, undefined, true)
    // One and the same memory, which is never touched.
    const vectors = new Array<ArrayBuffer>(5).fill(new ArrayBuffer(2 ** 30))
    assert.throws(() => uring.readv(file, vectors), { code: RANGE })
    assert.throws(() => uring.writev(file, vectors), { code: RANGE })
    const bytes = Buffer.alloc(10)
    assert.is(await uring.read(file, bytes, { offset: 0 }), 10)
    assert.is(bytes.toString(), 'x'.repeat(10))
    assert.is(uring.driver.arena.blocksInUse, 0)
  }),
)

/** What takes two blocks. */
const TWO_BLOCKS: Readonly<Record<string, (uring: TestRing) => unknown>> = {
  statx: (uring) => uring.statx('path'),
  openat2: (uring) => uring.open('path', { resolve: 0 }),
  rename: (uring) => uring.rename('from', 'to'),
  fgetxattr: (uring) => uring.getxattr(file, 'user.x'),
  fsetxattr: (uring) => uring.setxattr(file, 'user.x', 'value'),
  readv: (uring) => uring.readv(file, [Buffer.alloc(1)]),
  sendto: (uring) =>
    uring.send(file, Buffer.alloc(1), { to: { family: 'IPv4', address: '127.0.0.1', port: 1 } }),
  sendmsg: (uring) => uring.sendmsg(file, { buffers: [Buffer.alloc(1)] }),
  recvmsg: (uring) => uring.recvmsg(file, [Buffer.alloc(1)]),
}

test(
  'an operation for which there is no second block gives its first one back',
  here(async () => {
    for (const [name, start] of Object.entries(TWO_BLOCKS)) {
      await using uring = new TestRing({}, undefined, true)
      const { arena } = uring
      const alloc = arena.alloc.bind(arena)
      let blocks = 0
      arena.alloc = (bytes) => {
        if (++blocks === 2) throw new Error('no memory')
        return alloc(bytes)
      }
      assert.throws(() => start(uring), /no memory/, name)
      assert.is(arena.blocksInUse, 0, name)
    }
  }),
)

test(
  'a path that has no text leaves no memory of the driver behind',
  here(async () => {
    await using uring = new TestRing()
    const wordless = Object.assign(Buffer.from('path'), {
      toString(): string {
        throw new Error('too long for a string')
      },
    })
    for (const start of [
      () => uring.open(wordless),
      () => uring.statx(wordless),
      () => uring.rename(wordless, 'to'),
      () => uring.rename('from', wordless),
      () => uring.unlink(wordless),
      () => uring.mkdir(wordless),
      () => uring.symlink('target', wordless),
      () => uring.link('from', wordless),
      () => uring.getxattr(wordless, 'user.x'),
      () => uring.setxattr(wordless, 'user.x', 'value'),
    ]) {
      assert.throws(start, /too long/, String(start))
      assert.is(uring.arena.blocksInUse, 0, String(start))
    }
  }),
)

test.run()
