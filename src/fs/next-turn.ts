// Delays work that has a signal to the next turn of the event loop, so that an abort in the turn of the call
// wins however fast the disk is.

import { AbortError } from '../runtime/index.js'

/** Resolves in the next turn of the event loop; rejects with AbortError when the signal has been aborted by then. */
export function nextTurn(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      if (signal.aborted) reject(new AbortError(signal.reason))
      else resolve()
    })
  })
}
