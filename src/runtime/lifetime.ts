// What happens to a ring when its thread ends without closing it.
//
// - Normal end, process.exit(), an uncaught exception: the 'exit' event still runs JavaScript, which cancels and waits
//   in place, so that the kernel writes no ArrayBuffer that is about to be freed.
// - worker.terminate(): no JavaScript runs in the worker any more. Its ring descriptor and mappings stay behind (60 of
//   60 when tried), so each worker announces them to the main thread, which reclaims them when the worker has gone.
//   Data was in driver memory, so the kernel writes nothing that was freed with the worker.
// - Garbage collection of an open driver: closed with a warning, as Node does for a FileHandle.

import { BroadcastChannel, isMainThread, threadId, type Worker } from 'node:worker_threads'
import type { MappedRegion } from '../ring/index.js'
import { close, munmap } from '../syscalls/libc.js'

/** Something to close in place at exit. */
export interface ClosedAtExit {
  closeNow(): void
}

const CHANNEL = 'uring:rings-of-workers'

type Announcement =
  | { readonly kind: 'fd'; readonly thread: number; readonly fd: number; readonly present: boolean }
  | {
      readonly kind: 'region'
      readonly thread: number
      readonly address: number
      readonly length: number
      readonly present: boolean
    }

const open = new Set<ClosedAtExit>()
let listening = false

function closeAll(): void {
  for (const ring of open) {
    try {
      ring.closeNow()
    } catch {
      // The process ends; the kernel cleans up what could not be closed.
    }
  }
  open.clear()
}

/** Closes `ring` in place if this thread exits before `forgetAtExit`. */
export function closeAtExit(ring: ClosedAtExit): void {
  if (!listening) {
    listening = true
    process.on('exit', closeAll)
  }
  open.add(ring)
}

export function forgetAtExit(ring: ClosedAtExit): void {
  open.delete(ring)
}

let channel: BroadcastChannel | null = null

/** This thread's end of the channel; it does not keep the thread alive. */
function announcements(): BroadcastChannel {
  if (channel === null) {
    channel = new BroadcastChannel(CHANNEL)
    channel.unref()
  }
  return channel
}

/** In a worker: tells the threads above of a descriptor that is to be closed should this worker be terminated. */
export function announceFd(fd: number, present: boolean): void {
  if (isMainThread) return
  announcements().postMessage({ kind: 'fd', thread: threadId, fd, present } satisfies Announcement)
}

/** In a worker: the same for a mapping. */
export function announceRegion({ address, length }: MappedRegion, present: boolean): void {
  if (isMainThread) return
  announcements().postMessage({
    kind: 'region',
    thread: threadId,
    address,
    length,
    present,
  } satisfies Announcement)
}

interface Holdings {
  readonly fds: Set<number>
  /** Length by address. */
  readonly regions: Map<number, number>
}

const holdings = new Map<number, Holdings>()

function note(message: Announcement): void {
  let held = holdings.get(message.thread)
  if (held === undefined) {
    held = { fds: new Set(), regions: new Map() }
    holdings.set(message.thread, held)
  }
  if (message.kind === 'fd') {
    if (message.present) held.fds.add(message.fd)
    else held.fds.delete(message.fd)
  } else if (message.present) held.regions.set(message.address, message.length)
  else held.regions.delete(message.address)
}

/** Closes and unmaps what a worker left behind. Descriptors first: they end what the kernel still does there. */
function reclaim(thread: number): void {
  const held = holdings.get(thread)
  if (held === undefined) return
  holdings.delete(thread)
  for (const fd of held.fds) close(fd)
  // A thread does not end before its operations have: the kernel cancels and awaits them at its exit. So nothing writes
  // these mappings any more.
  for (const [address, length] of held.regions) munmap(address, length)
}

/** Watches for workers of this thread that end, and for what they announce. Called once, on import. */
export function watchWorkers(): void {
  process.on('worker', (worker: Worker) => {
    // Listening starts with the first worker, so that a program without any does not pay for a channel.
    const listener = announcements()
    listener.onmessage = (event: unknown) => note((event as { data: Announcement }).data)
    const { threadId: thread } = worker
    worker.once('exit', () => {
      // What the worker announced last may still be on its way; messages are delivered before the next immediate.
      setImmediate(() => setImmediate(() => reclaim(thread)))
    })
  })
}
