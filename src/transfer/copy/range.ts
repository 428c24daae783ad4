// Copies by copy_file_range(2): the kernel moves the data, and may share blocks or let a server do it. io_uring has no
// such operation, and the call takes as long as the copy, so it runs on a thread of libuv's pool, a piece at a time.

import { constants } from 'node:os'
import { addressOf, systemError } from '../../ring/index.js'
import { copyFileRange } from '../../syscalls/file-attributes.js'
import { copyFileRangeOffThread } from '../../syscalls/libc.js'
import type { CopyJob } from './job.js'

/** One call: long enough to cost nothing, short enough to be stopped within some hundredths of a second. */
const PIECE_BYTES = 1 << 26
/** Bytes that are tried on this thread to learn why a piece failed on the other. */
const PROBE_BYTES = 4096

const { EXDEV, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, ETXTBSY, EBADF, EINTR, EAGAIN } = constants.errno
/** Answers that mean: not these files, or not this kernel. (EBADF: a file opened for appending.) */
const NOT_HERE: readonly number[] = [EXDEV, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, ETXTBSY, EBADF]

/**
 * Copies what the job has left, as far as the kernel does it.
 *
 * @returns False when the kernel refuses, or copies nothing (files of /proc): another method must copy the
 *   rest.
 * @throws SystemError `copy_file_range`; AbortError between two pieces.
 */
export async function copyByRange(job: CopyJob): Promise<boolean> {
  // The two offsets, which the kernel advances. They must stay in memory until the call has returned.
  const offsets = new BigInt64Array(2)
  const [from, to] = [addressOf(offsets), addressOf(offsets) + 8]
  for (let piece = job.cursor.take(PIECE_BYTES); piece !== null; piece = job.cursor.take(PIECE_BYTES)) {
    const { offset, length } = piece
    for (let done = 0; done < length; ) {
      job.throwIfAborted()
      offsets.fill(BigInt(offset + done))
      let count = await copyFileRangeOffThread(job.source, from, job.target, to, length - done, 0)
      if (count < 0) {
        offsets.fill(BigInt(offset + done))
        const probe = Math.min(length - done, PROBE_BYTES)
        count = copyFileRange(job.source, from, job.target, to, probe)
      }
      if (count <= 0) {
        if (count === -EINTR || count === -EAGAIN) continue
        job.cursor.giveBack({ offset: offset + done, length: length - done })
        if (count === 0 || NOT_HERE.includes(-count)) return false
        throw systemError(count, 'copy_file_range', { path: job.sourcePath, dest: job.targetPath })
      }
      job.moved({ offset: offset + done, length: count })
      done += count
    }
  }
  return true
}
