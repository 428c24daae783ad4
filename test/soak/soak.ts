// One soak: loads at work, samples of what the process holds, quiet points, and the verdict.

import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Uring } from '../../src/index.js'
import { collectGarbage } from '../garbage.js'
import { Gate } from './gate.js'
import { cancels, connections, copies, echoServer, files, type Soil, type Tally, workers } from './loads.js'
import { observe, type Sample } from './observe.js'

const CONNECTIONS = 12
const FILES = 4
/** Quiet points, the first after the warm-up. */
const QUIET_POINTS = 10
const QUIET_POINTS_OF_SHORT = 3
/** Threads of the kernel end when they have been idle for five seconds. */
const SETTLE_MS = 1500
const PAUSE_TIMEOUT_MS = 60_000

/** How much more the last quiet point may have than the first. */
const MARGINS: readonly (readonly [name: keyof Sample, factor: number, addend: number])[] = [
  ['descriptors', 1, 2],
  ['mappings', 1.05, 40],
  ['threads', 1, 12],
  ['iouSqp', 1, 0],
  ['heapMiB', 1.15, 6],
  ['externalMiB', 1.2, 6],
  ['rssMiB', 1.2, 48],
]

/**
 * What koffi 3.3 leaves behind for each worker that has made a call: a stack, its guard page and a heap, three MiB of
 * address space and a few pages of memory. A worker that does nothing but load koffi leaves the same.
 */
const KOFFI_MAPPINGS = 3

export interface SoakReport {
  readonly samples: readonly Sample[]
  readonly tally: Readonly<Tally>
  readonly seconds: number
  /** What has grown, and what went wrong. Empty: all is well. */
  readonly problems: readonly string[]
}

export interface SoakOptions {
  readonly seconds: number
  readonly seed: number
  /** Leave out what a short run cannot judge: whether heap and RSS have come to rest. */
  readonly isShort: boolean
  readonly onSample?: ((sample: Sample, tally: Tally) => void) | undefined
}

/** What the last quiet point has too much of. */
function growth(samples: readonly Sample[], isShort: boolean): string[] {
  const quiet = samples.filter(({ quiet }) => quiet)
  const first = quiet[0]
  const last = quiet.at(-1)
  if (first === undefined || last === undefined || first === last) return ['there were no two quiet points']
  const problems: string[] = []
  for (const [name, factor, addend] of MARGINS) {
    if (isShort && name.endsWith('MiB')) continue
    const excused = name === 'mappings' ? KOFFI_MAPPINGS * (last.workers - first.workers) : 0
    const bound = (first[name] as number) * factor + addend + excused
    const value = last[name] as number
    if (value > bound) {
      problems.push(`${name} grew from ${(first[name] as number).toFixed(1)} to ${value.toFixed(1)}`)
    }
  }
  return problems
}

export async function soak({ seconds, seed, isShort, onSample }: SoakOptions): Promise<SoakReport> {
  const folder = mkdtempSync(join(tmpdir(), 'uring-soak-'))
  const gate = new Gate()
  const tally: Tally = {
    bytes: 0,
    fileRounds: 0,
    connections: 0,
    resets: 0,
    cancels: 0,
    workers: 0,
    copies: 0,
  }
  const soil: Soil = { gate, tally, folder, seed }
  const samples: Sample[] = []
  const problems: string[] = []
  const start = performance.now()
  const elapsed = (): number => (performance.now() - start) / 1000
  const uring = Uring.open()
  const servers = [await echoServer('copy'), await echoServer('lease')]
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  let failed: (error: unknown) => void = () => {}
  const failure = new Promise<never>((_, reject) => {
    failed = reject
  })
  failure.catch(() => {})
  const loads = [
    ...Array.from({ length: FILES }, (_, id) => files(soil, id)),
    ...Array.from({ length: CONNECTIONS }, (_, id) => connections(soil, id, () => ports[id % ports.length]!)),
    cancels(soil, uring),
    workers(soil),
    copies(soil),
  ]
  for (const load of loads) load.catch(failed)
  const take = (quiet: boolean): void => {
    const sample = observe(elapsed(), quiet, tally.workers)
    samples.push(sample)
    onSample?.(sample, tally)
  }
  const nap = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
  const quietPoint = async (): Promise<void> => {
    const stuck = setTimeout(() => {
      failed(new Error(`no end is in sight of ${[...gate.atWork].join(', ')}`))
    }, PAUSE_TIMEOUT_MS)
    await gate.pause()
    clearTimeout(stuck)
    await nap(SETTLE_MS)
    collectGarbage()
    await nap(50)
    collectGarbage()
    take(true)
    gate.resume()
  }
  const points = isShort ? QUIET_POINTS_OF_SHORT : QUIET_POINTS
  const watch = async (): Promise<void> => {
    // The first tenth is for warming up: code is compiled, pools and arenas reach their size.
    for (let point = 1; point <= points; point++) {
      const until = (seconds * point) / points
      while (elapsed() < until) {
        await nap(Math.min(1000, Math.max(10, (until - elapsed()) * 1000)))
        take(false)
      }
      await quietPoint()
    }
  }
  try {
    await Promise.race([watch(), failure])
    gate.end()
    await Promise.race([Promise.all(loads), failure])
  } catch (error) {
    gate.end()
    problems.push((error as Error).stack ?? String(error))
  }
  for (const server of servers) await server.close({ deadlineMs: 1000 })
  await uring.close()
  rmSync(folder, { recursive: true, force: true })
  problems.push(...growth(samples, isShort))
  return { samples, tally, seconds: elapsed(), problems }
}
