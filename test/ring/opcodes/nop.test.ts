import { prepNop, prepNop128, prepNopResult, setOperationFlags } from '../../../src/ring/prep/index.js'
import { IORING_SETUP_SQE128 } from '../../../src/syscalls/abi/index.js'
import { assert, kernelIsAtLeast, needs, test } from '../../harness.js'
import { complete, next, openRing, result, run } from './fixture.js'

test(
  'prepNop() completes with 0 and its user_data',
  needs({ opcode: 'IORING_OP_NOP' }, () => {
    using ring = openRing()
    assert.equal(
      run(ring, (sqe) => prepNop(sqe).setUserData(7)),
      { userData: 7, res: 0, flags: 0 },
    )
  }),
)

test(
  'prepNop() completes in a batch as large as the ring',
  needs({ opcode: 'IORING_OP_NOP' }, () => {
    using ring = openRing({ entries: 8 })
    for (let index = 0; index < 8; index++) prepNop(next(ring)).setUserData(index)
    assert.is(ring.getSqe(), null)
    assert.equal(
      complete(ring, 8).map(({ userData }) => userData),
      [0, 1, 2, 3, 4, 5, 6, 7],
    )
  }),
)

test(
  'prepNop() fails when a flag bit is unknown',
  needs({ opcode: 'IORING_OP_NOP', linux: '6.10' }, () => {
    using ring = openRing()
    assert.is(
      result(ring, (sqe) => setOperationFlags(prepNop(sqe), 1 << 30)),
      'EINVAL',
    )
  }),
)

test(
  'prepNopResult() completes with the result it was given',
  needs({ opcode: 'IORING_OP_NOP', linux: '6.10' }, () => {
    using ring = openRing()
    assert.is(run(ring, (sqe) => prepNopResult(sqe, 42)).res, 42)
    assert.is(run(ring, (sqe) => prepNopResult(sqe, -5)).res, -5)
    assert.is(run(ring, (sqe) => prepNopResult(sqe, -(2 ** 31))).res, -(2 ** 31))
  }),
)

test(
  'prepNop128() completes where the kernel has it, else with EINVAL',
  needs({ setup: 'IORING_SETUP_SQE128' }, () => {
    using ring = openRing({ flags: IORING_SETUP_SQE128 })
    const sqe = ring.getSqe128()
    assert.ok(sqe)
    prepNop128(sqe)
    const [completion] = complete(ring, 1)
    assert.is(completion!.res, kernelIsAtLeast('6.19') ? 0 : -22)
  }),
)

test(
  'prepNop128() fails in an entry of 64 bytes',
  needs({ ring: true }, () => {
    using ring = openRing()
    assert.is(result(ring, prepNop128), 'EINVAL')
  }),
)

test.run()
