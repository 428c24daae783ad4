// What this process holds, as the kernel and V8 see it.

import { readdirSync, readFileSync } from 'node:fs'

export interface Sample {
  /** Seconds since the start. */
  readonly at: number
  /** Nothing is going on. */
  readonly quiet: boolean
  /** Workers that have been started so far. */
  readonly workers: number
  readonly descriptors: number
  /** Without the pages of V8's heap, which `heapMiB` tells of. */
  readonly mappings: number
  readonly mappedMiB: number
  /** All threads, and the kernel's for this process: workers of io_uring, and pollers of submission queues. */
  readonly threads: number
  readonly iouWrk: number
  readonly iouSqp: number
  readonly heapMiB: number
  readonly externalMiB: number
  readonly rssMiB: number
}

function threadNames(): string[] {
  const names: string[] = []
  for (const thread of readdirSync('/proc/self/task')) {
    try {
      names.push(readFileSync(`/proc/self/task/${thread}/comm`, 'utf8'))
    } catch {
      // It has ended meanwhile.
    }
  }
  return names
}

const MIB = 2 ** 20
const V8_PAGE_BYTES = 256 * 1024

export function observe(at: number, quiet: boolean, workers: number): Sample {
  const maps = readFileSync('/proc/self/maps', 'latin1').trimEnd().split('\n')
  let mapped = 0
  let mappings = 0
  for (const line of maps) {
    const [, start, end] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line)!
    const bytes = Number.parseInt(end!, 16) - Number.parseInt(start!, 16)
    mapped += bytes
    if (bytes !== V8_PAGE_BYTES) mappings++
  }
  const names = threadNames()
  const { rss, heapUsed, external } = process.memoryUsage()
  return {
    at,
    quiet,
    workers,
    descriptors: readdirSync('/proc/self/fd').length,
    mappings,
    mappedMiB: mapped / MIB,
    threads: names.length,
    iouWrk: names.filter((name) => name.startsWith('iou-wrk')).length,
    iouSqp: names.filter((name) => name.startsWith('iou-sqp')).length,
    heapMiB: heapUsed / MIB,
    externalMiB: external / MIB,
    rssMiB: rss / MIB,
  }
}
