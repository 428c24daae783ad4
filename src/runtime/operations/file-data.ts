// Moving data between memory and descriptors, as promises.

import {
  addressOf,
  type Fd,
  IORING_FSYNC_DATASYNC,
  IOVEC,
  prepFadvise64,
  prepFallocate,
  prepFsync,
  prepFtruncate,
  prepRead,
  prepReadFixed,
  prepReadv,
  prepSplice,
  prepSyncFileRange,
  prepTee,
  prepWrite,
  prepWriteFixed,
  prepWritev,
} from '../../ring/index.js'
import { checkOptions, invalidType } from '../../syscalls/argument-errors.js'
import { knownAddressOf } from '../../syscalls/memory.js'
import type { Block } from '../arena.js'
import { Vectors } from '../vectors.js'
import { asBytes, type Bytes, checkedLength, checkNames, type OperationOptions, Operations } from './base.js'

/** Where in the file and how much. */
export interface TransferOptions extends OperationOptions {
  /**
   * Bytes from the start of the file; -1 (the default) is the file's current position. A bigint reaches beyond 2^53.
   *
   * The kernel advances the current position only when it completes the transfer itself. After one that a
   * device completes later, as with O_DIRECT, the position stays where it was (seen on 6.18). Of concurrent
   * transfers it may count some twice. Give an offset for such files, and wherever more than one operation is
   * in flight. Pipes, sockets and terminals have no position.
   */
  readonly offset?: number | bigint | undefined
  /** Bytes, at most the buffer's own length, which is the default. */
  readonly length?: number | undefined
  /**
   * Use registered buffer number `bufferIndex`, in which `buffer` must lie; in a worker without `zeroCopy`, one of a
   * `BufferPool`. Linux 5.1.
   */
  readonly bufferIndex?: number | undefined
}

const NO_OPTIONS: TransferOptions = {}

/** Moving data between memory and descriptors. */
export abstract class FileDataOperations extends Operations {
  /**
   * Reads into `buffer`. Resolves to the bytes read, 0 at the end of the file; a read may be short. Linux 5.6.
   *
   * The kernel owns the buffer until the promise settles, even after an abort: do not transfer or resize it.
   *
   * @throws TypeError, RangeError for bad arguments, at once. Rejects with a SystemError, AbortError or ETIMEDOUT.
   * @see io_uring_prep_read(3), read(2)
   */
  read(fd: Fd, buffer: Bytes, options: TransferOptions = NO_OPTIONS): Promise<number> {
    checkOptions(options)
    const { offset = -1 } = options
    if (offset === -1 && options !== NO_OPTIONS) checkNames(options)
    const length = checkedLength(buffer, options.length, 'options.length')
    if (this.copied(buffer)) return this.#readByCopy(fd, buffer, length, offset, options)
    if (isPlain(options)) {
      const address = knownAddressOf(buffer, length) || addressOf(buffer, length)
      const sqe = this.driver.take()
      if (sqe !== null) {
        try {
          prepRead(sqe, fd, address, length, offset)
        } catch (error) {
          this.driver.abandon(sqe)
          throw error
        }
        return this.driver.issue(sqe, buffer, 'read')
      }
    }
    const index = options.bufferIndex
    return this.start(
      'read',
      options,
      index === undefined
        ? (sqe) => prepRead(sqe, fd, addressOf(buffer, length), length, offset)
        : (sqe) => prepReadFixed(sqe, fd, addressOf(buffer, length), length, offset, index),
      { memory: buffer },
    )
  }

  /**
   * Writes from `buffer`. Resolves to the bytes written, which may be fewer. Linux 5.6.
   *
   * @throws as `read`.
   * @see io_uring_prep_write(3), write(2)
   */
  write(fd: Fd, buffer: Bytes, options: TransferOptions = NO_OPTIONS): Promise<number> {
    checkOptions(options)
    const { offset = -1 } = options
    if (offset === -1 && options !== NO_OPTIONS) checkNames(options)
    const length = checkedLength(buffer, options.length, 'options.length')
    if (this.copied(buffer)) return this.#writeByCopy(fd, buffer, length, offset, options)
    if (isPlain(options)) {
      const address = knownAddressOf(buffer, length) || addressOf(buffer, length)
      const sqe = this.driver.take()
      if (sqe !== null) {
        try {
          prepWrite(sqe, fd, address, length, offset)
        } catch (error) {
          this.driver.abandon(sqe)
          throw error
        }
        return this.driver.issue(sqe, buffer, 'write')
      }
    }
    const index = options.bufferIndex
    return this.start(
      'write',
      options,
      index === undefined
        ? (sqe) => prepWrite(sqe, fd, addressOf(buffer, length), length, offset)
        : (sqe) => prepWriteFixed(sqe, fd, addressOf(buffer, length), length, offset, index),
      { memory: buffer },
    )
  }

  /** Reads into several buffers, one after the other. Resolves to the bytes read in all. Linux 5.1. @see readv(2) */
  readv(fd: Fd, buffers: readonly Bytes[], options: TransferOptions = NO_OPTIONS): Promise<number> {
    checkOptions(options)
    const { offset = -1 } = options
    const vectors = new Vectors(buffers)
    const { block, bounce } = this.#describe(vectors, false)
    const finish = (res: number): number => {
      vectors.scatter(bounce!, res)
      return res
    }
    const { address } = block
    return this.start('readv', options, (sqe) => prepReadv(sqe, fd, address, vectors.count, offset), {
      memory: vectors,
      block,
      block2: bounce,
      finish: bounce === null ? undefined : finish,
    })
  }

  /** Writes several buffers, one after the other. Resolves to the bytes written in all. Linux 5.1. @see writev(2) */
  writev(fd: Fd, buffers: readonly Bytes[], options: TransferOptions = NO_OPTIONS): Promise<number> {
    checkOptions(options)
    const { offset = -1 } = options
    const vectors = new Vectors(buffers)
    const { block, bounce } = this.#describe(vectors, true)
    const { address } = block
    return this.start('writev', options, (sqe) => prepWritev(sqe, fd, address, vectors.count, offset), {
      memory: vectors,
      block,
      block2: bounce,
    })
  }

  /** Makes a file's data and metadata durable. Linux 5.1. @see fsync(2) */
  fsync(fd: Fd, options: OperationOptions = NO_OPTIONS): Promise<number> {
    return this.start('fsync', options, (sqe) => prepFsync(sqe, fd, 0))
  }

  /** Makes a file's data durable, and the metadata needed to read it back. Linux 5.1. @see fdatasync(2) */
  fdatasync(fd: Fd, options: OperationOptions = NO_OPTIONS): Promise<number> {
    return this.start('fdatasync', options, (sqe) => prepFsync(sqe, fd, IORING_FSYNC_DATASYNC))
  }

  /** Starts or awaits write-back of a range. Linux 5.2. @see sync_file_range(2) */
  syncFileRange(
    fd: Fd,
    offset: number,
    length: number,
    flags: number,
    options: OperationOptions = NO_OPTIONS,
  ): Promise<number> {
    return this.start('sync_file_range', options, (sqe) => prepSyncFileRange(sqe, fd, length, offset, flags))
  }

  /** Sets a file's length. Linux 6.9. @see ftruncate(2) */
  ftruncate(fd: Fd, length: number | bigint, options: OperationOptions = NO_OPTIONS): Promise<number> {
    return this.start('ftruncate', options, (sqe) => prepFtruncate(sqe, fd, length))
  }

  /** Allocates, punches or shifts a range of a file. Linux 5.6. @see fallocate(2) */
  fallocate(
    fd: Fd,
    mode: number,
    offset: number | bigint,
    length: number | bigint,
    options: OperationOptions = NO_OPTIONS,
  ): Promise<number> {
    return this.start('fallocate', options, (sqe) => prepFallocate(sqe, fd, mode, offset, length))
  }

  /** Tells the kernel how a range will be used. Linux 5.6. @see posix_fadvise(2) */
  fadvise(
    fd: Fd,
    offset: number,
    length: number,
    advice: number,
    options: OperationOptions = NO_OPTIONS,
  ): Promise<number> {
    return this.start('fadvise', options, (sqe) => prepFadvise64(sqe, fd, offset, length, advice))
  }

  /**
   * Moves data between a pipe and another descriptor, without a copy through user space. Offsets of -1 are the
   * descriptor's own position. Linux 5.7.
   *
   * @see splice(2)
   */
  splice(
    fdIn: Fd,
    offsetIn: number,
    fdOut: Fd,
    offsetOut: number,
    length: number,
    flags = 0,
    options: OperationOptions = NO_OPTIONS,
  ): Promise<number> {
    return this.start('splice', options, (sqe) =>
      prepSplice(sqe, fdIn, offsetIn, fdOut, offsetOut, length, flags),
    )
  }

  /** Duplicates a pipe's content into another pipe without consuming it. Linux 5.8. @see tee(2) */
  tee(
    fdIn: Fd,
    fdOut: Fd,
    length: number,
    flags = 0,
    options: OperationOptions = NO_OPTIONS,
  ): Promise<number> {
    return this.start('tee', options, (sqe) => prepTee(sqe, fdIn, fdOut, length, flags))
  }

  #readByCopy(
    fd: Fd,
    buffer: Bytes,
    length: number,
    offset: number | bigint,
    options: TransferOptions,
  ): Promise<number> {
    refuseRegistered(options)
    const target = asBytes(buffer)
    const block = this.driver.arena.alloc(length)
    return this.start('read', options, (sqe) => prepRead(sqe, fd, block.address, length, offset), {
      block,
      finish: (res) => {
        target.set(block.bytes.subarray(0, res))
        return res
      },
    })
  }

  #writeByCopy(
    fd: Fd,
    buffer: Bytes,
    length: number,
    offset: number | bigint,
    options: TransferOptions,
  ): Promise<number> {
    refuseRegistered(options)
    const data = asBytes(buffer)
    const block = this.driver.arena.alloc(length)
    block.bytes.set(length === data.length ? data : data.subarray(0, length))
    return this.start('write', options, (sqe) => prepWrite(sqe, fd, block.address, length, offset), { block })
  }

  /** The iovec array of `vectors`, and in a worker the block that stands for all of them. */
  #describe(vectors: Vectors, fill: boolean): { block: Block; bounce: Block | null } {
    const { arena } = this.driver
    const block = arena.alloc(Math.max(vectors.count, 1) * IOVEC.size)
    const bounce = this.copies ? arena.allocBeside(block, vectors.total) : null
    try {
      if (bounce !== null && fill) vectors.gather(bounce)
    } catch (error) {
      arena.free(block)
      this.free(bounce)
      throw error
    }
    vectors.describe(block, 0, bounce)
    return { block, bounce }
  }
}

/** Whether `options` has nothing but `offset` and `length`. */
function isPlain(options: TransferOptions): boolean {
  if (options === NO_OPTIONS) return true
  return (
    options.signal === undefined &&
    options.timeoutMs === undefined &&
    options.bufferIndex === undefined &&
    !options.fixedFile &&
    !options.async &&
    !options.drain &&
    options.personality === undefined
  )
}

function refuseRegistered(options: TransferOptions): void {
  if (options.bufferIndex === undefined) return
  const wanted = "undefined for a buffer that is not a pool's own, in a worker without zeroCopy"
  throw invalidType('options.bufferIndex', wanted, options.bufferIndex)
}
