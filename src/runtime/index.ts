// The promise driver, for the modules above it.

export type { Availability, PartialConfig, RingReport } from '../config/index.js'
export { type ControlMessage, type Fd, type SocketAddress, SystemError } from '../ring/index.js'
export { type FileMapping, type ListedMapping, listFileMapping } from '../syscalls/file-mappings.js'
export { AbortError } from './abort-error.js'
export type { BufferGroup, BufferGroupOptions } from './buffer-group.js'
export type { BufferLease } from './buffer-lease.js'
export type { ChainOptions, LinkedOperations, Outcomes } from './chain.js'
export { defaultUring, openedDefaultUring } from './default-uring.js'
export type { Counters } from './driver.js'
export type { FileWorkerOptions } from './file-workers.js'
export type { FileTable, FileTableOptions, FixedFile } from './fixed-files.js'
export type { MappedBufferOptions, MappedBufferPolicy } from './mapped-buffers.js'
export type { OutgoingRingMessage, RingEndpoint, RingMessage, RingMessages } from './messages.js'
export type { Multishot, MultishotOptions } from './multishot.js'
export type { Bytes, OperationOptions, PathLike } from './operations/base.js'
export type { ChildStatus } from './operations/control.js'
export type { TransferOptions } from './operations/file-data.js'
export type {
  AcceptMultishotOptions,
  FdMultishotOptions,
  GroupOptions,
  MessageLease,
  ReceiveMessageMultishotOptions,
  ReceiveMultishotOptions,
  TimeoutMultishotOptions,
} from './operations/multishot.js'
export type { AtOptions, MoveOptions, OpenOptions, Statx } from './operations/paths.js'
export type {
  Accepted,
  AcceptOptions,
  IncomingMessage,
  OutgoingMessage,
  ReceiveMessageOptions,
  ReceiveOptions,
  SendMessageOptions,
  SendOptions,
  SendZcOptions,
  SocketOptions,
} from './operations/sockets.js'
export type { BufferPool, BufferPoolOptions, RegisteredBuffer } from './registered-buffers.js'
export type { Prepare } from './slot.js'
export type { SubmitOptions } from './submit-options.js'
export { Uring, type UringOptions } from './uring.js'
