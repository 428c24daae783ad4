// Whole-file operations without a ring, a bounded number at a time: each holds a descriptor, and thousands at once, which
// a ring's lanes serve in order, would end in EMFILE here.

import { AbortError } from '../runtime/index.js'
import { addAbortListener, removeAbortListener } from './abort-listeners.js'

/** As many as there are lanes. */
const MOST = 256

let running = 0
// In the order of their coming; an abort takes one out of the middle.
const waiting = new Set<() => void>()

/**
 * Runs `work` when its turn has come: at once, unless many others are running.
 *
 * Rejects with AbortError when the signal is aborted before; from then on the signal is the affair of `work`.
 */
export async function inTurns<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  if (running < MOST) running++
  else await turn(signal)
  try {
    return await work()
  } finally {
    // The turn is handed over, so that nobody who comes now overtakes those who wait.
    const [next] = waiting
    if (next === undefined) running--
    else next()
  }
}

function turn(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const begin = (): void => {
      waiting.delete(begin)
      if (signal !== undefined) removeAbortListener(signal, leave)
      resolve()
    }
    const leave = (): void => {
      waiting.delete(begin)
      if (signal !== undefined) removeAbortListener(signal, leave)
      reject(new AbortError(signal?.reason))
    }
    waiting.add(begin)
    if (signal !== undefined) addAbortListener(signal, leave)
  })
}
