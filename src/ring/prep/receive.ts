// Receiving from sockets: plain, as a message, multishot into provided buffers, without a copy.
//
// The multishot variants need IOSQE_BUFFER_SELECT and a group (`sqe.addFlags`, `sqe.setBufferGroup`). They
// post a CQE for each arrival until one lacks IORING_CQE_F_MORE. The flags IORING_RECVSEND_BUNDLE and
// IORING_RECVSEND_POLL_FIRST go into `ioprio`:
// `sqe.setIoprio(IORING_RECV_MULTISHOT | IORING_RECVSEND_BUNDLE)`.

import {
  IORING_OP_RECV,
  IORING_OP_RECV_ZC,
  IORING_OP_RECVMSG,
  IORING_RECV_MULTISHOT,
} from '../../syscalls/abi/index.js'
import type { Address, Fd } from '../../syscalls/numbers.js'
import type { Sqe } from '../sqe.js'
import { WORD_ADDR, WORD_FILE_INDEX, WORD_LEN, WORD_OP_FLAGS } from '../sqe.js'
import { checkAddress, checkFd, checkFlags, checkUint32, store64, storeOperation } from './fields.js'

/**
 * Prepares `IORING_OP_RECV`: receives up to `length` bytes.
 *
 * CQE `res`: bytes received, 0 when the peer is done sending, or a negated errno. `IORING_CQE_F_SOCK_NONEMPTY` in
 * `flags` says that more is waiting (Linux 5.19). Linux 5.6.
 *
 * @param address - Start of the buffer, alive until the CQE; 0 with `IOSQE_BUFFER_SELECT`.
 * @param length - Bytes; with `IOSQE_BUFFER_SELECT` 0 means the whole provided buffer (Linux 6.0).
 * @param flags - `MSG_*`.
 * @returns `sqe`, so that setters chain.
 * @see io_uring_prep_recv(3), recv(2)
 */
export function prepRecv(sqe: Sqe, fd: Fd, address: Address, length: number, flags = 0): Sqe {
  checkRecv(fd, address, length, flags)
  return storeRecv(sqe, IORING_OP_RECV, fd, address, length, flags)
}

/**
 * Prepares `IORING_OP_RECV`, multishot, into provided buffers.
 *
 * CQE `res`: bytes received, 0 when the peer is done sending, or a negated errno: -ENOBUFS when the group is empty.
 * `flags` holds the buffer id; without `IORING_CQE_F_MORE` the operation has ended. Linux 6.0.
 *
 * @param address - 0.
 * @param length - 0, or the most bytes that one arrival may take before another request gets its turn (Linux 6.10).
 * @param flags - `MSG_*`, but not `MSG_WAITALL`.
 * @see io_uring_prep_recv_multishot(3), io_uring_multishot(7)
 */
export function prepRecvMultishot(sqe: Sqe, fd: Fd, address: Address, length: number, flags = 0): Sqe {
  checkRecv(fd, address, length, flags)
  return storeRecv(sqe, IORING_OP_RECV | (IORING_RECV_MULTISHOT << 16), fd, address, length, flags)
}

/**
 * Prepares `IORING_OP_RECVMSG`: receives a message: vectored, with its sender and control data.
 *
 * CQE `res`: bytes received, or a negated errno. The kernel writes the lengths into the header. Linux 5.3.
 *
 * @param message - Address of a `struct msghdr`, alive with all it points to until the CQE; see `messageHeader()`.
 * @param flags - `MSG_*`.
 * @see io_uring_prep_recvmsg(3), recvmsg(2)
 */
export function prepRecvmsg(sqe: Sqe, fd: Fd, message: Address, flags = 0): Sqe {
  checkMessage(fd, message, flags)
  return storeRecv(sqe, IORING_OP_RECVMSG, fd, message, 1, flags)
}

/**
 * Prepares `IORING_OP_RECVMSG`, multishot, into provided buffers. Each buffer holds a `struct
 * io_uring_recvmsg_out`, then room for the sender and the control data, then the payload: `readRecvmsgOut`
 * reads it.
 *
 * CQE `res`: bytes used in the buffer, or a negated errno: -ENOBUFS when the group is empty, -EFAULT when a
 * buffer is too small for the headers. `flags` holds the buffer id; without `IORING_CQE_F_MORE` the operation
 * has ended. Linux 6.0.
 *
 * @param message - Address of a `struct msghdr` of which only `msg_namelen` and `msg_controllen` count: room to leave.
 * @param flags - `MSG_*`, but not `MSG_WAITALL`.
 * @see io_uring_prep_recvmsg_multishot(3), io_uring_recvmsg_out(3)
 */
export function prepRecvmsgMultishot(sqe: Sqe, fd: Fd, message: Address, flags = 0): Sqe {
  checkMessage(fd, message, flags)
  return storeRecv(sqe, IORING_OP_RECVMSG | (IORING_RECV_MULTISHOT << 16), fd, message, 1, flags)
}

/**
 * Prepares `IORING_OP_RECV_ZC`: lets the network card write what arrives into a registered area, multishot.
 * liburing has no function for it: there one fills the fields by hand. It needs a ring with 32-byte CQEs and
 * DEFER_TASKRUN.
 *
 * CQE `res`: bytes received, 0 at the end, or a negated errno (-EINVAL when no such queue is registered); the second
 * half of the CQE is a `struct io_uring_zcrx_cqe` that says where the data lies. Linux 6.15.
 *
 * @param length - Bytes after which the operation ends; 0 for no limit.
 * @param interfaceQueue - Id of the queue registered with `IORING_REGISTER_ZCRX_IFQ`.
 * @see io_uring_register_ifq(3), https://docs.kernel.org/networking/iou-zcrx.html
 */
export function prepRecvZc(sqe: Sqe, fd: Fd, length: number, interfaceQueue: number): Sqe {
  checkFd('fd', fd)
  checkUint32('length', length)
  checkUint32('interfaceQueue', interfaceQueue)
  const words = sqe.words
  storeOperation(words, IORING_OP_RECV_ZC | (IORING_RECV_MULTISHOT << 16), fd)
  words[WORD_LEN] = length
  words[WORD_FILE_INDEX] = interfaceQueue
  return sqe
}

function checkRecv(fd: Fd, address: Address, length: number, flags: number): void {
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

function storeRecv(
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
