// The three io_uring system calls as one replaceable object: tests pass their own to inject what a kernel
// will not do on demand (short submits, EINTR, EBUSY, refusals). The other system calls of `ring/` (mmap,
// pipe2, poll) go to libc.ts directly.

import { ioUringEnter, ioUringRegister, ioUringSetup } from './libc.js'
import type { Address, Fd } from './numbers.js'

/** Each call returns its result, or a negated errno. */
export interface UringCalls {
  /** `params` is the address of a `struct io_uring_params`. Result: the ring's descriptor (or registered index). */
  setup(entries: number, params: Address): number
  /** Result: how many SQEs the kernel consumed. */
  enter(fd: Fd, toSubmit: number, minComplete: number, flags: number, arg: Address, argBytes: number): number
  /** Result: depends on `opcode`. */
  register(fd: Fd, opcode: number, arg: Address, count: number): number
}

/** The real kernel. */
export const kernelCalls: UringCalls = {
  setup: ioUringSetup,
  enter: ioUringEnter,
  register: ioUringRegister,
}
