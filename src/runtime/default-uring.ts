// The one ring that modules of this package share in a thread, opened on first use.

import { announceFallback } from './diagnostics.js'
import { isRestricted, RESTRICTED_REASON } from './permission-model.js'
import { Uring } from './uring.js'

/** Time from a failed build to the next attempt: a build that waits for memory takes long. */
const RETRY_MS = 1000

let shared: Uring | null = null
let retryAt = 0
let lastReason = ''

/**
 * The thread's shared ring, or null where there is none: `Uring.availability()` says why, or Node's permission
 * model is in force. Callers then use Node's own modules. `URING_DISABLE` is looked at on every call.
 */
export function defaultUring(): Uring | null {
  if (isRestricted) return withoutRing(RESTRICTED_REASON)
  const { available, reason } = Uring.availability()
  if (!available) return withoutRing(reason)
  if (shared !== null && !shared.closed) return shared
  if (performance.now() < retryAt) return null
  try {
    shared = Uring.open()
    lastReason = ''
    return shared
  } catch (error) {
    // The probe succeeded and the build did not (no memory, no descriptors): the fallback serves for a while.
    retryAt = performance.now() + RETRY_MS
    return withoutRing((error as Error).message)
  }
}

/** The shared ring if it has been opened already. */
export function openedDefaultUring(): Uring | null {
  return shared
}

function withoutRing(reason: string): null {
  if (reason !== lastReason) announceFallback('all', reason)
  lastReason = reason
  return null
}
