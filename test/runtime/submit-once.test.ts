// Operations with one completion and a function instead of a promise, which uring/fs is made of. On rings of every kind.

import { addressOf, prepNop, prepRead, type Sqe } from '../../src/ring/index.js'
import { assert, needs, test } from '../harness.js'
import { PATIENCE } from '../patience.js'
import { eightBytes, KINDS, outcome, Signal, TestRing, turns, until } from './fixture.js'

const here = needs.bind(null, { ring: true } as const)
const ECANCELED = -125

for (const [kind, flags] of Object.entries(KINDS)) {
  test(
    `submitOnce() calls its handler once with the result, on a ring of kind ${kind}`,
    needs({ setup: flags }, async () => {
      await using uring = new TestRing({ flags })
      const { driver } = uring
      // More than the queues hold: some wait in line, and take the way of the slower operations.
      const count = 4 * driver.ring.cqEntries
      const results: number[] = []
      for (let index = 0; index < count; index++) {
        driver.submitOnce(prepNop, (res, _flags, more) => results.push(more ? 1 : res), 'nop', null)
      }
      assert.is(driver.inFlight, count)
      await until(() => results.length === count, `${count} results`)
      await turns(3)
      assert.equal(new Set(results), new Set([0]))
      assert.is(results.length, count)
      assert.is(driver.inFlight, 0)
    }),
  )
}

test(
  'submitOnce() sends what a handler issues in the same pass',
  here(async () => {
    await using uring = new TestRing()
    const { driver } = uring
    const steps: number[] = []
    const step = (): void => {
      steps.push(driver.counters.enters)
      if (steps.length < 5) driver.submitOnce(prepNop, step, 'nop', null)
    }
    driver.submitOnce(prepNop, step, 'nop', null)
    driver.flush()
    // A slow machine's share of the turn may be used up before.
    if (PATIENCE > 1) await until(() => steps.length === 5, 'the last step')
    assert.equal(steps, [1, 2, 3, 4, 5])
  }),
)

test(
  'submitOnce() ends with ECANCELED what cannot be prepared, and goes on',
  here(async () => {
    await using uring = new TestRing()
    const { driver } = uring
    const results: number[] = []
    const onCqe = (res: number): number => results.push(res)
    const slot = driver.submitOnce((sqe: Sqe) => prepRead(sqe, 1.5, 0, 0, 0), onCqe, 'read', null)
    assert.equal(results, [ECANCELED])
    // What was returned belongs to nobody: to cancel by it does nothing.
    driver.cancel(slot)
    driver.submitOnce(prepNop, onCqe, 'nop', null)
    await until(() => results.length === 2)
    assert.equal(results, [ECANCELED, 0])
    assert.is(await uring.nop(), 0)
  }),
)

test(
  'submitOnce() gives back its slot before the handler runs: one that throws loses nothing',
  here(async () => {
    await using uring = new TestRing()
    const { driver } = uring
    const caught: string[] = []
    const listener = (error: Error): number => caught.push(error.message)
    process.once('uncaughtException', listener)
    driver.submitOnce(
      prepNop,
      () => {
        throw new Error('a handler')
      },
      'nop',
      null,
    )
    assert.is(await uring.nop(), 0)
    await until(() => caught.length === 1)
    process.removeListener('uncaughtException', listener)
    assert.equal(caught, ['a handler'])
    assert.is(driver.inFlight, 0)
  }),
)

test(
  'cancel() ends an operation of submitOnce(), in the turn of its call and later',
  here(async () => {
    await using uring = new TestRing()
    const { driver } = uring
    using signal = new Signal()
    for (const later of [false, true]) {
      const buffer = eightBytes()
      const results: number[] = []
      const prepare = (sqe: Sqe): void => {
        prepRead(sqe, signal.fd, addressOf(buffer), 8, 0)
      }
      const slot = driver.submitOnce(prepare, (res) => results.push(res), 'read', buffer)
      if (later) await turns(2)
      driver.cancel(slot)
      await until(() => results.length === 1, 'the end of the operation')
      assert.equal(results, [ECANCELED])
    }
    // A slot that served such an operation serves promises again.
    assert.is(await outcome(uring.nop()), 0)
    signal.raise()
    assert.is(await uring.read(signal.fd, eightBytes()), 8)
  }),
)

test(
  'close() ends operations of submitOnce(), and refuses new ones',
  here(async () => {
    const uring = new TestRing()
    const { driver } = uring
    using signal = new Signal()
    const buffer = eightBytes()
    const results: number[] = []
    const prepare = (sqe: Sqe): void => {
      prepRead(sqe, signal.fd, addressOf(buffer), 8, 0)
    }
    driver.submitOnce(prepare, (res) => results.push(res), 'read', buffer)
    await turns(2)
    await uring.close()
    assert.equal(results, [ECANCELED])
    assert.throws(
      () => driver.submitOnce(prepNop, () => {}, 'nop', null),
      (error: { code?: string }) => error.code === 'EBADF',
    )
  }),
)

test.run()
