// The way out of the ring: a CQE settles its promise, or is passed to its handler. The slot, the memory and
// the blocks of an operation are given back here, after its final CQE and never before.

import { IORING_CQE_F_MORE, IORING_CQE_F_NOTIF, type Ring } from '../ring/index.js'
import { EALREADY, ECANCELED, ETIME } from '../syscalls/errno-values.js'
import { AbortWatch } from './abort-watch.js'
import type { Arena } from './arena.js'
import type { CancelQueue } from './cancel-queue.js'
import { log } from './diagnostics.js'
import type { InFlight } from './in-flight.js'
import { announceFd } from './lifetime.js'
import type { Bounce } from './mapped-entry.js'
import { operationError, resultError } from './operation-errors.js'
import {
  type CqeHandler,
  MAX_SLOTS,
  type MessageHandler,
  OPENS,
  ROLE_CANCEL,
  ROLE_MESSAGE,
  ROLE_NOBODY,
  ROLE_TIMEOUT,
  SLOT_MASK,
  type Slot,
} from './slot.js'
import { throwLater } from './throw-later.js'

/** What it needs of the driver. */
export interface SettlementHost {
  readonly ring: Ring
  readonly arena: Arena
  /** Cancels an operation. */
  cancel(slot: Slot): void
  /** The ring can no longer be relied on. */
  fail(error: Error): void
}

export class Settlement {
  /** Sees the messages of other rings. */
  onMessage: MessageHandler | null = null
  readonly #host: SettlementHost
  readonly #inFlight: InFlight
  readonly #cancels: CancelQueue
  #watches: WeakMap<AbortSignal, AbortWatch> | null = null

  constructor(host: SettlementHost, inFlight: InFlight, cancels: CancelQueue) {
    this.#host = host
    this.#inFlight = inFlight
    this.#cancels = cancels
  }

  /** Takes in one CQE. */
  readonly onCqe = (low: number, generation: number, res: number, flags: number): void => {
    if (low < MAX_SLOTS) {
      const inFlight = this.#inFlight
      const slot = inFlight.slots.at(low)
      if (slot === undefined || slot.generation !== generation || slot.remaining !== 1) {
        // Not a plain single CQE: left to #onOtherCqe.
      } else if (slot.plain) {
        const { onCqe, resolve, reject, syscall } = slot
        slot.generation = (generation + 1) & 0x3fff_ffff
        slot.memory = null
        slot.remaining = 0
        inFlight.slots.giveBack(slot)
        inFlight.outstanding--
        inFlight.active--
        inFlight.completed++
        if (onCqe !== null) {
          slot.onCqe = null
          callHandler(onCqe, res, flags, false)
        } else if (res >= 0) resolve(res)
        else reject(resultError(res, syscall, inFlight.isClosing))
        return
      } else if (slot.onCqe !== null) {
        this.#onMultishotCqe(slot, res, flags)
        return
      }
    }
    this.#onOtherCqe(low, generation, res, flags)
  }

  /** Ends an operation that the kernel does not have, or will not answer: it rejects. */
  dismiss(slot: Slot, error: unknown): void {
    const { reject, onCqe } = slot
    const inFlight = this.#inFlight
    if (slot.standing) inFlight.standing--
    else inFlight.outstanding -= slot.remaining
    inFlight.active--
    slot.plain = false
    this.#release(slot)
    if (onCqe === null) {
      reject(error)
      return
    }
    callHandler(onCqe, ECANCELED, 0, false)
  }

  /** Dismisses every member of the slot's chain, or the slot alone when it has none. */
  dismissAll(slot: Slot, error: unknown): void {
    for (const member of slot.chain ?? [slot]) this.dismiss(member, error)
  }

  /** Cancels the operation when the signal is aborted. */
  watch(slot: Slot, signal: AbortSignal): void {
    this.#watches ??= new WeakMap()
    let watch = this.#watches.get(signal)
    if (watch === undefined) {
      watch = new AbortWatch(this.#onAbort)
      this.#watches.set(signal, watch)
    }
    slot.signal = signal
    slot.watch = watch
    watch.add(slot, signal)
  }

  /** Frees the memory that replaces a mapped buffer. */
  freeBounce(bounce: Bounce | null | undefined): void {
    if (bounce) this.#host.arena.free(bounce.block)
  }

  readonly #onAbort = (slot: Slot): void => {
    slot.aborted = true
    this.#host.cancel(slot)
  }

  #onOtherCqe(low: number, high: number, res: number, flags: number): void {
    if (low >= ROLE_MESSAGE) {
      // The ring counts this CQE as the end of one of its own operations, which it is not.
      this.#host.ring.endedSilently(-1)
      this.#deliver(low - ROLE_MESSAGE, high, res)
      return
    }
    const generation = high & ~OPENS
    if (generation !== high) this.#onOpened(res)
    const index = low & SLOT_MASK
    const role = low - index
    if (role === ROLE_NOBODY || role === ROLE_CANCEL) {
      this.#inFlight.outstanding--
      if (role === ROLE_CANCEL) this.#cancels.answered(index, generation, res)
      return
    }
    const slot = this.#inFlight.slots.at(index)
    if (slot === undefined || index === 0) {
      log(`a completion for nobody: user_data ${low}, ${generation}, res ${res}`)
      this.#host.ring.endedSilently(-1)
      return
    }
    if (slot.generation !== generation || slot.remaining === 0) {
      // Either its slot was given back too early, or another ring sent what it must not. Nothing can be
      // relied on now.
      this.#host.fail(
        new Error(`A completion came for operation ${index} (use ${generation}) after its last`),
      )
      return
    }
    this.#complete(slot, role, res, flags)
  }

  /**
   * In a worker: announces the descriptor before its CQE is given back, so that a thread that reclaims it
   * finds it in at least one of the two places.
   */
  #onOpened(res: number): void {
    if (res >= 0) announceFd(res, true)
    this.#host.ring.giveBack()
  }

  #complete(slot: Slot, role: number, res: number, flags: number): void {
    const inFlight = this.#inFlight
    const more = (flags & IORING_CQE_F_MORE) !== 0
    if (role === ROLE_TIMEOUT) {
      // EALREADY: time was up while the operation ran where it could only be interrupted. Positive: a wait on
      // a futex or for a child, whose cancel returns a count that the kernel passes on (seen on 6.18).
      if (res === ETIME || res === EALREADY || res > 0) slot.timedOut = true
    } else if (slot.onCqe !== null) {
      this.#onMultishotCqe(slot, res, flags)
      return
    } else if (more) {
      // A zero-copy send: this is its result, but the kernel keeps the memory until the notification.
      slot.res = res
      if (!slot.zeroCopy) return
    } else {
      if ((flags & IORING_CQE_F_NOTIF) === 0) slot.res = res
      // Without IORING_CQE_F_MORE no notification follows.
      if (slot.zeroCopy && (flags & IORING_CQE_F_NOTIF) === 0) {
        slot.remaining--
        inFlight.outstanding--
      }
    }
    inFlight.outstanding--
    if (--slot.remaining > 0) return
    inFlight.active--
    inFlight.completed++
    this.#settle(slot)
  }

  #onMultishotCqe(slot: Slot, res: number, flags: number): void {
    const { onCqe, voided, bounce } = slot
    const more = (flags & IORING_CQE_F_MORE) !== 0
    let result = voided ? ECANCELED : res
    if (!more) {
      const inFlight = this.#inFlight
      if (bounce !== null && bounce.finish !== null) result = bounce.finish(result)
      if (slot.standing) inFlight.standing--
      else inFlight.outstanding -= slot.remaining
      if (slot.silent > 0) this.#host.ring.endedSilently(slot.silent)
      inFlight.active--
      inFlight.completed++
      this.#release(slot)
    }
    callHandler(onCqe!, result, flags, more)
  }

  #deliver(bits: number, high: number, res: number): void {
    try {
      this.onMessage?.(bits, high, res)
    } catch (error) {
      throwLater(error)
    }
  }

  #settle(slot: Slot): void {
    if (slot.bounce !== null && slot.bounce.finish !== null) slot.res = slot.bounce.finish(slot.res)
    const { isClosing } = this.#inFlight
    const { res, resolve, reject, finish } = slot
    if (slot.chain !== null && (slot.aborted || isClosing)) this.#cancelRest(slot)
    if ((res >= 0 || res === slot.expected) && !slot.voided) {
      // A success stays a success, even where an abort or a timeout came too late.
      let value: unknown = res
      if (finish !== null) {
        try {
          value = finish(res)
        } catch (error) {
          this.#release(slot)
          reject(error)
          return
        }
      }
      this.#release(slot)
      resolve(value)
      return
    }
    const error = operationError(slot, isClosing)
    this.#release(slot)
    reject(error)
  }

  /**
   * Cancels the members behind `slot` that were aborted with it. The kernel cannot find a member that has not
   * started, so the first cancel for it missed; it may start now that the one before it is over.
   */
  #cancelRest(slot: Slot): void {
    const { chain } = slot
    for (const member of chain!) {
      // Members that are over have left the chain; their slots may serve other operations by now.
      if (member === slot || member.chain !== chain) continue
      if (member.aborted || this.#inFlight.isClosing) this.#host.cancel(member)
    }
  }

  #release(slot: Slot): void {
    const { arena } = this.#host
    if (slot.block !== null) arena.free(slot.block)
    if (slot.block2 !== null) arena.free(slot.block2)
    if (slot.timeoutBlock !== null) arena.free(slot.timeoutBlock)
    this.freeBounce(slot.bounce)
    if (slot.watch !== null) slot.watch.delete(slot, slot.signal!)
    slot.clear()
    this.#inFlight.slots.giveBack(slot)
  }
}

/** Calls a handler. What it throws is reported by `throwLater`. */
export function callHandler(onCqe: CqeHandler, res: number, flags: number, more: boolean): void {
  try {
    onCqe(res, flags, more)
  } catch (error) {
    throwLater(error)
  }
}
