// Extended attributes of a file, ACLs and capabilities among them, taken over by its copy.

import fs from 'node:fs'
import { systemError } from '../../ring/index.js'
import { EACCES, ENODATA, EOPNOTSUPP, EPERM, ERANGE } from '../../syscalls/errno-values.js'
import { chmod, listXattrs, lsetxattr, pathBytes, readXattr } from '../../syscalls/file-attributes.js'
import { textOf } from './latin1-paths.js'

const PERMISSION_BITS = 0o7777
const OWNER_WRITES = 0o200
const NOTHING = new Uint8Array(0)

/** Attributes with this prefix belong to the user, and are never left out in silence. */
const USER = 'user.'

/**
 * Copies the extended attributes. Those of the system that the target's file system or the caller's rights do
 * not allow are left out, as by `cp -a`.
 *
 * @param source - Path of the source as latin1 text, one character for each byte. So is `target`.
 * @param follows - The source may be named by a symlink, which is followed. The target's never is.
 * @throws SystemError `listxattr`, `getxattr` or `setxattr`.
 */
export function copyXattrs(source: string, target: string, follows: boolean): void {
  const from = pathBytes(source)
  const names = namesOf(from, source, follows)
  if (names.length === 0) return
  const to = pathBytes(target)
  for (const name of names) {
    const key = pathBytes(name)
    const value = sized(
      () => readXattr(from, key, NOTHING, follows),
      (area) => readXattr(from, key, area, follows),
    )
    // Removed in the meantime.
    if (value === ENODATA) continue
    if (typeof value === 'number') {
      if (!name.startsWith(USER)) continue
      throw failure(value, 'getxattr', source)
    }
    let result = lsetxattr(to, key, value)
    // A user attribute needs permission to write, which a read-only copy does not give any more.
    if (result === EACCES) result = whileWritable(to, () => lsetxattr(to, key, value))
    if (result >= 0) continue
    if ((result === EPERM || result === EOPNOTSUPP) && !name.startsWith(USER)) continue
    throw failure(result, 'setxattr', target)
  }
}

/** Whether a directory has an ACL that new files in it inherit: their permissions then do not follow from the umask. */
export function hasDefaultAcl(folder: string): boolean {
  return readXattr(pathBytes(folder), pathBytes('system.posix_acl_default'), NOTHING, false) > 0
}

function namesOf(path: Uint8Array, latin1: string, follows: boolean): string[] {
  const list = sized(
    () => listXattrs(path, NOTHING, follows),
    (area) => listXattrs(path, area, follows),
  )
  if (list === EOPNOTSUPP) return []
  if (typeof list === 'number') throw failure(list, 'listxattr', latin1)
  return Buffer.from(list).toString('latin1').split('\0').slice(0, -1)
}

function whileWritable(path: Buffer, set: () => number): number {
  const { mode } = fs.lstatSync(path.subarray(0, -1))
  const result = chmod(path, (mode & PERMISSION_BITS) | OWNER_WRITES)
  if (result < 0) return result
  try {
    return set()
  } finally {
    chmod(path, mode & PERMISSION_BITS)
  }
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
  return systemError(errno, syscall, { path: textOf(latin1) })
}
