// Child of the `fs` suite: writers that append a block and have it on the disk before they append the next.
// Arguments: folder, writers, bytes of a block, `own` (a file each) or `shared` (one for all), uring or fs.promises.

import { open as openNode } from 'node:fs/promises'
import { join } from 'node:path'
import { open as openRing } from '../../src/fs/index.js'
import { openedDefaultUring } from '../../src/index.js'
import { serve, timeUnits } from '../harness/serve.js'

const [folder, writerText, byteText, sharing, who] = process.argv.slice(2)
const writers = Number(writerText)
const block = Buffer.alloc(Number(byteText), 'x')

type Append = () => Promise<void>

/** One file, and what appends to it. */
async function openFile(name: string): Promise<Append> {
  const path = join(folder!, name)
  if (who === 'uring') {
    const handle = await openRing(path, 'a')
    return () => handle.appendFile(block, { durable: true })
  }
  const handle = await openNode(path, 'a')
  return async () => {
    await handle.appendFile(block)
    await handle.datasync()
  }
}

const appends: Append[] = []
for (let writer = 0; writer < writers; writer++) {
  const isFirst = writer === 0
  appends.push(sharing === 'own' || isFirst ? await openFile(`log-${writer}`) : appends[0]!)
}

let toStart = 0

async function write(append: Append): Promise<void> {
  while (toStart > 0) {
    toStart--
    await append()
  }
}

async function loop(count: number): Promise<void> {
  toStart = count
  await Promise.all(appends.map(write))
}

/** How often uring has entered the kernel so far. */
function enters(): number {
  return openedDefaultUring()?.counters.enters ?? 0
}

let perSecond = 0
await serve(async (milliseconds) => {
  if (perSecond === 0) {
    const first = await timeUnits({ opsPerUnit: 1, loop }, 2 * writers)
    perSecond = first.ops / first.seconds
  }
  const count = Math.max(writers, Math.floor((perSecond * milliseconds) / 1000))
  const before = enters()
  const measurement = await timeUnits({ opsPerUnit: 1, loop }, count)
  perSecond = measurement.ops / measurement.seconds
  if (who !== 'uring') return measurement
  return { ...measurement, details: { entersPerOperation: (enters() - before) / count } }
})
