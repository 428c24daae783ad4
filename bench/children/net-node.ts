// What `net` compares with: echo and HTTP servers over node:net. bench/children/net-uring.ts is its twin, and the two
// are separate programs so that this one does not carry the library in its memory.
// Usage: net-node echo|http

import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { announcePort, answerHello, leaveWithStdin } from './net-protocol.js'

const [kind] = process.argv.slice(2)

const server: Server =
  kind === 'http'
    ? createHttpServer(answerHello)
    : createServer({ noDelay: true, allowHalfOpen: false }, (socket) => {
        socket.on('data', (chunk) => {
          if (!socket.write(chunk)) socket.pause()
        })
        socket.on('drain', () => socket.resume())
        // A load generator that leaves resets its connections.
        socket.on('error', () => {})
      })

server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  announcePort((server.address() as AddressInfo).port),
)
leaveWithStdin()
