// Descriptors of a worker's connections. A terminated worker runs no code any more that would close them, so it announces
// each, and the thread that started it closes what is left.

import { isMainThread } from 'node:worker_threads'
import { announceFd } from '../../runtime/lifetime.js'
import type { Ledger } from './local-connections.js'

/** Notes the descriptors of this thread; null in the main thread, which ends with the process. */
export const announced: Required<Ledger> | null = isMainThread
  ? null
  : {
      taken: (fd) => announceFd(fd, true),
      // Before it is done: the number may be somebody else's right after.
      closing: (fd) => announceFd(fd, false),
      closed: () => {},
    }
