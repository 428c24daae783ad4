// readFile into the caller's memory, which Node supports from 24 on.

import type { Stats } from 'node:fs'
import { fileTooLarge, wrongType, wrongValue } from './node-errors.js'

/**
 * Memory for the content of a file, or a function that returns it for the size of the file (0 when that is
 * unknown).
 */
export type ReadTarget = ArrayBufferView | ((size: number) => ArrayBufferView)

/** The part of a FileHandle that is needed. */
interface Readable {
  stat(): Promise<Stats>
  read(buffer: Uint8Array, offset: number, length: number): Promise<{ readonly bytesRead: number }>
}

const MAX_FILE_BYTES = 2 ** 31 - 1
const CHUNK_BYTES = 2 ** 19

const EXPECTED = 'an instance of Buffer, TypedArray, or DataView'

/** Throws unless `value` is such a target. */
export function requireTarget(value: unknown): asserts value is ReadTarget {
  if (typeof value === 'function' || ArrayBuffer.isView(value)) return
  throw wrongType('options.buffer', `of type function or ${EXPECTED}`, value)
}

/** Reads from the current position to the end of the file. @param check - Throws when the read was aborted. */
export async function readInto(
  file: Readable,
  target: ReadTarget,
  encoding: BufferEncoding | undefined,
  check: () => void,
): Promise<Buffer | string> {
  check()
  const stats = await file.stat()
  check()
  const size = stats.isFile() ? stats.size : 0
  if (size > MAX_FILE_BYTES) throw fileTooLarge(size)
  const view = typeof target === 'function' ? target(size) : target
  if (!ArrayBuffer.isView(view)) throw wrongType('options.buffer()', EXPECTED, view)
  const name = `options.buffer${typeof target === 'function' ? '()' : ''}.byteLength`
  const memory = Buffer.from(view.buffer, view.byteOffset, view.byteLength)
  if (size > memory.length) {
    throw wrongValue(name, memory.length, `is smaller than the file size of ${size} bytes`)
  }
  let total = 0
  while (total < memory.length) {
    check()
    const length = size === 0 ? memory.length - total : Math.min(size - total, CHUNK_BYTES)
    const { bytesRead } = await file.read(memory, total, length)
    total += bytesRead
    if (bytesRead === 0 || total === size) break
  }
  // The memory is full, and the size was unknown: try to read one more byte.
  if (size === 0 && total === memory.length) {
    check()
    const { bytesRead } = await file.read(Buffer.allocUnsafeSlow(1), 0, 1)
    if (bytesRead !== 0) throw wrongValue(name, memory.length, 'is too small to contain the entire file')
  }
  const content = memory.subarray(0, total)
  return encoding === undefined ? content : content.toString(encoding)
}
