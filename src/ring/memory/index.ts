// Memory that SQEs point to, made from JavaScript values: each maker returns an object that owns its memory and has its
// `address`. The object must be referenced as long as the kernel may look: nothing here does that for the caller.

export * from './futex-waiters.js'
export * from './messages.js'
export * from './open-how.js'
export * from './paths.js'
export * from './socket-addresses.js'
export * from './statx-result.js'
export * from './times.js'
export * from './vectors.js'
