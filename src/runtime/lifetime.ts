// What happens to a ring when its thread ends without closing it.
//
// - Normal end, process.exit(), an uncaught exception: the 'exit' event still runs JavaScript, which cancels
//   and waits in place, so that the kernel writes into no ArrayBuffer that is about to be freed.
// - worker.terminate(): no JavaScript runs in the worker any more, so its descriptors and mappings stay
//   behind. Each worker notes them where others see them, and the thread that started it reclaims them after
//   its end. Data was in driver memory, so the kernel writes nothing that was freed with the worker.
// - Garbage collection of an open driver: closed with a warning, as Node does for a FileHandle.

import {
  BroadcastChannel,
  isMainThread,
  type MessagePort,
  receiveMessageOnPort,
  threadId,
  type Worker,
} from 'node:worker_threads'
import { type CompletionMemory, IORING_SETUP_SQPOLL, type MappedRegion, type Ring } from '../ring/index.js'
import { closeNoted, noteDescriptors } from '../syscalls/descriptor-notes.js'
import { close, munmap } from '../syscalls/libc.js'
import { DescriptorTable } from './descriptor-table.js'
import { log } from './diagnostics.js'
import { unclaimedDescriptors } from './unclaimed-descriptors.js'

/** In a worker: the descriptors that it has open. Null in the main thread. */
let descriptors: DescriptorTable | null = null

/** Something to close in place at exit. */
export interface ClosedAtExit {
  closeNow(): void
}

const CHANNEL = 'uring:rings-of-workers'

type Announcement =
  /** Where `thread` notes its descriptors. */
  | { readonly kind: 'descriptors'; readonly thread: number; readonly memory: SharedArrayBuffer }
  | {
      readonly kind: 'region'
      readonly thread: number
      readonly address: number
      readonly length: number
      readonly isPresent: boolean
    }
  /** Where the completion queue of the thread's ring `fd` is; null when the ring is closed. */
  | {
      readonly kind: 'completions'
      readonly thread: number
      readonly fd: number
      readonly memory: CompletionMemory | null
      /** Addresses of the ring's mappings if a kernel thread of its own (SQPOLL) works for it, else null. */
      readonly sqpollRegions: readonly number[] | null
    }
  /** `thread` has started the worker `child`, and will reclaim it if it still lives then. */
  | { readonly kind: 'child'; readonly thread: number; readonly child: number }
  /** `thread` has ended; nothing of it is left to reclaim. */
  | { readonly kind: 'reclaimed'; readonly thread: number }

const open = new Set<ClosedAtExit>()
let isListeningForExit = false

function closeAll(): void {
  for (const ring of open) {
    try {
      ring.closeNow()
    } catch (error) {
      // The process ends; the kernel cleans up what could not be closed.
      log(`a ring could not be closed at exit: ${(error as Error).message}`)
    }
  }
  open.clear()
  // Descriptors that a worker opened are closed with it, as those of Node's files are: the process lives on.
  for (const fd of descriptors?.all() ?? []) closeNoted(fd)
}

/** Closes `ring` in place if this thread exits before `forgetAtExit`. */
export function closeAtExit(ring: ClosedAtExit): void {
  if (!isListeningForExit) {
    isListeningForExit = true
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

function announce(announcement: Announcement): void {
  if (!isMainThread) announcements().postMessage(announcement)
}

/**
 * In a worker: tells the threads above of a descriptor, which they close if this worker ends without closing
 * it. Withdraw it before it is closed, because its number may name another file right after.
 */
export function announceFd(fd: number, isPresent: boolean): void {
  if (descriptors === null) return
  if (isPresent) descriptors.add(fd)
  else descriptors.remove(fd)
}

/** In a worker: the same for a mapping. */
export function announceRegion({ address, length }: MappedRegion, isPresent: boolean): void {
  announce({ kind: 'region', thread: threadId, address, length, isPresent })
}

/** In a worker: the same for a ring's mappings and the descriptors in its completion queue, until it is closed. */
export function announceRing(ring: Ring): void {
  if (isMainThread) return
  const { fd, regions, completionMemory } = ring
  const tell = (isPresent: boolean): void => {
    for (const region of regions) announceRegion(region, isPresent)
    const memory = isPresent ? completionMemory : null
    const isSqpoll = (ring.flags & IORING_SETUP_SQPOLL) !== 0
    const sqpollRegions = isSqpoll ? regions.map(({ address }) => address) : null
    announce({ kind: 'completions', thread: threadId, fd, memory, sqpollRegions })
  }
  tell(true)
  ring.beforeClose = () => tell(false)
}

interface Holdings {
  descriptors: DescriptorTable | null
  /** Length by address. */
  readonly regions: Map<number, number>
  /** By the ring's descriptor. */
  readonly completions: Map<number, CompletionMemory>
  /** Addresses of the mappings of its rings with SQPOLL, by the ring's descriptor. */
  readonly sqpollRegions: Map<number, readonly number[]>
  /** Workers that it has started. */
  readonly children: Set<number>
}

/** What other threads hold, by thread. */
const holdings = new Map<number, Holdings>()

function note(message: Announcement): void {
  const { kind, thread } = message
  if (kind === 'reclaimed') {
    holdings.delete(thread)
    return
  }
  let held = holdings.get(thread)
  if (held === undefined) {
    held = {
      descriptors: null,
      regions: new Map(),
      completions: new Map(),
      sqpollRegions: new Map(),
      children: new Set(),
    }
    holdings.set(thread, held)
  }
  if (kind === 'child') held.children.add(message.child)
  else if (kind === 'descriptors') held.descriptors = new DescriptorTable(message.memory)
  else if (kind === 'completions') {
    if (message.memory === null) held.completions.delete(message.fd)
    else held.completions.set(message.fd, message.memory)
    if (message.sqpollRegions === null || message.memory === null) held.sqpollRegions.delete(message.fd)
    else held.sqpollRegions.set(message.fd, message.sqpollRegions)
  } else if (message.isPresent) held.regions.set(message.address, message.length)
  else held.regions.delete(message.address)
}

/** Processes all announcements made so far. Those of a thread have all arrived when its end is known. */
function catchUp(): void {
  // Every kind of port can be read like this, although the type declarations know of one only.
  const port = announcements() as unknown as MessagePort
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
    note(next.message as Announcement)
  }
}

/**
 * Closes and unmaps what a worker left behind, and what its own workers left, which ended with it.
 *
 * Nothing writes to these mappings any more. The exit of the worker waited for kernel threads that worked for
 * it. An operation that waits for readiness would be carried out by the worker's own thread. A disk writes to
 * pages that its request holds. A ring with SQPOLL is different: nothing waited for its kernel thread. Of
 * such a worker only the rings with SQPOLL are unmapped, which ends them; its other memory is left mapped.
 */
function reclaim(thread: number): void {
  const held = holdings.get(thread)
  if (held === undefined) return
  holdings.delete(thread)
  for (const child of held.children) reclaim(child)
  // Announced before it is done: if this thread is terminated in between, something leaks. In the other
  // order, the thread above would close a number that may name another file by then.
  announce({ kind: 'reclaimed', thread })
  const fds = new Set(held.descriptors?.all())
  // Descriptors that its last operations opened and that it had no time to take in.
  for (const memory of held.completions.values()) {
    for (const fd of unclaimedDescriptors(memory)) fds.add(fd)
  }
  for (const fd of fds) close(fd)
  const rings = held.sqpollRegions.size === 0 ? null : new Set([...held.sqpollRegions.values()].flat())
  for (const [address, length] of held.regions) {
    if (rings === null || rings.has(address)) munmap(address, length)
  }
  log(`reclaimed of thread ${thread}: ${fds.size} descriptors, ${held.regions.size} mappings`)
}

/** Watches for workers of this thread that end, and for what they announce. Called once, on import. */
export function watchWorkers(): void {
  if (!isMainThread) {
    // Made before there is anything to note: this takes a millisecond, in which the worker may be terminated.
    descriptors = new DescriptorTable()
    announce({ kind: 'descriptors', thread: threadId, memory: descriptors.memory })
    noteDescriptors(announceFd)
  }
  process.on('worker', (worker: Worker) => {
    // Listening starts with the first worker, so that a program without any does not pay for a channel.
    const port = announcements()
    port.onmessage = (event: unknown) => note((event as { data: Announcement }).data)
    port.unref()
    const { threadId: thread } = worker
    announce({ kind: 'child', thread: threadId, child: thread })
    worker.once('exit', () => {
      catchUp()
      reclaim(thread)
    })
  })
}
