// One submission queue entry: sixteen 32-bit words of shared memory (thirty-two in a 128-byte entry). `getSqe()` hands
// it out zeroed; a prep function fills it; the next submit gives it to the kernel.
//
// Why words and not a DataView: stores into a typed array of one entry at constant indices take about three
// quarters of the time (measured by the `stores` bench; the decision is
// docs/decisions/words-not-dataview.md).

import { invalidType, outOfRange } from '../syscalls/argument-errors.js'

/** `opcode` in bits 0-7, `flags` in 8-15, `ioprio` in 16-31. */
export const WORD_OPCODE = 0
export const WORD_FD = 1
/** `off`, `addr2`, `cmd_op`: low word; the high one follows. */
export const WORD_OFF = 2
/** `addr`, `splice_off_in`, or `level` with `optname` in the word that follows. */
export const WORD_ADDR = 4
export const WORD_LEN = 6
/** `rw_flags` and its many other names. */
export const WORD_OP_FLAGS = 7
export const WORD_USER_DATA = 8
/** `buf_index` or `buf_group` in bits 0-15, `personality` in 16-31. */
export const WORD_BUFFER = 10
/** `splice_fd_in`, `file_index`, `optlen`, `zcrx_ifq_idx`, or `addr_len` in bits 0-15. */
export const WORD_FILE_INDEX = 11
/** `addr3`, `optval`, `attr_ptr`, or the start of `cmd`. */
export const WORD_ADDR3 = 12
/** `attr_type_mask`, or more of `cmd`. */
export const WORD_ATTR = 14

const EMPTY = new Int32Array(0)
const MAX_U16 = 0xffff

/**
 * A submission queue entry. It belongs to the caller from `getSqe()` until the next submit, and then to the
 * kernel: do not keep it. After the ring is closed, writes to it do nothing.
 */
export class Sqe {
  // Declared, not defined: a defined field starts as undefined, and V8 would then check its type at each use.
  /** @internal The entry's memory; prep functions write here. Emptied when the ring closes. */
  declare words: Int32Array

  /** @internal */
  constructor(words: Int32Array) {
    this.words = words
  }

  /**
   * Sets the 64 bits that come back in the CQE, as two halves.
   *
   * @param low - Bits 0-31, an unsigned 32-bit integer.
   * @param high - Bits 32-63, an unsigned 32-bit integer.
   * @throws RangeError `ERR_OUT_OF_RANGE`.
   */
  setUserData(low: number, high = 0): this {
    if (typeof low !== 'number' || typeof high !== 'number') throw badUserData(low, high)
    if (low >>> 0 !== low || high >>> 0 !== high) throw badUserData(low, high)
    const words = this.words
    words[WORD_USER_DATA] = low
    words[WORD_USER_DATA + 1] = high
    return this
  }

  /**
   * Sets the `IOSQE_*` flags, replacing any set before (a prep function's own included).
   *
   * @param flags - 0 to 127: every bit that a kernel knows. An unknown bit would be answered with -EINVAL.
   * @throws RangeError `ERR_OUT_OF_RANGE`.
   */
  setFlags(flags: number): this {
    checkEntryFlags(flags)
    const words = this.words
    words[WORD_OPCODE] = (words[WORD_OPCODE]! & ~0xff00) | (flags << 8)
    return this
  }

  /** Adds `IOSQE_*` flags to those already set. @throws RangeError `ERR_OUT_OF_RANGE`. */
  addFlags(flags: number): this {
    checkEntryFlags(flags)
    const words = this.words
    words[WORD_OPCODE] = words[WORD_OPCODE]! | (flags << 8)
    return this
  }

  /** Sets `ioprio`, which for some opcodes holds their own flags. @param ioprio - 0 to 65535. */
  setIoprio(ioprio: number): this {
    checkUint16('ioprio', ioprio)
    const words = this.words
    words[WORD_OPCODE] = (words[WORD_OPCODE]! & 0xffff) | (ioprio << 16)
    return this
  }

  /** Selects credentials registered with `registerPersonality`. Linux 5.6. @param id - 0 (none) to 65535. */
  setPersonality(id: number): this {
    checkUint16('id', id)
    const words = this.words
    words[WORD_BUFFER] = (words[WORD_BUFFER]! & 0xffff) | (id << 16)
    return this
  }

  /**
   * Selects the provided-buffer group to take from (with `IOSQE_BUFFER_SELECT`). Linux 5.7.
   *
   * @param group - 0 to 65535.
   */
  setBufferGroup(group: number): this {
    checkUint16('group', group)
    return this.#setBuffer(group)
  }

  /** Selects a registered buffer. Linux 5.1. @param index - 0 to 65535. */
  setBufferIndex(index: number): this {
    checkUint16('index', index)
    return this.#setBuffer(index)
  }

  /** @internal Detaches the entry from the ring's memory, which is about to be unmapped. */
  drop(): void {
    this.words = EMPTY
  }

  #setBuffer(value: number): this {
    const words = this.words
    words[WORD_BUFFER] = (words[WORD_BUFFER]! & ~MAX_U16) | value
    return this
  }
}

function checkEntryFlags(flags: number): void {
  if (typeof flags === 'number' && (flags & 0x7f) === flags) return
  if (typeof flags !== 'number') throw invalidType('flags', 'of type number', flags)
  throw outOfRange('flags', 'a combination of IOSQE_ flags, 0 to 127', flags)
}

function checkUint16(name: string, value: number): void {
  if (typeof value === 'number' && (value & MAX_U16) === value) return
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value)
  throw outOfRange(name, 'an integer >= 0 and <= 65535', value)
}

function badUserData(low: number, high: number): Error {
  const lowIsBad = typeof low !== 'number' || low >>> 0 !== low
  const [name, value] = lowIsBad ? ['low', low] : ['high', high]
  if (typeof value !== 'number') return invalidType(name as string, 'of type number', value)
  return outOfRange(name as string, 'an integer >= 0 and <= 4294967295', value)
}
