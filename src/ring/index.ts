// `uring/ring`: one io_uring instance, as close to the kernel as JavaScript can get.

export * from '../syscalls/abi/index.js'
export {
  checkResult,
  errnoMessage,
  errnoName,
  SystemError,
  type SystemErrorDetails,
  systemError,
} from '../syscalls/errno.js'
export { addressOf, MappedRegion, PAGE_BYTES } from '../syscalls/memory.js'
export type { Address, BufferId, Fd, GroupId } from '../syscalls/numbers.js'
export { kernelCalls, type UringCalls } from '../syscalls/uring-calls.js'
export { BufferRing, type BufferRingOptions, bufferIdOf, type SliceVisitor } from './buffer-ring.js'
export type { BigCqeVisitor, CompletionMemory, CqeVisitor } from './completion-queue.js'
export * from './memory/index.js'
export * from './prep/index.js'
export * from './register/index.js'
export { Ring, type WaitOptions } from './ring.js'
export type { RingOptions } from './setup.js'
export { MAX_CQ_ENTRIES, MAX_SQ_ENTRIES } from './setup.js'
export type { Sqe } from './sqe.js'
