// Extended attributes of a file, ACLs and capabilities among them, taken over by its copy.

import { systemError } from '../ring/index.js'
import { lgetxattr, llistxattr, lsetxattr, pathBytes } from '../syscalls/file-attributes.js'

const EPERM = -1
const ENODATA = -61
const ERANGE = -34
const EOPNOTSUPP = -95
const NOTHING = new Uint8Array(0)

/** Attributes of this kind belong to the user, and are never left out in silence. */
const USER = 'user.'

/**
 * Copies every attribute that may be copied. Those of the system that the target's file system or the caller's rights do
 * not allow stay behind, as with `cp -a`.
 *
 * @param source - Paths, a character a byte; symlinks are not followed.
 * @throws SystemError `listxattr`, `getxattr` or `setxattr`.
 */
export function copyXattrs(source: string, target: string): void {
  const from = pathBytes(source)
  const names = namesOf(from, source)
  if (names.length === 0) return
  const to = pathBytes(target)
  for (const name of names) {
    const key = pathBytes(name)
    const value = sized(
      () => lgetxattr(from, key, NOTHING),
      (area) => lgetxattr(from, key, area),
    )
    // Removed in the meantime.
    if (value === ENODATA) continue
    if (typeof value === 'number') {
      if (!name.startsWith(USER)) continue
      throw failure(value, 'getxattr', source)
    }
    const result = lsetxattr(to, key, value)
    if (result >= 0) continue
    if ((result === EPERM || result === EOPNOTSUPP) && !name.startsWith(USER)) continue
    throw failure(result, 'setxattr', target)
  }
}

/** Whether a directory has an ACL that new files in it inherit: their permissions then do not follow from the umask. */
export function hasDefaultAcl(folder: string): boolean {
  return lgetxattr(pathBytes(folder), pathBytes('system.posix_acl_default'), NOTHING) > 0
}

function namesOf(path: Uint8Array, latin1: string): string[] {
  const list = sized(
    () => llistxattr(path, NOTHING),
    (area) => llistxattr(path, area),
  )
  if (list === EOPNOTSUPP) return []
  if (typeof list === 'number') throw failure(list, 'listxattr', latin1)
  return Buffer.from(list).toString('latin1').split('\0').slice(0, -1)
}

/** What `fetch` fills in, of the length that `measure` says; a negated errno when either fails. */
function sized(measure: () => number, fetch: (area: Uint8Array) => number): Uint8Array | number {
  for (;;) {
    const length = measure()
    if (length <= 0) return length === 0 ? NOTHING : length
    const area = new Uint8Array(length)
    const result = fetch(area)
    // It has grown meanwhile.
    if (result === ERANGE) continue
    return result < 0 ? result : area.subarray(0, result)
  }
}

function failure(errno: number, syscall: string, latin1: string): Error {
  return systemError(errno, syscall, { path: Buffer.from(latin1, 'latin1').toString() })
}
