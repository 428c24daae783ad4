// Tells one listener which descriptors of rings are open: from when they are opened until just before they
// are closed. A worker that is terminated in between leaves them open, and somebody else has to close them.

import { close } from './libc.js'
import type { Fd } from './numbers.js'

export type DescriptorNote = (fd: Fd, isHeld: boolean) => void

let note: DescriptorNote | null = null

/** Sets the listener. @param told - Must not throw. */
export function noteDescriptors(told: DescriptorNote): void {
  note = told
}

/** Notes that this thread owns the descriptor from now on. */
export function noteHeld(fd: Fd): void {
  note?.(fd, true)
}

/** Notes that the descriptor is no longer this thread's to close. */
export function noteGone(fd: Fd): void {
  note?.(fd, false)
}

/** Closes a noted descriptor. The listener is told first: once closed, the number may be another file's. */
export function closeNoted(fd: Fd): void {
  noteGone(fd)
  close(fd)
}
