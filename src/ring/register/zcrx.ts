// Zero-copy receive: a hardware receive queue that writes packets straight into memory of this process. This
// file registers and controls such a queue; the caller handles the refill queue.

import {
  IO_URING_ZCRX_AREA_REG,
  IO_URING_ZCRX_IFQ_REG,
  IO_URING_ZCRX_RQE,
  IORING_REGISTER_ZCRX_CTRL,
  IORING_REGISTER_ZCRX_IFQ,
  IORING_ZCRX_AREA_DMABUF,
  ZCRX_CTRL,
  ZCRX_CTRL_EXPORT,
  ZCRX_CTRL_FLUSH_RQ,
  ZCRX_REG_IMPORT,
} from '../../syscalls/abi/index.js'
import { checkInteger, checkMembers, invalidType, outOfRange } from '../../syscalls/argument-errors.js'
import { MappedRegion } from '../../syscalls/memory.js'
import type { Address, Fd } from '../../syscalls/numbers.js'
import { Struct } from '../../syscalls/struct.js'
import type { Ring } from '../ring.js'
import { callRegister, checkDescriptor, checkRegister, type Hints } from './call.js'
import { describeRegion, regionBytes } from './memory-region.js'

const MAX_REFILL_ENTRIES = 32768
// Room for the head and tail words, which precede the entries. The kernel reports their offsets after
// registration.
const REFILL_HEADER_BYTES = 4096

/** Where packets land: page-aligned memory that the caller keeps (a `MappedRegion` is one), or a dmabuf. */
export type ZcrxArea =
  | { readonly address: Address; readonly length: number }
  /** Linux 6.16. */
  | { readonly dmabufFd: Fd; readonly length: number }

/** What `registerIfq` registers. */
export interface IfqOptions {
  /** Index of the network interface (`if_nametoindex`). */
  readonly interfaceIndex: number
  /** Its receive queue. The queue must have header split on, and the flows must be steered to it. */
  readonly receiveQueue: number
  /** Entries of the refill queue, 1 to 32768; the kernel rounds up to a power of two. */
  readonly refillEntries: number
  readonly area: ZcrxArea
  /** Bytes of one receive buffer; 0 is a page. Linux 7.0. */
  readonly receiveBufferBytes?: number | undefined
  /** `ZCRX_REG_*`. */
  readonly flags?: number | undefined
}

/** A registered receive queue. */
export interface Ifq {
  /** Names it in `prepRecvZc` and `registerZcrxCtrl`. Linux 6.15. */
  readonly id: number
  /** Goes into the refill entries, with the offset of the buffer that is given back. */
  readonly areaToken: bigint
  readonly refillEntries: number
  /** The refill queue, mapped until the ring is closed and this is unmapped. */
  readonly refillQueue: MappedRegion
  /** Byte offsets into `refillQueue`. */
  readonly headOffset: number
  readonly tailOffset: number
  readonly entriesOffset: number
}

const HINTS: Hints = {
  EINVAL: 'it needs a ring with DEFER_TASKRUN and CQE32 or CQE_MIXED, a page-aligned area, and Linux 6.15',
  EPERM: 'zero-copy receive needs CAP_NET_ADMIN',
  // Node's name for EOPNOTSUPP.
  ENOTSUP: 'the network device has no queues for zero-copy receive, or the kernel was built without it',
  ENODEV: 'there is no such network interface',
  EEXIST: 'the receive queue is taken, or the ring belongs to another thread',
}

const IFQ_OPTIONS = [
  'interfaceIndex',
  'receiveQueue',
  'refillEntries',
  'area',
  'receiveBufferBytes',
  'flags',
] as const

function areaRequest(area: ZcrxArea): Struct<keyof typeof IO_URING_ZCRX_AREA_REG.fields> {
  if (typeof area !== 'object' || area === null) throw invalidType('options.area', 'an object', area)
  const request = Struct.alloc(IO_URING_ZCRX_AREA_REG)
  request.set('len', checkInteger('options.area.length', area.length, 1, Number.MAX_SAFE_INTEGER))
  if ('dmabufFd' in area) {
    request.set('dmabuf_fd', checkDescriptor('options.area.dmabufFd', area.dmabufFd))
    return request.set('flags', IORING_ZCRX_AREA_DMABUF)
  }
  return request.set('addr', checkInteger('options.area.address', area.address, 1, Number.MAX_SAFE_INTEGER))
}

/**
 * Registers a receive queue of a network interface. It stays until the ring is closed. Linux 6.15.
 *
 * @throws TypeError, RangeError; SystemError `mmap`, or `io_uring_register`: EPERM, EINVAL, ENOTSUP, ENODEV, EEXIST.
 * @see io_uring_register_ifq(3)
 */
export function registerIfq(ring: Ring, options: IfqOptions): Ifq {
  if (typeof options !== 'object' || options === null) throw invalidType('options', 'an object', options)
  checkMembers('options', options, IFQ_OPTIONS)
  const refillEntries = checkInteger('options.refillEntries', options.refillEntries, 1, MAX_REFILL_ENTRIES)
  const area = areaRequest(options.area)
  const request = Struct.alloc(IO_URING_ZCRX_IFQ_REG).assign({
    if_idx: checkInteger('options.interfaceIndex', options.interfaceIndex, 0, 0x7fff_ffff),
    if_rxq: checkInteger('options.receiveQueue', options.receiveQueue, 0, 0xffff_ffff),
    rq_entries: refillEntries,
    rx_buf_len: checkInteger('options.receiveBufferBytes', options.receiveBufferBytes ?? 0, 0, 0xffff_ffff),
    flags: checkInteger('options.flags', options.flags ?? 0, 0, 0xffff_ffff),
    area_ptr: area.address,
  })
  const rounded = 2 ** Math.ceil(Math.log2(refillEntries))
  const queue = MappedRegion.anonymous(regionBytes(REFILL_HEADER_BYTES + rounded * IO_URING_ZCRX_RQE.size))
  try {
    const descriptor = describeRegion(queue)
    request.set('region_ptr', descriptor.address)
    const result = callRegister(ring, IORING_REGISTER_ZCRX_IFQ, request, 1, area, descriptor, options.area)
    checkRegister(result, IORING_REGISTER_ZCRX_IFQ, HINTS)
  } catch (error) {
    queue.unmap()
    throw error
  }
  ring.hold(queue, [queue, options.area])
  return {
    id: request.get('zcrx_id'),
    areaToken: area.getBig('rq_area_token'),
    refillEntries: request.get('rq_entries'),
    refillQueue: queue,
    headOffset: request.get('offsets.head'),
    tailOffset: request.get('offsets.tail'),
    entriesOffset: request.get('offsets.rqes'),
  }
}

/**
 * Lets this ring receive through a queue that another ring registered and exported. Linux 6.19.
 *
 * @param zcrxFd - From `registerZcrxCtrl(ring, id, ZCRX_CTRL_EXPORT)`.
 * @returns The id of the queue in this ring.
 * @throws RangeError; SystemError `io_uring_register`: as `registerIfq`, and EBADF.
 * @see io_uring_register_ifq(3)
 */
export function registerIfqImport(ring: Ring, zcrxFd: Fd): number {
  checkDescriptor('zcrxFd', zcrxFd)
  // With this flag the interface index is the descriptor, and everything else must be 0.
  const request = Struct.alloc(IO_URING_ZCRX_IFQ_REG).assign({ if_idx: zcrxFd, flags: ZCRX_REG_IMPORT })
  checkRegister(callRegister(ring, IORING_REGISTER_ZCRX_IFQ, request, 1), IORING_REGISTER_ZCRX_IFQ, {
    ...HINTS,
    EINVAL: 'importing needs Linux 6.19, and a ring with DEFER_TASKRUN and CQE32 or CQE_MIXED',
    EBADF: 'the descriptor is no exported receive queue',
  })
  return request.get('zcrx_id')
}

/**
 * Controls a registered receive queue. Linux 6.19.
 *
 * @param id - `Ifq.id`.
 * @param op - `ZCRX_CTRL_FLUSH_RQ` takes what is in the refill queue now; `ZCRX_CTRL_EXPORT` makes a descriptor for
 *   `registerIfqImport`.
 * @returns The new descriptor, which the caller closes; 0 for the other operation.
 * @throws TypeError, RangeError; SystemError `io_uring_register`: ENXIO (no such queue), EINVAL (an older kernel).
 * @see io_uring_register_zcrx_ctrl(3)
 */
export function registerZcrxCtrl(ring: Ring, id: number, op: number): Fd {
  checkInteger('id', id, 0, 0xffff_ffff)
  if (typeof op !== 'number') throw invalidType('op', 'of type number', op)
  if (op !== ZCRX_CTRL_FLUSH_RQ && op !== ZCRX_CTRL_EXPORT) {
    throw outOfRange('op', 'ZCRX_CTRL_FLUSH_RQ (0) or ZCRX_CTRL_EXPORT (1)', op)
  }
  const request = Struct.alloc(ZCRX_CTRL).assign({ zcrx_id: id, op })
  const result = callRegister(ring, IORING_REGISTER_ZCRX_CTRL, request, 0)
  checkRegister(result, IORING_REGISTER_ZCRX_CTRL, { ENXIO: `no receive queue ${id} is registered` })
  return op === ZCRX_CTRL_EXPORT ? request.get('zc_export.zcrx_fd') : 0
}
