import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs'
import { SocketAddressResult } from '../../../src/ring/memory/index.js'
import {
  prepCmdDiscard,
  prepCmdGetsockname,
  prepCmdGetsockopt,
  prepCmdSetsockopt,
  prepCmdSock,
  prepCmdZoneResetAll,
  prepSend,
  prepSendto,
  prepUringCmd,
  prepUringCmd128,
} from '../../../src/ring/prep/index.js'
import {
  IORING_CQE_F_MORE,
  IORING_SETUP_CQE32,
  IORING_SETUP_SQE128,
  IPPROTO_TCP,
  SO_RCVBUF,
  SO_TYPE,
  SOCK_STREAM,
  SOCKET_URING_OP_SIOCINQ,
  SOCKET_URING_OP_SIOCOUTQ,
  SOCKET_URING_OP_TX_TIMESTAMP,
  SOL_SOCKET,
  TCP_NODELAY,
} from '../../../src/syscalls/abi/index.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { assert, kernelIsAtLeast, needs, test } from '../../harness.js'
import {
  complete,
  datagramPair,
  keep,
  listenTcp,
  memory,
  must,
  named,
  next,
  openRing,
  result,
  socketPair,
  temporary,
  WAIT_MS,
} from './fixture.js'

const SO_TIMESTAMPING = 37
// Of SOF_TIMESTAMPING_*: TX_SOFTWARE, SOFTWARE, OPT_ID, OPT_TSONLY.
const TIMESTAMPING = 0x2 | 0x10 | 0x80 | 0x800
const NO_SUCH_COMMAND = 0x7fff_0001

function word(value = 0): { address: number; read(): number } {
  const words = keep(Int32Array.of(value))
  return { address: addressOf(words), read: () => words[0]! }
}

test(
  'prepCmdSock() counts what waits to be read and to be sent',
  needs({ opcode: 'IORING_OP_URING_CMD', linux: '6.7' }, () => {
    using ring = openRing()
    using pair = socketPair(ring, listenTcp())
    const bytes = memory('12345')
    must(ring, (sqe) => prepSend(sqe, pair.a, addressOf(bytes), 5))
    const count = (fd: number, command: number): number =>
      must(ring, (sqe) => prepCmdSock(sqe, command, fd, 0, 0, 0, 0))
    assert.is(count(pair.b, SOCKET_URING_OP_SIOCINQ), 5)
    assert.is(count(pair.a, SOCKET_URING_OP_SIOCINQ), 0)
    assert.ok(count(pair.a, SOCKET_URING_OP_SIOCOUTQ) <= 5, 'less once the peer has acknowledged')
  }),
)

test(
  'prepCmdGetsockopt() reads, prepCmdSetsockopt() writes socket options',
  needs({ opcode: 'IORING_OP_URING_CMD', linux: '6.7' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    const value = word()
    const get = (option: number): number =>
      must(ring, (sqe) => prepCmdGetsockopt(sqe, pair.a, SOL_SOCKET, option, value.address, 4))
    assert.is(get(SO_TYPE), 4, 'the length of the value')
    assert.is(value.read(), SOCK_STREAM)
    const wanted = word(16384)
    const set = must(ring, (sqe) => prepCmdSetsockopt(sqe, pair.a, SOL_SOCKET, SO_RCVBUF, wanted.address, 4))
    assert.is(set, 0)
    get(SO_RCVBUF)
    assert.is(value.read(), 32768, 'the kernel doubles it')
  }),
)

test(
  'prepCmdGetsockopt() fails on an unknown option and on other levels, prepCmdSetsockopt() on a short value',
  needs({ opcode: 'IORING_OP_URING_CMD', linux: '6.7' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    const value = word()
    const get = (level: number, option: number): number | string =>
      result(ring, (sqe) => prepCmdGetsockopt(sqe, pair.a, level, option, value.address, 4))
    assert.is(get(SOL_SOCKET, 9999), 'ENOPROTOOPT')
    assert.is(get(IPPROTO_TCP, TCP_NODELAY), 'ENOTSUP')
    const short = result(ring, (sqe) =>
      prepCmdSetsockopt(sqe, pair.a, SOL_SOCKET, SO_RCVBUF, value.address, 1),
    )
    assert.is(short, 'EINVAL')
  }),
)

test(
  'prepCmdGetsockname() tells both addresses where the kernel has it',
  needs({ opcode: 'IORING_OP_URING_CMD', linux: '6.7' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    const [own, peer] = [keep(new SocketAddressResult()), keep(new SocketAddressResult())]
    const ask = (answer: SocketAddressResult, ofPeer: number): number | string =>
      result(ring, (sqe) => prepCmdGetsockname(sqe, pair.b, answer.address, answer.lengthAddress, ofPeer))
    if (!kernelIsAtLeast('6.19')) {
      assert.is(ask(own, 0), 'ENOTSUP')
      return
    }
    assert.is(ask(own, 0), 0)
    assert.ok('abstract' in own.read(), 'the address of the listener')
    assert.is(ask(peer, 1), 0)
    assert.equal(peer.read(), { family: 'unix', path: '' })
    assert.is(ask(peer, 2), 'EINVAL')
  }),
)

test(
  'prepUringCmd() fails on a file without commands, and on an unknown one',
  needs({ opcode: 'IORING_OP_URING_CMD', linux: '6.7' }, () => {
    using ring = openRing()
    using pair = socketPair(ring)
    const path = temporary('command')
    writeFileSync(path, 'content')
    const fd = openSync(path, 'r+')
    assert.is(
      result(ring, (sqe) => prepUringCmd(sqe, 1, fd)),
      'ENOTSUP',
    )
    assert.is(
      result(ring, (sqe) => prepUringCmd(sqe, NO_SUCH_COMMAND, pair.a)),
      'ENOTSUP',
    )
    assert.is(
      result(ring, (sqe) => prepUringCmd(sqe, 1, -1)),
      'EBADF',
    )
    closeSync(fd)
  }),
)

test(
  'prepUringCmd() works in a ring of 128-byte entries',
  needs({ opcode: 'IORING_OP_URING_CMD', linux: '6.7' }, () => {
    using ring = openRing({ flags: IORING_SETUP_SQE128 })
    using pair = socketPair(ring, listenTcp())
    assert.is(
      must(ring, (sqe) => prepUringCmd(sqe, SOCKET_URING_OP_SIOCINQ, pair.a)),
      0,
    )
  }),
)

test(
  'prepUringCmd128() works where the kernel has it, else it fails',
  needs({ setup: 'IORING_SETUP_SQE128', linux: '6.7' }, () => {
    using ring = openRing({ flags: IORING_SETUP_SQE128 })
    using pair = socketPair(ring, listenTcp())
    const sqe = ring.getSqe128()
    assert.ok(sqe)
    prepUringCmd128(sqe!, SOCKET_URING_OP_SIOCINQ, pair.a)
    assert.is(named(complete(ring, 1)[0]!.res), kernelIsAtLeast('6.19') ? 0 : 'EINVAL')
  }),
)

test(
  'prepCmdDiscard() and prepCmdZoneResetAll() fail on a file that is no block device',
  needs({ opcode: 'IORING_OP_URING_CMD' }, () => {
    using ring = openRing()
    const path = temporary('discard')
    writeFileSync(path, 'content')
    const fd = openSync(path, 'r+')
    assert.is(
      result(ring, (sqe) => prepCmdDiscard(sqe, fd, 0, 4096)),
      'ENOTSUP',
    )
    assert.is(
      result(ring, (sqe) => prepCmdZoneResetAll(sqe, fd)),
      'ENOTSUP',
    )
    closeSync(fd)
  }),
)

test(
  'prepCmdSock() posts a transmit timestamp in the second half of its CQE',
  needs({ opcode: 'IORING_OP_URING_CMD', linux: '6.17', setup: 'IORING_SETUP_CQE32' }, () => {
    using ring = openRing({ flags: IORING_SETUP_CQE32 })
    using pair = datagramPair()
    const wanted = word(TIMESTAMPING)
    must(ring, (sqe) => prepCmdSetsockopt(sqe, pair.a, SOL_SOCKET, SO_TIMESTAMPING, wanted.address, 4))
    const bytes = memory('stamped')
    const { address, length } = pair.to
    must(ring, (sqe) => prepSendto(sqe, pair.a, addressOf(bytes), 7, 0, address, length))
    prepCmdSock(next(ring), SOCKET_URING_OP_TX_TIMESTAMP, pair.a, 0, 0, 0, 0)
    ring.submitAndWait(1, WAIT_MS)
    const seen: number[][] = []
    ring.forEachBigCqe((_low, _high, res, flags, ...seconds) =>
      seen.push([res, flags & IORING_CQE_F_MORE, seconds[0]]),
    )
    assert.is(seen.length, 1)
    const [key, more, sec] = seen[0] as [number, number, number]
    assert.equal([key, more], [0, IORING_CQE_F_MORE], 'the first datagram')
    assert.ok(Math.abs(sec - Date.now() / 1000) < 60)
  }),
)

/** A block device over a file, or why there is none: containers seldom have one to give. */
function loopDevice(): { path: string } | string {
  const backing = temporary('loop')
  writeFileSync(backing, Buffer.alloc(1 << 20, 'x'))
  try {
    const path = execFileSync('losetup', ['--find', '--show', backing], {
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim()
    process.on('exit', () => execFileSync('losetup', ['--detach', path]))
    return { path }
  } catch (error) {
    return `needs a loop device: ${String((error as Error).message)
      .split('\n')
      .at(-2)}`
  }
}

let device: { path: string } | string | undefined
const hasLoopDevice = (): true | string => {
  device ??= loopDevice()
  return typeof device === 'string' ? device : true
}

test(
  'prepCmdDiscard() empties a range of a block device, aligned ones alone',
  needs(
    { opcode: 'IORING_OP_URING_CMD', linux: '6.12', root: true, command: 'losetup', when: hasLoopDevice },
    () => {
      using ring = openRing()
      const fd = openSync((device as { path: string }).path, 'r+')
      assert.is(
        must(ring, (sqe) => prepCmdDiscard(sqe, fd, 4096, 8192)),
        0,
      )
      const bytes = Buffer.alloc(16384)
      readSync(fd, bytes, 0, 16384, 0)
      assert.equal([bytes[4095], bytes[4096], bytes[12287], bytes[12288]], [0x78, 0, 0, 0x78])
      assert.is(
        result(ring, (sqe) => prepCmdDiscard(sqe, fd, 100, 8192)),
        'EINVAL',
      )
      assert.is(
        result(ring, (sqe) => prepCmdDiscard(sqe, fd, 0, 2 ** 30)),
        'EINVAL',
        'past the end',
      )
      const reset = result(ring, (sqe) => prepCmdZoneResetAll(sqe, fd))
      assert.ok(reset === 'ENOTSUP' || reset === 'EINVAL', `no zones here: ${reset}`)
      closeSync(fd)
    },
  ),
)

test.run()
