// The one ring that modules of this package share in a thread, opened on first use.

import { Uring } from './uring.js'

let shared: Uring | null = null

/**
 * The thread's shared ring, or null where none can be had (`Uring.available` says why): callers then use Node's own
 * modules. `URING_DISABLE` is looked at on every call.
 */
export function defaultUring(): Uring | null {
  if (!Uring.available.available) return null
  if (shared === null || shared.closed) {
    try {
      shared = Uring.open()
    } catch {
      // The probe succeeded and the build did not (no memory, no descriptors): the fallback serves, and the next call
      // tries again.
      return null
    }
  }
  return shared
}

/** The shared ring if it has been opened already. */
export function openedDefaultUring(): Uring | null {
  return shared
}
