// An open file: its descriptor, who uses it, when it is closed, and whose turn it is with the file's current position.

import fs from 'node:fs'
import { IORING_FSYNC_DATASYNC, prepClose, prepFsync } from '../ring/index.js'
import { announceFd } from '../runtime/lifetime.js'
import { lseek } from '../syscalls/libc.js'
import { call, callError } from './call.js'
import { ringFor } from './ring-choice.js'

const { O_DIRECT = 0 } = fs.constants
const SEEK_CUR = 1
const EINTR = -4
const ESPIPE = -29

/** Closes a descriptor that nothing uses any more. */
export function closeFd(fd: number): Promise<void> {
  announceFd(fd, false)
  const uring = ringFor('close')
  if (uring === null) return closeByNode(fd)
  const { driver } = uring
  return new Promise((resolve, reject) => {
    const onCqe = (res: number): void => {
      // Interrupted, it is closed all the same, as Node sees it too.
      if (res >= 0 || res === EINTR) resolve()
      else if (driver.wasLeftUndone(res)) closeByNode(fd).then(resolve, reject)
      else reject(callError(uring, res, 'close'))
    }
    try {
      driver.submitOnce((sqe) => prepClose(sqe, fd), onCqe, 'close', null)
    } catch {
      // The ring takes no more operations.
      closeByNode(fd).then(resolve, reject)
    }
  })
}

function closeByNode(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.close(fd, (error) => (error ? reject(error) : resolve()))
  })
}

function syncFd(fd: number, syscall: 'fsync' | 'fdatasync'): Promise<void> {
  const uring = ringFor('fsync')
  if (uring === null) {
    return new Promise((resolve, reject) => {
      fs[syscall](fd, (error) => (error ? reject(error) : resolve()))
    })
  }
  const flags = syscall === 'fdatasync' ? IORING_FSYNC_DATASYNC : 0
  return call(uring, { syscall, prepare: (sqe) => prepFsync(sqe, fd, flags), finish: () => undefined })
}

/** The sync in progress, and the one that follows it. */
interface SyncGroup {
  running: Promise<void> | null
  waiting: Promise<void> | null
}

/** Held by a FileHandle, and by each of its operations while it runs. */
export class Descriptor {
  /** -1 once closed. */
  fd: number
  /** `O_*` bits it was opened with. */
  readonly flags: number
  /** The handle itself, and each operation in progress. */
  #users = 1
  #closing: Promise<void> | null = null
  #endClosing: ((closed: Promise<void>) => void) | null = null
  /**
   * The FileHandle. An operation that holds the descriptor holds the handle by it: were that collected meanwhile, the
   * file would be closed under the operation.
   */
  readonly owner: object
  readonly #onClosed: () => void
  /** Writes in progress that take several operations, with no other in between. */
  writesInParts = 0
  #positionTaken = false
  #positionWaiters: (() => void)[] = []
  /** Whether the file has a position, once it was asked. */
  #isSeekable: boolean | null = null
  #hasOffsets: boolean | null = null
  #movesPosition: boolean | null = null
  readonly #syncs: Readonly<Record<'fsync' | 'fdatasync', SyncGroup>> = {
    fsync: { running: null, waiting: null },
    fdatasync: { running: null, waiting: null },
  }

  /** @param onClosed - Called when the descriptor is given back to the kernel. */
  constructor(fd: number, flags: number, owner: object, onClosed: () => void) {
    this.fd = fd
    this.flags = flags
    this.owner = owner
    this.#onClosed = onClosed
  }

  /** True between a call of `close` and its end. */
  get closing(): boolean {
    return this.#closing !== null
  }

  /** One more operation uses the file. */
  ref(): void {
    this.#users++
  }

  /** One less; the last one out closes the file, if `close` was called. */
  unref(): void {
    if (--this.#users > 0 || this.fd === -1) return
    const closed = this.#release()
    if (this.#endClosing === null) closed.catch(() => {})
    else this.#endClosing(closed)
  }

  /**
   * Closes the file when its operations have ended.
   *
   * @returns The promise of its end; the same one while it lasts. `began` is false when there was nothing to begin.
   */
  close(): { readonly closed: Promise<void>; readonly began: boolean } {
    if (this.fd === -1) return { closed: this.#closing ?? Promise.resolve(), began: false }
    if (this.#closing !== null) return { closed: this.#closing, began: false }
    const closed =
      --this.#users === 0
        ? this.#release()
        : new Promise<void>((resolve) => {
            this.#endClosing = resolve
          })
    this.#closing = closed.finally(() => {
      this.#closing = null
    })
    return { closed: this.#closing, began: true }
  }

  #release(): Promise<void> {
    const { fd } = this
    this.fd = -1
    this.#onClosed()
    return closeFd(fd)
  }

  /**
   * Makes what was written before the call durable. Calls that come while another is on its way share the next one: it
   * begins after their writes, so it covers them.
   */
  sync(syscall: 'fsync' | 'fdatasync'): Promise<void> {
    const group = this.#syncs[syscall]
    group.waiting ??= this.#runSync(syscall, group, group.running)
    return group.waiting
  }

  async #runSync(
    syscall: 'fsync' | 'fdatasync',
    group: SyncGroup,
    before: Promise<void> | null,
  ): Promise<void> {
    this.ref()
    // Writes that end together are made durable together: those who wait for them have their say first.
    if (before === null) await new Promise<void>((resolve) => process.nextTick(resolve))
    else await before.catch(() => {})
    const running = syncFd(this.fd, syscall)
    group.waiting = null
    group.running = running
    try {
      await running
    } finally {
      if (group.running === running) group.running = null
      this.unref()
    }
  }

  /**
   * Takes the file's current position, which one operation at a time may use: the ring does not hold it during an
   * operation as read(2) and write(2) do, so two at once would read or write the same place.
   *
   * @param turn - Called later, when the answer is false.
   * @returns Whether to go ahead now. Then, as after `turn`, `releasePosition` must follow.
   */
  takePosition(turn: () => void): boolean {
    if (!this.#positionTaken) {
      this.#positionTaken = true
      return true
    }
    // What has no position must not wait: a write to a terminal is not to wait for a read from it.
    if (!this.#hasPosition()) return true
    this.#positionWaiters.push(turn)
    return false
  }

  /**
   * Whether what is written at the end of a file opened for appending, which needs no position, has to take it all the same:
   * behind a write in parts, and behind those that wait for that.
   */
  get appendsWait(): boolean {
    return this.writesInParts > 0 || this.#positionWaiters.length > 0
  }

  releasePosition(): void {
    const next = this.#positionWaiters.shift()
    if (next === undefined) this.#positionTaken = false
    else next()
  }

  /**
   * Whether an operation of the ring at the current position moves it. It does not if the operation ends later and not
   * in a thread of the kernel: with O_DIRECT (seen on 6.18), and on file systems without a page cache of their own.
   * Null when that is not known yet of the file.
   */
  get movesPosition(): boolean | null {
    if (this.#movesPosition !== null) return this.#movesPosition
    if (!this.#hasPosition()) this.#movesPosition = true
    else if (this.flags & O_DIRECT) this.#movesPosition = false
    return this.#movesPosition
  }

  /** Whether operations may name a place in it. The ring takes one for a pipe, and reads or writes wherever that stands. */
  get hasOffsets(): boolean {
    this.#hasOffsets ??= lseek(this.fd, 0, SEEK_CUR) !== ESPIPE
    return this.#hasOffsets
  }

  /** Notes what was seen. */
  set movesPosition(moves: boolean) {
    this.#movesPosition = moves
  }

  #hasPosition(): boolean {
    this.#isSeekable ??= isSeekable(this.fd)
    return this.#isSeekable
  }

  /** The position for as long as `work` takes. */
  async withPosition<T>(work: () => Promise<T>): Promise<T> {
    await new Promise<void>((resolve) => {
      if (this.takePosition(resolve)) resolve()
    })
    try {
      return await work()
    } finally {
      this.releasePosition()
    }
  }
}

function isSeekable(fd: number): boolean {
  try {
    const stats = fs.fstatSync(fd)
    return stats.isFile() || stats.isBlockDevice()
  } catch {
    // Somebody has closed the descriptor behind our back: the operation itself will say so.
    return true
  }
}

/** The current position of an open file; null where it has none. */
export function positionOf(fd: number): number | null {
  const position = lseek(fd, 0, SEEK_CUR)
  return position < 0 ? null : position
}
