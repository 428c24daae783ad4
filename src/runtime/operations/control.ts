// Operations on other things than files and sockets: time, readiness, cancellation, messages between rings,
// futexes, child processes.

import {
  addressOf,
  type Fd,
  IORING_ASYNC_CANCEL_ALL,
  IORING_ASYNC_CANCEL_FD,
  IORING_ASYNC_CANCEL_FD_FIXED,
  prepCancelFd,
  prepEpollCtl,
  prepFutexWait,
  prepFutexWake,
  prepMadvise64,
  prepMsgRing,
  prepNop,
  prepPipe,
  prepPollAdd,
  prepTimeout,
  prepWaitid,
  type Sqe,
} from '../../ring/index.js'
import { checkInteger, checkOptions, invalidType, outOfRange } from '../../syscalls/argument-errors.js'
import { ENOENT, ETIME } from '../../syscalls/errno-values.js'
import { byteLengthOf } from '../../syscalls/memory.js'
import { timespec } from '../driver.js'
import type { Prepare } from '../slot.js'
import type { Bytes, OperationOptions } from './base.js'
import { checkedLength } from './base.js'
import { PathOperations } from './paths.js'

const NO_OPTIONS: OperationOptions = {}
const SIGINFO_BYTES = 128
const O_CLOEXEC = 0o2000000

/** How a child ended or changed, as waitid(2) tells it. */
export interface ChildStatus {
  readonly pid: number
  readonly uid: number
  /** Exit code, or the number of the signal. */
  readonly status: number
  /** `CLD_*`. */
  readonly code: number
}

/** Time, readiness, cancellation, futexes, processes. */
export abstract class ControlOperations extends PathOperations {
  /**
   * Submits any operation of the raw ring. Resolves to its `res`. `prepare` fills the entry with a `prep*`
   * function; it is called once, at once. The driver sets user_data.
   *
   * @param options - `memory` is everything that the entry points to: it is held until the final CQE. In a
   *   worker that may be terminated it must not be memory of an ArrayBuffer.
   * @throws What `prepare` throws.
   */
  submit(
    prepare: Prepare,
    options: OperationOptions & { readonly memory?: unknown; readonly syscall?: string } = NO_OPTIONS,
  ): Promise<number> {
    checkOptions(options)
    if (typeof prepare !== 'function') throw invalidType('prepare', 'of type function', prepare)
    return this.start(options.syscall ?? 'io_uring_enter', options, prepare, { memory: options.memory })
  }

  /** Goes through the kernel and does nothing. Linux 5.1. */
  nop(options: OperationOptions = NO_OPTIONS): Promise<number> {
    if (options === NO_OPTIONS) {
      const sqe = this.driver.take()
      if (sqe !== null) return this.driver.issue(prepNop(sqe), null, 'nop')
    }
    return this.start('nop', options, (sqe) => prepNop(sqe))
  }

  /** Resolves after `ms` milliseconds, by the kernel's timer. Linux 5.4. @see io_uring_prep_timeout(3) */
  timeout(ms: number, options: OperationOptions = NO_OPTIONS): Promise<void> {
    if (typeof ms !== 'number') throw invalidType('ms', 'of type number', ms)
    if (!(ms >= 0 && ms <= Number.MAX_SAFE_INTEGER))
      throw outOfRange('ms', `>= 0 and <= ${Number.MAX_SAFE_INTEGER}`, ms)
    const block = timespec(this.driver.arena, ms)
    // The kernel answers -ETIME when the time has come.
    return this.start('timeout', options, (sqe) => prepTimeout(sqe, block.address, 0, 0), {
      block,
      expected: ETIME,
      finish: () => {},
    })
  }

  /** Resolves to the `POLL*` bits that came true on `fd`. Linux 5.1. @see io_uring_prep_poll_add(3) */
  poll(fd: Fd, mask: number, options: OperationOptions = NO_OPTIONS): Promise<number> {
    return this.start('poll', options, (sqe) => prepPollAdd(sqe, fd, mask))
  }

  /**
   * Cancels everything in flight on a descriptor; resolves to how many operations were found. They reject with
   * ECANCELED on their own, or succeed when it was too late. Linux 5.19.
   *
   * @see io_uring_prep_cancel_fd(3)
   */
  cancelFd(fd: Fd, options: OperationOptions = NO_OPTIONS): Promise<number> {
    checkOptions(options)
    const fixed = options.fixedFile ? IORING_ASYNC_CANCEL_FD_FIXED : 0
    const flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL | fixed
    return this.start('cancel', { ...options, fixedFile: false }, (sqe) => prepCancelFd(sqe, fd, flags), {
      expected: ENOENT,
      finish: (res) => Math.max(0, res),
    })
  }

  /**
   * Posts a completion on another ring, with `result` as `res` and `low`, `high` as user_data. Linux 5.18.
   *
   * @see io_uring_prep_msg_ring(3)
   */
  msgRing(
    ringFd: Fd,
    result: number,
    low: number,
    high = 0,
    options: OperationOptions = NO_OPTIONS,
  ): Promise<number> {
    return this.start('msg_ring', options, (sqe) => prepMsgRing(sqe, ringFd, result, low, high, 0))
  }

  /** Waits while the 32-bit word at `word[0]` has `value`. Linux 6.7. @see io_uring_prep_futex_wait(3) */
  futexWait(
    word: Int32Array<ArrayBuffer>,
    value: number,
    options: OperationOptions = NO_OPTIONS,
  ): Promise<number> {
    const prepare = (sqe: Sqe): Sqe =>
      prepFutexWait(sqe, addressOf(word, 4), value >>> 0, FUTEX_MATCH_ANY, FUTEX2, 0)
    return this.start('futex_wait', options, prepare, { memory: word })
  }

  /** Wakes at most `count` waiters on a word. Linux 6.7. @see io_uring_prep_futex_wake(3) */
  futexWake(
    word: Int32Array<ArrayBuffer>,
    count: number,
    options: OperationOptions = NO_OPTIONS,
  ): Promise<number> {
    const prepare = (sqe: Sqe): Sqe =>
      prepFutexWake(sqe, addressOf(word, 4), count, FUTEX_MATCH_ANY, FUTEX2, 0)
    return this.start('futex_wake', options, prepare, { memory: word })
  }

  /** Waits for a child process. Linux 6.7. @see io_uring_prep_waitid(3), waitid(2) */
  waitid(
    idType: number,
    id: number,
    waitFlags: number,
    options: OperationOptions = NO_OPTIONS,
  ): Promise<ChildStatus> {
    const block = this.driver.arena.alloc(SIGINFO_BYTES)
    return this.start('waitid', options, (sqe) => prepWaitid(sqe, idType, id, block.address, waitFlags, 0), {
      block,
      finish: () => ({
        code: block.view.getInt32(8, true),
        pid: block.view.getInt32(16, true),
        uid: block.view.getUint32(20, true),
        status: block.view.getInt32(24, true),
      }),
    })
  }

  /** Changes an epoll set. `event` is null to remove. Linux 5.6. @see epoll_ctl(2) */
  epollCtl(
    epollFd: Fd,
    operation: number,
    fd: Fd,
    event: { readonly events: number; readonly data: bigint } | null,
    options: OperationOptions = NO_OPTIONS,
  ): Promise<number> {
    const events = checkInteger('event.events', event?.events ?? 0, 0, 0xffff_ffff)
    const data = event?.data ?? 0n
    if (typeof data !== 'bigint') throw invalidType('event.data', 'of type bigint', data)
    const block = this.driver.arena.alloc(16)
    // The struct is packed on x64 alone.
    const dataAt = process.arch === 'x64' ? 4 : 8
    block.view.setUint32(0, events, true)
    block.view.setBigUint64(dataAt, data, true)
    return this.start(
      'epoll_ctl',
      options,
      (sqe) => prepEpollCtl(sqe, epollFd, fd, operation, block.address),
      { block },
    )
  }

  /** Advises on memory of this process. Linux 5.6. @see madvise(2) */
  madvise(memory: Bytes, advice: number, options: OperationOptions = NO_OPTIONS): Promise<number> {
    checkedLength(memory, undefined)
    const length = byteLengthOf(memory)
    const prepare = (sqe: Sqe): Sqe => prepMadvise64(sqe, addressOf(memory, length), length, advice)
    return this.start('madvise', options, prepare, { memory })
  }

  /** Makes a pipe. Resolves to its two descriptors, the read end first. Linux 6.16. @see pipe2(2) */
  pipe(flags = 0, options: OperationOptions = NO_OPTIONS): Promise<[Fd, Fd]> {
    checkInteger('flags', flags, 0, 0x7fff_ffff)
    const block = this.driver.arena.alloc(8)
    return this.start('pipe2', options, (sqe: Sqe) => prepPipe(sqe, block.address, flags | O_CLOEXEC), {
      block,
      finish: (): [Fd, Fd] => [block.view.getInt32(0, true), block.view.getInt32(4, true)],
    })
  }
}

const FUTEX_MATCH_ANY = 0xffff_ffff
// FUTEX2_SIZE_U32 with FUTEX2_PRIVATE: io_uring takes the flags of the newer futex calls.
const FUTEX2 = 2 | 128
