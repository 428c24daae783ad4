// Zero-copy writes beyond RLIMIT_MEMLOCK: files.test.ts takes the capability to exceed it. Prints what came of them.

import { connect } from '../../../src/net/index.js'
import { Uring } from '../../../src/runtime/index.js'
import { serveNode } from '../peers.js'

const BYTES = 24 << 20

let received = 0
const peer = await serveNode((socket) => {
  socket.on('data', (chunk) => {
    received += chunk.length
  })
  socket.on('end', () => socket.end())
})
const uring = Uring.open({ zeroCopyPolicy: 'enabled' })
const socket = await connect({ port: peer.port, host: '127.0.0.1', uring })
const sent = await Promise.resolve(socket.write(Buffer.alloc(BYTES))).then(
  () => 'all',
  (error: NodeJS.ErrnoException) => error.code,
)
if (!socket.destroyed) await socket.end()
await socket.closed
await peer.close()
await uring.close()
console.log(JSON.stringify({ sent, received }))
