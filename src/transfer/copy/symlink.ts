// Copies of symlinks as they are.

import { readlink, symlink } from 'node:fs/promises'
import { TransferError } from '../transfer-errors.js'
import { applyAttributes, type Preserved } from './attributes.js'
import { bytesOf, textOf } from './latin1-paths.js'
import { placeBeside } from './placing.js'
import { identityOf, statIfPresent } from './stat.js'

/**
 * Copies a symlink by itself. Both paths are latin1 text.
 *
 * @returns False when something is there that is not to be replaced.
 * @throws As `refuseOwnTarget` and `placeBeside`; SystemError `readlink`, `symlink`.
 */
export async function copyNamedSymlink(
  source: string,
  target: string,
  { preserved, overwrite }: { readonly preserved: Preserved; readonly overwrite: boolean },
): Promise<boolean> {
  await refuseOwnTarget(source, target)
  return placeBeside(target, overwrite, await symlinkMaker(source, preserved))
}

/**
 * Refuses to replace the file that the symlink `source` leads to by a copy of the symlink.
 *
 * @throws TransferError `ERR_TARGET_IS_SOURCE`.
 */
export async function refuseOwnTarget(source: string, target: string): Promise<void> {
  const old = await statIfPresent(bytesOf(target), false)
  if (old === null) return
  const file = await statIfPresent(bytesOf(source), true).catch(() => null)
  if (file === null || identityOf(file) !== identityOf(old)) return
  const text = 'The target is what the symlink leads to'
  throw new TransferError('ERR_TARGET_IS_SOURCE', text, { path: textOf(target) })
}

/** Reads a symlink. @returns What makes its copy at a path, with those of its attributes that are to be preserved. */
export async function symlinkMaker(
  source: string,
  preserved: Preserved,
): Promise<(path: string) => Promise<void>> {
  const content = await readlink(bytesOf(source), { encoding: 'buffer' })
  const stat = await statIfPresent(bytesOf(source), false)
  return async (path) => {
    await symlink(content as unknown as string, bytesOf(path))
    if (stat !== null) {
      applyAttributes({ source, target: path, stat, preserved, mode: null, isSymlink: true })
    }
  }
}
