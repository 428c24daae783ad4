// The two file formats of librsync, which its program rdiff reads and writes. All numbers are big-endian.
// https://librsync.github.io/page_formats.html

import { TransferError } from '../transfer-errors.js'

/** First word of a delta. */
export const DELTA_MAGIC = 0x72730236

/** Rolling checksum of a signature. */
export type RollingSum = 'rabinkarp' | 'rollsum'
/** Strong checksum of a signature. */
export type StrongSum = 'blake2' | 'md4'

/** What the first word of a signature says. */
export interface SignatureKind {
  readonly magic: number
  readonly rolling: RollingSum
  readonly strong: StrongSum
}

export const SIGNATURE_KINDS: readonly SignatureKind[] = [
  { magic: 0x72730147, rolling: 'rabinkarp', strong: 'blake2' },
  { magic: 0x72730146, rolling: 'rabinkarp', strong: 'md4' },
  { magic: 0x72730137, rolling: 'rollsum', strong: 'blake2' },
  { magic: 0x72730136, rolling: 'rollsum', strong: 'md4' },
]

/** Bytes of a whole strong checksum; signatures may keep only the first of them. */
export const STRONG_BYTES: Readonly<Record<StrongSum, number>> = { blake2: 32, md4: 16 }

/** Magic, bytes of a block, bytes of a strong checksum. */
export const SIGNATURE_HEADER_BYTES = 12

/** The largest block size of signatures that are made and read here: one block is held in memory. */
export const MAX_BLOCK_BYTES = 1 << 26

/** The command that ends a delta. */
export const END = 0x00
/** Commands up to this one are followed by that many bytes of literal data. */
export const LAST_SHORT_LITERAL = 0x40
/** Four commands: a length of 1, 2, 4 or 8 bytes, then that many bytes of literal data. */
export const FIRST_LITERAL = 0x41
/**
 * Sixteen commands: an offset of 1, 2, 4 or 8 bytes, then a length of 1, 2, 4 or 8 bytes. Four commands for
 * each width of the offset.
 */
export const FIRST_COPY = 0x45
export const LAST_COPY = 0x54

/** The error for a malformed delta or signature. */
export function formatError(what: 'delta' | 'signature', problem: string, path?: string): TransferError {
  return new TransferError(
    'ERR_DELTA_FORMAT',
    `Not a sound ${what}: ${problem}`,
    path === undefined ? {} : { path },
  )
}

/** A magic number as it is written in librsync's own sources. */
export function hexadecimal(word: number): string {
  return `0x${(word >>> 0).toString(16).padStart(8, '0')}`
}
