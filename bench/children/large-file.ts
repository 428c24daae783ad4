// Child of the `fs` suite: reads or writes one large file as a whole, or as a stream. An operation is one MiB of it.
// Arguments: file, MiB, readFile | createReadStream | writeFile | createWriteStream, uring | fs.promises | sync.

import { readFileSync } from 'node:fs'
import nodeFiles from 'node:fs/promises'
import { finished } from 'node:stream/promises'
import ringFiles from '../../src/fs/index.js'
import { serve, timeUnits, type Work } from '../harness/serve.js'

const MEBIBYTE = 2 ** 20
/** What a program writes at a time to a stream. */
const PIECE_BYTES = 65_536

const [file, sizeText, way, who] = process.argv.slice(2)
const mebibytes = Number(sizeText)
const bytes = mebibytes * MEBIBYTE
const target = `${file}.${who}`
const files = (who === 'uring' ? ringFiles : nodeFiles) as typeof nodeFiles

function check(count: number): void {
  if (count !== bytes) throw new Error(`${count} bytes of ${bytes}`)
}

async function readWhole(): Promise<void> {
  check((who === 'sync' ? readFileSync(file!) : await files.readFile(file!)).length)
}

async function readStreamed(): Promise<void> {
  const handle = await files.open(file!, 'r')
  const stream = handle.createReadStream()
  let count = 0
  stream.on('data', (chunk) => {
    count += chunk.length
  })
  await finished(stream)
  check(count)
}

async function writeStreamed(): Promise<void> {
  const handle = await files.open(target, 'w')
  const stream = handle.createWriteStream()
  const piece = Buffer.alloc(PIECE_BYTES, 'x')
  for (let written = 0; written < bytes; written += PIECE_BYTES) {
    if (!stream.write(piece)) await new Promise<void>((resolve) => stream.once('drain', resolve))
  }
  stream.end()
  await finished(stream)
  check(stream.bytesWritten)
}

const data = way === 'writeFile' ? Buffer.alloc(bytes, 'x') : null
const ways: Readonly<Record<string, () => Promise<void>>> = {
  readFile: readWhole,
  createReadStream: readStreamed,
  writeFile: () => files.writeFile(target, data!),
  createWriteStream: writeStreamed,
}

const move = ways[way!]!
const work: Work = { opsPerUnit: mebibytes, loop: () => move() }
await serve(async () => {
  const measurement = await timeUnits(work, 1)
  // What was written is gone before the next: the pages of one file are not to be another's trouble.
  await nodeFiles.rm(target, { force: true })
  return measurement
})
