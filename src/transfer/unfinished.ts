// Tracks files and trees that are being built under temporary names, and removes them when the process exits
// in mid-work.

import fs from 'node:fs'

/** Paths as latin1 text: one character for each byte. */
const paths = new Set<string>()

/** How long an exit waits for what is about to be made. */
const LATE_MS = 50
const pause = new Int32Array(new SharedArrayBuffer(4))

/** @param path - What is about to be made, as latin1 text: one character for each byte. */
export function beginUnfinished(path: string): void {
  // Added after the listener that tears down the rings, which write nothing more when this one runs.
  if (paths.size === 0) process.on('exit', removeAll)
  paths.add(path)
}

/** Forgets a path that has been renamed or removed. @returns False when it was not tracked. */
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
  let missing = [...paths].filter(isMissing)
  // Without a ring a thread of libuv's pool may be about to make it: they run on while the process exits.
  const deadline = performance.now() + LATE_MS
  while (missing.length > 0 && performance.now() < deadline) {
    Atomics.wait(pause, 0, 0, 1)
    missing = missing.filter(isMissing)
  }
}

/** Removes what has that name. @returns Whether there was nothing. */
function isMissing(path: string): boolean {
  const bytes = Buffer.from(path, 'latin1')
  try {
    fs.unlinkSync(bytes)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return true
    if (code === 'EISDIR' || code === 'EPERM') removeTree(bytes.toString())
  }
  return false
}

function removeTree(path: string): void {
  try {
    fs.rmSync(path, { recursive: true, force: true })
  } catch {
    // The process ends, and there is nobody to tell.
  }
}
