// An echo server on the native face of a connection: what comes goes back, and a peer that does not read makes its own
// sender wait, not this process.
// Run: npx tsx examples/echo-server.ts [PORT]     (in a project of your own, import from 'uring/net')
// Then: nc localhost PORT

import { createServer } from '../src/net/index.js'

const server = createServer({ noDelay: true, chunks: 'lease' }, async (socket) => {
  console.log(`${socket.remoteAddress}:${socket.remotePort} has come`)
  for await (const lease of socket) {
    // The bytes lie where the kernel has put them. `write` returns true when it is done with them, and a promise when
    // it sends from there or when more waits to be sent than `highWaterMark`.
    try {
      const taken = socket.write(lease.bytes)
      if (taken !== true) await taken
    } finally {
      lease.release()
    }
  }
  console.log(`${socket.bytesRead} bytes came back`)
})

await server.listen({ port: Number(process.argv[2] ?? 7000), host: '127.0.0.1' })
console.log(`listening on port ${server.port}, on ${server.backend}`)

process.once('SIGINT', async () => {
  // Those who are connected have a second to finish.
  await server.close({ deadlineMs: 1000 })
  console.log('closed')
})
