// The way into the ring: room for entries, the line of those that wait for it, and the submit. What happens to an entry
// once the kernel has it is settlement.ts's.

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

/** Who hears of what cannot be told to a caller. */
export interface SubmissionHost {
  /** The ring is of no use any more. */
  fail(error: Error): void
  /** An entry with IOSQE_IO_DRAIN goes to the kernel. */
  drains(): void
}

export class Submission {
  /** Operations that wait for room. */
  readonly line = new WaitingLine()
  /** Entries that stand outside of the queue until there is room. */
  readonly images: EntryImages
  readonly isSqpoll: boolean
  readonly #ring: Ring
  readonly #inFlight: InFlight
  readonly #host: SubmissionHost
  /** What `outstanding` must stay below for the hot path: 0 while operations wait, or none is taken in. */
  #limit = 0
  /** Counts submits: an entry of the current batch has not been seen by the kernel. */
  #batch = 0
  /** An entry was made since the last submit. With SQPOLL nothing else tells those that its thread has yet to be shown. */
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

  /** Times it would not take a batch, or post what it held back. */
  get refusals(): number {
    return this.#refusals
  }

  /** Whether there is an entry that the kernel has yet to be shown. */
  get isDue(): boolean {
    return this.isSqpoll ? this.#hasFresh : this.#ring.sqPending > 0
  }

  /** Whether something waits for the SQPOLL thread to make room, which tells nobody that it has. Forgotten when asked. */
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

  /** An entry for a cancel, which is counted; null when there is no room now. */
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

  /** Whether that many adjacent entries can be had, if need be after a submit. */
  hasRoom(entries: number): boolean {
    return this.#inFlight.outstanding + entries <= this.#inFlight.max && this.#hasEntries(entries)
  }

  /** The same for the head of the line, which may need several entries. */
  #hasRoomForHead(head: Slot, entries: number): boolean {
    if (this.hasRoom(entries)) return true
    // What is in flight may wait for an operation behind this one, so that so much room never comes. It may exceed the bound
    // then, which loses nothing.
    return entries > 1 && head.next !== null && this.hasCompletionRoom() && this.#hasEntries(entries)
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

  /** Has the operation wait for room. Its entry is kept as an image. */
  wait(slot: Slot): void {
    this.line.push(slot)
    this.#limit = 0
  }

  /** Takes an operation out of the line. */
  unwait(slot: Slot): void {
    this.line.remove(slot)
    this.#openTheGate()
  }

  /** Lets the hot path through again when nobody is in line. */
  #openTheGate(): void {
    if (this.line.first === null && !this.#inFlight.isClosing) this.#limit = this.#inFlight.max
  }

  /** Puts the slot's entry, and that of its time limit, into the submission queue, where there is room. */
  place(slot: Slot): void {
    const sqe = this.#ring.getSqe()!
    this.images.restore(slot, sqe)
    const { entries, linkFlags } = slot
    if (linkFlags !== 0) sqe.addFlags(linkFlags)
    this.enter(slot, sqe)
    if (entries === 1) return
    slot.remaining++
    this.#inFlight.outstanding++
    // The time limit is linked like the operation itself, so that a chain goes on behind it.
    if (linkFlags === 0) sqe.addFlags(IOSQE_IO_LINK)
    const timeout = this.#ring.getSqe()!
    prepLinkTimeout(timeout, slot.timeoutBlock!.address, 0)
    if (linkFlags !== 0) timeout.addFlags(linkFlags)
    timeout.setUserData(slot.index | ROLE_TIMEOUT, slot.generation)
  }

  /** The prepared entry is the slot's. */
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

  /** An entry was filled in for nobody, or for several. */
  entered(): void {
    this.#hasFresh = true
    this.#inFlight.outstanding++
  }

  /** Takes an operation back that the kernel has not seen. @returns False when it may have. */
  takeBack(slot: Slot): boolean {
    if (slot.batch !== this.#batch || slot.sqe === null || slot.chain !== null || this.isSqpoll) return false
    // What follows the entry in a link must stay linked.
    const words = slot.sqe.words
    const links = words[0]! & LINK_BIT
    words.fill(0, 0, WORD_USER_DATA)
    words.fill(0, WORD_USER_DATA + 2)
    words[0] = IORING_OP_NOP | links
    // A NOP answers 0, which is a descriptor as well.
    slot.opens = false
    words[WORD_USER_DATA + 1] = slot.generation
    slot.voided = true
    return true
  }

  /** Lets in from the line as many as there is room for. @returns Whether there was any. */
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

  /** Gives the kernel what is queued. @returns False when it refuses for now; nothing is lost then. */
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

  /** Whether the kernel only asks to be asked again, after a while; counted. */
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
