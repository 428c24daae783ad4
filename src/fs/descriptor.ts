// An open file: its descriptor, the operations that use it, when it is closed, and which operation may use
// the file's current position.

import fs from 'node:fs'
import { IORING_FSYNC_DATASYNC, prepClose, prepFsync } from '../ring/index.js'
import { announceFd } from '../runtime/lifetime.js'
import { EINTR, ESPIPE } from '../syscalls/errno-values.js'
import { lseek } from '../syscalls/libc.js'
import { call, callError } from './call.js'
import { ringFor } from './ring-choice.js'

const { O_DIRECT = 0, O_NONBLOCK = 0 } = fs.constants
const SEEK_CUR = 1

/** Closes a descriptor that nothing uses any more. */
export function closeFd(fd: number): Promise<void> {
  announceFd(fd, false)
  const uring = ringFor('close')
  if (uring === null) return closeByNode(fd)
  const { driver } = uring
  return new Promise((resolve, reject) => {
    const onCqe = (res: number): void => {
      // An interrupted close has closed the descriptor all the same. Node ignores EINTR too.
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
   * The FileHandle. This reference keeps it alive while an operation holds the descriptor: if the handle were
   * collected meanwhile, the file would be closed under the operation.
   */
  readonly owner: object
  readonly #onClosed: () => void
  /** Writes in progress that consist of several operations, between which no other write may come. */
  writesInParts = 0
  #positionTaken = false
  #positionWaiters: (() => void)[] = []
  /** Whether the file has a position; null until that was checked. */
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

  /** One operation fewer. The last one closes the file, if `close` was called. */
  unref(): void {
    if (--this.#users > 0 || this.fd === -1) return
    const closed = this.#release()
    if (this.#endClosing === null) closed.catch(() => {})
    else this.#endClosing(closed)
  }

  /**
   * Closes the file when its operations have ended.
   *
   * @returns The promise of the close; calls while it is in progress get the same one. `began` is false when
   *   the file was closed, or closing, already.
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
   * Makes everything that was written before the call durable. Calls that come while a sync is in progress
   * share the next one: it begins after their writes, so it covers them.
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
    // Callers whose writes end in the same turn can all ask for a sync before this one begins, and share it.
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
   * Takes the file's current position, which only one operation at a time may use. read(2) and write(2) lock
   * the position during the call; the ring does not, so two operations at once would read or write the same
   * place.
   *
   * @param turn - Called when the position is free, if the result is false.
   * @returns Whether to go ahead now. `releasePosition` must follow, as it must after `turn`.
   */
  takePosition(turn: () => void): boolean {
    if (!this.#positionTaken) {
      this.#positionTaken = true
      return true
    }
    // A file without a position must not wait: a write to a terminal would wait for a read from it.
    if (!this.#hasPosition()) return true
    this.#positionWaiters.push(turn)
    return false
  }

  /**
   * Whether an append must take the position too, although it does not use it: so that it neither comes
   * between the parts of a write in progress nor overtakes the writes that wait for that one.
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
   * Whether a ring operation at the current position moves it. It does not when the operation completes later
   * without a kernel worker thread: with O_DIRECT (seen on 6.18), and on file systems without a page cache of
   * their own. Null while this is not known for the file.
   */
  get movesPosition(): boolean | null {
    if (this.#movesPosition !== null) return this.#movesPosition
    if (!this.#hasPosition()) this.#movesPosition = true
    else if (this.flags & O_DIRECT) this.#movesPosition = false
    return this.#movesPosition
  }

  /**
   * Whether operations on the file may name an offset. The ring accepts an offset for a pipe, and ignores it.
   */
  get hasOffsets(): boolean {
    this.#hasOffsets ??= lseek(this.fd, 0, SEEK_CUR) !== ESPIPE
    return this.#hasOffsets
  }

  /**
   * Whether operations that would have to wait end in EAGAIN: a pipe or terminal opened with O_NONBLOCK. The ring waits
   * for those all the same.
   */
  get mustNotWait(): boolean {
    return (this.flags & O_NONBLOCK) !== 0 && !this.#hasPosition()
  }

  /** Records what the first transfer has shown. */
  set movesPosition(moves: boolean) {
    this.#movesPosition = moves
  }

  #hasPosition(): boolean {
    this.#isSeekable ??= isSeekable(this.fd)
    return this.#isSeekable
  }

  /** Holds the position while `work` runs. */
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
