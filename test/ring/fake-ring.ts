// A kernel made of JavaScript behind the three-call seam: it lays out memory as io_uring_setup(2) describes it, takes
// entries and completes each with res 0. It does what a real kernel does not do on demand: counters that start near
// 2^32, refusals, short submits, lost completions, flags that no released kernel accepts yet.

import { ftruncateSync, openSync } from 'node:fs'
import {
  IO_URING_PARAMS,
  IORING_CQE_F_32,
  IORING_CQE_F_SKIP,
  IORING_ENTER_GETEVENTS,
  IORING_FEAT_EXT_ARG,
  IORING_FEAT_NODROP,
  IORING_FEAT_SINGLE_MMAP,
  IORING_OFF_CQ_RING,
  IORING_OFF_SQ_RING,
  IORING_OFF_SQES,
  IORING_OP_NOP128,
  IORING_SETUP_CQE_MIXED,
  IORING_SETUP_CQE32,
  IORING_SETUP_CQSIZE,
  IORING_SETUP_NO_MMAP,
  IORING_SETUP_NO_SQARRAY,
  IORING_SETUP_SQ_REWIND,
  IORING_SETUP_SQE128,
  IORING_SETUP_SQPOLL,
  IORING_SQ_CQ_OVERFLOW,
} from '../../src/syscalls/abi/index.js'
import { memfdCreate, viewMemory } from '../../src/syscalls/libc.js'
import { MappedRegion } from '../../src/syscalls/memory.js'
import { Struct } from '../../src/syscalls/struct.js'
import type { UringCalls } from '../../src/syscalls/uring-calls.js'

// Byte offsets, none of them a real kernel's: the ring has to take them from the parameters.
const SQ = { head: 64, tail: 128, ring_mask: 192, ring_entries: 196, flags: 200, dropped: 204 }
const CQ = { head: 256, tail: 320, ring_mask: 384, ring_entries: 388, overflow: 392, flags: 396, cqes: 448 }

export interface FakeOptions {
  /** Where all four counters begin. */
  readonly start?: number
  readonly features?: number
}

export interface EnterCall {
  readonly fd: number
  readonly toSubmit: number
  readonly minComplete: number
  readonly flags: number
}

type Completion = readonly [low: number, high: number, res: number, flags: number, extra?: readonly number[]]

export class FakeRing implements UringCalls {
  readonly enters: EnterCall[] = []
  readonly registers: number[] = []
  setups = 0
  /** What the next enters answer, one each, instead of doing anything. */
  readonly refusals: number[] = []
  /** How many entries the next enters take at most. */
  readonly limits: number[] = []
  /** Runs at the start of each enter. */
  onEnter: (() => void) | null = null
  /** Words of the entries taken, copied at that moment. */
  readonly taken: number[][] = []
  /** What becomes of an entry that was taken, instead of its completion with res 0. */
  onTaken: ((words: number[]) => void) | null = null
  /** Completions that found no room; they go in at an enter with GETEVENTS. */
  readonly overflowed: Completion[] = []
  sq!: Int32Array
  cq!: Int32Array
  sqes!: Int32Array
  sqEntries = 0
  cqEntries = 0
  #flags = 0
  #arrayAt = -1
  #head = 0
  readonly #start: number
  readonly #features: number
  readonly #own: MappedRegion[] = []

  constructor(options: FakeOptions = {}) {
    this.#start = options.start ?? 0
    this.#features = options.features ?? IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG
  }

  setup(entries: number, address: number): number {
    this.setups++
    const params = new Struct(IO_URING_PARAMS, new Uint8Array(viewMemory(address, IO_URING_PARAMS.size)))
    this.#flags = params.get('flags')
    this.sqEntries = 2 ** Math.ceil(Math.log2(entries))
    this.cqEntries = this.#has(IORING_SETUP_CQSIZE) ? params.get('cq_entries') : 2 * this.sqEntries
    const cqesEnd = CQ.cqes + this.cqEntries * this.#cqeWords * 4
    if (!this.#has(IORING_SETUP_NO_SQARRAY)) this.#arrayAt = cqesEnd / 4
    const ringBytes = cqesEnd + this.sqEntries * 4
    const sqesBytes = this.sqEntries * this.#sqeWords * 4
    params.assign({ sq_entries: this.sqEntries, cq_entries: this.cqEntries, features: this.#features })
    for (const [name, offset] of Object.entries(SQ)) params.set(`sq_off.${name as keyof typeof SQ}`, offset)
    for (const [name, offset] of Object.entries(CQ)) params.set(`cq_off.${name as keyof typeof CQ}`, offset)
    if (this.#arrayAt >= 0) params.set('sq_off.array', cqesEnd)

    let fd: number
    if (this.#has(IORING_SETUP_NO_MMAP)) {
      fd = openSync('/dev/null', 'r')
      this.sq = this.cq = new Int32Array(viewMemory(params.get('cq_off.user_addr'), ringBytes))
      this.sqes = new Int32Array(viewMemory(params.get('sq_off.user_addr'), sqesBytes))
    } else {
      // A sparse file has something at the three offsets that a ring is mapped from.
      fd = memfdCreate('fake-ring', 1)
      ftruncateSync(fd, IORING_OFF_SQES + sqesBytes)
      const map = (bytes: number, offset: number): Int32Array => {
        const region = MappedRegion.ofFile(fd, Math.ceil(bytes / 4096) * 4096, offset)
        this.#own.push(region)
        return new Int32Array(region.buffer)
      }
      this.sq = map(ringBytes, IORING_OFF_SQ_RING)
      this.cq = this.#features & IORING_FEAT_SINGLE_MMAP ? this.sq : map(ringBytes, IORING_OFF_CQ_RING)
      this.sqes = map(sqesBytes, IORING_OFF_SQES)
    }
    this.#head = this.#start | 0
    this.sq.set([this.sqEntries - 1, this.sqEntries], SQ.ring_mask / 4)
    this.cq.set([this.cqEntries - 1, this.cqEntries], CQ.ring_mask / 4)
    for (const at of [SQ.head, SQ.tail]) this.sq[at / 4] = this.#start
    for (const at of [CQ.head, CQ.tail]) this.cq[at / 4] = this.#start
    return fd
  }

  enter(fd: number, toSubmit: number, minComplete: number, flags: number): number {
    this.enters.push({ fd, toSubmit, minComplete, flags })
    this.onEnter?.()
    const refusal = this.refusals.shift()
    if (refusal !== undefined) return refusal
    const count = this.#has(IORING_SETUP_SQPOLL) ? toSubmit : this.take(toSubmit)
    if (flags & IORING_ENTER_GETEVENTS) this.flush()
    return count
  }

  register(_fd: number, opcode: number): number {
    this.registers.push(opcode)
    return -22
  }

  /** Takes up to `most` entries, as enter(2) or an SQPOLL thread does; returns how many. */
  take(most: number): number {
    const rewind = this.#has(IORING_SETUP_SQ_REWIND)
    if (rewind) this.#head = 0
    const available = rewind ? this.sqEntries : (Atomics.load(this.sq, SQ.tail / 4) - this.#head) >>> 0
    const count = Math.min(most, available, this.limits.shift() ?? available)
    let taken = 0
    while (taken < count) {
      const position = this.#head & (this.sqEntries - 1)
      const index = this.#arrayAt < 0 ? position : this.sq[this.#arrayAt + position]!
      this.#head = (this.#head + 1) | 0
      if (index >>> 0 >= this.sqEntries) {
        Atomics.add(this.sq, SQ.dropped / 4, 1)
        break
      }
      const words = [...this.sqes.subarray(index * this.#sqeWords, (index + 1) * this.#sqeWords)]
      const wide = (words[0]! & 0xff) === IORING_OP_NOP128 && this.#sqeWords === 16
      if (wide) words.push(...this.sqes.subarray((index + 1) * 16, (index + 2) * 16))
      if (wide) this.#head = (this.#head + 1) | 0
      taken += wide ? 2 : 1
      if (this.onTaken !== null) {
        this.onTaken(words)
        continue
      }
      this.taken.push(words)
      const isSkipped = (words[0]! & 0x4000) !== 0
      if (!isSkipped) this.post(words[8]!, words[9]!, 0, 0)
    }
    if (!rewind) Atomics.store(this.sq, SQ.head / 4, this.#head)
    return taken
  }

  /** Posts a CQE, or puts it on the overflow list. With `extra` it is a big one. */
  post(low: number, high: number, res: number, flags: number, extra?: readonly number[]): void {
    const completion: Completion = extra ? [low, high, res, flags, extra] : [low, high, res, flags]
    if (this.overflowed.length === 0 && this.#place(completion)) return
    this.overflowed.push(completion)
    Atomics.or(this.sq, SQ.flags / 4, IORING_SQ_CQ_OVERFLOW)
  }

  /** Stores to one of the shared words: `sqFlags`, `dropped`, `overflow`, ... */
  setWord(side: 'sq' | 'cq', name: string, value: number): void {
    Atomics.store(this[side], this.at(side, name), value)
  }

  word(side: 'sq' | 'cq', name: string): number {
    return Atomics.load(this[side], this.at(side, name)) >>> 0
  }

  /** Index of a shared word. */
  at(side: 'sq' | 'cq', name: string): number {
    return (side === 'sq' ? SQ : CQ)[name as 'head']! / 4
  }

  /** Unmaps what the fake itself mapped. The descriptor was the ring's to close. */
  dispose(): void {
    for (const region of this.#own) region.unmap()
  }

  get #sqeWords(): number {
    return this.#has(IORING_SETUP_SQE128) ? 32 : 16
  }

  get #cqeWords(): number {
    return this.#has(IORING_SETUP_CQE32) ? 8 : 4
  }

  #has(flag: number): boolean {
    return (this.#flags & flag) !== 0
  }

  #place([low, high, res, flags, extra = []]: Completion): boolean {
    const mask = this.cqEntries - 1
    const mixed = this.#has(IORING_SETUP_CQE_MIXED)
    const slots = mixed && extra.length > 0 ? 2 : 1
    let tail = this.cq[CQ.tail / 4]!
    const free = this.cqEntries - ((tail - Atomics.load(this.cq, CQ.head / 4)) >>> 0)
    // A big CQE never wraps: an entry that says "skip me" fills the last slot.
    const wraps = slots === 2 && (tail & mask) === mask
    if (free < slots + (wraps ? 1 : 0)) return false
    if (wraps) this.cq.set([0, 0, 0, IORING_CQE_F_SKIP], CQ.cqes / 4 + (tail++ & mask) * 4)
    const words = [low, high, res, slots === 2 ? flags | IORING_CQE_F_32 : flags, ...extra]
    this.cq.set(words, CQ.cqes / 4 + (tail & mask) * this.#cqeWords)
    Atomics.store(this.cq, CQ.tail / 4, tail + slots)
    return true
  }

  /** Moves what has overflowed into the completion queue, as far as there is room. */
  flush(): void {
    while (this.overflowed.length > 0 && this.#place(this.overflowed[0]!)) this.overflowed.shift()
    if (this.overflowed.length === 0) Atomics.and(this.sq, SQ.flags / 4, ~IORING_SQ_CQ_OVERFLOW)
  }
}
