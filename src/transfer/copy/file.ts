// `copyFile`: one file, built beside the target and renamed over it when it is complete.

import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, open } from 'node:fs/promises'
import type { RingReport } from '../../config/index.js'
import { systemError } from '../../ring/index.js'
import type { PathLike } from '../../runtime/index.js'
import { checkMembers } from '../../syscalls/argument-errors.js'
import { EEXIST } from '../../syscalls/errno-values.js'
import { standardPath } from '../data-path.js'
import { OutputFile } from '../output-file.js'
import { applyAttributes, modeOf } from './attributes.js'
import { type Contents, copyContents } from './contents.js'
import { CopyError } from './errors.js'
import { CopyJob, type CopyMethod } from './job.js'
import { COPY_OPTION_NAMES, type CopyOptions, type CopySettings, copySettings, textPath } from './options.js'
import { ProgressMeter } from './progress.js'
import { CopySession } from './session.js'
import { type FileStat, isDirectory, isRegular, statFd } from './stat.js'
import { verifyCopy } from './verify.js'

const { O_RDONLY, O_NONBLOCK = 0 } = constants

/** How a file was copied. */
export interface CopyFileResult {
  readonly method: CopyMethod
  /** Size of the file. */
  readonly bytes: number
  /** Bytes of it that are in holes, which were kept. */
  readonly holeBytes: number
  /** Reads and writes of the ring, its entries into the kernel, and the most operations that were in flight at once. */
  readonly reads: number
  readonly writes: number
  readonly enters: number
  readonly peakInFlight: number
  /** Whether the source was read, and the target written, past the page cache. */
  readonly directSource: boolean
  readonly directTarget: boolean
  /** The hash by which the copy was verified, in hexadecimal; null when it was not to be. */
  readonly hash: string | null
  readonly milliseconds: number
  /** How the ring was set up; null when none took part. */
  readonly ring: RingReport | null
}

/**
 * Copies a file: by sharing its blocks where the file system can, else by the kernel, else through a ring,
 * else by node:fs. The data goes into a temporary file beside the target, which is renamed when it is
 * complete: whatever ends the copy earlier leaves the old target as it was. A target that is a symlink is
 * followed.
 *
 * @returns How it was done. Rejects with SystemError (ENOENT, EACCES, EISDIR, ENOSPC, EEXIST, EROFS, …) with
 *   `path`; CopyError; `ERR_TARGET_IS_SOURCE` when both are one file; AbortError. Linux 5.6 for a ring.
 * @throws TypeError, RangeError for bad arguments.
 * @see ioctl_ficlone(2), copy_file_range(2)
 */
export async function copyFile(
  source: PathLike,
  target: PathLike,
  options: CopyOptions = {},
): Promise<CopyFileResult> {
  checkMembers('options', options, COPY_OPTION_NAMES)
  const from = textPath('source', source)
  const to = textPath('target', target)
  const settings = copySettings(options)
  const meter = new ProgressMeter(options)
  const started = performance.now()
  const session = new CopySession(settings)
  try {
    const done = await copyWith(session, from, to, settings, meter)
    meter.end()
    const { contents, bytes, dataBytes, hash } = done
    const { pump, method, directSource, directTarget } = contents
    return {
      method,
      bytes,
      holeBytes: bytes - dataBytes,
      reads: pump?.reads ?? 0,
      writes: pump?.writes ?? 0,
      enters: session.enters,
      peakInFlight: pump?.peakInFlight ?? 0,
      directSource,
      directTarget,
      hash,
      milliseconds: performance.now() - started,
      ring: session.ringReport,
    }
  } finally {
    await session.close()
  }
}

interface NamedPath {
  readonly text: string
  readonly latin1: string
}

interface DoneFile {
  readonly contents: Contents
  readonly bytes: number
  readonly dataBytes: number
  readonly hash: string | null
}

async function copyWith(
  session: CopySession,
  from: NamedPath,
  to: NamedPath,
  settings: CopySettings,
  meter: ProgressMeter,
): Promise<DoneFile> {
  const input = await openSource(from.text)
  try {
    const stat = statFd(input.fd)
    if (isDirectory(stat)) throw systemError(-21, 'read', { path: from.text })
    if (!isRegular(stat)) throw new CopyError('ERR_COPY_KIND', 'The source is not a regular file', from.text)
    if (!settings.overwrite) await refuseExisting(to.text)
    const identity = await input.stat({ bigint: true })
    const output = await OutputFile.open(to.text, {
      sources: [{ role: 'source', dev: identity.dev, ino: identity.ino }],
      ...(settings.preserved.mode
        ? { mode: modeOf(stat, settings.preserved) }
        : { newMode: stat.mode & 0o777 }),
    })
    try {
      const done = await fill(session, { ...from, fd: input.fd, stat }, output, settings, meter)
      await output.commit(standardPath, settings.durable, settings.overwrite)
      return done
    } finally {
      // Does nothing after a commit.
      await output.discard()
    }
  } finally {
    await input.close()
  }
}

/** Opens the source without waiting for the other end of a FIFO, which is refused afterwards. */
function openSource(path: string): Promise<FileHandle> {
  return open(path, O_RDONLY | O_NONBLOCK)
}

async function refuseExisting(path: string): Promise<void> {
  const old: Stats | null = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (old !== null) throw systemError(EEXIST, 'copyfile', { path })
}

async function fill(
  session: CopySession,
  source: NamedPath & { readonly fd: number; readonly stat: FileStat },
  output: OutputFile,
  settings: CopySettings,
  meter: ProgressMeter,
): Promise<DoneFile> {
  const { stat } = source
  const { size, allocated } = stat
  const { signal, sparse, verify, preserved } = settings
  meter.totalBytes = size
  meter.totalEntries = 1
  const job = new CopyJob(
    { fd: source.fd, path: source.text, size, allocated },
    { fd: output.fd, path: output.target },
    { sparse, signal, onBytes: meter.addBytes },
  )
  const truncate = (length: number): Promise<void> => output.truncate(length)
  const contents = await copyContents(job, stat, statFd(output.fd), settings, session, truncate)
  let hash: string | null = null
  if (verify !== null) {
    // The output was opened for writing only.
    const readable = await open(output.temporary, O_RDONLY)
    try {
      const files = { source: source.fd, target: readable.fd, path: output.target }
      hash = await verifyCopy(files, verify, session, () => job.throwIfAborted())
    } finally {
      await readable.close()
    }
  }
  const target = output.temporaryLatin1
  // The output has its permissions already. They are set again only after a change of owner, which clears
  // some.
  const mode = preserved.owner && preserved.mode ? modeOf(stat, preserved) : null
  applyAttributes({ source: source.latin1, target, stat, preserved, mode, followsSource: true })
  job.throwIfAborted()
  meter.entries = 1
  const bytes = Math.max(job.size, job.copiedBytes)
  const shared = contents.method === 'reflink' ? job.size : job.copiedBytes
  return { contents, bytes, dataBytes: shared, hash }
}
