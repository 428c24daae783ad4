// What all connections on one ring share: the buffers that data is received into, and one look, at the end of each turn,
// at what was written during it.

import type { BufferGroup } from '../../runtime/buffer-group.js'
import type { Driver } from '../../runtime/driver.js'
import type { Uring } from '../../runtime/index.js'
import { GivenBuffers } from './given-buffers.js'

/**
 * Connections start on small buffers and change over when they fill them: many then hold little memory, and a bulk
 * transfer takes a quarter of the completions. No more of those than stay in the caches. Buffers are memory only once they
 * were filled.
 */
const SMALL = { count: 512, size: 16384 }
const LARGE = { count: 64, size: 65536 }

/** Where data is received into. */
export type ReceiveBuffers = Pick<
  BufferGroup,
  'id' | 'size' | 'closed' | 'join' | 'leave' | 'copy' | 'discard' | 'awaitBuffer' | 'forgetAwaiting'
>
/** The same, and what was received can be looked at where it is. */
export type LeasedBuffers = BufferGroup

/** Who has something left to do in this turn. */
export interface TurnMember {
  turnEnded(): void
}

/** Who must be told of the end of the ring. */
export interface RingUser {
  ringClosed(): void
}

const settled = Promise.resolve()
const hubs = new WeakMap<Uring, Hub>()

/** The hub of a ring. */
export function hubOf(uring: Uring): Hub {
  let hub = hubs.get(uring)
  if (hub === undefined) {
    hub = new Hub(uring)
    hubs.set(uring, hub)
  }
  return hub
}

export class Hub {
  /** Held, or a ring whose connections are all that is left of it would be collected. */
  readonly uring: Uring
  readonly driver: Driver
  readonly users = new Set<RingUser>()
  /** Written data goes through driver memory: a worker's own is gone when it is terminated. */
  readonly copies: boolean
  readonly zeroCopy: boolean
  /** The kernel has multishot receives (6.0). */
  hasMultishot = true
  #small: BufferGroup | null = null
  #large: BufferGroup | null = null
  #given: ReceiveBuffers | null = null
  #members: TurnMember[] = []
  #isQueued = false
  #later: (() => void)[] = []

  constructor(uring: Uring) {
    this.uring = uring
    this.driver = uring.driver
    this.copies = uring.copies
    this.zeroCopy = uring.zeroCopyPolicy === 'enabled' && !uring.copies
    this.driver.onClose.add(() => {
      for (const user of [...this.users]) user.ringClosed()
    })
  }

  get smallBuffers(): BufferGroup {
    this.#small ??= this.uring.createBufferGroup(SMALL)
    return this.#small
  }

  /** Large buffers that become the reader's own when they were filled. */
  get givenBuffers(): ReceiveBuffers {
    this.#given ??= this.#makeGiven()
    return this.#given
  }

  #makeGiven(): ReceiveBuffers {
    // A worker's own memory is gone when it is terminated.
    if (this.copies) return this.largeBuffers
    try {
      return new GivenBuffers(this.driver, LARGE)
    } catch {
      // No buffer rings before Linux 5.19.
      return this.largeBuffers
    }
  }

  get largeBuffers(): BufferGroup {
    this.#large ??= this.uring.createBufferGroup(LARGE)
    return this.#large
  }

  /** Calls `member` when this turn's code has run: what all of them send then goes in one system call. */
  atTurnEnd(member: TurnMember): void {
    this.#members.push(member)
    if (this.#isQueued) return
    this.#isQueued = true
    settled.then(this.#endTurn)
  }

  /** Calls `action` when the code that waits for what has just happened has run. */
  afterwards(action: () => void): void {
    if (this.#later.push(action) === 1) setImmediate(this.#runLater)
  }

  readonly #endTurn = (): void => {
    this.#isQueued = false
    const members = this.#members
    this.#members = []
    for (let index = 0; index < members.length; index++) members[index]!.turnEnded()
  }

  readonly #runLater = (): void => {
    const actions = this.#later
    this.#later = []
    for (const action of actions) action()
  }
}
