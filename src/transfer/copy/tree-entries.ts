// The careful way to copy one entry of a tree, step by step: files that are large, sparse, hard-linked or to
// be verified, symlinks, FIFOs, sockets and devices, and whatever the fast way could not copy.

import fs from 'node:fs'
import { link, open, unlink } from 'node:fs/promises'
import { systemError } from '../../ring/index.js'
import { mknod, pathBytes } from '../../syscalls/file-attributes.js'
import { applyAttributes, modeOf } from './attributes.js'
import { copyContents } from './contents.js'
import { CopyError } from './errors.js'
import { CopyJob } from './job.js'
import { bytesOf, textOf } from './latin1-paths.js'
import { placeBeside } from './placing.js'
import { type FileStat, identityOf, isDirectory, isRegular, statFd, statIfPresent } from './stat.js'
import { refuseOwnTarget, symlinkMaker } from './symlink.js'
import { type Entry, sourceOf, type TreeWork, targetOf } from './tree-work.js'
import { verifyCopy } from './verify.js'

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_NONBLOCK = 0, O_NOFOLLOW = 0, S_IFMT } = fs.constants
const PERMISSIONS = 0o777
const PRIVATE = 0o600

/** How a source is opened: never through a symlink that has taken its place, never waiting for a FIFO's other end. */
export function sourceFlags(dereference: boolean): number {
  return O_RDONLY | O_NONBLOCK | (dereference ? 0 : O_NOFOLLOW)
}

/** For each file with several names: the target of the first one, and whether that copy was made. */
export class LinkTable {
  readonly #first = new Map<string, { readonly target: string; readonly placed: Promise<boolean> }>()

  first(identity: string): { readonly target: string; readonly placed: Promise<boolean> } | undefined {
    return this.#first.get(identity)
  }

  /** @param placing - Resolves when the copy has its name; with false when it was left out. */
  add(identity: string, target: string, placing: Promise<boolean>): void {
    const placed = placing.then(
      (isThere) => isThere,
      () => false,
    )
    this.#first.set(identity, { target, placed })
  }
}

/**
 * Makes an entry of the target with `make`, which gets the path to create: the final one within a new tree
 * that nobody else sees, otherwise a temporary one beside it, which is then renamed.
 *
 * @returns False when something is there that is not to be replaced.
 * @throws As `placeBeside`.
 */
async function place(
  work: TreeWork,
  entry: Entry,
  make: (path: string, isFinal: boolean) => Promise<void>,
): Promise<boolean> {
  const target = targetOf(entry)
  if (entry.folder.existing === null) {
    try {
      await make(target, true)
    } catch (error) {
      // Half a file must not stay. After EEXIST the file in the way is not ours: two names may be one to the
      // file system.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') await unlink(bytesOf(target)).catch(() => {})
      throw error
    }
    return true
  }
  return placeBeside(target, work.settings.overwrite, (path) => make(path, false))
}

/** Sets the attributes of a finished file. @param path - Where the target is at the moment. */
export function finishFile(
  work: TreeWork,
  entry: Entry,
  stat: FileStat,
  path: string,
  isPrivate = false,
): void {
  const { preserved, dereference } = work.settings
  const wanted = preserved.mode ? modeOf(stat, preserved) : stat.mode & PERMISSIONS & ~work.umask
  // The permissions that the open has given. A change of owner clears some of them.
  const made = stat.mode & PERMISSIONS & ~work.umask
  const isRight =
    wanted === made && !isPrivate && !entry.folder.hasAcl && !preserved.owner && !preserved.xattrs
  const mode = isRight || (!preserved.mode && !isPrivate) ? null : wanted
  applyAttributes({
    source: sourceOf(entry),
    target: path,
    stat,
    preserved,
    mode,
    followsSource: dereference,
  })
}

/**
 * Copies a regular file that is open at `fd`, which stays open.
 *
 * @param isRetry - The fast way has failed, and may have left something behind.
 */
export async function copyRegular(
  work: TreeWork,
  links: LinkTable,
  entry: Entry,
  fd: number,
  stat: FileStat,
  isRetry = false,
): Promise<void> {
  const isShared = work.settings.preserved.links && stat.nlink > 1
  const first = isShared ? links.first(identityOf(stat)) : undefined
  const isLink = first !== undefined && (await first.placed)
  const placing = place(work, entry, async (path, isFinal) => {
    if (isRetry && isFinal) await unlink(bytesOf(path)).catch(() => {})
    if (isLink) await link(bytesOf(first.target), bytesOf(path))
    else await fillFile(work, entry, fd, stat, path, isFinal)
  })
  if (isShared && first === undefined) links.add(identityOf(stat), targetOf(entry), placing)
  const isNew = await placing
  if (!isNew) work.counts.skipped++
  else if (isLink) work.counts.hardLinks++
  else work.counts.files++
  work.entryDone()
}

async function fillFile(
  work: TreeWork,
  entry: Entry,
  fd: number,
  stat: FileStat,
  path: string,
  isFinal: boolean,
): Promise<void> {
  const { settings, session, counts } = work
  const { sparse, signal, verify, durable } = settings
  // In a directory that others see, nobody else reads the file before it has its permissions.
  const mode = isFinal ? stat.mode & PERMISSIONS : PRIVATE
  const output = await open(bytesOf(path), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode).catch(
    (error: NodeJS.ErrnoException) => {
      throw systemError(error.errno ?? 0, 'open', { path: textOf(targetOf(entry)) })
    },
  )
  try {
    const names = { source: textOf(sourceOf(entry)), target: textOf(targetOf(entry)) }
    const job = new CopyJob(
      { fd, path: names.source, size: stat.size, allocated: stat.allocated },
      { fd: output.fd, path: names.target },
      { sparse, signal, onBytes: work.addBytes },
    )
    const truncate = (length: number): Promise<void> => output.truncate(length)
    const { method } = await copyContents(job, stat, statFd(output.fd), settings, session, truncate)
    counts.methods[method]++
    if (method !== 'reflink') counts.holeBytes += Math.max(0, stat.size - job.copiedBytes)
    if (verify !== null) {
      const files = { source: fd, target: output.fd, path: names.target }
      await verifyCopy(files, verify, session, () => job.throwIfAborted())
    }
    finishFile(work, entry, stat, path, !isFinal)
    if (durable) await output.sync()
  } finally {
    await output.close()
  }
}

/** Opens and copies a regular file. */
export async function copyFileEntry(work: TreeWork, links: LinkTable, entry: Entry): Promise<void> {
  const source = sourceOf(entry)
  const input = await open(bytesOf(source), sourceFlags(work.settings.dereference)).catch(
    (error: NodeJS.ErrnoException) => {
      throw systemError(error.errno ?? 0, 'open', { path: textOf(source) })
    },
  )
  try {
    const stat = statFd(input.fd)
    if (!isRegular(stat)) throw notTheFile(entry)
    work.found(stat.size)
    await copyRegular(work, links, entry, input.fd, stat)
  } finally {
    await input.close()
  }
}

/** The error for a name that something else has by now. */
export function notTheFile(entry: Entry): CopyError {
  const path = textOf(sourceOf(entry))
  return new CopyError('ERR_COPY_SOURCE_CHANGED', 'The source is another kind of file by now', path)
}

/** Copies a symlink as it is. */
export async function copySymlink(work: TreeWork, entry: Entry): Promise<void> {
  const [source, target] = [sourceOf(entry), targetOf(entry)]
  if (entry.folder.existing !== null) await refuseOwnTarget(source, target)
  const make = await symlinkMaker(source, work.settings.preserved)
  if (await place(work, entry, make)) work.counts.symlinks++
  else work.counts.skipped++
  work.entryDone()
}

/** Makes a FIFO, a socket or a device anew. */
export async function copySpecial(work: TreeWork, entry: Entry): Promise<void> {
  const stat = await statIfPresent(bytesOf(sourceOf(entry)), work.settings.dereference)
  if (stat === null || isRegular(stat) || isDirectory(stat)) throw notTheFile(entry)
  const isNew = await place(work, entry, async (path) => {
    const result = mknod(pathBytes(path), stat.mode & (S_IFMT | PERMISSIONS), stat.rdev)
    if (result < 0) throw systemError(result, 'mknod', { path: textOf(targetOf(entry)) })
    finishFile(work, entry, stat, path)
  })
  if (isNew) work.counts.specials++
  else work.counts.skipped++
  work.entryDone()
}
