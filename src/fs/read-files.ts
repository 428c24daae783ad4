// readFiles(): many files, read ahead of whoever consumes them.

import type { PathLike } from '../runtime/index.js'
import { requireInteger, wrongType } from './node-errors.js'
import { readFile } from './read-file.js'

/** Options of `readFiles`. */
export interface ReadFilesOptions {
  /** Files read at a time, and how many may wait for the consumer: 1 to 1024. Default: 64. */
  readonly concurrency?: number | undefined
  readonly encoding?: BufferEncoding | null | undefined
  /** Aborts the files in flight; the iteration then throws AbortError. */
  readonly signal?: AbortSignal | undefined
}

/** One file of `readFiles`. */
export interface ReadFileResult<P, D> {
  /** The path as it was given. */
  readonly path: P
  readonly data: D
}

const DEFAULT_CONCURRENCY = 64
const MAX_CONCURRENCY = 1024

interface Pending<P> {
  readonly path: P
  readonly data: Promise<string | Buffer>
}

/**
 * Reads files in the order of `paths`, as many at a time as `concurrency` says: their opens, reads and closes go to the
 * kernel together. Not in Node.
 *
 * ```js
 * for await (const { path, data } of readFiles(paths, { encoding: 'utf8' })) console.log(path, data.length)
 * ```
 *
 * The first file that cannot be read ends the iteration with its error. Leaving the loop early leaves the files that
 * were read ahead.
 *
 * @param paths - An array, or anything that yields paths, also asynchronously, such as `glob` does.
 * @throws TypeError, RangeError for bad options, at once.
 */
export function readFiles<P extends PathLike>(
  paths: Iterable<P> | AsyncIterable<P>,
  options: ReadFilesOptions & { readonly encoding: BufferEncoding },
): AsyncGenerator<ReadFileResult<P, string>, void, undefined>
export function readFiles<P extends PathLike>(
  paths: Iterable<P> | AsyncIterable<P>,
  options?: ReadFilesOptions & { readonly encoding?: null | undefined },
): AsyncGenerator<ReadFileResult<P, Buffer>, void, undefined>
export function readFiles<P extends PathLike>(
  paths: Iterable<P> | AsyncIterable<P>,
  options: ReadFilesOptions = {},
): AsyncGenerator<ReadFileResult<P, string | Buffer>, void, undefined> {
  const { concurrency = DEFAULT_CONCURRENCY, encoding, signal } = options
  requireInteger('options.concurrency', concurrency, 1, MAX_CONCURRENCY)
  if (
    typeof paths !== 'object' ||
    paths === null ||
    !(Symbol.iterator in paths || Symbol.asyncIterator in paths)
  ) {
    throw wrongType('paths', 'an iterable or async iterable of paths', paths)
  }
  return readAhead(paths, concurrency, (path) => readFile(path, { encoding, signal }))
}

async function* readAhead<P extends PathLike>(
  paths: Iterable<P> | AsyncIterable<P>,
  concurrency: number,
  read: (path: P) => Promise<string | Buffer>,
): AsyncGenerator<ReadFileResult<P, string | Buffer>, void, undefined> {
  const ahead: Pending<P>[] = []
  let first = 0
  const take = async (): Promise<ReadFileResult<P, string | Buffer>> => {
    const { path, data } = ahead[first++]!
    // The front of the line is cut off now and then, not at each step.
    if (first >= concurrency) {
      ahead.splice(0, first)
      first = 0
    }
    return { path, data: await data }
  }
  for await (const path of paths) {
    const data = read(path)
    // Whether it failed is asked when its turn has come.
    data.catch(() => {})
    ahead.push({ path, data })
    if (ahead.length - first >= concurrency) yield await take()
  }
  while (first < ahead.length) yield await take()
}
