// node:net as a backend of connections, where there is no ring.

import type { AnyHandler, Backend } from '../backend.js'
import type { Lease, Socket } from '../socket.js'
import { connectThroughNode } from './node-connect.js'
import { NodeServer } from './node-server.js'

export const nodeBackend: Backend = {
  name: 'node:net',
  createServer(options, handler) {
    // A server with workers does not get here: see workers/worker-server.ts.
    return new NodeServer(options, handler as AnyHandler)
  },
  connect(options) {
    return connectThroughNode(options) as Promise<unknown> as Promise<Socket<Buffer> | Socket<Lease>>
  },
}
