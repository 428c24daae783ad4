// Preparation functions for every opcode, under liburing's names in camelCase and with its order of arguments.
//
// They differ from liburing in three ways: memory is given as addresses; user_data is two 32-bit halves; trailing flags
// may be left out. Prepare an entry first, then refine it with the setters of `Sqe`: a prep function overwrites flags.

export * from './buffers.js'
export * from './cancel.js'
export * from './commands.js'
export * from './file-paths.js'
export * from './file-space.js'
export * from './messages.js'
export * from './modifiers.js'
export * from './nop.js'
export * from './open-close.js'
export * from './pipes.js'
export * from './poll.js'
export * from './processes.js'
export * from './read-write.js'
export * from './receive.js'
export * from './send.js'
export * from './sockets.js'
export * from './table.js'
export * from './timeouts.js'
export * from './xattr.js'
