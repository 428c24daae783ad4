// node:http over connections of ours: its server on streams of accepted ones, its client on connections made by us.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  Agent,
  createServer as createHttpServer,
  get,
  type Server as HttpServer,
  type IncomingMessage,
  type RequestListener,
  request,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect as netConnect } from 'node:net'
import { connect, createConnection, createServer, type Server } from '../../src/net/index.js'
import { assert, test } from '../harness.js'

const LOCALHOST = '127.0.0.1'

interface Site extends AsyncDisposable {
  readonly http: HttpServer
  readonly server: Server
  readonly port: number
}

/** An HTTP server of Node's on connections of ours. */
async function site(listener: RequestListener): Promise<Site> {
  const http = createHttpServer(listener)
  // A slow machine may take longer between two requests than the five seconds that are the default.
  http.keepAliveTimeout = 0
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) =>
    http.emit('connection', socket.stream()),
  )
  await server.listen({ port: 0, host: LOCALHOST })
  return {
    http,
    server,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      await server.close({ deadlineMs: 0 })
      http.close()
    },
  }
}

async function body(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk)
  return Buffer.concat(chunks)
}

test('http.createServer().emit("connection", stream) serves requests, many on one connection', async () => {
  const seen = new Set<number>()
  await using made = await site((incoming, response) => {
    seen.add(incoming.socket.remotePort!)
    response.end(`you asked for ${incoming.url}`)
  })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  for (let index = 0; index < 20; index++) {
    const asked = get({ port: made.port, host: LOCALHOST, path: `/${index}`, agent })
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    assert.is(response.statusCode, 200)
    assert.is((await body(response)).toString(), `you asked for /${index}`)
  }
  assert.is(seen.size, 1)
  agent.destroy()
})

test('large bodies pass in both directions at once, with back pressure', async () => {
  await using made = await site((incoming, response) => {
    incoming.pipe(response)
  })
  const data = randomBytes(8 << 20)
  const asked = request({ port: made.port, host: LOCALHOST, method: 'POST' })
  asked.end(data)
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  assert.ok((await body(response)).equals(data))
})

test('pipelined requests are answered in order', async () => {
  await using made = await site((incoming, response) => {
    // The first answer is the slowest.
    setTimeout(() => response.end(incoming.url), incoming.url === '/0' ? 30 : 0)
  })
  const peer = netConnect(made.port, LOCALHOST)
  const requests = [0, 1, 2].map((index) => `GET /${index} HTTP/1.1\r\nHost: x\r\n\r\n`)
  peer.write(requests.join(''))
  let answers = ''
  peer.on('data', (chunk) => {
    answers += chunk
  })
  while (!answers.includes('/2')) await once(peer, 'data')
  assert.equal([...answers.matchAll(/^\/\d/gm)].join(), '/0,/1,/2')
  peer.destroy()
})

test('a request that comes one byte at a time is understood', async () => {
  await using made = await site((_incoming, response) => response.end('understood'))
  const peer = netConnect({ port: made.port, host: LOCALHOST, noDelay: true })
  for (const byte of 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n') {
    peer.write(byte)
    await new Promise((resolve) => setImmediate(resolve))
  }
  let answer = ''
  peer.on('data', (chunk) => {
    answer += chunk
  })
  await once(peer, 'end')
  assert.match(answer, /understood$/)
})

test('what is no request is answered with 400, and the connection is closed', async () => {
  await using made = await site((_incoming, response) => response.end())
  const peer = netConnect(made.port, LOCALHOST)
  peer.write('nonsense\r\n\r\n')
  let answer = ''
  peer.on('data', (chunk) => {
    answer += chunk
  })
  await once(peer, 'end')
  assert.match(answer, /^HTTP\/1\.1 400 Bad Request/)
})

test('a client that goes away in the middle aborts its request, and no other', async () => {
  let aborted!: () => void
  const wasAborted = new Promise<void>((resolve) => {
    aborted = resolve
  })
  await using made = await site((incoming, response) => {
    if (incoming.url === '/') {
      response.end('well')
      return
    }
    incoming.on('close', () => {
      if (!incoming.complete) aborted()
    })
    incoming.on('error', () => {})
    incoming.resume()
  })
  const peer = netConnect(made.port, LOCALHOST)
  peer.write('POST /half HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf')
  await new Promise((resolve) => setTimeout(resolve, 20))
  peer.resetAndDestroy()
  await wasAborted
  const [response] = (await once(get({ port: made.port, host: LOCALHOST }), 'response')) as [IncomingMessage]
  assert.is((await body(response)).toString(), 'well')
})

test('an idle connection is closed after keepAliveTimeout', async () => {
  await using made = await site((_incoming, response) => response.end('x'))
  made.http.keepAliveTimeout = 50
  const peer = netConnect(made.port, LOCALHOST)
  peer.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  peer.resume()
  await once(peer, 'end')
})

test('an upgrade hands the stream over', async () => {
  await using made = await site((_incoming, response) => response.end())
  made.http.on('upgrade', (_incoming, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    socket.pipe(socket)
  })
  const asked = request({
    port: made.port,
    host: LOCALHOST,
    headers: { Connection: 'Upgrade', Upgrade: 'echo' },
  }).end()
  const [, socket] = await once(asked, 'upgrade')
  socket.write('echo this')
  assert.is(String((await once(socket, 'data'))[0]), 'echo this')
  socket.destroy()
})

test('http.request() runs on a connection of ours, at once or when it is there', async () => {
  const http = createHttpServer((incoming, response) => response.end(`${incoming.socket.remotePort}`))
  http.listen(0, LOCALHOST)
  await once(http, 'listening')
  const { port } = http.address() as AddressInfo

  const early = get({ createConnection: () => createConnection({ port, host: LOCALHOST }) })
  const [first] = (await once(early, 'response')) as [IncomingMessage]
  assert.match((await body(first)).toString(), /^\d+$/)

  const socket = await connect({ port, host: LOCALHOST })
  const { localPort } = socket
  const late = get({ createConnection: () => socket.stream() })
  const [second] = (await once(late, 'response')) as [IncomingMessage]
  assert.is((await body(second)).toString(), `${localPort}`)
  http.close()
})

test('http.Agent keeps connections of ours alive and uses them again', async () => {
  const ports = new Set<number>()
  const http = createHttpServer((incoming, response) => {
    ports.add(incoming.socket.remotePort!)
    response.end('x')
  })
  http.keepAliveTimeout = 0
  http.listen(0, LOCALHOST)
  await once(http, 'listening')
  const { port } = http.address() as AddressInfo
  class OurAgent extends Agent {
    // The types do not know it; it is documented in node:http.
    override createConnection(options: { port: number; host: string }): ReturnType<typeof createConnection> {
      return createConnection({ port: options.port, host: options.host })
    }
  }
  const agent = new OurAgent({ keepAlive: true, maxSockets: 2 })
  const ask = async (): Promise<void> => {
    const [response] = (await once(get({ port, host: LOCALHOST, agent }), 'response')) as [IncomingMessage]
    await body(response)
  }
  for (let round = 0; round < 5; round++) await Promise.all([ask(), ask()])
  assert.ok(ports.size <= 2, `${ports.size} connections`)
  agent.destroy()
  http.close()
})

test.run()
