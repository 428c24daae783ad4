// Memory that SQEs point to, made from JavaScript values. Each function returns an object that owns the
// memory and has its `address`. The caller must keep that object referenced as long as the kernel may read or
// write the memory.

export * from './futex-waiters.js'
export * from './messages.js'
export * from './open-how.js'
export * from './paths.js'
export * from './socket-addresses.js'
export * from './statx-result.js'
export * from './times.js'
export * from './vectors.js'
