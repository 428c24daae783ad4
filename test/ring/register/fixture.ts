// What the registration tests share: completions with all their fields, files to read, collected garbage.

import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { Ring } from '../../../src/ring/ring.js'
import type { Sqe } from '../../../src/ring/sqe.js'
import { errnoName } from '../../../src/syscalls/errno.js'
import { collectGarbage as collect } from '../../garbage.js'
import { PATIENCE } from '../../patience.js'
import { nextSqe } from '../drive.js'

export interface Completion {
  readonly low: number
  readonly high: number
  readonly res: number
  readonly flags: number
}

/** Submits and waits for `count` completions, in the order of their arrival. */
export function completions(ring: Ring, count: number, timeoutMs = 5000 * PATIENCE): Completion[] {
  const found: Completion[] = []
  const deadline = performance.now() + timeoutMs
  while (found.length < count) {
    const left = deadline - performance.now()
    if (left <= 0) throw new Error(`only ${found.length} of ${count} completions in ${timeoutMs} ms`)
    ring.submitAndWait(1, left)
    ring.forEachCqe((low, high, res, flags) => found.push({ low, high, res, flags }))
  }
  if (found.length > count) throw new Error(`${found.length} completions where ${count} were expected`)
  return found
}

/** Runs one operation to its only completion. */
export function run(ring: Ring, prepare: (sqe: Sqe) => unknown): Completion {
  prepare(nextSqe(ring))
  return completions(ring, 1)[0]!
}

/** The result of one operation: a number, or the name of its error. */
export function result(ring: Ring, prepare: (sqe: Sqe) => unknown): number | string {
  const { res } = run(ring, prepare)
  return res < 0 ? errnoName(res) : res
}

/** Nothing has completed, and nothing does within some milliseconds. */
export function isQuiet(ring: Ring, ms = 20): boolean {
  ring.submitAndWait(1, ms)
  return ring.cqReady === 0
}

let folder: string | undefined

/** A path in a folder that is removed when the process ends. */
export function temporary(name: string): string {
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'uring-register-'))
    folder = made
    process.on('exit', () => rmSync(made, { recursive: true, force: true }))
  }
  return join(folder, name)
}

let files = 0

/** A file with this content, open for reading and writing; closed by `dispose`. */
export function fileWith(content: string): { readonly fd: number; [Symbol.dispose](): void } {
  files++
  const path = temporary(`file-${files}`)
  writeFileSync(path, content)
  const fd = openSync(path, 'r+')
  return { fd, [Symbol.dispose]: () => closeSync(fd) }
}

/** Zeroed memory of its own, outside the JavaScript heap. */
export function memory(lengthBytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(lengthBytes))
}

export function text(bytes: Uint8Array, length = bytes.length): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('latin1')
}

/** Collects what nothing refers to. A new turn first: a WeakRef that was looked at holds until the end of its turn. */
export async function collectGarbage(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await setImmediate()
    collect()
  }
}
