// Servers: handlers that fail, bounds, and how a server ends.

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { connect, createServer, type Socket } from '../../src/net/index.js'
import {
  IPPROTO_TCP,
  SO_KEEPALIVE,
  SOL_SOCKET,
  TCP_KEEPIDLE,
  TCP_NODELAY,
} from '../../src/syscalls/abi/index.js'
import { descriptorCount } from '../descriptors.js'
import { assert, test } from '../harness.js'
import { delay, dial, echo, pattern, readAll, serve, settledDescriptorCount, until } from './peers.js'
import { descriptorOf, optionOf } from './socket-options.js'

test('a handler that throws or rejects takes its own connection with it, and no other', async () => {
  const errors: [unknown, unknown][] = []
  let count = 0
  const { server, port } = await serve(
    (socket) => {
      count++
      if (count === 1) throw new Error('thrown')
      if (count === 2) return Promise.reject(new Error('rejected'))
      return echo(socket)
    },
    { onError: (error, socket) => errors.push([(error as Error).message, socket?.destroyed]) },
  )
  for (let index = 0; index < 2; index++) {
    const client = await dial(port)
    client.resume()
    await once(client, 'close')
  }
  const client = await dial(port)
  client.end('fine')
  assert.is(String(await readAll(client as AsyncIterable<Buffer>)), 'fine')
  assert.equal(errors, [
    ['thrown', true],
    ['rejected', true],
  ])
  await server.close()
})

test('a handler that fails with the error of its connection is not reported', async () => {
  const errors: unknown[] = []
  const { server, port } = await serve(echo, { onError: (error) => errors.push(error) })
  const client = await dial(port)
  client.write('x')
  await once(client, 'data')
  client.resetAndDestroy()
  await until(() => server.connections === 0, 'the connection closed')
  await delay(10)
  assert.equal(errors, [])
  await server.close()
})

test('a server has a port while it listens on one', async () => {
  const { server, port } = await serve(echo)
  assert.is(server.port, port)
  await server.close()
  assert.is(server.port, undefined)
  const path = join(mkdtempSync(join(tmpdir(), 'uring-port-')), 'socket')
  await server.listen({ path })
  assert.is(server.port, undefined)
  await server.close()
  rmSync(dirname(path), { recursive: true })
})

test('without onError a handler that throws is an uncaught exception', async () => {
  const uncaught = new Promise<Error>((resolve) => process.once('uncaughtException', resolve))
  const { server, port } = await serve(() => {
    throw new Error('nobody catches this')
  })
  const client = await dial(port)
  assert.is((await uncaught).message, 'nobody catches this')
  client.destroy()
  await server.close()
})

test('connections beyond maxConnections are closed at once', async () => {
  const { server, port } = await serve(echo, { maxConnections: 2 })
  const first = await dial(port)
  const second = await dial(port)
  first.write('1')
  second.write('2')
  await Promise.all([once(first, 'data'), once(second, 'data')])
  assert.is(server.connections, 2)
  const third = await dial(port)
  third.resume()
  await once(third, 'close')
  first.destroy()
  await until(() => server.connections === 1, 'one connection')
  const fourth = await dial(port)
  fourth.write('4')
  assert.is(String((await once(fourth, 'data'))[0]), '4')
  second.destroy()
  fourth.destroy()
  await server.close()
})

test('close() refuses new connections and waits for those that are open', async () => {
  const { server, port } = await serve(echo)
  const client = await dial(port)
  client.write('one')
  await once(client, 'data')
  let isClosed = false
  const closing = server.close().then(() => {
    isClosed = true
  })
  assert.is(server.listening, false)
  await delay(20)
  const late = net.connect(port, '127.0.0.1')
  await once(late, 'connect').then(
    () => assert.unreachable('connected to a closed server'),
    (error) => assert.is(error.code, 'ECONNREFUSED'),
  )
  client.write('two')
  assert.is(String((await once(client, 'data'))[0]), 'two')
  assert.is(isClosed, false)
  client.end()
  await closing
  assert.is(server.connections, 0)
  // It can listen again.
  await server.listen({ port: 0, host: '127.0.0.1' })
  const again = await dial((server.address() as AddressInfo).port)
  again.end('again')
  assert.is(String(await readAll(again as AsyncIterable<Buffer>)), 'again')
  await server.close()
})

test('close() destroys after the deadline what is open still', async () => {
  const before = descriptorCount()
  const sockets: Socket[] = []
  const { server, port } = await serve((socket) => {
    sockets.push(socket)
    void Promise.resolve(socket.write(pattern(8_000_000))).catch(() => {})
  })
  const clients = await Promise.all(Array.from({ length: 5 }, () => dial(port)))
  for (const client of clients) client.pause()
  await until(() => sockets.length === 5, 'five connections')
  const start = performance.now()
  await server.close({ deadlineMs: 60 })
  const elapsed = performance.now() - start
  // The clients read nothing: without the deadline it would not end.
  assert.ok(elapsed >= 50, `${elapsed} ms`)
  for (const socket of sockets) assert.is(socket.destroyed, true)
  for (const client of clients) client.destroy()
  await until(() => descriptorCount() <= before + 1, 'all descriptors closed')
})

test('a second close() ends with the first, and can bring the deadline', async () => {
  const { server, port } = await serve(echo)
  const client = await dial(port)
  client.write('x')
  await once(client, 'data')
  const first = server.close()
  const second = server.close({ deadlineMs: 0 })
  await Promise.all([first, second])
  client.destroy()
  await assert.rejects(server.close({ deadlineMs: -1 }), { code: 'ERR_OUT_OF_RANGE' })
})

test('aborting the signal of listen() closes the server', async () => {
  const controller = new AbortController()
  const server = createServer({}, echo)
  await server.listen({ port: 0, host: '127.0.0.1', signal: controller.signal })
  const { port } = server.address() as AddressInfo
  controller.abort()
  await until(() => server.address() === null, 'the server closed')
  const late = net.connect(port, '127.0.0.1')
  const [error] = (await once(late, 'error').catch((reason) => [reason])) as [NodeJS.ErrnoException]
  assert.is(error.code, 'ECONNREFUSED')
  await assert.rejects(createServer({}, echo).listen({ port: 0, signal: AbortSignal.abort() }), {
    name: 'AbortError',
  })
})

test('a handler whose write is cut short by the deadline is not reported', async () => {
  const errors: unknown[] = []
  const { server, port } = await serve(echo, { onError: (error) => errors.push(error) })
  const client = await dial(port)
  client.pause()
  client.write(pattern(16 << 20))
  let taken = -1
  // The echo waits for a peer that reads nothing.
  await until(async () => {
    const before = taken
    taken = client.bytesWritten - client.writableLength
    await delay(50)
    return server.connections === 1 && taken === before
  }, 'nothing moves')
  await server.close({ deadlineMs: 0 })
  await delay(20)
  assert.equal(errors, [])
  client.destroy()
})

test('a connection that is being accepted when the deadline has passed is closed as well', async () => {
  // At every point from before the handshake to after the handler.
  for (const wait of [process.nextTick, setImmediate]) {
    for (let turns = 0; turns < 8; turns++) {
      const { server, port } = await serve(() => {})
      await delay(5)
      const client = net.connect(port, '127.0.0.1').on('error', () => {})
      for (let turn = 0; turn < turns; turn++) await new Promise<void>((resolve) => void wait(resolve))
      await server.close({ deadlineMs: 0 })
      assert.is(server.connections, 0)
      client.destroy()
    }
  }
})

test('close() and an abort while listen() is under way leave nothing that listens', async () => {
  const before = await settledDescriptorCount()
  for (const host of ['127.0.0.1', 'localhost']) {
    for (const reusePort of [false, true]) {
      const closed = createServer(() => {})
      const listening = closed.listen({ port: 0, host, reusePort })
      const closing = closed.close()
      await assert.rejects(closed.listen({ port: 0 }), { code: 'ERR_SERVER_ALREADY_LISTEN' })
      await Promise.all([listening, closing])
      assert.is(closed.listening, false)
      assert.is(closed.address(), null)
      // It can be used again.
      await closed.listen({ port: 0, host })
      assert.ok(closed.listening)
      await closed.close()

      const controller = new AbortController()
      const aborted = createServer(() => {})
      const refused = aborted.listen({ port: 0, host, reusePort, signal: controller.signal })
      controller.abort()
      await assert.rejects(refused, { name: 'AbortError' })
      assert.is(aborted.listening, false)
      assert.is(aborted.address(), null)
    }
  }
  await until(() => descriptorCount() <= before, 'all descriptors closed')
})

test('an asyncDispose destroys what is open', async () => {
  const { server, port } = await serve(echo)
  const client = await dial(port)
  client.write('x')
  await once(client, 'data')
  client.resume()
  const gone = once(client, 'close')
  await server[Symbol.asyncDispose]()
  await gone
  assert.is(server.connections, 0)
})

/** TCP_NODELAY, SO_KEEPALIVE and TCP_KEEPIDLE of one end of a connection. */
function tcpOptions({ localPort, remotePort }: Pick<Socket, 'localPort' | 'remotePort'>): number[] {
  const fd = descriptorOf(localPort!, remotePort!)
  return [
    optionOf(fd, IPPROTO_TCP, TCP_NODELAY),
    optionOf(fd, SOL_SOCKET, SO_KEEPALIVE),
    optionOf(fd, IPPROTO_TCP, TCP_KEEPIDLE),
  ]
}

test('options of connections apply to those that are accepted, and can be changed', async () => {
  const seen: number[][] = []
  const { server, port } = await serve(
    async (socket) => {
      seen.push(tcpOptions(socket))
      socket.setNoDelay(false).setKeepAlive(true, 5000)
      seen.push(tcpOptions(socket))
      socket.setNoDelay().setKeepAlive(false)
      seen.push(tcpOptions(socket).slice(0, 2))
      await socket.end(`${socket.localPort === port} ${socket.remoteAddress} ${socket.remoteFamily}`)
    },
    { noDelay: true, keepAlive: true, keepAliveInitialDelay: 2000 },
  )
  const client = await dial(port)
  assert.is(String(await readAll(client as AsyncIterable<Buffer>)), 'true 127.0.0.1 IPv4')
  assert.equal(seen, [
    [1, 1, 2],
    [0, 1, 5],
    [1, 0],
  ])
  await server.close()
})

test('options of a connection that is made apply to it', async () => {
  const { server, port } = await serve(echo)
  const plain = await connect({ host: '127.0.0.1', port })
  assert.equal(tcpOptions(plain).slice(0, 2), [0, 0])
  const options = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 3000 }
  const tuned = await connect({ host: '127.0.0.1', port, ...options })
  assert.equal(tcpOptions(tuned), [1, 1, 3])
  for (const socket of [plain, tuned]) socket.destroy()
  await server.close()
})

test.run()
