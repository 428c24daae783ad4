// What works in the runtime that runs this: a line for each part, `name: works` or `name: what went wrong`. Plain
// JavaScript, for runtimes other than Node; started by test-runtimes.ts in a folder that has the package installed.

import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const LIMIT_MS = 5000

const folder = mkdtempSync(join(tmpdir(), 'uring-smoke-'))
const path = join(folder, 'file')
writeFileSync(path, 'hello')

function same(actual, expected) {
  if (String(actual) !== String(expected)) throw new Error(`${actual} instead of ${expected}`)
}

async function readAndWrite() {
  const { open, readFile, stat, writeFile } = await import('uring/fs')
  const other = join(folder, 'other')
  await writeFile(other, 'text', { durable: true })
  same(await readFile(other, 'utf8'), 'text')
  same((await stat(path)).size, 5)
  const handle = await open(path)
  const { bytesRead } = await handle.read(Buffer.alloc(10), 0, 10, 0)
  await handle.close()
  same(bytesRead, 5)
}

const parts = {
  async 'uring/config'() {
    const { availability, buildRing } = await import('uring/config')
    const { available, reason } = availability()
    if (!available) throw new Error(reason)
    buildRing({}).ring.close()
  },
  async 'uring/ring'() {
    const { addressOf, prepRead, Ring } = await import('uring/ring')
    const ring = Ring.open({ entries: 8 })
    const fd = openSync(path, 'r')
    const buffer = Buffer.alloc(64)
    prepRead(ring.getSqe(), fd, addressOf(buffer), 64, 0).setUserData(7)
    ring.submitAndWait(1)
    const seen = []
    ring.forEachCqe((low, _high, res) => seen.push(low, res, buffer.toString('utf8', 0, res)))
    closeSync(fd)
    ring.close()
    same(seen, '7,5,hello')
  },
  async uring() {
    const { Uring } = await import('uring')
    const uring = Uring.open()
    const fd = openSync(path, 'r')
    const buffers = [Buffer.alloc(3), Buffer.alloc(2)]
    const reads = buffers.map((buffer, index) => uring.read(fd, buffer, { offset: index * 3 }))
    same(await Promise.all(reads), '3,2')
    same(buffers, 'hel,lo')
    await uring.timeout(20)
    closeSync(fd)
    await uring.close()
  },
  'uring/fs': readAndWrite,
  async 'uring/fs with URING_DISABLE=1'() {
    process.env.URING_DISABLE = '1'
    try {
      await readAndWrite()
    } finally {
      delete process.env.URING_DISABLE
    }
  },
}

for (const [name, run] of Object.entries(parts)) {
  let timer
  const limit = new Promise((_resolve, reject) => {
    timer = setTimeout(reject, LIMIT_MS, new Error('no answer within five seconds'))
  })
  try {
    await Promise.race([run(), limit])
    console.log(`${name}: works`)
  } catch (error) {
    console.log(`${name}: ${String(error?.message ?? error).replace(/\s+/g, ' ')}`)
  }
  clearTimeout(timer)
}
rmSync(folder, { recursive: true, force: true })
process.exit(0)
