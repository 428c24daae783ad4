// The promise driver, for the modules above it.

export { AbortError } from './abort-error.js'
export { defaultUring, openedDefaultUring } from './default-uring.js'
export type { Counters } from './driver.js'
export type { Bytes, OperationOptions, PathLike } from './operations/base.js'
export type { ChildStatus } from './operations/control.js'
export type { TransferOptions } from './operations/file-data.js'
export type { AtOptions, MoveOptions, OpenOptions, Statx } from './operations/paths.js'
export { Uring, type UringOptions } from './uring.js'
