// registerProbe() and query(): what the kernel says of itself, both ways.

import { query, queryKernel, registerProbe } from '../../../src/ring/register/index.js'
import { Ring } from '../../../src/ring/ring.js'
import {
  IO_URING_OP_SUPPORTED,
  IORING_OP_NOP,
  IORING_OP_READ,
  IORING_SETUP_SQPOLL,
  IOSQE_FIXED_FILE,
} from '../../../src/syscalls/abi/index.js'
import { assert, kernelIsAtLeast, needs, test } from '../../harness.js'
import { spied } from '../drive.js'

test(
  'registerProbe() lists opcodes with their flags',
  needs({ linux: '5.6' }, () => {
    using ring = Ring.open({ entries: 8 })
    const known = registerProbe(ring)
    assert.is(known.ops.length, known.lastOp + 1)
    assert.equal(
      known.ops.map((op) => op.opcode),
      [...known.ops.keys()],
    )
    assert.is(known.ops[IORING_OP_READ]!.flags, IO_URING_OP_SUPPORTED)
    assert.equal(
      [known.supports(IORING_OP_NOP), known.supports(255), known.supports(-1)],
      [true, false, false],
    )
  }),
)

test(
  'registerProbe() throws EINVAL when the kernel has no probe',
  needs({ ring: true }, () => {
    using ring = Ring.open({ entries: 8 }, spied({ register: () => -22 }))
    assert.throws(() => registerProbe(ring), {
      code: 'EINVAL',
      syscall: 'io_uring_register',
      message: /5\.6/,
    })
  }),
)

test(
  'queryKernel() counts the opcodes that registerProbe() lists',
  needs({ register: 'IORING_REGISTER_QUERY' }, () => {
    using ring = Ring.open({ entries: 8 })
    const { result, value } = queryKernel().opcodes
    assert.is(result, 0)
    const known = registerProbe(ring)
    assert.is(value!.requestOpcodeCount, known.lastOp + 1)
    // A kernel built without some feature has holes in the probe, which the query does not tell.
    const supported = known.ops.filter((op) => known.supports(op.opcode)).length
    assert.ok(supported <= value!.requestOpcodeCount && supported > IORING_OP_READ)
    assert.is(value!.featureFlags & ring.features, ring.features)
    assert.is(value!.setupFlags & IORING_SETUP_SQPOLL, IORING_SETUP_SQPOLL)
    assert.is(value!.sqeFlags & IOSQE_FIXED_FILE, IOSQE_FIXED_FILE)
    assert.ok(value!.registerOpcodeCount >= 36 && value!.enterFlags > 0 && value!.queryOpcodeCount >= 1)
  }),
)

test(
  'query() answers through a ring as queryKernel() does without',
  needs({ register: 'IORING_REGISTER_QUERY' }, () => {
    using ring = Ring.open({ entries: 8 })
    assert.equal(query(ring), queryKernel())
  }),
)

test(
  'query() answers each question by itself',
  needs({ register: 'IORING_REGISTER_QUERY' }, () => {
    const { opcodes, zcrx, scq } = queryKernel()
    const isKnown = [opcodes, zcrx, scq].map((answer) => answer.result === 0)
    const count = opcodes.value!.queryOpcodeCount
    assert.equal(isKnown, [true, count > 1, count > 2])
    if (count === 1) assert.equal([zcrx, scq], [{ result: -95 }, { result: -95 }])
    if (kernelIsAtLeast('6.19')) assert.ok(scq.value!.headerBytes > 0)
  }),
)

test('queryKernel() throws EINVAL when the kernel is older', () => {
  const calls = spied({ register: () => -22 })
  assert.throws(() => queryKernel(calls), { code: 'EINVAL', message: /IORING_REGISTER_QUERY.*6\.18/ })
  assert.is(calls.counts.register, 1)
})

test.run()
