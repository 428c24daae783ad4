// What a driver does with an operation whose buffer is a mapping of a file. Whoever carries the operation out
// fetches pages that are not in memory: this thread, inside enter, or the SQPOLL thread, and then every ring
// that it serves waits. docs/decisions/sqpoll-and-mapped-basis.md has the measurements.

import { channel } from 'node:diagnostics_channel'
import { isMainThread } from 'node:worker_threads'
import { type Address, IOSQE_ASYNC } from '../ring/index.js'
import { checkBoolean, invalidType, invalidValue } from '../syscalls/argument-errors.js'
import { isInFileMapping, liveFileMappings } from '../syscalls/file-mappings.js'
import type { Arena } from './arena.js'
import { log } from './diagnostics.js'
import { canQueryMappings, isFileBacked } from './foreign-mappings.js'
import { type Bounce, bounceEntry, entryMemory } from './mapped-entry.js'

/**
 * What becomes of an operation on memory that is a mapping of a file:
 * - `'copy'`: the kernel copies the data to or from driver memory, at most 4 MiB, and the operation uses
 *   that. A write ends short at what cannot be loaded. This thread waits for pages that come from disk.
 * - `'async'`: it runs on a worker thread of the kernel (IOSQE_ASYNC), which is the one that waits.
 * - `'refuse'`: the call throws an Error `ERR_URING_MAPPED_BUFFER`.
 * - `'allow'`: the operation goes ahead unchanged.
 */
export type MappedBufferPolicy = 'copy' | 'async' | 'refuse' | 'allow'

/** How a driver guards itself against mapped memory. */
export interface MappedBufferOptions {
  /** Default: `'copy'` on a ring with SQPOLL and in the main thread, else `'allow'`. */
  readonly mappedBuffers?: MappedBufferPolicy | undefined
  /**
   * Also find mappings that other addons have made. The kernel is asked at each operation, which takes some
   * 0.5 us (PROCMAP_QUERY, Linux 6.11; without it, only listed mappings are known). Default false.
   */
  readonly foreignMappings?: boolean | undefined
}

/** Published with `{ policy, opcode }` when an operation was found to use mapped memory. */
export const mappedBufferFound = channel('uring:mapped-buffer')

const POLICIES: readonly unknown[] = ['copy', 'async', 'refuse', 'allow']
const ASYNC_BIT = IOSQE_ASYNC << 8
const NEVER = new Int32Array(1)
const ALWAYS = new Int32Array([1])

/** @internal @throws TypeError for an option of the wrong type or value. */
export function checkMappedBufferOptions({ mappedBuffers, foreignMappings }: MappedBufferOptions): void {
  if (foreignMappings !== undefined) checkBoolean('options.foreignMappings', foreignMappings)
  if (mappedBuffers === undefined) return
  if (typeof mappedBuffers !== 'string')
    throw invalidType('options.mappedBuffers', 'of type string', mappedBuffers)
  if (!POLICIES.includes(mappedBuffers)) {
    const reason = "must be one of: 'copy', 'async', 'refuse', 'allow'"
    throw invalidValue('options.mappedBuffers', mappedBuffers, reason)
  }
}

export class MappedBufferGuard {
  readonly policy: MappedBufferPolicy
  /** Whether the kernel is asked about mappings that are not listed. */
  readonly asksKernel: boolean
  /** While the first word is 0 no entry need be looked at: the one check of the hot path. */
  readonly watched: Int32Array
  readonly #arena: Arena

  constructor(options: MappedBufferOptions, hasSqpoll: boolean, arena: Arena) {
    const { mappedBuffers = hasSqpoll || isMainThread ? 'copy' : 'allow', foreignMappings = false } = options
    this.policy = mappedBuffers
    this.asksKernel = foreignMappings && mappedBuffers !== 'allow' && canQueryMappings()
    this.watched = mappedBuffers === 'allow' ? NEVER : this.asksKernel ? ALWAYS : liveFileMappings
    this.#arena = arena
    if (foreignMappings && mappedBuffers !== 'allow' && !this.asksKernel) {
      log('mappings of other addons cannot be found: no PROCMAP_QUERY on /proc/self/maps (Linux 6.11)')
    }
  }

  /**
   * Looks at a prepared entry, and changes it according to the policy.
   *
   * @returns Memory that replaces its buffers and belongs to the operation until its final CQE, or null.
   * @throws Error `ERR_URING_MAPPED_BUFFER` by the policy 'refuse'.
   */
  admit(words: Int32Array): Bounce | null {
    const memory = entryMemory(words)
    if (memory === null) return null
    let found = false
    for (const segment of memory.segments) {
      segment.isMapped = this.#isMapped(segment.address, segment.length)
      found ||= segment.isMapped
    }
    if (!found) return null
    const { policy } = this
    const opcode = words[0]! & 0xff
    // Later, for a subscriber may use the ring, and this entry is not finished.
    if (mappedBufferFound.hasSubscribers) queueMicrotask(() => mappedBufferFound.publish({ policy, opcode }))
    if (policy === 'async') words[0]! |= ASYNC_BIT
    // Provided buffers are used by later operations: there is nothing to copy now.
    else if (policy === 'refuse' || memory.kind.providesBuffers) throw mappedBufferError(opcode)
    else if (policy === 'copy') return bounceEntry(words, memory, this.#arena)
    return null
  }

  #isMapped(address: Address, length: number): boolean {
    return isInFileMapping(address, length) || (this.asksKernel && isFileBacked(address, length))
  }
}

function mappedBufferError(opcode: number): Error {
  const error = new Error(
    `The buffer is a mapping of a file, which this ring does not take (opcode ${opcode})`,
  )
  return Object.assign(error, { code: 'ERR_URING_MAPPED_BUFFER' })
}
