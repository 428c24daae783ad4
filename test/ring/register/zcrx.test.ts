// Zero-copy receive needs a network card with queues to give away: what can be tested anywhere is what is asked and
// what is refused.

import { registerIfq, registerIfqImport, registerZcrxCtrl } from '../../../src/ring/register/index.js'
import { Ring } from '../../../src/ring/ring.js'
import {
  IO_URING_ZCRX_AREA_REG,
  IO_URING_ZCRX_IFQ_REG,
  IORING_REGISTER_ZCRX_CTRL,
  IORING_REGISTER_ZCRX_IFQ,
  IORING_SETUP_CQE32,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_SINGLE_ISSUER,
  ZCRX_CTRL,
  ZCRX_CTRL_EXPORT,
  ZCRX_CTRL_FLUSH_RQ,
} from '../../../src/syscalls/abi/index.js'
import { viewMemory } from '../../../src/syscalls/libc.js'
import { MappedRegion } from '../../../src/syscalls/memory.js'
import { Struct } from '../../../src/syscalls/struct.js'
import { assert, kernelIsAtLeast, needs, test } from '../../harness.js'
import { spied } from '../drive.js'

const SYSCALL = 'io_uring_register'
const FLAGS = IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_CQE32

const area = MappedRegion.anonymous(65536)
const options = { interfaceIndex: 1, receiveQueue: 0, refillEntries: 64, area }

test(
  'registerIfq() throws EINVAL on a ring without DEFER_TASKRUN and CQE32',
  needs({ linux: '6.15', root: true }, () => {
    using ring = Ring.open({ entries: 8 })
    assert.throws(() => registerIfq(ring, options), {
      code: 'EINVAL',
      syscall: SYSCALL,
      message: /DEFER_TASKRUN/,
    })
  }),
)

test(
  'registerIfq() throws when the interface has no queue to give',
  needs({ linux: '6.15', root: true }, () => {
    using ring = Ring.open({ entries: 8, flags: FLAGS })
    const refusals = ['ENOTSUP', 'EINVAL']
    // Interface 1 is the loopback; no interface has the other number.
    assert.throws(
      () => registerIfq(ring, options),
      (error) => refusals.includes(error.code) && error.syscall === SYSCALL,
    )
    assert.throws(
      () => registerIfq(ring, { ...options, interfaceIndex: 0x7fff_ffff }),
      (error) => ['ENODEV', ...refusals].includes(error.code),
    )
  }),
)

test(
  'registerIfq() returns where the kernel put things',
  needs({ ring: true }, () => {
    const register = (_fd: number, opcode: number, address: number, count: number): number => {
      if (opcode !== IORING_REGISTER_ZCRX_IFQ) return 0
      assert.is(count, 1)
      const request = new Struct(
        IO_URING_ZCRX_IFQ_REG,
        new Uint8Array(viewMemory(address, IO_URING_ZCRX_IFQ_REG.size)),
      )
      const areaBytes = viewMemory(request.get('area_ptr'), IO_URING_ZCRX_AREA_REG.size)
      const given = new Struct(IO_URING_ZCRX_AREA_REG, new Uint8Array(areaBytes))
      assert.equal([given.get('addr'), given.get('len')], [area.address, 65536])
      assert.equal([request.get('if_idx'), request.get('if_rxq'), request.get('rq_entries')], [1, 0, 60])
      request.assign({
        zcrx_id: 3,
        rq_entries: 64,
        'offsets.head': 8,
        'offsets.tail': 16,
        'offsets.rqes': 64,
      })
      given.set('rq_area_token', 1n << 48n)
      return 0
    }
    const ring = Ring.open({ entries: 8 }, spied({ register }))
    const { refillQueue, ...ifq } = registerIfq(ring, { ...options, refillEntries: 60 })
    assert.equal(ifq, {
      id: 3,
      areaToken: 1n << 48n,
      refillEntries: 64,
      headOffset: 8,
      tailOffset: 16,
      entriesOffset: 64,
    })
    assert.ok(refillQueue.length >= 64 * 16 + 64)
    ring.close()
    refillQueue.unmap()
  }),
)

test(
  'registerZcrxCtrl() throws when there is no such queue, and when the kernel is older',
  needs({ setup: ['IORING_SETUP_SINGLE_ISSUER', 'IORING_SETUP_DEFER_TASKRUN', 'IORING_SETUP_CQE32'] }, () => {
    using ring = Ring.open({ entries: 8, flags: FLAGS })
    const code = kernelIsAtLeast('6.19') ? 'ENXIO' : 'EINVAL'
    assert.throws(() => registerZcrxCtrl(ring, 0, ZCRX_CTRL_FLUSH_RQ), { code, syscall: SYSCALL })
    assert.throws(() => registerZcrxCtrl(ring, 0, 2), { code: 'ERR_OUT_OF_RANGE' })
    assert.throws(() => registerZcrxCtrl(ring, -1, ZCRX_CTRL_EXPORT), { code: 'ERR_OUT_OF_RANGE' })
  }),
)

test(
  'registerZcrxCtrl() returns the exported descriptor, and an import carries it',
  needs({ ring: true }, () => {
    const asked: number[][] = []
    const register = (_fd: number, opcode: number, address: number, count: number): number => {
      if (opcode === IORING_REGISTER_ZCRX_CTRL) {
        const request = new Struct(ZCRX_CTRL, new Uint8Array(viewMemory(address, ZCRX_CTRL.size)))
        asked.push([request.get('zcrx_id'), request.get('op'), count])
        request.set('zc_export.zcrx_fd', 77)
      } else if (opcode === IORING_REGISTER_ZCRX_IFQ) {
        const size = IO_URING_ZCRX_IFQ_REG.size
        const request = new Struct(IO_URING_ZCRX_IFQ_REG, new Uint8Array(viewMemory(address, size)))
        asked.push([request.get('if_idx'), request.get('flags'), request.get('area_ptr'), count])
        request.set('zcrx_id', 5)
      }
      return 0
    }
    using ring = Ring.open({ entries: 8 }, spied({ register }))
    assert.is(registerZcrxCtrl(ring, 4, ZCRX_CTRL_EXPORT), 77)
    assert.is(registerZcrxCtrl(ring, 4, ZCRX_CTRL_FLUSH_RQ), 0)
    assert.is(registerIfqImport(ring, 77), 5)
    assert.equal(asked, [
      [4, ZCRX_CTRL_EXPORT, 0],
      [4, ZCRX_CTRL_FLUSH_RQ, 0],
      [77, 1, 0, 1],
    ])
  }),
)

test(
  'registerIfqImport() throws for what is no exported queue',
  needs({ setup: ['IORING_SETUP_SINGLE_ISSUER', 'IORING_SETUP_DEFER_TASKRUN', 'IORING_SETUP_CQE32'] }, () => {
    using ring = Ring.open({ entries: 8, flags: FLAGS })
    assert.throws(() => registerIfqImport(ring, 0), { syscall: SYSCALL })
    assert.throws(() => registerIfqImport(ring, -1), { code: 'ERR_OUT_OF_RANGE' })
  }),
)

test(
  'registerIfq() refuses bad arguments before anything is mapped',
  needs({ ring: true }, () => {
    const calls = spied()
    using ring = Ring.open({ entries: 8 }, calls)
    const before = calls.counts.register
    const range = { code: 'ERR_OUT_OF_RANGE' }
    assert.throws(() => registerIfq(ring, null as never), { code: 'ERR_INVALID_ARG_TYPE' })
    assert.throws(() => registerIfq(ring, { ...options, refillEntries: 0 }), range)
    assert.throws(() => registerIfq(ring, { ...options, refillEntries: 32769 }), range)
    assert.throws(() => registerIfq(ring, { ...options, area: { address: 0, length: 1 } }), range)
    assert.throws(() => registerIfq(ring, { ...options, area: { dmabufFd: -1, length: 1 } }), range)
    assert.throws(() => registerIfq(ring, { ...options, area: null as never }), {
      code: 'ERR_INVALID_ARG_TYPE',
    })
    assert.throws(() => registerIfq(ring, { ...options, entries: 1 } as never), {
      code: 'ERR_INVALID_ARG_VALUE',
    })
    assert.is(calls.counts.register, before)
  }),
)

test.run()
