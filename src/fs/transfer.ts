// The reads and writes of a FileHandle. Each is one promise and one reusable object, which has the callbacks
// for the driver, so that an operation creates no closures.

import fs from 'node:fs'
import {
  addressOf,
  prepRead,
  prepReadv,
  prepWrite,
  prepWritev,
  type Sqe,
  systemError,
} from '../ring/index.js'
import type { Block } from '../runtime/arena.js'
import type { Uring } from '../runtime/index.js'
import { EINVAL, ESPIPE } from '../syscalls/errno-values.js'
import { byteLengthOf, knownAddressOf } from '../syscalls/memory.js'
import { asksAgain, callError, MAX_REPEATS } from './call.js'
import { type Descriptor, positionOf } from './descriptor.js'
import { outOfBounds } from './node-errors.js'
import { ringFor } from './ring-choice.js'

/** Where in the file; -1 is its current position. */
export type Position = number | bigint

const { O_APPEND } = fs.constants
const MAX_TRANSFER = 0x7fff_f000
/** What one readv(2) or writev(2) takes. */
const MAX_VECTORS = 1024
const IOVEC_BYTES = 16

type Kind = 'read' | 'write' | 'readv' | 'writev'
/** What the promise resolves to. */
interface TransferResult {
  readonly bytesRead?: number
  readonly bytesWritten?: number
  readonly buffer?: unknown
  readonly buffers?: unknown
}

let takenResolve: (value: TransferResult) => void
let takenReject: (error: unknown) => void
function takeResolvers(resolve: (value: TransferResult) => void, reject: (error: unknown) => void): void {
  takenResolve = resolve
  takenReject = reject
}

class Transfer {
  uring: Uring | null = null
  descriptor: Descriptor | null = null
  kind: Kind = 'read'
  /** Address of the data, or of the vectors. */
  address = 0
  /** Bytes, or the number of vectors. */
  length = 0
  position: Position = -1
  /** What the caller passed, and the result returns: a view, an array of views, a string. */
  given: unknown = null
  /** Memory that the kernel reads or writes in place. */
  memory: unknown = null
  /** The views whose data goes through a block; null when the kernel uses their memory in place. */
  views: readonly ArrayBufferView[] | null = null
  /** The view, or the views, that the data is read into or written from. */
  target: ArrayBufferView | readonly ArrayBufferView[] = NOTHING
  /** Where the data begins in the first of them. */
  viewOffset = 0
  /** The vectors, or the block that the data goes through. */
  block: Block | null = null
  /** The block that the data of vectors goes through. */
  dataBlock: Block | null = null
  #holdsPosition = false
  /** The position before the transfer, while it is unknown whether the ring moves it; null otherwise. */
  #positionBefore: number | null = null
  #repeats = 0
  #resolve: (value: TransferResult) => void = takeNothing
  #reject: (error: unknown) => void = takeNothing

  /** @param hasPosition - The caller has the file's current position already. */
  start(hasPosition = false): Promise<TransferResult> {
    const descriptor = this.descriptor!
    const appends = isWrite(this.kind) && (descriptor.flags & O_APPEND) !== 0
    const begin = appends ? this.#submit : this.#atPosition
    const promise = new Promise<TransferResult>(takeResolvers)
    this.#resolve = takenResolve
    this.#reject = takenReject
    this.#repeats = 0
    descriptor.ref()
    if (this.position !== -1 && !descriptor.hasOffsets) {
      this.#holdsPosition = false
      this.#end(null, callError(this.uring!, ESPIPE, syscallOf(this.kind)))
    } else if (this.position === -1 && descriptor.mustNotWait) {
      this.#holdsPosition = false
      this.#leaveToNode()
    } else if (this.position !== -1) {
      this.#holdsPosition = false
      this.#submit()
    } else if (hasPosition || (appends && !descriptor.appendsWait)) {
      this.#holdsPosition = false
      begin()
    } else {
      this.#holdsPosition = true
      if (descriptor.takePosition(begin)) begin()
    }
    return promise
  }

  /** Begins the transfer, which holds the file's current position now. */
  readonly #atPosition = (): void => {
    const { movesPosition, fd } = this.descriptor!
    if (movesPosition === false) {
      this.#leaveToNode()
      return
    }
    if (movesPosition === null) this.#positionBefore = positionOf(fd)
    this.#submit()
  }

  #leaveToNode(): void {
    const { kind, target, viewOffset, length, given } = this
    const { fd } = this.descriptor!
    const end = (error: unknown, count: number): void => {
      if (error) this.#end(null, error)
      else this.#end(resultOf(kind, count, given), null)
    }
    try {
      callNode(kind, fd, target, viewOffset, length, null, end)
    } catch (error) {
      this.#end(null, error)
    }
  }

  /** After the first transfer at the current position of this file: has the position moved? */
  #hasMoved(): boolean {
    const before = this.#positionBefore
    this.#positionBefore = null
    const descriptor = this.descriptor!
    descriptor.movesPosition = positionOf(descriptor.fd) !== before
    return descriptor.movesPosition === true
  }

  readonly #submit = (): void => {
    try {
      this.uring!.driver.submitOnce(this.#prepare, this.#onCqe, syscallOf(this.kind), this.memory)
    } catch (error) {
      this.#end(null, error)
    }
  }

  readonly #prepare = (sqe: Sqe): void => {
    const { fd } = this.descriptor!
    switch (this.kind) {
      case 'read':
        prepRead(sqe, fd, this.address, this.length, this.position)
        break
      case 'write':
        prepWrite(sqe, fd, this.address, this.length, this.position)
        break
      case 'readv':
        prepReadv(sqe, fd, this.address, this.length, this.position)
        break
      case 'writev':
        prepWritev(sqe, fd, this.address, this.length, this.position)
    }
  }

  readonly #onCqe = (res: number): void => {
    if (res >= 0) {
      if (res > 0 && this.#positionBefore !== null && !this.#hasMoved()) {
        // Node repeats the transfer, with the same bytes at the same place, which moves the position.
        this.#leaveToNode()
        return
      }
      if (this.views !== null && !isWrite(this.kind)) this.#scatter(res)
      this.#end(resultOf(this.kind, res, this.given), null)
    } else if (asksAgain(res) && this.#repeats++ < MAX_REPEATS) this.#submit()
    else this.#end(null, callError(this.uring!, res, syscallOf(this.kind)))
  }

  /** Copies what was read from the block into the views. */
  #scatter(count: number): void {
    const { bytes } = this.dataBlock ?? this.block!
    let at = 0
    let offset = this.viewOffset
    for (const view of this.views!) {
      const part = Math.min(view.byteLength - offset, count - at)
      if (part <= 0) break
      bytesOf(view).set(bytes.subarray(at, at + part), offset)
      at += part
      offset = 0
    }
  }

  #end(result: TransferResult | null, error: unknown): void {
    const { uring, descriptor, block, dataBlock } = this
    const resolve = this.#resolve
    const reject = this.#reject
    if (block !== null) uring!.driver.arena.free(block)
    if (dataBlock !== null) uring!.driver.arena.free(dataBlock)
    const held = this.#holdsPosition
    this.uring = null
    this.descriptor = null
    this.given = null
    this.memory = null
    this.views = null
    this.target = NOTHING
    this.block = null
    this.dataBlock = null
    this.#positionBefore = null
    this.#resolve = takeNothing
    this.#reject = takeNothing
    idle.push(this)
    if (held) descriptor!.releasePosition()
    descriptor!.unref()
    if (result !== null) resolve(result)
    else reject(error)
  }
}

const idle: Transfer[] = []
const NOTHING: readonly ArrayBufferView[] = []

function takeNothing(): void {}

function isWrite(kind: Kind): boolean {
  return kind === 'write' || kind === 'writev'
}

// Node names the vectored calls like the plain ones.
function syscallOf(kind: Kind): string {
  return isWrite(kind) ? 'write' : 'read'
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}

// Results have no prototype, like those of Node. A literal with `__proto__: null` would take three times as
// long (measured: 66 ns, a tenth of a read).
function resultOf(kind: Kind, count: number, given: unknown): TransferResult {
  const result = Object.create(null) as { -readonly [Member in keyof TransferResult]: TransferResult[Member] }
  switch (kind) {
    case 'read':
      result.bytesRead = count
      result.buffer = given
      break
    case 'write':
      result.bytesWritten = count
      result.buffer = given
      break
    case 'readv':
      result.bytesRead = count
      result.buffers = given
      break
    case 'writev':
      result.bytesWritten = count
      result.buffers = given
  }
  return result
}

/** Whether the kernel can be given the view's own memory; it has no address if it is shared between threads. */
function isInPlace(uring: Uring, view: ArrayBufferView): boolean {
  return !uring.copies && view.buffer instanceof ArrayBuffer
}

/**
 * Reads into, or writes from, `length` bytes of `view` at `offset`. Arguments have been checked.
 *
 * @param given - What the result names as its buffer.
 */
export function transfer(
  kind: 'read' | 'write',
  descriptor: Descriptor,
  view: ArrayBufferView,
  offset: number,
  length: number,
  position: Position,
  given: unknown,
): Promise<TransferResult> {
  const uring = ringFor(kind)
  if (uring === null) return withoutRing(kind, descriptor, view, offset, length, position, given)
  const known = uring.copies ? 0 : knownAddressOf(view, offset + length)
  const inPlace = known !== 0 || isInPlace(uring, view)
  const address = known || (inPlace ? addressOf(view, offset + length) : 0)
  if (!inPlace) byteLengthOf(view)
  const one = idle.pop() ?? new Transfer()
  one.uring = uring
  one.descriptor = descriptor
  one.kind = kind
  one.position = position
  one.given = given
  one.length = Math.min(length, MAX_TRANSFER)
  one.target = view
  one.viewOffset = offset
  if (inPlace) {
    one.address = address + offset
    one.memory = view
  } else {
    const block = uring.driver.arena.alloc(one.length)
    one.block = block
    one.address = block.address
    one.views = [view]
    if (kind === 'write') block.bytes.set(bytesOf(view).subarray(offset, offset + one.length))
  }
  return one.start()
}

/**
 * Reads into, or writes from, several views, one after the other.
 *
 * @param views - An array that nobody else can change: if a view were taken out of it, its memory could be
 *   freed while the kernel uses it.
 * @param given - What the result names as its buffers.
 */
export function transferVectors(
  kind: 'readv' | 'writev',
  descriptor: Descriptor,
  views: readonly ArrayBufferView[],
  position: Position,
  given: unknown,
  hasPosition = false,
): Promise<TransferResult> {
  const uring = ringFor(kind)
  if (uring === null) return withoutRing(kind, descriptor, views, 0, 0, position, given)
  if (views.length === 0) return Promise.reject(systemError(EINVAL, syscallOf(kind)))
  if (views.length > MAX_VECTORS && kind === 'writev') {
    return writeManyVectors(descriptor, views, position, given)
  }
  const { arena } = uring.driver
  const used = views.length > MAX_VECTORS ? views.slice(0, MAX_VECTORS) : views
  const inPlace = used.every((view) => isInPlace(uring, view))
  // Every view is checked before anything is allocated.
  const addresses = used.map((view) => (inPlace ? addressOf(view) : 0))
  const lengths = used.map(byteLengthOf)
  const total = lengths.reduce((sum, length) => sum + length, 0)
  const one = idle.pop() ?? new Transfer()
  one.uring = uring
  one.descriptor = descriptor
  one.kind = kind
  one.position = position
  one.given = given
  const block = arena.alloc(used.length * IOVEC_BYTES)
  one.block = block
  one.address = block.address
  one.length = used.length
  one.target = used
  one.viewOffset = 0
  if (inPlace) one.memory = used
  else {
    one.views = used
    one.dataBlock = arena.allocBeside(block, total + 1)
  }
  let at = 0
  for (const [index, view] of used.entries()) {
    const byteLength = lengths[index]!
    if (!inPlace && kind === 'writev') one.dataBlock!.bytes.set(bytesOf(view), at)
    const address = inPlace ? addresses[index]! : one.dataBlock!.address + at
    block.view.setBigUint64(index * IOVEC_BYTES, BigInt(address), true)
    block.view.setBigUint64(index * IOVEC_BYTES + 8, BigInt(byteLength), true)
    at += byteLength
  }
  return one.start(hasPosition)
}

/** Writes any number of vectors, as libuv does, although the kernel takes at most MAX_VECTORS in one call. */
async function writeManyVectors(
  descriptor: Descriptor,
  views: readonly ArrayBufferView[],
  position: Position,
  given: unknown,
): Promise<TransferResult> {
  // Held between the parts as well, so that a close() waits for the last one, and so do other writes at the
  // current position.
  descriptor.ref()
  descriptor.writesInParts++
  try {
    const write = (): Promise<TransferResult> => writeParts(descriptor, views, position, given)
    return await (position === -1 ? descriptor.withPosition(write) : write())
  } finally {
    descriptor.writesInParts--
    descriptor.unref()
  }
}

async function writeParts(
  descriptor: Descriptor,
  views: readonly ArrayBufferView[],
  position: Position,
  given: unknown,
): Promise<TransferResult> {
  let total = 0
  try {
    for (let from = 0; from < views.length; from += MAX_VECTORS) {
      const part = views.slice(from, from + MAX_VECTORS)
      const at = position === -1 ? -1 : BigInt(position) + BigInt(total)
      const { bytesWritten = 0 } = await transferVectors('writev', descriptor, part, at, part, true)
      total += bytesWritten
      if (bytesWritten < part.reduce((sum, view) => sum + view.byteLength, 0)) break
    }
  } catch (error) {
    // What was written is reported first, as in libuv; the next write gets the error.
    if (total === 0) throw error
  }
  return resultOf('writev', total, given)
}

/** A position for Node's own calls, which take none above 2^53 - 1, and a bigint only in some versions. */
function plainPosition(position: Position): number | null {
  if (position === -1) return null
  if (typeof position === 'number') return position
  if (position <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(position)
  throw outOfBounds('position', `<= ${Number.MAX_SAFE_INTEGER} without io_uring`, position)
}

function callNode(
  kind: Kind,
  fd: number,
  target: ArrayBufferView | readonly ArrayBufferView[],
  offset: number,
  length: number,
  position: number | null,
  done: (error: unknown, count: number) => void,
): void {
  const view = target as NodeJS.ArrayBufferView
  const views = target as readonly NodeJS.ArrayBufferView[]
  // The types do not allow null as the position of vectors, which `fs` takes for the current one.
  const at = position as number
  switch (kind) {
    case 'read':
      fs.read(fd, view, offset, length, position, done)
      break
    case 'write':
      fs.write(fd, view, offset, length, position, done)
      break
    case 'readv':
      fs.readv(fd, views, at, done)
      break
    case 'writev':
      fs.writev(fd, views, at, done)
  }
}

function withoutRing(
  kind: Kind,
  descriptor: Descriptor,
  target: ArrayBufferView | readonly ArrayBufferView[],
  offset: number,
  length: number,
  position: Position,
  given: unknown,
): Promise<TransferResult> {
  return inDescriptor(descriptor, (done) => {
    const at = plainPosition(position)
    callNode(kind, descriptor.fd, target, offset, length, at, (error, count) => {
      done(error, resultOf(kind, count, given))
    })
  })
}

/** Runs a callback-style call of Node's, which holds the descriptor until it ends. */
export function inDescriptor<T>(
  descriptor: Descriptor,
  start: (done: (error: unknown, value: T) => void) => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    descriptor.ref()
    const done = (error: unknown, value: T): void => {
      descriptor.unref()
      if (error) reject(error)
      else resolve(value)
    }
    try {
      start(done)
    } catch (error) {
      done(error, undefined as T)
    }
  })
}
