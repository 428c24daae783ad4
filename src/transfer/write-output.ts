// Opens the output of a transfer, has it filled, and renames it into place only when all of it is right.

import { createHash, getHashes } from 'node:crypto'
import { defaultUring, type PathLike, type Uring } from '../runtime/index.js'
import {
  checkBoolean,
  checkInteger,
  checkSignal,
  invalidState,
  invalidType,
  invalidValue,
} from '../syscalls/argument-errors.js'
import type { Basis, TransferWriter } from './basis.js'
import { type DataPath, ringPath, standardPath } from './data-path.js'
import { pinnedWriter, writeByPool } from './mapped-writes.js'
import { OutputAssembler } from './output-assembler.js'
import { named, OutputFile, pathOf, type Source } from './output-file.js'
import { TransferError } from './transfer-errors.js'

/** What every function that makes a file takes. */
export interface OutputWishes {
  /** Stops the work; the output is removed, the old target stays. Rejects with AbortError. */
  readonly signal?: AbortSignal | undefined
  /** Called now and then with what is written so far. What it throws ends the transfer. */
  readonly onProgress?: ((progress: TransferProgress) => void) | undefined
  /** Make file and directory durable before the promise resolves. Default false. */
  readonly durable?: boolean | undefined
  /** Permission bits of the output. Default: those of the old target, else 0o666 less the umask. */
  readonly mode?: number | undefined
  /** Writes in flight, 1 to 64. Default 8. */
  readonly depth?: number | undefined
  /** The ring to use. Default: the thread's shared one; without io_uring node:fs does the same. */
  readonly uring?: Uring | undefined
}

/** How far a transfer has come. */
export interface TransferProgress {
  /** Bytes of the output that are written. */
  readonly bytesWritten: number
  /** Bytes of the input that have been taken in, where there is one. */
  readonly bytesRead: number
  /** Bytes of the input in all; 0 when unknown. */
  readonly bytesToRead: number
}

/** Further options of functions that apply deltas. */
export interface ApplyWishes extends OutputWishes {
  /** What writes the output. Default 'ring'. */
  readonly writer?: TransferWriter | undefined
  /** Leave holes where blocks of 4096 bytes are zeros. Default false. */
  readonly sparse?: boolean | undefined
  /**
   * Let the kernel copy large matches by itself, off this thread (copy_file_range): where a file system can,
   * both files then share the blocks. Not together with `hash` or `sparse`. Default true.
   */
  readonly share?: boolean | undefined
  /** Hash the output on the way, by an algorithm of node:crypto; the result has the `digest`. */
  readonly hash?: string | undefined
  /** In hexadecimal: the output takes its place only if `hash` gives this. */
  readonly expectedDigest?: string | undefined
  /** The most bytes that the output may have. Default: no bound. */
  readonly maxOutputBytes?: number | undefined
}

/** What was written, and how. */
export interface WrittenOutput {
  readonly bytesWritten: number
  /** Of those, bytes that the kernel has copied from the basis by itself. */
  readonly sharedBytes: number
  /** In hexadecimal, where a hash was asked for. */
  readonly digest?: string
  /** What carried out reads and writes. */
  readonly backend: 'io_uring' | 'node:fs'
}

const DEFAULT_DEPTH = 8
const MAX_DEPTH = 64

/** @internal */
export const OUTPUT_WISHES = ['signal', 'onProgress', 'durable', 'mode', 'depth', 'uring'] as const
/** @internal */
export const APPLY_WISHES = [
  ...OUTPUT_WISHES,
  'writer',
  'sparse',
  'share',
  'hash',
  'expectedDigest',
  'maxOutputBytes',
] as const

/** @internal Throws for bad options. */
export function checkWishes(wishes: ApplyWishes): void {
  const { signal, onProgress, durable, mode, depth, sparse, share, hash, expectedDigest, maxOutputBytes } =
    wishes
  checkSignal(signal)
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw invalidType('options.onProgress', 'of type function', onProgress)
  }
  if (durable !== undefined) checkBoolean('options.durable', durable)
  if (sparse !== undefined) checkBoolean('options.sparse', sparse)
  if (share !== undefined) checkBoolean('options.share', share)
  if (mode !== undefined) checkInteger('options.mode', mode, 0, 0o7777)
  if (depth !== undefined) checkInteger('options.depth', depth, 1, MAX_DEPTH)
  if (maxOutputBytes !== undefined)
    checkInteger('options.maxOutputBytes', maxOutputBytes, 0, Number.MAX_SAFE_INTEGER)
  if (hash !== undefined && typeof hash !== 'string')
    throw invalidType('options.hash', 'of type string', hash)
  if (hash !== undefined && !getHashes().includes(hash))
    throw invalidValue('options.hash', hash, 'is no hash of node:crypto')
  if (expectedDigest === undefined) return
  if (typeof expectedDigest !== 'string')
    throw invalidType('options.expectedDigest', 'of type string', expectedDigest)
  if (hash === undefined) throw invalidValue('options.expectedDigest', expectedDigest, "needs 'hash'")
}

/** @internal How data is to move. */
export function chooseData(uring: Uring | undefined, writer: TransferWriter): DataPath {
  const ring = uring ?? (writer === 'ring' ? defaultUring() : null)
  if (ring?.closed) throw invalidState('The ring is closed')
  return ring === null ? standardPath : ringPath(ring)
}

/** @internal What an output is made with. */
export interface OutputJob {
  readonly output: PathLike
  readonly wishes: ApplyWishes
  readonly basis: Basis | null
  readonly data: DataPath
  readonly sources: readonly Source[]
  /** Pages of the mapped basis are pinned, and written through this ring. */
  readonly pinnedRing: Uring | null
  /** Bytes of the input taken in, and in all. */
  readonly input?: { readonly bytesRead: number; readonly bytesToRead: number }
}

/**
 * @internal Has `produce` fill the output, then puts it in its place. Whatever goes wrong, the temporary file
 *   is removed and the old target is as it was.
 */
export async function writeOutput(
  job: OutputJob,
  produce: (assembler: OutputAssembler) => Promise<void>,
): Promise<WrittenOutput> {
  const { wishes, basis, input } = job
  const { signal, onProgress, durable = false, sparse = false, hash, expectedDigest } = wishes
  const writing = wishes.writer === 'standard' ? standardPath : job.data
  const output = await OutputFile.open(job.output, { sources: job.sources, mode: wishes.mode })
  const hasher = hash === undefined ? null : createHash(hash)
  const assembler = new OutputAssembler({
    data: writing,
    fd: output.fd,
    basis,
    hash: hasher,
    sparse,
    share: wishes.share ?? true,
    mappedWrite: job.pinnedRing === null ? writeByPool : pinnedWriter(job.pinnedRing),
    depth: wishes.depth ?? DEFAULT_DEPTH,
    maxBytes: wishes.maxOutputBytes ?? Number.MAX_SAFE_INTEGER,
    signal,
    onProgress:
      onProgress === undefined
        ? undefined
        : (bytesWritten) =>
            onProgress({
              bytesWritten,
              bytesRead: input?.bytesRead ?? 0,
              bytesToRead: input?.bytesToRead ?? 0,
            }),
  })
  try {
    await produce(assembler)
    await assembler.finish()
    if (sparse) await output.truncate(assembler.position)
    await basis?.verify()
    const digest = hasher?.digest('hex')
    if (expectedDigest !== undefined && digest !== expectedDigest.toLowerCase()) {
      const text = `The output has the ${hash} digest ${digest} instead of ${expectedDigest}`
      throw new TransferError('ERR_DIGEST_MISMATCH', text, { path: pathOf(job.output) })
    }
    await output.commit(writing, durable)
    return {
      bytesWritten: assembler.position,
      sharedBytes: assembler.sharedBytes,
      ...(digest !== undefined && { digest }),
      backend: job.data.backend,
    }
  } catch (error) {
    await assembler.abandon()
    await output.discard()
    throw named(error, output.target)
  }
}
