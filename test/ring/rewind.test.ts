// IORING_SETUP_SQ_REWIND (Linux 7.0): no head and no tail, the kernel reads from slot 0 at each enter.

import { Ring } from '../../src/ring/ring.js'
import { IORING_SETUP_NO_SQARRAY, IORING_SETUP_SQ_REWIND } from '../../src/syscalls/abi/index.js'
import { assert, kernelIsAtLeast, needs, test } from '../harness.js'
import { queueNops, range, reap, thrown } from './drive.js'
import { FakeRing } from './fake-ring.js'

const flags = IORING_SETUP_NO_SQARRAY | IORING_SETUP_SQ_REWIND

function open(): { fake: FakeRing; ring: Ring } {
  const fake = new FakeRing()
  return { fake, ring: Ring.open({ entries: 4, flags }, fake) }
}

test('SQ_REWIND: every submit begins at slot 0, and the tail is not stored', () => {
  const { fake, ring } = open()
  for (const userData of range(1, 10)) {
    queueNops(ring, userData, 100)
    assert.is(ring.submit(), 2)
    assert.equal(reap(ring), [userData, 100])
    assert.is(fake.sqes[8], userData)
  }
  assert.is(fake.word('sq', 'tail'), 0)
  ring.close()
  fake.dispose()
})

test('SQ_REWIND: what was not taken moves to the front and goes with the next submit', () => {
  const { fake, ring } = open()
  queueNops(ring, 1, 2, 3, 4)
  assert.is(ring.getSqe(), null)
  fake.limits.push(3)
  assert.is(ring.submit(), 3)
  assert.equal([ring.sqPending, ring.sqSpaceLeft], [1, 3])
  queueNops(ring, 5, 6)
  fake.limits.push(0)
  assert.is(ring.submit(), 0)
  assert.is(ring.submit(), 3)
  assert.equal(reap(ring), [1, 2, 3, 4, 5, 6])
  ring.close()
  fake.dispose()
})

test('SQ_REWIND: a refused enter loses nothing', () => {
  const { fake, ring } = open()
  queueNops(ring, 1, 2)
  fake.refusals.push(-9)
  assert.is(thrown(() => ring.submit()).code, 'EBADF')
  assert.is(ring.sqPending, 2)
  assert.is(ring.submit(), 2)
  assert.equal(reap(ring), [1, 2])
  ring.close()
  fake.dispose()
})

test('SQ_REWIND: resize() wants an empty queue', () => {
  const { fake, ring } = open()
  queueNops(ring, 1)
  const error = thrown(() => ring.resize({ entries: 8 }))
  assert.is(error.code, 'ERR_INVALID_STATE')
  assert.equal(fake.registers, [])
  ring.close()
  fake.dispose()
})

test(
  'SQ_REWIND, SQE_MIXED: a kernel that does not know them answers EINVAL',
  needs({ ring: true, when: () => !kernelIsAtLeast('6.19') || 'this kernel may know them' }, () => {
    for (const unknown of [flags, 0x8_0000]) {
      const error = thrown(() => Ring.open({ entries: 4, flags: unknown }))
      assert.equal([error.code, error.errno, error.syscall], ['EINVAL', -22, 'io_uring_setup'])
    }
  }),
)

test(
  'SQ_REWIND: the core on a real ring',
  needs({ setup: ['IORING_SETUP_NO_SQARRAY', 'IORING_SETUP_SQ_REWIND'] }, () => {
    const ring = Ring.open({ entries: 4, flags })
    for (const userData of range(1, 10)) {
      queueNops(ring, userData, 100)
      assert.is(ring.submit(), 2)
      assert.equal(reap(ring), [userData, 100])
    }
    ring.close()
  }),
)

test.run()
