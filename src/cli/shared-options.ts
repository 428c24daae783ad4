// Options that several commands share, with the same help text.

import type { PartialConfig, RingReport } from '../config/index.js'
import { Uring } from '../runtime/index.js'
import type { OptionSpec } from './command.js'

export const OUTPUT_OPTIONS = {
  quiet: { short: 'q', help: 'print nothing but errors' },
  json: { help: 'print one JSON object: what was done, and how' },
} as const satisfies Record<string, OptionSpec>

export const RING_OPTIONS = {
  sqpoll: { help: 'ask for a kernel thread that submits (SQPOLL); what comes of that is said' },
  depth: { value: 'N', help: 'operations in flight for one file' },
} as const satisfies Record<string, OptionSpec>

/** `'SQPOLL asked for, not granted: mmap-basis-active'`. */
export function sqpollText({ sqpoll }: RingReport): string {
  return sqpoll.granted ? 'SQPOLL asked for, granted' : `SQPOLL asked for, not granted: ${sqpoll.reason}`
}

/**
 * Opens a ring of its own for a command. @returns Null where there is none to be had: `warn` is told why, and
 * the command goes on without it.
 */
export function openRing(config: PartialConfig, warn: (line: string) => void): Uring | null {
  const { available, reason } = Uring.availability()
  if (!available) {
    warn(`uring: no ring: ${reason}`)
    return null
  }
  try {
    return Uring.open(config)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).errno === undefined) throw error
    warn(`uring: no ring: ${(error as Error).message}`)
    return null
  }
}

/** The part of a ring's report that goes into JSON. */
export function ringJson(report: RingReport | null): object | null {
  if (report === null) return null
  const { sqEntries, cqEntries, flagNames, sqpoll } = report
  return { sqEntries, cqEntries, flags: flagNames, sqpoll }
}
