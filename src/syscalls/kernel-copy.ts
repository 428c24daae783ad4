// Memory copies made by the kernel. When the program itself loads from a mapping whose file was truncated, it
// gets SIGBUS; when the kernel does, the call returns a short count or EFAULT.

import { closeSync } from 'node:fs'
import { O_CLOEXEC, O_NONBLOCK } from './abi/file-flags.js'
import { systemError } from './errno.js'
import { EFAULT } from './errno-values.js'
import { pipe2, processVmReadv, read, write } from './libc.js'
import { addressOf } from './memory.js'
import type { Address } from './numbers.js'

/** What a pipe holds, unless its user has many of them (pipe-user-pages-soft): then it is a page or two. */
const PIPE_BYTES = 65536

/** Two iovecs: what is written, what is read. */
const vectors = new BigUint64Array(4)
let vectorsAt = 0
let refused = false

/**
 * Copies `length` bytes within this process. Either side may be any memory.
 *
 * @returns The bytes copied, fewer than `length` when what follows cannot be loaded or stored; -EFAULT when the first
 *   cannot.
 * @see process_vm_readv(2)
 */
export function kernelCopy(from: Address, to: Address, length: number): number {
  if (length === 0) return 0
  if (refused) return copyThroughPipe(from, to, length)
  if (vectorsAt === 0) vectorsAt = addressOf(vectors)
  vectors[0] = BigInt(to)
  vectors[1] = vectors[3] = BigInt(length)
  vectors[2] = BigInt(from)
  const result = processVmReadv(process.pid, vectorsAt, 1, vectorsAt + 16, 1)
  if (result >= 0 || result === EFAULT) return result
  // ENOSYS and EPERM: a kernel without CONFIG_CROSS_MEMORY_ATTACH, or a seccomp filter.
  refused = true
  return copyThroughPipe(from, to, length)
}

/** @internal Slower, and allowed wherever a program runs at all. */
export function copyThroughPipe(from: Address, to: Address, length: number): number {
  const ends = new Int32Array(2)
  // Non-blocking: a write of more than the pipe holds must be short. Nobody else reads from it, so it would wait
  // for ever.
  const opened = pipe2(addressOf(ends), O_CLOEXEC | O_NONBLOCK)
  if (opened < 0) throw systemError(opened, 'pipe2')
  const [readEnd, writeEnd] = ends as unknown as [number, number]
  try {
    let done = 0
    while (done < length) {
      // The pipe is empty, and the smallest holds a page: there is room for some.
      const written = write(writeEnd, from + done, Math.min(PIPE_BYTES, length - done))
      if (written < 0 && written !== EFAULT) throw systemError(written, 'write')
      if (written <= 0) return done > 0 ? done : EFAULT
      for (let taken = 0; taken < written; ) {
        const count = read(readEnd, to + done, written - taken)
        if (count <= 0) return done > 0 ? done : EFAULT
        taken += count
        done += count
      }
    }
    return done
  } finally {
    closeSync(readEnd)
    closeSync(writeEnd)
  }
}
