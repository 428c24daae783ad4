// node:tls and node:https over connections of ours: new TLSSocket(stream) on one side, tls.connect({ socket: stream }) on
// the other.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { createServer as createHttpsServer, get } from 'node:https'
import type { AddressInfo } from 'node:net'
import {
  connect as connectTls,
  createSecureContext,
  createServer as createTlsServer,
  TLSSocket,
} from 'node:tls'
import { connect, createConnection, createServer, type Server, type Socket } from '../../src/net/index.js'
import { assert, test } from '../harness.js'

const LOCALHOST = '127.0.0.1'
const FIXTURES = new URL('../fixtures/', import.meta.url)
// Self-signed, for localhost alone, with a key that everybody can read.
const cert = readFileSync(new URL('tls-cert.pem', FIXTURES))
const key = readFileSync(new URL('tls-key.pem', FIXTURES))

async function listening(onConnection: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const server = createServer({ noDelay: true, allowHalfOpen: true }, onConnection)
  await server.listen({ port: 0, host: LOCALHOST })
  return { server, port: (server.address() as AddressInfo).port }
}

async function all(readable: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of readable) chunks.push(chunk)
  return Buffer.concat(chunks)
}

test('new TLSSocket(stream, { isServer }) answers tls.connect() of Node', async () => {
  const secureContext = createSecureContext({ cert, key })
  const { server, port } = await listening((socket) => {
    const secure = new TLSSocket(socket.stream(), { isServer: true, secureContext })
    secure.on('error', () => {})
    secure.pipe(secure)
  })
  const client = connectTls({ port, host: LOCALHOST, ca: cert, servername: 'localhost' })
  await once(client, 'secureConnect')
  assert.ok(client.authorized)
  const data = randomBytes(3 << 20)
  const received: Buffer[] = []
  let count = 0
  client.on('data', (chunk) => {
    received.push(chunk)
    count += chunk.length
    if (count === data.length) client.end()
  })
  client.write(data)
  await once(client, 'close')
  assert.ok(Buffer.concat(received).equals(data))
  await server.close({ deadlineMs: 0 })
})

test('tls.connect({ socket: stream }) talks to a server of Node, connected already or not yet', async () => {
  const server = createTlsServer({ cert, key }, (secure) => secure.end('a secret'))
  server.listen(0, LOCALHOST)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const options = { port, host: LOCALHOST }
  for (const stream of [(await connect(options)).stream(), createConnection(options)]) {
    const secure = connectTls({ socket: stream, ca: cert, servername: 'localhost' })
    await once(secure, 'secureConnect')
    assert.ok(secure.authorized)
    assert.is(secure.encrypted, true)
    assert.is((await all(secure)).toString(), 'a secret')
  }
  server.close()
})

test('tls on both sides is ours', async () => {
  const secureContext = createSecureContext({ cert, key })
  const { server, port } = await listening((socket) => {
    new TLSSocket(socket.stream(), { isServer: true, secureContext }).end('from ours')
  })
  const socket = await connect({ port, host: LOCALHOST })
  const secure = connectTls({ socket: socket.stream(), ca: cert, servername: 'localhost' })
  assert.is((await all(secure)).toString(), 'from ours')
  await server.close({ deadlineMs: 0 })
})

test('https.createServer().emit("connection", stream) serves https', async () => {
  const https = createHttpsServer({ cert, key }, (incoming, response) => {
    response.end(`secure ${(incoming.socket as TLSSocket).encrypted}`)
  })
  const { server, port } = await listening((socket) => https.emit('connection', socket.stream()))
  const asked = get({ port, host: LOCALHOST, ca: cert, servername: 'localhost', agent: false })
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  assert.is((await all(response)).toString(), 'secure true')
  await server.close({ deadlineMs: 0 })
})

test('a client that does not trust the certificate fails, and the server goes on', async () => {
  const https = createHttpsServer({ cert, key }, (_incoming, response) => response.end('fine'))
  const { server, port } = await listening((socket) => https.emit('connection', socket.stream()))
  const distrustful = get({ port, host: LOCALHOST, servername: 'localhost', agent: false })
  await assert.rejects(once(distrustful, 'response'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  const trusting = get({ port, host: LOCALHOST, ca: cert, servername: 'localhost', agent: false })
  const [response] = (await once(trusting, 'response')) as [IncomingMessage]
  assert.is((await all(response)).toString(), 'fine')
  await server.close({ deadlineMs: 0 })
})

test.run()
