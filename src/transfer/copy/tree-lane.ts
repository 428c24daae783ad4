// The fast way to copy the small files of a tree, many at a time, on two rings. A file is opened and read on
// the first. Then one chain on the second creates its copy, writes it and, where others see the directory,
// renames it: the kernel runs the whole chain on one of its worker threads, and posts one CQE. The copy's
// descriptor is a registered one, which takes none of the process's; the next copy in the slot closes it.

import { constants } from 'node:fs'
import { unlink } from 'node:fs/promises'
import {
  AT_FDCWD,
  IOSQE_ASYNC,
  IOSQE_FIXED_FILE,
  prepCloseDirect,
  prepOpenat,
  prepOpenatDirect,
  prepRead,
  prepRenameat,
  prepWrite,
  type Sqe,
  systemError,
} from '../../ring/index.js'
import type { Block } from '../../runtime/arena.js'
import type { Driver } from '../../runtime/driver.js'
import { closeNoted } from '../../syscalls/descriptor-notes.js'
import { EAGAIN, EEXIST, EINTR } from '../../syscalls/errno-values.js'
import { lseek } from '../../syscalls/libc.js'
import { beginUnfinished, endUnfinished } from '../unfinished.js'
import { bytesOf, textOf } from './latin1-paths.js'
import { temporaryBeside } from './staging.js'
import { type FileStat, isRegular, statFd } from './stat.js'
import {
  copyFileEntry,
  copyRegular,
  finishFile,
  type LinkTable,
  notTheFile,
  sourceFlags,
} from './tree-entries.js'
import type { FileQueue, Gate } from './tree-files.js'
import { type Entry, sourceOf, type TreeWork, targetOf } from './tree-work.js'

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW = 0 } = constants
const O_CLOEXEC = 0o2000000
const PERMISSIONS = 0o777
const RENAME_NOREPLACE = 1
const SEEK_HOLE = 4
const MAX_REPEATS = 16
/** The longest path that the kernel takes, its zero included. */
export const PATH_BYTES = 4096
/** What a temporary name has besides the name: `.`, `.`, twelve digits, `.partial`. */
const TEMPORARY_BYTES = 22
const SLASH = 0x2f
/** Operations of a chain: open, write, rename. */
export const MOST_STEPS = 3
/**
 * The largest file that a lane copies itself. Larger ones go the careful way, by the kernel or with buffers
 * of their own.
 */
export const SMALL_BYTES = 65536

/** Everything that the lanes of one copy share. */
export interface LaneShare {
  readonly work: TreeWork
  readonly queue: FileQueue
  readonly links: LinkTable
  /** For the careful way. */
  readonly gate: Gate
}

/** What a lane reports to. */
export interface LaneHost {
  /** The lane has finished its file, and must be told to `begin` another or to `rest`. */
  done(lane: Lane): void
  /** The lane is idle now. */
  idle(lane: Lane): void
}

export interface LaneMeans {
  readonly reader: Driver
  /** Runs the chains that make the copies, and has the registered files. */
  readonly maker: Driver
  /** The lane's slot among the maker's registered files. */
  readonly slot: number
  /** The paths of the source, of the target, and of the temporary file that becomes the target. */
  readonly paths: Block
  /** What was read, in memory of the reader. */
  readonly buffer: Block
}

const NO_ENTRY = null as unknown as Entry
const NO_STAT = null as unknown as FileStat

/** One file at a time. Its callbacks are made once. */
export class Lane {
  readonly #host: LaneHost
  readonly #share: LaneShare
  readonly #reader: Driver
  readonly #maker: Driver
  readonly #slot: number
  readonly #paths: Block
  readonly #buffer: Block
  readonly #openFlags: number
  /** The options allow small files to be copied by lanes. */
  readonly #isForLanes: boolean
  #entry = NO_ENTRY
  #stat = NO_STAT
  #fd = -1
  #length = 0
  #repeats = 0
  /** The copy is made under a temporary name, the third of the paths. */
  #isBeside = false
  #temporary = ''
  /** A broken chain may have left a file under that name. */
  #hasLeftover = false
  /** The slot may still hold the copy before, which the next one closes by taking its place. */
  #hasFile = false
  #onFreed: () => void = () => {}
  #isRetry = false

  constructor(host: LaneHost, means: LaneMeans, share: LaneShare) {
    this.#host = host
    this.#share = share
    this.#reader = means.reader
    this.#maker = means.maker
    this.#slot = means.slot
    this.#paths = means.paths
    this.#buffer = means.buffer
    const { dereference, verify, durable, methods } = share.work.settings
    this.#openFlags = sourceFlags(dereference) | O_CLOEXEC
    this.#isForLanes = verify === null && !durable && methods.includes('ring')
  }

  begin(entry: Entry): void {
    this.#entry = entry
    this.#repeats = 0
    this.#fd = -1
    this.#hasLeftover = false
    this.#isBeside = false
    const { folder, name } = entry
    // The careful way looks at what a file is to replace. Paths that may be too long fail there.
    const isInTheWay = folder.existing?.has(name) ?? false
    if (isInTheWay || !this.#storePaths(entry)) {
      this.#careful(false)
      return
    }
    this.#submit(this.#prepareOpen, this.#onOpened, 'open', true)
  }

  /** @returns False when one of them is too long. */
  #storePaths(entry: Entry): boolean {
    const { folder, name } = entry
    const { source, target, existing } = folder
    this.#isBeside = existing !== null
    const longest = Math.max(source.length, target.length) + 1 + name.length
    if (longest + (this.#isBeside ? TEMPORARY_BYTES : 0) >= PATH_BYTES) return false
    this.#storePath(0, source, name)
    this.#storePath(PATH_BYTES, target, name)
    if (!this.#isBeside) return true
    this.#temporary = temporaryBeside(targetOf(entry))
    beginUnfinished(this.#temporary)
    const { bytes } = this.#paths
    bytes[2 * PATH_BYTES + bytes.write(this.#temporary, 2 * PATH_BYTES, 'latin1')] = 0
    return true
  }

  /** Folder and name are not joined first: that would be two more strings for each file. */
  #storePath(at: number, folder: string, name: string): void {
    const { bytes } = this.#paths
    let end = at + bytes.write(folder, at, 'latin1')
    bytes[end++] = SLASH
    bytes[end + bytes.write(name, end, 'latin1')] = 0
  }

  #submit(prepare: (sqe: Sqe) => void, onCqe: (res: number) => void, syscall: string, opens = false): void {
    try {
      this.#reader.submitOnce(prepare, onCqe, syscall, null, opens)
    } catch (error) {
      this.#ringFailed(error)
    }
  }

  readonly #prepareOpen = (sqe: Sqe): void => {
    prepOpenat(sqe, AT_FDCWD, this.#paths.address, this.#openFlags, 0)
    if (this.#repeats > 0) sqe.addFlags(IOSQE_ASYNC)
  }

  readonly #onOpened = (res: number): void => {
    if (res < 0) {
      if (this.#again(res)) this.#submit(this.#prepareOpen, this.#onOpened, 'open', true)
      else this.#failed(systemError(res, 'open', { path: textOf(sourceOf(this.#entry)) }))
      return
    }
    this.#fd = res
    const { work } = this.#share
    try {
      this.#stat = statFd(res)
    } catch (error) {
      this.#failed(error)
      return
    }
    const { size, nlink } = this.#stat
    if (!isRegular(this.#stat)) {
      this.#failed(notTheFile(this.#entry))
      return
    }
    work.found(size)
    const isSmall = this.#isForLanes && size <= SMALL_BYTES && !(nlink > 1 && work.settings.preserved.links)
    if (work.stopping) this.#end()
    else if (isSmall && !this.#hasHoles()) {
      this.#repeats = 0
      this.#submit(this.#prepareRead, this.#onRead, 'read')
    } else this.#careful(false)
  }

  #hasHoles(): boolean {
    const { size, allocated } = this.#stat
    if (allocated >= size || !this.#share.work.settings.sparse) return false
    // Fewer bytes on the disk than in the file: holes, or a file system that compresses.
    return lseek(this.#fd, 0, SEEK_HOLE) < size
  }

  readonly #prepareRead = (sqe: Sqe): void => {
    // Asks for as much as there is room for: a file of /proc reports a size of 0.
    prepRead(sqe, this.#fd, this.#buffer.address, SMALL_BYTES, 0)
    if (this.#repeats > 0) sqe.addFlags(IOSQE_ASYNC)
  }

  readonly #onRead = (res: number): void => {
    if (this.#again(res)) {
      this.#submit(this.#prepareRead, this.#onRead, 'read')
      return
    }
    // An error, or another length than expected: the careful way finds out why.
    if (res !== this.#stat.size) {
      this.#careful(false)
      return
    }
    this.#length = res
    const steps = 1 + (res > 0 ? 1 : 0) + (this.#isBeside ? 1 : 0)
    this.#keepFile()
    try {
      if (!this.#maker.submitLinked(steps, this.#prepareStep, this.#onWritten, 'write')) this.#careful(false)
    } catch (error) {
      this.#ringFailed(error)
    }
  }

  readonly #prepareStep = (sqe: Sqe, index: number): void => {
    const target = this.#paths.address + PATH_BYTES
    const made = this.#isBeside ? target + PATH_BYTES : target
    const step = index > 0 && this.#length === 0 ? index + 1 : index
    if (step === 0) {
      const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
      prepOpenatDirect(sqe, AT_FDCWD, made, flags, this.#stat.mode & PERMISSIONS, this.#slot)
    } else if (step === 1) {
      prepWrite(sqe, this.#slot, this.#buffer.address, this.#length, 0)
      sqe.addFlags(IOSQE_FIXED_FILE)
    }
    // Nothing had that name when the directory was read.
    else prepRenameat(sqe, AT_FDCWD, made, AT_FDCWD, target, RENAME_NOREPLACE)
  }

  /**
   * `res` is that of the last step when all is done; otherwise that of the step that failed: an errno, or the
   * bytes of a short write.
   */
  readonly #onWritten = (res: number): void => {
    if (res !== (this.#isBeside ? 0 : this.#length)) {
      this.#hasLeftover = this.#isBeside
      // After EEXIST the file in the way stays: two names of the source may be one in a case-insensitive
      // target.
      this.#careful(res !== EEXIST)
      return
    }
    const { work } = this.#share
    const entry = this.#entry
    try {
      finishFile(work, entry, this.#stat, targetOf(entry))
    } catch (error) {
      // Nothing had this name before, so only our copy is removed.
      unlink(bytesOf(targetOf(entry)))
        .catch(() => {})
        .then(() => this.#failed(error))
      return
    }
    work.counts.files++
    work.counts.methods.ring++
    if (this.#length > 0) work.addBytes(this.#length)
    work.entryDone()
    this.#end()
  }

  readonly #prepareFree = (sqe: Sqe): void => {
    prepCloseDirect(sqe, this.#slot)
  }

  /** Counts the slot's file as work: the copy of the tree ends only when none is open any more. */
  #keepFile(): void {
    if (this.#hasFile) return
    this.#hasFile = true
    this.#share.work.begun()
  }

  /** Closes the copy before, because no other will take its place soon. */
  #free(onFreed: () => void): void {
    this.#hasFile = false
    this.#onFreed = onFreed
    try {
      this.#maker.submitOnce(this.#prepareFree, this.#freed, 'close', null)
    } catch (error) {
      this.#share.work.stop(error)
      this.#freed()
    }
  }

  readonly #freed = (): void => {
    this.#onFreed()
    this.#share.work.ended()
  }

  /**
   * Leaves the file to the careful way, which finds out what is wrong with it if something is.
   *
   * @param isRetry - A file under the copy's name, if there is one, was left by a broken chain.
   */
  #careful(isRetry: boolean): void {
    this.#isRetry = isRetry
    if (this.#hasFile) this.#free(this.#goCareful)
    else this.#goCareful()
  }

  readonly #goCareful = (): void => {
    const { work, links, gate } = this.#share
    const isRetry = this.#isRetry
    const entry = this.#entry
    const isOpen = this.#fd >= 0
    gate
      .through(async () => {
        if (this.#hasLeftover) await unlink(bytesOf(this.#temporary)).catch(() => {})
        if (work.stopping) return
        if (isOpen) await copyRegular(work, links, entry, this.#fd, this.#stat, isRetry)
        else await copyFileEntry(work, links, entry)
      })
      .then(
        () => this.#end(),
        (error) => this.#failed(error),
      )
  }

  #again(res: number): boolean {
    return (res === EAGAIN || res === EINTR) && this.#repeats++ < MAX_REPEATS
  }

  /** A failure of the ring, for which no entry is to blame, stops the copy. */
  #ringFailed(error: unknown): void {
    this.#share.work.stop(error)
    this.#end()
  }

  #failed(error: unknown): void {
    this.#share.work.failed(error)
    this.#end()
  }

  #end(): void {
    // The file was only read: an error of its close would lose nothing.
    if (this.#fd >= 0) closeNoted(this.#fd)
    this.#fd = -1
    this.#stat = NO_STAT
    if (this.#isBeside) endUnfinished(this.#temporary)
    this.#share.work.ended()
    this.#host.done(this)
  }

  /** There is no file for it at the moment. */
  rest(): void {
    this.#entry = NO_ENTRY
    if (this.#hasFile) this.#free(this.#rested)
    else this.#host.idle(this)
  }

  readonly #rested = (): void => {
    this.#host.idle(this)
  }
}
