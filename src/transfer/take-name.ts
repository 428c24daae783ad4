// Gives what was made under a temporary name the name that it is to have.

import { link, lstat, rename, unlink } from 'node:fs/promises'

/** Errors of link(2) on file systems without hard links: vfat, some in user space. */
const NO_LINKS: ReadonlySet<string | undefined> = new Set(['EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS'])

/** A rename that replaces nothing. @returns False when something has the name already. */
export async function takeName(temporary: string | Buffer, target: string | Buffer): Promise<boolean> {
  try {
    await link(temporary, target)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    if (!NO_LINKS.has(code)) throw error
    // What takes the name right now would be replaced: without links there is no way to prevent that.
    if ((await lstat(target).catch(() => null)) !== null) return false
    await rename(temporary, target)
    return true
  }
  await unlink(temporary)
  return true
}
