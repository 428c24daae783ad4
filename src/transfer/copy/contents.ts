// The methods of copying one file's data, tried in order: each goes on where the one before it had to stop.

import fs, { constants } from 'node:fs'
import { systemError } from '../../ring/index.js'
import { ENOSPC } from '../../syscalls/errno-values.js'
import { clone, cloneOffThread } from '../../syscalls/file-attributes.js'
import { fcntl } from '../../syscalls/libc.js'
import { copyByNode } from './by-node.js'
import { CopyError } from './errors.js'
import { type CopyJob, type CopyMethod, DIRECT_UNIT_BYTES } from './job.js'
import { type PumpCounts, pumpThroughRing } from './pump.js'
import { copyByRange } from './range.js'
import type { CopySession } from './session.js'
import type { FileStat } from './stat.js'

const { O_DIRECT = 0 } = constants
const F_GETFL = 3
const F_SETFL = 4

export interface ContentOptions {
  /** What may be tried, in order. */
  readonly methods: readonly CopyMethod[]
  /** Past the page cache, where the file system can, through a ring: both files, or the source alone. */
  readonly direct: boolean | 'source'
  readonly bufferSize: number
  readonly depth: number
}

/** How the data of a file was copied. */
export interface Contents {
  readonly method: CopyMethod
  /** Whether O_DIRECT was in force for each. */
  readonly directSource: boolean
  readonly directTarget: boolean
  /** What the ring did; null when it had no part. */
  readonly pump: PumpCounts | null
}

const PLAIN = { directSource: false, directTarget: false, pump: null }

/**
 * Copies the data of the job; the target is empty before, and of the source's size afterwards.
 *
 * @throws SystemError; CopyError `ERR_COPY_METHOD`, `ERR_COPY_SOURCE_CHANGED`; AbortError. Nothing is in flight then.
 */
export async function copyContents(
  job: CopyJob,
  source: FileStat,
  target: FileStat,
  options: ContentOptions,
  session: CopySession,
  truncate: (length: number) => Promise<unknown>,
): Promise<Contents> {
  let last: string | null = null
  for (const method of options.methods) {
    job.throwIfAborted()
    const isOnly = options.methods.length === 1
    if (method === 'reflink') {
      // An unsized file is empty or does not lie on a disk, so it has no blocks to share. O_DIRECT asks for
      // the data to be read.
      if ((job.isUnsized || options.direct !== false) && !isOnly) continue
      if (!isOnly && !session.mayReflink(source, target)) continue
      if ((await cloneOffThread(job.target, job.source)) >= 0) {
        job.moved({ offset: 0, length: job.size })
        return { method, ...PLAIN }
      }
      session.reflinkFailed(source, target)
      if (isOnly) throw systemError(clone(job.target, job.source), 'ficlone', names(job))
      last = 'the file system shares no blocks'
    } else if (method === 'copy-file-range') {
      if ((job.isUnsized || options.direct !== false) && !isOnly) continue
      if ((await copyByRange(job)) && !job.isUnsized) {
        await sizeTarget(job, truncate)
        return { method, ...PLAIN }
      }
      last = 'the kernel does not copy between these files'
    } else if (method === 'ring') {
      const { ring } = session
      if (ring === null) {
        last = session.ringReason
        continue
      }
      // Not after another method: its data is in the page cache, and direct writes would go beneath that.
      const isDirect = options.direct !== false && !job.isUnsized && job.copiedBytes === 0
      const directSource = isDirect && setDirect(job.source, true)
      const directTarget = isDirect && options.direct === true && setDirect(job.target, true)
      if (directTarget) await reserve(job, (length) => ring.fallocate(job.target, 0, 0, length))
      try {
        const { bufferSize, depth } = options
        const pump = await pumpThroughRing(ring, job, { bufferSize, depth, directSource, directTarget })
        await sizeTarget(job, truncate, directTarget)
        return { method, directSource, directTarget, pump }
      } finally {
        if (directSource) setDirect(job.source, false)
        if (directTarget) setDirect(job.target, false)
      }
    } else {
      await copyByNode(job)
      await sizeTarget(job, truncate)
      return { method, ...PLAIN }
    }
  }
  if (job.isUnsized && isEmpty(job.source)) return { method: options.methods.at(-1)!, ...PLAIN }
  const why = last === null ? '' : `: ${last}`
  throw new CopyError('ERR_COPY_METHOD', `No allowed method can copy this file here${why}`, job.sourcePath)
}

/** Whether the file is empty. Its content decides, because files of /proc report a size of 0. */
function isEmpty(fd: number): boolean {
  return fs.readSync(fd, new Uint8Array(1), 0, 1, 0) === 0
}

function names(job: CopyJob): { path: string; dest: string } {
  return { path: job.sourcePath, dest: job.targetPath }
}

/**
 * Sets the size of the target: a hole at the end is not written, and the last direct write may have gone too
 * far.
 */
async function sizeTarget(
  job: CopyJob,
  truncate: (length: number) => Promise<unknown>,
  wroteBlocks = false,
): Promise<void> {
  if (job.isUnsized) return
  const hasHoles = job.cursor.dataBytes < job.size
  if (hasHoles || (wroteBlocks && job.size % DIRECT_UNIT_BYTES !== 0)) await truncate(job.size)
}

/**
 * Allocates the blocks of the target beforehand: direct writes that extend a file take turns, others do not.
 * This also shows that a disk is full before anything is written.
 */
async function reserve(job: CopyJob, fallocate: (length: number) => Promise<unknown>): Promise<void> {
  if (job.cursor.findsHoles) return
  try {
    await fallocate(job.size)
  } catch (error) {
    // What cannot be reserved (EOPNOTSUPP) is written all the same.
    if ((error as { errno?: number }).errno !== ENOSPC) return
    throw systemError(ENOSPC, 'fallocate', { path: job.targetPath })
  }
}

/** @returns False where the file system has no O_DIRECT. */
function setDirect(fd: number, wanted: boolean): boolean {
  const flags = fcntl(fd, F_GETFL, 0)
  if (flags < 0 || O_DIRECT === 0) return false
  return fcntl(fd, F_SETFL, wanted ? flags | O_DIRECT : flags & ~O_DIRECT) >= 0
}
