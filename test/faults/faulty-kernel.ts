// A kernel in between: behind the three-call seam it plays io_uring in memory of its own, hands each operation on to a
// real ring, late, altered or not at all, and hands the completions back late, in another order, or as failures. What it
// does is what a kernel may do; when it does it, a seed decides.
//
// It also writes as late as a kernel may: what was read stays scribbled over until just before its completion is posted,
// and what is written is taken from memory only when the operation is handed on. Memory that was given away too early
// shows as wrong bytes.

import { Ring, registerEventfd } from '../../src/ring/index.js'
import { Wakeup } from '../../src/runtime/wakeup.js'
import {
  IO_URING_PARAMS,
  IORING_ACCEPT_MULTISHOT,
  IORING_ASYNC_CANCEL_ALL,
  IORING_CQ_EVENTFD_DISABLED,
  IORING_CQE_F_BUFFER,
  IORING_CQE_F_MORE,
  IORING_ENTER_GETEVENTS,
  IORING_ENTER_SQ_WAKEUP,
  IORING_OP_ACCEPT,
  IORING_OP_ASYNC_CANCEL,
  IORING_OP_CLOSE,
  IORING_OP_FSYNC,
  IORING_OP_OPENAT,
  IORING_OP_POLL_ADD,
  IORING_OP_READ,
  IORING_OP_RECV,
  IORING_OP_SEND,
  IORING_OP_SEND_ZC,
  IORING_OP_STATX,
  IORING_OP_WRITE,
  IORING_RECV_MULTISHOT,
  IORING_REGISTER_EVENTFD,
  IORING_REGISTER_EVENTFD_ASYNC,
  IORING_REGISTER_FILES,
  IORING_REGISTER_RESIZE_RINGS,
  IORING_REGISTER_RING_FDS,
  IORING_REGISTER_SYNC_CANCEL,
  IORING_SETUP_CQE32,
  IORING_SETUP_SQE128,
  IORING_SETUP_SQPOLL,
  IORING_SETUP_TASKRUN_FLAG,
  IORING_SQ_NEED_WAKEUP,
  IORING_SQ_TASKRUN,
  IORING_UNREGISTER_EVENTFD,
  IORING_UNREGISTER_RING_FDS,
  IOSQE_BUFFER_SELECT,
  IOSQE_IO_DRAIN,
  IOSQE_IO_HARDLINK,
  IOSQE_IO_LINK,
} from '../../src/syscalls/abi/index.js'
import { viewMemory, write } from '../../src/syscalls/libc.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { Struct } from '../../src/syscalls/struct.js'
import { kernelCalls, type UringCalls } from '../../src/syscalls/uring-calls.js'
import { FakeRing } from '../ring/fake-ring.js'
import type { Random } from './random.js'

const EINTR = -4
const EIO = -5
const EAGAIN = -11
const ENOMEM = -12
const EBUSY = -16
const EINVAL = -22
const ECANCELED = -125

const MSG_WAITALL = 0x100
/** user_data of what the kernel in between does on its own account. */
const OWN = 0xffff_ffff

/** How often what happens, as probabilities. */
export interface Rates {
  /** io_uring_setup(2) answers ENOMEM. */
  readonly noMemory: number
  /** enter(2) answers EINTR, EAGAIN or EBUSY, once or a number of times. */
  readonly refuse: number
  readonly shortSubmit: number
  /** An operation is begun late. */
  readonly holdBack: number
  /** A completion is posted late, and in another order. */
  readonly delay: number
  /** A read, write, receive or send is of fewer bytes than asked for. */
  readonly shorten: number
  /** An operation fails without having been begun. */
  readonly fail: number
  /** A multishot operation ends although nothing is wrong. */
  readonly endEarly: number
  /** The eventfd is signalled for nothing. */
  readonly spurious: number
  /** A completion is held back until the kernel is entered, or some time has passed (IORING_SQ_TASKRUN). */
  readonly deferTask: number
}

export const NO_FAULTS: Rates = {
  noMemory: 0,
  refuse: 0,
  shortSubmit: 0,
  holdBack: 0,
  delay: 0,
  shorten: 0,
  fail: 0,
  endEarly: 0,
  spurious: 0,
  deferTask: 0,
}

/** Rates for one run: each kind of fault is rare, common or absent. */
export function someRates(random: Random, most = 1): Rates {
  const rates = {} as Record<keyof Rates, number>
  for (const name of Object.keys(NO_FAULTS) as (keyof Rates)[]) {
    rates[name] = random.pick([0, 0.02, 0.1, 0.3]) * most
  }
  // Each open is one attempt only.
  rates.noMemory = 0
  return rates
}

/** What fails, and how; operations that are not named here are always begun. */
const FAILURES: Readonly<Record<number, readonly number[]>> = {
  [IORING_OP_READ]: [EINTR, EAGAIN, ECANCELED, ENOMEM],
  [IORING_OP_WRITE]: [EINTR, EAGAIN, ECANCELED, ENOMEM],
  [IORING_OP_RECV]: [EINTR, EAGAIN, ECANCELED, ENOMEM],
  [IORING_OP_SEND]: [EINTR, EAGAIN, ECANCELED, ENOMEM],
  [IORING_OP_SEND_ZC]: [EINTR, EAGAIN, ENOMEM],
  [IORING_OP_ACCEPT]: [EINTR, EAGAIN],
  [IORING_OP_FSYNC]: [EINTR, EAGAIN],
  [IORING_OP_OPENAT]: [EINTR, EAGAIN],
  [IORING_OP_STATX]: [EINTR, EAGAIN],
}
/** What a file system may answer to close(2), which has closed the descriptor all the same. */
const CLOSE_FAILURES: readonly number[] = [EINTR, EAGAIN, EIO]
/** What is gone the next time, and no news to whoever repeats operations. */
const TRANSIENT: ReadonlySet<number> = new Set([EINTR, EAGAIN])
const SHORTENED: ReadonlySet<number> = new Set([
  IORING_OP_READ,
  IORING_OP_WRITE,
  IORING_OP_RECV,
  IORING_OP_SEND,
])
const MULTISHOT: ReadonlySet<number> = new Set([IORING_OP_ACCEPT, IORING_OP_RECV, IORING_OP_POLL_ADD])
/** What in their `ioprio` makes them so. */
const MULTISHOT_BITS: Readonly<Record<number, number>> = {
  [IORING_OP_ACCEPT]: IORING_ACCEPT_MULTISHOT,
  [IORING_OP_RECV]: IORING_RECV_MULTISHOT,
}
/** Those that store at the address in their entry when they complete. */
const READING: ReadonlySet<number> = new Set([IORING_OP_READ, IORING_OP_RECV])

interface Cqe {
  readonly key: string
  readonly low: number
  readonly high: number
  res: number
  flags: number
  readonly extra: readonly number[]
  due: number
  /** What is to be in memory when the completion is there. */
  restore: { readonly memory: Uint8Array; readonly bytes: Uint8Array } | null
}

interface Operation {
  readonly opcode: number
  readonly address: number
  readonly selectsBuffer: boolean
  /** Instead of the real result. */
  override: number | null
  /** Completions of an operation that is being ended early. */
  held: Cqe[] | null
  /** When its last completion is posted. */
  lastDue: number
}

export class FaultyKernel implements UringCalls {
  readonly random: Random
  readonly rates: Rates
  /** As before Linux 5.19: accepts and receives that would complete more than once are refused. */
  lacksMultishot = false
  /** Faults injected, by kind. */
  readonly injected: Record<string, number> = {}
  readonly #failures: 'any' | 'transient'
  readonly #real: UringCalls = { ...kernelCalls }
  readonly #rings = new Map<number, FaultyRing>()
  readonly #all = new Set<FaultyRing>()

  /** @param failures - What operations fail with: anything, or only what `uring/fs` repeats by itself. */
  constructor(random: Random, rates: Rates, failures: 'any' | 'transient' = 'any') {
    this.random = random
    this.rates = rates
    this.#failures = failures
  }

  /** The errno that an operation of that kind fails with; null for one that never fails. */
  failureOf(opcode: number): number | null {
    const isTransient = this.#failures === 'transient'
    if (opcode === IORING_OP_CLOSE) return isTransient ? EINTR : this.random.pick(CLOSE_FAILURES)
    const failures = FAILURES[opcode]
    if (failures === undefined) return null
    return this.random.pick(isTransient ? failures.filter((errno) => TRANSIENT.has(errno)) : failures)
  }

  /** Puts this kernel under every ring that is made from now on, until the function that is returned is called. */
  install(): () => void {
    kernelCalls.setup = (entries, params) => this.setup(entries, params)
    kernelCalls.enter = (...args) => this.enter(...args)
    kernelCalls.register = (...args) => this.register(...args)
    return () => Object.assign(kernelCalls, this.#real)
  }

  /** Whether to do what is done at that rate; counted. */
  decides(what: keyof Rates): boolean {
    const rate = this.rates[what]
    if (rate === 0 || !this.random.chance(rate)) return false
    this.injected[what] = (this.injected[what] ?? 0) + 1
    return true
  }

  setup(entries: number, params: number): number {
    if (this.decides('noMemory')) return ENOMEM
    try {
      const ring = new FaultyRing(this, this.#real, entries, params)
      this.#rings.set(ring.fd, ring)
      this.#all.add(ring)
      return ring.fd
    } catch (error) {
      return (error as { errno?: number }).errno ?? EINVAL
    }
  }

  enter(fd: number, toSubmit: number, least: number, flags: number, arg: number, argBytes: number): number {
    const ring = this.#rings.get(fd)
    if (ring === undefined) return this.#real.enter(fd, toSubmit, least, flags, arg, argBytes)
    return ring.enter(toSubmit, least, flags)
  }

  register(fd: number, opcode: number, arg: number, count: number): number {
    const ring = this.#rings.get(fd)
    if (ring === undefined) return this.#real.register(fd, opcode, arg, count)
    return ring.register(opcode, arg, count)
  }

  /** Closes what is behind rings that are closed. */
  dispose(): void {
    for (const ring of this.#all) ring.dispose()
    this.#all.clear()
    this.#rings.clear()
  }
}

class FaultyRing {
  readonly fd: number
  readonly #kernel: FaultyKernel
  readonly #real: UringCalls
  readonly #fake: FakeRing
  readonly #inner: Ring
  readonly #wakeup: Wakeup
  readonly #flags: number
  /** Entries taken by the call in progress. */
  #taken: number[][] = []
  /** Entries that are not handed on yet; links together. */
  readonly #heldBack: { readonly chain: number[][]; readonly due: number }[] = []
  readonly #operations = new Map<string, Operation>()
  /** Completions that are not posted yet. */
  #outbox: Cqe[] = []
  #lastBufferDue = 0
  #tick = 0
  #refusals = 0
  #refusal = EINTR
  #eventfd = -1
  #sleeps = false
  #idleTicks = 0
  #isScheduled = false
  #isOver = false
  readonly #one = new Uint8Array(new BigUint64Array([1n]).buffer)

  constructor(kernel: FaultyKernel, real: UringCalls, entries: number, address: number) {
    this.#kernel = kernel
    this.#real = real
    const params = new Struct(IO_URING_PARAMS, new Uint8Array(viewMemory(address, IO_URING_PARAMS.size)))
    this.#flags = params.get('flags')
    const innerFlags = this.#flags & (IORING_SETUP_SQE128 | IORING_SETUP_CQE32)
    this.#inner = Ring.open({ entries: 1024, cqEntries: 16384, flags: innerFlags }, real)
    this.#fake = new FakeRing({ features: this.#inner.features })
    this.#fake.onTaken = (words) => this.#taken.push(words)
    this.fd = this.#fake.setup(entries, address)
    this.#wakeup = new Wakeup(() => this.#pump())
    registerEventfd(this.#inner, this.#wakeup.fd)
    if (this.#isPolled) this.#schedule()
  }

  get #isPolled(): boolean {
    return (this.#flags & IORING_SETUP_SQPOLL) !== 0
  }

  enter(toSubmit: number, least: number, flags: number): number {
    if (this.#refusals === 0 && this.#kernel.decides('refuse')) {
      this.#refusals = this.#kernel.random.integer(1, 40)
      this.#refusal = this.#kernel.random.pick([EINTR, EAGAIN, EBUSY])
    }
    if (this.#refusals > 0) {
      this.#refusals--
      return this.#refusal
    }
    let taken = toSubmit
    if (this.#isPolled) {
      if (flags & IORING_ENTER_SQ_WAKEUP) this.#wake()
    } else taken = this.#take(toSubmit)
    this.#advance()
    if (flags & IORING_ENTER_GETEVENTS || this.#isPolled) {
      this.#setSqFlag(IORING_SQ_TASKRUN, false)
      this.#post()
      this.#fake.flush()
      while (this.#ready < least) {
        this.#tick += 8
        this.#advance()
        this.#post()
        this.#fake.flush()
        if (this.#ready < least && this.#inner.cqReady === 0) this.#inner.submitAndWait(1, 20)
      }
    } else this.#post()
    return taken
  }

  register(opcodeAndFlags: number, arg: number, count: number): number {
    const opcode = opcodeAndFlags & 0x7fff_ffff
    switch (opcode) {
      case IORING_REGISTER_EVENTFD:
      case IORING_REGISTER_EVENTFD_ASYNC:
        this.#eventfd = new Int32Array(viewMemory(arg, 4))[0]!
        return 0
      case IORING_UNREGISTER_EVENTFD:
        this.#eventfd = -1
        return 0
      case IORING_REGISTER_RING_FDS:
      case IORING_UNREGISTER_RING_FDS:
      case IORING_REGISTER_RESIZE_RINGS:
        return EINVAL
      case IORING_REGISTER_SYNC_CANCEL: {
        this.#handOn(true)
        const words = new Int32Array(viewMemory(arg, 64))
        const isClosing = (words[3]! & IORING_ASYNC_CANCEL_ALL) !== 0 && words[4]! > 0
        const result = this.#real.register(this.#inner.fd, opcode, arg, count)
        if (isClosing) this.#end()
        return result
      }
      case IORING_REGISTER_FILES: {
        const result = this.#real.register(this.#inner.fd, opcode, arg, count)
        // A ring that is closed with operations in flight waits for its files to be let go of.
        if (this.#isOver) this.dispose()
        return result
      }
      default:
        return this.#real.register(this.#inner.fd, opcode, arg, count)
    }
  }

  dispose(): void {
    this.#end()
    if (this.#inner.closed) return
    this.#wakeup.close()
    this.#inner.close()
    this.#fake.dispose()
  }

  /** The ring is being closed: it signals nothing any more. */
  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#eventfd = -1
    for (const { restore } of this.#outbox) restore?.memory.set(restore.bytes)
    setImmediate(() => this.dispose())
  }

  /** Takes entries as enter(2) does. @returns How many. */
  #take(most: number): number {
    let count = most
    if (most > 1 && this.#kernel.decides('shortSubmit')) count = this.#kernel.random.integer(1, most - 1)
    let taken = 0
    // A link is never divided: what is published is published with its end.
    while (taken < count || (taken > 0 && isLinked(this.#taken.at(-1)!))) {
      if (this.#fake.take(1) === 0) break
      taken++
    }
    this.#sortOut()
    return taken
  }

  /** Decides when each entry, or each link of entries, is begun. */
  #sortOut(): void {
    let chain: number[][] = []
    for (const words of this.#taken.splice(0)) {
      chain.push(words)
      if (isLinked(words)) continue
      if (flagsOf(chain[0]!) & IOSQE_IO_DRAIN) {
        // It waits for all before it, so they must be there.
        this.#handOn(true)
        this.#heldBack.push({ chain, due: 0 })
        this.#handOn(true)
      } else {
        const late = this.#kernel.decides('holdBack') ? this.#kernel.random.integer(1, 6) : 0
        this.#heldBack.push({ chain, due: this.#tick + late })
      }
      chain = []
    }
    if (chain.length > 0) this.#heldBack.push({ chain, due: this.#tick })
  }

  /** Hands operations on whose time has come. */
  #handOn(all = false): void {
    for (let at = 0; at < this.#heldBack.length; ) {
      const { chain, due } = this.#heldBack[at]!
      if (!all && due > this.#tick) {
        at++
        continue
      }
      this.#heldBack.splice(at, 1)
      if (chain.length === 1 && this.#failsOutright(chain[0]!)) continue
      if (this.#inner.sqSpaceLeft < chain.length) this.#inner.submit()
      for (const words of chain) this.#begin(words, chain.length === 1)
    }
    if (this.#inner.sqPending > 0) this.#inner.submit()
  }

  #failsOutright(words: number[]): boolean {
    const opcode = words[0]! & 0xff
    const multishot = MULTISHOT_BITS[opcode] ?? 0
    if (this.#kernel.lacksMultishot && (words[0]! >>> 16) & multishot) {
      this.#deliver(cqeOf(words[8]!, words[9]!, EINVAL, 0, this.#noExtra), null)
      return true
    }
    if (FAILURES[opcode] === undefined || !this.#kernel.decides('fail')) return false
    const errno = this.#kernel.failureOf(opcode)!
    this.#deliver(cqeOf(words[8]!, words[9]!, errno, 0, this.#noExtra), null)
    return true
  }

  #begin(words: number[], isAlone: boolean): void {
    const opcode = words[0]! & 0xff
    const flags = flagsOf(words)
    const priority = words[0]! >>> 16
    const length = words[6]! >>> 0
    const selectsBuffer = (flags & IOSQE_BUFFER_SELECT) !== 0
    const isPlain = isAlone && !selectsBuffer && priority === 0
    const waitsForAll = (opcode === IORING_OP_RECV || opcode === IORING_OP_SEND) && words[7]! & MSG_WAITALL
    // An eventfd is read and written in eights.
    const isDivisible = length > 1 && length !== 8
    if (isPlain && !waitsForAll && SHORTENED.has(opcode) && isDivisible && this.#kernel.decides('shorten')) {
      words[6] = this.#shorter(words[4]!, length)
    }
    // Done all the same.
    const override =
      opcode === IORING_OP_CLOSE && this.#kernel.decides('fail') ? this.#kernel.failureOf(opcode) : null
    this.#operations.set(keyOf(words[8]!, words[9]!), {
      opcode,
      address: (words[4]! >>> 0) + (words[5]! >>> 0) * 2 ** 32,
      selectsBuffer,
      override,
      held: null,
      lastDue: 0,
    })
    this.#inner.getSqe()!.words.set(words)
  }

  /** Fewer bytes; what may be direct IO stays aligned. */
  #shorter(addressLow: number, length: number): number {
    const unit = length % 512 === 0 && addressLow % 512 === 0 && length > 512 ? 512 : 1
    return unit * this.#kernel.random.integer(1, Math.max(1, Math.ceil(length / unit) - 1))
  }

  /** Lets time pass: what is due is begun, what is complete is taken in. */
  #advance(): void {
    this.#tick++
    this.#handOn()
    this.#inner.forEachBigCqe((low, high, res, flags, ...extra) => {
      if (high !== OWN)
        this.#takeIn(cqeOf(low, high, res, flags, this.#flags & IORING_SETUP_CQE32 ? extra : []))
    })
    if (this.#heldBack.length + this.#outbox.length > 0) this.#schedule()
  }

  get #noExtra(): readonly number[] {
    return this.#flags & IORING_SETUP_CQE32 ? [0, 0, 0, 0] : []
  }

  #takeIn(cqe: Cqe): void {
    const operation = this.#operations.get(cqe.key)
    if (operation === undefined) {
      this.#deliver(cqe, null)
      return
    }
    const more = (cqe.flags & IORING_CQE_F_MORE) !== 0
    if (!more) this.#operations.delete(cqe.key)
    if (operation.override !== null && cqe.res >= 0) cqe.res = operation.override
    if (operation.held !== null) {
      operation.held.push(cqe)
      if (more) return
      // Ended by our own cancel: what was last becomes the last.
      if (cqe.res === ECANCELED && operation.held.length > 1) {
        operation.held.pop()
        operation.held.at(-1)!.flags &= ~IORING_CQE_F_MORE
      }
      for (const held of operation.held) this.#deliver(held, operation)
      return
    }
    if (more && MULTISHOT.has(operation.opcode) && cqe.res >= 0 && this.#kernel.decides('endEarly')) {
      operation.held = [cqe]
      const sqe = this.#inner.getSqe()
      if (sqe !== null) {
        sqe.words[0] = IORING_OP_ASYNC_CANCEL
        sqe.words[1] = -1
        sqe.words[4] = cqe.low
        sqe.words[5] = cqe.high
        sqe.setUserData(0, OWN)
        this.#inner.submit()
        return
      }
      operation.held = null
    }
    this.#deliver(cqe, operation)
  }

  #deliver(cqe: Cqe, operation: Operation | null): void {
    const late = this.#kernel.decides('delay') ? this.#kernel.random.integer(1, 6) : 0
    cqe.due = Math.max(this.#tick + late, operation?.lastDue ?? 0)
    if (cqe.flags & IORING_CQE_F_BUFFER) {
      // What shares buffers completes in the order in which it filled them.
      cqe.due = Math.max(cqe.due, this.#lastBufferDue)
      this.#lastBufferDue = cqe.due
    }
    if (operation !== null) {
      operation.lastDue = cqe.due
      const { opcode, selectsBuffer, address } = operation
      if (cqe.due > this.#tick && READING.has(opcode) && !selectsBuffer && cqe.res > 0) {
        const memory = new Uint8Array(viewMemory(address, cqe.res))
        cqe.restore = { memory, bytes: memory.slice() }
        memory.fill(this.#kernel.random.integer(0, 255))
      }
    }
    this.#outbox.push(cqe)
    if (late > 0) this.#schedule()
  }

  /** Posts what is due, in an order of its own where the order is free. */
  #post(): void {
    const due = this.#outbox.filter((cqe) => cqe.due <= this.#tick)
    if (due.length === 0) return
    this.#outbox = this.#outbox.filter((cqe) => cqe.due > this.#tick)
    if (this.#kernel.rates.delay > 0) {
      for (let swaps = 2 * due.length; swaps > 0; swaps--) {
        const at = this.#kernel.random.integer(0, due.length - 1)
        const [one, other] = [due[at]!, due[at + 1]]
        if (other === undefined || one.key === other.key) continue
        if (one.flags & other.flags & IORING_CQE_F_BUFFER) continue
        due[at] = other
        due[at + 1] = one
      }
    }
    for (const { low, high, res, flags, extra, restore } of due) {
      restore?.memory.set(restore.bytes)
      this.#fake.post(low, high, res, flags, extra.length > 0 ? extra : undefined)
    }
    this.#signal()
  }

  #signal(): void {
    if (this.#eventfd < 0) return
    if (this.#fake.word('cq', 'flags') & IORING_CQ_EVENTFD_DISABLED) return
    write(this.#eventfd, addressOf(this.#one), 8)
  }

  get #ready(): number {
    return (this.#fake.word('cq', 'tail') - this.#fake.word('cq', 'head')) >>> 0
  }

  #setSqFlag(flag: number, isSet: boolean): void {
    const flags = this.#fake.word('sq', 'flags')
    this.#fake.setWord('sq', 'flags', isSet ? flags | flag : flags & ~flag)
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isOver) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#pump()
    })
  }

  /** What the kernel does while JavaScript is elsewhere. */
  #pump(): void {
    if (this.#isOver) return
    if (this.#isPolled) this.#poll()
    this.#advance()
    const hasDue = this.#outbox.some((cqe) => cqe.due <= this.#tick)
    // Once: then this thread has been somewhere in the kernel, and what was held back is posted.
    const canDefer =
      (this.#flags & IORING_SETUP_TASKRUN_FLAG) !== 0 &&
      (this.#fake.word('sq', 'flags') & IORING_SQ_TASKRUN) === 0
    const defers = canDefer && hasDue && this.#kernel.decides('deferTask')
    if (defers) {
      this.#setSqFlag(IORING_SQ_TASKRUN, true)
      this.#schedule()
    } else {
      this.#setSqFlag(IORING_SQ_TASKRUN, false)
      this.#post()
    }
    if (this.#kernel.decides('spurious') && this.#eventfd >= 0) write(this.#eventfd, addressOf(this.#one), 8)
  }

  /** The SQPOLL thread: takes what it sees, falls asleep when it has seen nothing for a while. */
  #poll(): void {
    if (this.#sleeps) return
    const seen = this.#take(this.#kernel.random.integer(1, this.#fake.sqEntries))
    this.#idleTicks = seen > 0 ? 0 : this.#idleTicks + 1
    if (this.#idleTicks > this.#kernel.random.integer(1, 8)) {
      this.#setSqFlag(IORING_SQ_NEED_WAKEUP, true)
      this.#sleeps = true
    } else this.#schedule()
  }

  #wake(): void {
    if (!this.#sleeps) return
    this.#sleeps = false
    this.#idleTicks = 0
    this.#setSqFlag(IORING_SQ_NEED_WAKEUP, false)
    this.#schedule()
  }
}

function flagsOf(words: readonly number[]): number {
  return (words[0]! >>> 8) & 0xff
}

function isLinked(words: readonly number[]): boolean {
  return (flagsOf(words) & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK)) !== 0
}

function keyOf(low: number, high: number): string {
  return `${low >>> 0}:${high >>> 0}`
}

function cqeOf(low: number, high: number, res: number, flags: number, extra: readonly number[]): Cqe {
  return { key: keyOf(low, high), low, high, res, flags, extra, due: 0, restore: null }
}
