// Child of the `smallfiles` suite: reads or writes every file of a folder, so many at a time.
// Arguments: folder, files, concurrency, and who does what. Files that are created are removed again after each run,
// outside of the measured time.

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import nodeFiles from 'node:fs/promises'
import { join } from 'node:path'
import { serve, timeUnits } from '../harness/serve.js'

const FILE_BYTES = 4096
const [folder, countText, concurrencyText, variant] = process.argv.slice(2)
const concurrency = Number(concurrencyText)
const paths = Array.from({ length: Number(countText) }, (_, index) => join(folder!, `file-${index}`))
const data = Buffer.alloc(FILE_BYTES, 'x')
const [who, what] = variant!.split('-')

// Bun runs this child too, and has no part of this library.
const ringFiles = who === 'uring' ? await import('../../src/fs/index.js') : null

function check(content: { readonly byteLength: number }): void {
  if (content.byteLength !== FILE_BYTES) throw new Error(`${content.byteLength} bytes of ${FILE_BYTES}`)
}

/** Calls `work` for every path, `concurrency` at a time. */
async function forAll(work: (path: string) => Promise<unknown>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < paths.length) await work(paths[next++]!)
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}

async function readAll(read: (path: string) => Promise<{ readonly byteLength: number }>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < paths.length) check(await read(paths[next++]!))
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}

interface Bun {
  file(path: string): { arrayBuffer(): Promise<ArrayBuffer> }
}

const passes: Readonly<Record<string, () => void | Promise<void>>> = {
  'uring-read': () => readAll((path) => ringFiles!.readFile(path)),
  'uring-readFiles': async () => {
    for await (const file of ringFiles!.readFiles(paths, { concurrency })) check(file.data)
  },
  'node-read': () => readAll((path) => nodeFiles.readFile(path)),
  'sync-read': () => {
    for (const path of paths) check(readFileSync(path))
  },
  'bun-read': () => {
    const { Bun: bun } = globalThis as unknown as { Bun: Bun }
    return readAll((path) => bun.file(path).arrayBuffer())
  },
  uring: () => forAll((path) => ringFiles!.writeFile(path, data)),
  node: () => forAll((path) => nodeFiles.writeFile(path, data)),
  sync: () => {
    for (const path of paths) writeFileSync(path, data)
  },
}

const isWrite = what === 'create' || what === 'replace'
const pass = passes[isWrite ? who! : variant!]!
if (what === 'replace') for (const path of paths) writeFileSync(path, data)

await serve(async (milliseconds) => {
  let total = { ops: 0, seconds: 0, cpuMicros: 0 }
  // Whole passes, each timed: so the time between them does not count.
  while (total.seconds < milliseconds / 1000) {
    const { ops, seconds, cpuMicros } = await timeUnits({ opsPerUnit: paths.length, loop: pass }, 1)
    total = { ops: total.ops + ops, seconds: total.seconds + seconds, cpuMicros: total.cpuMicros + cpuMicros }
    if (what === 'create') for (const path of paths) rmSync(path)
  }
  return total
})
