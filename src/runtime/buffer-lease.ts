// Leases: a consumer's hold on data in a buffer of a group. Leases that are dropped unreleased are taken back
// when they are collected.

import type { BufferId } from '../ring/index.js'
import { invalidState } from '../syscalls/argument-errors.js'
import type { BufferGroup } from './buffer-group.js'

/** Leases per batch. Registering one object for its collection takes as long as making ten leases. */
const BATCH = 16

interface Loan {
  /** Weak, so that waiting for a collection does not keep the group and its ring alive. */
  readonly group: WeakRef<BufferGroup>
  /** Buffers of leases that are not released; a buffer with several leases is listed once for each. */
  readonly ids: BufferId[]
}

const forgotten = new FinalizationRegistry<Loan>(({ group, ids }) => {
  if (ids.length > 0) group.deref()?.reclaim(ids)
})

/**
 * Leases that were made one after the other. Only they refer to the batch, and their group until the batch is
 * full. When it is collected, nobody can release the leases that are still out.
 */
export class LeaseBatch {
  readonly #loan: Loan
  #left = BATCH

  constructor(group: BufferGroup) {
    this.#loan = { group: new WeakRef(group), ids: [] }
    forgotten.register(this, this.#loan)
  }

  /** It takes no more leases. */
  get isWhole(): boolean {
    return this.#left === 0
  }

  lent(id: BufferId): void {
    this.#left--
    this.#loan.ids.push(id)
  }

  returned(id: BufferId): void {
    const { ids } = this.#loan
    const last = ids.pop()!
    if (last !== id) ids[ids.indexOf(id)] = last
  }
}

class Same {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: a subclass adds its private field to that object.
    return object
  }
}

/**
 * Attaches a lease to its view as a private field: while the view is being sent, the lease is not collected.
 */
class LeaseOfView extends Same {
  readonly #lease: BufferLease

  constructor(view: Buffer, lease: BufferLease) {
    super(view)
    this.#lease = lease
  }

  static of(view: LeaseOfView): BufferLease {
    return view.#lease
  }
}

/** @internal The lease that `view` was taken from. */
export function leaseOf(view: Buffer): BufferLease {
  return LeaseOfView.of(view as unknown as LeaseOfView)
}

/**
 * Part of a buffer with data in it. It belongs to the holder from its delivery to `release()`. After that the
 * buffer is used again, so a view that was kept would show other data. Release it whatever happens
 * (`finally`, or `using`): a lease that is dropped unreleased keeps its buffer until it is garbage-collected,
 * with a warning.
 */
export class BufferLease {
  /** Bytes of data. */
  readonly length: number
  readonly #batch: LeaseBatch
  readonly #id: BufferId
  readonly #offset: number
  #group: BufferGroup | null
  #bytes: Buffer | null = null

  /** @internal */
  constructor(group: BufferGroup, batch: LeaseBatch, id: BufferId, offset: number, length: number) {
    batch.lent(id)
    this.#group = group
    this.#batch = batch
    this.#id = id
    this.#offset = offset
    this.length = length
  }

  /**
   * The data in driver memory, without a copy. Do not keep it, transfer it, or read it after `release()`.
   *
   * @throws Error `ERR_INVALID_STATE` after `release()`, and once the ring is closed.
   */
  get bytes(): Buffer {
    if (this.#group === null) throw releasedError()
    if (this.#bytes === null) {
      this.#bytes = this.#group.view(this.#id, this.#offset, this.length)
      new LeaseOfView(this.#bytes, this)
    }
    // The close of the ring has unmapped the memory, which left the view empty.
    if (this.#bytes.length !== this.length) throw invalidState('The ring of this lease is closed')
    return this.#bytes
  }

  get released(): boolean {
    return this.#group === null
  }

  /** A copy of the data. @throws as `bytes`. */
  copy(): Buffer {
    return Buffer.from(this.bytes)
  }

  /** Gives the buffer back. @throws Error `ERR_INVALID_STATE` the second time. */
  release(): void {
    const group = this.#group
    if (group === null) throw releasedError()
    this.#group = null
    this.#bytes = null
    this.#batch.returned(this.#id)
    group.giveBack(this.#id)
  }

  /** Releases what is not released yet. */
  [Symbol.dispose](): void {
    if (this.#group !== null) this.release()
  }
}

/** @internal The error for the use of a released lease. */
export function releasedError(): Error {
  return invalidState('The buffer lease was released already')
}
