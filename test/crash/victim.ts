// The process that is killed: works until then, and says on its standard output what has been acknowledged to it.

import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { appendFile, open } from '../../src/fs/index.js'
import { defaultUring } from '../../src/runtime/index.js'
import { copyFile, patchFile } from '../../src/transfer/index.js'
import { makeRecord } from './records.js'

const [kind, folder, seed] = [process.argv[2]!, process.argv[3]!, Number(process.argv[4])]
/** Written at once, and by no stream: a kill must not lose an acknowledgement. */
const say = (line: string): void => {
  writeSync(1, `${line}\n`)
}

/** Durable appends, eight at a time: by path, through a handle, and as linked operations. */
async function append(): Promise<never> {
  const path = join(folder, 'log')
  const handle = await open(path, 'a')
  const uring = defaultUring()
  let next = 0
  const one = async (way: number): Promise<never> => {
    for (;;) {
      const number = next++
      const record = makeRecord(number, (number * 7919 + seed) % 5000)
      if (way === 0) await appendFile(path, record, { durable: true })
      else if (way === 1 || uring === null) await handle.appendFile(record, { durable: true })
      else {
        const [written, synced] = await uring.chain((linked) => [
          linked.write(handle.fd, record),
          linked.fdatasync(handle.fd),
        ])
        if (
          written.status !== 'fulfilled' ||
          written.value !== record.length ||
          synced.status !== 'fulfilled'
        ) {
          throw new Error(`a linked append failed: ${JSON.stringify([written, synced])}`)
        }
      }
      say(`ack ${number}`)
    }
  }
  say('ready')
  await Promise.all(Array.from({ length: 8 }, (_, index) => one(index % 3)))
  throw new Error('appending came to an end')
}

/** One file after the other over the same target, by every method. */
async function copy(): Promise<never> {
  const methods = [
    ['ring'],
    ['copy-file-range'],
    ['node'],
    ['reflink', 'copy-file-range', 'ring', 'node'],
  ] as const
  say('ready')
  for (let round = 0; ; round++) {
    const source = join(folder, round % 2 === 0 ? 'one' : 'other')
    const durable = round % 3 === 0
    await copyFile(source, join(folder, 'target'), { methods: methods[(round + seed) % 4]!, durable })
    say(`ack ${round}`)
  }
}

/** Both deltas in turns over the same output. */
async function patch(): Promise<never> {
  say('ready')
  for (let round = 0; ; round++) {
    const delta = join(folder, round % 2 === 0 ? 'delta-one' : 'delta-other')
    const basis = (['auto', 'mmap', 'buffered'] as const)[(round + seed) % 3]!
    await patchFile(join(folder, 'basis'), delta, join(folder, 'target'), { basis })
    say(`ack ${round}`)
  }
}

const KINDS: Readonly<Record<string, () => Promise<never>>> = { append, copy, patch }
await KINDS[kind]!()
