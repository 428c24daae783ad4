// Rings in worker threads: each has its own, whose data goes through driver memory; a worker that is terminated in
// mid-flight, ends or throws leaves the process intact and nothing behind.

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { build } from 'esbuild'
import { Uring } from '../../src/index.js'
import { descriptorCount } from '../descriptors.js'
import { assert, needs, test } from '../harness.js'
import { scaled } from '../patience.js'
import { outcome, temporaryFolder, turns, until } from './fixture.js'
import '../settled.js'

const here = needs.bind(null, { ring: true, command: 'mkfifo' } as const)
const folder = temporaryFolder()
const path = join(folder, 'file')
writeFileSync(path, Buffer.alloc(1 << 20, 1))
const fifo = join(folder, 'fifo')
execFileSync('mkfifo', [fifo])

// Two hundred workers that each find and translate a hundred modules would take minutes.
const program = join(folder, 'ring-worker.mjs')
symlinkSync(fileURLToPath(new URL('../../node_modules', import.meta.url)), join(folder, 'node_modules'))
await build({
  entryPoints: [fileURLToPath(new URL('./ring-worker.ts', import.meta.url))],
  outfile: program,
  bundle: true,
  format: 'esm',
  platform: 'node',
  logLevel: 'warning',
})

function start(task: string): Worker {
  return new Worker(program, { workerData: { task, path, fifo, program } })
}

interface Holdings {
  readonly descriptors: number
  readonly rings: number
}

/** What the process has: descriptors, and mappings of rings. */
function holdings(): Holdings {
  const maps = readFileSync('/proc/self/maps', 'utf8')
  return { descriptors: descriptorCount(), rings: maps.split('[io_uring]').length - 1 }
}

/** What the descriptors of the process are open on. */
function openFiles(): string[] {
  return readdirSync('/proc/self/fd').map((fd) => {
    try {
      return `${fd} ${readlinkSync(`/proc/self/fd/${fd}`)}`
    } catch {
      return fd // Closed meanwhile.
    }
  })
}

/** Waits until no more is held than was; fewer when something older, of the loader's say, was closed meanwhile. */
async function settledAt(most: Holdings): Promise<void> {
  const isSettled = (): boolean => {
    const { descriptors, rings } = holdings()
    return descriptors <= most.descriptors && rings <= most.rings
  }
  await until(isSettled, 'what was held before').catch(() => {
    assert.equal(holdings(), most, `left open among: ${openFiles().join(', ')}`)
  })
}

/** Mapped memory of this process, in MiB. */
function mappedMiB(): number {
  return Number(/VmSize:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024
}

test(
  'in a worker everything has the results that it has in the main thread',
  here(async () => {
    const before = holdings()
    const worker = start('copies')
    // A message and the end of its sender can come in one go.
    const ended = once(worker, 'exit')
    const [results] = await once(worker, 'message')
    await ended
    assert.equal(results, {
      copies: true,
      isMainThread: false,
      large: 300_000,
      whole: true,
      part: 3,
      words: [257, 1, 0, 0],
      written: 4,
      vector: 4,
      readv: 8,
      parts: ['abc', 'dghij...............'],
      stat: 1 << 20,
      shared: 'ERR_INVALID_ARG_TYPE',
      registered: 'ERR_INVALID_ARG_TYPE',
      pool: [0, 8192, 100, true, 8, 8, 'in place', 'ERR_INVALID_ARG_TYPE'],
      missing: 'ENOENT',
      blocks: 0,
    })
    await settledAt(before)
  }),
)

test(
  'a worker that ends, exits or throws with its ring open closes it',
  here(async () => {
    const before = holdings()
    const ending = start('end')
    const ended = once(ending, 'exit')
    const [read] = await once(ending, 'message')
    assert.equal(read, [5000, true])
    assert.equal(await ended, [0])
    await settledAt(before)

    assert.equal(await once(start('endPending'), 'exit'), [0])
    await settledAt(before)

    assert.equal(await once(start('exit'), 'exit'), [7])
    await settledAt(before)

    const throwing = start('throw')
    const [error] = await once(throwing, 'error')
    assert.is((error as Error).message, 'thrown on purpose')
    await settledAt(before)
  }),
)

test(
  'two hundred workers, or fewer on a slow machine, terminated in mid-flight leave the process intact, and nothing behind',
  here(async () => {
    const before = holdings()
    await using uring = Uring.open()
    const held = holdings()
    const file = openSync(path, 'r')
    const withFile = holdings()
    let isOver = false
    let reads = 0
    // The main thread is at work on a ring of its own all the while.
    const busy = (async () => {
      const buffer = Buffer.alloc(4096)
      while (!isOver) {
        assert.is(await uring.read(file, buffer, { offset: (reads++ & 63) * 4096 }), 4096)
        if (reads % 64 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
      }
    })()
    const terminateMany = async (count: number): Promise<void> => {
      for (let left = count; left > 0; left--) {
        const worker = start('work')
        await once(worker, 'message')
        // At any moment of its work.
        if (left % 4 !== 0) await new Promise((resolve) => setTimeout(resolve, left % 7))
        await worker.terminate()
      }
    }
    await terminateMany(10)
    const mappedBefore = mappedMiB()
    const count = scaled(64)
    await Promise.all([terminateMany(count), terminateMany(count), terminateMany(count)])
    const growth = mappedMiB() - mappedBefore
    isOver = true
    await busy
    await settledAt(withFile)
    assert.ok(held.rings > before.rings)
    assert.ok(reads > 100)
    // Node itself keeps some 3 MiB of each, and malloc(3) areas for as many as run at a time; their rings and blocks would be
    // 18 MiB more each.
    assert.ok(growth < 348 + 6 * 3 * count, `${growth} MiB more after ${3 * count} workers`)
    assert.is(await outcome(uring.nop()), 0)
  }),
)

test(
  'the queues of buffer groups of a terminated worker are reclaimed too',
  here(async () => {
    const before = holdings()
    const round = async (): Promise<void> => {
      const worker = start('groups')
      await once(worker, 'message')
      await worker.terminate()
      await settledAt(before)
    }
    for (let warmUp = 0; warmUp < 5; warmUp++) await round()
    const mappedBefore = mappedMiB()
    for (let rest = 0; rest < 30; rest++) await round()
    const growth = mappedMiB() - mappedBefore
    // Node itself keeps some 3 MiB of each; their queues, eight of half a MiB, would be 4 MiB more each.
    assert.ok(growth < 150, `${growth} MiB more after 30 workers`)
  }),
)

test(
  'a worker that reads straight into its ArrayBuffers can be terminated while nothing is written',
  here(async () => {
    const before = holdings()
    const worker = start('workInPlace')
    await once(worker, 'message')
    await worker.terminate()
    await settledAt(before)
  }),
)

test(
  'the workers of a worker are reclaimed, by it while it lives, with it when it is terminated',
  here(async () => {
    const before = holdings()
    const worker = start('nest')
    const [counts] = await once(worker, 'message')
    assert.equal(counts, [0, 0, 0])
    await once(worker, 'message')
    assert.ok(holdings().rings > before.rings)
    await worker.terminate()
    await settledAt(before)
    await turns(2)
  }),
)

test.run()
