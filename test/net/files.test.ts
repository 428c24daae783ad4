// sendFile() and zero-copy sends.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { connect, type Socket } from '../../src/net/index.js'
import { Uring } from '../../src/runtime/index.js'
import { descriptorCount } from '../descriptors.js'
import { assert, needs, test } from '../harness.js'
import { PATIENCE } from '../patience.js'
import { countOpcodes } from '../watched-entries.js'
import { delay, digest, onRing, pair, pattern, readAll, serveNode, until } from './peers.js'

const folder = mkdtempSync(join(tmpdir(), 'uring-net-files-'))
process.on('exit', () => rmSync(folder, { recursive: true }))
const LARGE = pattern(9_000_001)
const SMALL = pattern(5000, 3)
writeFileSync(join(folder, 'large'), LARGE)
writeFileSync(join(folder, 'small'), SMALL)
writeFileSync(join(folder, 'empty'), '')
const large = join(folder, 'large')

/** What the peer gets while `send` does its work. */
async function received(
  send: (socket: Socket) => Promise<unknown>,
): Promise<{ data: Buffer; result: unknown }> {
  const { ours, theirs, close } = await pair()
  const reading = readAll(theirs as AsyncIterable<Buffer>)
  const result = await send(ours)
  await ours.end()
  const data = await reading
  await close()
  return { data, result }
}

test('sendFile() sends files of every size, by path, URL, descriptor and FileHandle', async () => {
  const handle = await open(large)
  const cases: [Parameters<Socket['sendFile']>[0], Buffer][] = [
    [large, LARGE],
    [pathToFileURL(large), LARGE],
    [handle, LARGE],
    [handle.fd, LARGE],
    [join(folder, 'small'), SMALL],
    [join(folder, 'empty'), Buffer.alloc(0)],
  ]
  for (const [file, expected] of cases) {
    const { data, result } = await received((socket) => socket.sendFile(file))
    assert.is(result, expected.length)
    assert.is(digest(data), digest(expected))
  }
  await handle.close()
})

test('sendFile() sends a range, cut at the end of the file', async () => {
  const ranges: [{ offset?: number; length?: number }, Buffer][] = [
    [{ offset: 4_000_001 }, LARGE.subarray(4_000_001)],
    [{ offset: 77, length: 1_000_000 }, LARGE.subarray(77, 1_000_077)],
    [{ length: 10 }, LARGE.subarray(0, 10)],
    [{ offset: 8_999_999, length: 10_000 }, LARGE.subarray(8_999_999)],
    [{ offset: 20_000_000 }, Buffer.alloc(0)],
    [{ length: 0 }, Buffer.alloc(0)],
  ]
  for (const [range, expected] of ranges) {
    const { data, result } = await received((socket) => socket.sendFile(large, range))
    assert.is(result, expected.length)
    assert.is(digest(data), digest(expected))
  }
})

test('sendFile() keeps its place between what is written before and after it', async () => {
  const { data } = await received(async (socket) => {
    void socket.write('head ')
    const first = socket.sendFile(large)
    void socket.write(' middle ')
    const second = socket.sendFile(join(folder, 'small'))
    void socket.write(' tail')
    await Promise.all([first, second])
  })
  const expected = ['head ', LARGE, ' middle ', SMALL, ' tail'].map((part) => Buffer.from(part as Buffer))
  assert.is(digest(data), digest(Buffer.concat(expected)))
})

test('sendFile() of a file without a size reads it to its end', async () => {
  const { data, result } = await received((socket) => socket.sendFile('/proc/self/status'))
  assert.ok(String(data).startsWith('Name:'))
  assert.is(result, data.length)
})

test('sendFile() of a missing file leaves the connection as it was', async () => {
  const { data } = await received(async (socket) => {
    await assert.rejects(socket.sendFile(join(folder, 'missing')), { code: 'ENOENT', syscall: 'open' })
    await socket.write('still fine')
  })
  assert.is(String(data), 'still fine')
})

test('files that wait for their turn are given up with the connection, and closed', async () => {
  const before = descriptorCount()
  const { ours, theirs, close } = await pair()
  theirs.pause()
  const writing = Promise.resolve(ours.write(Buffer.alloc(8 << 20)))
  const waiting = [ours.sendFile(large), ours.sendFile(join(folder, 'small'))]
  await delay(20)
  ours.destroy(new Error('given up'))
  for (const result of await Promise.allSettled([writing, ...waiting])) {
    assert.is(result.status, 'rejected')
  }
  await close()
  await until(() => descriptorCount() <= before, 'all descriptors closed')
})

test('a peer that does not read holds sendFile() up, and its end ends it', async () => {
  const before = descriptorCount()
  const { ours, theirs, close } = await pair()
  theirs.pause()
  const big = join(folder, 'big')
  writeFileSync(big, Buffer.alloc(64 << 20))
  const sending = ours.sendFile(big)
  await delay(100)
  assert.ok(ours.bytesWritten < 64 << 20)
  theirs.resetAndDestroy()
  await assert.rejects(sending, (error) => ['EPIPE', 'ECONNRESET'].includes(error.code))
  await ours.closed
  await close()

  const second = await pair()
  second.theirs.pause()
  const controller = new AbortController()
  const aborted = second.ours.sendFile(big, { signal: controller.signal })
  await delay(50)
  controller.abort()
  await assert.rejects(aborted, { name: 'AbortError' })
  await second.ours.closed
  await second.close()
  await until(() => descriptorCount() <= before, 'all descriptors closed')
})

test(
  'a pipe is sent to its end',
  needs({ command: 'mkfifo' }, async () => {
    const path = join(folder, 'pipe')
    assert.is(spawnSync('mkfifo', [path]).status, 0)
    // Read and write, so that it opens without another end.
    const writer = openSync(path, 'r+')
    const reader = openSync(path, 'r')
    writeSync(writer, 'through a pipe')
    closeSync(writer)
    const { data, result } = await received((socket) => socket.sendFile(reader))
    assert.is(String(data), 'through a pipe')
    assert.is(result, 14)
    closeSync(reader)
  }),
)

test(
  "with zeroCopyPolicy 'enabled' large writes go without a copy, and resolve when the memory is free",
  needs({ ...onRing, linux: '6.0' }, async () => {
    await using uring = Uring.open({ zeroCopyPolicy: 'enabled' })
    const hash = createHash('sha1')
    let over!: () => void
    const received = new Promise<void>((resolve) => {
      over = resolve
    })
    const peer = await serveNode((socket) => {
      socket.on('data', (chunk) => hash.update(chunk))
      socket.on('end', over)
    })
    const socket = await connect({ port: peer.port, host: '127.0.0.1', uring })
    const expected = createHash('sha1')
    const data = Buffer.alloc(1 << 20)
    const { IORING_OP_SEND_ZC: withoutCopy = 0, IORING_OP_SEND: copied = 0 } = await countOpcodes(
      async () => {
        for (let round = 0; round < 64; round++) {
          data.fill(pattern(1000, round))
          expected.update(data)
          // Written over in the next round: the promise says when that may be.
          await socket.write(data)
          if (round % 8 === 0) {
            socket.write(`small ${round}`)
            expected.update(`small ${round}`)
          }
        }
        await socket.end()
        await received
      },
    )
    assert.ok(withoutCopy >= 64, `${withoutCopy} sends without a copy`)
    assert.ok(copied >= 8, `${copied} sends of small writes`)
    assert.is(hash.digest('hex'), expected.digest('hex'))
    await socket.closed
    await peer.close()
  }),
)

test(
  'with another zeroCopyPolicy nothing is sent without a copy',
  needs({ ...onRing, linux: '6.0' }, async () => {
    for (const zeroCopyPolicy of ['auto', 'disabled'] as const) {
      await using uring = Uring.open({ zeroCopyPolicy })
      const { ours, theirs, close } = await pair({ uring })
      theirs.resume()
      const counts = await countOpcodes(async () => {
        await ours.write(Buffer.alloc(1 << 20))
      })
      assert.is(counts.IORING_OP_SEND_ZC, undefined)
      assert.ok(counts.IORING_OP_SEND! > 0)
      await close()
    }
  }),
)

test(
  'a write of several pieces resolves when the memory of all of them is free',
  needs({ ...onRing, linux: '6.0' }, async () => {
    await using uring = Uring.open({ zeroCopyPolicy: 'enabled' })
    const { ours, theirs, close } = await pair({ uring })
    theirs.pause()
    // What is in front of it keeps the network from taking the first piece, which goes without a copy; the second, which
    // is copied, is taken at once.
    for (let piece = 0; piece < 40; piece++) ours.write(Buffer.alloc(16384, 'x'))
    await ours.flush()
    const first = Buffer.alloc(65536, 'A')
    const writing = Promise.resolve(ours.write([first, Buffer.alloc(20_000, 'M')])).then(() =>
      first.fill('B'),
    )
    let received = 0
    let wrong = 0
    await delay(50)
    theirs.on('data', (chunk) => {
      received += chunk.length
      for (const byte of chunk) if (byte === 66) wrong++
    })
    theirs.resume()
    await until(() => received === 40 * 16384 + 65536 + 20_000, 'everything has come')
    await writing
    assert.is(wrong, 0)
    await close()
  }),
)

test(
  'where no more memory may be pinned, writes are copied',
  needs({ ...onRing, linux: '6.0', command: 'setpriv' }, () => {
    const script = fileURLToPath(new URL('children/few-pinned.ts', import.meta.url))
    // The limit does not hold for those with the capability.
    const capability = process.getuid?.() === 0 ? ['--bounding-set=-ipc_lock', '--inh-caps=-ipc_lock'] : []
    const { status, stdout, stderr } = spawnSync(
      'setpriv',
      [...capability, process.execPath, '--import', import.meta.resolve('tsx'), script],
      { encoding: 'utf8', timeout: 30_000 * PATIENCE },
    )
    assert.is(status, 0, stderr)
    assert.equal(JSON.parse(stdout), { sent: 'all', received: 24 << 20 })
  }),
)

test(
  'a connection with zero-copy sends in flight closes at once, and the memory is held until the network lets go',
  needs({ ...onRing, linux: '6.0' }, async () => {
    await using uring = Uring.open({ zeroCopyPolicy: 'enabled' })
    const peer = await serveNode((socket) => socket.pause())
    const before = descriptorCount()
    for (let round = 0; round < 5; round++) {
      const socket = await connect({ port: peer.port, host: '127.0.0.1', uring })
      const writes = Array.from({ length: 8 }, () =>
        Promise.resolve(socket.write(Buffer.alloc(1 << 20))).catch(() => {}),
      )
      await delay(5)
      socket.destroy()
      await socket.closed
      await Promise.race([Promise.all(writes), delay(50)])
    }
    await peer.close()
    await until(() => descriptorCount() <= before, 'all descriptors closed')
  }),
)

test.run()
