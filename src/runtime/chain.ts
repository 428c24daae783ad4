// Linked operations: each starts when the one before it has succeeded, and all go to the kernel in one system
// call. Every promise method of the ring can be linked: while the caller's function runs a recorder takes the
// place of the driver, and what it recorded is then submitted as one chain.

import { IORING_SETUP_SQE128, IOSQE_IO_HARDLINK, IOSQE_IO_LINK } from '../ring/index.js'
import { Sqe } from '../ring/sqe.js'
import {
  checkBoolean,
  checkMembers,
  checkSignal,
  invalidState,
  invalidType,
  outOfRange,
} from '../syscalls/argument-errors.js'
import { AbortError } from './abort-error.js'
import type { ChainMember, Driver, SubmitOptions } from './driver.js'
import { SocketOperations } from './operations/sockets.js'
import type { Prepare } from './slot.js'

/** How operations are linked. */
export interface ChainOptions {
  /**
   * Go on whatever a member's outcome (IOSQE_IO_HARDLINK). By default the chain ends with the first member that fails,
   * and those after it reject with ECANCELED.
   */
  readonly hard?: boolean | undefined
  /** Aborting cancels what is not over: those members reject with Node's AbortError. */
  readonly signal?: AbortSignal | undefined
}

/** The outcomes of the promises in a tuple. */
export type Outcomes<Promises extends readonly Promise<unknown>[]> = {
  -readonly [Index in keyof Promises]: PromiseSettledResult<Awaited<Promises[Index]>>
}

/** Records operations instead of submitting them. It has those members of a driver that operations use. */
class Recorder {
  readonly members: ChainMember[] = []
  readonly #driver: Driver
  readonly #signal: AbortSignal | undefined
  #sealed = false

  constructor(driver: Driver, signal: AbortSignal | undefined) {
    this.#driver = driver
    this.#signal = signal
  }

  get arena(): Driver['arena'] {
    return this.#driver.arena
  }

  get ring(): Driver['ring'] {
    return this.#driver.ring
  }

  get closed(): boolean {
    return this.#driver.closed
  }

  /** The fast path is for single operations. */
  take(): null {
    return null
  }

  submit<T>(prepare: Prepare, options: SubmitOptions<T> = {}): Promise<T> {
    const entry = new Sqe(new Int32Array(this.ring.flags & IORING_SETUP_SQE128 ? 32 : 16))
    try {
      if (this.#sealed) throw invalidState('The chain was submitted already')
      // The caller's mistakes surface here, at the member that has them.
      prepare(entry)
    } catch (error) {
      this.#free(options)
      throw error
    }
    const promise = new Promise<T>((resolve, reject) => {
      const signal = bothSignals(options.signal, this.#signal)
      this.members.push({
        prepare: (sqe) => sqe.words.set(entry.words),
        options: { ...options, signal } as SubmitOptions<unknown>,
        resolve: resolve as (value: unknown) => void,
        reject,
      })
    })
    // Never unhandled: the caller learns of a failure from the outcome of the member.
    promise.catch(() => {})
    return promise
  }

  /** Records no more members. @returns Entries that the chain needs. */
  seal(): number {
    this.#sealed = true
    return this.members.reduce((sum, { options }) => sum + (options.timeoutMs === undefined ? 1 : 2), 0)
  }

  /** Gives the members to the driver, which frees their blocks even if it refuses them. */
  issue(linkFlag: number): void {
    const members = this.members.splice(0)
    try {
      this.#driver.submitChain(members, linkFlag)
    } catch (error) {
      for (const { reject } of members) reject(error)
      throw error
    }
  }

  /** Ends members that will not be submitted: frees their blocks and rejects their promises. */
  drop(error: unknown): void {
    this.#sealed = true
    for (const { options, reject } of this.members.splice(0)) {
      this.#free(options)
      reject(error)
    }
  }

  #free({ block, block2 }: SubmitOptions<never> | SubmitOptions<unknown>): void {
    if (block) this.arena.free(block)
    if (block2) this.arena.free(block2)
  }
}

function bothSignals(one: AbortSignal | undefined, other: AbortSignal | undefined): AbortSignal | undefined {
  return one !== undefined && other !== undefined ? AbortSignal.any([one, other]) : (one ?? other)
}

/** The operations of a ring, for use in a chain. Each method returns the promise of its member. */
export class LinkedOperations extends SocketOperations {
  /** @internal */
  constructor(recorder: unknown, zeroCopy: boolean) {
    super(recorder as Driver, zeroCopy)
  }
}

/** See `Uring.chain`. */
export async function submitLinked<Promises extends readonly Promise<unknown>[]>(
  uring: SocketOperations,
  build: (operations: LinkedOperations) => readonly [...Promises],
  options: ChainOptions,
): Promise<Outcomes<Promises>> {
  if (typeof build !== 'function') throw invalidType('build', 'of type function', build)
  checkMembers('options', options, ['hard', 'signal'])
  const hard = checkBoolean('options.hard', options.hard ?? false)
  const { signal } = options
  checkSignal(signal)
  const { driver } = uring
  const recorder = new Recorder(driver, signal)
  try {
    const promises = build(new LinkedOperations(recorder, !uring.copies))
    if (!Array.isArray(promises)) throw invalidType('build()', 'an array of promises', promises)
    // Also where the chain is refused: that rejects all promises that the caller derived from its members.
    const settled = Promise.allSettled(promises)
    // A promise that failed at once (a bad argument in an async method) has no member in the chain.
    const needed = recorder.seal()
    const { sqEntries } = driver.ring
    if (recorder.members.length === 0 || needed > sqEntries) {
      throw outOfRange(
        'the number of linked entries',
        `>= 1 and <= ${sqEntries}, the size of the queue`,
        needed,
      )
    }
    if (promises.length !== recorder.members.length) {
      throw invalidState(
        `build() issued ${recorder.members.length} operations and returned ${promises.length}`,
      )
    }
    for (const { options: member } of recorder.members) {
      if (member.signal?.aborted) throw new AbortError(member.signal.reason)
    }
    recorder.issue(hard ? IOSQE_IO_HARDLINK : IOSQE_IO_LINK)
    return (await settled) as Outcomes<Promises>
  } catch (error) {
    recorder.drop(error)
    throw error
  }
}
