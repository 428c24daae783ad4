// Sends files over node:net: reads them in blocks and writes one block after the other.

import { close, fstat, open, read } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { promisify } from 'node:util'
import { AbortError } from '../../runtime/index.js'
import { invalidType } from '../../syscalls/argument-errors.js'
import type { FileRange, FileSource } from '../socket.js'
import type { NodeWriter } from './node-writer.js'

const BLOCK_BYTES = 262144

interface Connection {
  destroy(error?: Error): void
}

/** See `Socket.sendFile`. */
export async function sendFileThroughNode(
  socket: Connection,
  writer: NodeWriter,
  file: FileSource,
  range: FileRange,
): Promise<number> {
  const { signal } = range
  if (signal?.aborted) throw new AbortError(signal.reason)
  const { fd, isOurs } = openSource(file)
  const onAbort = (): void => socket.destroy(new AbortError(signal!.reason))
  signal?.addEventListener('abort', onAbort, { once: true })
  let sent = 0
  let failure: { readonly error: unknown } | null = null
  try {
    // Queued while the file is still being opened, to keep its place behind what was written before.
    await writer.run(async () => {
      let descriptor: number
      try {
        descriptor = await fd
      } catch (error) {
        // Nothing has been sent, so the connection can still be used.
        failure = { error }
        return
      }
      try {
        sent = await sendRange(writer, descriptor, range)
      } catch (error) {
        // The peer may expect the bytes that are missing, and must not take later data for them.
        socket.destroy(error as Error)
        throw error
      }
    })
    if (failure !== null) throw (failure as { readonly error: unknown }).error
    return sent
  } finally {
    signal?.removeEventListener('abort', onAbort)
    if (isOurs) await fd.then((descriptor) => promisify(close)(descriptor)).catch(() => {})
  }
}

function openSource(file: FileSource): { fd: Promise<number>; isOurs: boolean } {
  if (typeof file === 'number') return { fd: Promise.resolve(file), isOurs: false }
  if (typeof file === 'string' || file instanceof URL) {
    const fd = promisify(open)(file, 'r')
    fd.catch(() => {})
    return { fd, isOurs: true }
  }
  if (typeof (file as FileHandle | null)?.fd !== 'number') {
    throw invalidType('file', 'a path, a URL, a descriptor or a FileHandle', file)
  }
  return { fd: Promise.resolve(file.fd), isOurs: false }
}

async function sendRange(writer: NodeWriter, fd: number, range: FileRange): Promise<number> {
  const { size } = await promisify(fstat)(fd)
  let { offset = 0, length: left = Number.POSITIVE_INFINITY } = range
  // What has no size (a pipe, /proc) is read to its end from its current position: a pipe takes no offset.
  const isFromHere = size === 0 && offset === 0
  if (size > 0) left = Math.min(left, Math.max(0, size - offset))
  let sent = 0
  while (left > 0) {
    // node:net keeps a reference to what it could not send at once, so each block has memory of its own.
    const block = Buffer.allocUnsafeSlow(Math.min(BLOCK_BYTES, left))
    const { bytesRead } = await promisify(read)(fd, block, 0, block.length, isFromHere ? null : offset)
    if (bytesRead === 0) break
    offset += bytesRead
    left -= bytesRead
    await writer.sendForTask(block.subarray(0, bytesRead))
    sent += bytesRead
  }
  return sent
}
