// What a consumer holds of a buffer group, and what becomes of it when it is forgotten.

import type { BufferId } from '../ring/index.js'
import { invalidState } from '../syscalls/argument-errors.js'
import type { BufferGroup } from './buffer-group.js'

/** Leases of a batch. To register one object for its collection takes as long as making ten leases. */
const BATCH = 16

interface Loan {
  /** Weak: who waits for a collection must not keep the group and its ring. */
  readonly group: WeakRef<BufferGroup>
  /** Buffers of leases that are out; one that serves several leases is there several times. */
  readonly ids: BufferId[]
}

const forgotten = new FinalizationRegistry<Loan>(({ group, ids }) => {
  if (ids.length > 0) group.deref()?.reclaim(ids)
})

/**
 * Leases that were made one after the other. Only they and, until it is whole, their group hold it: when it is collected,
 * nobody can release any more what is still out.
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
    // biome-ignore lint/correctness/noConstructorReturn: a class that extends this one adds its private field to that object.
    return object
  }
}

/** Lets a view hold its lease, unseen: what is still being sent from a lease that was dropped is not forgotten. */
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

/** @internal The lease that holds what a view of it shows. */
export function leaseOf(view: Buffer): BufferLease {
  return LeaseOfView.of(view as unknown as LeaseOfView)
}

/**
 * Part of a buffer with data in it. It is the holder's from its delivery to `release()`; the buffer serves again after
 * that, so a view of it that was kept would show other data. Release it whatever happens (`finally`, or `using`): one that
 * is dropped unreleased keeps its buffer until it is garbage-collected, with a warning.
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
   * The data, in memory of the driver: no copy. Not to be kept, transferred, or looked at after `release()`.
   *
   * @throws Error `ERR_INVALID_STATE` after `release()`, and once the ring is closed.
   */
  get bytes(): Buffer {
    if (this.#group === null) throw releasedError()
    if (this.#bytes === null) {
      this.#bytes = this.#group.view(this.#id, this.#offset, this.length)
      new LeaseOfView(this.#bytes, this)
    }
    // The ring's close has taken the memory away, and left the view empty.
    if (this.#bytes.length !== this.length) throw invalidState('The ring of this lease is closed')
    return this.#bytes
  }

  get released(): boolean {
    return this.#group === null
  }

  /** The data in memory of its own. @throws as `bytes`. */
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

/** @internal The error of one who uses a lease after its release. */
export function releasedError(): Error {
  return invalidState('The buffer lease was released already')
}
