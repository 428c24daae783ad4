// Puts what is made in the place of what is there: made under a temporary name beside it, renamed when it is complete.

import fs from 'node:fs'
import { rename, unlink } from 'node:fs/promises'
import { systemError } from '../../ring/index.js'
import { EACCES, EISDIR } from '../../syscalls/errno-values.js'
import { takeName } from '../take-name.js'
import { beginUnfinished, endUnfinished } from '../unfinished.js'
import { bytesOf, textOf } from './latin1-paths.js'
import { temporaryBeside } from './staging.js'
import { isDirectory, isRegular, statIfPresent } from './stat.js'

/**
 * @param target - As latin1 text.
 * @param make - Makes it under the name that it gets.
 * @returns False when something is there that is not to be replaced.
 * @throws SystemError EISDIR for a directory in the way, EACCES for a file that may not be written.
 */
export async function placeBeside(
  target: string,
  overwrite: boolean,
  make: (path: string) => Promise<void>,
): Promise<boolean> {
  const old = await statIfPresent(bytesOf(target), false)
  if (old !== null) {
    if (!overwrite) return false
    if (isDirectory(old)) throw systemError(EISDIR, 'open', { path: textOf(target) })
    if (isRegular(old)) await checkWritable(target)
  }
  const temporary = temporaryBeside(target)
  let isPlaced = true
  beginUnfinished(temporary)
  try {
    await make(temporary)
    if (overwrite) await rename(bytesOf(temporary), bytesOf(target))
    else isPlaced = await takeName(bytesOf(temporary), bytesOf(target))
    // A rename between two names of one file leaves both.
    if (!isPlaced || (old !== null && old.nlink > 1)) await unlink(bytesOf(temporary)).catch(() => {})
  } catch (error) {
    await unlink(bytesOf(temporary)).catch(() => {})
    throw error
  } finally {
    endUnfinished(temporary)
  }
  return isPlaced
}

/**
 * A rename needs no permission on the file that it replaces, but a read-only file is not meant to be
 * replaced.
 */
async function checkWritable(target: string): Promise<void> {
  await fs.promises.access(bytesOf(target), fs.constants.W_OK).catch((error: NodeJS.ErrnoException) => {
    throw systemError(error.errno ?? EACCES, 'open', { path: textOf(target) })
  })
}
