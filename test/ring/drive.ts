// What the ring tests do again and again: queue NOPs, collect what completes, watch the kernel's side of a process.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { prepNop } from '../../src/ring/prep/nop.js'
import type { Ring } from '../../src/ring/ring.js'
import type { Sqe } from '../../src/ring/sqe.js'
import { IO_URING_PARAMS } from '../../src/syscalls/abi/index.js'
import { pipe2, viewMemory } from '../../src/syscalls/libc.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { Struct } from '../../src/syscalls/struct.js'
import { kernelCalls, type UringCalls } from '../../src/syscalls/uring-calls.js'
import { descriptorCount, descriptorsOf } from '../descriptors.js'
import { PATIENCE } from '../patience.js'

/** An entry, which must be there to be had. */
export function nextSqe(ring: Ring): Sqe {
  const sqe = ring.getSqe()
  if (sqe === null) throw new Error('the submission queue is full')
  return sqe
}

/** Queues a NOP for each user_data. */
export function queueNops(ring: Ring, ...userData: number[]): void {
  for (const low of userData) prepNop(nextSqe(ring)).setUserData(low)
}

/** One pass over the completions: the low halves of their user_data. */
export function reap(ring: Ring): number[] {
  const seen: number[] = []
  ring.forEachCqe((low) => seen.push(low))
  return seen
}

/** One pass over the completions: user_data and result of each. */
export function results(ring: Ring): Map<number, number> {
  const seen = new Map<number, number>()
  ring.forEachCqe((low, _high, res) => seen.set(low, res))
  return seen
}

/** Submits, waits for `count` completions in all, and returns user_data and result of each. */
export function complete(ring: Ring, count: number, timeoutMs = 5000): Map<number, number> {
  const seen = new Map<number, number>()
  const deadline = performance.now() + timeoutMs * PATIENCE
  while (seen.size < count && performance.now() < deadline) {
    ring.submitAndWait(1, 100)
    for (const [low, res] of results(ring)) seen.set(low, res)
  }
  return seen
}

/** The numbers from `first` to `last`. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

/** What `action` throws; fails the test when it throws nothing. */
// biome-ignore lint/suspicious/noExplicitAny: tests look at whatever properties the error has.
export function thrown(action: () => unknown): any {
  try {
    action()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

export interface SpiedCalls extends UringCalls {
  readonly counts: { setup: number; enter: number; register: number }
}

export interface SpiedCalls extends UringCalls {
  readonly counts: { setup: number; enter: number; register: number }
}

/** An array whose length reads as `lengths`, one after the other, before it reads as what it is. */
export function changingLength<T>(values: T[], lengths: number[]): T[] {
  return new Proxy(values, {
    get: (target, key) =>
      key === 'length' && lengths.length > 0 ? lengths.shift() : Reflect.get(target, key, target),
  })
}

/** The kernel's calls, and the counts that were registered with that opcode. */
export function countingRegister(opcode: number): { readonly calls: UringCalls; readonly counts: number[] } {
  const counts: number[] = []
  const calls = spied({
    register(fd, called, address, count) {
      if (called === opcode) counts.push(count)
      return kernelCalls.register(fd, called, address, count)
    },
  })
  return { calls, counts }
}

/** The kernel's calls with some replaced, and the number of each made. */
export function spied(replacement: Partial<UringCalls> = {}): SpiedCalls {
  const counts = { setup: 0, enter: 0, register: 0 }
  const calls = { ...kernelCalls, ...replacement }
  return {
    counts,
    setup(entries, params) {
      counts.setup++
      return calls.setup(entries, params)
    },
    enter(...rest) {
      counts.enter++
      return calls.enter(...rest)
    },
    register(...rest) {
      counts.register++
      return calls.register(...rest)
    },
  }
}

/** Real calls that hide features of the kernel from the ring. */
export function without(features: number, replacement: Partial<UringCalls> = {}): SpiedCalls {
  return spied({
    ...replacement,
    setup(entries, address) {
      const fd = kernelCalls.setup(entries, address)
      const params = new Struct(IO_URING_PARAMS, new Uint8Array(viewMemory(address, 120)))
      return params.set('features', params.get('features') & ~features) && fd
    },
  })
}

/** A pipe whose ends block. */
export function openPipe(): { readEnd: number; writeEnd: number } {
  const O_CLOEXEC = 0x8_0000
  const ends = new Int32Array(new ArrayBuffer(8))
  if (pipe2(addressOf(ends), O_CLOEXEC) < 0) throw new Error('no pipe')
  return { readEnd: ends[0]!, writeEnd: ends[1]! }
}

/** Sleeps with the thread blocked: no JavaScript runs meanwhile. */
export function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

/** Whether `condition` comes true within the time, looked at with the thread blocked in between. */
export function eventually(condition: () => boolean, timeoutMs = 5000): boolean {
  const deadline = performance.now() + timeoutMs * PATIENCE
  while (!condition()) {
    if (performance.now() > deadline) return false
    block(5)
  }
  return true
}

const allRingDescriptors = (): number[] => descriptorsOf('anon_inode:[io_uring]')

function allRingMappings(): string[] {
  return readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.includes('io_uring'))
}

// Newer Nodes have rings of their own, which libuv makes for its event loops: not what is looked for.
const nodesDescriptors = new Set(allRingDescriptors())
const nodesMappings = new Set(allRingMappings())

/** The descriptors of this process that are rings. */
export function ringDescriptors(): number[] {
  return allRingDescriptors().filter((fd) => !nodesDescriptors.has(fd))
}

/** The mappings of rings in this process. */
export function ringMappings(): string[] {
  return allRingMappings().filter((line) => !nodesMappings.has(line))
}

/** The SQPOLL threads of this process. */
export function sqpollThreads(): string[] {
  return readdirSync('/proc/self/task').filter((task) => {
    try {
      return readFileSync(`/proc/self/task/${task}/comm`, 'utf8').startsWith('iou-sqp')
    } catch {
      return false // It has ended since the folder was listed.
    }
  })
}

/** Everything that a ring could leave behind, counted, without its SQPOLL thread. */
function census(): Record<string, number> {
  const maps = readFileSync('/proc/self/maps', 'utf8').split('\n')
  return {
    descriptors: descriptorCount(),
    rings: ringDescriptors().length,
    ringMappings: ringMappings().length,
    // Memory of a NO_MMAP ring; node itself maps none of it shared.
    sharedMappings: maps.filter((line) => / rw-s .*\/dev\/zero/.test(line)).length,
  }
}

/** A closed ring is taken apart by a thread of the kernel's own, which a busy machine has been seen to keep waiting for 5 s. */
const TAKEN_APART_MS = 30_000

/** A census to begin with. An earlier ring's SQPOLL thread may still be there: it takes its name when it first runs. */
export function firstCensus(): Record<string, number> {
  eventually(() => sqpollThreads().length === 0, TAKEN_APART_MS)
  return census()
}

/**
 * Fails the test unless the census is what it was; there is no SQPOLL thread, after the moment that one takes to end. There
 * may be fewer descriptors: the loader of TypeScript closes what it has opened some time later.
 */
export function sameAs(before: Record<string, number>): void {
  assert.ok(eventually(() => sqpollThreads().length === 0, TAKEN_APART_MS))
  const now = census()
  assert.equal({ ...now, descriptors: Math.max(now['descriptors']!, before['descriptors']!) }, before)
}

/** Runs a script of `children/` in a process of its own; returns what it printed. */
export function runChild(script: string, ...rest: string[]): string {
  return runWith([], script, ...rest)
}

/** As `runChild`, started by another program. */
export function runWith(launcher: readonly string[], script: string, ...rest: string[]): string {
  const path = fileURLToPath(new URL(`children/${script}`, import.meta.url))
  const tsx = import.meta.resolve('tsx')
  const [command, ...leading] = [...launcher, process.execPath]
  const child = spawnSync(command!, [...leading, '--expose-gc', '--import', tsx, path, ...rest], {
    encoding: 'utf8',
    timeout: 30_000 * PATIENCE,
  })
  if (child.status !== 0)
    throw new Error(`${script}: ${child.signal ?? child.status}\n${child.stderr}${child.stdout}`)
  return child.stdout.trim()
}
