// Deltas in librsync's format, made from a signature and a new file.

import type { PathLike } from '../runtime/index.js'
import { checkMembers } from '../syscalls/argument-errors.js'
import type { DeltaCounts } from './apply-delta.js'
import type { DataPath } from './data-path.js'
import { pathOf } from './output-file.js'
import { DeltaScanner } from './rdiff/delta-scanner.js'
import { readSignature } from './rdiff/signature-reader.js'
import { strongHash } from './rdiff/strong-sums.js'
import { HEADROOM_BYTES, SequentialReader } from './sequential-reader.js'
import {
  checkWishes,
  chooseData,
  OUTPUT_WISHES,
  type OutputWishes,
  type WrittenOutput,
  writeOutput,
} from './write-output.js'

/** What `deltaFile` takes. */
export type DeltaOptions = OutputWishes

/** What `deltaFile` resolves to. */
export interface DeltaResult extends WrittenOutput, DeltaCounts {}

/**
 * Writes what changes the basis of `signature` into `newFile`, for `patchFile` and rdiff. All of the
 * signature is held in memory: some 50 bytes for each block.
 *
 * Rejects with TransferError `ERR_DELTA_FORMAT` for a broken signature, `ERR_BASIS_CHANGED` when a file
 * shrank meanwhile, `ERR_TARGET_IS_SOURCE`; SystemError; AbortError.
 *
 * @throws (rejects) TypeError, RangeError for bad options.
 */
export async function deltaFile(
  signature: PathLike,
  newFile: PathLike,
  delta: PathLike,
  options: DeltaOptions = {},
): Promise<DeltaResult> {
  checkMembers('options', options, OUTPUT_WISHES)
  checkWishes(options)
  const data = chooseData(options.uring, 'ring')
  const index = await withReader(signature, data, options.signal, async (reader) => ({
    blocks: await readSignature(reader),
    source: { role: 'signature', dev: reader.dev, ino: reader.ino },
  }))
  const hash = await strongHash(index.blocks.kind.strong)
  return withReader(newFile, data, options.signal, async (reader) => {
    const sources = [index.source, { role: 'new file', dev: reader.dev, ino: reader.ino }]
    const job = {
      output: delta,
      wishes: options,
      basis: null,
      data,
      sources,
      pinnedRing: null,
      input: reader,
    }
    let scanner: DeltaScanner | undefined
    const written = await writeOutput(job, async (assembler) => {
      scanner = new DeltaScanner(index.blocks, hash, assembler)
      await scanner.start()
      for (let chunk = await reader.next(); chunk !== null; chunk = await reader.next()) {
        await scanner.feed(chunk.subarray(HEADROOM_BYTES))
      }
      await scanner.finish()
    })
    const { literalBytes, matchedBytes, literalTokens, blockTokens } = scanner!
    return { ...written, literalBytes, matchedBytes, literalTokens, blockTokens }
  })
}

async function withReader<T>(
  path: PathLike,
  data: DataPath,
  signal: AbortSignal | undefined,
  use: (reader: SequentialReader) => Promise<T>,
): Promise<T> {
  const reader = await SequentialReader.open(pathOf(path), data, signal)
  try {
    return await use(reader)
  } finally {
    await reader.close()
  }
}
