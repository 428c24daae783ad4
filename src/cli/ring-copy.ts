// Copies one file through a raw ring, every step on the ring: open into registered files, statx, reads and writes on
// registered buffers with several in flight, fsync, close. The demonstration of what a ring does, and its check.

import type { IoUringConfig } from '../config/index.js'
import {
  AT_FDCWD,
  addressOf,
  errnoName,
  IOSQE_FIXED_FILE,
  MappedRegion,
  prepCloseDirect,
  prepFsync,
  prepOpenatDirect,
  prepReadFixed,
  prepStatx,
  prepWriteFixed,
  type Ring,
  registerBuffers,
  registerFilesSparse,
  type Sqe,
  STATX_SIZE,
  systemError,
  unregisterBuffers,
  unregisterFiles,
} from '../ring/index.js'
import { invalidValue } from '../syscalls/argument-errors.js'

const SOURCE = 0
const TARGET = 1
const O_WRONLY = 1
const O_CREAT = 0o100
const O_TRUNC = 0o1000
const STATX_BYTES = 256
const STATX_SIZE_AT = 40

/** How a copy went. */
export interface CopyResult {
  readonly bytes: number
  readonly reads: number
  readonly writes: number
  /** Times the kernel was entered to submit and wait. */
  readonly enters: number
  /** The most operations that were in flight at once. */
  readonly peakInFlight: number
  readonly milliseconds: number
}

function getSqe(ring: Ring): Sqe {
  const sqe = ring.getSqe()
  if (sqe === null) throw new Error('The submission queue is full: more in flight than it was made for')
  return sqe
}

/** Runs one operation on its own and returns its result. @throws SystemError. */
function runOne(ring: Ring, syscall: string, path: string | undefined, prepare: (sqe: Sqe) => void): number {
  prepare(getSqe(ring))
  let result: number | null = null
  while (result === null) {
    ring.submitAndWait(1)
    ring.forEachCqe((_low, _high, res) => {
      result = res
    })
  }
  if (result < 0) throw systemError(result, syscall, { path })
  return result
}

/** One buffer's way through the copy: filled from the source, emptied into the target, filled again. */
interface Lane {
  offset: number
  /** Bytes that this turn is to move. */
  length: number
  /** Bytes of them read, then written. */
  done: number
  writing: boolean
}

/**
 * Copies `source` to `target` on `ring`, whose registered buffers and files it uses and frees again.
 *
 * @param config - `bufferSize` and `registeredBufferCount` set the size and the number of operations in flight.
 * @throws SystemError with the call and path that failed; the target is then incomplete.
 */
export function copyThroughRing(
  ring: Ring,
  config: IoUringConfig,
  source: string,
  target: string,
): CopyResult {
  const { bufferSize, registeredBufferCount } = config
  const depth = Math.min(registeredBufferCount, ring.sqEntries)
  if (depth < 1)
    throw invalidValue('config.registeredBufferCount', registeredBufferCount, 'leaves no buffer to copy with')
  const memory = MappedRegion.anonymous(depth * bufferSize)
  const started = performance.now()
  try {
    const buffers = Array.from({ length: depth }, (_, index) => ({
      address: memory.address + index * bufferSize,
      length: bufferSize,
    }))
    registerBuffers(ring, buffers)
    registerFilesSparse(ring, 2)
    const size = openBoth(ring, source, target)
    const moved = pump(ring, buffers, size)
    runOne(ring, 'fsync', target, (sqe) => prepFsync(sqe, TARGET, 0).addFlags(IOSQE_FIXED_FILE))
    runOne(ring, 'close', source, (sqe) => prepCloseDirect(sqe, SOURCE))
    runOne(ring, 'close', target, (sqe) => prepCloseDirect(sqe, TARGET))
    return { ...moved, bytes: size, milliseconds: performance.now() - started }
  } finally {
    // The kernel has let go of the memory only once both tables are gone and nothing is in flight.
    if (!ring.closed) release(ring)
    memory.unmap()
  }
}

function release(ring: Ring): void {
  for (const unregister of [unregisterFiles, unregisterBuffers]) {
    try {
      unregister(ring)
    } catch (error) {
      // Not registered: the copy failed before it came to that.
      if ((error as { code?: string }).code !== 'ENXIO') throw error
    }
  }
}

/** Opens both files into the registered table. @returns The size of the source, in bytes. */
function openBoth(ring: Ring, source: string, target: string): number {
  const sourcePath = Buffer.from(`${source}\0`)
  const targetPath = Buffer.from(`${target}\0`)
  const statx = new Uint8Array(new ArrayBuffer(STATX_BYTES))
  const [from, to, area] = [addressOf(sourcePath), addressOf(targetPath), addressOf(statx)]
  runOne(ring, 'open', source, (sqe) => prepOpenatDirect(sqe, AT_FDCWD, from, 0, 0, SOURCE))
  runOne(ring, 'statx', source, (sqe) => prepStatx(sqe, AT_FDCWD, from, 0, STATX_SIZE, area))
  const flags = O_WRONLY | O_CREAT | O_TRUNC
  runOne(ring, 'open', target, (sqe) => prepOpenatDirect(sqe, AT_FDCWD, to, flags, 0o644, TARGET))
  return Number(new DataView(statx.buffer).getBigUint64(STATX_SIZE_AT, true))
}

/** Keeps one operation of each buffer in flight until all is copied. */
function pump(
  ring: Ring,
  buffers: readonly { address: number; length: number }[],
  size: number,
): { reads: number; writes: number; enters: number; peakInFlight: number } {
  const lanes: Lane[] = buffers.map(() => ({ offset: 0, length: 0, done: 0, writing: false }))
  const counts = { reads: 0, writes: 0, enters: 0, peakInFlight: 0 }
  let next = 0
  let inFlight = 0
  let failure: Error | null = null

  function issue(index: number): void {
    const lane = lanes[index]!
    const address = buffers[index]!.address + lane.done
    const length = lane.length - lane.done
    const offset = lane.offset + lane.done
    const sqe = getSqe(ring)
    if (lane.writing) {
      counts.writes++
      prepWriteFixed(sqe, TARGET, address, length, offset, index)
    } else {
      counts.reads++
      prepReadFixed(sqe, SOURCE, address, length, offset, index)
    }
    sqe.addFlags(IOSQE_FIXED_FILE).setUserData(index)
    inFlight++
  }

  function fill(index: number): void {
    if (next >= size || failure !== null) return
    const length = Math.min(buffers[index]!.length, size - next)
    Object.assign(lanes[index]!, { offset: next, length, done: 0, writing: false })
    next += length
    issue(index)
  }

  function advance(index: number, res: number): void {
    inFlight--
    const lane = lanes[index]!
    const call = lane.writing ? 'write' : 'read'
    if (res < 0 && errnoName(res) !== 'EAGAIN' && errnoName(res) !== 'EINTR') failure = systemError(res, call)
    else if (res === 0)
      failure = new Error(`The source ended at byte ${lane.offset + lane.done}, before its size of ${size}`)
    if (failure !== null) return
    lane.done += Math.max(res, 0)
    if (lane.done < lane.length) {
      issue(index)
    } else if (lane.writing) {
      fill(index)
    } else {
      lane.writing = true
      lane.done = 0
      issue(index)
    }
  }

  lanes.forEach((_, index) => {
    fill(index)
  })
  while (inFlight > 0) {
    counts.peakInFlight = Math.max(counts.peakInFlight, inFlight)
    counts.enters++
    ring.submitAndWait(1)
    ring.forEachCqe(visit)
  }
  if (failure !== null) throw failure
  return counts

  function visit(low: number, _high: number, res: number): void {
    advance(low, res)
  }
}
