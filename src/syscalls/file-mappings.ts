// The list of memory ranges that are mappings of files. A load from such memory can raise SIGBUS when the
// file is truncated, and a page fault on it waits for the disk. The process has one list, so that a ring of
// one thread sees a mapping made in another. It holds what this library maps and what callers report.

import { isSharedArrayBuffer } from 'node:util/types'
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads'
import { invalidState } from './argument-errors.js'
import type { Address } from './numbers.js'

/** The most mappings that are listed at once. */
export const MAX_FILE_MAPPINGS = 1024

const KEY = 'uring.file-mappings'
const LIVE = 0
const LOCK = 1
/** Counts changes: odd while one is under way. */
const SEQUENCE = 2
/** How many places have ever been used. */
const HIGH_WATER = 3
const FIRST_PLACE = 4
/** Of one place: start and end as page numbers, each in two words. The numbers of a free place are 0. */
const PLACE_WORDS = 4
const WORDS = FIRST_PLACE + MAX_FILE_MAPPINGS * PLACE_WORDS

const PAGE = 4096
/** Bounds each wait for the lock: a thread that is terminated while it holds the lock never releases it. */
const MAX_SPINS = 10_000_000
/** Longer than any change takes. If a thread was terminated in the middle of one, every look takes this long. */
const MAX_LOOKS = 10_000

/** The same memory in this thread and in every worker that it starts later; see process-policy.ts. */
function sharedWords(): Int32Array<SharedArrayBuffer> {
  const existing: unknown = getEnvironmentData(KEY)
  if (isSharedArrayBuffer(existing) && existing.byteLength >= WORDS * 4) return new Int32Array(existing)
  const memory = new SharedArrayBuffer(WORDS * 4)
  setEnvironmentData(KEY, memory)
  return new Int32Array(memory)
}

const words = sharedWords()

/** The shared words. The first one is the number of listed mappings, which others may watch. */
export const liveFileMappings: Int32Array<SharedArrayBuffer> = words

/** A range of memory, in whole pages. */
export interface FileMapping {
  readonly address: Address
  readonly length: number
}

/** A mapping's place in the list. */
export interface ListedMapping {
  /** Takes it off the list, just before it is unmapped. A second call does nothing. */
  release(): void
}

/**
 * Lists a mapping of a file. The memory must stay mapped until it is released.
 *
 * @throws Error `ERR_INVALID_STATE` when 1024 are listed already.
 */
export function listFileMapping({ address, length }: FileMapping): ListedMapping {
  const first = Math.floor(address / PAGE)
  const end = Math.ceil((address + length) / PAGE)
  const place = changing(() => {
    const used = words[HIGH_WATER]!
    let free = 0
    while (free < used && !isFree(free)) free++
    if (free === MAX_FILE_MAPPINGS) return -1
    store(free, first, end)
    if (free === used) Atomics.store(words, HIGH_WATER, used + 1)
    // Order: the place, then the count. A ring that sees the count finds the place.
    Atomics.add(words, LIVE, 1)
    return free
  })
  if (place < 0) throw invalidState(`${MAX_FILE_MAPPINGS} mappings of files are live in this process already`)
  let released = false
  return {
    release() {
      if (released) return
      released = true
      changing(() => {
        store(place, 0, 0)
        Atomics.sub(words, LIVE, 1)
        return 0
      })
    },
  }
}

/** Whether any byte of the range is in a listed mapping. */
export function isInFileMapping(address: Address, length: number): boolean {
  if (Atomics.load(words, LIVE) === 0 || length <= 0) return false
  const first = Math.floor(address / PAGE)
  const last = Math.floor((address + length - 1) / PAGE)
  for (let looks = 0; looks < MAX_LOOKS; looks++) {
    // Order: the count of changes, the places, the count again: what was read in between belongs to one moment.
    // Without it: half of a place that another thread is just filling.
    const before = Atomics.load(words, SEQUENCE)
    if ((before & 1) !== 0) continue
    let found = false
    const used = Atomics.load(words, HIGH_WATER)
    for (let place = 0; place < used && !found; place++) {
      const at = FIRST_PLACE + place * PLACE_WORDS
      found = first < pageAt(at + 2) && last >= pageAt(at)
    }
    if (Atomics.load(words, SEQUENCE) === before) return found
  }
  // Another thread is in the middle of a change, or was terminated there. A doubt is a yes.
  return true
}

function pageAt(at: number): number {
  return (Atomics.load(words, at) >>> 0) + Atomics.load(words, at + 1) * 2 ** 32
}

function isFree(place: number): boolean {
  const at = FIRST_PLACE + place * PLACE_WORDS
  return pageAt(at + 2) === 0
}

function store(place: number, first: number, end: number): void {
  const at = FIRST_PLACE + place * PLACE_WORDS
  Atomics.store(words, at, first | 0)
  Atomics.store(words, at + 1, Math.floor(first / 2 ** 32))
  Atomics.store(words, at + 2, end | 0)
  Atomics.store(words, at + 3, Math.floor(end / 2 ** 32))
}

/** Changes the list under the lock. */
function changing(change: () => number): number {
  for (let spins = 0; Atomics.compareExchange(words, LOCK, 0, 1) !== 0 && spins < MAX_SPINS; spins++);
  // The count is odd already when the lock is taken over from a thread that was terminated in the middle of its
  // change. Adding one would leave it odd after this change, as if a change were always under way.
  const sequence = Atomics.load(words, SEQUENCE)
  Atomics.store(words, SEQUENCE, sequence + (sequence & 1 ? 2 : 1))
  try {
    return change()
  } finally {
    Atomics.add(words, SEQUENCE, 1)
    Atomics.store(words, LOCK, 0)
  }
}
