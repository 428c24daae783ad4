// readFiles(): many files, read ahead of whoever consumes them.

import { AbortError, type PathLike } from '../runtime/index.js'
import { addAbortListener, removeAbortListener } from './abort-listeners.js'
import { requireInteger, wrongType } from './node-errors.js'
import { readWhole } from './read-file.js'
import { Slab } from './slab.js'

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
 * The data of small files share memory, as that of `Buffer.allocUnsafe` does: `data.buffer` holds other files, too, and one
 * that is kept keeps up to 64 KiB. Copy what you keep for long.
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
  if (typeof options !== 'object' || options === null) throw wrongType('options', 'of type object', options)
  const { concurrency = DEFAULT_CONCURRENCY, encoding, signal } = options
  requireInteger('options.concurrency', concurrency, 1, MAX_CONCURRENCY)
  if (
    typeof paths !== 'object' ||
    paths === null ||
    !(Symbol.iterator in paths || Symbol.asyncIterator in paths)
  ) {
    throw wrongType('paths', 'an iterable or async iterable of paths', paths)
  }
  const slab = new Slab()
  const read = (path: P): Promise<string | Buffer> => readWhole(path, { encoding, signal }, slab)
  return Symbol.asyncIterator in paths
    ? readAsTheyCome(paths, concurrency, signal, read)
    : readAhead(paths, concurrency, read)
}

/** For paths that are there already. */
async function* readAhead<P extends PathLike>(
  paths: Iterable<P>,
  concurrency: number,
  read: (path: P) => Promise<string | Buffer>,
): AsyncGenerator<ReadFileResult<P, string | Buffer>, void, undefined> {
  const source = paths[Symbol.iterator]()
  // New reads begin when half of those before are consumed, all at once: one by one, each would be a system call.
  const least = concurrency >> 1
  let ahead: Pending<P>[] = []
  let isOver = false
  try {
    while (!isOver) {
      while (!isOver && ahead.length < concurrency) {
        const { done, value } = source.next()
        if (done) isOver = true
        else ahead.push(pendingRead(value, read))
      }
      const consumed = isOver ? ahead.length : ahead.length - least
      for (let index = 0; index < consumed; index++) {
        const { path, data } = ahead[index]!
        yield { path, data: await data }
      }
      ahead = ahead.slice(consumed)
    }
  } finally {
    if (!isOver) source.return?.()
  }
}

/** For paths that come one after the other, perhaps in answer to what was read. */
async function* readAsTheyCome<P extends PathLike>(
  paths: AsyncIterable<P>,
  concurrency: number,
  signal: AbortSignal | undefined,
  read: (path: P) => Promise<string | Buffer>,
): AsyncGenerator<ReadFileResult<P, string | Buffer>, void, undefined> {
  const source = paths[Symbol.asyncIterator]()
  const ahead: Pending<P>[] = []
  let coming: Promise<IteratorResult<P>> | null = null
  let isOver = false
  const abort = abortOf(signal)
  try {
    while (!isOver || ahead.length > 0) {
      if (!isOver && ahead.length < concurrency) coming ??= source.next()
      const [head] = ahead
      if (coming !== null) {
        // Whichever is first: the next path, the data of the file whose turn it is, an abort.
        const first: Promise<IteratorResult<P> | null>[] = [coming, abort.promise]
        if (head !== undefined) first.push(head.data.then(noPath, noPath))
        const result = await Promise.race(first)
        if (result !== null) {
          coming = null
          if (result.done) isOver = true
          else ahead.push(pendingRead(result.value, read))
          continue
        }
      }
      if (head === undefined) continue
      ahead.shift()
      yield { path: head.path, data: await head.data }
    }
  } finally {
    abort.stop()
    if (coming !== null) {
      // The source is at work on a path, perhaps for ever: it hears of the end after that.
      coming.catch(ignore)
      source.return?.().catch(ignore)
    } else if (!isOver) await source.return?.()
  }
}

/** Rejects with AbortError when the signal is aborted, until `stop`. */
function abortOf(signal: AbortSignal | undefined): { promise: Promise<never>; stop(): void } {
  let onAbort = ignore
  const promise = new Promise<never>((_, reject) => {
    onAbort = () => reject(new AbortError(signal?.reason))
  })
  promise.catch(ignore)
  if (signal?.aborted) onAbort()
  else if (signal !== undefined) addAbortListener(signal, onAbort)
  return {
    promise,
    stop: () => {
      if (signal !== undefined) removeAbortListener(signal, onAbort)
    },
  }
}

function pendingRead<P extends PathLike>(path: P, read: (path: P) => Promise<string | Buffer>): Pending<P> {
  const data = read(path)
  // Whether it failed is asked when its turn has come.
  data.catch(ignore)
  return { path, data }
}

function ignore(): void {}

function noPath(): null {
  return null
}
