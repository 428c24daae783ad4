// The promise driver: many reads in one turn go to the kernel together; a read that takes too long is cancelled.
// Run: npx tsx examples/promises.ts [FILE]     (in a project of your own, import from 'uring')

import { open } from 'node:fs/promises'
import { Uring } from '../src/index.js'

if (!Uring.available) {
  console.log(Uring.availability().reason)
  process.exit(0)
}

const uring = Uring.open()
const file = await open(process.argv[2] ?? process.execPath)
const buffers = Array.from({ length: 64 }, () => Buffer.alloc(4096))
const counts = await Promise.all(
  buffers.map((buffer, index) => uring.read(file.fd, buffer, { offset: index * buffer.length })),
)
const total = counts.reduce((sum, count) => sum + count, 0)
console.log(`${counts.length} reads, ${total} bytes, ${uring.counters.enters} system calls`)

// Nothing will ever be written to this pipe: the kernel gives up for us.
const [readEnd, writeEnd] = await uring.pipe().catch(() => [-1, -1])
if (readEnd >= 0) {
  try {
    await uring.read(readEnd, Buffer.alloc(1), { timeoutMs: 50 })
  } catch (error) {
    console.log(`a read of an empty pipe: ${(error as { code: string }).code}`)
  }
  await uring.closeFd(readEnd)
  await uring.closeFd(writeEnd)
}
await file.close()
await uring.close()
