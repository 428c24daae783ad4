// The ring as a backend of connections.

import type { Uring } from '../../runtime/index.js'
import type { Backend } from '../backend.js'
import type { Lease, Socket } from '../socket.js'
import { WorkerPool } from '../workers/pool.js'
import { WorkerServer } from '../workers/worker-server.js'
import { announced } from './announced.js'
import { connectThroughRing } from './connector.js'
import { hubOf } from './hub.js'
import { LocalConnections } from './local-connections.js'
import { RingServer } from './ring-server.js'

/** Connections on `uring`. */
export function ringBackend(uring: Uring): Backend {
  const hub = hubOf(uring)
  return {
    name: 'io_uring',
    createServer(options, handler) {
      if (handler instanceof URL) {
        if (options.distribution === 'reusePort') return new WorkerServer('io_uring', options, handler, true)
        return new RingServer(hub, options, new WorkerPool(uring, options, handler))
      }
      return new RingServer(hub, options, new LocalConnections(hub, options, handler, announced))
    },
    connect(options) {
      return connectThroughRing(hub, options) as Promise<Socket<Buffer> | Socket<Lease>>
    },
  }
}
