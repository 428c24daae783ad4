// Records of a file that is appended to: each tells its number, its length and its sum, so that the half of one, a second
// one of the same number, and what lies between two are all seen.

import { crc32 } from 'node:zlib'

const MAGIC = 0x75726e67
const HEAD_BYTES = 16

// crc32 of node:zlib is there from Node 20.15 on.
const sumOf = (bytes: Uint8Array): number => {
  if (typeof crc32 === 'function') return crc32(bytes)
  let sum = 1
  for (const byte of bytes) sum = (Math.imul(sum, 31) + byte) >>> 0
  return sum
}

export function makeRecord(number: number, bodyBytes: number): Buffer {
  const record = Buffer.alloc(HEAD_BYTES + bodyBytes, (number * 7) & 0xff)
  record.writeUInt32LE(MAGIC, 0)
  record.writeUInt32LE(number, 4)
  record.writeUInt32LE(bodyBytes, 8)
  record.writeUInt32LE(sumOf(record.subarray(HEAD_BYTES)), 12)
  return record
}

export interface Found {
  /** How often each whole record is there. */
  readonly times: ReadonlyMap<number, number>
  /** Bytes that belong to no whole record: what was being appended at the end. */
  readonly strayBytes: number
}

export function findRecords(file: Buffer): Found {
  const times = new Map<number, number>()
  let strayBytes = 0
  for (let at = 0; at < file.length; ) {
    if (at + HEAD_BYTES <= file.length && file.readUInt32LE(at) === MAGIC) {
      const bodyBytes = file.readUInt32LE(at + 8)
      const body = file.subarray(at + HEAD_BYTES, at + HEAD_BYTES + bodyBytes)
      if (body.length === bodyBytes && sumOf(body) === file.readUInt32LE(at + 12)) {
        const number = file.readUInt32LE(at + 4)
        times.set(number, (times.get(number) ?? 0) + 1)
        at += HEAD_BYTES + bodyBytes
        continue
      }
    }
    strayBytes++
    at++
  }
  return { times, strayBytes }
}
