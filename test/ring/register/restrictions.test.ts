import { prepNop, prepRead } from '../../../src/ring/prep/index.js'
import {
  type Restriction,
  registerBpfFilter,
  registerBpfFilterTask,
  registerEventfd,
  registerFilesSparse,
  registerRestrictions,
  registerTaskRestrictions,
} from '../../../src/ring/register/index.js'
import { Ring } from '../../../src/ring/ring.js'
import {
  IO_URING_BPF,
  IO_URING_BPF_FILTER_DENY_REST,
  IO_URING_RESTRICTION,
  IORING_OP_NOP,
  IORING_OP_READ,
  IORING_OP_SOCKET,
  IORING_REGISTER_BPF_FILTER,
  IORING_REGISTER_ENABLE_RINGS,
  IORING_REGISTER_FILES2,
  IORING_REGISTER_RESTRICTIONS,
  IORING_REGISTER_SYNC_CANCEL,
  IORING_SETUP_R_DISABLED,
  IOSQE_ASYNC,
  IOSQE_IO_DRAIN,
} from '../../../src/syscalls/abi/index.js'
import { close, viewMemory } from '../../../src/syscalls/libc.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { Struct } from '../../../src/syscalls/struct.js'
import type { UringCalls } from '../../../src/syscalls/uring-calls.js'
import { assert, kernelIsAtLeast, needs, test } from '../../harness.js'
import { nextSqe, openPipe, spied } from '../drive.js'
import { fileWith, memory, result } from './fixture.js'

const SYSCALL = 'io_uring_register'

function restricted(...restrictions: Restriction[]): Ring {
  const ring = Ring.open({ entries: 8, flags: IORING_SETUP_R_DISABLED })
  registerRestrictions(ring, restrictions)
  ring.enable()
  return ring
}

test(
  'registerRestrictions() lets through the opcodes and registrations it lists, and denies the rest',
  needs({ linux: '5.19' }, () => {
    using ring = restricted({ sqeOp: IORING_OP_NOP }, { registerOp: IORING_REGISTER_FILES2 })
    using file = fileWith('x')
    const target = memory(8)
    assert.is(
      result(ring, (sqe) => prepNop(sqe)),
      0,
    )
    assert.is(
      result(ring, (sqe) => prepRead(sqe, file.fd, addressOf(target), 1, 0)),
      'EACCES',
    )
    registerFilesSparse(ring, 2)
    const refusal = { code: 'EACCES', syscall: SYSCALL, message: /restrictions.*IORING_REGISTER_EVENTFD/ }
    assert.throws(() => registerEventfd(ring, 0), refusal)
  }),
)

test(
  'registerRestrictions() allows and demands flags',
  needs({ linux: '5.10' }, () => {
    using ring = restricted(
      { sqeOp: IORING_OP_NOP },
      { sqeFlagsAllowed: IOSQE_ASYNC | IOSQE_IO_DRAIN },
      { sqeFlagsRequired: IOSQE_ASYNC },
    )
    const nop = (flags: number): number | string => result(ring, (sqe) => prepNop(sqe).addFlags(flags))
    assert.equal([nop(IOSQE_ASYNC), nop(IOSQE_ASYNC | IOSQE_IO_DRAIN), nop(0)], [0, 0, 'EACCES'])
    using plain = restricted({ sqeOp: IORING_OP_NOP })
    assert.is(
      result(plain, (sqe) => prepNop(sqe).addFlags(IOSQE_ASYNC)),
      'EACCES',
    )
  }),
)

test(
  'registerRestrictions() throws EBADFD on an enabled ring, EBUSY a second time',
  needs({ linux: '5.10' }, () => {
    using enabled = Ring.open({ entries: 8 })
    const late = { code: 'EBADFD', syscall: SYSCALL, message: /R_DISABLED/ }
    assert.throws(() => registerRestrictions(enabled, [{ sqeOp: IORING_OP_NOP }]), late)
    using ring = Ring.open({ entries: 8, flags: IORING_SETUP_R_DISABLED })
    registerRestrictions(ring, [{ sqeOp: IORING_OP_NOP }])
    assert.throws(() => registerRestrictions(ring, [{ sqeOp: IORING_OP_NOP }]), { code: 'EBUSY' })
    using unknown = Ring.open({ entries: 8, flags: IORING_SETUP_R_DISABLED })
    assert.throws(() => registerRestrictions(unknown, [{ sqeOp: 255 }]), {
      code: 'EINVAL',
      message: /does not know/,
    })
  }),
)

test(
  'registerRestrictions() refuses bad arguments before the kernel is asked',
  needs({ linux: '5.10' }, () => {
    const calls = spied()
    using ring = Ring.open({ entries: 8, flags: IORING_SETUP_R_DISABLED }, calls)
    const before = calls.counts.register
    assert.throws(() => registerRestrictions(ring, []), { code: 'ERR_OUT_OF_RANGE' })
    assert.throws(() => registerRestrictions(ring, {} as never), { code: 'ERR_INVALID_ARG_TYPE' })
    assert.throws(() => registerRestrictions(ring, [null as never]), { code: 'ERR_INVALID_ARG_TYPE' })
    assert.throws(() => registerRestrictions(ring, [{} as never]), { code: 'ERR_INVALID_ARG_VALUE' })
    assert.throws(() => registerRestrictions(ring, [{ sqeop: 1 } as never]), {
      code: 'ERR_INVALID_ARG_VALUE',
    })
    assert.throws(() => registerRestrictions(ring, [{ sqeOp: 1, registerOp: 1 }]), {
      code: 'ERR_INVALID_ARG_VALUE',
    })
    assert.throws(() => registerRestrictions(ring, [{ sqeOp: 256 }]), { code: 'ERR_OUT_OF_RANGE' })
    const sparse: Restriction[] = []
    sparse[1] = { sqeOp: IORING_OP_NOP }
    assert.throws(() => registerRestrictions(ring, sparse), { code: 'ERR_INVALID_ARG_TYPE' })
    assert.is(calls.counts.register, before)
  }),
)

/** A list of one whose member makes it longer when it is read. */
function growing<T>(name: keyof T, value: number, other: T): T[] {
  const list: T[] = []
  const first = { ...other }
  Object.defineProperty(first, name, { enumerable: true, get: () => list.push(other) && value })
  list.push(first)
  return list
}

test(
  'lists that grow while they are read: the kernel is given as many lines as there is memory for',
  needs({ ring: true }, () => {
    const counts: number[] = []
    using ring = Ring.open(
      { entries: 8 },
      spied({ register: (_fd, _opcode, _address, count) => counts.push(count) && 0 }),
    )
    registerRestrictions(
      ring,
      growing<Restriction>('sqeOp' as never, IORING_OP_NOP, { sqeOp: IORING_OP_NOP }),
    )
    assert.is(counts[0], 1)
    const { calls, asked } = recorder(16, 0)
    registerTaskRestrictions(
      growing<Restriction>('sqeOp' as never, IORING_OP_NOP, { sqeOp: IORING_OP_NOP }),
      calls,
    )
    assert.is(asked[0]!.bytes[2], 1)
    const filters = recorder(IO_URING_BPF.size, 0)
    const program = growing('code', 6, { code: 6, k: 0 })
    registerBpfFilterTask({ opcode: IORING_OP_SOCKET, program }, filters.calls)
    assert.is(new Struct(IO_URING_BPF, filters.asked[0]!.bytes).get('filter.filter_len'), 1)
  }),
)

interface Asked {
  readonly fd: number
  readonly opcode: number
  readonly count: number
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** Calls that copy what a registration points to and answer `answer`. */
function recorder(size: number, answer: number): { calls: UringCalls; asked: Asked[] } {
  const asked: Asked[] = []
  const register = (fd: number, opcode: number, address: number, count: number): number => {
    asked.push({ fd, opcode, count, bytes: new Uint8Array(viewMemory(address, size)).slice() })
    return answer
  }
  return { calls: spied({ register }), asked }
}

test('registerTaskRestrictions() hands over a head and the list, without a ring', () => {
  const { calls, asked } = recorder(16 + 2 * 16, 0)
  registerTaskRestrictions([{ sqeOp: IORING_OP_SOCKET }, { registerOp: IORING_REGISTER_ENABLE_RINGS }], calls)
  const { fd, opcode, count, bytes } = asked[0]!
  assert.equal([fd, opcode, count], [-1, IORING_REGISTER_RESTRICTIONS, 1])
  assert.equal([...bytes.subarray(0, 16)], [0, 0, 2, ...new Array(13).fill(0)])
  const entries = new Struct(IO_URING_RESTRICTION, bytes.subarray(16))
  assert.equal([entries.get('opcode', 0), entries.get('sqe_op', 0)], [1, IORING_OP_SOCKET])
  assert.equal([entries.get('opcode', 1), entries.get('register_op', 1)], [0, IORING_REGISTER_ENABLE_RINGS])
})

// Where the kernel has them, restrictions and filters of a task would hold for this process to its end: asked for real
// only of kernels that refuse.
const refuses = (): true | string =>
  kernelIsAtLeast('7.0') ? 'the kernel would restrict this very process' : true

test(
  'registerTaskRestrictions() throws EINVAL when the kernel has none',
  needs({ ring: true, when: refuses }, () => {
    const refusal = { code: 'EINVAL', syscall: SYSCALL, message: /7\.0/ }
    assert.throws(() => registerTaskRestrictions([{ sqeOp: IORING_OP_NOP }]), refusal)
    assert.throws(() => registerTaskRestrictions([]), { code: 'ERR_OUT_OF_RANGE' })
  }),
)

const DENY = { opcode: IORING_OP_NOP, program: [{ code: 6, k: 0 }] }

test('registerBpfFilterTask() hands over the program, without a ring', () => {
  const { calls, asked } = recorder(IO_URING_BPF.size, 0)
  const filter = {
    opcode: IORING_OP_SOCKET,
    program: DENY.program,
    payloadBytes: 12,
    flags: IO_URING_BPF_FILTER_DENY_REST,
  }
  registerBpfFilterTask(filter, calls)
  const { fd, opcode, count, bytes } = asked[0]!
  assert.equal([fd, opcode, count], [-1, IORING_REGISTER_BPF_FILTER, 1])
  const request = new Struct(IO_URING_BPF, bytes)
  assert.equal([request.get('cmd_type'), request.get('filter.opcode')], [1, IORING_OP_SOCKET])
  assert.equal(
    [request.get('filter.flags'), request.get('filter.filter_len'), request.get('filter.pdu_size')],
    [1, 1, 12],
  )
  assert.ok(request.get('filter.filter_ptr') > 0)
})

test(
  'registerBpfFilter() says which payload the kernel has when the sizes differ',
  needs({ ring: true }, () => {
    const register = (_fd: number, _opcode: number, address: number): number => {
      new Struct(IO_URING_BPF, new Uint8Array(viewMemory(address, IO_URING_BPF.size))).set(
        'filter.pdu_size',
        12,
      )
      return -90
    }
    using ring = Ring.open({ entries: 8 }, spied({ register }))
    assert.throws(() => registerBpfFilter(ring, DENY), { code: 'EMSGSIZE', message: /payload of 12 bytes/ })
  }),
)

test(
  'registerBpfFilter() denies what its program denies',
  needs({ register: 'IORING_REGISTER_BPF_FILTER', root: true }, () => {
    using ring = Ring.open({ entries: 8 })
    registerBpfFilter(ring, DENY)
    assert.is(
      result(ring, (sqe) => prepNop(sqe)),
      'EACCES',
    )
  }),
)

test(
  'registerBpfFilter() throws EINVAL when the kernel has none',
  needs({ ring: true, when: refuses }, () => {
    using ring = Ring.open({ entries: 8 })
    const refusal = { code: 'EINVAL', syscall: SYSCALL, message: /IORING_REGISTER_BPF_FILTER.*7\.0/ }
    assert.throws(() => registerBpfFilter(ring, DENY), refusal)
    assert.throws(() => registerBpfFilterTask(DENY), refusal)
  }),
)

test(
  'registerBpfFilter() refuses bad arguments before the kernel is asked',
  needs({ ring: true }, () => {
    const calls = spied()
    using ring = Ring.open({ entries: 8 }, calls)
    const before = calls.counts.register
    const range = { code: 'ERR_OUT_OF_RANGE' }
    assert.throws(() => registerBpfFilter(ring, null as never), { code: 'ERR_INVALID_ARG_TYPE' })
    assert.throws(() => registerBpfFilter(ring, { opcode: 0, program: 'x' as never }), {
      code: 'ERR_INVALID_ARG_TYPE',
    })
    assert.throws(() => registerBpfFilter(ring, { opcode: 0, program: [] }), range)
    assert.throws(() => registerBpfFilter(ring, { opcode: 0, program: [null as never] }), {
      code: 'ERR_INVALID_ARG_TYPE',
    })
    assert.throws(() => registerBpfFilter(ring, { opcode: 256, program: DENY.program }), range)
    assert.throws(() => registerBpfFilter(ring, { opcode: 0, program: [{ code: 6, k: -1 }] }), range)
    assert.throws(() => registerBpfFilter(ring, { ...DENY, flags: 4 }), range)
    assert.throws(() => registerBpfFilter(ring, { ...DENY, size: 4 } as never), {
      code: 'ERR_INVALID_ARG_VALUE',
    })
    assert.is(calls.counts.register, before)
  }),
)

test(
  'close() says whether what is in flight has ended: where nothing may be registered it cannot wait for that',
  needs({ register: 'IORING_REGISTER_SYNC_CANCEL' }, () => {
    const bytes = new Uint8Array(8)
    for (const allowed of [[], [{ registerOp: IORING_REGISTER_SYNC_CANCEL }]]) {
      const ring = restricted({ sqeOp: IORING_OP_READ }, ...allowed)
      const { readEnd, writeEnd } = openPipe()
      prepRead(nextSqe(ring), readEnd, addressOf(bytes), 8, 0)
      ring.submit()
      assert.is(ring.close(), allowed.length > 0)
      assert.is(ring.close(), allowed.length > 0)
      close(readEnd)
      close(writeEnd)
    }
  }),
)

test.run()
