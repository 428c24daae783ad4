// Commands that a file's own driver understands: socket options, block device discards, NVMe passthrough.

import {
  IORING_OP_URING_CMD,
  IORING_OP_URING_CMD128,
  SOCKET_URING_OP_GETSOCKNAME,
  SOCKET_URING_OP_GETSOCKOPT,
  SOCKET_URING_OP_SETSOCKOPT,
} from '../../syscalls/abi/index.js'
import type { Address, Fd } from '../../syscalls/numbers.js'
import type { Sqe } from '../sqe.js'
import { WORD_ADDR, WORD_ADDR3, WORD_FILE_INDEX, WORD_OFF } from '../sqe.js'
import {
  checkAddress,
  checkFd,
  checkFlags,
  checkUint32,
  checkUint64,
  store64,
  storeAny64,
  storeOperation,
} from './fields.js'

// From linux/blkdev.h: _IO(0x12, 0) and _IO(0x12, 1).
/** Command of `prepUringCmd`: discards a range of a block device. Linux 6.12. */
export const BLOCK_URING_CMD_DISCARD = 0x1200
/** Command of `prepUringCmd`: resets all zones of a zoned block device. */
export const BLOCK_URING_CMD_ZONE_RESET_ALL = 0x1201

/**
 * Prepares `IORING_OP_URING_CMD`: hands a command to the driver behind a descriptor. The caller stores the
 * command's own data in `sqe.words` from word 12 on: 16 bytes, or 80 in a 128-byte entry.
 *
 * CQE `res`: the driver's result, or a negated errno: -EOPNOTSUPP when it has no commands. Linux 5.19.
 *
 * @param command - An unsigned 32-bit number, defined by the driver.
 * @returns `sqe`, so that setters chain.
 * @see io_uring_prep_uring_cmd(3)
 */
export function prepUringCmd(sqe: Sqe, command: number, fd: Fd): Sqe {
  checkFlags('command', command)
  checkFd('fd', fd)
  return storeCommand(sqe, IORING_OP_URING_CMD, command, fd)
}

/**
 * Prepares `IORING_OP_URING_CMD128`: `prepUringCmd` in a wide entry of a ring that mixes both sizes.
 *
 * CQE `res`: as `prepUringCmd`. Linux 6.19; before that -EINVAL.
 *
 * @param sqe - A 128-byte entry: of an `IORING_SETUP_SQE128` ring, or a wide one of an `IORING_SETUP_SQE_MIXED` ring.
 * @see io_uring_prep_uring_cmd128(3)
 */
export function prepUringCmd128(sqe: Sqe, command: number, fd: Fd): Sqe {
  checkFlags('command', command)
  checkFd('fd', fd)
  return storeCommand(sqe, IORING_OP_URING_CMD128, command, fd)
}

/**
 * Prepares `IORING_OP_URING_CMD` on a socket, with the arguments that socket commands share.
 *
 * CQE `res`: depends on the command: bytes for `SOCKET_URING_OP_SIOCINQ` and `SOCKET_URING_OP_SIOCOUTQ`, length of the
 * value for `SOCKET_URING_OP_GETSOCKOPT`, 0 for `SOCKET_URING_OP_SETSOCKOPT`; or a negated errno. Linux 6.6.
 *
 * @param command - `SOCKET_URING_OP_*`.
 * @param optionLength - Bytes at `optionValue`.
 * @param optionValue - Address of the value, alive until the CQE; 0 for commands without one.
 * @see io_uring_prep_cmd_sock(3)
 */
export function prepCmdSock(
  sqe: Sqe,
  command: number,
  fd: Fd,
  level: number,
  optionName: number,
  optionValue: Address,
  optionLength: number,
): Sqe {
  checkFlags('command', command)
  checkFd('fd', fd)
  checkFd('level', level)
  checkFd('optionName', optionName)
  checkAddress('optionValue', optionValue)
  checkFd('optionLength', optionLength)
  const words = sqe.words
  words[WORD_ADDR] = level
  words[WORD_ADDR + 1] = optionName
  words[WORD_FILE_INDEX] = optionLength
  store64(words, WORD_ADDR3, optionValue)
  return storeCommand(sqe, IORING_OP_URING_CMD, command, fd)
}

/**
 * Prepares `IORING_OP_URING_CMD` that reads a socket option: `prepCmdSock` with `SOCKET_URING_OP_GETSOCKOPT`.
 *
 * CQE `res`: bytes of the value, or a negated errno: -EOPNOTSUPP for a level other than `SOL_SOCKET`. Linux 6.7.
 *
 * @see io_uring_prep_cmd_sock(3), getsockopt(2)
 */
export function prepCmdGetsockopt(
  sqe: Sqe,
  fd: Fd,
  level: number,
  optionName: number,
  optionValue: Address,
  optionLength: number,
): Sqe {
  return prepCmdSock(sqe, SOCKET_URING_OP_GETSOCKOPT, fd, level, optionName, optionValue, optionLength)
}

/**
 * Prepares `IORING_OP_URING_CMD` that sets a socket option: `prepCmdSock` with `SOCKET_URING_OP_SETSOCKOPT`.
 *
 * CQE `res`: 0 or a negated errno. Linux 6.7.
 *
 * @see io_uring_prep_cmd_sock(3), setsockopt(2)
 */
export function prepCmdSetsockopt(
  sqe: Sqe,
  fd: Fd,
  level: number,
  optionName: number,
  optionValue: Address,
  optionLength: number,
): Sqe {
  return prepCmdSock(sqe, SOCKET_URING_OP_SETSOCKOPT, fd, level, optionName, optionValue, optionLength)
}

/**
 * Prepares `IORING_OP_URING_CMD` that asks for a socket's own address or its peer's.
 *
 * CQE `res`: 0 or a negated errno: -EOPNOTSUPP before Linux 6.19.
 *
 * @param address - Where the address goes, alive until the CQE.
 * @param addressLength - Address of a 32-bit word: room in, length out.
 * @param peer - 0 for the socket's own address, 1 for its peer's.
 * @see io_uring_prep_cmd_getsockname(3), getsockname(2), getpeername(2)
 */
export function prepCmdGetsockname(
  sqe: Sqe,
  fd: Fd,
  address: Address,
  addressLength: Address,
  peer: number,
): Sqe {
  checkFd('fd', fd)
  checkAddress('address', address)
  checkAddress('addressLength', addressLength)
  checkUint32('peer', peer)
  const words = sqe.words
  store64(words, WORD_ADDR, address)
  words[WORD_FILE_INDEX] = peer
  store64(words, WORD_ADDR3, addressLength)
  return storeCommand(sqe, IORING_OP_URING_CMD, SOCKET_URING_OP_GETSOCKNAME, fd)
}

/**
 * Prepares `IORING_OP_URING_CMD` that discards a range of a block device: its contents are lost.
 *
 * CQE `res`: 0 or a negated errno: -EINVAL for a range that is not aligned, -EOPNOTSUPP where the device cannot.
 * Linux 6.12.
 *
 * @param offset - Bytes from the start of the device.
 * @param length - Bytes.
 * @see io_uring_prep_cmd_discard(3)
 */
export function prepCmdDiscard(sqe: Sqe, fd: Fd, offset: number | bigint, length: number | bigint): Sqe {
  checkFd('fd', fd)
  checkUint64('offset', offset)
  checkUint64('length', length)
  const words = sqe.words
  storeAny64(words, WORD_ADDR, offset)
  storeAny64(words, WORD_ADDR3, length)
  return storeCommand(sqe, IORING_OP_URING_CMD, BLOCK_URING_CMD_DISCARD, fd)
}

/**
 * Prepares `IORING_OP_URING_CMD` that resets every zone of a zoned block device: its contents are lost.
 *
 * CQE `res`: 0 or a negated errno: -EOPNOTSUPP where the device is not zoned, -EINVAL where the kernel has no such
 * command.
 *
 * @see io_uring_prep_cmd_zone_reset_all(3)
 */
export function prepCmdZoneResetAll(sqe: Sqe, fd: Fd): Sqe {
  checkFd('fd', fd)
  return storeCommand(sqe, IORING_OP_URING_CMD, BLOCK_URING_CMD_ZONE_RESET_ALL, fd)
}

function storeCommand(sqe: Sqe, opcode: number, command: number, fd: Fd): Sqe {
  const words = sqe.words
  storeOperation(words, opcode, fd)
  words[WORD_OFF] = command
  return sqe
}
