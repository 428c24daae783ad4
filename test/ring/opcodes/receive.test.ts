import { bufferIdOf } from '../../../src/ring/buffer-ring.js'
import { decodeSocketAddress, messageHeader, readRecvmsgOut } from '../../../src/ring/memory/index.js'
import {
  prepRecv,
  prepRecvMultishot,
  prepRecvmsg,
  prepRecvmsgMultishot,
  prepRecvZc,
  prepSend,
  prepSendmsg,
  prepSendto,
  prepShutdown,
  setReceiveLimit,
} from '../../../src/ring/prep/index.js'
import type { Ring } from '../../../src/ring/ring.js'
import {
  IORING_CQE_F_MORE,
  IORING_CQE_F_SOCK_NONEMPTY,
  IORING_RECV_MULTISHOT,
  IORING_RECVSEND_BUNDLE,
  IORING_SETUP_CQE32,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_SINGLE_ISSUER,
  IOSQE_BUFFER_SELECT,
  MSG_DONTWAIT,
  MSG_PEEK,
  MSG_TRUNC,
  MSG_WAITALL,
  SHUT_WR,
} from '../../../src/syscalls/abi/index.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { assert, needs, test } from '../../harness.js'
import {
  complete,
  datagramPair,
  keep,
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

function sendText(ring: Ring, fd: number, content: string): void {
  const bytes = memory(content)
  must(ring, (sqe) => prepSend(sqe, fd, addressOf(bytes), bytes.byteLength))
}

test(
  'prepRecv() receives, peeks, and waits for all',
  needs({ opcode: 'IORING_OP_RECV' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    sendText(ring, pair.a, 'hello')
    const bytes = memory(8)
    const receive = (length: number, flags: number): string =>
      text(
        bytes,
        must(ring, (sqe) => prepRecv(sqe, pair.b, addressOf(bytes), length, flags)),
      )
    assert.is(receive(8, MSG_PEEK), 'hello')
    assert.is(receive(2, 0), 'he')
    prepRecv(next(ring), pair.b, addressOf(bytes), 6, MSG_WAITALL).setUserData(1)
    ring.submit()
    const more = memory('...')
    prepSend(next(ring), pair.a, addressOf(more), 3).setUserData(2)
    const [received] = complete(ring, 2)
    assert.is(text(bytes, received!.res), 'llo...')
  }),
)

test(
  'prepRecv() says when more is waiting',
  needs({ opcode: 'IORING_OP_RECV' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    sendText(ring, pair.a, 'hello')
    const bytes = memory(3)
    const { res, flags } = run(ring, (sqe) => prepRecv(sqe, pair.b, addressOf(bytes), 3))
    assert.is(res, 3)
    // A Unix socket keeps no count of what is left; a set flag is the truth, a clear one says nothing.
    assert.is(flags & ~IORING_CQE_F_SOCK_NONEMPTY, 0)
  }),
)

test(
  'prepRecv() fails when nothing is there and MSG_DONTWAIT is set, and on what is no socket',
  needs({ opcode: 'IORING_OP_RECV' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    const bytes = memory(8)
    assert.is(
      result(ring, (sqe) => prepRecv(sqe, pair.b, addressOf(bytes), 8, MSG_DONTWAIT)),
      'EAGAIN',
    )
    assert.is(
      result(ring, (sqe) => prepRecv(sqe, ring.fd, addressOf(bytes), 8)),
      'ENOTSOCK',
    )
    assert.is(
      result(ring, (sqe) => prepRecv(sqe, pair.b, 4096, 8, MSG_DONTWAIT)),
      'EAGAIN',
    )
  }),
)

test(
  'prepRecv() takes a provided buffer',
  needs({ opcode: 'IORING_OP_RECV', linux: '6.0' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    const buffers = provideRing(ring, 7, 2, 16)
    sendText(ring, pair.a, 'provided')
    const { res, flags } = run(ring, (sqe) =>
      prepRecv(sqe, pair.b, 0, 0).setFlags(IOSQE_BUFFER_SELECT).setBufferGroup(7),
    )
    assert.is(text(buffers[bufferIdOf(flags)]!, res), 'provided')
  }),
)

test(
  'prepRecvMultishot() receives until the peer is done',
  needs({ opcode: 'IORING_OP_RECV', linux: '6.0' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    const buffers = provideRing(ring, 7, 4, 16)
    prepRecvMultishot(next(ring), pair.b, 0, 0).setFlags(IOSQE_BUFFER_SELECT).setBufferGroup(7).setUserData(1)
    ring.submit()
    for (const word of ['one', 'two', 'three']) {
      const bytes = memory(word)
      prepSend(next(ring), pair.a, addressOf(bytes), bytes.byteLength).setUserData(2)
      const [received] = complete(ring, 2)
      assert.is(text(buffers[bufferIdOf(received!.flags)]!, received!.res), word)
      assert.ok(received!.flags & IORING_CQE_F_MORE)
    }
    prepShutdown(next(ring), pair.a, SHUT_WR).setUserData(2)
    const [ended] = complete(ring, 2)
    assert.equal([ended!.res, ended!.flags & IORING_CQE_F_MORE], [0, 0])
  }),
)

test(
  'prepRecvMultishot() fills several buffers in one go as a bundle',
  needs({ opcode: 'IORING_OP_RECV', feature: 'IORING_FEAT_RECVSEND_BUNDLE' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    const buffers = provideRing(ring, 7, 4, 4)
    sendText(ring, pair.a, 'aaaabbbbcc')
    prepRecvMultishot(next(ring), pair.b, 0, 0)
      .setFlags(IOSQE_BUFFER_SELECT)
      .setBufferGroup(7)
      .setIoprio(IORING_RECV_MULTISHOT | IORING_RECVSEND_BUNDLE)
    let seen = ''
    while (seen.length < 10) {
      const { res, flags } = complete(ring, 1)[0]!
      assert.ok(res > 0)
      for (let bid = bufferIdOf(flags), left = res; left > 0; bid++, left -= 4)
        seen += text(buffers[bid]!, Math.min(4, left))
    }
    assert.is(seen, 'aaaabbbbcc')
  }),
)

test(
  'prepRecvMultishot() fails without provided buffers, and ends when the group is empty',
  needs({ opcode: 'IORING_OP_RECV', linux: '6.0' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    assert.is(
      result(ring, (sqe) => prepRecvMultishot(sqe, pair.b, 0, 0)),
      'EINVAL',
    )
    provideRing(ring, 7, 1, 4)
    sendText(ring, pair.a, 'abcdefgh')
    prepRecvMultishot(next(ring), pair.b, 0, 0).setFlags(IOSQE_BUFFER_SELECT).setBufferGroup(7)
    const [first, second] = complete(ring, 2)
    assert.equal([first!.res, first!.flags & IORING_CQE_F_MORE], [4, IORING_CQE_F_MORE])
    assert.equal([named(second!.res), second!.flags & IORING_CQE_F_MORE], ['ENOBUFS', 0])
  }),
)

test(
  'setReceiveLimit() ends a multishot receive with the buffer that reaches it',
  needs({ opcode: 'IORING_OP_RECV', linux: '6.17' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    const buffers = provideRing(ring, 7, 4, 4)
    sendText(ring, pair.a, 'abcdefghij')
    setReceiveLimit(prepRecvMultishot(next(ring), pair.b, 0, 0), 6)
      .setFlags(IOSQE_BUFFER_SELECT)
      .setBufferGroup(7)
    const parts = complete(ring, 2).map(({ res, flags }) => [
      text(buffers[bufferIdOf(flags)]!, res),
      flags & IORING_CQE_F_MORE,
    ])
    assert.equal(parts, [
      ['abcd', IORING_CQE_F_MORE],
      ['efgh', 0],
    ])
  }),
)

test(
  'prepRecvmsg() scatters, and tells the sender and what was cut',
  needs({ opcode: 'IORING_OP_RECVMSG' }, () => {
    using ring = openRing()
    using pair = datagramPair()
    const sent = keep(messageHeader({ name: pair.to.bytes, buffers: [memory('datagram')] }))
    must(ring, (sqe) => prepSendmsg(sqe, pair.a, sent.address))
    const [one, two, name] = [memory(4), memory(2), memory(128)]
    const header = keep(messageHeader({ name, buffers: [one, two] }))
    assert.is(
      must(ring, (sqe) => prepRecvmsg(sqe, pair.b, header.address)),
      6,
    )
    assert.equal([text(one), text(two)], ['data', 'gr'])
    assert.equal(decodeSocketAddress(name, header.nameLength), decodeSocketAddress(pair.from.bytes))
    assert.is(header.flags & MSG_TRUNC, MSG_TRUNC)
  }),
)

test(
  'prepRecvmsg() fails on a bad header and on what is no socket',
  needs({ opcode: 'IORING_OP_RECVMSG' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    const header = keep(messageHeader({ buffers: [memory(1)] }))
    assert.is(
      result(ring, (sqe) => prepRecvmsg(sqe, pair.b, 4096)),
      'EFAULT',
    )
    assert.is(
      result(ring, (sqe) => prepRecvmsg(sqe, ring.fd, header.address)),
      'ENOTSOCK',
    )
  }),
)

test(
  'prepRecvmsgMultishot() puts head, sender and payload into each provided buffer',
  needs({ opcode: 'IORING_OP_RECVMSG', linux: '6.1' }, () => {
    using ring = openRing()
    using pair = datagramPair()
    const buffers = provideRing(ring, 7, 4, 64)
    const header = keep(messageHeader({ nameBytes: 16 }))
    prepRecvmsgMultishot(next(ring), pair.b, header.address, MSG_TRUNC)
      .setFlags(IOSQE_BUFFER_SELECT)
      .setBufferGroup(7)
      .setUserData(1)
    ring.submit()
    for (const content of ['short', 'x'.repeat(40)]) {
      const bytes = memory(content)
      prepSendto(next(ring), pair.a, addressOf(bytes), bytes.byteLength, 0, pair.to.address, 16).setUserData(
        2,
      )
      const [received] = complete(ring, 2)
      assert.ok(received!.flags & IORING_CQE_F_MORE)
      // Under MSG_TRUNC the result counts what the datagram had, so it may exceed the buffer.
      const used = Math.min(received!.res, 64)
      const out = readRecvmsgOut(buffers[bufferIdOf(received!.flags)]!.subarray(0, used), header)
      assert.equal(decodeSocketAddress(out.name), decodeSocketAddress(pair.from.bytes))
      assert.is(text(out.payload), content.slice(0, 32))
      assert.is(out.payloadLength, content.length)
      assert.is(out.flags & MSG_TRUNC, content.length > 32 ? MSG_TRUNC : 0)
    }
  }),
)

test(
  'prepRecvmsgMultishot() fails without provided buffers, and when they are too small',
  needs({ opcode: 'IORING_OP_RECVMSG', linux: '6.0' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    const header = keep(messageHeader({ nameBytes: 16 }))
    assert.is(
      result(ring, (sqe) => prepRecvmsgMultishot(sqe, pair.b, header.address)),
      'EINVAL',
    )
    provideRing(ring, 7, 1, 16)
    sendText(ring, pair.a, 'x')
    const small = result(ring, (sqe) =>
      prepRecvmsgMultishot(sqe, pair.b, header.address).setFlags(IOSQE_BUFFER_SELECT).setBufferGroup(7),
    )
    assert.is(small, 'EFAULT')
  }),
)

test(
  'prepRecvZc() fails without a registered interface queue',
  needs({ opcode: 'IORING_OP_RECV_ZC' }, () => {
    // A success needs a network card that splits headers from data, and a queue of its own.
    const flags = IORING_SETUP_CQE32 | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER
    using ring = openRing({ flags })
    using pair = socketPair(ring)
    assert.is(
      result(ring, (sqe) => prepRecvZc(sqe, pair.b, 0, 0)),
      'EINVAL',
    )
  }),
)

test.run()
