// Copies a file through a ring and its registered buffers. Each buffer is filled from the source and written
// to the target, again and again, all of them concurrently. Reads from the page cache complete on the
// JavaScript thread while writes run on the kernel's; with O_DIRECT neither takes a processor.

import {
  IOSQE_ASYNC,
  prepRead,
  prepReadFixed,
  prepWrite,
  prepWriteFixed,
  type Sqe,
  systemError,
} from '../../ring/index.js'
import type { Uring } from '../../runtime/index.js'
import { EAGAIN, EINTR, EIO } from '../../syscalls/errno-values.js'
import type { Extent } from './extents.js'
import { type CopyJob, DIRECT_UNIT_BYTES } from './job.js'
import { type PumpMemory, takeMemory } from './pump-memory.js'

/** How often one operation is repeated before the copy fails. */
const MAX_REPEATS = 16

export interface PumpOptions {
  /** Bytes of a buffer; a multiple of 4096. */
  readonly bufferSize: number
  /** Buffers, and so operations in flight, at most. */
  readonly depth: number
  /** Which of the two files have O_DIRECT. */
  readonly directSource: boolean
  readonly directTarget: boolean
}

/** What the ring did. */
export interface PumpCounts {
  readonly reads: number
  readonly writes: number
  /** The most operations that were in flight at once. */
  readonly peakInFlight: number
  /** Whether the buffers could be registered. */
  readonly registered: boolean
}

/**
 * Copies what the job has left. When it resolves or rejects, nothing is in flight.
 *
 * With `directTarget` the last write is padded to a whole block: the caller cuts the target to its size.
 *
 * @throws SystemError `read`, `write`; CopyError `ERR_COPY_SOURCE_CHANGED`; AbortError.
 */
export async function pumpThroughRing(uring: Uring, job: CopyJob, options: PumpOptions): Promise<PumpCounts> {
  const { bufferSize } = options
  const pieces = job.isUnsized ? 1 : Math.ceil(job.size / bufferSize)
  const memory = takeMemory(uring, bufferSize, Math.max(1, Math.min(options.depth, pieces)))
  try {
    return await new Pump(uring, job, options, memory).run()
  } finally {
    // A ring that has failed keeps its memory: the kernel may still write there.
    if (!uring.closed) memory.free()
  }
}

class Pump {
  readonly uring: Uring
  readonly job: CopyJob
  readonly options: PumpOptions
  readonly #lanes: Lane[]
  #resolve: () => void = () => {}
  #reject: (error: unknown) => void = () => {}
  readonly #memory: PumpMemory
  #inFlight = 0
  #failure: unknown = null
  #failed = false
  #reads = 0
  #writes = 0
  #peakInFlight = 0

  constructor(uring: Uring, job: CopyJob, options: PumpOptions, memory: PumpMemory) {
    this.uring = uring
    this.job = job
    this.options = options
    this.#memory = memory
    this.#lanes = memory.buffers.map((buffer) => new Lane(this, buffer))
  }

  async run(): Promise<PumpCounts> {
    const ended = new Promise<void>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#inFlight++
    for (const lane of this.#lanes) lane.fill()
    this.left()
    await ended
    return {
      reads: this.#reads,
      writes: this.#writes,
      peakInFlight: this.#peakInFlight,
      registered: this.#memory.registered,
    }
  }

  /** The next piece for a lane; null when there is none, or no more is to be begun. */
  next(): Extent | null {
    if (this.#failed) return null
    if (this.job.signal?.aborted) {
      try {
        this.job.throwIfAborted()
      } catch (error) {
        this.fail(error)
      }
      return null
    }
    return this.job.cursor.take(this.options.bufferSize)
  }

  issued(isWrite: boolean): void {
    if (isWrite) this.#writes++
    else this.#reads++
    // `#inFlight` counts `run` itself as well.
    this.#peakInFlight = Math.max(this.#peakInFlight, this.#inFlight++)
  }

  fail(error: unknown): void {
    if (this.#failed) return
    this.#failed = true
    this.#failure = error
  }

  get failed(): boolean {
    return this.#failed
  }

  left(): void {
    if (--this.#inFlight > 0) return
    if (this.#failed) this.#reject(this.#failure)
    else this.#resolve()
  }
}

/** One buffer, and the piece of the file that it carries. The callbacks are created once. */
class Lane {
  readonly #pump: Pump
  readonly #buffer: PumpMemory['buffers'][number]
  #offset = 0
  /** Bytes of the piece, and what the kernel is asked for: with O_DIRECT whole blocks. */
  #length = 0
  #asked = 0
  #done = 0
  #isWriting = false
  #repeats = 0
  #isAsync = false

  constructor(pump: Pump, buffer: PumpMemory['buffers'][number]) {
    this.#pump = pump
    this.#buffer = buffer
  }

  /** Begins the next piece, if there is one. */
  fill(): void {
    const { job, options } = this.#pump
    if (job.isUnsized) {
      job.throwIfAborted()
      this.#length = options.bufferSize
    } else {
      const piece = this.#pump.next()
      if (piece === null) return
      this.#offset = piece.offset
      this.#length = piece.length
    }
    this.#isWriting = false
    this.#done = 0
    this.#asked = options.directSource ? wholeBlocks(this.#length) : this.#length
    this.#issue()
  }

  #issue(): void {
    this.#pump.issued(this.#isWriting)
    const syscall = this.#isWriting ? 'write' : 'read'
    try {
      this.#pump.uring.driver.submitMultishot(this.#prepare, this.#onCqe, syscall, null)
    } catch (error) {
      // The ring was closed under the copy.
      this.#pump.fail(error)
      this.#pump.left()
    }
  }

  readonly #prepare = (sqe: Sqe): void => {
    const { source, target } = this.#pump.job
    const address = this.#buffer.address + this.#done
    const length = this.#asked - this.#done
    const offset = this.#offset + this.#done
    const { index } = this.#buffer
    if (this.#isWriting) {
      if (index < 0) prepWrite(sqe, target, address, length, offset)
      else prepWriteFixed(sqe, target, address, length, offset, index)
    } else if (index < 0) prepRead(sqe, source, address, length, offset)
    else prepReadFixed(sqe, source, address, length, offset, index)
    if (this.#isAsync) sqe.addFlags(IOSQE_ASYNC)
  }

  readonly #onCqe = (res: number): void => {
    try {
      this.#advance(res)
    } catch (error) {
      this.#pump.fail(error)
    }
    // Last: the lane's next operation has been counted by now.
    this.#pump.left()
  }

  #advance(res: number): void {
    const pump = this.#pump
    const { job, options } = pump
    if (pump.failed) return
    if (res < 0) {
      if ((res !== EINTR && res !== EAGAIN) || this.#repeats++ >= MAX_REPEATS) {
        const path = this.#isWriting ? job.targetPath : job.sourcePath
        throw systemError(res, this.#isWriting ? 'write' : 'read', { path })
      }
      // The kernel could not do it inline; on a worker thread it can wait.
      this.#isAsync = true
      this.#issue()
      return
    }
    this.#repeats = 0
    this.#isAsync = false
    this.#done += res
    if (this.#isWriting) {
      if (res === 0)
        throw systemError(EIO, 'write', { path: job.targetPath, hint: 'the kernel wrote nothing' })
      if (this.#done < this.#asked) this.#issue()
      else {
        job.moved({ offset: this.#offset, length: this.#length })
        if (job.isUnsized) this.#offset += this.#length
        this.fill()
      }
      return
    }
    if (job.isUnsized) {
      if (res === 0) return
      this.#length = res
    } else if (this.#done < this.#length) {
      // A direct read ends within a block only at the end of the file, and no other could begin there.
      const isAtEnd = res === 0 || (options.directSource && this.#done % DIRECT_UNIT_BYTES !== 0)
      if (isAtEnd) throw job.cutShort(this.#offset + this.#done)
      this.#issue()
      return
    }
    this.#isWriting = true
    this.#done = 0
    this.#asked = this.#length
    if (options.directTarget) {
      this.#asked = wholeBlocks(this.#length)
      this.#buffer.bytes.fill(0, this.#length, this.#asked)
    }
    this.#issue()
  }
}

function wholeBlocks(length: number): number {
  return Math.ceil(length / DIRECT_UNIT_BYTES) * DIRECT_UNIT_BYTES
}
