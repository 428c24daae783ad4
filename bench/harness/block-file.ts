// The file that suites read blocks of: each block begins with its own number, so that a read can be checked.

import { closeSync, constants, fsyncSync, openSync, writeSync } from 'node:fs'

export const BLOCK_BYTES = 4096

/** Writes the file and has it written back: O_DIRECT finds no dirty page. */
export function makeBlockFile(file: string, blocks: number): void {
  const chunkBlocks = 1024
  const chunk = new Uint8Array(chunkBlocks * BLOCK_BYTES).fill(0xa5)
  const words = new Uint32Array(chunk.buffer)
  const fd = openSync(file, 'w')
  try {
    for (let first = 0; first < blocks; first += chunkBlocks) {
      const count = Math.min(chunkBlocks, blocks - first)
      for (let index = 0; index < count; index++) words[(index * BLOCK_BYTES) / 4] = first + index
      const end = count * BLOCK_BYTES
      for (let done = 0; done < end; ) done += writeSync(fd, chunk, done, end - done)
    }
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Why the file cannot be opened with O_DIRECT, or null. */
export function directRefusal(file: string): string | null {
  try {
    closeSync(openSync(file, constants.O_RDONLY | constants.O_DIRECT))
    return null
  } catch (error) {
    return `the temporary folder's file system refuses O_DIRECT (${(error as NodeJS.ErrnoException).code})`
  }
}
