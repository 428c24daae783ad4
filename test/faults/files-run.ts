// One run of uring/fs on a faulty kernel: whole files must come out as they were written, however short each transfer
// is and however often it is interrupted; and random operations must end as in node:fs/promises.

import nodeSync, { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  appendFile,
  copyFile,
  open,
  readFile,
  rename,
  stat,
  truncate,
  unlink,
  writeFile,
} from '../../src/fs/index.js'
import { defaultUring, openedDefaultUring } from '../../src/runtime/default-uring.js'
import { descriptorCount } from '../descriptors.js'
import { compareSequences } from '../fs/random-operations.js'
import { checkDescriptors, inTime } from './bounded-run.js'
import type { RunReport } from './driver-run.js'
import { FaultyKernel, someRates } from './faulty-kernel.js'
import { Random } from './random.js'

const RUN_TIMEOUT_MS = 30_000

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(what)
}

function randomBytes(random: Random, most: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(random.integer(0, most))
  for (let at = 0; at < bytes.length; at++) bytes[at] = random.integer(0, 255)
  return bytes
}

/** Whole-file functions, and a handle's, against what the file must hold. */
async function wholeFiles(random: Random, path: string): Promise<number> {
  let expected = randomBytes(random, 30_000)
  let operations = 1
  await writeFile(path, expected, { durable: random.chance(0.3) })
  for (let step = random.integer(2, 8); step > 0; step--) {
    operations++
    switch (random.integer(0, 6)) {
      case 0: {
        const more = randomBytes(random, 9000)
        await appendFile(path, more, { durable: random.chance(0.5) })
        expected = Buffer.concat([expected, more])
        break
      }
      case 1: {
        const length = random.integer(0, expected.length)
        await truncate(path, length)
        expected = expected.subarray(0, length)
        break
      }
      case 2: {
        const other = `${path}.copy`
        await copyFile(path, other)
        await unlink(path)
        await rename(other, path)
        break
      }
      case 3: {
        // A handle at its own position: part by part, as short as the kernel makes them.
        await using handle = await open(path, 'r')
        const parts: Buffer[] = []
        for (;;) {
          const buffer = Buffer.allocUnsafeSlow(random.integer(1, 5000))
          const { bytesRead } = await handle.read(buffer, 0, buffer.length, null)
          if (bytesRead === 0) break
          parts.push(buffer.subarray(0, bytesRead))
        }
        check(Buffer.concat(parts).equals(expected), 'handle.read: other bytes than were written')
        break
      }
      case 4: {
        await using handle = await open(path, 'r+')
        const data = randomBytes(random, 9000)
        const start = random.integer(0, expected.length)
        for (let at = 0; at < data.length; ) {
          const { bytesWritten } = await handle.write(data, at, data.length - at, start + at)
          check(bytesWritten > 0, 'handle.write: nothing was written')
          at += bytesWritten
        }
        const changed = Buffer.alloc(Math.max(expected.length, start + data.length))
        expected.copy(changed)
        data.copy(changed, start)
        expected = changed
        break
      }
      case 5: {
        await using handle = await open(path, 'a')
        const more = randomBytes(random, 9000)
        await handle.appendFile(more)
        expected = Buffer.concat([expected, more])
        break
      }
      default: {
        const handle = await open(path, 'r')
        const parts: Buffer[] = []
        for await (const part of handle.createReadStream({ highWaterMark: random.integer(1000, 20_000) })) {
          parts.push(part as Buffer)
        }
        check(Buffer.concat(parts).equals(expected), 'stream: other bytes than were written')
      }
    }
    const { size } = await stat(path)
    check(size === expected.length, `stat: ${size} bytes, ${expected.length} were written`)
    const read = await readFile(path)
    check(
      read.equals(expected),
      `readFile: other bytes than were written (${read.length} of ${expected.length})`,
    )
  }
  check(nodeSync.readFileSync(path).equals(expected), 'the file holds other bytes than were written')
  return operations
}

/**
 * Makes one run.
 *
 * @throws Error that says which property does not hold.
 */
export async function runFiles(seed: number): Promise<RunReport> {
  const random = new Random(seed)
  const compares = random.chance(0.3)
  const rates = { ...someRates(random, 0.3), ...(compares && { shorten: 0 }) }
  const kernel = new FaultyKernel(new Random(seed ^ 0x2545f491), rates, 'transient')
  const folder = mkdtempSync(join(tmpdir(), 'uring-faults-'))
  await openedDefaultUring()?.close()
  const restore = kernel.install()
  let operations = 0
  try {
    const before = descriptorCount()
    const { driver } = defaultUring()!
    const work = async (): Promise<void> => {
      if (compares) operations = await compareSequences(seed, 60)
      else {
        const files = Array.from({ length: random.integer(1, 6) }, (_, index) =>
          wholeFiles(new Random(seed * 31 + index), join(folder, `${index}`)),
        )
        const results = await Promise.allSettled(files)
        for (const result of results) {
          if (result.status === 'rejected') throw result.reason
          operations += result.value
        }
      }
      check(driver.inFlight === 0, `${driver.inFlight} operations are left`)
      check(driver.arena.blocksInUse === 0, `${driver.arena.blocksInUse} blocks are left`)
      await driver.close()
      check(driver.closedError('x').message.includes('the ring is closed'), driver.closedError('x').message)
    }
    await inTime(work(), RUN_TIMEOUT_MS, () => ({
      inFlight: driver.inFlight,
      waiting: driver.waiting,
      ...driver.counters,
    }))
    kernel.dispose()
    await checkDescriptors(before)
  } catch (error) {
    throw new Error(`seed ${seed} (${compares ? 'compared' : 'whole files'}): ${(error as Error).message}`, {
      cause: error,
    })
  } finally {
    restore()
    kernel.dispose()
    rmSync(folder, { recursive: true, force: true })
  }
  return { operations, injected: kernel.injected }
}
