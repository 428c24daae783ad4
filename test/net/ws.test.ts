// The `ws` package over connections of ours: its server behind an HTTP server on streams, its client on createConnection().

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'
import { createConnection, createServer, type Server } from '../../src/net/index.js'
import { assert, test } from '../harness.js'

const LOCALHOST = '127.0.0.1'

interface Site extends AsyncDisposable {
  readonly sockets: WebSocketServer
  readonly port: number
}

async function site(): Promise<Site> {
  const http = createHttpServer()
  const sockets = new WebSocketServer({ server: http })
  const server: Server = createServer({ allowHalfOpen: true }, (socket) =>
    http.emit('connection', socket.stream()),
  )
  await server.listen({ port: 0, host: LOCALHOST })
  sockets.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  })
  return {
    sockets,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets.clients) socket.terminate()
      await server.close({ deadlineMs: 0 })
      sockets.close()
    },
  }
}

function client(port: number, isOurs: boolean): WebSocket {
  const url = `ws://${LOCALHOST}:${port}/`
  if (!isOurs) return new WebSocket(url)
  // The types have the name and not the shape of what http.request takes.
  const create = (): unknown => createConnection({ port, host: LOCALHOST })
  return new WebSocket(url, { createConnection: create as never })
}

for (const isOurs of [false, true]) {
  const whose = isOurs ? 'on createConnection()' : "on a socket of Node's"
  test(`a WebSocket client ${whose} gets back text and binary messages, small and large`, async () => {
    await using made = await site()
    const socket = client(made.port, isOurs)
    await once(socket, 'open')
    for (const message of ['hello', '', 'ü'.repeat(70_000)]) {
      socket.send(message)
      const [data, isBinary] = await once(socket, 'message')
      assert.is(String(data), message)
      assert.not(isBinary)
    }
    const bytes = randomBytes(3 << 20)
    socket.send(bytes)
    const [data, isBinary] = await once(socket, 'message')
    assert.ok(isBinary)
    assert.ok(bytes.equals(data as Buffer))
    const closed = once(socket, 'close')
    socket.close(4000, 'enough')
    const [code, reason] = await closed
    assert.is(code, 4000)
    assert.is(String(reason), 'enough')
  })
}

test('ping, pong and many messages of one turn', async () => {
  await using made = await site()
  const socket = client(made.port, true)
  await once(socket, 'open')
  const pong = once(socket, 'pong')
  socket.ping('are you there?')
  assert.is(String((await pong)[0]), 'are you there?')
  const received: string[] = []
  socket.on('message', (data) => received.push(String(data)))
  for (let index = 0; index < 500; index++) socket.send(`${index}`)
  while (received.length < 500) await once(socket, 'message')
  assert.is(received.join(), Array.from({ length: 500 }, (_, index) => `${index}`).join())
})

test('a client that is cut off is a close without an orderly end', async () => {
  await using made = await site()
  const accepted = once(made.sockets, 'connection')
  const socket = client(made.port, false)
  await once(socket, 'open')
  const [ours] = await accepted
  const closed = once(ours, 'close')
  socket.terminate()
  assert.is((await closed)[0], 1006)
})

test.run()
