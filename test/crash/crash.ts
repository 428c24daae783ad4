// Kills processes with SIGKILL in the middle of their work, and looks at what they leave behind.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { deltaFile, signatureFile } from '../../src/transfer/index.js'
import { Random } from '../faults/random.js'
import { findRecords } from './records.js'

export type Kind = 'append' | 'copy' | 'patch'

const FILE_BYTES = 6 * 2 ** 20
const START_TIMEOUT_MS = 60_000
const LONGEST_MS: Readonly<Record<Kind, number>> = { append: 120, copy: 200, patch: 500 }

export interface CrashReport {
  readonly kills: number
  /** Killed while work was going on, and after something had been acknowledged. */
  readonly acknowledged: number
  /** Unfinished files beside the target, which are nobody's. */
  readonly leftOver: number
  /** Each with the seed of the kill. */
  readonly problems: readonly string[]
}

/** The victim as one file of JavaScript: a process starts in a fraction of the time. */
export async function buildVictim(): Promise<string> {
  const folder = fileURLToPath(new URL('../../node_modules/.cache/uring/', import.meta.url))
  mkdirSync(folder, { recursive: true })
  const outfile = join(folder, `victim-${process.pid}.mjs`)
  await build({
    entryPoints: [fileURLToPath(new URL('victim.ts', import.meta.url))],
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    outfile,
    logLevel: 'error',
  })
  process.on('exit', () => rmSync(outfile, { force: true }))
  return outfile
}

interface Stage {
  readonly folder: string
  /** What a target may hold. */
  readonly whole: readonly Buffer[]
}

function contents(random: Random): Buffer {
  const bytes = Buffer.allocUnsafeSlow(FILE_BYTES)
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(random.integer(0, 0xffff_ffff), at)
  return bytes
}

/** Files to copy, and deltas to apply. */
async function setStage(folder: string): Promise<Stage> {
  const random = new Random(1)
  const [one, other] = [contents(random), contents(random)]
  const file = (name: string): string => join(folder, name)
  writeFileSync(file('one'), one)
  writeFileSync(file('other'), other)
  // The basis has half of each.
  writeFileSync(
    file('basis'),
    Buffer.concat([one.subarray(0, FILE_BYTES / 2), other.subarray(FILE_BYTES / 2)]),
  )
  await signatureFile(file('basis'), file('signature'))
  await deltaFile(file('signature'), file('one'), file('delta-one'))
  await deltaFile(file('signature'), file('other'), file('delta-other'))
  return { folder, whole: [one, other] }
}

/** Starts a victim, kills it some time after it has begun. @returns What it had acknowledged. */
async function kill(victim: string, kind: Kind, folder: string, seed: number): Promise<number[]> {
  const child: ChildProcess = spawn(process.execPath, [victim, kind, folder, String(seed)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  const started = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`the victim does not begin: ${stderr}`)),
      START_TIMEOUT_MS,
    )
    // Half of them die in their first steps, half in full course.
    const sign = seed % 2 === 0 ? /^ready\n/ : /^ready\nack /
    child.stdout!.on('data', (text) => {
      stdout += text
      if (!sign.test(stdout)) return
      clearTimeout(timer)
      resolve()
    })
    child.on('error', reject)
    child.on('exit', () => reject(new Error(`the victim ended by itself: ${stderr}`)))
  })
  child.stderr!.on('data', (text) => {
    stderr += text
  })
  const closed = new Promise<void>((resolve) => {
    child.on('close', () => resolve())
  })
  try {
    await started
    await new Promise((resolve) => setTimeout(resolve, new Random(seed).next() * LONGEST_MS[kind]))
    if (child.exitCode !== null) throw new Error(`the victim ended by itself: ${stderr}`)
  } finally {
    child.kill('SIGKILL')
    await closed
  }
  return [...stdout.matchAll(/^ack (\d+)$/gm)].map((match) => Number(match[1]))
}

function problemsOfAppends(folder: string, acknowledged: readonly number[]): string[] {
  const { times, strayBytes } = findRecords(readFileSync(join(folder, 'log')))
  const problems: string[] = []
  for (const number of acknowledged) {
    const found = times.get(number) ?? 0
    if (found !== 1) problems.push(`record ${number} was acknowledged and is there ${found} times`)
  }
  for (const [number, found] of times)
    if (found > 1) problems.push(`record ${number} is there ${found} times`)
  // Eight were on their way at most, none longer than this.
  if (strayBytes > 8 * 5016) problems.push(`${strayBytes} bytes belong to no record`)
  return problems
}

function problemsOfTarget({ folder, whole }: Stage, acknowledged: readonly number[]): string[] {
  let target: Buffer
  try {
    target = readFileSync(join(folder, 'target'))
  } catch {
    return acknowledged.length === 0 ? [] : ['the target was acknowledged and is not there']
  }
  if (whole.some((bytes) => bytes.equals(target))) return []
  return [`the target is neither the one nor the other: ${target.length} bytes`]
}

/** Kills `count` victims of a kind, `jobs` at a time. */
export async function crash(
  kind: Kind,
  count: number,
  firstSeed: number,
  victim: string,
  jobs = 2,
): Promise<CrashReport> {
  const problems: string[] = []
  let kills = 0
  let withAcknowledged = 0
  let leftOver = 0
  let next = 0
  const worker = async (): Promise<void> => {
    const base = mkdtempSync(join(tmpdir(), 'uring-crash-'))
    try {
      const stage = kind === 'append' ? { folder: base, whole: [] } : await setStage(base)
      while (next < count) {
        const seed = firstSeed + next++
        const acknowledged = await kill(victim, kind, base, seed)
        kills++
        if (acknowledged.length > 0) withAcknowledged++
        const found =
          kind === 'append' ? problemsOfAppends(base, acknowledged) : problemsOfTarget(stage, acknowledged)
        for (const problem of found) problems.push(`${kind}, seed ${seed}: ${problem}`)
        rmSync(join(base, 'log'), { force: true })
        rmSync(join(base, 'target'), { force: true })
        for (const name of readdirSync(base)) {
          if (!name.startsWith('.')) continue
          leftOver++
          rmSync(join(base, name), { recursive: true, force: true })
        }
      }
    } finally {
      rmSync(base, { recursive: true, force: true })
    }
  }
  await Promise.all(Array.from({ length: jobs }, worker))
  return { kills, acknowledged: withAcknowledged, leftOver, problems }
}
