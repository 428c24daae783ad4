// `uring/fs`: node:fs/promises over io_uring. Same names, arguments, results and errors; where there is no ring, or the
// kernel has no operation for a call, Node's own function serves.

import {
  access,
  chmod,
  chown,
  constants,
  copyFile,
  cp,
  glob,
  lchmod,
  lchown,
  lutimes,
  mkdtemp,
  mkdtempDisposable,
  opendir,
  readdir,
  readlink,
  realpath,
  statfs,
  utimes,
  watch,
} from './delegated.js'
import { link, lstat, mkdir, rename, rm, rmdir, stat, symlink, truncate, unlink } from './names.js'
import { open } from './open.js'
import { readFile } from './read-file.js'
import { readFiles } from './read-files.js'
import { appendFile, writeFile } from './write-file.js'

export type { ResolveName } from './arguments.js'
export * from './delegated.js'
export {
  type FileData,
  FileHandle,
  type HandleReadOptions,
  type HandleWriteOptions,
  type ReadOptions,
  type WriteOptions,
} from './file-handle.js'
export type {
  HandleReadStreamOptions,
  HandleWriteStreamOptions,
  WebStreamOptions,
} from './file-streams.js'
export * from './names.js'
export { type OpenExtras, open } from './open.js'
export { type ReadFileOptions, readFile } from './read-file.js'
export { type ReadFileResult, type ReadFilesOptions, readFiles } from './read-files.js'
export { appendFile, type WriteFileOptions, writeFile } from './write-file.js'

/** Everything as one object, for programs that take an implementation of fs/promises: `{ fs: { promises } }`. */
const promises = {
  access,
  appendFile,
  chmod,
  chown,
  constants,
  copyFile,
  cp,
  lchmod,
  lchown,
  link,
  lstat,
  lutimes,
  mkdir,
  mkdtemp,
  open,
  opendir,
  readdir,
  readFile,
  readFiles,
  readlink,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  statfs,
  symlink,
  truncate,
  unlink,
  utimes,
  watch,
  writeFile,
  // A member that the running Node lacks is missing here too, for those who look with `in`.
  ...(glob && { glob }),
  ...(mkdtempDisposable && { mkdtempDisposable }),
}

export default promises
