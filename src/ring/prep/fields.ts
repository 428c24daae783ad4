// What all prep functions share: checking arguments and storing them as 32-bit words. Every function here is
// small enough for V8 to inline; the errors are made in functions that are never on the hot path.
//
// The rule of all prep functions: check every argument, then store. One that throws leaves the zeroed entry as it was,
// which is a NOP. `getSqe` has zeroed the entry, so a prep function stores only the fields that its operation has.

import { invalidType, outOfRange } from '../../syscalls/argument-errors.js'
import type { Address, Fd } from '../../syscalls/numbers.js'
import { highWord, lowWord } from '../../syscalls/numbers.js'
import { WORD_FD, WORD_FILE_INDEX, WORD_OPCODE } from '../sqe.js'

const FILE_INDEX_ALLOC = 0xffff_ffff
// The next index would be stored as FILE_INDEX_ALLOC, since an index is stored plus one.
const MAX_FILE_INDEX = 0xffff_fffd
const MAX_BIG_OFFSET = 0x7fff_ffff_ffff_ffffn
const MAX_BIG_UINT64 = 0xffff_ffff_ffff_ffffn

// The `typeof` checks look superfluous under TypeScript, but `1n | 0` would throw an error without a code.

/** A descriptor, or any field that the kernel takes as a signed 32-bit integer. */
export function checkFd(name: string, fd: Fd): void {
  if (typeof fd !== 'number' || (fd | 0) !== fd) throw badInteger(name, fd, -0x8000_0000, 0x7fff_ffff)
}

/** A length or count. */
export function checkUint32(name: string, value: number): void {
  if (typeof value !== 'number' || value >>> 0 !== value) throw badInteger(name, value, 0, 0xffff_ffff)
}

/** A buffer index, a buffer group, or flags in `ioprio`. */
export function checkUint16(name: string, value: number): void {
  if (typeof value !== 'number' || (value & 0xffff) !== value) throw badInteger(name, value, 0, 0xffff)
}

/** Thirty-two flag bits. Negative numbers are bit 31 as JavaScript's `|` leaves it: `EPOLLIN | EPOLLET`. */
export function checkFlags(name: string, flags: number): void {
  if (typeof flags !== 'number' || ((flags | 0) !== flags && flags >>> 0 !== flags)) {
    throw badInteger(name, flags, -0x8000_0000, 0xffff_ffff)
  }
}

/** An address of this process, 0 where the kernel takes NULL. */
export function checkAddress(name: string, address: Address): void {
  if (!Number.isSafeInteger(address) || address < 0)
    throw badInteger(name, address, 0, Number.MAX_SAFE_INTEGER)
}

/** A file offset: -1 is the file's current position, a bigint reaches beyond 2^53. */
export function checkOffset(name: string, offset: number | bigint): void {
  if (
    typeof offset !== 'number'
      ? !isBigWithin(offset, MAX_BIG_OFFSET)
      : !Number.isSafeInteger(offset) || offset < -1
  ) {
    throw badOffset(name, offset)
  }
}

/** A 64-bit quantity without a sign; a bigint reaches beyond 2^53. */
export function checkUint64(name: string, value: number | bigint): void {
  if (
    typeof value !== 'number'
      ? !isBigWithin(value, MAX_BIG_UINT64)
      : !Number.isSafeInteger(value) || value < 0
  ) {
    throw badUint64(name, value)
  }
}

/** A slot among the registered files, or IORING_FILE_INDEX_ALLOC. */
export function checkFileIndex(name: string, index: number): void {
  if (typeof index !== 'number' || index >>> 0 !== index || index === MAX_FILE_INDEX + 1)
    throw badFileIndex(name, index)
}

/** Stores the fields of every operation. Flags set on the entry before are lost: prepare first, then set. */
export function storeOperation(words: Int32Array, opcode: number, fd: Fd): void {
  words[WORD_OPCODE] = opcode
  words[WORD_FD] = fd
}

/** Stores an address or another number of at most 53 bits (or -1) in the words `at` and `at + 1`. */
export function store64(words: Int32Array, at: number, value: number): void {
  words[at] = lowWord(value)
  words[at + 1] = highWord(value)
}

/** The same for a value that may be a bigint. */
export function storeAny64(words: Int32Array, at: number, value: number | bigint): void {
  if (typeof value === 'number') store64(words, at, value)
  else storeBig(words, at, value)
}

/** Stores the target slot of an operation that makes a file. 0 means none, so an index is stored plus one. */
export function storeFileIndex(words: Int32Array, index: number): void {
  words[WORD_FILE_INDEX] = index === FILE_INDEX_ALLOC ? index : index + 1
}

function isBigWithin(value: unknown, max: bigint): boolean {
  return typeof value === 'bigint' && value >= 0n && value <= max
}

function storeBig(words: Int32Array, at: number, value: bigint): void {
  words[at] = Number(BigInt.asIntN(32, value))
  words[at + 1] = Number(BigInt.asIntN(32, value >> 32n))
}

function badInteger(name: string, value: unknown, min: number, max: number): Error {
  if (typeof value !== 'number') return invalidType(name, 'of type number', value)
  return outOfRange(name, `an integer >= ${min} and <= ${max}`, value)
}

function badOffset(name: string, value: unknown): Error {
  if (typeof value === 'bigint') return outOfRange(name, `>= 0n and <= ${MAX_BIG_OFFSET}n`, value)
  if (typeof value !== 'number') return invalidType(name, 'of type number or bigint', value)
  return outOfRange(name, `-1 or an integer >= 0 and <= ${Number.MAX_SAFE_INTEGER} (a bigint beyond)`, value)
}

function badUint64(name: string, value: unknown): Error {
  if (typeof value === 'bigint') return outOfRange(name, `>= 0n and <= ${MAX_BIG_UINT64}n`, value)
  if (typeof value !== 'number') return invalidType(name, 'of type number or bigint', value)
  return outOfRange(name, `an integer >= 0 and <= ${Number.MAX_SAFE_INTEGER} (a bigint beyond)`, value)
}

function badFileIndex(name: string, value: unknown): Error {
  if (typeof value !== 'number') return invalidType(name, 'of type number', value)
  return outOfRange(name, `an integer >= 0 and <= ${MAX_FILE_INDEX}, or IORING_FILE_INDEX_ALLOC`, value)
}
