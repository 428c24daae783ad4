// node:http2 over connections of ours, without TLS: both its server and its client on streams.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
  createServer as createHttp2Server,
  type Http2Server,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { createConnection, createServer } from '../../src/net/index.js'
import { assert, test } from '../harness.js'

const LOCALHOST = '127.0.0.1'
const { HTTP2_HEADER_PATH, HTTP2_HEADER_STATUS, HTTP2_HEADER_METHOD } = constants

interface Site extends AsyncDisposable {
  readonly origin: string
  readonly port: number
}

async function site(http2: Http2Server): Promise<Site> {
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) =>
    http2.emit('connection', socket.stream()),
  )
  await server.listen({ port: 0, host: LOCALHOST })
  const { port } = server.address() as AddressInfo
  return {
    port,
    origin: `http://${LOCALHOST}:${port}`,
    [Symbol.asyncDispose]: () => server.close({ deadlineMs: 0 }),
  }
}

async function body(stream: ClientHttp2Stream): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

test('http2.createServer().emit("connection", stream) serves a client of Node\'s', async () => {
  const http2 = createHttp2Server((incoming, response) => response.end(`path ${incoming.url}`))
  await using made = await site(http2)
  const client = connectHttp2(made.origin)
  const asked = Array.from({ length: 20 }, (_, index) => client.request({ [HTTP2_HEADER_PATH]: `/${index}` }))
  const bodies = await Promise.all(asked.map(body))
  assert.equal(
    bodies.map(String),
    asked.map((_, index) => `path /${index}`),
  )
  client.close()
  await once(client, 'close')
})

test("a client of Node's runs on createConnection(), and large bodies pass both ways", async () => {
  const http2 = createHttp2Server()
  http2.on('stream', (stream) => {
    stream.respond({ [HTTP2_HEADER_STATUS]: 200 })
    stream.pipe(stream)
  })
  await using made = await site(http2)
  const client = connectHttp2(made.origin, {
    createConnection: () => createConnection({ port: made.port, host: LOCALHOST }),
  })
  const data = randomBytes(4 << 20)
  const requests = [0, 1].map(() => {
    const stream = client.request({ [HTTP2_HEADER_PATH]: '/', [HTTP2_HEADER_METHOD]: 'POST' })
    stream.end(data)
    return body(stream)
  })
  for (const answer of await Promise.all(requests)) assert.ok(answer.equals(data))
  client.close()
  await once(client, 'close')
})

test('a session that is destroyed closes its connection', async () => {
  const http2 = createHttp2Server((_incoming, response) => response.end('x'))
  await using made = await site(http2)
  const opened = once(http2, 'session')
  const client = connectHttp2(made.origin)
  const [session] = await opened
  const closed = once(client, 'close')
  session.destroy()
  await closed
  assert.ok(client.destroyed)
})

test.run()
