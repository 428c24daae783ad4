// Opens a ring by the name of its mode, with the values that bench/peers/ring_mode.h uses.

import { Ring } from '../../src/ring/index.js'
import {
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SQPOLL,
} from '../../src/syscalls/abi/index.js'
import { SystemError } from '../../src/syscalls/errno.js'
import { skip } from '../harness/serve.js'

export type RingMode = 'default' | 'defer' | 'sqpoll'

const FLAGS: Readonly<Record<RingMode, number>> = {
  default: 0,
  defer: IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
  sqpoll: IORING_SETUP_SQPOLL,
}

// Short, so that the poll thread of a contender that waits for its turn sleeps and leaves its core to the others.
const SQ_THREAD_IDLE_MS = 5

/**
 * Opens a ring and registers its descriptor, as `buildRing` and the driver do by default. Where the kernel refuses the
 * ring, this child is skipped with the kernel's reason.
 */
export function openRing(entries: number, mode: RingMode): Ring {
  const idle = mode === 'sqpoll' ? { sqThreadIdleMs: SQ_THREAD_IDLE_MS } : {}
  const ring = orSkip(() => Ring.open({ entries, flags: FLAGS[mode], ...idle }))
  ring.registerRingFd()
  return ring
}

/** What `open` returns; a refusal by the kernel skips this child. */
export function orSkip<Result>(open: () => Result): Result {
  try {
    return open()
  } catch (error) {
    if (error instanceof SystemError) skip(error.message)
    throw error
  }
}
