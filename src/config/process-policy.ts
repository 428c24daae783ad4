// State of the whole process: whether SQPOLL is switched off, whether it ever fell back, whether pinning of
// mapped bases was given up. The functions that plan a ring do not read it themselves; they are passed a
// `PolicyState`.

import { isSharedArrayBuffer } from 'node:util/types'
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads'

/** The state of the process that affects a plan. */
export interface PolicyState {
  /** `disableSqpoll` was called. */
  readonly sqpollDisabled: boolean
  /** Too many pins were refused: mapped bases are not pinned any more. */
  readonly pinningOff: boolean
}

/** How often it was tried to pin pages of a mapped basis, and how often that was refused. */
export interface PinStatistics {
  readonly attempts: number
  readonly downgrades: number
  readonly off: boolean
}

const KEY = 'uring.process-policy'
const DISABLED = 0
const FELL_BACK = 1
const PIN_ATTEMPTS = 2
const PIN_DOWNGRADES = 3
const PIN_OFF = 4
const WORDS = 5

/** Pinning is given up once this share of the attempts was refused. */
const PIN_DOWNGRADE_SHARE = 0.05

/**
 * Each worker thread loads this module anew. Every worker started later gets the environment data, and a
 * SharedArrayBuffer in it is the same memory there. So the thread that imports this module first shares the
 * state with all threads below it. Workers started before that import have a state of their own.
 */
function sharedWords(): Int32Array {
  const existing: unknown = getEnvironmentData(KEY)
  if (isSharedArrayBuffer(existing) && existing.byteLength >= WORDS * 4) return new Int32Array(existing)
  const memory = new SharedArrayBuffer(WORDS * 4)
  setEnvironmentData(KEY, memory)
  return new Int32Array(memory)
}

// Order: the words are independent, so the Atomics below order nothing between them. They make a word written
// by one thread visible to the others, and no count is lost when two threads count at once.
const words = sharedWords()

/**
 * Whether any ring of this process was built without the SQPOLL it asked for: refused for a mapped basis,
 * skipped in an old rootless container, or refused by the kernel. It stays true; for a single ring see its
 * report.
 */
export function sqpollFellBack(): boolean {
  return Atomics.load(words, FELL_BACK) !== 0
}

/**
 * Switches SQPOLL off for the process, for good; a second call changes nothing. Rings that exist keep their
 * threads, and all other features stay active.
 */
export function disableSqpoll(): void {
  Atomics.store(words, DISABLED, 1)
}

/** The state as it is now, for `planSetup`. */
export function policyState(): PolicyState {
  return {
    sqpollDisabled: Atomics.load(words, DISABLED) !== 0,
    pinningOff: Atomics.load(words, PIN_OFF) !== 0,
  }
}

/** How pinning has gone so far in this process. */
export function pinStatistics(): PinStatistics {
  return {
    attempts: Atomics.load(words, PIN_ATTEMPTS),
    downgrades: Atomics.load(words, PIN_DOWNGRADES),
    off: Atomics.load(words, PIN_OFF) !== 0,
  }
}

/** @internal Notes that a ring goes without the SQPOLL it asked for. */
export function noteSqpollFellBack(): void {
  Atomics.store(words, FELL_BACK, 1)
}

/** @internal Counts an attempt to pin pages; called before it. */
export function countPinAttempt(): void {
  Atomics.add(words, PIN_ATTEMPTS, 1)
}

/** @internal Counts a refused attempt. @returns Whether it was the first in this process. */
export function countPinDowngrade(): boolean {
  const earlier = Atomics.add(words, PIN_DOWNGRADES, 1)
  const attempts = Atomics.load(words, PIN_ATTEMPTS)
  if ((earlier + 1) / attempts >= PIN_DOWNGRADE_SHARE) Atomics.store(words, PIN_OFF, 1)
  return earlier === 0
}

/** @internal Restores the state of a fresh process; for tests only. */
export function resetProcessPolicyForTests(): void {
  for (let word = 0; word < WORDS; word++) Atomics.store(words, word, 0)
}
