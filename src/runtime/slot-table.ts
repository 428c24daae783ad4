// All slots of a driver, by the index that user_data carries, and which of them are free.

import { MAX_SLOTS, Slot } from './slot.js'

export class SlotTable {
  // Slot 0 is never used: user_data 0 belongs to nobody.
  readonly #slots: Slot[] = [new Slot(0)]
  readonly #free: Slot[] = []

  /** Slot 0, which no operation uses: cancelling it does nothing. */
  get nobody(): Slot {
    return this.#slots[0]!
  }

  take(): Slot {
    return this.#free.pop() ?? this.#make()
  }

  /** @param slot - Cleared, or plain and reset as far as its next use needs. */
  giveBack(slot: Slot): void {
    this.#free.push(slot)
  }

  at(index: number): Slot | undefined {
    return this.#slots[index]
  }

  /** The slot, or null when the kernel no longer has the operation of that generation. */
  current(index: number, generation: number): Slot | null {
    const slot = this.#slots[index]
    return slot !== undefined && slot.generation === generation && slot.remaining > 0 ? slot : null
  }

  /** Slots whose operation is in the submission queue or in the kernel. */
  queued(): Slot[] {
    return this.#slots.filter((slot) => slot.remaining > 0)
  }

  /** Whether `test` is true of the memory of any operation, including those that wait for room. */
  someMemory(test: (memory: unknown) => boolean): boolean {
    return this.#slots.some(({ memory }) => memory !== null && test(memory))
  }

  #make(): Slot {
    const index = this.#slots.length
    if (index >= MAX_SLOTS) throw new RangeError(`More than ${MAX_SLOTS - 1} operations at once`)
    const slot = new Slot(index)
    this.#slots.push(slot)
    return slot
  }
}
