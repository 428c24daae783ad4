// The functions that io_uring has no operation for: they are Node's own. docs/guides/files.md lists them.

import nodeFs from 'node:fs/promises'

export const {
  access,
  chmod,
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

/** What a Node from 22 on has, and a Node from 24 on: undefined in an older one, as it is there. */
interface Newer {
  readonly glob?: (pattern: string | readonly string[], options?: object) => AsyncIterableIterator<string>
  readonly mkdtempDisposable?: (
    prefix: string,
    options?: object,
  ) => Promise<{ path: string; remove: () => Promise<void> } & AsyncDisposable>
}

export const { glob, mkdtempDisposable } = nodeFs as Newer
