// The servers that `net` measures: echo by a loop, by a sink and on the stream, HTTP over the stream.
// bench/children/net-node.ts is its twin over node:net.
// Usage: net-uring echo|echo-leases|echo-sink|echo-stream|http

import { createServer as createHttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer, type Lease, type Server, type Socket, type SocketSink } from '../../src/net/index.js'
import { skip } from '../harness/serve.js'
import { announcePort, answerHello, leaveWithStdin } from './net-protocol.js'

const [kind] = process.argv.slice(2)

async function echo(socket: Socket): Promise<void> {
  for await (const chunk of socket) {
    const taken = socket.write(chunk)
    if (taken !== true) await taken
  }
}

async function echoLeases(socket: Socket<Lease>): Promise<void> {
  for await (const lease of socket) {
    const taken = socket.write(lease.bytes)
    if (taken !== true) await taken
    lease.release()
  }
}

/** What is called with the data, as the listeners of node:net are. */
class EchoSink implements SocketSink {
  readonly #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
  }

  onData(chunk: Buffer): void {
    const socket = this.#socket
    const taken = socket.write(chunk)
    if (taken === true) return
    socket.pause()
    taken.then(
      () => socket.resume(),
      () => {},
    )
  }

  onEnd(): void {}

  onClose(): void {}
}

function echoThroughStream(socket: Socket): void {
  const stream = socket.stream()
  stream.on('data', (chunk) => {
    if (!stream.write(chunk)) stream.pause()
  })
  stream.on('drain', () => stream.resume())
  stream.on('error', () => {})
}

const http = createHttpServer(answerHello)
const settings = { noDelay: true } as const

function makeServer(): Server {
  // A load generator that leaves resets its connections: that is no error here.
  switch (kind) {
    case 'echo':
      return createServer(settings, (socket) => echo(socket).catch(() => {}))
    case 'echo-leases':
      return createServer({ ...settings, chunks: 'lease' }, (socket) => echoLeases(socket).catch(() => {}))
    case 'echo-sink':
      return createServer(settings, (socket) => socket.consume(new EchoSink(socket)))
    case 'echo-stream':
      return createServer(settings, echoThroughStream)
    default:
      return createServer({ ...settings, allowHalfOpen: true }, (socket) =>
        http.emit('connection', socket.stream()),
      )
  }
}

const server = makeServer()
if (server.backend !== 'io_uring') skip('no io_uring here')
await server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 })
announcePort((server.address() as AddressInfo).port)
leaveWithStdin()
