// Child of the `read` suite: the same reads as promises, through `Uring` as it comes, `depth` of them awaited at once.
// Its counterpart in Node is the promises variant of read-fs.ts.

import { Uring } from '../../src/index.js'
import { nextRandom, SEED } from '../harness/random.js'
import { serveWork } from '../harness/serve.js'
import { BLOCK_BYTES, openFile, readArguments, Slots } from './block-file.js'
import { orSkip } from './ring-mode.js'

const reading = readArguments()
const { depth } = reading
const blockMask = reading.blocks - 1
const fd = openFile(reading)
const slots = new Slots(depth)
const slotBuffers = Array.from({ length: depth }, (_, slot) => slots.slot(slot))
const uring = orSkip(() => Uring.open())
let randomState = SEED
let toStart = 0

async function readRepeatedly(slot: number): Promise<void> {
  const buffer = slotBuffers[slot]!
  while (toStart > 0) {
    toStart--
    randomState = nextRandom(randomState)
    const block = randomState & blockMask
    const bytesRead = await uring.read(fd, buffer, { offset: block * BLOCK_BYTES })
    slots.check(slot, block, bytesRead)
  }
}

async function loop(reads: number): Promise<void> {
  toStart = reads
  await Promise.all(slotBuffers.map((_, slot) => readRepeatedly(slot)))
}

await serveWork({ opsPerUnit: 1, loop })
await uring.close()
