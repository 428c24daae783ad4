// Pins windows of a mapped basis with mlock(2) before each submission, until the CQE is reaped. Page faults
// in them then cannot hold up the SQPOLL thread, and with it every operation of its rings. Pinning does not
// help when the file is truncated: the operation still fails with EFAULT.

import { checkInteger, invalidState } from '../syscalls/argument-errors.js'
import { errnoName, systemError } from '../syscalls/errno.js'
import { mlock, munlock } from '../syscalls/libc.js'
import { PAGE_BYTES } from '../syscalls/memory.js'
import type { Address } from '../syscalls/numbers.js'
import { log } from './announcements.js'
import { thisMachine } from './machine.js'
import { countPinAttempt, countPinDowngrade, policyState } from './process-policy.js'
import { pageBytes } from './process-status.js'

/** The most bytes that one window pins, before it is widened to whole pages. */
export const MAX_PINNED_WINDOW_BYTES = 4194304

/** A mapped file; `MappedRegion` is one. */
export interface PinnableRegion {
  readonly address: Address
  readonly length: number
  /** False once unmapped, which has unpinned the pages as well. */
  readonly mapped: boolean
}

/** The two calls; tests replace them. Each returns 0 or a negated errno. */
export interface LockCalls {
  mlock(address: Address, length: number): number
  munlock(address: Address, length: number): number
}

/**
 * The outcome of an attempt to pin. When it failed, the caller gives this batch to a regular ring or reads it
 * through a buffer.
 */
export type PinOutcome =
  | { readonly pinned: true; readonly window: PinnedWindow }
  | { readonly pinned: false; readonly reason: 'downgraded'; readonly errno: number; readonly code: string }
  /** Too many pins were refused in this process: pinning is no longer tried. */
  | { readonly pinned: false; readonly reason: 'off' }

/** Whole pages, as addresses. */
interface Span {
  readonly start: Address
  readonly end: Address
}

// The live windows. Locks do not nest: one munlock(2) undoes every mlock(2) of a page. Windows of one basis
// overlap at block boundaries, so pages that another live window needs are left pinned.
const live = new Map<Span, PinnableRegion>()

const DOWNGRADES: readonly string[] = ['EAGAIN', 'EPERM', 'ENOMEM']

const kernelLocks: LockCalls = { mlock, munlock }

let pageSize = 0

/**
 * The page size; if /proc does not tell, the architecture's largest: too wide a window is at worst refused.
 */
function wholePage(): number {
  if (pageSize === 0) pageSize = pageBytes(thisMachine) ?? (process.arch === 'x64' ? PAGE_BYTES : 65536)
  return pageSize
}

/** The parts of `span` that no live window covers, in ascending order. */
function uncovered(span: Span): Span[] {
  let parts: Span[] = [span]
  for (const [other, region] of live) {
    // An unmapped region has no pinned pages; another region may be at the same place by now.
    if (!region.mapped) continue
    if (other.end <= span.start || other.start >= span.end) continue
    parts = parts.flatMap(({ start, end }) => [
      ...(start < other.start ? [{ start, end: Math.min(end, other.start) }] : []),
      ...(end > other.end ? [{ start: Math.max(start, other.end), end }] : []),
    ])
  }
  return parts
}

/** Unpins the parts of `span` that no live window covers. @returns 0, or the first negated errno. */
function unpin(span: Span, calls: LockCalls): number {
  let failure = 0
  for (const { start, end } of uncovered(span)) {
    const result = calls.munlock(start, end - start)
    if (result < 0 && failure === 0) failure = result
  }
  return failure
}

/** Pages that stay in memory until `release`. Release it once the CQE of every operation on it has been reaped. */
export class PinnedWindow {
  /** The first byte pinned, at the start of a page. */
  readonly address: Address
  /** Whole pages, in bytes. */
  readonly length: number
  readonly #span: Span
  readonly #region: PinnableRegion
  readonly #calls: LockCalls
  #released = false

  /** @internal Made by `pinWindow`, which has pinned the pages. */
  constructor(span: Span, region: PinnableRegion, calls: LockCalls) {
    this.address = span.start
    this.length = span.end - span.start
    this.#span = span
    this.#region = region
    this.#calls = calls
    live.set(span, region)
  }

  /**
   * Unpins the pages that no other window holds. A second call does nothing.
   *
   * @throws SystemError `munlock`; the window counts as released all the same.
   */
  release(): void {
    if (this.#released) return
    this.#released = true
    live.delete(this.#span)
    // munmap(2) has unpinned them, and something else may be mapped there by now.
    if (!this.#region.mapped) return
    const result = unpin(this.#span, this.#calls)
    if (result < 0) throw systemError(result, 'munlock')
  }

  [Symbol.dispose](): void {
    this.release()
  }
}

/**
 * Pins the pages of `region` that hold `length` bytes from `offset`, before an operation on them is submitted.
 *
 * EAGAIN, EPERM and ENOMEM are returned and not thrown; they are counted, and logged once per process. Once
 * one in twenty attempts has been refused, pinning is off for the process, and plans with a mapped basis are
 * refused SQPOLL again.
 *
 * @param offset - Bytes from the start of the region.
 * @param length - Bytes, 1 to 4194304; the window is widened to whole pages.
 * @throws RangeError `ERR_OUT_OF_RANGE` for a window outside the region or too large; Error `ERR_INVALID_STATE` for an
 *   unmapped region; SystemError `mlock` for any other errno.
 * @see mlock(2)
 */
export function pinWindow(
  region: PinnableRegion,
  offset: number,
  length: number,
  calls: LockCalls = kernelLocks,
): PinOutcome {
  checkInteger('offset', offset, 0, region.length - 1)
  checkInteger('length', length, 1, Math.min(MAX_PINNED_WINDOW_BYTES, region.length - offset))
  if (!region.mapped) throw invalidState('The mapped region is closed')
  if (policyState().pinningOff) return { pinned: false, reason: 'off' }

  const page = wholePage()
  const first = region.address + offset
  const span = { start: Math.floor(first / page) * page, end: Math.ceil((first + length) / page) * page }
  countPinAttempt()
  const result = calls.mlock(span.start, span.end - span.start)
  if (result >= 0) return { pinned: true, window: new PinnedWindow(span, region, calls) }

  // A failed mlock(2) may have pinned a part of the window.
  unpin(span, calls)
  const code = errnoName(result)
  if (!DOWNGRADES.includes(code)) throw systemError(result, 'mlock')
  if (countPinDowngrade()) {
    log(
      `mlock of a basis window refused with ${code} (${result}); the batch goes without SQPOLL (logged once)`,
    )
  }
  return { pinned: false, reason: 'downgraded', errno: result, code }
}
