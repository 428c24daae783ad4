// The way into the ring: finds room for entries, keeps the line of operations that wait for it, and submits.
// Once the kernel has an entry, settlement.ts takes over.

import {
  IORING_OP_NOP,
  IORING_OP_SEND_ZC,
  IORING_OP_SENDMSG_ZC,
  IORING_SETUP_SQE128,
  IORING_SETUP_SQPOLL,
  IOSQE_IO_DRAIN,
  IOSQE_IO_LINK,
  prepLinkTimeout,
  type Ring,
  type Sqe,
} from '../ring/index.js'
import { WORD_USER_DATA } from '../ring/sqe.js'
import { log } from './diagnostics.js'
import { EntryImages } from './entry-images.js'
import type { InFlight } from './in-flight.js'
import { ROLE_OPERATION, ROLE_TIMEOUT, type Slot } from './slot.js'
import { WaitingLine } from './waiting-line.js'

/** The bits of an entry's first word that link and drain it. */
const LINK_BIT = IOSQE_IO_LINK << 8
const DRAIN_BIT = IOSQE_IO_DRAIN << 8

/** Receives what cannot be reported to a caller. */
export interface SubmissionHost {
  /** The ring is unusable. */
  fail(error: Error): void
  /** An entry with IOSQE_IO_DRAIN goes to the kernel. */
  drains(): void
}

export class Submission {
  /** Operations that wait for room. */
  readonly line = new WaitingLine()
  /** Entries kept outside the queue until there is room. */
  readonly images: EntryImages
  readonly isSqpoll: boolean
  readonly #ring: Ring
  readonly #inFlight: InFlight
  readonly #host: SubmissionHost
  /** The hot path is open while `outstanding` is below this: 0 while operations wait or none are let in. */
  #limit = 0
  /** Counts submits: the kernel has not seen the entries of the current batch. */
  #batch = 0
  /** An entry was made since the last submit: with SQPOLL nothing else shows that its thread must be told. */
  #hasFresh = false
  /** Something waits for room in the submission queue, which only the SQPOLL thread can make. */
  #wantsSpace = false
  #enters = 0
  #refusals = 0

  constructor(ring: Ring, inFlight: InFlight, host: SubmissionHost) {
    this.#ring = ring
    this.#inFlight = inFlight
    this.#host = host
    this.isSqpoll = (ring.flags & IORING_SETUP_SQPOLL) !== 0
    this.images = new EntryImages(ring.flags & IORING_SETUP_SQE128 ? 32 : 16)
    this.#limit = inFlight.max
  }

  /** Times the kernel was entered to submit. */
  get enters(): number {
    return this.#enters
  }

  /** Times the kernel refused a batch, or to post the completions that it held back. */
  get refusals(): number {
    return this.#refusals
  }

  /** Whether there are entries that the kernel has not been shown. */
  get isDue(): boolean {
    return this.isSqpoll ? this.#hasFresh : this.#ring.sqPending > 0
  }

  /** Whether something waits for the SQPOLL thread to make room, which nobody announces. Asking resets it. */
  takeWantsSpace(): boolean {
    const wants = this.#wantsSpace
    this.#wantsSpace = false
    return wants
  }

  /** The hot path: an entry, or null when the operation must wait. */
  take(): Sqe | null {
    if (this.#inFlight.outstanding >= this.#limit) return null
    return this.#ring.getSqe() ?? this.#makeRoom()
  }

  /** An entry for a cancel, already counted as outstanding; null when there is no room now. */
  takeForCancel(): Sqe | null {
    const sqe = this.#ring.getSqe() ?? this.#makeRoom()
    if (sqe === null) this.#wantsSpace = true
    else this.#inFlight.outstanding++
    return sqe
  }

  /** Whether one more CQE may come without overflowing the completion queue. */
  hasCompletionRoom(): boolean {
    return this.#inFlight.outstanding < this.#inFlight.max
  }

  /** Whether that many adjacent entries are free. Submits the queued ones when they are in the way. */
  hasRoom(entries: number): boolean {
    return this.#inFlight.outstanding + entries <= this.#inFlight.max && this.#hasEntries(entries)
  }

  /** As `hasRoom`, for the head of the line, which may be a chain, or have a time limit. */
  #hasRoomForHead(head: Slot, entries: number): boolean {
    if (this.hasRoom(entries)) return true
    // What is in flight may be waiting for an operation behind a chain, or for nothing that ever comes, and a
    // time limit begins in the kernel. Then enough room would never come, so the head may exceed the bound. The
    // kernel keeps completions that do not fit.
    const mayExceed = head.chain === null ? entries > 1 : head.next !== null
    return mayExceed && this.hasCompletionRoom() && this.#hasEntries(entries)
  }

  #hasEntries(entries: number): boolean {
    if (this.#ring.sqSpaceLeft >= entries) return true
    this.submitNow()
    this.#wantsSpace = this.#ring.sqSpaceLeft < entries
    return !this.#wantsSpace
  }

  /** Takes no more entries on the hot path. */
  shut(): void {
    this.#limit = 0
  }

  /** Puts the operation in line for room. Its entry is kept as an image. */
  wait(slot: Slot): void {
    this.line.push(slot)
    this.#limit = 0
  }

  /** Takes an operation out of the line. */
  unwait(slot: Slot): void {
    this.line.remove(slot)
    this.#openTheGate()
  }

  /** Opens the hot path again when nobody is in line. */
  #openTheGate(): void {
    if (this.line.first === null && !this.#inFlight.isClosing) this.#limit = this.#inFlight.max
  }

  /** Puts the slot's entry, and that of its time limit, into the submission queue, which must have room. */
  place(slot: Slot): void {
    const sqe = this.#ring.getSqe()!
    this.images.restore(slot, sqe)
    const { entries, linkFlags } = slot
    if (linkFlags !== 0) sqe.addFlags(linkFlags)
    this.enter(slot, sqe)
    if (entries === 1) return
    slot.remaining++
    this.#inFlight.outstanding++
    // The timeout carries the operation's own link flags, so that a chain goes on behind it.
    if (linkFlags === 0) sqe.addFlags(IOSQE_IO_LINK)
    const timeout = this.#ring.getSqe()!
    prepLinkTimeout(timeout, slot.timeoutBlock!.address, 0)
    if (linkFlags !== 0) timeout.addFlags(linkFlags)
    timeout.setUserData(slot.index | ROLE_TIMEOUT, slot.generation)
  }

  /** Makes the prepared entry that of the slot, and counts its CQEs as outstanding. */
  enter(slot: Slot, sqe: Sqe): void {
    sqe.setUserData(slot.index | ROLE_OPERATION, slot.userDataHigh)
    const head = sqe.words[0]!
    const opcode = head & 0xff
    if (head & DRAIN_BIT) this.#host.drains()
    slot.zeroCopy = opcode === IORING_OP_SEND_ZC || opcode === IORING_OP_SENDMSG_ZC
    slot.remaining = slot.zeroCopy ? 2 : 1
    slot.sqe = sqe
    slot.batch = this.#batch
    this.#hasFresh = true
    if (!slot.standing) this.#inFlight.outstanding += slot.remaining
  }

  /** As `enter`, for an operation with one CQE whose slot stays plain: it cannot be taken back. */
  enterPlain(slot: Slot, sqe: Sqe): void {
    sqe.setUserData(slot.index, slot.generation)
    slot.remaining = 1
    this.#hasFresh = true
    this.#inFlight.outstanding++
  }

  /** Counts one CQE, of an entry without a slot or of linked entries that share it. */
  entered(): void {
    this.#hasFresh = true
    this.#inFlight.outstanding++
  }

  /** Takes back an operation that the kernel has not seen. @returns False when it may have, or in a chain. */
  takeBack(slot: Slot): boolean {
    if (slot.batch !== this.#batch || slot.sqe === null || slot.chain !== null || this.isSqpoll) return false
    // An entry that links to the next must go on doing so.
    const words = slot.sqe.words
    const links = words[0]! & LINK_BIT
    words.fill(0, 0, WORD_USER_DATA)
    words.fill(0, WORD_USER_DATA + 2)
    words[0] = IORING_OP_NOP | links
    // The result of a NOP is 0, which would count as a descriptor.
    slot.opens = false
    words[WORD_USER_DATA + 1] = slot.generation
    slot.voided = true
    return true
  }

  /** Moves operations from the line into the ring while there is room. @returns Whether any were moved. */
  feed(): boolean {
    let wasFed = false
    for (let slot = this.line.first; slot !== null; slot = this.line.first) {
      const { chain } = slot
      const entries = chain === null ? slot.entries : chain.reduce((sum, member) => sum + member.entries, 0)
      if (!this.#hasRoomForHead(slot, entries)) return wasFed
      wasFed = true
      this.line.remove(slot)
      if (chain === null) this.place(slot)
      else for (const member of chain) this.place(member)
    }
    this.#openTheGate()
    return wasFed
  }

  /** Submits what is queued. @returns False when the kernel refuses for now; nothing is lost then. */
  submitNow(): boolean {
    if (this.#ring.sqPending === 0) return true
    this.#enters++
    this.#batch = (this.#batch + 1) | 0
    this.#hasFresh = false
    try {
      return this.#ring.submit() > 0
    } catch (error) {
      if (this.isRefusal(error)) {
        // The SQPOLL thread may not have been woken.
        this.#hasFresh = true
        return false
      }
      this.#host.fail(error as Error)
      return true
    }
  }

  /** Whether the error only means that the kernel must be asked again later. Counts such refusals. */
  isRefusal(error: unknown): boolean {
    const { code } = error as { code?: string }
    if (code !== 'EBUSY' && code !== 'EAGAIN' && code !== 'EINTR') return false
    this.#refusals++
    log(`the kernel refused for now: ${(error as Error).message}`)
    return true
  }

  #makeRoom(): Sqe | null {
    this.submitNow()
    return this.#ring.closed ? null : this.#ring.getSqe()
  }
}
