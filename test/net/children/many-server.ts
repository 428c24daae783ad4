// An echo server that says, for each line on its standard input, how it is: pressure.test.ts raises its limit of
// descriptors. Ends with its input.

import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { createServer } from '../../../src/net/index.js'
import { openedDefaultUring } from '../../../src/runtime/index.js'

const server = createServer({}, async (socket) => {
  for await (const chunk of socket) await socket.write(chunk)
})
await server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 })
console.log((server.address() as AddressInfo).port)
for await (const _ of createInterface(process.stdin)) {
  const { connections } = server
  const overflows = openedDefaultUring()?.counters.overflows ?? 0
  console.log(JSON.stringify({ connections, rss: process.memoryUsage.rss(), overflows }))
}
await server.close()
