// Sending on sockets: plain, as a message, in bundles, without a copy.
//
// Data stays alive until the CQE; for the zero-copy operations until the notification (IORING_CQE_F_NOTIF), which
// follows the first CQE whenever that one carries IORING_CQE_F_MORE. A short send is no failure and does not break a
// link: use MSG_WAITALL in a chain. IORING_RECVSEND_* flags go into `ioprio` (`sqe.setIoprio`).

import {
  IORING_OP_SEND,
  IORING_OP_SEND_ZC,
  IORING_OP_SENDMSG,
  IORING_OP_SENDMSG_ZC,
  IORING_RECVSEND_BUNDLE,
  IORING_RECVSEND_FIXED_BUF,
} from '../../syscalls/abi/index.js'
import type { Address, Fd } from '../../syscalls/numbers.js'
import type { Sqe } from '../sqe.js'
import { WORD_ADDR, WORD_BUFFER, WORD_FILE_INDEX, WORD_LEN, WORD_OFF, WORD_OP_FLAGS } from '../sqe.js'
import {
  checkAddress,
  checkFd,
  checkFlags,
  checkUint16,
  checkUint32,
  store64,
  storeOperation,
} from './fields.js'

/**
 * Prepares `IORING_OP_SEND`: sends up to `length` bytes.
 *
 * CQE `res`: bytes sent, which may be fewer, or a negated errno. With `IOSQE_BUFFER_SELECT` (Linux 6.10) the data comes
 * from a provided buffer, whose id is in `flags`. Linux 5.6.
 *
 * @param address - Start of the data; an iovec array under `IORING_SEND_VECTORIZED` (Linux 6.17).
 * @param length - Bytes, or the number of iovecs.
 * @param flags - `MSG_*`. `MSG_NOSIGNAL` is implied.
 * @returns `sqe`, so that setters chain.
 * @see io_uring_prep_send(3), send(2)
 */
export function prepSend(sqe: Sqe, fd: Fd, address: Address, length: number, flags = 0): Sqe {
  checkSend(fd, address, length, flags)
  return storeSend(sqe, IORING_OP_SEND, fd, address, length, flags)
}

/**
 * Prepares `IORING_OP_SEND` to an address: for sockets that are not connected.
 *
 * CQE `res`: bytes sent, or a negated errno. Linux 6.1.
 *
 * @param destination - Address of a `struct sockaddr`.
 * @param destinationLength - Bytes of the socket address, 0 to 65535.
 * @see io_uring_prep_sendto(3), sendto(2)
 */
export function prepSendto(
  sqe: Sqe,
  fd: Fd,
  address: Address,
  length: number,
  flags: number,
  destination: Address,
  destinationLength: number,
): Sqe {
  checkSend(fd, address, length, flags)
  checkAddress('destination', destination)
  checkUint16('destinationLength', destinationLength)
  storeSend(sqe, IORING_OP_SEND, fd, address, length, flags)
  return storeDestination(sqe, destination, destinationLength)
}

/**
 * Adds a destination to an entry that `prepSend`, `prepSendZc` or `prepSendZcFixed` has prepared.
 *
 * @param destination - Address of a `struct sockaddr`, alive until the entry was consumed.
 * @param destinationLength - Bytes of the socket address, 0 to 65535. Linux 6.0.
 * @see io_uring_prep_send_set_addr(3)
 */
export function prepSendSetAddr(sqe: Sqe, destination: Address, destinationLength: number): Sqe {
  checkAddress('destination', destination)
  checkUint16('destinationLength', destinationLength)
  return storeDestination(sqe, destination, destinationLength)
}

/**
 * Prepares `IORING_OP_SEND` of as many provided buffers as there are, in one operation. It also needs
 * `IOSQE_BUFFER_SELECT` and a group (`sqe.setBufferGroup`).
 *
 * CQE `res`: bytes sent from one or more buffers, or a negated errno; `flags` holds the id of the first buffer, and
 * `IORING_CQE_F_MORE` while the operation goes on. Linux 6.10 (IORING_FEAT_RECVSEND_BUNDLE).
 *
 * @param length - 0 for no limit.
 * @param flags - `MSG_*`.
 * @see io_uring_prep_send_bundle(3), io_uring_provided_buffers(7)
 */
export function prepSendBundle(sqe: Sqe, fd: Fd, length: number, flags = 0): Sqe {
  checkSend(fd, 0, length, flags)
  return storeSend(sqe, IORING_OP_SEND | (IORING_RECVSEND_BUNDLE << 16), fd, 0, length, flags)
}

/**
 * Prepares `IORING_OP_SEND_ZC`: sends straight from the caller's memory.
 *
 * CQE `res`: bytes sent, or a negated errno; with `IORING_CQE_F_MORE` a second CQE with `IORING_CQE_F_NOTIF` tells when
 * the memory is free again. Linux 6.0.
 *
 * @param flags - `MSG_*`.
 * @param zcFlags - `IORING_SEND_ZC_REPORT_USAGE` and `IORING_RECVSEND_*`, 0 to 65535.
 * @see io_uring_prep_send_zc(3)
 */
export function prepSendZc(sqe: Sqe, fd: Fd, address: Address, length: number, flags = 0, zcFlags = 0): Sqe {
  checkSend(fd, address, length, flags)
  checkUint16('zcFlags', zcFlags)
  return storeSend(sqe, IORING_OP_SEND_ZC | (zcFlags << 16), fd, address, length, flags)
}

/**
 * Prepares `IORING_OP_SEND_ZC` from a registered buffer, which saves pinning its pages.
 *
 * CQE `res`: as `prepSendZc`; -EFAULT when the range is not inside the registered buffer. Linux 6.0.
 *
 * @param zcFlags - `IORING_SEND_ZC_REPORT_USAGE` and `IORING_RECVSEND_*`; `IORING_RECVSEND_FIXED_BUF` is added.
 * @param bufferIndex - 0 to 65535.
 * @see io_uring_prep_send_zc_fixed(3)
 */
export function prepSendZcFixed(
  sqe: Sqe,
  fd: Fd,
  address: Address,
  length: number,
  flags: number,
  zcFlags: number,
  bufferIndex: number,
): Sqe {
  checkSend(fd, address, length, flags)
  checkUint16('zcFlags', zcFlags)
  checkUint16('bufferIndex', bufferIndex)
  sqe.words[WORD_BUFFER] = bufferIndex
  const ioprio = zcFlags | IORING_RECVSEND_FIXED_BUF
  return storeSend(sqe, IORING_OP_SEND_ZC | (ioprio << 16), fd, address, length, flags)
}

/**
 * Prepares `IORING_OP_SENDMSG`: sends a message: vectored, with the destination and control data that it
 * names.
 *
 * CQE `res`: bytes sent, or a negated errno. Linux 5.3.
 *
 * @param message - Address of a `struct msghdr`, alive with all it points to until the entry was consumed (its data
 *   until the CQE); see `messageHeader()`.
 * @param flags - `MSG_*`.
 * @see io_uring_prep_sendmsg(3), sendmsg(2)
 */
export function prepSendmsg(sqe: Sqe, fd: Fd, message: Address, flags = 0): Sqe {
  checkMessage(fd, message, flags)
  return storeSend(sqe, IORING_OP_SENDMSG, fd, message, 1, flags)
}

/**
 * Prepares `IORING_OP_SENDMSG_ZC`: `prepSendmsg` straight from the caller's memory.
 *
 * CQE `res`: bytes sent, or a negated errno; with `IORING_CQE_F_MORE` a second CQE with `IORING_CQE_F_NOTIF` tells when
 * the memory is free again. Linux 6.1.
 *
 * @see io_uring_prep_sendmsg_zc(3)
 */
export function prepSendmsgZc(sqe: Sqe, fd: Fd, message: Address, flags = 0): Sqe {
  checkMessage(fd, message, flags)
  return storeSend(sqe, IORING_OP_SENDMSG_ZC, fd, message, 1, flags)
}

/**
 * Prepares `IORING_OP_SENDMSG_ZC` whose iovecs all lie inside one registered buffer.
 *
 * CQE `res`: as `prepSendmsgZc`. Linux 6.15.
 *
 * @param bufferIndex - 0 to 65535.
 * @see io_uring_prep_sendmsg_zc_fixed(3)
 */
export function prepSendmsgZcFixed(
  sqe: Sqe,
  fd: Fd,
  message: Address,
  flags: number,
  bufferIndex: number,
): Sqe {
  checkMessage(fd, message, flags)
  checkUint16('bufferIndex', bufferIndex)
  sqe.words[WORD_BUFFER] = bufferIndex
  const operation = IORING_OP_SENDMSG_ZC | (IORING_RECVSEND_FIXED_BUF << 16)
  return storeSend(sqe, operation, fd, message, 1, flags)
}

function checkSend(fd: Fd, address: Address, length: number, flags: number): void {
  checkFd('fd', fd)
  checkAddress('address', address)
  checkUint32('length', length)
  checkFlags('flags', flags)
}

function checkMessage(fd: Fd, message: Address, flags: number): void {
  checkFd('fd', fd)
  checkAddress('message', message)
  checkFlags('flags', flags)
}

function storeSend(
  sqe: Sqe,
  operation: number,
  fd: Fd,
  address: Address,
  length: number,
  flags: number,
): Sqe {
  const words = sqe.words
  storeOperation(words, operation, fd)
  store64(words, WORD_ADDR, address)
  words[WORD_LEN] = length
  words[WORD_OP_FLAGS] = flags
  return sqe
}

function storeDestination(sqe: Sqe, destination: Address, destinationLength: number): Sqe {
  const words = sqe.words
  store64(words, WORD_OFF, destination)
  words[WORD_FILE_INDEX] = destinationLength
  return sqe
}
