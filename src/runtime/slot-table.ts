// All slots of a driver, by the index that user_data carries, and which of them are free.

import { MAX_SLOTS, Slot } from './slot.js'

export class SlotTable {
  // Slot 0 is never used: user_data 0 belongs to nobody.
  readonly #slots: Slot[] = [new Slot(0)]
  readonly #free: Slot[] = []

  /** Never an operation's: whoever cancels by it cancels nothing. */
  get nobody(): Slot {
    return this.#slots[0]!
  }

  take(): Slot {
    return this.#free.pop() ?? this.#make()
  }

  /** @param slot - Cleared, or as good as. */
  giveBack(slot: Slot): void {
    this.#free.push(slot)
  }

  at(index: number): Slot | undefined {
    return this.#slots[index]
  }

  /** The slot, if the kernel still has the operation of that use of it. */
  current(index: number, generation: number): Slot | null {
    const slot = this.#slots[index]
    return slot !== undefined && slot.generation === generation && slot.remaining > 0 ? slot : null
  }

  /** Those whose operation the kernel, or the submission queue, has. */
  queued(): Slot[] {
    return this.#slots.filter((slot) => slot.remaining > 0)
  }

  /** Whether an operation holds memory that `test` is true of; those that wait for room included. */
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
