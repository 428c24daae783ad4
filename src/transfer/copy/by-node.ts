// Copies a file through memory by node:fs, on the threads of libuv's pool: where there is no ring, and the
// kernel does not copy by itself.

import { readFully, standardPath, writeAll } from '../data-path.js'
import { named } from '../output-file.js'
import type { CopyJob } from './job.js'

const PIECE_BYTES = 1 << 20

/**
 * Copies what the job has left.
 *
 * @throws SystemError `read`, `write`; CopyError `ERR_COPY_SOURCE_CHANGED`; AbortError between two pieces.
 */
export async function copyByNode(job: CopyJob): Promise<void> {
  const memory = new Uint8Array(new ArrayBuffer(Math.min(PIECE_BYTES, job.size || PIECE_BYTES)))
  if (job.isUnsized) {
    for (let offset = 0; ; ) {
      job.throwIfAborted()
      const count = await naming(job.sourcePath, standardPath.read(job.source, memory, offset))
      if (count === 0) return
      const part = memory.subarray(0, count)
      await naming(job.targetPath, writeAll(standardPath, job.target, part, offset))
      job.moved({ offset, length: count })
      offset += count
    }
  }
  for (let piece = job.cursor.take(memory.length); piece !== null; piece = job.cursor.take(memory.length)) {
    job.throwIfAborted()
    const part = memory.subarray(0, piece.length)
    const reading = readFully(standardPath, job.source, part, piece.offset)
    const count = await naming(job.sourcePath, reading)
    if (count < piece.length) throw job.cutShort(piece.offset + count)
    await naming(job.targetPath, writeAll(standardPath, job.target, part, piece.offset))
    job.moved(piece)
  }
}

/** Adds the path to an error of a call on a descriptor, which names no file. */
async function naming<T>(path: string, call: Promise<T>): Promise<T> {
  try {
    return await call
  } catch (error) {
    throw named(error, path)
  }
}
