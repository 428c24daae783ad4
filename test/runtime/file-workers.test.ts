// The bound on the kernel's worker threads, as `Uring.open` sets it and the kernel then reports it.

import { Uring } from '../../src/index.js'
import { registerIowqMaxWorkers } from '../../src/ring/index.js'
import { assert, needs, test } from '../harness.js'

const here = needs.bind(null, { ring: true, linux: '5.15' } as const)

/** The bound of a ring opened with these options. */
async function boundOf(fileWorkers?: number): Promise<number> {
  await using uring = Uring.open({ sqEntries: 4, fileWorkers })
  return registerIowqMaxWorkers(uring.driver.ring).bounded
}

test(
  'open() raises the bound of its thread to 32, or to fileWorkers, and never lowers it',
  here(async () => {
    // The bound belongs to the thread: the first ring of this process finds what the kernel gave it.
    const own = await boundOf(0)
    assert.ok(own < 32, `the kernel's own bound is ${own}: nothing to raise`)
    assert.is(await boundOf(), 32)
    assert.is(await boundOf(35), 35)
    assert.is(await boundOf(1), 35)
    assert.is(await boundOf(0), 35)
    assert.is(await boundOf(), 35)
  }),
)

test('open() names a bad fileWorkers', () => {
  for (const [fileWorkers, code] of [
    [-1, 'ERR_OUT_OF_RANGE'],
    [1.5, 'ERR_OUT_OF_RANGE'],
    [65_536, 'ERR_OUT_OF_RANGE'],
    ['8', 'ERR_INVALID_ARG_TYPE'],
  ] as const) {
    const open = (): Uring => Uring.open({ fileWorkers: fileWorkers as number })
    assert.throws(open, (error: { code?: string }) => error.code === code)
  }
})

test.run()
