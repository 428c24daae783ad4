// The bound on the kernel's threads during copies of trees, with a clock of the test's own.

import { WorkerBound } from '../../src/transfer/copy/tree-workers.js'
import { assert, test } from '../harness.js'

/** A bound that stands at `before`, and a clock that stands still. */
function fixture(atFirst: number, before = 32) {
  const kernel = { bound: before, refuses: false }
  const clock = { now: 1000 }
  const workers = new WorkerBound(atFirst, () => clock.now)
  const set = (bound: number): number => {
    if (kernel.refuses) return 0
    const found = kernel.bound
    if (bound !== 0) kernel.bound = bound
    return found
  }
  /** Makes files, each of which takes a thread `milliseconds`. */
  const make = (files: number, milliseconds: number): void => {
    for (let made = 0; made < files; made++) {
      clock.now += milliseconds / kernel.bound
      workers.made(set)
    }
  }
  return { kernel, clock, workers, set, make }
}

test('files that are made in memory get no more threads than at first', () => {
  const { kernel, workers, set, make } = fixture(3)
  workers.begin(set)
  assert.is(kernel.bound, 3)
  make(10_000, 0.02)
  assert.is(kernel.bound, 3)
  workers.end(set)
  assert.is(kernel.bound, 32)
})

test('files that wait get twice as many threads each time, up to 32', () => {
  const { kernel, workers, set, make } = fixture(1)
  const seen: number[] = []
  workers.begin(set)
  for (const files of [31, 1, 64, 128, 256, 512, 1024]) {
    make(files, 2)
    seen.push(kernel.bound)
  }
  assert.equal(seen, [1, 2, 4, 8, 16, 32, 32])
  workers.end(set)
  assert.is(kernel.bound, 32)
})

test('a time without files to make is not taken for slowness', () => {
  const { kernel, clock, workers, set, make } = fixture(1)
  workers.begin(set)
  for (let round = 0; round < 100; round++) {
    make(20, 0.02)
    clock.now += 50
    workers.rest()
  }
  assert.is(kernel.bound, 1)
  make(32, 2)
  assert.is(kernel.bound, 2, 'and slowness is still seen')
  workers.end(set)
})

test('at first there is one thread at least, and eight at most', () => {
  for (const [atFirst, bound] of [
    [0, 1],
    [-1, 1],
    [5, 5],
    [8, 8],
    [255, 8],
  ] as const) {
    const { kernel, workers, set } = fixture(atFirst)
    workers.begin(set)
    assert.is(kernel.bound, bound)
    workers.end(set)
  }
})

test('the bound is put back when the last of several copies ends', () => {
  const { kernel, workers, set, make } = fixture(1, 17)
  workers.begin(set)
  make(32, 2)
  workers.begin(set)
  assert.is(kernel.bound, 2, 'a second copy goes on with what the first has found out')
  workers.end(set)
  assert.is(kernel.bound, 2)
  workers.end(set)
  assert.is(kernel.bound, 17)
  workers.begin(set)
  assert.is(kernel.bound, 1, 'the next begins anew')
  workers.end(set)
  assert.is(kernel.bound, 17)
})

test('more that somebody else has asked for in the meantime stays', () => {
  const { kernel, workers, set, make } = fixture(1, 8)
  workers.begin(set)
  kernel.bound = 32
  for (let made = 0; made < 32; made++) make(1, 64)
  assert.is(kernel.bound, 32)
  workers.end(set)
  assert.is(kernel.bound, 32)
})

test('where the bound cannot be set it stays', () => {
  const { kernel, workers, set, make } = fixture(1, 8)
  kernel.refuses = true
  workers.begin(set)
  make(1000, 2)
  workers.end(set)
  assert.is(kernel.bound, 8)
})

test.run()
