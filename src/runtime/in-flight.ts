// What is in flight on a ring: the slots, and the counts that intake, submission and settlement share.

import { SlotTable } from './slot-table.js'

export class InFlight {
  readonly slots = new SlotTable()
  /** What `outstanding` may grow to: the size of the completion queue. */
  readonly max: number
  /** CQEs to come, at most: operations, linked timeouts, cancels. */
  outstanding = 0
  /** Operations not settled. */
  active = 0
  /** Those of `active` that are standing; see `Driver.submitMultishot`. */
  standing = 0
  /** Operations that the kernel has completed. */
  completed = 0
  /** The driver takes in no more operations: what is left is cancelled and awaited. */
  isClosing = false

  constructor(max: number) {
    this.max = max
  }

  /** Whether no CQE is to come. */
  get isIdle(): boolean {
    return this.outstanding + this.standing === 0
  }
}
