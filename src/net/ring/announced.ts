// Notes the descriptors of a worker's sockets. A terminated worker runs no code that could close them, so it
// announces each one, and the thread that started the worker closes those that are left.

import { isMainThread } from 'node:worker_threads'
import { announceFd } from '../../runtime/lifetime.js'
import type { Ledger } from './local-connections.js'

/** Notes the descriptors of this thread; null in the main thread, which ends with the process. */
export const announced: Required<Ledger> | null = isMainThread
  ? null
  : {
      taken: (fd) => announceFd(fd, true),
      // Called before the close: right after it, the number may belong to another file.
      closing: (fd) => announceFd(fd, false),
      closed: () => {},
    }
