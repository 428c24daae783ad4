// Builds a new tree under a temporary name beside its target. When it is complete, one rename puts it in
// place. An abandoned tree is removed, also when the process exits in mid-work.

import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import { chmod, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { systemError } from '../../ring/index.js'
import { EEXIST } from '../../syscalls/errno-values.js'
import { beginUnfinished, endUnfinished, isUnfinished } from '../unfinished.js'
import { bytesOf, textOf } from './latin1-paths.js'

const MAX_NAME_BYTES = 200
/** Nobody else looks into a tree that is being built. */
const PRIVATE = 0o700

/** A name beside `latin1` that nothing else has. Both are latin1 text: one character for each byte. */
export function temporaryBeside(latin1: string): string {
  const slash = latin1.lastIndexOf('/') + 1
  const name = latin1.slice(slash, slash + MAX_NAME_BYTES)
  return `${latin1.slice(0, slash)}.${name}.${randomBytes(6).toString('hex')}.partial`
}

/** @internal */
export class StagedTree {
  /** Paths as latin1 text: one character for each byte. */
  readonly target: string
  readonly temporary: string

  private constructor(target: string, temporary: string) {
    this.target = target
    this.temporary = temporary
  }

  /** Makes the directory. @throws SystemError `mkdir` with the target's path. */
  static async make(target: string): Promise<StagedTree> {
    const temporary = temporaryBeside(target)
    beginUnfinished(temporary)
    try {
      await mkdir(bytesOf(temporary), { mode: PRIVATE })
    } catch (error) {
      endUnfinished(temporary)
      const { errno = 0 } = error as NodeJS.ErrnoException
      throw systemError(errno, 'mkdir', { path: textOf(target) })
    }
    return new StagedTree(target, temporary)
  }

  /** Gives the tree its name. @throws SystemError `rename`: EEXIST when something has taken that name meanwhile. */
  async commit(): Promise<void> {
    const target = bytesOf(this.target)
    // A rename would replace an empty directory.
    const old = await lstat(target).catch(() => null)
    if (old !== null) throw systemError(EEXIST, 'rename', { path: target.toString() })
    await rename(bytesOf(this.temporary), target)
    endUnfinished(this.temporary)
  }

  /** Removes the tree. Never throws; does nothing after `commit`. */
  async discard(): Promise<void> {
    if (!isUnfinished(this.temporary)) return
    const path = bytesOf(this.temporary)
    await removeTree(path).catch(() => {})
    endUnfinished(this.temporary)
  }
}

async function removeTree(path: Buffer): Promise<void> {
  // In Node 20 a recursive rm takes only a string as the path.
  const text = path.toString()
  if (!Buffer.from(text).equals(path)) return removeByBytes(path)
  try {
    await rm(text, { recursive: true, force: true })
  } catch {
    await removeByBytes(path)
  }
}

/**
 * Removes a tree directory by directory, each made writable first: for names that are not UTF-8, and
 * permissions that forbid the removal.
 */
async function removeByBytes(path: Buffer): Promise<void> {
  await chmod(path, PRIVATE)
  const entries = await readdir(path, { withFileTypes: true, encoding: 'latin1' as BufferEncoding })
  for (const entry of entries) {
    const inner = bytesOf(join(path.toString('latin1'), entry.name))
    if (entry.isDirectory()) await removeByBytes(inner)
    else await fs.promises.unlink(inner)
  }
  await fs.promises.rmdir(path)
}
