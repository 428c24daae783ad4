// Child of the `read` suite: random reads through the raw ring, `depth` in flight. bench/peers/read.c is its twin.
// Variants: plain, and fixed (registered buffers and file).

import { prepRead, prepReadFixed } from '../../src/ring/index.js'
import {
  IORING_REGISTER_BUFFERS,
  IORING_REGISTER_FILES,
  IOSQE_FIXED_FILE,
} from '../../src/syscalls/abi/index.js'
import { errnoName } from '../../src/syscalls/errno.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { nextRandom, SEED } from '../harness/random.js'
import { serveWork, skip } from '../harness/serve.js'
import { BLOCK_BYTES, openFile, readArguments, Slots } from './block-file.js'
import { openRing } from './ring-mode.js'

const reading = readArguments()
const { depth } = reading
const blockMask = reading.blocks - 1
const fixed = reading.variant === 'fixed'
const fd = openFile(reading)
const slots = new Slots(depth)
const ring = openRing(depth, 'default')
if (fixed) {
  // One struct iovec over all slots, and one file: index 0 of each.
  register(
    IORING_REGISTER_BUFFERS,
    new BigUint64Array([BigInt(slots.address), BigInt(slots.bytes.byteLength)]),
  )
  register(IORING_REGISTER_FILES, new Int32Array([fd]))
}

const slotBlocks = new Int32Array(depth)
const freeSlots = Int32Array.from({ length: depth }, (_, index) => depth - 1 - index)
let freeCount = depth
let randomState = SEED

function register(opcode: number, argument: ArrayBufferView): void {
  const result = ring.register(opcode, addressOf(argument), 1)
  if (result < 0) skip(`io_uring_register: ${errnoName(result)}`)
}

function prepare(): void {
  const sqe = ring.getSqe()!
  const slot = freeSlots[--freeCount]!
  randomState = nextRandom(randomState)
  const block = randomState & blockMask
  slotBlocks[slot] = block
  const address = slots.address + slot * BLOCK_BYTES
  if (fixed) {
    prepReadFixed(sqe, 0, address, BLOCK_BYTES, block * BLOCK_BYTES, 0)
    sqe.setFlags(IOSQE_FIXED_FILE)
  } else {
    prepRead(sqe, fd, address, BLOCK_BYTES, block * BLOCK_BYTES)
  }
  sqe.setUserData(slot)
}

function onCqe(slot: number, _userDataHigh: number, res: number): void {
  slots.check(slot, slotBlocks[slot]!, res)
  freeSlots[freeCount++] = slot
}

function loop(reads: number): void {
  let started = 0
  let completed = 0
  while (completed < reads) {
    for (; freeCount > 0 && started < reads; started++) prepare()
    ring.submitAndWait(1)
    completed += ring.forEachCqe(onCqe)
  }
}

await serveWork({ opsPerUnit: 1, loop })
