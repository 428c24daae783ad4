// Walks a tree: reads a few of its directories at a time, makes those of the target, and hands out the
// entries.

import type { Dirent } from 'node:fs'
import { lstat, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CopyError } from './errors.js'
import { bytesOf, textOf } from './latin1-paths.js'
import { type FileStat, identityOf, isDirectory, isRegular, isSymlink, statPath } from './stat.js'
import { copySpecial, copySymlink } from './tree-entries.js'
import type { FileQueue, Gate } from './tree-files.js'
import type { EntryKind } from './tree-filter.js'
import { type Entry, type Folder, sourceOf, type TreeWork, targetOf } from './tree-work.js'
import { hasDefaultAcl } from './xattrs.js'

/** Directories that are read at a time. More are not faster on the four threads of libuv's pool. */
const WALKERS = 4
/**
 * The mode of a directory that is being filled: nobody else need write in it, and its own permissions may
 * forbid it to us.
 */
const PRIVATE = 0o700

/** @internal */
export class TreeWalk {
  readonly #work: TreeWork
  readonly #files: FileQueue
  readonly #gate: Gate
  /** Directories to be read. The one found last is read first, which keeps the list short. */
  readonly #found: Folder[] = []
  #walkers = 0

  constructor(work: TreeWork, files: FileQueue, gate: Gate) {
    this.#work = work
    this.#files = files
    this.#gate = gate
  }

  /** Walks the tree under `root`, whose target is there already. */
  start(root: Folder): void {
    this.#found.push(root)
    this.#more()
  }

  #more(): void {
    while (this.#walkers < WALKERS && this.#found.length > 0) {
      this.#walkers++
      this.#work.start(() => this.#walk())
    }
  }

  async #walk(): Promise<void> {
    try {
      for (let folder = this.#found.pop(); folder !== undefined; folder = this.#found.pop()) {
        await this.#files.room()
        if (this.#work.stopping) return
        try {
          await this.#read(folder)
        } catch (error) {
          this.#work.failed(error)
        }
        this.#more()
      }
    } finally {
      this.#walkers--
    }
  }

  async #read(folder: Folder): Promise<void> {
    const work = this.#work
    const { choice, dryRun } = work.settings
    if (!choice.picksFiles) await this.#make(folder)
    const files: string[] = []
    const parts: (() => Promise<void>)[] = []
    for (const dirent of await entriesOf(folder.source)) {
      if (work.stopping) return
      const entry: Entry = { folder, name: dirent.name }
      const kind = kindOf(dirent)
      if (kind === null || (kind === 'symlink' && work.settings.dereference)) {
        // Only a stat shows what it is.
        parts.push(() => this.#resolve(entry))
      } else this.#dispatch(entry, kind, files, parts)
    }
    if (files.length + parts.length > 0 && !dryRun) await this.#make(folder)
    this.#files.add(folder, files)
    for (const part of parts) work.start(() => this.#gate.through(part))
  }

  /** Finds out what an entry is, and copies it. */
  async #resolve(entry: Entry): Promise<void> {
    const work = this.#work
    if (work.stopping) return
    const stat = await statPath(bytesOf(sourceOf(entry)), work.settings.dereference)
    const kind = kindOfStat(stat)
    if (kind === 'directory') {
      this.#dispatch(entry, kind, [], [], stat)
      this.#more()
      return
    }
    const files: string[] = []
    const parts: (() => Promise<void>)[] = []
    this.#dispatch(entry, kind, files, parts)
    this.#files.add(entry.folder, files)
    for (const part of parts) await part()
  }

  #dispatch(
    entry: Entry,
    kind: EntryKind,
    files: string[],
    parts: (() => Promise<void>)[],
    stat?: FileStat,
  ): void {
    const work = this.#work
    const { choice, onEntry, dryRun } = work.settings
    const path = textOf(`${entry.folder.relative}${entry.name}`)
    if (!choice.admits(path, kind)) {
      work.counts.skipped++
      return
    }
    work.meter.totalEntries++
    if (onEntry !== undefined) work.tell(() => onEntry(path, kind))
    if (kind === 'directory') work.start(() => this.#enter(entry, stat))
    else if (kind === 'file') files.push(entry.name)
    else if (dryRun) parts.push(async () => this.#count(kind))
    else if (kind === 'symlink') parts.push(() => copySymlink(work, entry))
    else parts.push(() => copySpecial(work, entry))
  }

  #count(kind: EntryKind): void {
    if (kind === 'symlink') this.#work.counts.symlinks++
    else this.#work.counts.specials++
    this.#work.entryDone()
  }

  /** Adds a directory to those that are to be read. */
  async #enter(entry: Entry, known?: FileStat): Promise<void> {
    const { folder, name } = entry
    const source = sourceOf(entry)
    const stat = known ?? (await statPath(bytesOf(source), this.#work.settings.dereference))
    const identity = identityOf(stat)
    // A symlink to a folder above the target leads to what is being made.
    if (identity === this.#work.target) {
      const text = 'A symlink in the source leads to the target, or above it'
      throw new CopyError('ERR_COPY_INTO_ITSELF', text, textOf(source))
    }
    for (let above: Folder | null = folder; above !== null; above = above.parent) {
      if (identityOf(above.stat) !== identity) continue
      const text = `The symlink leads back to '${textOf(above.source)}', in which it lies`
      throw new CopyError('ERR_COPY_CYCLE', text, textOf(source))
    }
    const relative = `${folder.relative}${name}/`
    this.#found.push({
      source,
      target: targetOf(entry),
      relative,
      stat,
      parent: folder,
      existing: null,
      hasAcl: false,
      made: null,
    })
    this.#more()
  }

  /** Makes a directory of the target, and those that it lies in; once. */
  #make(folder: Folder): Promise<void> {
    folder.made ??= this.#makeNow(folder)
    return folder.made
  }

  async #makeNow(folder: Folder): Promise<void> {
    const work = this.#work
    const { parent } = folder
    if (parent !== null) await this.#make(parent)
    if (!work.settings.dryRun && (await makeDirectory(folder))) work.folders.push(folder)
    else if (folder.existing !== null && isArchive(work)) work.folders.push(folder)
    work.counts.directories++
    work.entryDone()
  }
}

/** Whether directories that were there before get the source's attributes as well. */
function isArchive({ settings: { preserved } }: TreeWork): boolean {
  return preserved.times || preserved.owner || preserved.xattrs
}

/** @returns False when it was there already. */
async function makeDirectory(folder: Folder): Promise<boolean> {
  const { parent } = folder
  const path = bytesOf(folder.target)
  // In a new parent nothing has the name yet.
  if (parent === null || parent.existing === null) {
    await mkdir(path, { mode: PRIVATE })
    folder.hasAcl = parent?.hasAcl ?? false
    return true
  }
  let isNew = true
  try {
    await mkdir(path, { mode: PRIVATE })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    // A symlink in its place would lead out of the tree.
    if (!(await lstat(path)).isDirectory()) throw error
    isNew = false
  }
  // Even in a new directory files are renamed when they are complete, because others see the directory around
  // it.
  folder.existing = new Set(isNew ? [] : await namesIn(folder.target))
  folder.hasAcl = hasDefaultAcl(folder.target)
  return isNew
}

/** The names in a directory, as latin1 text: one character for each byte. */
export async function namesIn(latin1: string): Promise<string[]> {
  return readdir(bytesOf(latin1), { encoding: 'latin1' as BufferEncoding })
}

async function entriesOf(latin1: string): Promise<Pick<Dirent, 'name' | keyof KindTests>[]> {
  const path = bytesOf(latin1)
  try {
    return await readdir(path, { withFileTypes: true, encoding: 'latin1' as BufferEncoding })
  } catch (error) {
    // Where the file system does not report kinds along with names, Node asks for them one by one, and cannot
    // join a path of bytes with a name of text.
    if ((error as NodeJS.ErrnoException).code !== 'ERR_INVALID_ARG_TYPE') throw error
  }
  const entries = []
  for (const name of await namesIn(latin1)) {
    const stats = await lstat(bytesOf(join(latin1, name)))
    entries.push(Object.assign(stats, { name }))
  }
  return entries
}

interface KindTests {
  isFile(): boolean
  isDirectory(): boolean
  isSymbolicLink(): boolean
  isFIFO(): boolean
  isSocket(): boolean
  isBlockDevice(): boolean
  isCharacterDevice(): boolean
}

function kindOf(entry: KindTests): EntryKind | null {
  if (entry.isFile()) return 'file'
  if (entry.isDirectory()) return 'directory'
  if (entry.isSymbolicLink()) return 'symlink'
  if (entry.isFIFO()) return 'fifo'
  if (entry.isSocket()) return 'socket'
  return entry.isBlockDevice() || entry.isCharacterDevice() ? 'device' : null
}

const S_IFIFO = 0o010000
const S_IFSOCK = 0o140000
const S_IFMT = 0o170000

/** The kind of a file, from its attributes. */
export function kindOfStat(stat: FileStat): EntryKind {
  if (isRegular(stat)) return 'file'
  if (isDirectory(stat)) return 'directory'
  if (isSymlink(stat)) return 'symlink'
  const type = stat.mode & S_IFMT
  if (type === S_IFIFO) return 'fifo'
  return type === S_IFSOCK ? 'socket' : 'device'
}
