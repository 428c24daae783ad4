// The functions that io_uring has no operation for: they are Node's own. docs/guides/files.md lists them.

import type { PathLike } from 'node:fs'
import nodeFs from 'node:fs/promises'
import { modeForNode, refuseOwnOptions } from './arguments.js'

export const { access, chown, constants, copyFile, lchmod, lchown, lutimes, utimes } = nodeFs

// biome-ignore lint/suspicious/noExplicitAny: functions of every kind
type Anything = any

/**
 * Node's own function, except that it rejects when an argument sets `resolve` or `durable`, which Node would
 * drop in silence (TypeError).
 */
function withoutLimit<F extends (...args: Anything[]) => Promise<unknown>>(call: F): F {
  const checked = async (...args: Anything[]): Promise<unknown> => {
    args.forEach(refuseOwnOptions)
    return call(...args)
  }
  return checked as F
}

/** As `withoutLimit`, for a function that returns an async iterable: it throws at once. */
function iterationWithoutLimit<F extends (...args: Anything[]) => AsyncIterable<unknown>>(call: F): F {
  const checked = (...args: Anything[]): AsyncIterable<unknown> => {
    args.forEach(refuseOwnOptions)
    return call(...args)
  }
  return checked as F
}

export const cp = withoutLimit(nodeFs.cp)
export const mkdtemp = withoutLimit(nodeFs.mkdtemp)
export const opendir = withoutLimit(nodeFs.opendir)
export const readdir = withoutLimit(nodeFs.readdir)
export const readlink = withoutLimit(nodeFs.readlink)
export const realpath = withoutLimit(nodeFs.realpath)
export const statfs = withoutLimit(nodeFs.statfs)
export const watch = iterationWithoutLimit(nodeFs.watch)

/** Changes the permissions of a file. @see chmod(2) */
export async function chmod(path: PathLike, mode: string | number): Promise<void> {
  return nodeFs.chmod(path, modeForNode(mode))
}

/**
 * Functions that only newer Nodes have: `glob` from 22 on, `mkdtempDisposable` from 24 on. Elsewhere they are
 * undefined here too.
 */
interface Newer {
  readonly glob?: (pattern: string | readonly string[], options?: object) => AsyncIterableIterator<string>
  readonly mkdtempDisposable?: (
    prefix: string,
    options?: object,
  ) => Promise<{ path: string; remove: () => Promise<void> } & AsyncDisposable>
}

const newer = nodeFs as Newer
export const glob = newer.glob && iterationWithoutLimit(newer.glob)
export const mkdtempDisposable = newer.mkdtempDisposable && withoutLimit(newer.mkdtempDisposable)
