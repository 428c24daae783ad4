// The fast way to copy the small files of a tree, many at a time, on the ring. A file is opened and read; then one chain
// makes its copy, writes, closes and, where the directory is not ours alone, renames it: the kernel runs that whole chain
// on a thread of its own, and answers once. The copy's descriptor is a registered one, which costs the process nothing.

import { constants } from 'node:fs'
import { unlink } from 'node:fs/promises'
import {
  AT_FDCWD,
  addressOf,
  IOSQE_ASYNC,
  IOSQE_FIXED_FILE,
  prepCloseDirect,
  prepOpenat,
  prepOpenatDirect,
  prepReadFixed,
  prepRenameat,
  prepWriteFixed,
  type Sqe,
  systemError,
} from '../ring/index.js'
import type { Block } from '../runtime/arena.js'
import type { Uring } from '../runtime/index.js'
import { announceFd } from '../runtime/lifetime.js'
import type { RegisteredBuffer } from '../runtime/registered-buffers.js'
import { lseek } from '../syscalls/file-attributes.js'
import { close } from '../syscalls/libc.js'
import { temporaryBeside } from './copy-staging.js'
import { type FileStat, isRegular, statFd } from './copy-stat.js'
import {
  copyFileEntry,
  copyRegular,
  finishFile,
  type LinkTable,
  notTheFile,
  sourceFlags,
} from './copy-tree-entries.js'
import type { FileQueue, Gate } from './copy-tree-files.js'
import { bytesOf, type Entry, sourceOf, type TreeWork, targetOf, textOf } from './copy-tree-work.js'

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW = 0 } = constants
const O_CLOEXEC = 0o2000000
const PERMISSIONS = 0o777
const RENAME_NOREPLACE = 1
const SEEK_HOLE = 4
const EINTR = -4
const EEXIST = -17
const EAGAIN = -11
const MAX_REPEATS = 16
/** The longest path that the kernel takes, its zero included. */
export const PATH_BYTES = 4096
/** What a lane copies itself: larger files go the careful way, by the kernel or with buffers of their own. */
export const SMALL_BYTES = 65536

/** Everything that the lanes of one copy share. */
export interface LaneShare {
  readonly work: TreeWork
  readonly queue: FileQueue
  readonly links: LinkTable
  /** For the careful way. */
  readonly gate: Gate
}

/** What a lane tells when it has done with its file. */
export interface LaneHost {
  /** @returns The next file; null when the lane is to be idle. */
  next(lane: Lane): Entry | null
}

export interface LaneMeans {
  /** Of the ring's registered files. */
  readonly slot: number
  /** Source, target, and the target's name until it is complete. */
  readonly paths: Block
  readonly buffer: RegisteredBuffer
}

const NO_ENTRY = null as unknown as Entry
const NO_STAT = null as unknown as FileStat

/** One file at a time. Its callbacks are made once. */
export class Lane {
  readonly #host: LaneHost
  readonly #uring: Uring
  readonly #share: LaneShare
  readonly #slot: number
  readonly #paths: Block
  readonly #bufferAddress: number
  readonly #bufferIndex: number
  readonly #openFlags: number
  #entry = NO_ENTRY
  #stat = NO_STAT
  #fd = -1
  #length = 0
  #repeats = 0
  /** The copy is made under another name, which is at its own place among the paths. */
  #isBeside = false
  #temporary = ''
  /** What has the copy's name, if anything, is what a broken chain has left. */
  #isOurs = false

  constructor(host: LaneHost, uring: Uring, share: LaneShare, { slot, paths, buffer }: LaneMeans) {
    this.#host = host
    this.#uring = uring
    this.#share = share
    this.#slot = slot
    this.#paths = paths
    this.#bufferAddress = addressOf(buffer.bytes)
    this.#bufferIndex = buffer.index
    this.#openFlags = sourceFlags(share.work.settings.dereference) | O_CLOEXEC
  }

  begin(entry: Entry): void {
    this.#entry = entry
    this.#repeats = 0
    this.#fd = -1
    const { folder, name } = entry
    // What a name replaces is looked at first; and what may be longer than a path can be is left to fail there.
    const isInTheWay = folder.existing?.has(name) ?? false
    if (isInTheWay || !this.#storePaths(entry)) {
      this.#careful(false)
      return
    }
    this.#submit(this.#prepareOpen, this.#onOpened, 'open')
  }

  /** @returns False when one of them is too long. */
  #storePaths(entry: Entry): boolean {
    const source = sourceOf(entry)
    const target = targetOf(entry)
    this.#isBeside = entry.folder.existing !== null
    this.#temporary = this.#isBeside ? temporaryBeside(target) : target
    if (source.length >= PATH_BYTES || this.#temporary.length >= PATH_BYTES) return false
    const { bytes } = this.#paths
    bytes[bytes.write(source, 0, 'latin1')] = 0
    bytes[PATH_BYTES + bytes.write(target, PATH_BYTES, 'latin1')] = 0
    if (this.#isBeside) bytes[2 * PATH_BYTES + bytes.write(this.#temporary, 2 * PATH_BYTES, 'latin1')] = 0
    return true
  }

  #submit(prepare: (sqe: Sqe) => void, onCqe: (res: number) => void, syscall: string): void {
    try {
      this.#uring.driver.submitMultishot(prepare, onCqe, syscall, null)
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
      if (this.#again(res)) this.#submit(this.#prepareOpen, this.#onOpened, 'open')
      else this.#failed(systemError(res, 'open', { path: textOf(sourceOf(this.#entry)) }))
      return
    }
    this.#fd = res
    announceFd(res, true)
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
    const { preserved, verify, durable, methods } = work.settings
    const isForAll =
      verify === null && !durable && methods.includes('ring') && !(preserved.links && nlink > 1)
    if (work.stopping) this.#end()
    else if (isForAll && size <= SMALL_BYTES && !this.#hasHoles()) {
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
    // As much as there is room for: a file of /proc says that it has nothing in it.
    prepReadFixed(sqe, this.#fd, this.#bufferAddress, SMALL_BYTES, 0, this.#bufferIndex)
    if (this.#repeats > 0) sqe.addFlags(IOSQE_ASYNC)
  }

  readonly #onRead = (res: number): void => {
    if (this.#again(res)) {
      this.#submit(this.#prepareRead, this.#onRead, 'read')
      return
    }
    // Whatever else it is, the careful way finds out.
    if (res !== this.#stat.size) {
      this.#careful(false)
      return
    }
    this.#length = res
    const steps = 2 + (res > 0 ? 1 : 0) + (this.#isBeside ? 1 : 0)
    try {
      const { driver } = this.#uring
      if (!driver.submitLinked(steps, this.#prepareStep, this.#onWritten, 'write')) this.#careful(false)
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
      prepWriteFixed(sqe, this.#slot, this.#bufferAddress, this.#length, 0, this.#bufferIndex)
      sqe.addFlags(IOSQE_FIXED_FILE)
    } else if (step === 2) prepCloseDirect(sqe, this.#slot)
    // Nothing had that name when the directory was read.
    else prepRenameat(sqe, AT_FDCWD, made, AT_FDCWD, target, RENAME_NOREPLACE)
  }

  /** 0 when all of it is done; else what failed: an errno, or the bytes of a write that came too short. */
  readonly #onWritten = (res: number): void => {
    if (res !== 0) {
      this.#isOurs = res !== EEXIST
      this.#submit(this.#prepareFree, this.#onFreed, 'close')
      return
    }
    const { work } = this.#share
    const entry = this.#entry
    try {
      finishFile(work, entry, this.#stat, this.#isBeside ? targetOf(entry) : this.#temporary)
    } catch (error) {
      this.#failed(error)
      return
    }
    work.counts.files++
    work.counts.methods.ring++
    if (this.#length > 0) work.addBytes(this.#length)
    work.entryDone()
    this.#end()
  }

  /** The slot may still have the file of a chain that broke. */
  readonly #prepareFree = (sqe: Sqe): void => {
    prepCloseDirect(sqe, this.#slot)
  }

  readonly #onFreed = (): void => {
    // What had the name before stays: two names of the source may be one in the target, which knows no case.
    this.#careful(this.#isOurs)
  }

  /** Leaves the file to the careful way, which finds out what is wrong with it if something is. */
  #careful(isRetry: boolean): void {
    const { work, links, gate } = this.#share
    const entry = this.#entry
    const isOpen = this.#fd >= 0
    gate
      .through(async () => {
        if (isRetry && this.#isBeside) await unlink(bytesOf(this.#temporary)).catch(() => {})
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

  /** No entry is to blame. */
  #ringFailed(error: unknown): void {
    this.#share.work.stop(error)
    this.#end()
  }

  #failed(error: unknown): void {
    this.#share.work.failed(error)
    this.#end()
  }

  #end(): void {
    // Of a file that was only read: nothing is lost that could be told.
    if (this.#fd >= 0) {
      announceFd(this.#fd, false)
      close(this.#fd)
    }
    this.#fd = -1
    this.#stat = NO_STAT
    const next = this.#host.next(this)
    if (next === null) this.#entry = NO_ENTRY
    else this.begin(next)
  }
}
