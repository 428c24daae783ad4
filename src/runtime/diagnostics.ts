// The driver's diagnostics: lines for NODE_DEBUG=uring, and diagnostics channels.

import { channel } from 'node:diagnostics_channel'
import { debuglog } from 'node:util'

/** A line on stderr when NODE_DEBUG names `uring`; nothing otherwise. */
export const log: (line: string) => void = debuglog('uring')

/** Published with `{ ring, cqEntries, inFlight }` when a completion queue was found overflowing. */
export const overflowed = channel('uring:overflow')

/** Published with a `Fallback` when Node's own modules are used in the place of io_uring. */
export const fellBack = channel('uring:fallback')

/** Something that is done without io_uring. */
export interface Fallback {
  /** What: `'all'`, or the name of an operation. */
  readonly what: string
  /** Why, in one line. */
  readonly reason: string
}

const announced = new Set<string>()

/** Announces a fallback: on the channel each time, in the log once for each reason. */
export function announceFallback(what: string, reason: string): void {
  if (fellBack.hasSubscribers) fellBack.publish({ what, reason } satisfies Fallback)
  const line = `without io_uring: ${what}: ${reason}`
  if (announced.has(line)) return
  announced.add(line)
  log(line)
}
