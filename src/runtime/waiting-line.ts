// Operations that wait for room in the ring, oldest first. The slots themselves form the list, so that an
// abort takes one out of the middle of 100,000 without a search.

import type { Slot } from './slot.js'

export class WaitingLine {
  #first: Slot | null = null
  #last: Slot | null = null
  #operations = 0

  /** The operation, or the head of the chain, that is next. */
  get first(): Slot | null {
    return this.#first
  }

  /** Operations in line, every member of a chain counted. */
  get operations(): number {
    return this.#operations
  }

  /** @param slot - Of a chain: its head, which stands for all members. */
  push(slot: Slot): void {
    for (const member of slot.chain ?? [slot]) {
      member.waiting = true
      this.#operations++
    }
    slot.previous = this.#last
    if (this.#last === null) this.#first = slot
    else this.#last.next = slot
    this.#last = slot
  }

  remove(slot: Slot): void {
    for (const member of slot.chain ?? [slot]) {
      member.waiting = false
      this.#operations--
    }
    const { previous, next } = slot
    if (previous === null) this.#first = next
    else previous.next = next
    if (next === null) this.#last = previous
    else next.previous = previous
    slot.previous = null
    slot.next = null
  }
}
