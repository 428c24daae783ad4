// readFile with `buffer`, where the running Node has it.

import { writeFileSync } from 'node:fs'
import nodeFs from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { open, readFile } from '../../src/fs/index.js'
import { assert, needs, test } from '../harness.js'
import { scratch } from './scratch.js'

const here = needs.bind(null, {
  when: () => Number.parseInt(process.versions.node, 10) >= 24 || 'readFile into memory needs Node 24',
} as const)
writeFileSync(scratch('some'), 'some text')

async function outcome(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise
  } catch (error) {
    const { name, code, message } = error as Error & { code?: string }
    return { name, code, message }
  }
}

test(
  'readFile({ buffer }) ends as in Node, by path and by handle',
  here(async () => {
    const targets: (() => unknown)[] = [
      () => Buffer.alloc(9),
      () => Buffer.alloc(20),
      () => new Uint16Array(10),
      () => new DataView(new ArrayBuffer(30), 10),
      () => (size: number) => Buffer.alloc(size + 1),
      () => Buffer.alloc(8),
      () => () => Buffer.alloc(1),
      () => () => 'none',
      () => new ArrayBuffer(10),
      () => null,
      () => 5,
    ]
    for (const path of [scratch('some'), '/proc/self/comm', '/dev/null']) {
      for (const encoding of [undefined, 'utf8'] as const) {
        for (const make of targets) {
          const options = (): object => ({ buffer: make(), encoding })
          const label = `${path} ${encoding} ${String(make)}`
          const [ours, theirs] = [await open(path), await nodeFs.open(path)]
          const results = [await outcome(ours.readFile(options())), await outcome(theirs.readFile(options()))]
          assert.ok(isDeepStrictEqual(results[0], results[1]), `${label}: ${JSON.stringify(results)}`)
          const byPath = [
            await outcome(readFile(path, options())),
            await outcome(nodeFs.readFile(path, options())),
          ]
          assert.ok(isDeepStrictEqual(byPath[0], byPath[1]), `${label}: ${JSON.stringify(byPath)}`)
          await ours.close()
          await theirs.close()
        }
      }
    }
    const handle = await open(scratch('some'))
    const memory = Buffer.alloc(20)
    const content = await handle.readFile({ buffer: memory })
    assert.is(content.buffer, memory.buffer)
    await handle.close()
  }),
)

test.run()
