// A process with a connection (or a server) that does nothing: endings.test.ts looks at when it ends.

import type { AddressInfo } from 'node:net'
import { connect, createServer } from '../../../src/net/index.js'

const mode = process.argv[2]!
const server = createServer({}, async (socket) => {
  socket.unref()
  for await (const _ of socket);
})
await server.listen({ port: 0, host: '127.0.0.1' })

// Tells that it was the event loop that had nothing more to do. Long where it is to end by itself, however slow the machine.
const isToStay = mode === 'ref' || mode === 'server'
const late = setTimeout(
  () => {
    process.stdout.write('still here\n')
    process.exit()
  },
  isToStay ? 1000 : 20_000,
)

if (mode === 'server' || mode === 'server-unref') {
  if (mode === 'server-unref') {
    server.unref()
    process.stdout.write('unref\n')
  }
  late.unref()
} else {
  server.unref()
  const socket = await connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' })
  socket.read().catch(() => {})
  await new Promise((resolve) => setTimeout(resolve, 50))
  late.unref()
  if (mode === 'unref') {
    socket.unref()
    process.stdout.write('unref\n')
  } else if (mode === 'exit') {
    process.stdout.write('exit\n')
    process.exit(7)
  }
}
