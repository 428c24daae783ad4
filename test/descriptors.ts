// The descriptors that this process has, as /proc tells them.

import { readdirSync, readlinkSync } from 'node:fs'

const FOLDER = '/proc/self/fd'

/** How many there are, with the one that this very look takes. */
export function descriptorCount(): number {
  return readdirSync(FOLDER).length
}

/** Those whose link in /proc reads `target`: a path, or a name such as `anon_inode:[io_uring]`. */
export function descriptorsOf(target: string): number[] {
  return readdirSync(FOLDER)
    .map(Number)
    .filter((fd) => {
      try {
        return readlinkSync(`${FOLDER}/${fd}`) === target
      } catch {
        return false // The one of the look is closed by now.
      }
    })
}
