// TCP, Unix and UDP sockets on the promise driver, with node:net underneath where io_uring is missing.

export { connect } from './connect.js'
export type { ConnectOptions } from './connect-options.js'
export { createConnection } from './create-connection.js'
export { createServer } from './create-server.js'
export type {
  CloseOptions,
  ConnectionHandler,
  Distribution,
  ListenOptions,
  Server,
  ServerOptions,
} from './server.js'
export type {
  ChunkKind,
  Data,
  EndpointAddress,
  FileRange,
  FileSource,
  Lease,
  Socket,
  SocketSettings,
  SocketSink,
} from './socket.js'
export { SocketStream } from './stream.js'
export {
  bind,
  type UdpAddress,
  type UdpDestination,
  type UdpMessage,
  type UdpOptions,
  type UdpSocket,
} from './udp.js'
/** @internal What a worker of a server calls. */
export { serveConnections } from './workers/thread.js'
