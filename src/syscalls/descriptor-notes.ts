// Who is told of the descriptors of rings, from the moment they are there until they are about to be closed. A worker that is
// terminated in between leaves them open, and somebody else has to close them.

import { close } from './libc.js'
import type { Fd } from './numbers.js'

export type DescriptorNote = (fd: Fd, isHeld: boolean) => void

let note: DescriptorNote | null = null

/** @param told - Must not throw. */
export function noteDescriptors(told: DescriptorNote): void {
  note = told
}

/** The descriptor is this thread's from now on. */
export function noteHeld(fd: Fd): void {
  note?.(fd, true)
}

/** Somebody else closes it from now on. */
export function noteGone(fd: Fd): void {
  note?.(fd, false)
}

/** Closes what was noted, and has it forgotten before: right after, its number may be another file's. */
export function closeNoted(fd: Fd): void {
  noteGone(fd)
  close(fd)
}
