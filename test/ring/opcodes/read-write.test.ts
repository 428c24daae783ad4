import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { iovecs } from '../../../src/ring/memory/index.js'
import {
  prepPipe,
  prepRead,
  prepReadFixed,
  prepReadMultishot,
  prepReadv,
  prepReadv2,
  prepReadvFixed,
  prepWrite,
  prepWriteFixed,
  prepWritev,
  prepWritev2,
  prepWritevFixed,
  setOperationFlags,
} from '../../../src/ring/prep/index.js'
import { registerBuffers, registerFiles } from '../../../src/ring/register/index.js'
import {
  IORING_CQE_BUFFER_SHIFT,
  IORING_CQE_F_BUFFER,
  IORING_CQE_F_MORE,
  IOSQE_BUFFER_SELECT,
  IOSQE_FIXED_FILE,
  RWF_APPEND,
} from '../../../src/syscalls/abi/index.js'
import { close, write } from '../../../src/syscalls/libc.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { assert, needs, test } from '../../harness.js'
import {
  closeAll,
  complete,
  keep,
  memory,
  must,
  named,
  next,
  openRing,
  provideRing,
  result,
  run,
  temporary,
  text,
} from './fixture.js'

const UNKNOWN_RWF = 1 << 30

function file(name: string, content = ''): { fd: number; path: string; [Symbol.dispose](): void } {
  const path = temporary(name)
  writeFileSync(path, content)
  const fd = openSync(path, 'r+')
  return { fd, path, [Symbol.dispose]: () => closeSync(fd) }
}

test(
  'prepRead() reads at an offset, short at the end, 0 behind it',
  needs({ opcode: 'IORING_OP_READ' }, () => {
    using ring = openRing()
    using source = file('read', 'hello, world')
    const bytes = memory(8)
    const read = (offset: number | bigint): number =>
      must(ring, (sqe) => prepRead(sqe, source.fd, addressOf(bytes), 8, offset))
    assert.equal([read(7), text(bytes, 5)], [5, 'world'])
    assert.equal([read(0n), text(bytes)], [8, 'hello, w'])
    assert.is(read(12), 0)
    assert.is(read(2 ** 40), 0)
  }),
)

test(
  'prepRead() with offset -1 moves the current position',
  needs({ opcode: 'IORING_OP_READ' }, () => {
    using ring = openRing()
    using source = file('position', 'abcdef')
    const bytes = memory(4)
    const read = (): string => {
      const count = must(ring, (sqe) => prepRead(sqe, source.fd, addressOf(bytes), 4, -1))
      return text(bytes, count)
    }
    assert.equal([read(), read(), read()], ['abcd', 'ef', ''])
  }),
)

test(
  'prepRead() fails on a bad descriptor, bad memory, a directory, a bad flag',
  needs({ opcode: 'IORING_OP_READ' }, () => {
    using ring = openRing()
    using source = file('read-fail', 'content')
    const bytes = memory(8)
    assert.is(
      result(ring, (sqe) => prepRead(sqe, -1, addressOf(bytes), 8, 0)),
      'EBADF',
    )
    assert.is(
      result(ring, (sqe) => prepRead(sqe, source.fd, 4096, 7, 0)),
      'EFAULT',
    )
    const folder = openSync('/', 'r')
    assert.is(
      result(ring, (sqe) => prepRead(sqe, folder, addressOf(bytes), 8, 0)),
      'EISDIR',
    )
    closeSync(folder)
    const flagged = result(ring, (sqe) =>
      setOperationFlags(prepRead(sqe, source.fd, addressOf(bytes), 7, 0), UNKNOWN_RWF),
    )
    assert.is(flagged, 'ENOTSUP')
  }),
)

test(
  'prepRead() reads a registered file and takes a provided buffer',
  needs({ opcode: 'IORING_OP_READ', linux: '5.19' }, () => {
    using ring = openRing()
    using source = file('selected', 'selected')
    registerFiles(ring, [-1, source.fd])
    const buffers = provideRing(ring, 3, 4, 16)
    const { res, flags } = run(ring, (sqe) =>
      prepRead(sqe, 1, 0, 16, 0)
        .setFlags(IOSQE_BUFFER_SELECT | IOSQE_FIXED_FILE)
        .setBufferGroup(3),
    )
    assert.equal([res, flags & IORING_CQE_F_BUFFER], [8, IORING_CQE_F_BUFFER])
    assert.is(text(buffers[flags >>> IORING_CQE_BUFFER_SHIFT]!, res), 'selected')
  }),
)

test(
  'prepWrite() writes at an offset and at the position',
  needs({ opcode: 'IORING_OP_WRITE' }, () => {
    using ring = openRing()
    using target = file('write', '........')
    const bytes = memory('abcd')
    const put = (offset: number): number =>
      must(ring, (sqe) => prepWrite(sqe, target.fd, addressOf(bytes), 4, offset))
    assert.equal([put(2), readFileSync(target.path, 'utf8')], [4, '..abcd..'])
    assert.equal([put(-1), readFileSync(target.path, 'utf8')], [4, 'abcdcd..'])
    assert.equal([put(-1), readFileSync(target.path, 'utf8')], [4, 'abcdabcd'])
  }),
)

test(
  'prepWrite() appends with RWF_APPEND through setOperationFlags()',
  needs({ opcode: 'IORING_OP_WRITE' }, () => {
    using ring = openRing()
    using target = file('append', 'one')
    const bytes = memory('two')
    must(ring, (sqe) => setOperationFlags(prepWrite(sqe, target.fd, addressOf(bytes), 3, 0), RWF_APPEND))
    assert.is(readFileSync(target.path, 'utf8'), 'onetwo')
  }),
)

test(
  'prepWrite() reaches an offset beyond 2^32',
  needs({ opcode: 'IORING_OP_WRITE' }, () => {
    using ring = openRing()
    using target = file('sparse')
    const [out, back] = [memory('far'), memory(3)]
    const offset = 2 ** 32 + 5
    must(ring, (sqe) => prepWrite(sqe, target.fd, addressOf(out), 3, offset))
    must(ring, (sqe) => prepRead(sqe, target.fd, addressOf(back), 3, BigInt(offset)))
    assert.is(text(back), 'far')
  }),
)

test(
  'prepWrite() fails on a descriptor open for reading',
  needs({ opcode: 'IORING_OP_WRITE' }, () => {
    using ring = openRing()
    const fd = openSync(temporary('write-fail'), 'w+')
    const readOnly = openSync(temporary('write-fail'), 'r')
    const bytes = memory('x')
    assert.is(
      result(ring, (sqe) => prepWrite(sqe, readOnly, addressOf(bytes), 1, 0)),
      'EBADF',
    )
    closeAll(fd, readOnly)
  }),
)

test(
  'prepReadv() and prepWritev() go through several buffers',
  needs({ opcode: 'IORING_OP_READV' }, () => {
    using ring = openRing()
    using target = file('vectored')
    const out = keep(iovecs([memory('ab'), memory(''), memory('cde')]))
    assert.is(
      must(ring, (sqe) => prepWritev(sqe, target.fd, out.address, out.count, 1)),
      5,
    )
    const [one, two] = [memory(4), memory(4)]
    const into = keep(iovecs([one, two]))
    assert.is(
      must(ring, (sqe) => prepReadv(sqe, target.fd, into.address, into.count, 0)),
      6,
    )
    assert.equal([text(one), text(two, 2)], ['\0abc', 'de'])
  }),
)

test(
  'prepReadv2() and prepWritev2() pass their flags',
  needs({ opcode: 'IORING_OP_WRITEV' }, () => {
    using ring = openRing()
    using target = file('vectored2', 'one')
    const out = keep(iovecs([memory('two')]))
    assert.is(
      must(ring, (sqe) => prepWritev2(sqe, target.fd, out.address, 1, 0, RWF_APPEND)),
      3,
    )
    assert.is(readFileSync(target.path, 'utf8'), 'onetwo')
    const into = keep(iovecs([memory(3)]))
    assert.is(
      must(ring, (sqe) => prepReadv2(sqe, target.fd, into.address, 1, 0)),
      3,
    )
    assert.is(
      result(ring, (sqe) => prepReadv2(sqe, target.fd, into.address, 1, 0, UNKNOWN_RWF)),
      'ENOTSUP',
    )
    assert.is(
      result(ring, (sqe) => prepWritev2(sqe, target.fd, out.address, 1, 0, UNKNOWN_RWF)),
      'ENOTSUP',
    )
  }),
)

test(
  'prepReadv() and prepWritev() fail on too many vectors and bad memory',
  needs({ opcode: 'IORING_OP_WRITEV' }, () => {
    using ring = openRing()
    using target = file('vectored-fail')
    const vectors = keep(iovecs(new Array(1024).fill(memory(1))))
    assert.is(
      must(ring, (sqe) => prepWritev(sqe, target.fd, vectors.address, 1024, 0)),
      1024,
    )
    assert.is(
      result(ring, (sqe) => prepWritev(sqe, target.fd, vectors.address, 1025, 0)),
      'EINVAL',
    )
    assert.is(
      result(ring, (sqe) => prepReadv(sqe, target.fd, vectors.address, 1025, 0)),
      'EINVAL',
    )
    assert.is(
      result(ring, (sqe) => prepReadv(sqe, target.fd, 4096, 1, 0)),
      'EFAULT',
    )
  }),
)

test(
  'prepReadFixed() and prepWriteFixed() use a registered buffer',
  needs({ opcode: 'IORING_OP_READ_FIXED' }, () => {
    using ring = openRing()
    using target = file('fixed')
    const [one, two] = [memory(64), memory('0123456789')]
    registerBuffers(ring, [one, two])
    assert.is(
      must(ring, (sqe) => prepWriteFixed(sqe, target.fd, addressOf(two) + 2, 5, 0, 1)),
      5,
    )
    assert.is(readFileSync(target.path, 'utf8'), '23456')
    assert.is(
      must(ring, (sqe) => prepReadFixed(sqe, target.fd, addressOf(one) + 10, 4, 1, 0)),
      4,
    )
    assert.is(text(one.subarray(10, 14)), '3456')
  }),
)

test(
  'prepReadFixed() and prepWriteFixed() fail outside the registered buffer',
  needs({ opcode: 'IORING_OP_WRITE_FIXED' }, () => {
    using ring = openRing()
    using target = file('fixed-fail', 'content')
    const bytes = memory(64)
    const read = (address: number, length: number, index: number): number | string =>
      result(ring, (sqe) => prepReadFixed(sqe, target.fd, address, length, 0, index))
    assert.is(read(addressOf(bytes), 4, 0), 'EFAULT', 'nothing registered')
    registerBuffers(ring, [bytes])
    assert.is(read(addressOf(bytes) + 60, 5, 0), 'EFAULT')
    assert.is(read(addressOf(bytes), 4, 1), 'EFAULT')
    const put = (length: number): number | string =>
      result(ring, (sqe) => prepWriteFixed(sqe, target.fd, addressOf(bytes) + 60, length, 0, 0))
    assert.equal([put(4), put(5)], [4, 'EFAULT'])
  }),
)

test(
  'prepReadvFixed() and prepWritevFixed() use ranges of one registered buffer',
  needs({ opcode: 'IORING_OP_READV_FIXED' }, () => {
    using ring = openRing()
    using target = file('vectored-fixed')
    const bytes = memory('0123456789abcdef')
    registerBuffers(ring, [bytes])
    const out = keep(iovecs([bytes.subarray(10, 12), bytes.subarray(2, 4)]))
    assert.is(
      must(ring, (sqe) => prepWritevFixed(sqe, target.fd, out.address, 2, 0, 0, 0)),
      4,
    )
    assert.is(readFileSync(target.path, 'utf8'), 'ab23')
    const into = keep(iovecs([bytes.subarray(0, 1), bytes.subarray(14, 16)]))
    assert.is(
      must(ring, (sqe) => prepReadvFixed(sqe, target.fd, into.address, 2, 0, 0, 0)),
      3,
    )
    assert.is(text(bytes), 'a123456789abcdb2')
  }),
)

test(
  'prepReadvFixed() and prepWritevFixed() fail outside the registered buffer',
  needs({ opcode: 'IORING_OP_WRITEV_FIXED' }, () => {
    using ring = openRing()
    using target = file('vectored-fixed-fail', 'content')
    registerBuffers(ring, [memory(64)])
    const elsewhere = keep(iovecs([memory(8)]))
    assert.is(
      result(ring, (sqe) => prepReadvFixed(sqe, target.fd, elsewhere.address, 1, 0, 0, 0)),
      'EFAULT',
    )
    assert.is(
      result(ring, (sqe) => prepWritevFixed(sqe, target.fd, elsewhere.address, 1, 0, 0, 0)),
      'EFAULT',
    )
    assert.is(
      result(ring, (sqe) => prepWritevFixed(sqe, target.fd, elsewhere.address, 1, 0, 0, 9)),
      'EFAULT',
    )
  }),
)

test(
  'prepReadMultishot() reads a pipe until it ends',
  needs({ opcode: 'IORING_OP_READ_MULTISHOT', linux: '6.16' }, () => {
    using ring = openRing()
    const fds = keep(new Int32Array(2))
    must(ring, (sqe) => prepPipe(sqe, addressOf(fds)))
    const [reading, writing] = [fds[0]!, fds[1]!]
    const buffers = provideRing(ring, 5, 4, 16)
    prepReadMultishot(next(ring), reading, 0, -1, 5).setUserData(1)
    ring.submit()
    for (const word of ['one', 'two']) {
      const bytes = memory(word)
      assert.is(write(writing, addressOf(bytes), 3), 3)
      const { res, flags } = complete(ring, 1)[0]!
      assert.is(text(buffers[flags >>> IORING_CQE_BUFFER_SHIFT]!, res), word)
      assert.ok(flags & IORING_CQE_F_MORE, 'goes on')
    }
    close(writing)
    const [end] = complete(ring, 1)
    assert.equal([end!.res, end!.flags & IORING_CQE_F_MORE], [0, 0])
    close(reading)
  }),
)

test(
  'prepReadMultishot() ends with ENOBUFS when the group runs out',
  needs({ opcode: 'IORING_OP_READ_MULTISHOT', linux: '6.16' }, () => {
    using ring = openRing()
    const fds = keep(new Int32Array(2))
    must(ring, (sqe) => prepPipe(sqe, addressOf(fds)))
    provideRing(ring, 5, 1, 2)
    const bytes = memory('abcd')
    write(fds[1]!, addressOf(bytes), 4)
    prepReadMultishot(next(ring), fds[0]!, 0, -1, 5)
    const [first, second] = complete(ring, 2)
    assert.equal([first!.res, first!.flags & IORING_CQE_F_MORE], [2, IORING_CQE_F_MORE])
    assert.equal([named(second!.res), second!.flags & IORING_CQE_F_MORE], ['ENOBUFS', 0])
    closeAll(...fds)
  }),
)

test(
  'prepReadMultishot() fails on a regular file, and with a length',
  needs({ opcode: 'IORING_OP_READ_MULTISHOT' }, () => {
    using ring = openRing()
    using source = file('multishot-fail', 'content')
    provideRing(ring, 5, 1, 16)
    assert.is(
      result(ring, (sqe) => prepReadMultishot(sqe, source.fd, 0, 0, 5)),
      'EBADFD',
    )
    assert.is(
      result(ring, (sqe) => prepReadMultishot(sqe, source.fd, 4, 0, 5)),
      'EINVAL',
    )
  }),
)

test.run()
