// The open file under a basis: its size and identity at the start, and whether it is still the same at the end.

import type { BigIntStats } from 'node:fs'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { Fd } from '../ring/index.js'
import { TransferError } from './transfer-errors.js'

/** @internal */
export class BasisFile {
  readonly path: string
  readonly fd: Fd
  /** Bytes when it was opened. What is appended later does not belong to the basis. */
  readonly size: number
  readonly dev: bigint
  readonly ino: bigint
  readonly #modifiedNs: bigint
  readonly #handle: FileHandle
  #closing: Promise<void> | null = null

  private constructor(path: string, handle: FileHandle, { size, dev, ino, mtimeNs }: BigIntStats) {
    this.path = path
    this.fd = handle.fd
    this.size = Number(size)
    this.dev = dev
    this.ino = ino
    this.#modifiedNs = mtimeNs
    this.#handle = handle
  }

  static async open(path: string): Promise<BasisFile> {
    // O_NONBLOCK: a FIFO without a writer would keep the open waiting, and with it one thread of the pool.
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const stats = await handle.stat({ bigint: true })
      if (stats.isDirectory()) throw notRegular('EISDIR', -21, 'illegal operation on a directory', path)
      if (!stats.isFile()) throw notRegular('EINVAL', -22, 'not a regular file', path)
      return new BasisFile(path, handle, stats)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  get closed(): boolean {
    return this.#closing !== null
  }

  /** Throws unless the range lies in the file as it was when it was opened. */
  checkRange(offset: number, length: number): void {
    if (offset >= 0 && length >= 0 && offset + length <= this.size) return
    const range = `${length} bytes at ${offset} of ${this.size}`
    throw new TransferError('ERR_BASIS_RANGE', `requested range extends past end of file: ${range}`, {
      path: this.path,
      offset,
    })
  }

  /** The error for a file that ends earlier than when it was opened. */
  shrunk(offset: number): TransferError {
    const text = `The basis shrank while it was read: of its ${this.size} bytes those from ${offset} on are gone`
    return new TransferError('ERR_BASIS_CHANGED', text, { path: this.path, offset })
  }

  /**
   * Throws when the file has shrunk or was written to since it was opened. Reads do not show this: the last
   * page of a truncated mapping reads as zeros, and a file that was rewritten in the middle is neither old
   * nor new.
   */
  async checkUnchanged(): Promise<void> {
    const { size, mtimeNs } = await this.#handle.stat({ bigint: true })
    if (Number(size) < this.size) throw this.shrunk(Number(size))
    if (mtimeNs === this.#modifiedNs) return
    throw new TransferError('ERR_BASIS_CHANGED', 'The basis was changed while it was read', {
      path: this.path,
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#handle.close()
    return this.#closing
  }
}

function notRegular(code: string, errno: number, text: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${text}, open '${path}'`), { code, errno, syscall: 'open', path })
}
