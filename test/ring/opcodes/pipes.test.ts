import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import {
  prepPipe,
  prepPipeDirect,
  prepRead,
  prepSplice,
  prepTee,
  prepWrite,
} from '../../../src/ring/prep/index.js'
import { registerFiles } from '../../../src/ring/register/index.js'
import type { Ring } from '../../../src/ring/ring.js'
import {
  F_GETFD,
  F_GETFL,
  FD_CLOEXEC,
  IORING_FILE_INDEX_ALLOC,
  IOSQE_FIXED_FILE,
  O_CLOEXEC,
  O_NONBLOCK,
  SPLICE_F_FD_IN_FIXED,
  SPLICE_F_MOVE,
} from '../../../src/syscalls/abi/index.js'
import { fcntl, read, write } from '../../../src/syscalls/libc.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { assert, needs, test } from '../../harness.js'
import { closeAll, keep, memory, must, openRing, pipe, result, temporary, text } from './fixture.js'

function fill(fd: number, content: string): void {
  const bytes = memory(content)
  assert.is(write(fd, addressOf(bytes), bytes.byteLength), bytes.byteLength)
}

function drain(fd: number): string {
  const bytes = memory(64)
  return text(bytes, read(fd, addressOf(bytes), 64))
}

test(
  'prepPipe() makes two ends with their flags',
  needs({ opcode: 'IORING_OP_PIPE' }, () => {
    using ring = openRing()
    const fds = keep(new Int32Array(new ArrayBuffer(8)))
    assert.is(
      must(ring, (sqe) => prepPipe(sqe, addressOf(fds), O_CLOEXEC | O_NONBLOCK)),
      0,
    )
    const [reading, writing] = fds as unknown as [number, number]
    assert.equal(
      [reading, writing].map((fd) => fcntl(fd, F_GETFD, 0)),
      [FD_CLOEXEC, FD_CLOEXEC],
    )
    assert.ok(fcntl(reading, F_GETFL, 0) & O_NONBLOCK)
    fill(writing, 'through')
    assert.is(drain(reading), 'through')
    closeAll(reading, writing)
  }),
)

test(
  'prepPipe() fails on bad memory and an unknown flag',
  needs({ opcode: 'IORING_OP_PIPE' }, () => {
    using ring = openRing()
    const fds = keep(new Int32Array(new ArrayBuffer(8)))
    assert.is(
      result(ring, (sqe) => prepPipe(sqe, 4096)),
      'EFAULT',
    )
    assert.is(
      result(ring, (sqe) => prepPipe(sqe, addressOf(fds), 1)),
      'EINVAL',
    )
  }),
)

test(
  'prepPipeDirect() puts both ends into registered slots',
  needs({ opcode: 'IORING_OP_PIPE' }, () => {
    using ring = openRing()
    registerFiles(ring, [-1, -1, -1, -1])
    const fds = keep(new Int32Array(new ArrayBuffer(8)))
    const pass = (content: string): string => {
      const [reading, writing] = fds as unknown as [number, number]
      const [out, back] = [memory(content), memory(16)]
      must(ring, (sqe) =>
        prepWrite(sqe, writing, addressOf(out), out.byteLength, -1).setFlags(IOSQE_FIXED_FILE),
      )
      const count = must(ring, (sqe) =>
        prepRead(sqe, reading, addressOf(back), 16, -1).setFlags(IOSQE_FIXED_FILE),
      )
      return text(back, count)
    }
    assert.is(
      must(ring, (sqe) => prepPipeDirect(sqe, addressOf(fds), 0, 1)),
      0,
    )
    assert.equal([...fds], [1, 2])
    assert.is(pass('chosen'), 'chosen')
    assert.is(
      must(ring, (sqe) => prepPipeDirect(sqe, addressOf(fds), 0, IORING_FILE_INDEX_ALLOC)),
      0,
    )
    assert.equal([...fds].sort(), [0, 3])
    assert.is(pass('allocated'), 'allocated')
  }),
)

test(
  'prepPipeDirect() fails on a full table, past its end, with O_CLOEXEC',
  needs({ opcode: 'IORING_OP_PIPE' }, () => {
    using ring = openRing()
    registerFiles(ring, [-1])
    const fds = keep(new Int32Array(new ArrayBuffer(8)))
    const make = (flags: number, index: number): number | string =>
      result(ring, (sqe) => prepPipeDirect(sqe, addressOf(fds), flags, index))
    assert.is(make(0, IORING_FILE_INDEX_ALLOC), 'ENFILE', 'room for one end alone')
    assert.is(make(0, 0), 'EINVAL')
    assert.is(make(O_CLOEXEC, 0), 'EINVAL')
  }),
)

test(
  'prepSplice() moves from a file into a pipe and on into a file',
  needs({ opcode: 'IORING_OP_SPLICE' }, () => {
    using ring = openRing()
    using ends = pipe()
    writeFileSync(temporary('splice-in'), 'hello, world')
    writeFileSync(temporary('splice-out'), '........')
    const [source, target] = [openSync(temporary('splice-in'), 'r'), openSync(temporary('splice-out'), 'r+')]
    const { reading, writing } = ends
    assert.is(
      must(ring, (sqe) => prepSplice(sqe, source, 7, writing, -1, 64, SPLICE_F_MOVE)),
      5,
    )
    assert.is(
      must(ring, (sqe) => prepSplice(sqe, reading, -1, target, 2, 64)),
      5,
    )
    assert.is(readFileSync(temporary('splice-out'), 'utf8'), '..world.')
    // At the current position, from a registered file, to the end of it.
    registerFiles(ring, [-1, source])
    const chunk = (): number =>
      must(ring, (sqe) => prepSplice(sqe, 1, -1, writing, -1, 8, SPLICE_F_FD_IN_FIXED))
    assert.equal([chunk(), chunk(), chunk()], [8, 4, 0])
    assert.is(drain(reading), 'hello, world')
    for (const fd of [source, target]) closeSync(fd)
  }),
)

test(
  'prepSplice() fails without a pipe, with an offset in a pipe, on a bad descriptor',
  needs({ opcode: 'IORING_OP_SPLICE' }, () => {
    using ring = openRing()
    using ends = pipe()
    writeFileSync(temporary('splice-fail'), 'content')
    const source = openSync(temporary('splice-fail'), 'r+')
    assert.is(
      result(ring, (sqe) => prepSplice(sqe, source, 0, source, 4, 2)),
      'EINVAL',
    )
    assert.is(
      result(ring, (sqe) => prepSplice(sqe, source, 0, ends.writing, 1, 2)),
      'ESPIPE',
    )
    assert.is(
      result(ring, (sqe) => prepSplice(sqe, -1, -1, ends.writing, -1, 2)),
      'EBADF',
    )
    closeSync(source)
  }),
)

function teeing(ring: Ring, from: number, to: number, length: number, flags = 0): number | string {
  return result(ring, (sqe) => prepTee(sqe, from, to, length, flags))
}

test(
  'prepTee() copies and consumes nothing',
  needs({ opcode: 'IORING_OP_TEE' }, () => {
    using ring = openRing()
    using one = pipe()
    using two = pipe()
    fill(one.writing, 'twice')
    assert.is(teeing(ring, one.reading, two.writing, 64), 5)
    assert.equal([drain(two.reading), drain(one.reading)], ['twice', 'twice'])
    registerFiles(ring, [one.reading])
    fill(one.writing, 'again')
    assert.is(teeing(ring, 0, two.writing, 2, SPLICE_F_FD_IN_FIXED), 2)
    assert.is(drain(two.reading), 'ag')
  }),
)

test(
  'prepTee() fails when one side is no pipe, or both are the same',
  needs({ opcode: 'IORING_OP_TEE' }, () => {
    using ring = openRing()
    using ends = pipe()
    writeFileSync(temporary('tee-fail'), 'content')
    const file = openSync(temporary('tee-fail'), 'r+')
    fill(ends.writing, 'x')
    assert.is(teeing(ring, file, ends.writing, 2), 'EINVAL')
    assert.is(teeing(ring, ends.reading, ends.writing, 2), 'EINVAL')
    closeSync(file)
  }),
)

test.run()
