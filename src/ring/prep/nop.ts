// Operations that do nothing: to wake a waiter, to measure the ring, to test code that handles completions.

import { IORING_NOP_INJECT_RESULT, IORING_OP_NOP, IORING_OP_NOP128 } from '../../syscalls/abi/index.js'
import type { Sqe } from '../sqe.js'
import { WORD_LEN, WORD_OP_FLAGS } from '../sqe.js'
import { checkFd, checkFlags, storeOperation } from './fields.js'

/**
 * Prepares `IORING_OP_NOP`: completes at once.
 *
 * CQE `res`: 0. Linux 5.1.
 *
 * @returns `sqe`, so that setters chain.
 * @see io_uring_prep_nop(3)
 */
export function prepNop(sqe: Sqe): Sqe {
  storeOperation(sqe.words, IORING_OP_NOP, -1)
  return sqe
}

/**
 * Prepares `IORING_OP_NOP` that completes with a given result, to exercise code that handles failures.
 * liburing has no function for it: there one fills the fields by hand.
 *
 * CQE `res`: `result`. Linux 6.10; before that -EINVAL.
 *
 * @param result - Any signed 32-bit integer.
 * @param flags - `IORING_NOP_*`.
 * @see io_uring_prep_nop(3)
 */
export function prepNopResult(sqe: Sqe, result: number, flags: number = IORING_NOP_INJECT_RESULT): Sqe {
  checkFd('result', result)
  checkFlags('flags', flags)
  const words = sqe.words
  storeOperation(words, IORING_OP_NOP, -1)
  words[WORD_LEN] = result
  words[WORD_OP_FLAGS] = flags
  return sqe
}

/**
 * Prepares `IORING_OP_NOP128`: a NOP in an entry of 128 bytes.
 *
 * CQE `res`: 0. Linux 6.19; before that -EINVAL.
 *
 * @param sqe - A 128-byte entry: of an `IORING_SETUP_SQE128` ring, or a wide one of an `IORING_SETUP_SQE_MIXED` ring.
 * @see io_uring_prep_nop128(3)
 */
export function prepNop128(sqe: Sqe): Sqe {
  storeOperation(sqe.words, IORING_OP_NOP128, -1)
  return sqe
}
