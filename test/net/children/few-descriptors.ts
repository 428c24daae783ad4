// A server with too few descriptors for its clients, which are another process: pressure.test.ts lowers its limit. Each
// client is answered and closed by the server. Prints its port, and for each line of input how many it has served.

import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { createServer } from '../../../src/net/index.js'

let served = 0
const server = createServer({}, async (socket) => {
  const chunk = await socket.read()
  // Held for a moment, so that descriptors are short.
  await new Promise((resolve) => setTimeout(resolve, 20))
  await socket.end(chunk ?? '')
  served++
})
await server.listen({ port: 0, host: '127.0.0.1' })
console.log((server.address() as AddressInfo).port)
for await (const _ of createInterface(process.stdin)) console.log(served)
await server.close({ deadlineMs: 1000 })
