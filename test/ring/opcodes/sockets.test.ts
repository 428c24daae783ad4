import { SocketAddressResult, socketAddress } from '../../../src/ring/memory/index.js'
import {
  prepAccept,
  prepAcceptDirect,
  prepBind,
  prepCancel64,
  prepConnect,
  prepListen,
  prepMultishotAccept,
  prepMultishotAcceptDirect,
  prepRecv,
  prepSend,
  prepShutdown,
  prepSocket,
  prepSocketDirect,
  prepSocketDirectAlloc,
} from '../../../src/ring/prep/index.js'
import { registerFiles } from '../../../src/ring/register/index.js'
import {
  AF_INET,
  AF_UNIX,
  F_GETFD,
  F_GETFL,
  FD_CLOEXEC,
  IORING_ACCEPT_DONTWAIT,
  IORING_CQE_F_MORE,
  IORING_FILE_INDEX_ALLOC,
  IOSQE_FIXED_FILE,
  O_NONBLOCK,
  SHUT_RDWR,
  SHUT_WR,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
} from '../../../src/syscalls/abi/index.js'
import { close, fcntl } from '../../../src/syscalls/libc.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { assert, needs, test } from '../../harness.js'
import { plainSocket } from '../../plain-sockets.js'
import {
  bindTo,
  closeAll,
  complete,
  connectTo,
  isQuiet,
  keep,
  listen,
  listenOn,
  listenTcp,
  memory,
  must,
  named,
  next,
  openRing,
  result,
  run,
  socketPair,
  temporary,
  text,
} from './fixture.js'

const NO_SUCH_FAMILY = 1000

test(
  'prepSocket() makes a socket with its type flags',
  needs({ opcode: 'IORING_OP_SOCKET' }, () => {
    using ring = openRing()
    const type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK
    const fd = must(ring, (sqe) => prepSocket(sqe, AF_INET, type, 0))
    assert.is(fcntl(fd, F_GETFD, 0), FD_CLOEXEC)
    assert.ok(fcntl(fd, F_GETFL, 0) & O_NONBLOCK)
    close(fd)
  }),
)

test(
  'prepSocket() fails on an unknown family, type or flag',
  needs({ opcode: 'IORING_OP_SOCKET' }, () => {
    using ring = openRing()
    assert.is(
      result(ring, (sqe) => prepSocket(sqe, NO_SUCH_FAMILY, SOCK_STREAM, 0)),
      'EAFNOSUPPORT',
    )
    assert.is(
      result(ring, (sqe) => prepSocket(sqe, AF_INET, SOCK_STREAM, 17)),
      'EPROTONOSUPPORT',
    )
    assert.is(
      result(ring, (sqe) => prepSocket(sqe, AF_INET, SOCK_STREAM, 0, 1)),
      'EINVAL',
    )
  }),
)

test(
  'prepSocketDirect() and prepSocketDirectAlloc() fill registered slots',
  needs({ opcode: 'IORING_OP_SOCKET' }, () => {
    using ring = openRing()
    registerFiles(ring, [-1, -1])
    assert.is(
      must(ring, (sqe) => prepSocketDirect(sqe, AF_UNIX, SOCK_STREAM, 0, 1)),
      0,
    )
    assert.is(
      must(ring, (sqe) => prepSocketDirectAlloc(sqe, AF_UNIX, SOCK_STREAM, 0)),
      0,
      'the free slot',
    )
    assert.is(
      result(ring, (sqe) => prepSocketDirectAlloc(sqe, AF_UNIX, SOCK_STREAM, 0)),
      'ENFILE',
    )
    assert.is(
      result(ring, (sqe) => prepSocketDirect(sqe, AF_UNIX, SOCK_STREAM, 0, 2)),
      'EINVAL',
    )
    const type = SOCK_STREAM | SOCK_CLOEXEC
    assert.is(
      result(ring, (sqe) => prepSocketDirect(sqe, AF_UNIX, type, 0, 0)),
      'EINVAL',
    )
    const bytes = memory(1)
    const receive = result(ring, (sqe) => prepRecv(sqe, 1, addressOf(bytes), 1).setFlags(IOSQE_FIXED_FILE))
    assert.is(receive, 'EINVAL', 'a socket, not connected')
  }),
)

test(
  'prepBind() and prepListen() open a TCP port that prepConnect() reaches',
  needs({ opcode: 'IORING_OP_BIND' }, () => {
    using ring = openRing()
    // Port 0: the kernel chooses, and accept on the other side tells which port the peer has.
    const server = must(ring, (sqe) => prepSocket(sqe, AF_INET, SOCK_STREAM, 0))
    const wanted = keep(socketAddress({ family: 'IPv4', address: '127.0.0.1', port: 0 }))
    assert.is(
      must(ring, (sqe) => prepBind(sqe, server, wanted.address, wanted.length)),
      0,
    )
    assert.is(
      must(ring, (sqe) => prepListen(sqe, server, 4)),
      0,
    )
    assert.is(
      result(ring, (sqe) => prepBind(sqe, server, wanted.address, wanted.length)),
      'EINVAL',
      'bound already',
    )
    close(server)
  }),
)

test(
  'prepBind() fails on an address in use, on a short one, and on what is no socket',
  needs({ opcode: 'IORING_OP_BIND' }, () => {
    using ring = openRing()
    const path = temporary('bound.sock')
    const { fd, address } = listenOn({ family: 'unix', path })
    const other = must(ring, (sqe) => prepSocket(sqe, AF_UNIX, SOCK_STREAM, 0))
    assert.is(
      result(ring, (sqe) => prepBind(sqe, other, address.address, address.length)),
      'EADDRINUSE',
    )
    assert.is(
      result(ring, (sqe) => prepBind(sqe, other, address.address, 1)),
      'EINVAL',
    )
    assert.is(
      result(ring, (sqe) => prepBind(sqe, ring.fd, address.address, address.length)),
      'ENOTSOCK',
    )
    closeAll(fd, other)
  }),
)

test(
  'prepListen() fails on a datagram socket and on what is no socket',
  needs({ opcode: 'IORING_OP_LISTEN' }, () => {
    using ring = openRing()
    const fd = must(ring, (sqe) => prepSocket(sqe, AF_INET, SOCK_DGRAM, 0))
    assert.is(
      result(ring, (sqe) => prepListen(sqe, fd, 4)),
      'ENOTSUP',
    )
    assert.is(
      result(ring, (sqe) => prepListen(sqe, ring.fd, 4)),
      'ENOTSOCK',
    )
    close(fd)
  }),
)

test(
  'prepListen() lets as many connections wait as the backlog says',
  needs({ opcode: 'IORING_OP_LISTEN' }, () => {
    using ring = openRing()
    const address = keep(socketAddress({ family: 'unix', abstract: `uring-backlog-${process.pid}` }))
    const fd = plainSocket(AF_UNIX, SOCK_STREAM)
    bindTo(fd, address)
    must(ring, (sqe) => prepListen(sqe, fd, 2))
    const listener = { fd, address }
    const peers = [connectTo(ring, listener), connectTo(ring, listener)]
    const accepted = peers.map(() => must(ring, (sqe) => prepAccept(sqe, fd, 0, 0)))
    assert.is(new Set(accepted).size, 2)
    closeAll(fd, ...peers, ...accepted)
  }),
)

test(
  'prepConnect() fails where nobody listens, and when connected already',
  needs({ opcode: 'IORING_OP_CONNECT' }, () => {
    using ring = openRing()
    const listener = listen()
    const nobody = keep(socketAddress({ family: 'unix', abstract: `uring-nobody-${process.pid}` }))
    const fd = connectTo(ring, listener)
    const other = plainSocket(AF_UNIX, SOCK_STREAM)
    assert.is(
      result(ring, (sqe) => prepConnect(sqe, other, nobody.address, nobody.length)),
      'ECONNREFUSED',
    )
    const { address } = listener
    assert.is(
      result(ring, (sqe) => prepConnect(sqe, fd, address.address, address.length)),
      'EISCONN',
    )
    closeAll(fd, other, listener.fd)
  }),
)

test(
  'prepAccept() waits for a connection and writes the address of the peer',
  needs({ opcode: 'IORING_OP_ACCEPT' }, () => {
    using ring = openRing()
    const listener = listenOn({ family: 'unix', path: temporary('accept.sock') })
    const peerAddress = keep(socketAddress({ family: 'unix', path: temporary('peer.sock') }))
    const peer = plainSocket(AF_UNIX, SOCK_STREAM)
    bindTo(peer, peerAddress)
    const from = keep(new SocketAddressResult())
    prepAccept(next(ring), listener.fd, from.address, from.lengthAddress, SOCK_CLOEXEC).setUserData(1)
    assert.ok(isQuiet(ring))
    const { address } = listener
    prepConnect(next(ring), peer, address.address, address.length).setUserData(2)
    const [accepted, connected] = complete(ring, 2)
    assert.is(connected!.res, 0)
    assert.is(fcntl(accepted!.res, F_GETFD, 0), FD_CLOEXEC)
    assert.equal(from.read(), { family: 'unix', path: temporary('peer.sock') })
    closeAll(accepted!.res, peer, listener.fd)
  }),
)

test(
  'prepAccept() tells the address of a TCP peer',
  needs({ opcode: 'IORING_OP_ACCEPT' }, () => {
    using ring = openRing()
    const listener = listenTcp()
    const peer = connectTo(ring, listener)
    const from = keep(new SocketAddressResult())
    const accepted = must(ring, (sqe) => prepAccept(sqe, listener.fd, from.address, from.lengthAddress))
    const address = from.read()
    assert.is(address.family, 'IPv4')
    assert.is('address' in address && address.address, '127.0.0.1')
    closeAll(accepted, peer, listener.fd)
  }),
)

test(
  'prepAccept() fails on a socket that does not listen, and at once with IORING_ACCEPT_DONTWAIT',
  needs({ opcode: 'IORING_OP_ACCEPT', linux: '6.10' }, () => {
    using ring = openRing()
    const idle = plainSocket(AF_UNIX, SOCK_STREAM)
    assert.is(
      result(ring, (sqe) => prepAccept(sqe, idle, 0, 0)),
      'EINVAL',
    )
    const { fd } = listen()
    assert.is(
      result(ring, (sqe) => prepAccept(sqe, fd, 0, 0).setIoprio(IORING_ACCEPT_DONTWAIT)),
      'EAGAIN',
    )
    closeAll(idle, fd)
  }),
)

test(
  'prepAcceptDirect() puts connections into registered slots',
  needs({ opcode: 'IORING_OP_ACCEPT', linux: '5.19' }, () => {
    using ring = openRing()
    registerFiles(ring, [-1, -1])
    const listener = listen()
    const peers = [connectTo(ring, listener), connectTo(ring, listener), connectTo(ring, listener)]
    assert.is(
      must(ring, (sqe) => prepAcceptDirect(sqe, listener.fd, 0, 0, 0, 1)),
      0,
    )
    const alloc = (): number | string =>
      result(ring, (sqe) => prepAcceptDirect(sqe, listener.fd, 0, 0, 0, IORING_FILE_INDEX_ALLOC))
    assert.equal([alloc(), alloc()], [0, 'ENFILE'])
    const bytes = memory('hello')
    assert.is(
      must(ring, (sqe) => prepSend(sqe, 1, addressOf(bytes), 5).setFlags(IOSQE_FIXED_FILE)),
      5,
    )
    const back = memory(5)
    must(ring, (sqe) => prepRecv(sqe, peers[0]!, addressOf(back), 5))
    assert.is(text(back), 'hello')
    const flagged = result(ring, (sqe) => prepAcceptDirect(sqe, listener.fd, 0, 0, SOCK_CLOEXEC, 0))
    assert.is(flagged, 'EINVAL')
    closeAll(...peers, listener.fd)
  }),
)

test(
  'prepMultishotAccept() accepts until it is cancelled',
  needs({ opcode: 'IORING_OP_ACCEPT', linux: '5.19' }, () => {
    using ring = openRing()
    const listener = listen()
    prepMultishotAccept(next(ring), listener.fd, 0, 0, SOCK_CLOEXEC).setUserData(1)
    ring.submit()
    const fds: number[] = []
    const { address } = listener
    for (let round = 0; round < 3; round++) {
      const peer = plainSocket(AF_UNIX, SOCK_STREAM)
      prepConnect(next(ring), peer, address.address, address.length).setUserData(2)
      const [accepted, connected] = complete(ring, 2)
      assert.is(connected!.res, 0)
      assert.ok(accepted!.flags & IORING_CQE_F_MORE)
      fds.push(peer, accepted!.res)
    }
    prepCancel64(next(ring), 1).setUserData(3)
    const [ended, cancelled] = complete(ring, 2)
    assert.equal([named(ended!.res), ended!.flags & IORING_CQE_F_MORE], ['ECANCELED', 0])
    assert.is(cancelled!.res, 0)
    assert.is(new Set(fds).size, 6)
    closeAll(...fds, listener.fd)
  }),
)

test(
  'prepMultishotAcceptDirect() fills slots until none is free',
  needs({ opcode: 'IORING_OP_ACCEPT', linux: '5.19' }, () => {
    using ring = openRing()
    registerFiles(ring, [-1, -1])
    const listener = listen()
    const peers = [connectTo(ring, listener), connectTo(ring, listener), connectTo(ring, listener)]
    prepMultishotAcceptDirect(next(ring), listener.fd, 0, 0)
    const completions = complete(ring, 3)
    assert.equal(
      completions.map(({ res }) => named(res)),
      [0, 1, 'ENFILE'],
    )
    assert.is(completions[2]!.flags & IORING_CQE_F_MORE, 0)
    closeAll(...peers, listener.fd)
  }),
)

test(
  'prepMultishotAccept() fails at once on a socket that does not listen',
  needs({ opcode: 'IORING_OP_ACCEPT', linux: '5.19' }, () => {
    using ring = openRing()
    const fd = plainSocket(AF_UNIX, SOCK_STREAM)
    const { res, flags } = run(ring, (sqe) => prepMultishotAccept(sqe, fd, 0, 0))
    assert.equal([named(res), flags & IORING_CQE_F_MORE], ['EINVAL', 0])
    close(fd)
  }),
)

test(
  'prepShutdown() ends one direction, then both',
  needs({ opcode: 'IORING_OP_SHUTDOWN' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    const bytes = memory('hi')
    must(ring, (sqe) => prepSend(sqe, pair.a, addressOf(bytes), 2))
    assert.is(
      must(ring, (sqe) => prepShutdown(sqe, pair.a, SHUT_WR)),
      0,
    )
    const back = memory(4)
    const receive = (): number => must(ring, (sqe) => prepRecv(sqe, pair.b, addressOf(back), 4))
    assert.equal([receive(), receive()], [2, 0])
    assert.is(
      must(ring, (sqe) => prepSend(sqe, pair.b, addressOf(bytes), 2)),
      2,
      'the other direction is open',
    )
    must(ring, (sqe) => prepShutdown(sqe, pair.a, SHUT_RDWR))
    assert.is(
      result(ring, (sqe) => prepSend(sqe, pair.b, addressOf(bytes), 2)),
      'EPIPE',
    )
  }),
)

test(
  'prepShutdown() fails on a socket that is not connected, and on an unknown direction',
  needs({ opcode: 'IORING_OP_SHUTDOWN' }, () => {
    using ring = openRing()
    const fd = plainSocket(AF_INET, SOCK_STREAM)
    assert.is(
      result(ring, (sqe) => prepShutdown(sqe, fd, SHUT_WR)),
      'ENOTCONN',
    )
    assert.is(
      result(ring, (sqe) => prepShutdown(sqe, fd, 7)),
      'EINVAL',
    )
    close(fd)
  }),
)

test.run()
