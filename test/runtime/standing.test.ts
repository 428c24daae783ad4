// Operations that stand ready: connections by the thousand have one each, and it must cost nothing to have it.

import { POLLIN, prepPollMultishot } from '../../src/ring/index.js'
import { assert, needs, test } from '../harness.js'
import { Signal, TestRing, turns } from './fixture.js'

const COUNT = 100

interface Standing {
  readonly results: number[]
  readonly mores: boolean[]
}

/** Many polls that stand ready, on a ring with room for far fewer completions. */
function stand(uring: TestRing, signal: Signal, count: number): Standing[] {
  return Array.from({ length: count }, () => {
    const seen: Standing = { results: [], mores: [] }
    uring.driver.submitMultishot(
      (sqe) => prepPollMultishot(sqe, signal.fd, POLLIN),
      (res, _flags, more) => {
        seen.results.push(res)
        seen.mores.push(more)
      },
      'poll',
      null,
      true,
    )
    return seen
  })
}

test(
  'operations that stand ready leave the bound to the others',
  needs({ linux: '5.13' }, async () => {
    const signal = new Signal()
    const uring = new TestRing({ entries: 4, cqEntries: 8 })
    stand(uring, signal, COUNT)
    assert.is(uring.driver.inFlight, COUNT)
    assert.is(uring.driver.waiting, 0)
    const others = Array.from({ length: 50 }, () => uring.nop())
    assert.equal(await Promise.all(others), new Array(50).fill(0))
    assert.is(uring.driver.inFlight, COUNT)
    await uring.close()
    signal.close()
  }),
)

test(
  'when all of them complete at once none is lost, more than the completion queue holds included',
  needs({ linux: '5.13' }, async () => {
    const signal = new Signal()
    const uring = new TestRing({ entries: 4, cqEntries: 8 })
    const all = stand(uring, signal, COUNT)
    await turns(2)
    signal.raise()
    for (let turn = 0; turn < 200 && all.some(({ results }) => results.length === 0); turn++) await turns(1)
    for (const { results } of all) assert.ok(results.length > 0 && results[0]! > 0)
    await uring.close()
    for (const { mores } of all) assert.is(mores.at(-1), false)
    assert.is(uring.driver.inFlight, 0)
    signal.close()
  }),
)

test(
  'closing the ring ends them all',
  needs({ linux: '5.13' }, async () => {
    const signal = new Signal()
    const uring = new TestRing({ entries: 4, cqEntries: 8 })
    const all = stand(uring, signal, COUNT)
    await turns(2)
    await uring.close()
    for (const { results, mores } of all) {
      assert.equal(results, [-125])
      assert.equal(mores, [false])
    }
    signal.close()
  }),
)

test.run()
