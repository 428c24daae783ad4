// What the tests of the driver share: rings of every kind, descriptors to wait on, outcomes, turns of the event loop.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  addressOf,
  type Fd,
  IORING_SETUP_COOP_TASKRUN,
  IORING_SETUP_CQE32,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SQE128,
  IORING_SETUP_SQPOLL,
  IORING_SETUP_TASKRUN_FLAG,
  kernelCalls,
  Ring,
  type RingOptions,
  type UringCalls,
} from '../../src/ring/index.js'
import { Arena } from '../../src/runtime/arena.js'
import { Driver } from '../../src/runtime/driver.js'
import { RingOperations } from '../../src/runtime/operations/ring.js'
import { close, eventfd, pipe2, write } from '../../src/syscalls/libc.js'
import { unmet } from '../harness.js'
import { PATIENCE } from '../patience.js'

const O_CLOEXEC = 0o2000000

/** The kinds of ring whose completions reach the event loop in different ways. */
export const KINDS: Readonly<Record<string, number>> = {
  plain: 0,
  coop: IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,
  flagged: IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
  sqpoll: IORING_SETUP_SQPOLL,
  large: IORING_SETUP_SQE128 | IORING_SETUP_CQE32,
}

/** The kinds that this kernel knows. */
export function usableKinds(): [string, number][] {
  return Object.entries(KINDS).filter(([, setup]) => unmet({ setup }) === null)
}

/** Of a ring as the driver has it by default, as far as this kernel knows them. */
export const DEFAULT_FLAGS =
  ['flagged', 'coop'].map((kind) => KINDS[kind]!).find((setup) => unmet({ setup }) === null) ?? 0

/** A driver over a ring of any kind, with all operations. */
export class TestRing extends RingOperations {
  readonly arena: Arena

  constructor(options: Partial<RingOptions> = {}, calls: UringCalls = kernelCalls, copies = false) {
    const arena = new Arena()
    const ring = Ring.open({ entries: 64, flags: DEFAULT_FLAGS, ...options }, calls)
    super(new Driver(ring, arena), false)
    if (copies) Object.assign(this, { copies })
    this.arena = arena
  }

  close(): Promise<void> {
    return this.driver.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.driver.close()
  }
}

/** An eventfd whose reads wait until it is signalled. */
export class Signal {
  readonly fd: Fd
  readonly #one = new Uint8Array(new BigUint64Array([1n]).buffer)
  #isClosed = false

  constructor() {
    this.fd = eventfd(0, O_CLOEXEC)
  }

  /** Does nothing after `close`: the number may be another file's by then. */
  raise(): void {
    if (!this.#isClosed) write(this.fd, addressOf(this.#one), 8)
  }

  close(): void {
    this.#isClosed = true
    close(this.fd)
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/** Eight bytes for a counter, in memory that does not move. */
export function eightBytes(): Uint8Array {
  return new Uint8Array(new ArrayBuffer(8))
}

/** A pipe: the read end, the write end. */
export function pipe(flags = O_CLOEXEC): [Fd, Fd] {
  const ends = new Int32Array(new ArrayBuffer(8))
  if (pipe2(addressOf(ends), flags) < 0) throw new Error('no pipe')
  return [ends[0]!, ends[1]!]
}

export { close as closeFd }

/** Lets the event loop turn `count` times. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Waits until `condition` holds, at most five seconds of a usual machine. */
export async function until(condition: () => boolean, what = 'the condition'): Promise<void> {
  const deadline = performance.now() + 5000 * PATIENCE
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`${what} did not come true`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** What a promise came to: its value, or the error's code (or name). */
export async function outcome(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise
  } catch (error) {
    return (error as { code?: string }).code ?? (error as Error).name
  }
}

/** What promises came to, counted. */
export async function outcomes(promises: readonly Promise<unknown>[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const result of await Promise.all(promises.map(outcome))) {
    const key = String(result)
    counts[key] = (counts[key] ?? 0) + 1
  }
  return counts
}

/** The system calls of a ring, with some of them replaced. */
export function withCalls(replacement: Partial<UringCalls>): UringCalls {
  return { ...kernelCalls, ...replacement }
}

/** A folder for this test file, removed at exit. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'uring-runtime-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}
