// undici as a client through a connector of ours, against a server of Node's and one of ours.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttpServer, type Server as HttpServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Agent, type buildConnector, Client, fetch, Pool } from 'undici'
import { connect, createServer } from '../../src/net/index.js'
import { assert, test } from '../harness.js'

const LOCALHOST = '127.0.0.1'

/** How many connections the connector has made. */
let connections = 0

/** What undici takes as `connect`. */
const connector: buildConnector.connector = ({ hostname, port }, callback) => {
  connections++
  connect({ host: hostname, port: Number(port), noDelay: true }).then(
    // The types want a net.Socket; a Duplex with its members does.
    (socket) => callback(null, socket.stream() as never),
    (error: Error) => callback(error, null),
  )
}

async function nodeServer(listener: RequestListener): Promise<{ http: HttpServer; origin: string }> {
  const http = createHttpServer(listener)
  // A slow machine may take longer between two requests than the five seconds that are the default.
  http.keepAliveTimeout = 0
  http.listen(0, LOCALHOST)
  await once(http, 'listening')
  return { http, origin: `http://${LOCALHOST}:${(http.address() as AddressInfo).port}` }
}

test('Client sends requests one after the other on one connection', async () => {
  const { http, origin } = await nodeServer((incoming, response) => response.end(incoming.url))
  const client = new Client(origin, { connect: connector })
  connections = 0
  for (let index = 0; index < 10; index++) {
    const { statusCode, body } = await client.request({ path: `/${index}`, method: 'GET' })
    assert.is(statusCode, 200)
    assert.is(await body.text(), `/${index}`)
  }
  assert.is(connections, 1)
  await client.close()
  http.close()
})

test('Client pipelines', async () => {
  const { http, origin } = await nodeServer((incoming, response) => response.end(incoming.url))
  const client = new Client(origin, { connect: connector, pipelining: 8 })
  const answers = Array.from({ length: 50 }, async (_, index) => {
    const { body } = await client.request({ path: `/${index}`, method: 'GET' })
    return body.text()
  })
  assert.equal(
    await Promise.all(answers),
    Array.from({ length: 50 }, (_, index) => `/${index}`),
  )
  await client.close()
  http.close()
})

test('Pool posts large bodies on several connections', async () => {
  const { http, origin } = await nodeServer((incoming, response) => {
    incoming.pipe(response)
  })
  const pool = new Pool(origin, { connect: connector, connections: 4 })
  const data = randomBytes(2 << 20)
  connections = 0
  const bodies = Array.from({ length: 8 }, async () => {
    const { body } = await pool.request({ path: '/', method: 'POST', body: data })
    return Buffer.from(await body.arrayBuffer())
  })
  for (const body of await Promise.all(bodies)) assert.ok(body.equals(data))
  assert.ok(connections >= 1 && connections <= 4, `${connections} connections`)
  await pool.close()
  http.close()
})

test('fetch() with an Agent of ours, against a server on connections of ours', async () => {
  const http = createHttpServer((_incoming, response) => {
    response.setHeader('content-type', 'application/json')
    response.end('{"all":"ours"}')
  })
  http.keepAliveTimeout = 0
  const server = createServer({ allowHalfOpen: true }, (socket) => http.emit('connection', socket.stream()))
  await server.listen({ port: 0, host: LOCALHOST })
  const { port } = server.address() as AddressInfo
  const dispatcher = new Agent({ connect: connector })
  const response = await fetch(`http://${LOCALHOST}:${port}/`, { dispatcher })
  assert.equal(await response.json(), { all: 'ours' })
  await dispatcher.close()
  await server.close({ deadlineMs: 0 })
})

test('a refused connection, and one that is cut off, reject the request', async () => {
  const { http, origin } = await nodeServer((incoming) => incoming.socket.resetAndDestroy())
  const client = new Client(origin, { connect: connector })
  await assert.rejects(client.request({ path: '/', method: 'GET' }), { code: 'ECONNRESET' })
  await client.close()
  http.close()
  await once(http, 'close')
  const late = new Client(origin, { connect: connector })
  await assert.rejects(late.request({ path: '/', method: 'GET' }), { code: 'ECONNREFUSED' })
  await late.close()
})

test('an abort in mid-request closes the connection', async () => {
  const { http, origin } = await nodeServer((_incoming, response) => {
    response.write('a beginning')
  })
  const client = new Client(origin, { connect: connector })
  const controller = new AbortController()
  const { body } = await client.request({ path: '/', method: 'GET', signal: controller.signal })
  const failed = assert.rejects(body.text(), { name: 'AbortError' })
  controller.abort()
  await failed
  await client.destroy()
  http.close()
})

test.run()
