import { encodeControlMessages, iovecs, messageHeader } from '../../../src/ring/memory/index.js'
import {
  prepRecv,
  prepRecvmsg,
  prepSend,
  prepSendBundle,
  prepSendmsg,
  prepSendmsgZc,
  prepSendmsgZcFixed,
  prepSendSetAddr,
  prepSendto,
  prepSendZc,
  prepSendZcFixed,
} from '../../../src/ring/prep/index.js'
import { registerBuffers } from '../../../src/ring/register/index.js'
import type { Ring } from '../../../src/ring/ring.js'
import type { Sqe } from '../../../src/ring/sqe.js'
import {
  AF_INET,
  IORING_CQE_F_BUFFER,
  IORING_CQE_F_MORE,
  IORING_CQE_F_NOTIF,
  IORING_SEND_VECTORIZED,
  IORING_SEND_ZC_REPORT_USAGE,
  IOSQE_BUFFER_SELECT,
  SCM_RIGHTS,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../../../src/syscalls/abi/index.js'
import { close, read } from '../../../src/syscalls/libc.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { assert, needs, test } from '../../harness.js'
import { plainSocket } from '../../plain-sockets.js'
import {
  type Completion,
  complete,
  datagramPair,
  keep,
  listenTcp,
  memory,
  must,
  named,
  next,
  openRing,
  provideRing,
  result,
  run,
  socketPair,
  text,
} from './fixture.js'

/** Receives what is there. */
function received(ring: Ring, fd: number, length = 64): string {
  const bytes = memory(length)
  const count = must(ring, (sqe) => prepRecv(sqe, fd, addressOf(bytes), length))
  return text(bytes, count)
}

/** Runs a zero-copy send to its end; one that fails at once has no notification. */
function runZeroCopy(ring: Ring, prepare: (sqe: Sqe) => unknown): Completion[] {
  prepare(next(ring))
  const found = complete(ring, 1)
  return found[0]!.flags & IORING_CQE_F_MORE ? [...found, ...complete(ring, 1)] : found
}

/** Runs a zero-copy send and receives it: loopback notifies at once (it copies) or once the receiver has the data. */
function passZeroCopy(ring: Ring, to: number, prepare: (sqe: Sqe) => Sqe): string {
  prepare(next(ring)).setUserData(1)
  const bytes = memory(64)
  prepRecv(next(ring), to, addressOf(bytes), 64).setUserData(2)
  const [sent, notification, taken] = complete(ring, 3)
  assert.equal([sent!.res, sent!.flags], [taken!.res, IORING_CQE_F_MORE])
  assert.is(notification!.flags, IORING_CQE_F_NOTIF)
  assert.is(notification!.res & 0x7fff_ffff, 0, 'whether it was copied, and nothing else')
  return text(bytes, taken!.res)
}

test(
  'prepSend() sends, prepRecv() receives',
  needs({ opcode: 'IORING_OP_SEND' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    const bytes = memory('hello')
    assert.is(
      must(ring, (sqe) => prepSend(sqe, pair.a, addressOf(bytes), 5)),
      5,
    )
    assert.is(received(ring, pair.b), 'hello')
  }),
)

test(
  'prepSend() fails on what is no socket, when not connected, on bad memory',
  needs({ opcode: 'IORING_OP_SEND' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    const bytes = memory('x')
    assert.is(
      result(ring, (sqe) => prepSend(sqe, ring.fd, addressOf(bytes), 1)),
      'ENOTSOCK',
    )
    const idle = plainSocket(AF_INET, SOCK_STREAM)
    assert.is(
      result(ring, (sqe) => prepSend(sqe, idle, addressOf(bytes), 1)),
      'EPIPE',
    )
    assert.is(
      result(ring, (sqe) => prepSend(sqe, pair.a, 4096, 1)),
      'EFAULT',
    )
    close(idle)
  }),
)

test(
  'prepSend() takes iovecs with IORING_SEND_VECTORIZED',
  needs({ opcode: 'IORING_OP_SEND', linux: '6.17' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    const vectors = keep(iovecs([memory('he'), memory('llo')]))
    assert.is(
      must(ring, (sqe) => prepSend(sqe, pair.a, vectors.address, 2).setIoprio(IORING_SEND_VECTORIZED)),
      5,
    )
    assert.is(received(ring, pair.b), 'hello')
  }),
)

test(
  'prepSend() takes a provided buffer',
  needs({ opcode: 'IORING_OP_SEND', feature: 'IORING_FEAT_RECVSEND_BUNDLE' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    const [first] = provideRing(ring, 2, 1, 8)
    first!.set(memory('provided'))
    const { res, flags } = run(ring, (sqe) =>
      prepSend(sqe, pair.a, 0, 0).setFlags(IOSQE_BUFFER_SELECT).setBufferGroup(2),
    )
    assert.equal([res, flags & IORING_CQE_F_BUFFER], [8, IORING_CQE_F_BUFFER])
    assert.is(received(ring, pair.b), 'provided')
  }),
)

test(
  'prepSendto() and prepSendSetAddr() name the receiver of a datagram',
  needs({ opcode: 'IORING_OP_SEND', linux: '6.2' }, () => {
    using ring = openRing()
    using pair = datagramPair()
    const bytes = memory('datagram')
    const { a, to } = pair
    assert.is(
      must(ring, (sqe) => prepSendto(sqe, a, addressOf(bytes), 8, 0, to.address, to.length)),
      8,
    )
    assert.is(received(ring, pair.b), 'datagram')
    must(ring, (sqe) => prepSendSetAddr(prepSend(sqe, a, addressOf(bytes), 4), to.address, to.length))
    assert.is(received(ring, pair.b), 'data')
  }),
)

test(
  'prepSendto() fails without an address, and with a short one',
  needs({ opcode: 'IORING_OP_SEND', linux: '6.2' }, () => {
    using ring = openRing()
    using pair = datagramPair()
    const bytes = memory('x')
    assert.is(
      result(ring, (sqe) => prepSend(sqe, pair.a, addressOf(bytes), 1)),
      'EDESTADDRREQ',
    )
    const short = result(ring, (sqe) => prepSendto(sqe, pair.a, addressOf(bytes), 1, 0, pair.to.address, 3))
    assert.is(short, 'EINVAL')
  }),
)

test(
  'prepSendBundle() sends all provided buffers at once',
  needs({ opcode: 'IORING_OP_SEND', feature: 'IORING_FEAT_RECVSEND_BUNDLE' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    for (const [index, buffer] of provideRing(ring, 2, 4, 3).entries()) buffer.fill(0x61 + index)
    prepSendBundle(next(ring), pair.a, 0).addFlags(IOSQE_BUFFER_SELECT).setBufferGroup(2)
    const [first] = complete(ring, 1)
    assert.is(first!.res, 12)
    assert.is(received(ring, pair.b), 'aaabbbcccddd')
    if (first!.flags & IORING_CQE_F_MORE) assert.is(named(complete(ring, 1)[0]!.res), 'ENOBUFS')
  }),
)

test(
  'prepSendBundle() fails without provided buffers',
  needs({ opcode: 'IORING_OP_SEND', feature: 'IORING_FEAT_RECVSEND_BUNDLE' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    const selected = result(ring, (sqe) =>
      prepSendBundle(sqe, pair.a, 0).addFlags(IOSQE_BUFFER_SELECT).setBufferGroup(9),
    )
    // Kernels differ in what they call a group that does not exist.
    assert.ok(selected === 'ENOENT' || selected === 'ENOBUFS', String(selected))
  }),
)

test(
  'prepSendmsg() gathers its buffers',
  needs({ opcode: 'IORING_OP_SENDMSG' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    const header = keep(messageHeader({ buffers: [memory('one '), memory('two')] }))
    assert.is(
      must(ring, (sqe) => prepSendmsg(sqe, pair.a, header.address)),
      7,
    )
    assert.is(received(ring, pair.b), 'one two')
  }),
)

test(
  'prepSendmsg() sends to a name, and a descriptor as control data',
  needs({ opcode: 'IORING_OP_SENDMSG' }, () => {
    using ring = openRing()
    using udp = datagramPair()
    const named = keep(messageHeader({ name: udp.to.bytes, buffers: [memory('named')] }))
    assert.is(
      must(ring, (sqe) => prepSendmsg(sqe, udp.a, named.address)),
      5,
    )
    assert.is(received(ring, udp.b), 'named')

    using pair = socketPair(ring)
    using sent = socketPair(ring)
    const data = new Uint8Array(Int32Array.of(sent.a).buffer)
    const control = keep(encodeControlMessages([{ level: SOL_SOCKET, type: SCM_RIGHTS, data }]))
    const carrying = keep(messageHeader({ buffers: [memory('x')], control }))
    assert.is(
      must(ring, (sqe) => prepSendmsg(sqe, pair.a, carrying.address)),
      1,
    )
    const room = keep(new Uint8Array(new ArrayBuffer(24)))
    const taking = keep(messageHeader({ buffers: [memory(1)], control: room }))
    must(ring, (sqe) => prepRecvmsg(sqe, pair.b, taking.address))
    assert.is(taking.controlLength, 24)
    const copy = new DataView(room.buffer).getInt32(16, true)
    // The copy is another descriptor of the same socket.
    const bytes = memory('via copy')
    must(ring, (sqe) => prepSend(sqe, copy, addressOf(bytes), 8))
    const back = memory(8)
    assert.is(read(sent.b, addressOf(back), 8), 8)
    assert.is(text(back), 'via copy')
    close(copy)
  }),
)

test(
  'prepSendmsg() fails on a bad header and on what is no socket',
  needs({ opcode: 'IORING_OP_SENDMSG' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    const header = keep(messageHeader({ buffers: [memory('x')] }))
    assert.is(
      result(ring, (sqe) => prepSendmsg(sqe, pair.a, 4096)),
      'EFAULT',
    )
    assert.is(
      result(ring, (sqe) => prepSendmsg(sqe, ring.fd, header.address)),
      'ENOTSOCK',
    )
  }),
)

test(
  'prepSendZc() completes, then notifies that the memory is free',
  needs({ opcode: 'IORING_OP_SEND_ZC' }, () => {
    using ring = openRing()
    using pair = socketPair(ring, listenTcp())
    const bytes = memory('zero copy')
    const usage = IORING_SEND_ZC_REPORT_USAGE
    const passed = passZeroCopy(ring, pair.b, (sqe) => prepSendZc(sqe, pair.a, addressOf(bytes), 9, 0, usage))
    assert.is(passed, 'zero copy')
  }),
)

test(
  'prepSendZc() sends to an address',
  needs({ opcode: 'IORING_OP_SEND_ZC' }, () => {
    using ring = openRing()
    using pair = datagramPair()
    const bytes = memory('zc datagram')
    const { address, length } = pair.to
    const passed = passZeroCopy(ring, pair.b, (sqe) =>
      prepSendSetAddr(prepSendZc(sqe, pair.a, addressOf(bytes), 11), address, length),
    )
    assert.is(passed, 'zc datagram')
  }),
)

test(
  'prepSendZcFixed() sends from a registered buffer',
  needs({ opcode: 'IORING_OP_SEND_ZC' }, () => {
    using ring = openRing()
    using pair = socketPair(ring, listenTcp())
    const bytes = memory('0123456789')
    registerBuffers(ring, [memory(8), bytes])
    const passed = passZeroCopy(ring, pair.b, (sqe) =>
      prepSendZcFixed(sqe, pair.a, addressOf(bytes) + 2, 5, 0, 0, 1),
    )
    assert.is(passed, '23456')
  }),
)

test(
  'prepSendZc() fails on an unknown flag, on what is no socket, outside a registered buffer',
  needs({ opcode: 'IORING_OP_SEND_ZC' }, () => {
    using ring = openRing()
    using pair = socketPair(ring, listenTcp())
    const bytes = memory(16)
    const flagged = runZeroCopy(ring, (sqe) => prepSendZc(sqe, pair.a, addressOf(bytes), 1, 0, 0x8000))
    assert.is(named(flagged[0]!.res), 'EINVAL')
    const file = runZeroCopy(ring, (sqe) => prepSendZc(sqe, ring.fd, addressOf(bytes), 1))
    assert.is(named(file[0]!.res), 'ENOTSOCK')
    const none = runZeroCopy(ring, (sqe) => prepSendZcFixed(sqe, pair.a, addressOf(bytes), 1, 0, 0, 0))
    assert.is(named(none[0]!.res), 'EFAULT')
    registerBuffers(ring, [bytes])
    const outside = runZeroCopy(ring, (sqe) => prepSendZcFixed(sqe, pair.a, addressOf(bytes) + 8, 9, 0, 0, 0))
    assert.is(named(outside[0]!.res), 'EFAULT')
  }),
)

test(
  'prepSendmsgZc() gathers its buffers, then notifies',
  needs({ opcode: 'IORING_OP_SENDMSG_ZC' }, () => {
    using ring = openRing()
    using pair = socketPair(ring, listenTcp())
    const header = keep(messageHeader({ buffers: [memory('one '), memory('two')] }))
    assert.is(
      passZeroCopy(ring, pair.b, (sqe) => prepSendmsgZc(sqe, pair.a, header.address)),
      'one two',
    )
  }),
)

test(
  'prepSendmsgZcFixed() gathers ranges of one registered buffer',
  needs({ opcode: 'IORING_OP_SENDMSG_ZC', linux: '6.15' }, () => {
    using ring = openRing()
    using pair = socketPair(ring, listenTcp())
    const bytes = memory('0123456789')
    registerBuffers(ring, [bytes])
    const header = keep(messageHeader({ buffers: [bytes.subarray(5, 8), bytes.subarray(0, 2)] }))
    assert.is(
      passZeroCopy(ring, pair.b, (sqe) => prepSendmsgZcFixed(sqe, pair.a, header.address, 0, 0)),
      '56701',
    )
  }),
)

test(
  'prepSendmsgZc() fails on a bad header, outside a registered buffer, where the protocol has no zero copy',
  needs({ opcode: 'IORING_OP_SENDMSG_ZC', linux: '6.15' }, () => {
    using ring = openRing()
    using pair = socketPair(ring, listenTcp())
    const header = keep(messageHeader({ buffers: [memory('x')] }))
    const fails = (prepare: (sqe: Sqe) => unknown): number | string =>
      named(runZeroCopy(ring, prepare)[0]!.res)
    assert.is(
      fails((sqe) => prepSendmsgZc(sqe, pair.a, 4096)),
      'EFAULT',
    )
    registerBuffers(ring, [memory(8)])
    assert.is(
      fails((sqe) => prepSendmsgZcFixed(sqe, pair.a, header.address, 0, 0)),
      'EFAULT',
    )
    using local = socketPair(ring)
    assert.is(
      fails((sqe) => prepSendmsgZc(sqe, local.a, header.address)),
      'ENOTSUP',
    )
  }),
)

test(
  'a connection carries data both ways over IPv6',
  needs({ opcode: 'IORING_OP_SEND' }, () => {
    using ring = openRing()
    using pair = socketPair(ring, listenTcp('IPv6'))
    for (const [from, to] of [
      [pair.a, pair.b],
      [pair.b, pair.a],
    ] as const) {
      const bytes = memory('both ways')
      must(ring, (sqe) => prepSend(sqe, from, addressOf(bytes), 9))
      assert.is(received(ring, to), 'both ways')
    }
  }),
)

test.run()
