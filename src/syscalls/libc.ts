// The kernel boundary: libc functions through koffi, numbers in and numbers out. A failed call returns its negated
// errno. This is the one file that loads a library.

import { constants as bufferConstants } from 'node:buffer'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import type Koffi from 'koffi'
import { checkInteger } from './argument-errors.js'
import type { Address, Fd } from './numbers.js'

const { MAX_LENGTH } = bufferConstants

// glibc's file name first, then musl's (which has one file for libc and the loader).
const CANDIDATES = [
  'libc.so.6',
  `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`,
  'libc.so',
]

/**
 * koffi, or the reason why it cannot be loaded: its binary is an optional dependency, which some
 * installations leave out, and Node's permission model refuses all addons. A static import would make every
 * import of this package fail.
 */
function loadKoffi(): typeof Koffi | Error {
  try {
    return createRequire(import.meta.url)('koffi')
  } catch (error) {
    const [line] = (error as Error).message.split('\n')
    return new Error(`koffi: ${line}`, { cause: error })
  }
}

const koffi = loadKoffi()

function loadLibc(): ReturnType<typeof Koffi.load> | Error {
  if (process.platform !== 'linux') return new Error(`not Linux but ${process.platform}`)
  if (koffi instanceof Error) return koffi
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

/** Why the C library could not be loaded, in which case every call here gives -ENOSYS; null when it was. */
export const libcFailure: Error | null = libc instanceof Error ? libc : null

/** A function of the C library. */
export type Call = (...args: (number | bigint | Uint8Array | null)[]) => number

const noSystem: Call = () => -1

/** The C library's function `name`; without a library, one that always fails. */
export function declare(name: string, result: string, parameters: string[]): Call {
  if (libc instanceof Error) return noSystem
  return libc.func(name, result, parameters) as unknown as Call
}

const { ENOSYS } = constants.errno
/** The errno of the call just made on this thread. */
export const errno = (): number => (libc instanceof Error || koffi instanceof Error ? ENOSYS : koffi.errno())

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
const lseekCall = declare('lseek', 'int64_t', ['int', 'int64_t', 'int'])
const pollCall = declare('poll', 'int', ['uint8_t *', 'ulong', 'int'])
const socketCall = declare('socket', 'int', ['int', 'int', 'int'])
const bindCall = declare('bind', 'int', ['int', 'uintptr_t', 'uint'])
const listenCall = declare('listen', 'int', ['int', 'int'])
const setsockoptCall = declare('setsockopt', 'int', ['int', 'int', 'int', 'uintptr_t', 'uint'])
const getsockoptCall = declare('getsockopt', 'int', ['int', 'int', 'int', 'uintptr_t', 'uintptr_t'])
const connectCall = declare('connect', 'int', ['int', 'uintptr_t', 'uint'])
const getsocknameCall = declare('getsockname', 'int', ['int', 'uintptr_t', 'uintptr_t'])
const getpeernameCall = declare('getpeername', 'int', ['int', 'uintptr_t', 'uintptr_t'])
const memfdCreateCall = declare('memfd_create', 'int', ['str', 'uint'])
const processVmReadvCall = declare('process_vm_readv', 'int64_t', [
  'int',
  'uintptr_t',
  'ulong',
  'uintptr_t',
  'ulong',
  'ulong',
])
const ifNameToIndexCall = declare('if_nametoindex', 'uint', ['str'])
const ifIndexToNameCall = declare('if_indextoname', 'uintptr_t', ['uint', 'uintptr_t'])
const ioctlCall = declare('ioctl', 'int', ['int', 'ulong', 'uintptr_t'])

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
 * Takes the shortest call form that will do: each argument costs some 7 ns of FFI conversion (measured by the
 * `nop` bench at batch 1). Without a wait the kernel reads neither `arg` nor `argBytes`. With `argBytes` 0
 * there is neither signal mask nor extended argument. (`arg` 0 alone does not mean that: it is the offset of
 * the first registered wait.)
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

/** @returns The new position, or a negated errno: ENXIO where there is no more data. @see lseek(2) */
export function lseek(fd: Fd, offset: number, whence: number): number {
  const result = lseekCall(fd, offset, whence)
  return result < 0 ? -errno() : result
}

/** @see socket(2) */
export function socket(domain: number, type: number, protocol: number): number {
  const result = socketCall(domain, type, protocol)
  return result < 0 ? -errno() : result
}

/** @see bind(2) */
export function bind(fd: Fd, address: Address, length: number): number {
  const result = bindCall(fd, address, length)
  return result < 0 ? -errno() : result
}

/** @see listen(2) */
export function listen(fd: Fd, backlog: number): number {
  const result = listenCall(fd, backlog)
  return result < 0 ? -errno() : result
}

/** @see setsockopt(2) */
export function setsockopt(fd: Fd, level: number, name: number, value: Address, length: number): number {
  const result = setsockoptCall(fd, level, name, value, length)
  return result < 0 ? -errno() : result
}

/**
 * `length` is the address of a 32-bit word: the room on entry, the true length on return.
 *
 * @see getsockopt(2)
 */
export function getsockopt(fd: Fd, level: number, name: number, value: Address, length: Address): number {
  const result = getsockoptCall(fd, level, name, value, length)
  return result < 0 ? -errno() : result
}

/** For datagram sockets, where it does not wait. @see connect(2) */
export function connect(fd: Fd, address: Address, length: number): number {
  const result = connectCall(fd, address, length)
  return result < 0 ? -errno() : result
}

/**
 * `length` is the address of a 32-bit word: the room on entry, the true length on return.
 *
 * @see getsockname(2)
 */
export function getsockname(fd: Fd, address: Address, length: Address): number {
  const result = getsocknameCall(fd, address, length)
  return result < 0 ? -errno() : result
}

/** As `getsockname`, for the other end. @see getpeername(2) */
export function getpeername(fd: Fd, address: Address, length: Address): number {
  const result = getpeernameCall(fd, address, length)
  return result < 0 ? -errno() : result
}

/** The index of the network interface with that name, 0 when there is none. @see if_nametoindex(3) */
export function ifNameToIndex(name: string): number {
  const index = (ifNameToIndexCall as unknown as (name: string) => number)(name)
  return Math.max(index, 0)
}

/**
 * Writes the name of a network interface, with a NUL behind it, to the 16 bytes at `name`.
 *
 * @returns False when there is none with that index.
 * @see if_indextoname(3)
 */
export function ifIndexToName(index: number, name: Address): boolean {
  return ifIndexToNameCall(index, name) > 0
}

/** @see memfd_create(2) */
export function memfdCreate(name: string, flags: number): number {
  const result = (memfdCreateCall as unknown as (name: string, flags: number) => number)(name, flags)
  return result < 0 ? -errno() : result
}

/**
 * Copies between iovec arrays, of which `remote` is in the process `pid`. What cannot be loaded there ends the copy:
 * a short count or -EFAULT, never a signal.
 *
 * @see process_vm_readv(2)
 */
export function processVmReadv(
  pid: number,
  local: Address,
  localCount: number,
  remote: Address,
  remoteCount: number,
): number {
  const result = processVmReadvCall(pid, local, localCount, remote, remoteCount, 0)
  return result < 0 ? -errno() : result
}

/** `arg` is an address. @see ioctl(2) */
export function ioctl(fd: Fd, request: number, arg: Address): number {
  const result = ioctlCall(fd, request, arg)
  return result < 0 ? -errno() : result
}

type OffThread = (...args: number[]) => Promise<number>

/** The same function on a thread of libuv's pool. The errno stays on that thread: any failure is just -1. */
export function offThread(call: Call): OffThread {
  const start = (call as Call & { async?: (...args: unknown[]) => void }).async
  if (start === undefined) return () => Promise.resolve(-1)
  return (...args) =>
    new Promise((resolve, reject) => {
      start(...args, (error: Error | null, result: number) => {
        if (error === null) resolve(result)
        else reject(error)
      })
    })
}

/**
 * Copies between files inside the kernel, on a thread of libuv's pool; where the file system can, the two share the
 * blocks afterwards. Each offset is passed as the address of a 64-bit word, which the kernel advances.
 *
 * @returns The bytes copied, 0 at the end of the file, or -1.
 * @see copy_file_range(2)
 */
export const copyFileRangeOffThread: (
  fdIn: Fd,
  offsetInAt: Address,
  fdOut: Fd,
  offsetOutAt: Address,
  length: number,
  flags: number,
) => Promise<number> = offThread(
  declare('copy_file_range', 'int64_t', ['int', 'uintptr_t', 'int', 'uintptr_t', 'size_t', 'uint']),
)

/** Advises the kernel on a thread of libuv's pool, where it may wait for the disk. @returns 0 or -1. @see madvise(2) */
export const madviseOffThread: (address: Address, length: number, advice: number) => Promise<number> =
  offThread(declare('madvise', 'int', ['uintptr_t', 'size_t', 'int']))

/** Writes from an address on a thread of libuv's pool. @returns The bytes written, or -1. @see pwrite(2) */
export const pwriteOffThread: (fd: Fd, address: Address, length: number, offset: number) => Promise<number> =
  offThread(declare('pwrite', 'int64_t', ['int', 'uintptr_t', 'size_t', 'int64_t']))

/**
 * An ArrayBuffer over `length` bytes at `address`. The caller must drop it before it unmaps those bytes.
 *
 * @throws RangeError `ERR_OUT_OF_RANGE` for more than an ArrayBuffer can hold: 4 GiB in Node 20.
 */
export function viewMemory(address: Address, length: number): ArrayBuffer {
  if (koffi instanceof Error) throw koffi
  // koffi would end the process when V8 refuses the length.
  checkInteger('length', length, 0, MAX_LENGTH)
  return koffi.view(BigInt(address), length)
}

/** Address of the first byte of an ArrayBuffer or a view; 0 for an empty one. */
export function pointerTo(memory: ArrayBuffer | ArrayBufferView): Address {
  // Without koffi no call is made, so nothing uses the address.
  return koffi instanceof Error ? 0 : Number(koffi.address(memory))
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
