// Reads a signature into an index of its blocks.

import { HEADROOM_BYTES, type SequentialReader } from '../sequential-reader.js'
import { BlockIndex } from './block-index.js'
import {
  formatError,
  hexadecimal,
  MAX_BLOCK_BYTES,
  SIGNATURE_HEADER_BYTES,
  SIGNATURE_KINDS,
  STRONG_BYTES,
} from './format.js'

/** @internal @throws TransferError `ERR_DELTA_FORMAT`. */
export async function readSignature(reader: SequentialReader): Promise<BlockIndex> {
  const { path } = reader
  const header = Buffer.alloc(SIGNATURE_HEADER_BYTES)
  let headerBytes = 0
  let kind = SIGNATURE_KINDS[0]!
  let blockBytes = 0
  let strongBytes = 0
  let weak = new Int32Array(0)
  let strong = new Uint8Array(0)
  let record = Buffer.alloc(0)
  let recordBytes = 0
  let count = 0

  for (let chunk = await reader.next(); chunk !== null; chunk = await reader.next()) {
    let at = HEADROOM_BYTES
    if (headerBytes < SIGNATURE_HEADER_BYTES) {
      const copied = chunk.copy(header, headerBytes, at)
      headerBytes += copied
      at += copied
      if (headerBytes < SIGNATURE_HEADER_BYTES) continue
      const magic = header.readUInt32BE(0)
      const found = SIGNATURE_KINDS.find((candidate) => candidate.magic === magic)
      if (found === undefined) throw formatError('signature', `it begins with ${hexadecimal(magic)}`, path)
      kind = found
      blockBytes = header.readUInt32BE(4)
      if (blockBytes < 1 || blockBytes > MAX_BLOCK_BYTES) {
        throw formatError(
          'signature',
          `its blocks have ${blockBytes} bytes, not 1 to ${MAX_BLOCK_BYTES}`,
          path,
        )
      }
      strongBytes = header.readUInt32BE(8)
      if (strongBytes < 1 || strongBytes > STRONG_BYTES[kind.strong]) {
        const most = STRONG_BYTES[kind.strong]
        throw formatError('signature', `its strong sums have ${strongBytes} bytes, not 1 to ${most}`, path)
      }
      record = Buffer.alloc(4 + strongBytes)
      const expected = Math.max(16, Math.ceil((reader.size - SIGNATURE_HEADER_BYTES) / record.length))
      weak = new Int32Array(expected)
      strong = new Uint8Array(expected * strongBytes)
    }
    while (at < chunk.length) {
      const copied = chunk.copy(record, recordBytes, at)
      recordBytes += copied
      at += copied
      if (recordBytes < record.length) break
      recordBytes = 0
      if (count === weak.length) {
        weak = grown(weak, new Int32Array(count * 2))
        strong = grown(strong, new Uint8Array(count * 2 * strongBytes))
      }
      weak[count] = record.readInt32BE(0)
      strong.set(record.subarray(4), count * strongBytes)
      count++
    }
  }
  if (headerBytes < SIGNATURE_HEADER_BYTES) throw formatError('signature', 'it is too short', path)
  if (recordBytes > 0) throw formatError('signature', `it ends within the entry of block ${count}`, path)
  return new BlockIndex(kind, blockBytes, strongBytes, weak.subarray(0, count), strong)
}

function grown<T extends Int32Array | Uint8Array>(from: T, to: T): T {
  to.set(from)
  return to
}
