// The table of files that the ring holds itself ("registered", "fixed" or "direct" files): operations on them skip the
// lookup and the reference counting of a descriptor, and no other part of the process can close them.

import {
  type Fd,
  IORING_FILE_INDEX_ALLOC,
  prepFilesUpdate,
  registerFiles,
  registerFilesSparse,
  registerFilesUpdate,
  unregisterFiles,
} from '../ring/index.js'
import { checkBoolean, checkInteger, checkMembers, invalidState } from '../syscalls/argument-errors.js'
import { systemError } from '../syscalls/errno.js'
import { EBADF, EBUSY, EINVAL, ENFILE } from '../syscalls/errno-values.js'
import type { Driver } from './driver.js'
import type { OperationOptions, PathLike } from './operations/base.js'
import type { OpenOptions } from './operations/paths.js'
import type { SocketOperations, SocketOptions } from './operations/sockets.js'

/** What `Uring.registerFileTable` takes. */
export interface FileTableOptions {
  /** Slots, 1 to 2^20 and at most RLIMIT_NOFILE. Default 256. */
  readonly size?: number | undefined
  /**
   * Choose slots here instead of in the kernel, as needed before Linux 5.19; nothing else may then fill
   * slots. Default: only where the kernel cannot choose.
   */
  readonly explicitSlots?: boolean | undefined
}

const DEFAULT_SIZE = 256
const MAX_SIZE = 2 ** 20

interface Abandoned {
  readonly uring: SocketOperations
  readonly table: FileTable | null
  readonly index: number
}

const abandoned = new FinalizationRegistry<Abandoned>(({ uring, table, index }) => {
  // When its table is closed the file is closed too, and the slot may hold another file.
  if (uring.driver.closed || table?.closed) return
  process.emitWarning(`Closing registered file ${index} on garbage collection; call file.close()`, 'RingLeak')
  uring.closeDirect(index).then(
    () => table?.tookBack(index),
    () => {},
  )
})

/** A registered file. Use `index` as the descriptor of an operation, with `fixedFile: true`. */
export class FixedFile {
  readonly #uring: SocketOperations
  readonly #table: FileTable | null
  readonly #index: number
  #closed = false

  /** @internal @param table - Null for a table that was registered by hand. */
  constructor(uring: SocketOperations, table: FileTable | null, index: number) {
    this.#uring = uring
    this.#table = table
    this.#index = index
    abandoned.register(this, { uring, table, index }, this)
  }

  /** The file's slot. @throws SystemError EBADF once the file is closed. */
  get index(): number {
    if (this.closed) throw closedError('fixed_file')
    return this.#index
  }

  /** True after `close()`, and once its table or ring is closed. */
  get closed(): boolean {
    return this.#closed || this.#uring.driver.closed || (this.#table?.closed ?? false)
  }

  /** @internal Whether it is in the table of the ring with that driver. */
  belongsTo(driver: Driver): boolean {
    return this.#uring.driver === driver
  }

  /** Frees the slot. Operations in flight keep the file. Rejects with EBADF once it is closed. Linux 5.15. */
  async close(): Promise<void> {
    if (this.closed) throw closedError('close')
    this.#closed = true
    abandoned.unregister(this)
    await this.#uring.closeDirect(this.#index)
    this.#table?.tookBack(this.#index)
  }

  /** Makes an ordinary descriptor of the file, which also stays registered. Linux 6.8. */
  async install(options: OperationOptions = {}): Promise<Fd> {
    if (this.closed) throw closedError('fixed_fd_install')
    return this.#uring.installFixedFd(this.#index, 0, options)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.closed ? Promise.resolve() : this.close()
  }
}

function closedError(syscall: string): Error {
  return systemError(EBADF, syscall, { hint: 'the registered file was closed' })
}

/** The registered files of a ring, which has one such table. Made by `Uring.registerFileTable`. */
export class FileTable {
  readonly size: number
  readonly #uring: SocketOperations
  /** Free slots, the next one last; null where the kernel chooses. */
  readonly #free: number[] | null
  #used = 0
  #closed = false
  /** This table was closed, but is still registered with the kernel, empty. */
  #isLeft = false
  /** Operations that are to fill a slot. */
  #filling = 0

  /**
   * @internal
   * @param previous - The ring's table before, which may have been left to the kernel.
   * @throws SystemError EBUSY while it is being opened into.
   */
  constructor(uring: SocketOperations, options: FileTableOptions = {}, previous: FileTable | null = null) {
    checkMembers('options', options, ['size', 'explicitSlots'])
    this.size = checkInteger('options.size', options.size ?? DEFAULT_SIZE, 1, MAX_SIZE)
    const explicitSlots = checkBoolean('options.explicitSlots', options.explicitSlots ?? false)
    const { driver } = uring
    if (driver.closed) throw driver.closedError('io_uring_register')
    this.#uring = uring
    // They would fill slots of this one.
    if (previous !== null && previous.#filling > 0) {
      const hint = 'operations that open files into the table before this one are under way'
      throw systemError(EBUSY, 'io_uring_register', { hint })
    }
    if (previous !== null) previous.#giveUp()
    const kernelChooses = !explicitSlots && registerSparse(uring, this.size)
    if (!kernelChooses) registerFiles(driver.ring, new Array<Fd>(this.size).fill(-1))
    this.#free = kernelChooses ? null : Array.from({ length: this.size }, (_, index) => this.size - 1 - index)
  }

  /** Slots of files that were opened through this table, or adopted by it. */
  get used(): number {
    return this.#used
  }

  /** @internal Whether slots that others have filled can be adopted. */
  get isFilledByKernel(): boolean {
    return this.#free === null
  }

  /** True after `close()`, and once the ring is closed. */
  get closed(): boolean {
    return this.#closed || this.#uring.driver.closed
  }

  /** Opens a file into the table. Rejects with ENFILE when the table is full. Linux 5.15. */
  open(path: PathLike, options: OpenOptions = {}): Promise<FixedFile> {
    return this.#fill('open', (direct) => this.#uring.open(path, { ...options, direct }))
  }

  /** Makes a socket in the table. Rejects with ENFILE when the table is full. Linux 5.19. @see socket(2) */
  socket(domain: number, type: number, protocol = 0, options: SocketOptions = {}): Promise<FixedFile> {
    return this.#fill('socket', (direct) =>
      this.#uring.socket(domain, type, protocol, { ...options, direct }),
    )
  }

  /**
   * Puts the file of an ordinary descriptor into the table; the descriptor may be closed then. Rejects with ENFILE when
   * the table is full. Linux 6.0.
   */
  add(fd: Fd, options: OperationOptions = {}): Promise<FixedFile> {
    // To the kernel -1 means to empty a slot, and -2 to leave it.
    checkInteger('fd', fd, 0, 0x7fff_ffff)
    return this.#fill('files_update', async (direct) => {
      const { driver } = this.#uring
      const block = driver.arena.alloc(4)
      block.view.setInt32(0, fd, true)
      const offset = direct === true ? IORING_FILE_INDEX_ALLOC : direct
      return this.#uring.start(
        'files_update',
        options,
        (sqe) => prepFilesUpdate(sqe, block.address, 1, offset),
        {
          block,
          // The kernel has overwritten the descriptor with the slot that it chose.
          finish: () => (direct === true ? block.view.getInt32(0, true) : 0),
        },
      )
    })
  }

  /** Takes ownership of a slot that was filled in another way, such as by `acceptMultishot` with `direct`. */
  adopt(index: number): FixedFile {
    if (this.#free !== null)
      throw invalidState('A table with explicit slots is filled by its own methods alone')
    checkInteger('index', index, 0, this.size - 1)
    return this.#hold(index)
  }

  /**
   * Unregisters the table, which closes every file in it. Operations in flight keep theirs. Linux 5.1.
   *
   * Before Linux 6.13 the kernel would wait for those operations: the table is then emptied, and unregistered
   * when another is made.
   */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    const { driver } = this.#uring
    if (driver.ring.closed) return
    this.#isLeft = true
    if (driver.inFlight > 0 && driver.ring.unregisterWaits) {
      registerFilesUpdate(driver.ring, 0, new Array<Fd>(this.size).fill(-1))
    } else this.#giveUp()
  }

  #giveUp(): void {
    if (!this.#isLeft) return
    this.#isLeft = false
    unregisterFiles(this.#uring.driver.ring)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #hold(index: number): FixedFile {
    this.#used++
    return new FixedFile(this.#uring, this, index)
  }

  /** @internal The slot is empty again. */
  tookBack(index: number): void {
    this.#used--
    this.#free?.push(index)
  }

  /** @param issue - Fills slot `direct`, or with true one that the kernel chooses and names. */
  async #fill(syscall: string, issue: (direct: number | true) => Promise<number>): Promise<FixedFile> {
    if (this.closed) throw invalidState('The file table is closed')
    const free = this.#free
    const slot = free === null ? undefined : free.pop()
    if (free !== null && slot === undefined) throw this.#fullError(syscall)
    this.#filling++
    try {
      const index = await issue(slot ?? true)
      // The table was closed and emptied meanwhile, before this file was in it.
      if (this.#isLeft) await this.#uring.closeDirect(slot ?? index)
      return this.#hold(slot ?? index)
    } catch (error) {
      if (slot !== undefined) free!.push(slot)
      if (free !== null || (error as { errno?: number }).errno !== ENFILE) throw error
      throw this.#fullError(syscall, error)
    } finally {
      this.#filling--
    }
  }

  #fullError(syscall: string, cause?: unknown): Error {
    const hint = `all ${this.size} slots of the ring's file table are in use`
    return systemError(ENFILE, syscall, cause === undefined ? { hint } : { hint, cause })
  }
}

/** @returns False where the kernel has no sparse tables, and so does not choose slots either. */
function registerSparse({ driver }: SocketOperations, size: number): boolean {
  try {
    registerFilesSparse(driver.ring, size)
    return true
  } catch (error) {
    if ((error as { errno?: number }).errno !== EINVAL) throw error
    return false
  }
}
