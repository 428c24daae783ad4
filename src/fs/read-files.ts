// readFiles(): many files, read ahead of whoever consumes them.

import { AbortError, type PathLike } from '../runtime/index.js'
import { addAbortListener, removeAbortListener } from './abort-listeners.js'
import { type ResolveName, resolveBits } from './arguments.js'
import { requireInteger, wrongType } from './node-errors.js'
import { readWhole } from './read-file.js'
import { Slab } from './slab.js'

/** Options of `readFiles`. */
export interface ReadFilesOptions {
  /** How many files are read ahead of the consumer, whether in flight or complete: 1 to 1024. Default: 64. */
  readonly concurrency?: number | undefined
  readonly encoding?: BufferEncoding | null | undefined
  /** Aborts the files in flight; the iteration then throws AbortError. */
  readonly signal?: AbortSignal | undefined
  /** How far the paths may lead; see `OpenExtras`. */
  readonly resolve?: number | ResolveName | readonly ResolveName[] | undefined
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
  isSettled: boolean
}

/**
 * Reads files in the order of `paths`, as many at a time as `concurrency` says: their opens, reads and closes
 * go to the kernel together. Not in Node.
 *
 * ```js
 * for await (const { path, data } of readFiles(paths, { encoding: 'utf8' })) console.log(path, data.length)
 * ```
 *
 * Small files share memory, as Buffers of `Buffer.allocUnsafe` do: `data.buffer` holds other files too, and
 * one result that is kept keeps up to 64 KiB alive. Copy what you keep for long.
 *
 * The first file that cannot be read ends the iteration with its error. Leaving the loop early discards the
 * files that were read ahead.
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
  const { concurrency = DEFAULT_CONCURRENCY, encoding, signal, resolve } = options
  requireInteger('options.concurrency', concurrency, 1, MAX_CONCURRENCY)
  if (
    typeof paths !== 'object' ||
    paths === null ||
    !(Symbol.iterator in paths || Symbol.asyncIterator in paths)
  ) {
    throw wrongType('paths', 'an iterable or async iterable of paths', paths)
  }
  const slab = new Slab()
  // Converted once for all files, because the caller may change an array of names meanwhile.
  const wishes = { encoding, signal, ...(resolve !== undefined && { resolve: resolveBits(resolve) }) }
  const read = (path: P): Promise<string | Buffer> => readWhole(path, wishes, slab)
  return Symbol.asyncIterator in paths
    ? readAsTheyCome(paths, concurrency, signal, read)
    : readAhead(paths, concurrency, read)
}

/** For paths from a synchronous iterable. */
async function* readAhead<P extends PathLike>(
  paths: Iterable<P>,
  concurrency: number,
  read: (path: P) => Promise<string | Buffer>,
): AsyncGenerator<ReadFileResult<P, string | Buffer>, void, undefined> {
  const source = paths[Symbol.iterator]()
  // New reads begin together, once half of the earlier ones are consumed: one by one, each would be a system
  // call.
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

/** For paths from an asynchronous iterable, which may depend on what was read. */
async function* readAsTheyCome<P extends PathLike>(
  paths: AsyncIterable<P>,
  concurrency: number,
  signal: AbortSignal | undefined,
  read: (path: P) => Promise<string | Buffer>,
): AsyncGenerator<ReadFileResult<P, string | Buffer>, void, undefined> {
  const source = paths[Symbol.asyncIterator]()
  const ahead: Pending<P>[] = []
  const next = new Latch<IteratorResult<P>>()
  let isOver = false
  // The loop waits for whichever is first: the next path, the data of the file whose turn it is, or an abort.
  // Each wakes it, and it checks them all. (A race of promises would add one more reaction to the long-lived
  // ones with every file.)
  let wake = ignore
  const woken = (): void => wake()
  if (signal !== undefined) addAbortListener(signal, woken)
  try {
    while (!isOver || ahead.length > 0) {
      if (!isOver && ahead.length < concurrency && next.isIdle)
        next.wait(Promise.resolve(source.next()), woken)
      const head = ahead[0]
      if (next.isSettled) {
        // If take() throws, the source has failed, and is over as well.
        isOver = true
        const { done, value } = next.take()
        isOver = done === true
        if (!isOver) ahead.push(pendingRead(value, read, woken))
      } else if (head !== undefined && (next.isIdle || head.isSettled)) {
        ahead.shift()
        yield { path: head.path, data: await head.data }
      } else {
        if (signal?.aborted) throw new AbortError(signal.reason)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
  } finally {
    if (signal !== undefined) removeAbortListener(signal, woken)
    // If the source is still at work on a path, perhaps for ever, its return() comes after that and is not
    // awaited.
    if (!next.isIdle) source.return?.().catch(ignore)
    else if (!isOver) await source.return?.()
  }
}

/** The outcome of one promise, which can be checked without awaiting it. */
class Latch<T> {
  #state: 'idle' | 'waiting' | 'settled' = 'idle'
  #value: T | null = null
  #failure: { readonly error: unknown } | null = null

  get isIdle(): boolean {
    return this.#state === 'idle'
  }

  get isSettled(): boolean {
    return this.#state === 'settled'
  }

  wait(promise: Promise<T>, onSettled: () => void): void {
    this.#state = 'waiting'
    promise.then(
      (value) => {
        this.#value = value
        this.#state = 'settled'
        onSettled()
      },
      (error) => {
        this.#failure = { error }
        this.#state = 'settled'
        onSettled()
      },
    )
  }

  /** The value, or throws the error. */
  take(): T {
    this.#state = 'idle'
    if (this.#failure !== null) throw this.#failure.error
    return this.#value as T
  }
}

function pendingRead<P extends PathLike>(
  path: P,
  read: (path: P) => Promise<string | Buffer>,
  onSettled: () => void = ignore,
): Pending<P> {
  const data = read(path)
  const pending: Pending<P> = { path, data, isSettled: false }
  const settled = (): void => {
    pending.isSettled = true
    onSettled()
  }
  // A failure is reported when the file's turn has come.
  data.then(settled, settled)
  return pending
}

function ignore(): void {}
