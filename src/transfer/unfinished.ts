// Files and trees that are being built under a name of their own: when the process exits in mid-work, they are removed.

import fs from 'node:fs'

/** Paths, a character a byte. */
const paths = new Set<string>()

/** @param path - What is about to be made, a character a byte. */
export function beginUnfinished(path: string): void {
  // Added last, after the listener that takes the rings down: these write no more then.
  if (paths.size === 0) process.on('exit', removeAll)
  paths.add(path)
}

/** It has got its name, or is removed. @returns False when it was so before. */
export function endUnfinished(path: string): boolean {
  const was = paths.delete(path)
  if (was && paths.size === 0) process.off('exit', removeAll)
  return was
}

/** Whether it is still to be removed. */
export function isUnfinished(path: string): boolean {
  return paths.has(path)
}

function removeAll(): void {
  for (const path of paths) {
    try {
      remove(path)
    } catch {
      // The process ends, and there is nobody to tell.
    }
  }
}

function remove(path: string): void {
  const bytes = Buffer.from(path, 'latin1')
  try {
    fs.unlinkSync(bytes)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EISDIR' && code !== 'EPERM') return
    fs.rmSync(bytes.toString(), { recursive: true, force: true })
  }
}
