// Child of the suites `read`, `promises` and `fs`: the same reads through node:fs. Variants: sync, callback and promises,
// the latter two with `depth` reads in flight; files is promises through uring/fs.

import { read, readSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { nextRandom, SEED } from '../harness/random.js'
import { serveWork, type Work } from '../harness/serve.js'
import { BLOCK_BYTES, openFile, openFlags, readArguments, Slots } from './block-file.js'

const reading = readArguments()
const { depth } = reading
const blockMask = reading.blocks - 1
const slots = new Slots(depth)
const slotBuffers = Array.from({ length: depth }, (_, slot) => slots.slot(slot))
let randomState = SEED

function nextBlock(): number {
  randomState = nextRandom(randomState)
  return randomState & blockMask
}

function syncLoop(): Work['loop'] {
  const fd = openFile(reading)
  const buffer = slotBuffers[0]!
  return (reads) => {
    for (let done = 0; done < reads; done++) {
      const block = nextBlock()
      slots.check(0, block, readSync(fd, buffer, 0, BLOCK_BYTES, block * BLOCK_BYTES))
    }
  }
}

function callbackLoop(): Work['loop'] {
  const fd = openFile(reading)
  const slotBlocks = new Int32Array(depth)
  let toStart = 0
  let inFlight = 0
  let resolve: () => void = () => {}
  let reject: (error: Error) => void = () => {}

  // One callback a slot, made once: a closure for each read would be the bench's own cost.
  const callbacks = slotBuffers.map((_, slot) => (error: Error | null, bytesRead: number) => {
    inFlight--
    try {
      if (error !== null) throw error
      slots.check(slot, slotBlocks[slot]!, bytesRead)
    } catch (failure) {
      toStart = 0
      reject(failure as Error)
      return
    }
    if (toStart > 0) start(slot)
    else if (inFlight === 0) resolve()
  })

  function start(slot: number): void {
    const block = nextBlock()
    slotBlocks[slot] = block
    toStart--
    inFlight++
    read(fd, slotBuffers[slot]!, 0, BLOCK_BYTES, block * BLOCK_BYTES, callbacks[slot]!)
  }

  return (reads) =>
    new Promise<void>((onDone, onError) => {
      resolve = onDone
      reject = onError
      toStart = reads
      for (let slot = 0; slot < depth && toStart > 0; slot++) start(slot)
    })
}

/** What both kinds of FileHandle have. */
interface Readable {
  read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>
}

async function promiseLoop(opened: Promise<Readable>): Promise<Work['loop']> {
  const handle = await opened
  let toStart = 0

  async function readRepeatedly(slot: number): Promise<void> {
    const buffer = slotBuffers[slot]!
    while (toStart > 0) {
      toStart--
      const block = nextBlock()
      const { bytesRead } = await handle.read(buffer, 0, BLOCK_BYTES, block * BLOCK_BYTES)
      slots.check(slot, block, bytesRead)
    }
  }

  return async (reads) => {
    toStart = reads
    await Promise.all(slotBuffers.map((_, slot) => readRepeatedly(slot)))
  }
}

const loops: Readonly<Record<string, () => Work['loop'] | Promise<Work['loop']>>> = {
  sync: syncLoop,
  callback: callbackLoop,
  promises: () => promiseLoop(open(reading.file, openFlags(reading))),
  files: async () => {
    // Only here: the others measure Node without this library in the process.
    const files = await import('../../src/fs/index.js')
    return promiseLoop(files.open(reading.file, openFlags(reading)))
  },
}
await serveWork({ opsPerUnit: 1, loop: await loops[reading.variant]!() })
