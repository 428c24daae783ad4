// Whether a ring can wake this runtime's event loop. It wakes Node's through a descriptor under a socket
// (wakeup.ts). Bun and Deno have other loops, which accept such a socket but never report events on it.

import { type Availability, availability } from '../config/index.js'

function foreignRuntime(): string | null {
  const { bun, deno } = process.versions
  if (bun !== undefined) return `Bun ${bun}`
  if (deno !== undefined) return `Deno ${deno}`
  return null
}

const foreign = foreignRuntime()

/** Whether this is Node's own event loop, which a ring can wake. */
export const isNodesLoop: boolean = foreign === null

/** Whether the promise driver can be used: `availability` says so, and a ring can wake the event loop. */
export function driverAvailability(): Availability {
  const answer = availability()
  if (foreign === null || !answer.available) return answer
  const reason = `io_uring: disabled because a ring cannot wake the event loop of ${foreign}; uring/ring works`
  return { ...answer, available: false, reason, cause: 'foreign-event-loop' }
}
