// Makes the decisions of this folder visible: log lines for NODE_DEBUG=uring, and diagnostics channels.

import { channel } from 'node:diagnostics_channel'
import { debuglog } from 'node:util'

/** A line on stderr when NODE_DEBUG names `uring`; nothing otherwise. */
export const log: (line: string) => void = debuglog('uring')

/** Published with `{ ring, report }` once for each ring that was built. */
export const ringBuilt = channel('uring:ring-built')

/**
 * Published with `{ sqpoll, config }`, `sqpoll` as in the report, when SQPOLL was requested but not granted.
 */
export const sqpollRefused = channel('uring:sqpoll-refused')
