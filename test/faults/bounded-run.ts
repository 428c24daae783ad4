// What every run on a faulty kernel is held to: it ends in time, and leaves no descriptor behind.

import { descriptorCount } from '../descriptors.js'

/** Sockets that wake the event loop are closed in a later turn. */
const LATER_TURNS = 50

/**
 * Waits for `work`.
 *
 * @param state - What to tell of a run that does not end.
 */
export async function inTime(work: Promise<void>, limitMs: number, state: () => object): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no end after ${limitMs} ms: ${JSON.stringify(state())}`))
    }, limitMs)
  })
  try {
    await Promise.race([work, tooLong])
  } finally {
    clearTimeout(timer)
  }
}

/** @throws Error when more descriptors than `before` stay open. */
export async function checkDescriptors(before: number): Promise<void> {
  for (let turns = 0; turns < LATER_TURNS && descriptorCount() > before; turns++) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  const left = descriptorCount() - before
  if (left > 0) throw new Error(`${left} descriptors are left`)
}
