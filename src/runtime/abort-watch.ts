// Operations that wait for one AbortSignal, with one shared listener. Node keeps listeners in a list that it
// searches on every addition and removal, which is slow with a thousand operations on one signal.

import type { Slot } from './slot.js'

export class AbortWatch {
  readonly #slots = new Set<Slot>()
  readonly #abort: (slot: Slot) => void

  /** @param abort - Called for each slot when the signal fires. */
  constructor(abort: (slot: Slot) => void) {
    this.#abort = abort
  }

  add(slot: Slot, signal: AbortSignal): void {
    if (this.#slots.size === 0) signal.addEventListener('abort', this.#onAbort)
    this.#slots.add(slot)
  }

  /** Forgets the slot; with the last one the listener goes. */
  delete(slot: Slot, signal: AbortSignal): void {
    if (this.#slots.delete(slot) && this.#slots.size === 0) signal.removeEventListener('abort', this.#onAbort)
  }

  readonly #onAbort = (): void => {
    // A copy: what the kernel has not seen settles and leaves the set at once, with all of its chain.
    for (const slot of [...this.#slots]) if (this.#slots.has(slot)) this.#abort(slot)
  }
}
