// The functions that io_uring has no operation for: they are Node's own. docs/guides/files.md lists them.

import type { PathLike } from 'node:fs'
import nodeFs from 'node:fs/promises'
import { modeForNode } from './arguments.js'

export const {
  access,
  chown,
  constants,
  copyFile,
  cp,
  lchmod,
  lchown,
  lutimes,
  mkdtemp,
  opendir,
  readdir,
  readlink,
  realpath,
  statfs,
  utimes,
  watch,
} = nodeFs

/** Changes the permissions of a file. @see chmod(2) */
export async function chmod(path: PathLike, mode: string | number): Promise<void> {
  return nodeFs.chmod(path, modeForNode(mode))
}

/** What a Node from 22 on has, and a Node from 24 on: undefined in an older one, as it is there. */
interface Newer {
  readonly glob?: (pattern: string | readonly string[], options?: object) => AsyncIterableIterator<string>
  readonly mkdtempDisposable?: (
    prefix: string,
    options?: object,
  ) => Promise<{ path: string; remove: () => Promise<void> } & AsyncDisposable>
}

export const { glob, mkdtempDisposable } = nodeFs as Newer
