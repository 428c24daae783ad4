// The driver's guard against operations on memory that is a mapping of a file.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { type MappedBufferPolicy, Uring } from '../../src/index.js'
import {
  type Fd,
  IORING_OP_PROVIDE_BUFFERS,
  IORING_SETUP_SQPOLL,
  MappedRegion,
  prepProvideBuffers,
  prepWrite,
} from '../../src/ring/index.js'
import { canQueryMappings } from '../../src/runtime/foreign-mappings.js'
import { listFileMapping, liveFileMappings, MAX_FILE_MAPPINGS } from '../../src/syscalls/file-mappings.js'
import { copyThroughPipe, kernelCopy } from '../../src/syscalls/kernel-copy.js'
import { mmap, munmap } from '../../src/syscalls/libc.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { assert, needs, test } from '../harness.js'
import { outcome, TestRing, temporaryFolder, turns } from './fixture.js'
import { connectPair } from './open-uring.js'

const PAGES = 16
const BYTES = PAGES * 4096
const PROT_READ = 1
const PROT_READ_WRITE = 3
const MAP_SHARED = 1
const folder = temporaryFolder()
let files = 0

function bytesOf(seed: number, length = BYTES): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, index) => (index * 31 + seed + (index >> 8)) & 0xff))
}

interface Fixture {
  readonly path: string
  readonly fd: Fd
  readonly region: MappedRegion
  /** The mapping; nothing in this file loads from it. */
  readonly memory: Buffer
  readonly target: string
  readonly targetFd: Fd
  readonly [Symbol.dispose]: () => void
}

/** A mapped file, and a file to write to. */
function mapped(prot = PROT_READ): Fixture {
  const path = join(folder, `basis-${files++}`)
  writeFileSync(path, bytesOf(1))
  const fd = openSync(path, 'r+')
  const region = MappedRegion.ofFile(fd, BYTES, 0, { prot, flags: MAP_SHARED })
  const target = `${path}.target`
  const targetFd = openSync(target, 'w+')
  return {
    path,
    fd,
    region,
    memory: Buffer.from(region.buffer),
    target,
    targetFd,
    [Symbol.dispose]() {
      region.unmap()
      closeSync(fd)
      closeSync(targetFd)
    },
  }
}

/** What the guard has found while `body` ran. */
async function found(
  body: () => Promise<unknown>,
): Promise<{ policy: MappedBufferPolicy; opcode: number }[]> {
  const events: { policy: MappedBufferPolicy; opcode: number }[] = []
  const listener = (event: unknown): void => void events.push(event as (typeof events)[number])
  subscribe('uring:mapped-buffer', listener)
  try {
    await body()
  } finally {
    unsubscribe('uring:mapped-buffer', listener)
  }
  return events
}

const here = needs.bind(null, { ring: true } as const)

test('kernelCopy() copies as far as it can be loaded, and so does the way through a pipe', () => {
  using file = mapped()
  const into = Buffer.alloc(BYTES)
  for (const copy of [kernelCopy, copyThroughPipe]) {
    into.fill(0)
    assert.is(copy(file.region.address, addressOf(into), BYTES), BYTES)
    assert.ok(into.equals(bytesOf(1)))
  }
  ftruncateSync(file.fd, 3 * 4096)
  for (const copy of [kernelCopy, copyThroughPipe]) {
    assert.is(copy(file.region.address, addressOf(into), BYTES), 3 * 4096)
    assert.is(copy(file.region.address + 4 * 4096, addressOf(into), 4096), -14)
  }
  assert.is(kernelCopy(0, addressOf(into), 0), 0)
})

test(
  'a subscriber of uring:mapped-buffer may use the ring',
  here(async () => {
    using file = mapped()
    await using uring = new TestRing()
    const more: Promise<unknown>[] = []
    const listener = (): void => {
      more.push(uring.nop())
      uring.driver.flush()
    }
    subscribe('uring:mapped-buffer', listener)
    try {
      assert.is(await uring.write(file.targetFd, file.memory, { offset: 0 }), BYTES)
      await turns(1)
      assert.equal(await Promise.all(more), [0])
    } finally {
      unsubscribe('uring:mapped-buffer', listener)
    }
  }),
)

test('MappedRegion.ofFile() is listed until it is unmapped; memory of a ring is not', () => {
  const before = liveFileMappings[0]!
  {
    using _file = mapped()
    assert.is(liveFileMappings[0], before + 1)
  }
  assert.is(liveFileMappings[0], before)
})

test(
  'Uring.open() lists nothing of its own',
  here(async () => {
    const before = liveFileMappings[0]!
    await using uring = Uring.open()
    assert.is(await uring.nop(), 0)
    assert.is(liveFileMappings[0], before)
  }),
)

test('listFileMapping() takes 1024 mappings, and a place again that was given back', () => {
  const free = MAX_FILE_MAPPINGS - liveFileMappings[0]!
  const listed = Array.from({ length: free }, (_, index) =>
    listFileMapping({ address: 2 ** 46 + index * 8192, length: 4096 }),
  )
  assert.throws(() => listFileMapping({ address: 2 ** 46, length: 1 }), { code: 'ERR_INVALID_STATE' })
  listed[5]!.release()
  listed[5]!.release()
  const again = listFileMapping({ address: 2 ** 47, length: 1 })
  again.release()
  for (const entry of listed) entry.release()
  assert.is(liveFileMappings[0], MAX_FILE_MAPPINGS - free)
})

test(
  "the default is 'copy' in the main thread and with SQPOLL; a bad value is refused",
  here(async () => {
    await using plain = Uring.open()
    assert.is(plain.mappedBuffers, 'copy')
    await using polled = Uring.open({ sqpoll: true, sqpollIdleMs: 10 })
    assert.is(polled.mappedBuffers, 'copy')
    assert.throws(() => Uring.open({ mappedBuffers: 'never' as 'copy' }), { code: 'ERR_INVALID_ARG_VALUE' })
    assert.throws(() => Uring.open({ mappedBuffers: 1 as unknown as 'copy' }), {
      code: 'ERR_INVALID_ARG_TYPE',
    })
    assert.throws(() => Uring.open({ foreignMappings: 1 as unknown as boolean }), {
      code: 'ERR_INVALID_ARG_TYPE',
    })
  }),
)

for (const sqpoll of [false, true]) {
  const kind = sqpoll ? 'with SQPOLL' : 'of a regular ring'
  test(
    `write() ${kind} copies from a mapping that was made after the ring, and writes what it holds`,
    here(async () => {
      await using uring = Uring.open({ sqpoll, sqpollIdleMs: 10 })
      if (sqpoll) assert.is((uring.driver.ring.flags & IORING_SETUP_SQPOLL) !== 0, true)
      using file = mapped()
      const events = await found(async () => {
        assert.is(await uring.write(file.targetFd, file.memory, { offset: 0 }), BYTES)
        // The other way of an operation, with options.
        const part = file.memory.subarray(4096, 8192)
        assert.is(await uring.write(file.targetFd, part, { offset: BYTES, timeoutMs: 5000 }), 4096)
      })
      assert.equal(
        events.map(({ policy }) => policy),
        ['copy', 'copy'],
      )
      const written = readFileSync(file.target)
      assert.ok(written.equals(Buffer.concat([bytesOf(1), bytesOf(1).subarray(4096, 8192)])))
      assert.is(uring.driver.arena.blocksInUse, 0)
    }),
  )
}

test(
  'memory of the heap is left alone while a mapping is live',
  here(async () => {
    await using uring = Uring.open()
    using file = mapped()
    const events = await found(() => uring.write(file.targetFd, bytesOf(2), { offset: 0 }))
    assert.equal(events, [])
    assert.ok(readFileSync(file.target).equals(bytesOf(2)))
  }),
)

test(
  'a write from a mapping that was cut short is short, and then EFAULT, with each policy',
  here(async () => {
    for (const mappedBuffers of ['copy', 'async', 'allow'] as const) {
      await using uring = Uring.open({ mappedBuffers })
      using file = mapped()
      ftruncateSync(file.fd, 3 * 4096)
      assert.is(
        await outcome(uring.write(file.targetFd, file.memory, { offset: 0 })),
        3 * 4096,
        mappedBuffers,
      )
      const rest = file.memory.subarray(3 * 4096)
      assert.is(await outcome(uring.write(file.targetFd, rest, { offset: 0 })), 'EFAULT', mappedBuffers)
      assert.ok(readFileSync(file.target).equals(bytesOf(1, 3 * 4096)))
      assert.is(uring.driver.arena.blocksInUse, 0)
    }
  }),
)

test(
  'read() into a mapping stores into the file, by a copy that the kernel makes',
  here(async () => {
    await using uring = Uring.open()
    using file = mapped(PROT_READ_WRITE)
    writeFileSync(file.target, bytesOf(9))
    const events = await found(async () => {
      assert.is(await uring.read(file.targetFd, file.memory, { offset: 0 }), BYTES)
    })
    assert.is(events.length, 1)
    assert.ok(readFileSync(file.path).equals(bytesOf(9)))
    // Where the copy cannot be stored the read is no success.
    ftruncateSync(file.fd, 4096)
    assert.is(await outcome(uring.read(file.targetFd, file.memory, { offset: 0 })), 'EFAULT')
    assert.is(uring.driver.arena.blocksInUse, 0)
  }),
)

test(
  "'async' marks the entry, 'refuse' throws and leaves the ring in order",
  here(async () => {
    using file = mapped()
    {
      await using uring = Uring.open({ mappedBuffers: 'async' })
      const events = await found(() => uring.write(file.targetFd, file.memory, { offset: 0 }))
      assert.equal(
        events.map(({ policy }) => policy),
        ['async'],
      )
      assert.ok(readFileSync(file.target).equals(bytesOf(1)))
    }
    await using uring = Uring.open({ mappedBuffers: 'refuse' })
    const refused = { code: 'ERR_URING_MAPPED_BUFFER' }
    assert.throws(() => uring.write(file.targetFd, file.memory, { offset: 0 }), refused)
    assert.throws(() => uring.write(file.targetFd, file.memory, { offset: 0, timeoutMs: 100 }), refused)
    assert.throws(() => uring.writev(file.targetFd, [bytesOf(1), file.memory], { offset: 0 }), refused)
    await assert.rejects(
      uring.chain((op) => [op.nop(), op.write(file.targetFd, file.memory, { offset: 0 })] as const),
      refused,
    )
    assert.is(await uring.write(file.targetFd, bytesOf(3), { offset: 0 }), BYTES)
    assert.is(uring.inFlight, 0)
    assert.is(uring.driver.arena.blocksInUse, 0)
  }),
)

test(
  'writev() and readv() copy only what is mapped',
  here(async () => {
    await using uring = Uring.open()
    using file = mapped(PROT_READ_WRITE)
    const parts = [
      bytesOf(5, 100),
      file.memory.subarray(10, 5000),
      bytesOf(6, 50),
      file.memory.subarray(0, 7),
    ]
    const whole = Buffer.concat([
      bytesOf(5, 100),
      bytesOf(1).subarray(10, 5000),
      bytesOf(6, 50),
      bytesOf(1, 7),
    ])
    assert.is(await uring.writev(file.targetFd, parts, { offset: 0 }), whole.length)
    assert.ok(readFileSync(file.target).equals(whole))

    const heap = Buffer.alloc(100)
    const count = await uring.readv(file.targetFd, [heap, file.memory.subarray(8192)], { offset: 0 })
    assert.is(count, whole.length)
    assert.ok(heap.equals(bytesOf(5, 100)))
    assert.ok(
      readFileSync(file.path)
        .subarray(8192)
        .subarray(0, count - 100)
        .equals(whole.subarray(100)),
    )

    ftruncateSync(file.fd, 0)
    assert.is(await outcome(uring.writev(file.targetFd, [bytesOf(5, 100), file.memory], { offset: 0 })), 100)
    assert.is(await outcome(uring.writev(file.targetFd, [file.memory], { offset: 0 })), 'EFAULT')
    assert.is(uring.driver.arena.blocksInUse, 0)
  }),
)

test(
  'sendmsg() and recvmsg() go through copies, header and all',
  needs({ ring: true }, async () => {
    await using uring = Uring.open()
    using file = mapped(PROT_READ_WRITE)
    const [client, server] = await connectPair(uring)
    const events = await found(async () => {
      const message = { buffers: [Buffer.from('head'), file.memory.subarray(0, 5000)] }
      assert.is(await uring.sendmsg(client, message), 5004)
      const { length } = await uring.recvmsg(server, [Buffer.alloc(4), file.memory.subarray(8192, 20_000)])
      assert.is(length, 5004)
      assert.is(await uring.send(client, file.memory.subarray(0, 1000)), 1000)
      assert.is(await uring.recv(server, file.memory.subarray(40_000, 50_000)), 1000)
    })
    assert.is(events.length, 4)
    const content = readFileSync(file.path)
    assert.ok(content.subarray(8192, 13_192).equals(bytesOf(1).subarray(0, 5000)))
    assert.ok(content.subarray(40_000, 41_000).equals(bytesOf(1).subarray(0, 1000)))
    // A message of which a part cannot be loaded is not sent at all.
    ftruncateSync(file.fd, 4096)
    assert.is(await outcome(uring.send(client, file.memory.subarray(0, 9000))), 'EFAULT')
    closeSync(client)
    closeSync(server)
    assert.is(uring.driver.arena.blocksInUse, 0)
  }),
)

test(
  'chains, operations that wait for room and entries of the caller are guarded too',
  here(async () => {
    await using uring = Uring.open({ sqEntries: 4, cqEntries: 4 })
    using file = mapped()
    const [outcomes] = await Promise.all([
      uring.chain((op) => [op.write(file.targetFd, file.memory, { offset: 0 }), op.nop()] as const),
      ...Array.from({ length: 30 }, (_, index) =>
        uring.write(file.targetFd, file.memory.subarray(0, 100), { offset: BYTES + index * 100 }),
      ),
    ])
    assert.is(outcomes[0].status, 'fulfilled')
    const raw = uring.driver.submit((sqe) => prepWrite(sqe, file.targetFd, file.region.address, 4096, 0))
    assert.is(await raw, 4096)
    const content = readFileSync(file.target)
    assert.ok(content.subarray(0, BYTES).equals(bytesOf(1)))
    assert.ok(content.subarray(BYTES + 2900).equals(bytesOf(1, 100)))
    const provide = uring.driver.submit.bind(uring.driver, (sqe) =>
      prepProvideBuffers(sqe, file.region.address, 4096, 2, 7, 0),
    )
    const events = await found(async () => assert.throws(provide, { code: 'ERR_URING_MAPPED_BUFFER' }))
    assert.is(events[0]?.opcode, IORING_OP_PROVIDE_BUFFERS)
    assert.is(uring.driver.arena.blocksInUse, 0)
  }),
)

test(
  'FileHandle.write() of uring/fs is guarded',
  here(async () => {
    using file = mapped()
    const { open } = await import('../../src/fs/index.js')
    const handle = await open(file.target, 'w')
    const events = await found(() => handle.write(file.memory, 0, BYTES, 0))
    await handle.close()
    assert.is(events.length, 1)
    assert.ok(readFileSync(file.target).equals(bytesOf(1)))
  }),
)

test(
  'as in a worker: what goes through driver memory is never loaded from a mapping here',
  needs({ ring: true }, async () => {
    await using uring = new TestRing({}, undefined, true)
    using file = mapped(PROT_READ_WRITE)
    const [client, server] = await connectPair(uring)
    const parts = [bytesOf(5, 100), file.memory.subarray(0, 8192)]
    assert.is(await uring.write(file.targetFd, file.memory, { offset: 0 }), BYTES)
    assert.ok(readFileSync(file.target).equals(bytesOf(1)))
    assert.is(await uring.writev(file.targetFd, parts, { offset: 0 }), 8292)
    assert.is(await uring.sendmsg(client, { buffers: parts }), 8292)
    assert.is((await uring.recvmsg(server, [Buffer.alloc(100), file.memory.subarray(16384)])).length, 8292)
    assert.is(await uring.readv(file.targetFd, [file.memory.subarray(40_000, 40_050)], { offset: 0 }), 50)
    const content = readFileSync(file.path)
    assert.ok(content.subarray(16384, 16384 + 8192).equals(bytesOf(1, 8192)))
    assert.ok(content.subarray(40_000, 40_050).equals(bytesOf(5, 50)))
    // Loads and stores of JavaScript would end this process from here on.
    ftruncateSync(file.fd, 0)
    assert.is(await outcome(uring.write(file.targetFd, file.memory, { offset: 0 })), 'EFAULT')
    assert.throws(() => uring.writev(file.targetFd, parts, { offset: 0 }), { code: 'EFAULT' })
    assert.throws(() => uring.sendmsg(client, { buffers: parts }), { code: 'EFAULT' })
    assert.is(await outcome(uring.readv(file.targetFd, [file.memory], { offset: 0 })), 'EFAULT')
    closeSync(client)
    closeSync(server)
    assert.is(uring.driver.arena.blocksInUse, 0)
  }),
)

test(
  'a mapping of another thread is seen',
  here(async () => {
    await using uring = Uring.open({ mappedBuffers: 'refuse' })
    using file = mapped()
    const source = JSON.stringify(new URL('../../src/ring/index.ts', import.meta.url).href)
    const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'))
    const code = `
      const { parentPort, workerData } = require('node:worker_threads')
      import(${loader}).then((tsx) => tsx.register()).then(() => import(${source})).then(({ MappedRegion }) => {
        const region = MappedRegion.ofFile(workerData, ${BYTES}, 0, { prot: ${PROT_READ}, flags: ${MAP_SHARED} })
        parentPort.postMessage(region.address)
        parentPort.once('message', () => { region.unmap(); parentPort.postMessage(0); parentPort.close() })
      })`
    const worker = new Worker(code, { eval: true, workerData: file.fd })
    const said = (): Promise<number> => new Promise((resolve) => worker.once('message', resolve))
    const address = await said()
    const write = (): Promise<number> =>
      uring.driver.submit((sqe) => prepWrite(sqe, file.targetFd, address, 4096, 0))
    assert.throws(write, { code: 'ERR_URING_MAPPED_BUFFER' })
    worker.postMessage('unmap')
    assert.is(await said(), 0)
    await new Promise((resolve) => worker.once('exit', resolve))
    assert.is(await outcome(write()), 'EFAULT')
  }),
)

test(
  'foreignMappings finds what nobody has listed; without it that passes',
  needs({ linux: '6.11', ring: true, when: () => canQueryMappings() || 'no PROCMAP_QUERY' }, async () => {
    using file = mapped()
    const address = mmap(0, BYTES, PROT_READ, MAP_SHARED, file.fd, 0)
    assert.ok(address > 0)
    try {
      const options = { mappedBuffers: 'refuse' } as const
      await using blind = Uring.open(options)
      await using seeing = Uring.open({ ...options, foreignMappings: true })
      const write = (uring: Uring): Promise<number> =>
        uring.driver.submit((sqe) => prepWrite(sqe, file.targetFd, address + 100, 4096, 0))
      assert.is(await write(blind), 4096)
      assert.throws(() => write(seeing), { code: 'ERR_URING_MAPPED_BUFFER' })
      assert.is(await seeing.write(file.targetFd, bytesOf(4), { offset: 0 }), BYTES)
    } finally {
      munmap(address, BYTES)
    }
  }),
)

test.run()
