// The kernel boundary: libc functions through koffi, numbers in and numbers out. A failed call returns its negated
// errno. This is the one file that loads a library.

import { constants } from 'node:os'
import koffi from 'koffi'
import type { Address, Fd } from './numbers.js'

// glibc's file name first, then musl's (which has one file for libc and the loader).
const CANDIDATES = [
  'libc.so.6',
  `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`,
  'libc.so',
]

function loadLibc(): ReturnType<typeof koffi.load> | Error {
  if (process.platform !== 'linux') return new Error(`not Linux but ${process.platform}`)
  let failure = new Error('no C library found')
  for (const name of CANDIDATES) {
    try {
      return koffi.load(name)
    } catch (error) {
      failure = error as Error
    }
  }
  return failure
}

const libc = loadLibc()

/** Why the C library could not be loaded, or null when it was: everything here then answers -ENOSYS. */
export const libcFailure: Error | null = libc instanceof Error ? libc : null

type Call = (...args: (number | bigint | Uint8Array | null)[]) => number

const noSystem: Call = () => -1

function declare(name: string, result: string, parameters: string[]): Call {
  if (libc instanceof Error) return noSystem
  return libc.func(name, result, parameters) as unknown as Call
}

const { ENOSYS } = constants.errno
const errno = (): number => (libcFailure === null ? koffi.errno() : ENOSYS)

// `uintptr_t` takes a plain number, so no BigInt is made for an address; `int` results come back as small integers.
const syscall3 = declare('syscall', 'int', ['int', 'uint', 'uintptr_t'])
const syscall5 = declare('syscall', 'int', ['int', 'uint', 'uint', 'uintptr_t', 'uint'])
const syscall5i = declare('syscall', 'int', ['int', 'int', 'uint', 'uint', 'uint'])
const syscall6 = declare('syscall', 'int', ['int', 'int', 'uint', 'uint', 'uint', 'uintptr_t'])
const syscall7 = declare('syscall', 'int', ['int', 'int', 'uint', 'uint', 'uint', 'uintptr_t', 'size_t'])
const mmapCall = declare('mmap', 'intptr_t', ['uintptr_t', 'size_t', 'int', 'int', 'int', 'int64_t'])
const munmapCall = declare('munmap', 'int', ['uintptr_t', 'size_t'])
const madviseCall = declare('madvise', 'int', ['uintptr_t', 'size_t', 'int'])
const mlockCall = declare('mlock', 'int', ['uintptr_t', 'size_t'])
const munlockCall = declare('munlock', 'int', ['uintptr_t', 'size_t'])
const eventfdCall = declare('eventfd', 'int', ['uint', 'int'])
const closeCall = declare('close', 'int', ['int'])
const pipe2Call = declare('pipe2', 'int', ['uintptr_t', 'int'])
const dup3Call = declare('dup3', 'int', ['int', 'int', 'int'])
const fcntlCall = declare('fcntl', 'int', ['int', 'int', 'long'])
const readCall = declare('read', 'int64_t', ['int', 'uintptr_t', 'size_t'])
const writeCall = declare('write', 'int64_t', ['int', 'uintptr_t', 'size_t'])
const pollCall = declare('poll', 'int', ['uint8_t *', 'ulong', 'int'])
const memfdCreateCall = declare('memfd_create', 'int', ['str', 'uint'])

// The three io_uring system calls have these numbers on every architecture that has them.
const SYS_IO_URING_SETUP = 425
const SYS_IO_URING_ENTER = 426
const SYS_IO_URING_REGISTER = 427
/** IORING_ENTER_GETEVENTS and IORING_ENTER_EXT_ARG. */
const LOOKS_AT_ARG = 1 | 8

/** @see io_uring_setup(2) */
export function ioUringSetup(entries: number, params: Address): number {
  const result = syscall3(SYS_IO_URING_SETUP, entries, params)
  return result < 0 ? -errno() : result
}

/**
 * Without a wait the kernel looks at neither `arg` nor `argBytes`; with `argBytes` 0 there is no signal mask and no
 * extended argument. (`arg` 0 alone does not say so: it is the offset of the first registered wait.) The shorter call
 * forms serve then: an argument less is some 7 ns of FFI conversion, measured by the `nop` bench at batch 1.
 *
 * @see io_uring_enter(2)
 */
export function ioUringEnter(
  fd: Fd,
  toSubmit: number,
  minComplete: number,
  flags: number,
  arg: Address,
  argBytes: number,
): number {
  const result =
    (flags & LOOKS_AT_ARG) === 0
      ? syscall5i(SYS_IO_URING_ENTER, fd, toSubmit, minComplete, flags)
      : argBytes === 0
        ? syscall6(SYS_IO_URING_ENTER, fd, toSubmit, minComplete, flags, 0)
        : syscall7(SYS_IO_URING_ENTER, fd, toSubmit, minComplete, flags, arg, argBytes)
  return result < 0 ? -errno() : result
}

/** `opcode` is unsigned: IORING_REGISTER_USE_REGISTERED_RING is bit 31. @see io_uring_register(2) */
export function ioUringRegister(fd: Fd, opcode: number, arg: Address, count: number): number {
  const result = syscall5(SYS_IO_URING_REGISTER, fd >>> 0, opcode >>> 0, arg, count)
  return result < 0 ? -errno() : result
}

/** Maps `length` bytes; returns the address or a negated errno. @see mmap(2) */
export function mmap(
  address: Address,
  length: number,
  prot: number,
  flags: number,
  fd: Fd,
  offset: number,
): number {
  const result = mmapCall(address, length, prot, flags, fd, offset)
  return result === -1 ? -errno() : result
}

/** @see munmap(2) */
export function munmap(address: Address, length: number): number {
  const result = munmapCall(address, length)
  return result < 0 ? -errno() : result
}

/** @see madvise(2) */
export function madvise(address: Address, length: number, advice: number): number {
  const result = madviseCall(address, length, advice)
  return result < 0 ? -errno() : result
}

/** @see mlock(2) */
export function mlock(address: Address, length: number): number {
  const result = mlockCall(address, length)
  return result < 0 ? -errno() : result
}

/** @see munlock(2) */
export function munlock(address: Address, length: number): number {
  const result = munlockCall(address, length)
  return result < 0 ? -errno() : result
}

/** @see eventfd(2) */
export function eventfd(initial: number, flags: number): number {
  const result = eventfdCall(initial, flags)
  return result < 0 ? -errno() : result
}

/** @see close(2) */
export function close(fd: Fd): number {
  const result = closeCall(fd)
  return result < 0 ? -errno() : result
}

/** Writes the two descriptors as 32-bit words at `fds`. @see pipe2(2) */
export function pipe2(fds: Address, flags: number): number {
  const result = pipe2Call(fds, flags)
  return result < 0 ? -errno() : result
}

/** @see dup3(2) */
export function dup3(oldFd: Fd, newFd: Fd, flags: number): number {
  const result = dup3Call(oldFd, newFd, flags)
  return result < 0 ? -errno() : result
}

/** @see fcntl(2) */
export function fcntl(fd: Fd, command: number, arg: number): number {
  const result = fcntlCall(fd, command, arg)
  return result < 0 ? -errno() : result
}

/** @see read(2) */
export function read(fd: Fd, address: Address, length: number): number {
  const result = readCall(fd, address, length)
  return result < 0 ? -errno() : result
}

/** @see write(2) */
export function write(fd: Fd, address: Address, length: number): number {
  const result = writeCall(fd, address, length)
  return result < 0 ? -errno() : result
}

/** @see memfd_create(2) */
export function memfdCreate(name: string, flags: number): number {
  const result = (memfdCreateCall as unknown as (name: string, flags: number) => number)(name, flags)
  return result < 0 ? -errno() : result
}

/** An ArrayBuffer over `length` bytes at `address`. The caller drops it before it unmaps them. */
export function viewMemory(address: Address, length: number): ArrayBuffer {
  return koffi.view(BigInt(address), length)
}

/** Address of the first byte of an ArrayBuffer or a view; 0 for an empty one. */
export function pointerTo(memory: ArrayBuffer | ArrayBufferView): Address {
  return Number(koffi.address(memory))
}

/** Waits until `fd` is readable or `timeoutMs` is over; with fd -1 it only sleeps. @see poll(2) */
export function poll(fd: Fd, timeoutMs: number): number {
  const POLLIN = 1
  const entry = new Uint8Array(8)
  const view = new DataView(entry.buffer)
  view.setInt32(0, fd, true)
  view.setInt16(4, POLLIN, true)
  const result = pollCall(entry, 1, timeoutMs)
  return result < 0 ? -errno() : result
}
