// Child of the `stores` suite. Argument: how an entry of 64 bytes is zeroed and filled.

import { serveWork } from '../harness/serve.js'

const ENTRIES = 512
const SQE_BYTES = 64
const memory = new ArrayBuffer(ENTRIES * SQE_BYTES)

/** Zeroes entry `slot` and fills the fields that a read has. */
type Fill = (slot: number) => void

function perEntryWords(): Fill {
  const entries = Array.from({ length: ENTRIES }, (_, slot) => ({
    words: new Int32Array(memory, slot * SQE_BYTES, SQE_BYTES / 4),
    doubles: new Float64Array(memory, slot * SQE_BYTES, SQE_BYTES / 8),
  }))
  return (slot) => {
    const { words, doubles } = entries[slot]!
    for (let at = 0; at < 8; at++) doubles[at] = 0
    words[0] = 22
    words[1] = 5
    words[2] = slot
    words[4] = slot
    words[6] = 4096
    words[8] = slot
  }
}

function perEntryDataView(): Fill {
  const entries = Array.from({ length: ENTRIES }, (_, slot) => ({
    view: new DataView(memory, slot * SQE_BYTES, SQE_BYTES),
  }))
  return (slot) => {
    const { view } = entries[slot]!
    for (let at = 0; at < SQE_BYTES; at += 8) view.setFloat64(at, 0, true)
    view.setInt32(0, 22, true)
    view.setInt32(4, 5, true)
    view.setInt32(8, slot, true)
    view.setInt32(16, slot, true)
    view.setInt32(24, 4096, true)
    view.setInt32(32, slot, true)
  }
}

function sharedDataView(): Fill {
  const entries = Array.from({ length: ENTRIES }, (_, slot) => ({
    view: new DataView(memory),
    at: slot * SQE_BYTES,
  }))
  return (slot) => {
    const { view, at } = entries[slot]!
    for (let offset = 0; offset < SQE_BYTES; offset += 8) view.setFloat64(at + offset, 0, true)
    view.setInt32(at, 22, true)
    view.setInt32(at + 4, 5, true)
    view.setInt32(at + 8, slot, true)
    view.setInt32(at + 16, slot, true)
    view.setInt32(at + 24, 4096, true)
    view.setInt32(at + 32, slot, true)
  }
}

function bigInts(): Fill {
  const entries = Array.from(
    { length: ENTRIES },
    (_, slot) => new BigInt64Array(memory, slot * SQE_BYTES, SQE_BYTES / 8),
  )
  return (slot) => {
    const entry = entries[slot]!
    for (let at = 0; at < 8; at++) entry[at] = 0n
    entry[0] = (5n << 32n) | 22n
    entry[1] = BigInt(slot)
    entry[2] = BigInt(slot)
    entry[3] = 4096n
    entry[4] = BigInt(slot)
  }
}

const WAYS: Readonly<Record<string, () => Fill>> = {
  'words per entry': perEntryWords,
  'DataView per entry': perEntryDataView,
  'one DataView': sharedDataView,
  'BigInt64Array per entry': bigInts,
}

const fill = WAYS[process.argv[2]!]!()

await serveWork({
  opsPerUnit: ENTRIES,
  loop(laps) {
    for (let lap = 0; lap < laps; lap++) {
      for (let slot = 0; slot < ENTRIES; slot++) fill(slot)
    }
  },
})
