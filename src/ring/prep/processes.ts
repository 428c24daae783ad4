// Waiting for other processes and threads: child processes and futexes.

import {
  IORING_OP_FUTEX_WAIT,
  IORING_OP_FUTEX_WAITV,
  IORING_OP_FUTEX_WAKE,
  IORING_OP_WAITID,
} from '../../syscalls/abi/index.js'
import type { Address } from '../../syscalls/numbers.js'
import type { Sqe } from '../sqe.js'
import { WORD_ADDR, WORD_ADDR3, WORD_FILE_INDEX, WORD_LEN, WORD_OFF, WORD_OP_FLAGS } from '../sqe.js'
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

/**
 * Prepares `IORING_OP_WAITID`: waits until a child process changes state. Node itself reaps the children that
 * it starts: use `WNOWAIT`, or a child that Node does not know of.
 *
 * CQE `res`: 0 or a negated errno (-ECHILD without such a child). Linux 6.7.
 *
 * @param idType - `P_ALL`, `P_PID`, `P_PGID`, `P_PIDFD`.
 * @param id - An id of the kind that `idType` names.
 * @param info - Address of a `siginfo_t` of 128 bytes, alive until the CQE, or 0.
 * @param options - `WEXITED`, `WSTOPPED`, `WCONTINUED`, `WNOHANG`, `WNOWAIT`.
 * @param flags - 0.
 * @returns `sqe`, so that setters chain.
 * @see io_uring_prep_waitid(3), waitid(2)
 */
export function prepWaitid(
  sqe: Sqe,
  idType: number,
  id: number,
  info: Address,
  options: number,
  flags = 0,
): Sqe {
  checkUint32('idType', idType)
  checkFd('id', id)
  checkAddress('info', info)
  checkFlags('options', options)
  checkFlags('flags', flags)
  const words = sqe.words
  storeOperation(words, IORING_OP_WAITID, id)
  store64(words, WORD_OFF, info)
  words[WORD_LEN] = idType
  words[WORD_OP_FLAGS] = flags
  words[WORD_FILE_INDEX] = options
  return sqe
}

/**
 * Prepares `IORING_OP_FUTEX_WAKE`: wakes waiters of a futex.
 *
 * CQE `res`: how many were woken, or a negated errno. Linux 6.7.
 *
 * @param futex - Address of the 32-bit word.
 * @param value - How many to wake at most.
 * @param mask - Which of them: `FUTEX_BITSET_MATCH_ANY` is all.
 * @param futexFlags - `FUTEX_32`, with `FUTEX_PRIVATE_FLAG` inside one process.
 * @param flags - 0.
 * @see io_uring_prep_futex_wake(3), futex(2)
 */
export function prepFutexWake(
  sqe: Sqe,
  futex: Address,
  value: number | bigint,
  mask: number | bigint,
  futexFlags: number,
  flags = 0,
): Sqe {
  return fillFutex(sqe, IORING_OP_FUTEX_WAKE, futex, value, mask, futexFlags, flags)
}

/**
 * Prepares `IORING_OP_FUTEX_WAIT`: waits on a futex while it holds `value`. For a time limit link a timeout to it.
 *
 * CQE `res`: 0 when woken, -EAGAIN when the futex holds another value, or another negated errno. Linux 6.7.
 *
 * @param futex - Address of the 32-bit word, alive until the CQE.
 * @param value - What the futex is expected to hold.
 * @param mask - Which wakers count: `FUTEX_BITSET_MATCH_ANY` is all.
 * @param futexFlags - `FUTEX_32`, with `FUTEX_PRIVATE_FLAG` inside one process.
 * @param flags - 0.
 * @see io_uring_prep_futex_wait(3), futex(2)
 */
export function prepFutexWait(
  sqe: Sqe,
  futex: Address,
  value: number | bigint,
  mask: number | bigint,
  futexFlags: number,
  flags = 0,
): Sqe {
  return fillFutex(sqe, IORING_OP_FUTEX_WAIT, futex, value, mask, futexFlags, flags)
}

/**
 * Prepares `IORING_OP_FUTEX_WAITV`: waits on several futexes at once.
 *
 * CQE `res`: index of the one that was woken, -EAGAIN when one holds another value, or another negated errno.
 * Linux 6.7.
 *
 * @param futexes - Address of an array of `struct futex_waitv`, alive until the entry was consumed; see `futexWaitv()`.
 * @param count - 1 to 128.
 * @param flags - 0.
 * @see io_uring_prep_futex_waitv(3), futex_waitv(2)
 */
export function prepFutexWaitv(sqe: Sqe, futexes: Address, count: number, flags = 0): Sqe {
  checkAddress('futexes', futexes)
  checkUint32('count', count)
  checkFlags('flags', flags)
  const words = sqe.words
  storeOperation(words, IORING_OP_FUTEX_WAITV, 0)
  store64(words, WORD_ADDR, futexes)
  words[WORD_LEN] = count
  words[WORD_OP_FLAGS] = flags
  return sqe
}

function fillFutex(
  sqe: Sqe,
  opcode: number,
  futex: Address,
  value: number | bigint,
  mask: number | bigint,
  futexFlags: number,
  flags: number,
): Sqe {
  checkAddress('futex', futex)
  checkUint64('value', value)
  checkUint64('mask', mask)
  checkFlags('futexFlags', futexFlags)
  checkFlags('flags', flags)
  const words = sqe.words
  storeOperation(words, opcode, futexFlags)
  storeAny64(words, WORD_OFF, value)
  store64(words, WORD_ADDR, futex)
  words[WORD_OP_FLAGS] = flags
  storeAny64(words, WORD_ADDR3, mask)
  return sqe
}
