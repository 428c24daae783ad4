// Sockets: creating, binding, listening, accepting, connecting, shutting down. Sending is in send.ts,
// receiving in receive.ts.
//
// Addresses of sockets are addresses of a `struct sockaddr` (see `socketAddress()`), alive until the entry
// was consumed; what accept writes stays alive until its final CQE. Direct variants put the socket into a
// registered file slot, as open-close.ts explains.

import {
  IORING_ACCEPT_MULTISHOT,
  IORING_FILE_INDEX_ALLOC,
  IORING_OP_ACCEPT,
  IORING_OP_BIND,
  IORING_OP_CONNECT,
  IORING_OP_LISTEN,
  IORING_OP_SHUTDOWN,
  IORING_OP_SOCKET,
} from '../../syscalls/abi/index.js'
import type { Address, Fd } from '../../syscalls/numbers.js'
import type { Sqe } from '../sqe.js'
import { WORD_ADDR, WORD_LEN, WORD_OFF, WORD_OP_FLAGS } from '../sqe.js'
import {
  checkAddress,
  checkFd,
  checkFileIndex,
  checkFlags,
  checkUint32,
  store64,
  storeFileIndex,
  storeOperation,
} from './fields.js'

/**
 * Prepares `IORING_OP_SOCKET`: makes a socket.
 *
 * CQE `res`: the descriptor, or a negated errno. Linux 5.19.
 *
 * @param domain - `AF_*`.
 * @param type - `SOCK_*`, with `SOCK_CLOEXEC` and `SOCK_NONBLOCK` as wanted. Operations on the ring wait for a
 *   non-blocking socket as for any other, unless they have `MSG_DONTWAIT` or `IORING_ACCEPT_DONTWAIT`.
 * @param protocol - 0 for the usual one.
 * @param flags - 0.
 * @returns `sqe`, so that setters chain.
 * @see io_uring_prep_socket(3), socket(2)
 */
export function prepSocket(sqe: Sqe, domain: number, type: number, protocol: number, flags = 0): Sqe {
  checkSocket(domain, type, protocol, flags)
  return storeSocket(sqe, domain, type, protocol, flags)
}

/**
 * Prepares `IORING_OP_SOCKET` into a registered file slot.
 *
 * CQE `res`: 0, or the slot under `IORING_FILE_INDEX_ALLOC`, or a negated errno: -ENFILE when no slot is free, -ENXIO
 * without a table, -EINVAL for `SOCK_CLOEXEC`. Linux 5.19.
 *
 * @param fileIndex - Slot, from 0, or `IORING_FILE_INDEX_ALLOC`.
 * @param flags - 0.
 * @see io_uring_prep_socket_direct(3), socket(2)
 */
export function prepSocketDirect(
  sqe: Sqe,
  domain: number,
  type: number,
  protocol: number,
  fileIndex: number,
  flags = 0,
): Sqe {
  checkSocket(domain, type, protocol, flags)
  checkFileIndex('fileIndex', fileIndex)
  storeFileIndex(sqe.words, fileIndex)
  return storeSocket(sqe, domain, type, protocol, flags)
}

/**
 * Prepares `IORING_OP_SOCKET` into a registered file slot that the kernel chooses.
 *
 * CQE `res`: the slot, or a negated errno: -ENFILE when no slot is free. Linux 5.19.
 *
 * @param flags - 0.
 * @see io_uring_prep_socket_direct_alloc(3), socket(2)
 */
export function prepSocketDirectAlloc(
  sqe: Sqe,
  domain: number,
  type: number,
  protocol: number,
  flags = 0,
): Sqe {
  return prepSocketDirect(sqe, domain, type, protocol, IORING_FILE_INDEX_ALLOC, flags)
}

/**
 * Prepares `IORING_OP_BIND`: gives a socket its local address.
 *
 * CQE `res`: 0 or a negated errno. Linux 6.11.
 *
 * @param addressLength - Bytes of the socket address.
 * @see io_uring_prep_bind(3), bind(2)
 */
export function prepBind(sqe: Sqe, fd: Fd, address: Address, addressLength: number): Sqe {
  return fillNamed(sqe, IORING_OP_BIND, fd, address, addressLength)
}

/**
 * Prepares `IORING_OP_CONNECT`: connects a socket.
 *
 * CQE `res`: 0 or a negated errno. Linux 5.5.
 *
 * @param addressLength - Bytes of the socket address.
 * @see io_uring_prep_connect(3), connect(2)
 */
export function prepConnect(sqe: Sqe, fd: Fd, address: Address, addressLength: number): Sqe {
  return fillNamed(sqe, IORING_OP_CONNECT, fd, address, addressLength)
}

/**
 * Prepares `IORING_OP_LISTEN`: lets a bound socket accept connections.
 *
 * CQE `res`: 0 or a negated errno. Linux 6.11.
 *
 * @param backlog - Connections that may wait to be accepted; the kernel caps it at net.core.somaxconn.
 * @see io_uring_prep_listen(3), listen(2)
 */
export function prepListen(sqe: Sqe, fd: Fd, backlog: number): Sqe {
  checkFd('fd', fd)
  checkFd('backlog', backlog)
  const words = sqe.words
  storeOperation(words, IORING_OP_LISTEN, fd)
  words[WORD_LEN] = backlog
  return sqe
}

/**
 * Prepares `IORING_OP_ACCEPT`: accepts one connection.
 *
 * CQE `res`: the descriptor, or a negated errno. Linux 5.5.
 *
 * @param address - Where the peer's address goes, or 0.
 * @param addressLength - Address of a 32-bit word: room in, length out. 0 when `address` is 0.
 * @param flags - `SOCK_CLOEXEC`, `SOCK_NONBLOCK`. `IORING_ACCEPT_*` flags go into `ioprio` (`sqe.setIoprio`).
 * @see io_uring_prep_accept(3), accept4(2)
 */
export function prepAccept(sqe: Sqe, fd: Fd, address: Address, addressLength: Address, flags = 0): Sqe {
  checkAccept(fd, address, addressLength, flags)
  return storeAccept(sqe, IORING_OP_ACCEPT, fd, address, addressLength, flags)
}

/**
 * Prepares `IORING_OP_ACCEPT` into a registered file slot.
 *
 * CQE `res`: 0, or the slot under `IORING_FILE_INDEX_ALLOC`, or a negated errno: -ENFILE when no slot is free.
 * Linux 5.15.
 *
 * @param flags - `SOCK_NONBLOCK`; -EINVAL for `SOCK_CLOEXEC`, which has no meaning here.
 * @param fileIndex - Slot, from 0, or `IORING_FILE_INDEX_ALLOC`.
 * @see io_uring_prep_accept_direct(3), accept4(2)
 */
export function prepAcceptDirect(
  sqe: Sqe,
  fd: Fd,
  address: Address,
  addressLength: Address,
  flags: number,
  fileIndex: number,
): Sqe {
  checkAccept(fd, address, addressLength, flags)
  checkFileIndex('fileIndex', fileIndex)
  storeFileIndex(sqe.words, fileIndex)
  return storeAccept(sqe, IORING_OP_ACCEPT, fd, address, addressLength, flags)
}

/**
 * Prepares `IORING_OP_ACCEPT`, multishot: one CQE for each connection until it fails or is cancelled.
 *
 * CQE `res`: the descriptor, or a negated errno; without `IORING_CQE_F_MORE` the operation has ended. Linux 5.19.
 *
 * @param address - Usually 0: each connection overwrites the address of the one before.
 * @see io_uring_prep_multishot_accept(3), io_uring_multishot(7)
 */
export function prepMultishotAccept(
  sqe: Sqe,
  fd: Fd,
  address: Address,
  addressLength: Address,
  flags = 0,
): Sqe {
  checkAccept(fd, address, addressLength, flags)
  return storeAccept(sqe, ACCEPT_MULTISHOT, fd, address, addressLength, flags)
}

/**
 * Prepares `IORING_OP_ACCEPT`, multishot, into registered file slots that the kernel chooses.
 *
 * CQE `res`: the slot, or a negated errno: -ENFILE when no slot is free; without `IORING_CQE_F_MORE` the operation has
 * ended. Linux 5.19.
 *
 * @see io_uring_prep_multishot_accept_direct(3), io_uring_multishot(7)
 */
export function prepMultishotAcceptDirect(
  sqe: Sqe,
  fd: Fd,
  address: Address,
  addressLength: Address,
  flags = 0,
): Sqe {
  checkAccept(fd, address, addressLength, flags)
  storeFileIndex(sqe.words, IORING_FILE_INDEX_ALLOC)
  return storeAccept(sqe, ACCEPT_MULTISHOT, fd, address, addressLength, flags)
}

/**
 * Prepares `IORING_OP_SHUTDOWN`: ends one or both directions of a connection.
 *
 * CQE `res`: 0 or a negated errno. Linux 5.11.
 *
 * @param how - `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR`.
 * @see io_uring_prep_shutdown(3), shutdown(2)
 */
export function prepShutdown(sqe: Sqe, fd: Fd, how: number): Sqe {
  checkFd('fd', fd)
  checkUint32('how', how)
  const words = sqe.words
  storeOperation(words, IORING_OP_SHUTDOWN, fd)
  words[WORD_LEN] = how
  return sqe
}

// `ioprio` holds the flags of accept that are io_uring's own.
const ACCEPT_MULTISHOT = IORING_OP_ACCEPT | (IORING_ACCEPT_MULTISHOT << 16)

function checkSocket(domain: number, type: number, protocol: number, flags: number): void {
  checkFd('domain', domain)
  checkFd('type', type)
  checkFd('protocol', protocol)
  checkFlags('flags', flags)
}

function storeSocket(sqe: Sqe, domain: number, type: number, protocol: number, flags: number): Sqe {
  const words = sqe.words
  storeOperation(words, IORING_OP_SOCKET, domain)
  words[WORD_OFF] = type
  words[WORD_LEN] = protocol
  words[WORD_OP_FLAGS] = flags
  return sqe
}

function fillNamed(sqe: Sqe, opcode: number, fd: Fd, address: Address, addressLength: number): Sqe {
  checkFd('fd', fd)
  checkAddress('address', address)
  checkUint32('addressLength', addressLength)
  const words = sqe.words
  storeOperation(words, opcode, fd)
  words[WORD_OFF] = addressLength
  store64(words, WORD_ADDR, address)
  return sqe
}

function checkAccept(fd: Fd, address: Address, addressLength: Address, flags: number): void {
  checkFd('fd', fd)
  checkAddress('address', address)
  checkAddress('addressLength', addressLength)
  checkFlags('flags', flags)
}

function storeAccept(
  sqe: Sqe,
  operation: number,
  fd: Fd,
  address: Address,
  addressLength: Address,
  flags: number,
): Sqe {
  const words = sqe.words
  storeOperation(words, operation, fd)
  store64(words, WORD_OFF, addressLength)
  store64(words, WORD_ADDR, address)
  words[WORD_OP_FLAGS] = flags
  return sqe
}
