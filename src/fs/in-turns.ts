// Limits how many whole-file operations run at once without a ring. Each holds a descriptor: thousands at
// once would end in EMFILE, where a ring's lanes serve them in order.

import { AbortError } from '../runtime/index.js'
import { addAbortListener, removeAbortListener } from './abort-listeners.js'

/** As many as there are lanes. */
const MOST = 256

let running = 0
// In order of arrival; an abort removes one from the middle.
const waiting = new Set<() => void>()

/**
 * Runs `work` when its turn has come: at once, unless many others are running.
 *
 * Rejects with AbortError when the signal is aborted before that. Once `work` has begun, it watches the
 * signal itself.
 */
export async function inTurns<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  if (running < MOST) running++
  else await turn(signal)
  try {
    return await work()
  } finally {
    // The turn is passed on directly, so that no newcomer overtakes those who wait.
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
