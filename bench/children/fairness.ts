// Child of the `fairness` suite: four loops await cached reads, an interval of 1 ms runs beside them, and the delay of
// the event loop is watched. Arguments: file, blocks, and who reads: uring, uring-files, fs.promises, or idle for nobody.

import { openSync } from 'node:fs'
import { open as openNode } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { open as openRing } from '../../src/fs/index.js'
import { Uring } from '../../src/index.js'
import { serve } from '../harness/serve.js'
import { orSkip } from './ring-mode.js'

const LOOPS = 4
const BLOCK_BYTES = 4096
const [file, blockText, reader] = process.argv.slice(2)
const blocks = Number(blockText)
const buffers = Array.from({ length: LOOPS }, () => new Uint8Array(BLOCK_BYTES))

type Read = (buffer: Uint8Array, position: number) => Promise<unknown>

const makers: Readonly<Record<string, () => Promise<Read | null>>> = {
  uring: async () => {
    const uring = orSkip(() => Uring.open())
    const fd = openSync(file!, 'r')
    return (buffer, position) => uring.read(fd, buffer, { offset: position })
  },
  'uring-files': async () => {
    const handle = await openRing(file!, 'r')
    return (buffer, position) => handle.read(buffer, 0, BLOCK_BYTES, position)
  },
  'fs.promises': async () => {
    const handle = await openNode(file!, 'r')
    return (buffer, position) => handle.read(buffer, 0, BLOCK_BYTES, position)
  },
  idle: async () => null,
}

const read = await makers[reader!]!()
let isOver = false
let reads = 0

async function loop(buffer: Uint8Array): Promise<void> {
  while (!isOver) {
    reads++
    await read!(buffer, (reads % blocks) * BLOCK_BYTES)
  }
}

await serve(async (milliseconds) => {
  isOver = false
  reads = 0
  let intervals = 0
  const interval = setInterval(() => intervals++, 1)
  const delays = monitorEventLoopDelay({ resolution: 1 })
  const cpuBefore = process.cpuUsage()
  const startedMs = performance.now()
  delays.enable()
  const loops = read === null ? [] : buffers.map(loop)
  // A timer ends the run: were it starved, the run would show that by never ending.
  await sleep(milliseconds)
  delays.disable()
  isOver = true
  await Promise.all(loops)
  clearInterval(interval)
  const seconds = (performance.now() - startedMs) / 1000
  const cpu = process.cpuUsage(cpuBefore)
  return {
    ops: Math.max(reads, 1),
    seconds,
    cpuMicros: cpu.user + cpu.system,
    details: {
      medianDelayMs: delays.percentile(50) / 1e6,
      p99DelayMs: delays.percentile(99) / 1e6,
      maxDelayMs: delays.max / 1e6,
      intervalsPerSecond: intervals / seconds,
    },
  }
})
