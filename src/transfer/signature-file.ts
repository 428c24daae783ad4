// Signatures of files in librsync's format: for each block a rolling and a strong checksum.

import type { PathLike } from '../runtime/index.js'
import { checkInteger, checkMembers, invalidType, invalidValue } from '../syscalls/argument-errors.js'
import { pathOf } from './output-file.js'
import {
  MAX_BLOCK_BYTES,
  type RollingSum,
  SIGNATURE_HEADER_BYTES,
  SIGNATURE_KINDS,
  STRONG_BYTES,
  type StrongSum,
} from './rdiff/format.js'
import { rabinKarpSum, rollSum } from './rdiff/rolling-sums.js'
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

/** What `signatureFile` takes. The defaults are those of rdiff 2.3. */
export interface SignatureOptions extends OutputWishes {
  /** Bytes of a block, 1 to 64 MiB. Default: about the square root of the file's size, at least 256. */
  readonly blockBytes?: number | undefined
  /** Bytes kept of each strong sum: 1 to 32 for BLAKE2, to 16 for MD4. Default: all. */
  readonly strongBytes?: number | undefined
  /** Default 'blake2'. MD4 is broken: it is there for old programs. */
  readonly strong?: StrongSum | undefined
  /** Default 'rabinkarp', which needs librsync 2.2. */
  readonly rolling?: RollingSum | undefined
}

/** What `signatureFile` resolves to. */
export interface SignatureResult extends WrittenOutput {
  readonly blockBytes: number
  readonly strongBytes: number
  readonly blocks: number
}

/** For what has no size, such as a pipe. */
const DEFAULT_BLOCK_BYTES = 2048
const SMALLEST_ADVISED_BYTES = 256

/** librsync's advice: the square root of the size, in units of 128 bytes. */
export function advisedBlockBytes(size: number): number {
  if (size <= SMALLEST_ADVISED_BYTES ** 2) return SMALLEST_ADVISED_BYTES
  const root = Math.floor(Math.sqrt(size))
  return Math.min(root - (root % 128), MAX_BLOCK_BYTES)
}

/**
 * Writes the signature of `basis`, from which `deltaFile` and rdiff make deltas.
 *
 * Rejects with SystemError; TransferError `ERR_BASIS_CHANGED` when the file shrank meanwhile, `ERR_TARGET_IS_SOURCE`;
 * AbortError.
 *
 * @throws (rejects) TypeError, RangeError for bad options.
 */
export async function signatureFile(
  basis: PathLike,
  signature: PathLike,
  options: SignatureOptions = {},
): Promise<SignatureResult> {
  checkMembers('options', options, [...OUTPUT_WISHES, 'blockBytes', 'strongBytes', 'strong', 'rolling'])
  checkWishes(options)
  const kind = kindOf(options)
  const most = STRONG_BYTES[kind.strong]
  const strongBytes = checkInteger('options.strongBytes', options.strongBytes ?? most, 1, most)
  if (options.blockBytes !== undefined) {
    checkInteger('options.blockBytes', options.blockBytes, 1, MAX_BLOCK_BYTES)
  }
  const data = chooseData(options.uring, 'ring')
  const reader = await SequentialReader.open(pathOf(basis), data, options.signal)
  try {
    const advised = reader.isSized ? advisedBlockBytes(reader.size) : DEFAULT_BLOCK_BYTES
    const blockBytes = options.blockBytes ?? advised
    const hash = await strongHash(kind.strong)
    const sum = kind.rolling === 'rabinkarp' ? rabinKarpSum : rollSum
    let blocks = 0
    const sources = [{ role: 'basis', dev: reader.dev, ino: reader.ino }]
    const job = {
      output: signature,
      wishes: options,
      basis: null,
      data,
      sources,
      pinnedRing: null,
      input: reader,
    }
    const written = await writeOutput(job, async (assembler) => {
      const header = Buffer.alloc(SIGNATURE_HEADER_BYTES)
      header.writeUInt32BE(kind.magic, 0)
      header.writeUInt32BE(blockBytes, 4)
      header.writeUInt32BE(strongBytes, 8)
      await assembler.literal(header)
      const record = Buffer.alloc(4 + strongBytes)
      await forEachBlock(reader, blockBytes, (bytes) => {
        blocks++
        record.writeInt32BE(sum(bytes, 0, bytes.byteLength), 0)
        record.set(hash(bytes).subarray(0, strongBytes), 4)
        return assembler.literal(record)
      })
    })
    return { ...written, blockBytes, strongBytes, blocks }
  } finally {
    await reader.close()
  }
}

function kindOf({
  strong = 'blake2',
  rolling = 'rabinkarp',
}: SignatureOptions): (typeof SIGNATURE_KINDS)[number] {
  if (typeof strong !== 'string') throw invalidType('options.strong', 'of type string', strong)
  if (typeof rolling !== 'string') throw invalidType('options.rolling', 'of type string', rolling)
  if (!Object.hasOwn(STRONG_BYTES, strong)) {
    throw invalidValue('options.strong', strong, "must be one of: 'blake2', 'md4'")
  }
  const kind = SIGNATURE_KINDS.find((known) => known.strong === strong && known.rolling === rolling)
  if (kind === undefined)
    throw invalidValue('options.rolling', rolling, "must be one of: 'rabinkarp', 'rollsum'")
  return kind
}

/** Calls `visit` with every block of the file, the last of which may be short. */
async function forEachBlock(
  reader: SequentialReader,
  blockBytes: number,
  visit: (bytes: Uint8Array) => Promise<void> | undefined,
): Promise<void> {
  // A block that lies in two chunks is put together here.
  let parts: Buffer<ArrayBuffer> | null = null
  let gathered = 0
  for (let chunk = await reader.next(); chunk !== null; chunk = await reader.next()) {
    let at = HEADROOM_BYTES
    while (at < chunk.length) {
      if (gathered === 0 && chunk.length - at >= blockBytes) {
        const waiting = visit(chunk.subarray(at, at + blockBytes))
        if (waiting !== undefined) await waiting
        at += blockBytes
        continue
      }
      parts ??= Buffer.allocUnsafeSlow(blockBytes)
      const copied = chunk.copy(parts, gathered, at)
      gathered += copied
      at += copied
      if (gathered < blockBytes) continue
      gathered = 0
      await visit(parts)
    }
  }
  if (gathered > 0) await visit(parts!.subarray(0, gathered))
}
