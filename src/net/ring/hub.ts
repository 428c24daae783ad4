// What all connections on one ring share: the buffers to receive into, and the queue of work for the end of
// the turn, where what they wrote during it is sent in one system call.

import type { BufferGroup } from '../../runtime/buffer-group.js'
import type { Driver } from '../../runtime/driver.js'
import type { Uring } from '../../runtime/index.js'
import { GivenBuffers } from './given-buffers.js'

/**
 * Connections start on small buffers and switch to large ones when they fill them: many connections then hold
 * little memory, and a bulk transfer takes a quarter of the completions. There are only as many large buffers
 * as stay in the CPU caches. A buffer takes up memory only once it has been filled.
 */
const SMALL = { count: 512, size: 16384 }
const LARGE = { count: 64, size: 65536 }

/** Buffers to receive into. */
export type ReceiveBuffers = Pick<
  BufferGroup,
  'id' | 'size' | 'closed' | 'join' | 'leave' | 'copy' | 'discard' | 'awaitBuffer' | 'forgetAwaiting'
>
/** The same, for data that is read in place through leases. */
export type LeasedBuffers = BufferGroup

/** Something with work to do at the end of the turn. */
export interface TurnMember {
  turnEnded(): void
}

/** Something that must be told when the ring is closed. */
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
  /** Referenced so that a ring is not garbage-collected when only its connections are left. */
  readonly uring: Uring
  readonly driver: Driver
  readonly users = new Set<RingUser>()
  /** Written data is copied to driver memory: a worker's own memory is freed when it is terminated. */
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

  /** Large buffers that the reader keeps when they come back well filled. */
  get givenBuffers(): ReceiveBuffers {
    this.#given ??= this.#makeGiven()
    return this.#given
  }

  #makeGiven(): ReceiveBuffers {
    // Not in a worker, whose own memory is freed when it is terminated.
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

  /** Calls `member` after this turn's code has run: what all members send then goes in one system call. */
  atTurnEnd(member: TurnMember): void {
    this.#members.push(member)
    if (this.#isQueued) return
    this.#isQueued = true
    settled.then(this.#endTurn)
  }

  /** Calls `action` after the code that awaits the present event has run. */
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
