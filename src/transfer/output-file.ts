// The output of a transfer: a file beside the target, which takes the target's place only when it is complete. Until
// then the old target is as it was; what is abandoned is removed.

import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import { access, open, readlink, realpath, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemError } from '../ring/index.js'
import type { PathLike } from '../runtime/index.js'
import { invalidType } from '../syscalls/argument-errors.js'
import { EEXIST, ELOOP } from '../syscalls/errno-values.js'
import type { DataPath } from './data-path.js'
import { takeName } from './take-name.js'
import { TransferError } from './transfer-errors.js'
import { beginUnfinished, endUnfinished, isUnfinished } from './unfinished.js'

/** A file that the output must not replace. */
export interface Source {
  /** What it is to the transfer: `'basis'`. */
  readonly role: string
  readonly dev: number | bigint
  readonly ino: number | bigint
}

/** How an output is made. */
export interface OutputOptions {
  /** Files that the target must not be. */
  readonly sources?: readonly Source[] | undefined
  /** Permission bits. Default: those of the old target, else `newMode` less the umask. */
  readonly mode?: number | undefined
  /** Default 0o666. */
  readonly newMode?: number | undefined
}

/** Longest name that file systems take, less what is added to it. */
const MAX_NAME_BYTES = 200
const DEFAULT_MODE = 0o666
const PERMISSION_BITS = 0o7777
/** Symlinks that the kernel follows in a path. */
const MAX_LINKS = 40

/** A path as text. */
export function pathOf(path: PathLike): string {
  if (typeof path !== 'string' && !(path instanceof Uint8Array) && !(path instanceof URL)) {
    throw invalidType('path', 'of type string or an instance of Buffer or URL', path)
  }
  return path instanceof URL ? fileURLToPath(path) : path.toString()
}

/** @internal */
export class OutputFile {
  /** The path that the output gets at the end. */
  readonly target: string
  /** Its path until then. */
  readonly temporary: string
  /** The temporary path as latin1 text: one character for each byte. */
  readonly temporaryLatin1: string
  readonly fd: number
  readonly #handle: fs.promises.FileHandle
  #settled = false

  private constructor(
    target: string,
    temporary: string,
    temporaryLatin1: string,
    handle: fs.promises.FileHandle,
  ) {
    this.target = target
    this.temporary = temporary
    this.temporaryLatin1 = temporaryLatin1
    this.#handle = handle
    this.fd = handle.fd
  }

  /**
   * Makes the file beside `path`. A symlink is followed: what it points to is replaced.
   *
   * @throws SystemError EISDIR, EACCES, EROFS, ENOENT, …; TransferError `ERR_TARGET_IS_SOURCE`.
   */
  static async open(path: PathLike, options: OutputOptions = {}): Promise<OutputFile> {
    const target = await resolvedTarget(pathOf(path))
    // Inode numbers go beyond 2^53 (overlayfs).
    const old = await stat(target, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null
      throw error
    })
    if (old !== null) await checkTarget(target, old, options.sources ?? [])
    const mode = options.mode ?? (old === null ? null : Number(old.mode) & PERMISSION_BITS)
    const temporary = join(dirname(target), temporaryName(target))
    const firstMode = mode === null ? (options.newMode ?? DEFAULT_MODE) : mode & 0o600
    const temporaryLatin1 = Buffer.from(temporary).toString('latin1')
    beginUnfinished(temporaryLatin1)
    const handle = await open(temporary, 'wx', firstMode).catch((error: NodeJS.ErrnoException) => {
      endUnfinished(temporaryLatin1)
      throw systemError(error.errno ?? 0, 'open', { path: target })
    })
    const output = new OutputFile(target, temporary, temporaryLatin1, handle)
    try {
      if (mode !== null) await adopt(handle, old, mode)
    } catch (error) {
      await output.discard()
      throw error
    }
    return output
  }

  /** Cuts or extends the file. */
  truncate(length: number): Promise<void> {
    return this.#handle.truncate(length)
  }

  /**
   * Closes the file and gives it its name.
   *
   * @param durable - The file and its directory are durable afterwards.
   * @param replaces - Whether what has that name by now is replaced; else EEXIST.
   */
  async commit(path: DataPath, durable: boolean, replaces = true): Promise<void> {
    try {
      if (durable) await path.fsync(this.fd)
      await this.#close()
      if (replaces) await rename(this.temporary, this.target)
      else if (!(await takeName(this.temporary, this.target))) {
        throw systemError(EEXIST, 'copyfile', { path: this.target })
      }
    } catch (error) {
      await this.discard()
      throw named(error, this.target)
    }
    endUnfinished(this.temporaryLatin1)
    if (!durable) return
    const folder = await open(dirname(this.target), 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  }

  /** Closes and removes the file. Never throws; does nothing after `commit`. */
  async discard(): Promise<void> {
    await this.#close().catch(() => {})
    if (!isUnfinished(this.temporaryLatin1)) return
    await unlink(this.temporary).catch(() => {})
    endUnfinished(this.temporaryLatin1)
  }

  async #close(): Promise<void> {
    if (this.#settled) return
    this.#settled = true
    await this.#handle.close()
  }
}

/** Adds the path to an error of a system call that names no file. */
export function named(error: unknown, path: string): unknown {
  if (!(error instanceof Error)) return error
  const { syscall, path: known } = error as NodeJS.ErrnoException
  if (syscall === undefined || known !== undefined) return error
  error.message += ` '${path}'`
  return Object.assign(error, { path })
}

/** Where a file of that path would be created: symlinks are followed, even to what does not exist. */
async function resolvedTarget(path: string): Promise<string> {
  let name = path
  for (let links = 0; links <= MAX_LINKS; links++) {
    try {
      return await realpath(name)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
    const content = await readlink(name).catch(() => null)
    if (content === null) return name
    name = resolve(await realpath(dirname(name)), content)
  }
  throw systemError(ELOOP, 'open', { path })
}

async function checkTarget(target: string, old: fs.BigIntStats, sources: readonly Source[]): Promise<void> {
  if (old.isDirectory()) throw fileError('EISDIR', -21, 'illegal operation on a directory', target)
  if (!old.isFile()) throw fileError('EINVAL', -22, 'not a regular file', target)
  for (const { role, dev, ino } of sources) {
    if (old.dev !== BigInt(dev) || old.ino !== BigInt(ino)) continue
    throw new TransferError('ERR_TARGET_IS_SOURCE', `The output is the ${role} itself`, { path: target })
  }
  // A rename needs no permission on the file that it replaces, but a read-only file is not meant to be
  // replaced.
  await access(target, fs.constants.W_OK)
}

function fileError(code: string, errno: number, text: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${text}, open '${path}'`), { code, errno, syscall: 'open', path })
}

/** Gives the new file what the old one has: owner where that is allowed, then permissions (a chown clears some). */
async function adopt(
  handle: fs.promises.FileHandle,
  old: fs.BigIntStats | null,
  mode: number,
): Promise<void> {
  if (old !== null) {
    const [uid, gid] = [Number(old.uid), Number(old.gid)]
    if (uid !== process.geteuid?.() || gid !== process.getegid?.()) {
      await handle.chown(uid, gid).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EPERM') throw error
      })
    }
  }
  await handle.chmod(mode)
}

function temporaryName(target: string): string {
  let name = basename(target)
  while (Buffer.byteLength(name) > MAX_NAME_BYTES) name = name.slice(0, -1)
  return `.${name}.${randomBytes(6).toString('hex')}.partial`
}
