// What the tests of transfers share: a folder, files of known content, the program rdiff, hashes.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const folder = mkdtempSync(join(tmpdir(), 'uring-transfer-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

/** A path in the folder of this test file. */
export function scratch(name = ''): string {
  return join(folder, name)
}

/** Names in the folder that no finished transfer leaves behind. */
export function leftovers(path = folder): string[] {
  return readdirSync(path).filter((name) => name.endsWith('.partial'))
}

/** Numbers from 0 to below 2^32, the same for the same seed. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 1
  }

  next(): number {
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x
    return x >>> 0
  }

  below(limit: number): number {
    return this.next() % limit
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(Math.ceil(length / 4) * 4)
    for (let at = 0; at < length; at += 4) bytes.writeUInt32LE(this.next(), at)
    return bytes.subarray(0, length)
  }
}

/** Runs rdiff; throws what it says when it fails. */
export function rdiff(...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync('rdiff', ['-f', ...args], { encoding: 'utf8' })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`rdiff ${args.join(' ')}: ${stderr}`)
}

export function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}
