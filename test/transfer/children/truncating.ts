// Patches a basis again and again while another thread cuts it short at random moments. Prints what came of it as JSON;
// the test sees whether this process lives to do so.

import { readFileSync, writeFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { type PatchOptions, patchFile } from '../../../src/transfer/index.js'

const [basis, delta, target, fresh, roundsText, optionsText] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
  string,
]
const rounds = Number(roundsText)
const options = JSON.parse(optionsText) as PatchOptions
const content = readFileSync(basis)
const expected = readFileSync(fresh)
const victim = `${target}.basis`

// The other thread waits for word 0 to become a number of microseconds, cuts the file after them, and answers 0.
const words = new Int32Array(new SharedArrayBuffer(8))
const cutter = new Worker(
  `const { workerData: { words, path } } = require('node:worker_threads')
   const { truncateSync } = require('node:fs')
   for (;;) {
     Atomics.wait(words, 0, 0)
     const wanted = Atomics.load(words, 0)
     if (wanted < 0) break
     const end = performance.now() + wanted / 1000
     while (performance.now() < end);
     truncateSync(path, Atomics.load(words, 1))
     Atomics.store(words, 0, 0)
     Atomics.notify(words, 0)
   }`,
  { eval: true, workerData: { words, path: victim } },
)

const outcomes: Record<string, number> = {}
let spentMs = 5
for (let round = 0; round < rounds; round++) {
  writeFileSync(victim, content)
  writeFileSync(target, 'old')
  Atomics.store(words, 1, Math.floor(Math.random() * content.length))
  Atomics.store(words, 0, 1 + Math.floor(Math.random() * 1.3 * spentMs * 1000))
  Atomics.notify(words, 0)
  const startedMs = performance.now()
  let outcome: string
  try {
    await patchFile(victim, delta, target, options)
    // Whole operations only: the length of one with an error is that of another.
    spentMs = spentMs * 0.8 + (performance.now() - startedMs) * 0.2
    outcome = readFileSync(target).equals(expected) ? 'right' : 'WRONG BYTES'
  } catch (error) {
    outcome = (error as { code?: string }).code ?? String(error)
    if (readFileSync(target, 'utf8') !== 'old') outcome = 'TARGET TOUCHED'
  }
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
  // The file is made anew only when the other thread is done with it.
  for (let wanted = Atomics.load(words, 0); wanted !== 0; wanted = Atomics.load(words, 0)) {
    Atomics.wait(words, 0, wanted, 100)
  }
}
Atomics.store(words, 0, -1)
Atomics.notify(words, 0)
await new Promise((resolve) => cutter.once('exit', resolve))
console.log(JSON.stringify(outcomes))
