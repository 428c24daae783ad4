// socket.stream(): a Duplex with the members of a net.Socket. At the other end is node:net, or another stream.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import {
  type AddressInfo,
  createServer as createNetServer,
  type Socket as NetSocket,
  connect as netConnect,
} from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex, finished } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  connect,
  createConnection,
  createServer,
  type Server,
  type ServerOptions,
  type Socket,
  SocketStream,
} from '../../src/net/index.js'
import { assert, test } from '../harness.js'

const LOCALHOST = '127.0.0.1'

interface Pair extends AsyncDisposable {
  readonly socket: Socket
  readonly stream: SocketStream
  /** The other end. */
  readonly peer: NetSocket
  readonly server: Server
}

/** A connection to a server of ours, whose stream is looked at; the other end is node:net's. */
async function pair(options: ServerOptions = {}): Promise<Pair> {
  let accept!: (socket: Socket) => void
  const accepted = new Promise<Socket>((resolve) => {
    accept = resolve
  })
  const server = createServer(options, (socket) => accept(socket as Socket))
  await server.listen({ port: 0, host: LOCALHOST })
  const { port } = server.address() as AddressInfo
  const peer = netConnect({ port, host: LOCALHOST, allowHalfOpen: true })
  await once(peer, 'connect')
  const socket = await accepted
  const stream = socket.stream() as SocketStream
  return {
    socket,
    stream,
    peer,
    server,
    async [Symbol.asyncDispose]() {
      stream.destroy()
      peer.destroy()
      await server.close({ deadlineMs: 0 })
    },
  }
}

/** All that comes until the end. Not by iterating, which destroys a stream that is still to be written to. */
function text(readable: Duplex): Promise<string> {
  const chunks: Buffer[] = []
  readable.on('data', (chunk) => chunks.push(chunk))
  return new Promise((resolve, reject) => {
    readable.once('end', () => resolve(Buffer.concat(chunks).toString())).once('error', reject)
  })
}

/** The arguments of 'close', also when an error comes first, by which `once` would reject. */
function closeOf(stream: Duplex): Promise<unknown[]> {
  return new Promise((resolve) => {
    stream.once('close', (...args) => resolve(args))
  })
}

test('stream() is a Duplex, the same each time, that has what libraries look for', async () => {
  await using made = await pair()
  const { stream, socket, peer } = made
  assert.instance(stream, Duplex)
  assert.instance(stream, SocketStream)
  assert.is(socket.stream(), stream)
  assert.is(stream._handle, undefined)
  assert.is((stream as unknown as { encrypted?: boolean }).encrypted, undefined)
  assert.is(stream.connecting, false)
  assert.is(stream.pending, false)
  assert.is(stream.readyState, 'open')
  assert.is(stream.remoteAddress, LOCALHOST)
  assert.is(stream.remotePort, peer.localPort)
  assert.is(stream.remoteFamily, 'IPv4')
  assert.is(stream.localAddress, LOCALHOST)
  assert.is(stream.localPort, peer.remotePort)
  assert.equal(stream.address(), { address: LOCALHOST, family: 'IPv4', port: peer.remotePort })
  assert.is(stream.setNoDelay(), stream)
  assert.is(stream.setKeepAlive(true, 1000), stream)
  assert.is(stream.ref(), stream)
  assert.is(stream.unref(), stream)
  assert.is(stream.timeout, undefined)
  const members = ['setTimeout', 'destroySoon', 'resetAndDestroy', 'cork', 'uncork', 'end', 'pause', 'resume']
  for (const name of members) assert.type(stream[name as keyof SocketStream], 'function', name)
})

test('the native reader is refused beside the stream', async () => {
  await using made = await pair()
  await assert.rejects(made.socket.read(), { code: 'ERR_INVALID_STATE' })
})

test('data goes both ways, and both ends come', async () => {
  await using made = await pair({ allowHalfOpen: true })
  const { stream, peer } = made
  peer.end('to the stream')
  assert.is(await text(stream), 'to the stream')
  stream.write('to ')
  stream.end('the peer')
  assert.is(await text(peer), 'to the peer')
  assert.is(stream.bytesRead, 13)
  assert.is(stream.bytesWritten, 11)
})

test('the events of an orderly end are those of a net.Socket, in its order', async () => {
  await using made = await pair()
  const { stream, peer } = made
  const seen: string[] = []
  for (const name of ['end', 'finish', 'close', 'error']) {
    stream.on(name, (...args) => seen.push(`${name} ${args.join()}`.trim()))
  }
  stream.resume()
  peer.end()
  peer.resume()
  await closeOf(stream)
  assert.equal(seen, ['end', 'finish', 'close false'])
  assert.is(stream.destroyed, true)
  assert.is(stream.readyState, 'closed')
  await made.socket.closed
})

test('a reset by the peer is ECONNRESET, then close with an error', async () => {
  await using made = await pair()
  const { stream, peer } = made
  stream.resume()
  const failed = once(stream, 'error')
  const closed = closeOf(stream)
  peer.resetAndDestroy()
  const [error] = await failed
  assert.is(error.code, 'ECONNRESET')
  assert.is(error.syscall, 'read')
  assert.is(error.message, 'read ECONNRESET')
  assert.equal(await closed, [true])
})

test('destroy(error) emits the error and closes the connection', async () => {
  await using made = await pair()
  const { stream, peer } = made
  const failure = new Error('enough')
  const failed = once(stream, 'error')
  const closed = closeOf(stream)
  const peerClosed = closeOf(peer)
  peer.resume().on('end', () => peer.end())
  stream.destroy(failure)
  assert.is((await failed)[0], failure)
  assert.equal(await closed, [true])
  await peerClosed
})

test('resetAndDestroy() resets the connection', async () => {
  await using made = await pair()
  const failed = once(made.peer, 'error')
  made.peer.resume()
  made.stream.resetAndDestroy()
  assert.is((await failed)[0].code, 'ECONNRESET')
})

test('destroySoon() sends what was written first', async () => {
  await using made = await pair()
  const { stream, peer } = made
  const data = randomBytes(1 << 20)
  stream.write(data)
  stream.destroySoon()
  const received: Buffer[] = []
  for await (const chunk of peer) received.push(chunk)
  peer.end()
  assert.ok(Buffer.concat(received).equals(data))
  if (!stream.closed) await closeOf(stream)
})

test('what was written right before destroy() still goes out, as with node:net', async () => {
  await using made = await pair()
  const received = text(made.peer)
  made.stream.write('last words')
  made.stream.destroy()
  assert.is(await received, 'last words')
})

test('a peer that ends gets an answer with allowHalfOpen, and EPIPE is what comes without', async () => {
  await using open = await pair({ allowHalfOpen: true })
  open.peer.end('question')
  assert.is(await text(open.stream), 'question')
  await sleep(10)
  assert.is(open.stream.writable, true)
  open.stream.end('answer')
  assert.is(await text(open.peer), 'answer')

  await using closed = await pair({ allowHalfOpen: false })
  closed.stream.resume()
  closed.peer.end()
  const failed = once(closed.stream, 'error')
  // Two ticks later the stream has ended itself, and the connection is still there.
  const writeTooLate = () => closed.stream.write('too late')
  closed.stream.once('end', () => process.nextTick(() => process.nextTick(writeTooLate)))
  assert.is((await failed)[0].code, 'EPIPE')
})

test('a half-open stream closes with its connection', async () => {
  await using made = await pair({ allowHalfOpen: true })
  const { socket, stream, peer } = made
  stream.resume()
  peer.end('all')
  await once(stream, 'end')
  const closed = closeOf(stream)
  socket.destroy()
  assert.equal(await closed, [false])
  assert.ok(stream.destroyed)
})

test('a write after end() is ERR_STREAM_WRITE_AFTER_END', async () => {
  await using made = await pair({ allowHalfOpen: true })
  const failed = once(made.stream, 'error')
  made.stream.end()
  made.stream.write('x')
  assert.is((await failed)[0].code, 'ERR_STREAM_WRITE_AFTER_END')
})

test('writes of one turn, corked or not, arrive whole and in order', async () => {
  await using made = await pair({ allowHalfOpen: true })
  const { stream, peer } = made
  const pieces = Array.from({ length: 500 }, (_, index) => `${index},`)
  stream.cork()
  for (const piece of pieces.slice(0, 250)) stream.write(piece)
  stream.uncork()
  for (const piece of pieces.slice(250)) stream.write(Buffer.from(piece))
  stream.write('4142', 'hex')
  stream.end()
  assert.is(await text(peer), `${pieces.join('')}AB`)
})

test('a reader that pauses stops the peer; nothing is lost', async () => {
  await using made = await pair({ allowHalfOpen: true })
  const { stream, peer } = made
  const total = 32 << 20
  const block = randomBytes(1 << 20)
  let sent = 0
  const send = (): void => {
    while (sent < total) {
      sent += block.length
      if (!peer.write(block)) break
    }
    if (sent >= total) peer.end()
  }
  peer.on('drain', send)
  send()
  await sleep(200)
  // What waits: the marks of both streams, and the buffers of the two sockets.
  assert.ok(stream.readableLength <= 1 << 20, `${stream.readableLength} bytes wait`)
  assert.ok(sent < total, `the peer could send all ${sent} bytes`)
  let received = 0
  for await (const chunk of stream) {
    const at = received % block.length
    const first = Math.min(chunk.length, block.length - at)
    assert.ok(chunk.subarray(0, first).equals(block.subarray(at, at + first)), `other bytes at ${received}`)
    received += chunk.length
  }
  assert.is(received, total)
})

test('a peer that does not read stops the writer; drain comes when it reads again', async () => {
  await using made = await pair({ allowHalfOpen: true })
  const { stream, peer } = made
  peer.pause()
  const block = randomBytes(1 << 20)
  let written = 0
  while (stream.write(block)) written += block.length
  written += block.length
  await sleep(50)
  while (written < 16 << 20 && !stream.writableNeedDrain) {
    stream.write(block)
    written += block.length
  }
  assert.is(stream.writableNeedDrain, true)
  assert.is(stream.bytesWritten, written)
  const drained = once(stream, 'drain')
  let received = 0
  peer.resume().on('data', (chunk) => {
    received += chunk.length
  })
  await drained
  stream.end()
  await once(peer, 'end')
  assert.is(received, written)
})

test('setTimeout() emits timeout when nothing happens, again and again when something does', async () => {
  await using made = await pair()
  const { stream, peer } = made
  stream.resume()
  let isOver = false
  assert.is(
    stream.setTimeout(800, () => {
      isOver = true
    }),
    stream,
  )
  assert.is(stream.timeout, 800)
  for (let index = 0; index < 10; index++) {
    peer.write('x')
    await sleep(100)
    assert.not(isOver, `timed out after ${index} writes`)
  }
  await once(stream, 'timeout')
  assert.ok(isOver)
  assert.not(stream.destroyed)
  isOver = false
  const never = () => assert.unreachable('it was switched off')
  stream.setTimeout(20, never).setTimeout(0, never)
  await sleep(100)
  assert.is(stream.listenerCount('timeout'), 0)
  assert.throws(() => stream.setTimeout(-1), { code: 'ERR_OUT_OF_RANGE' })
  assert.throws(() => stream.setTimeout(1, 1 as never), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('pipeline() and finished() understand it', async () => {
  await using made = await pair({ allowHalfOpen: true })
  const { stream, peer } = made
  const data = randomBytes(5 << 20)
  const over = new Promise<void>((resolve, reject) => {
    finished(stream, (error) => (error ? reject(error) : resolve()))
  })
  const echoing = pipeline(stream, stream)
  const received: Buffer[] = []
  peer.on('data', (chunk) => received.push(chunk))
  peer.end(data)
  await echoing
  await once(peer, 'end')
  assert.ok(Buffer.concat(received).equals(data))
  await over
})

test('a stream that is not read notices its peer going', async () => {
  await using made = await pair()
  const failed = once(made.stream, 'error')
  made.peer.resetAndDestroy()
  assert.is((await failed)[0].code, 'ECONNRESET')
})

test('connect().stream() talks to node:net, over TCP and over a path', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'uring-stream-'))
  const server = createNetServer((socket) => socket.pipe(socket))
  try {
    for (const place of [{ port: 0, host: LOCALHOST }, { path: join(folder, 'socket') }]) {
      server.listen(place)
      await once(server, 'listening')
      const address = server.address()
      const socket = await connect(
        typeof address === 'string' ? { path: address } : { port: address!.port, host: LOCALHOST },
      )
      const stream = socket.stream()
      stream.end('there and back')
      assert.is(await text(stream), 'there and back')
      server.close()
      await once(server, 'close')
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('createConnection() is connecting at first, and sends what was written meanwhile', async () => {
  const server = createNetServer((socket) => socket.pipe(socket))
  server.listen(0, LOCALHOST)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const seen: string[] = []
  const stream = createConnection({ port, host: 'localhost', family: 4 }, () => seen.push('connected'))
  stream.on('lookup', (error, address, family, host) =>
    seen.push(`lookup ${error} ${address} ${family} ${host}`),
  )
  stream.on('ready', () => seen.push('ready'))
  assert.is(stream.connecting, true)
  assert.is(stream.pending, true)
  assert.is(stream.readyState, 'opening')
  assert.is(stream.remoteAddress, undefined)
  assert.equal(stream.address(), {})
  stream.write('early ')
  assert.is(stream.bytesWritten, 6)
  await once(stream, 'connect')
  assert.is(stream.connecting, false)
  assert.is(stream.remotePort, port)
  stream.end('and late')
  assert.is(await text(stream), 'early and late')
  assert.equal(seen, [`lookup null ${LOCALHOST} 4 localhost`, 'connected', 'ready'])
  server.close()
})

test('createConnection() that is refused emits error, then close', async () => {
  const free = createNetServer().listen(0, LOCALHOST)
  await once(free, 'listening')
  const { port } = free.address() as AddressInfo
  free.close()
  await once(free, 'close')
  const stream = createConnection({ port, host: LOCALHOST })
  const closed = closeOf(stream)
  const [error] = await once(stream, 'error')
  assert.is(error.code, 'ECONNREFUSED')
  assert.is(error.message, `connect ECONNREFUSED ${LOCALHOST}:${port}`)
  assert.equal(await closed, [true])
})

test('createConnection() can be destroyed before it is connected', async () => {
  const stream = createConnection({ port: 9, host: 'never.found', lookup: () => {} })
  const closed = closeOf(stream)
  await sleep(5)
  stream.destroy()
  assert.equal(await closed, [false])
  assert.is(stream.destroyed, true)
})

test('unref() lets a process end that only waits for its peer', async () => {
  await using made = await pair()
  made.stream.unref()
  made.stream.ref()
  const echoed = once(made.peer, 'data')
  made.stream.write('still here')
  assert.is(String((await echoed)[0]), 'still here')
})

test.run()
