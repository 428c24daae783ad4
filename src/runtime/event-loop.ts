// Whose event loop this is. A ring wakes Node's through a descriptor under a socket (wakeup.ts); Bun and Deno have their own
// loops, which take such a socket and never report it.

import { type Availability, availability } from '../config/index.js'

function foreignRuntime(): string | null {
  const { bun, deno } = process.versions
  if (bun !== undefined) return `Bun ${bun}`
  if (deno !== undefined) return `Deno ${deno}`
  return null
}

const foreign = foreignRuntime()

/** Whether there is nothing about the loop to be said. */
export const isNodesLoop: boolean = foreign === null

/** Whether the promise driver can be used: what `availability` says, and a loop that a ring can wake. */
export function driverAvailability(): Availability {
  const answer = availability()
  if (foreign === null || !answer.available) return answer
  const reason = `io_uring: disabled because a ring cannot wake the event loop of ${foreign}; uring/ring works`
  return { ...answer, available: false, reason, cause: 'foreign-event-loop' }
}
