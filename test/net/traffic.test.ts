// What goes over a connection: chunks, leases, back pressure, cork by turn, half-open ends, odd sizes, large amounts.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Lease, type Socket } from '../../src/net/index.js'
import { defaultUring } from '../../src/runtime/index.js'
import { assert, needs, test } from '../harness.js'
import { PATIENCE, scaled } from '../patience.js'
import {
  delay,
  dial,
  digest,
  echo,
  onRing,
  pair,
  pattern,
  readAll,
  serve,
  serveNode,
  until,
} from './peers.js'

test('data of every size arrives whole and in order, in both directions', async () => {
  const { server, port } = await serve(echo)
  for (const size of [1, 2, 63, 64, 65, 255, 4095, 16384, 16385, 65536, 1_000_003, 5_000_000]) {
    const socket = await connect({ port, host: '127.0.0.1' })
    const data = pattern(size)
    const sending = Promise.resolve(socket.write(data)).then(() => socket.end())
    const received = await readAll(socket)
    await sending
    assert.is(received.length, size)
    assert.is(digest(received), digest(data))
    assert.is(socket.bytesRead, size)
    assert.is(socket.bytesWritten, size)
    assert.is(socket.pendingBytes, 0)
  }
  await server.close()
})

test('write() takes text, views and arrays, in order', async () => {
  const { ours, theirs, close } = await pair()
  const long = 'ä'.repeat(30_000)
  ours.write('text ')
  ours.write([
    'a',
    Buffer.from('b'),
    new Uint16Array([0x6463]),
    new DataView(new ArrayBuffer(1)),
    new ArrayBuffer(2),
  ])
  ours.write([])
  ours.write('')
  ours.write(long)
  ours.write(new Uint8Array(Buffer.from('end')))
  void ours.end()
  const chunks: Buffer[] = []
  for await (const chunk of theirs) chunks.push(chunk)
  assert.is(String(Buffer.concat(chunks)), `text abcd\0\0\0${long}end`)
  await close()
})

test('what write() took with true may be changed at once, and what it sends in place after the promise', async () => {
  const { ours, theirs, close } = await pair()
  const small = Buffer.alloc(1000, 'a')
  assert.is(ours.write(small), true)
  small.fill('b')
  const large = Buffer.alloc(200_000, 'c')
  const sent = ours.write(large)
  assert.instance(sent, Promise)
  const ending = Promise.resolve(sent).then(() => {
    large.fill('d')
    return ours.end()
  })
  const chunks: Buffer[] = []
  for await (const chunk of theirs) chunks.push(chunk)
  const all = Buffer.concat(chunks)
  assert.is(all.length, 201_000)
  assert.ok(all.subarray(0, 1000).equals(Buffer.alloc(1000, 'a')))
  assert.ok(all.subarray(1000).equals(Buffer.alloc(200_000, 'c')))
  await ending
  await close()
})

test(
  'what is written in one turn goes out in one system call',
  needs(onRing, async () => {
    const { ours, theirs, close } = await pair()
    const uring = defaultUring()!
    await ours.flush()
    theirs.resume()
    await delay(20)
    const before = uring.counters
    for (let index = 0; index < 100; index++) ours.write(`line ${index}\n`)
    await ours.flush()
    const { enters, submitted } = uring.counters
    assert.ok(enters - before.enters <= 2, `${enters - before.enters} enters`)
    assert.is(submitted - before.submitted, 1)
    await close()
  }),
)

test('read() takes chunk by chunk, and an iteration that is left goes on in the next', async () => {
  const { ours, theirs, close } = await pair()
  theirs.write('one')
  assert.is(String(await ours.read()), 'one')
  theirs.write('two')
  for await (const chunk of ours) {
    assert.is(String(chunk), 'two')
    break
  }
  assert.is(ours.destroyed, false)
  theirs.end('three')
  assert.is(String(await readAll(ours)), 'three')
  assert.is(ours.readableEnded, true)
  assert.is(await ours.read(), null)
  assert.equal(await ours[Symbol.asyncIterator]().next(), { value: undefined, done: true })
  await close()
})

test('a second reader is refused while one waits', async () => {
  const { ours, theirs, close } = await pair()
  const first = ours.read()
  await assert.rejects(ours.read(), { code: 'ERR_INVALID_STATE' })
  assert.throws(() => ours.consume({ onData() {}, onEnd() {}, onClose() {} }), { code: 'ERR_INVALID_STATE' })
  theirs.write('x')
  assert.is(String(await first), 'x')
  await close()
})

test('a sink is called with everything, stands still while paused, and hears of the end last', async () => {
  const { ours, theirs, close } = await pair()
  const data = pattern(3_000_000)
  const hash = createHash('sha1')
  const calls: string[] = []
  let bytes = 0
  let isPaused = false
  const over = new Promise<void>((resolve) => {
    ours.consume({
      onData(chunk) {
        assert.is(isPaused, false)
        hash.update(chunk)
        bytes += chunk.length
        if (bytes % 5 !== 0) return
        isPaused = true
        ours.pause()
        setTimeout(() => {
          isPaused = false
          ours.resume()
        }, 1)
      },
      onEnd: () => calls.push('end'),
      onClose(error) {
        calls.push(`close ${error}`)
        resolve()
      },
    })
  })
  theirs.end(data)
  await over
  assert.equal(calls, ['end', 'close null'])
  assert.is(bytes, data.length)
  assert.is(hash.digest('hex'), digest(data))
  await close()
})

test(
  'a sink that throws takes its connection with it, and the error is an uncaught exception',
  needs(onRing, async () => {
    const { ours, theirs, close } = await pair()
    const uncaught = new Promise<Error>((resolve) => process.once('uncaughtException', resolve))
    let closed = 0
    ours.consume({
      onData() {
        throw new Error('not this one')
      },
      onEnd() {},
      onClose: () => closed++,
    })
    theirs.write('x')
    assert.is((await uncaught).message, 'not this one')
    await ours.closed
    assert.is(closed, 1)
    await close()
  }),
)

test('a peer that sends one byte at a time is understood', async () => {
  const { server, port } = await serve(echo)
  const client = await dial(port, { noDelay: true } as never)
  client.setNoDelay(true)
  const data = pattern(500)
  const received: Buffer[] = []
  client.on('data', (chunk) => received.push(chunk))
  for (const byte of data) {
    client.write(Buffer.of(byte))
    await new Promise(setImmediate)
  }
  client.end()
  await once(client, 'close')
  assert.ok(Buffer.concat(received).equals(data))
  await server.close()
})

test('leases hand out the data and take their memory back', async () => {
  const peer = await serveNode((socket) => socket.end(pattern(2_000_000)))
  const socket = await connect({ port: peer.port, host: '127.0.0.1', chunks: 'lease' })
  const hash = createHash('sha1')
  let first: Lease | null = null
  for await (const lease of socket) {
    assert.is(lease.bytes.length, lease.length)
    hash.update(lease.bytes)
    if (first === null) {
      first = lease
      assert.ok(lease.copy().equals(lease.bytes))
    }
    lease.release()
    assert.is(lease.released, true)
  }
  assert.throws(() => first!.bytes, { code: 'ERR_INVALID_STATE' })
  assert.throws(() => first!.release(), { code: 'ERR_INVALID_STATE' })
  first![Symbol.dispose]()
  assert.is(hash.digest('hex'), digest(pattern(2_000_000)))
  await peer.close()
})

test('leases that are kept until all buffers are gone stop the peer, and nothing is lost', async () => {
  // 24 MiB are more than all buffers of the ring hold.
  const data = pattern(24 << 20)
  const peer = await serveNode((socket) => socket.end(data))
  const socket = await connect({
    port: peer.port,
    host: '127.0.0.1',
    chunks: 'lease',
    highWaterMark: 64 << 20,
  })
  const hash = createHash('sha1')
  const kept: Lease[] = []
  let most = 0
  const releaseAll = (): void => {
    for (const lease of kept.splice(0)) {
      hash.update(lease.bytes)
      lease.release()
    }
  }
  const reading = (async () => {
    for await (const lease of socket) {
      kept.push(lease)
      most = Math.max(most, kept.length)
    }
  })()
  // Until none has come for a while.
  for (let seen = -1, calm = 0; calm < 10; calm = kept.length === seen ? calm + 1 : 0) {
    seen = kept.length
    await delay(50 * PATIENCE)
  }
  const timer = setInterval(releaseAll, 2)
  await reading
  clearInterval(timer)
  releaseAll()
  // The 64 large buffers of a ring, at least: where each receive is armed anew it takes a whole one.
  assert.ok(most >= 64, `${most} leases at once`)
  assert.is(hash.digest('hex'), digest(data))
  await peer.close()
})

test('end() leaves the other direction open, and allowHalfOpen ours after the end of the peer', async () => {
  const { server, port } = await serve(
    async (socket) => {
      const request = await readAll(socket)
      // The peer has ended; the answer takes its time.
      await delay(20)
      await socket.end(`${request.length} bytes`)
    },
    { allowHalfOpen: true },
  )
  const client = await connect({ port, host: '127.0.0.1' })
  client.write(pattern(100_000))
  await client.end()
  assert.is(client.writableEnded, true)
  assert.is(String(await readAll(client)), '100000 bytes')
  await client.closed
  await server.close()
})

test('the end of the peer ends ours without allowHalfOpen, after what the reader still has to say', async () => {
  const { ours, theirs, close } = await pair()
  const answer = readAll(theirs as AsyncIterable<Buffer>)
  theirs.end('question')
  assert.is(String(await readAll(ours)), 'question')
  ours.write('last words')
  assert.is(String(await answer), 'last words')
  await ours.closed
  const refused = ours.write('more')
  await assert.rejects(refused as Promise<void>, (error) =>
    ['EPIPE', 'ERR_STREAM_DESTROYED'].includes(error.code),
  )
  await close()
})

test('shutdown() ends one direction or both', async () => {
  const { ours, theirs, close } = await pair({}, { allowHalfOpen: true })
  theirs.resume()
  const ended = once(theirs, 'end')
  ours.write('before')
  await ours.shutdown()
  await ended
  await assert.rejects(ours.write('after') as Promise<void>, { code: 'ERR_STREAM_WRITE_AFTER_END' })
  theirs.write('dropped')
  await ours.shutdown('read')
  theirs.end('dropped too')
  await ours.closed
  assert.is(ours.bytesRead, 0)
  await close()
})

test(
  'a slow reader stops the peer: what waits is bounded, and resumes without loss',
  needs({}, async () => {
    const { ours, theirs, close } = await pair({ highWaterMark: 65536 })
    // More than the kernel keeps for a connection.
    const data = pattern(48 << 20)
    let sent = 0
    for (let at = 0; at < data.length; at += 65536) {
      theirs.write(data.subarray(at, at + 65536), () => {
        sent += 65536
      })
    }
    theirs.end()
    const first = await ours.read()
    await delay(150)
    // The mark, what was on its way when it was passed, and one buffer: not the 48 MiB.
    assert.ok(ours.bytesRead < 4 << 20, `${ours.bytesRead} bytes wait`)
    assert.ok(sent < data.length)
    const rest = await readAll(ours)
    assert.is(digest(Buffer.concat([first!, rest])), digest(data))
    await close()
  }),
)

test('write() asks for patience when the peer does not read, and goes on when it does', async () => {
  const { ours, theirs, close } = await pair({ highWaterMark: 16384 })
  theirs.pause()
  const data = pattern(8192)
  let taken = 0
  let waits: Promise<void> | null = null
  while (waits === null) {
    const result = ours.write(data)
    taken++
    if (result !== true) waits = result
    else await new Promise(setImmediate)
    if (taken > 10_000) throw new Error('no back pressure')
  }
  let isDone = false
  void waits.then(() => {
    isDone = true
  })
  await delay(30)
  assert.is(isDone, false)
  assert.ok(ours.pendingBytes > 0)
  let received = 0
  theirs.resume()
  theirs.on('data', (chunk) => {
    received += chunk.length
  })
  await waits
  await ours.flush()
  assert.is(ours.pendingBytes, 0)
  await until(() => received === taken * data.length, 'all data at the peer')
  await close()
})

const BLOCK_BYTES = 1 << 18
const MANY_BYTES = scaled(4096) * BLOCK_BYTES

async function send(socket: Socket, total: number, seed: number): Promise<string> {
  const block = pattern(BLOCK_BYTES, seed)
  const hash = createHash('sha1')
  for (let at = 0; at < total; at += block.length) {
    hash.update(block)
    await socket.write(block)
  }
  await socket.end()
  return hash.digest('hex')
}

async function receive(socket: Socket): Promise<string> {
  const hash = createHash('sha1')
  for await (const chunk of socket) hash.update(chunk)
  return hash.digest('hex')
}

test(`${MANY_BYTES} bytes go in each direction at once, every one checked`, async () => {
  const total = MANY_BYTES
  let atServer!: Promise<[string, string]>
  const { server, port } = await serve(
    (socket) => {
      atServer = Promise.all([send(socket, total, 7), receive(socket)])
    },
    { allowHalfOpen: true },
  )
  const client = await connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const [sent, received] = await Promise.all([send(client, total, 3), receive(client)])
  const [sentByServer, receivedByServer] = await atServer
  assert.is(receivedByServer, sent)
  assert.is(received, sentByServer)
  assert.is(client.bytesRead, total)
  await client.closed
  await server.close()
})

test.run()
