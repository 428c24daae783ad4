// Everything at once, with aborts at any moment: nothing hangs, nothing is lost, nothing is left behind.

import { appendFile, open, readFile, stat, writeFile } from '../../src/fs/index.js'
import { defaultUring } from '../../src/runtime/index.js'
import { descriptorCount } from '../descriptors.js'
import { assert, needs, test } from '../harness.js'
import { scaled } from '../patience.js'
import { Random } from './random-operations.js'
import { makeFifo, runModule, scratch } from './scratch.js'
import '../settled.js'

const CALLS = scaled(3000)
const ROUNDS = 3

async function withHandle(path: string, signal: AbortSignal | undefined): Promise<void> {
  const handle = await open(path, 'a+')
  try {
    const results = [
      handle.read(Buffer.alloc(10)),
      handle.appendFile('y', { signal }),
      handle.stat(),
      handle.readFile({ signal }),
      handle.datasync(),
    ]
    await Promise.all(results)
  } finally {
    await handle.close()
  }
}

test(
  'thousands of calls with aborts at random moments all settle',
  needs({ ring: true }, async () => {
    const random = new Random(42)
    const fifo = makeFifo('stress-fifo')
    await writeFile(scratch('stress-0'), '')
    const before = descriptorCount()
    const one = async (index: number): Promise<void> => {
      const controller = new AbortController()
      const signal = random.chance(0.7) ? controller.signal : undefined
      const timer = random.chance(0.6) ? setTimeout(() => controller.abort(), random.below(20)) : undefined
      const path = scratch(`stress-${index % 37}`)
      // Direct writes and cached ones to one file at a time make the kernel report EIO at the next sync of it.
      const alone = scratch(`stress-direct-${index % 7}`)
      const calls: readonly (() => Promise<unknown>)[] = [
        () => writeFile(path, 'x'.repeat(random.below(300_000)), { signal }),
        () => readFile(path, { signal }),
        () => readFile(path, { signal, encoding: 'latin1' }),
        () => readFile(alone, { signal, direct: true }),
        () => writeFile(alone, Buffer.alloc(random.below(300_000)), { signal, direct: true }),
        () => appendFile(path, Buffer.alloc(1000), { signal, durable: random.chance(0.02) }),
        () => writeFile(path, ['a', Buffer.alloc(5000)], { signal }),
        () => withHandle(path, signal),
        () => stat(path),
        () => {
          if (!random.chance(0.1)) return Promise.resolve()
          setTimeout(() => controller.abort(), 30)
          return readFile(fifo, { signal: controller.signal })
        },
      ]
      try {
        await random.pick(calls)()
      } catch (error) {
        const { name, code } = error as { name: string; code: string }
        assert.ok(name === 'AbortError' || code === 'ENOENT', String(error))
      } finally {
        clearTimeout(timer)
      }
    }
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(Array.from({ length: CALLS }, (_, index) => one(index)))
    }
    const { driver } = defaultUring()!
    assert.is(driver.inFlight, 0)
    assert.is(driver.arena.blocksInUse, 0)
    assert.ok(descriptorCount() <= before)
  }),
)

test('a handle is not collected while one of its operations is in progress', async () => {
  const fifo = makeFifo('collected')
  const { code, stdout, stderr } = await runModule(
    `
    import { open } from 'SRC/fs/index.ts'
    import { writeFileSync } from 'node:fs'
    const reading = (async () => (await open(${JSON.stringify(fifo)}, 'r+')).read(Buffer.alloc(4)))()
    for (let round = 0; round < 20; round++) {
      await new Promise((resolve) => setTimeout(resolve, 5))
      globalThis.gc()
    }
    writeFileSync(${JSON.stringify(fifo)}, 'data')
    const { buffer } = await reading
    console.log(buffer.toString())
    process.exit()`,
    { flags: ['--expose-gc'] },
  )
  assert.is(code, 0, stderr)
  assert.is(stdout, 'data\n')
  assert.not.match(stderr, /garbage collection/)
})

test.run()
