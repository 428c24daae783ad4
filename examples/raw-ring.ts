// The raw ring: reads a file in four pieces with one system call, then says what came back.
// Run: npx tsx examples/raw-ring.ts [FILE]     (in a project of your own, import from 'uring/ring')

import { closeSync, openSync } from 'node:fs'
import { addressOf, errnoName, prepRead, Ring } from '../src/ring/index.js'

const path = process.argv[2] ?? process.execPath
const PIECE = 4096
const COUNT = 4

const fd = openSync(path, 'r')
const ring = Ring.open({ entries: 8 })
// Held by this variable until the completions are in: the kernel writes here.
const buffer = Buffer.alloc(COUNT * PIECE)
const address = addressOf(buffer, buffer.length)

for (let piece = 0; piece < COUNT; piece++) {
  const sqe = ring.getSqe()!
  prepRead(sqe, fd, address + piece * PIECE, PIECE, piece * PIECE)
  sqe.setUserData(piece)
}
ring.submitAndWait(COUNT)
ring.forEachCqe((piece, _high, res) => {
  console.log(`piece ${piece}: ${res < 0 ? errnoName(res) : `${res} bytes`}`)
})

ring.close()
closeSync(fd)
