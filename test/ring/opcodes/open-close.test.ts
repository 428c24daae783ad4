import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { openHow } from '../../../src/ring/memory/index.js'
import {
  prepClose,
  prepCloseDirect,
  prepFilesUpdate,
  prepFixedFdInstall,
  prepOpen,
  prepOpenat,
  prepOpenat2,
  prepOpenat2Direct,
  prepOpenatDirect,
  prepOpenDirect,
  prepRead,
} from '../../../src/ring/prep/index.js'
import { registerFiles } from '../../../src/ring/register/index.js'
import type { Ring } from '../../../src/ring/ring.js'
import {
  AT_FDCWD,
  F_GETFD,
  IORING_FILE_INDEX_ALLOC,
  IORING_FIXED_FD_NO_CLOEXEC,
  IORING_REGISTER_FILES_SKIP,
  IOSQE_FIXED_FILE,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
} from '../../../src/syscalls/abi/index.js'
import { fcntl } from '../../../src/syscalls/libc.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { assert, needs, test } from '../../harness.js'
import { at, keep, memory, must, openRing, result, temporary, text } from './fixture.js'

function written(name: string, content: string): string {
  const path = temporary(name)
  writeFileSync(path, content)
  return path
}

/** Reads the start of a registered file. */
function readDirect(ring: Ring, index: number): string {
  const bytes = memory(16)
  const count = must(ring, (sqe) => prepRead(sqe, index, addressOf(bytes), 16, 0).setFlags(IOSQE_FIXED_FILE))
  return text(bytes, count)
}

test(
  'prepOpen() makes a file with its mode, prepOpenat() opens it relative to a directory',
  needs({ opcode: 'IORING_OP_OPENAT' }, () => {
    using ring = openRing()
    mkdirSync(temporary('open'))
    const path = temporary('open/file')
    const made = must(ring, (sqe) => prepOpen(sqe, at(path), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o640))
    assert.is(statSync(path).mode & 0o777, 0o640 & ~process.umask())
    const folder = openSync(temporary('open'), 'r')
    const again = must(ring, (sqe) => prepOpenat(sqe, folder, at('file'), O_RDONLY))
    assert.is(fstatSync(again).ino, fstatSync(made).ino)
    assert.is(fcntl(made, F_GETFD, 0), 1, 'closed on exec')
    assert.is(fcntl(again, F_GETFD, 0), 0)
    for (const fd of [made, again, folder]) closeSync(fd)
  }),
)

test(
  'prepOpenat() fails on a missing file, an existing one with O_EXCL, a bad directory',
  needs({ opcode: 'IORING_OP_OPENAT' }, () => {
    using ring = openRing()
    const path = written('open-exists', '')
    assert.is(
      result(ring, (sqe) => prepOpen(sqe, at(temporary('open-missing')), O_RDONLY)),
      'ENOENT',
    )
    assert.is(
      result(ring, (sqe) => prepOpen(sqe, at(path), O_RDWR | O_CREAT | O_EXCL, 0o600)),
      'EEXIST',
    )
    assert.is(
      result(ring, (sqe) => prepOpen(sqe, at(path), O_DIRECTORY)),
      'ENOTDIR',
    )
    assert.is(
      result(ring, (sqe) => prepOpenat(sqe, -1, at('relative'), O_RDONLY)),
      'EBADF',
    )
    assert.is(
      result(ring, (sqe) => prepOpen(sqe, 0, O_RDONLY)),
      'EFAULT',
    )
  }),
)

test(
  'prepOpenatDirect() and prepOpenDirect() fill registered slots',
  needs({ opcode: 'IORING_OP_OPENAT', linux: '5.19' }, () => {
    using ring = openRing()
    registerFiles(ring, [-1, -1])
    const [one, two] = [at(written('direct-one', 'one')), at(written('direct-two', 'two'))]
    assert.is(
      must(ring, (sqe) => prepOpenatDirect(sqe, AT_FDCWD, one, O_RDONLY, 0, 1)),
      0,
    )
    assert.is(readDirect(ring, 1), 'one')
    assert.is(
      must(ring, (sqe) => prepOpenDirect(sqe, two, O_RDONLY, 0, IORING_FILE_INDEX_ALLOC)),
      0,
      'the free slot',
    )
    assert.is(readDirect(ring, 0), 'two')
    assert.is(
      must(ring, (sqe) => prepOpenDirect(sqe, two, O_RDONLY, 0, 1)),
      0,
    )
    assert.is(readDirect(ring, 1), 'two', 'replaced')
  }),
)

test(
  'prepOpenDirect() fails on a full table, past its end, without one, and with O_CLOEXEC',
  needs({ opcode: 'IORING_OP_OPENAT', linux: '5.19' }, () => {
    using ring = openRing()
    const path = at(written('direct-fail', 'x'))
    const open = (flags: number, index: number): number | string =>
      result(ring, (sqe) => prepOpenDirect(sqe, path, flags, 0, index))
    assert.is(open(O_RDONLY, 0), 'ENXIO')
    registerFiles(ring, [-1])
    assert.is(open(O_RDONLY, 1), 'EINVAL')
    assert.is(open(O_RDONLY | O_CLOEXEC, 0), 'EINVAL')
    assert.is(open(O_RDONLY, 0), 0)
    assert.is(open(O_RDONLY, IORING_FILE_INDEX_ALLOC), 'ENFILE')
  }),
)

test(
  'prepOpenat2() makes a file as open_how says',
  needs({ opcode: 'IORING_OP_OPENAT2' }, () => {
    using ring = openRing()
    const path = temporary('openat2')
    const how = keep(openHow({ flags: O_RDWR | O_CREAT, mode: 0o604 }))
    const fd = must(ring, (sqe) => prepOpenat2(sqe, AT_FDCWD, at(path), how.address))
    assert.is(fstatSync(fd).mode & 0o777, 0o604 & ~process.umask())
    closeSync(fd)
  }),
)

test(
  'prepOpenat2() fails where resolve forbids the path',
  needs({ opcode: 'IORING_OP_OPENAT2' }, () => {
    using ring = openRing()
    const path = written('openat2-target', 'x')
    symlinkSync(path, temporary('openat2-link'))
    const noLinks = keep(openHow({ flags: O_RDONLY, resolve: RESOLVE_NO_SYMLINKS }))
    const link = at(temporary('openat2-link'))
    assert.is(
      result(ring, (sqe) => prepOpenat2(sqe, AT_FDCWD, link, noLinks.address)),
      'ELOOP',
    )
    const beneath = keep(openHow({ flags: O_RDONLY, resolve: RESOLVE_BENEATH }))
    assert.is(
      result(ring, (sqe) => prepOpenat2(sqe, AT_FDCWD, at('/etc'), beneath.address)),
      'EXDEV',
    )
    const modeOnly = keep(openHow({ flags: O_RDONLY, mode: 0o600 }))
    assert.is(
      result(ring, (sqe) => prepOpenat2(sqe, AT_FDCWD, at(path), modeOnly.address)),
      'EINVAL',
    )
  }),
)

test(
  'prepOpenat2Direct() fills a registered slot, or fails past the end',
  needs({ opcode: 'IORING_OP_OPENAT2', linux: '5.15' }, () => {
    using ring = openRing()
    registerFiles(ring, [-1, -1])
    const path = at(written('openat2-direct', 'direct'))
    const how = keep(openHow({ flags: O_RDONLY }))
    assert.is(
      must(ring, (sqe) => prepOpenat2Direct(sqe, AT_FDCWD, path, how.address, 1)),
      0,
    )
    assert.is(readDirect(ring, 1), 'direct')
    assert.is(
      result(ring, (sqe) => prepOpenat2Direct(sqe, AT_FDCWD, path, how.address, 2)),
      'EINVAL',
    )
  }),
)

test(
  'prepClose() closes a descriptor, then it is bad',
  needs({ opcode: 'IORING_OP_CLOSE' }, () => {
    using ring = openRing()
    const fd = openSync(written('close', ''), 'r')
    assert.is(
      must(ring, (sqe) => prepClose(sqe, fd)),
      0,
    )
    assert.is(
      result(ring, (sqe) => prepClose(sqe, fd)),
      'EBADF',
    )
  }),
)

test(
  'prepClose() refuses to close the ring itself',
  needs({ opcode: 'IORING_OP_CLOSE' }, () => {
    using ring = openRing()
    assert.is(
      result(ring, (sqe) => prepClose(sqe, ring.fd)),
      'EBADF',
    )
  }),
)

test(
  'prepCloseDirect() frees a slot, then it is bad',
  needs({ opcode: 'IORING_OP_CLOSE', linux: '5.15' }, () => {
    using ring = openRing()
    const fd = openSync(written('close-direct', 'still open'), 'r')
    registerFiles(ring, [-1, fd])
    assert.is(
      must(ring, (sqe) => prepCloseDirect(sqe, 1)),
      0,
    )
    assert.is(
      result(ring, (sqe) => prepCloseDirect(sqe, 1)),
      'EBADF',
    )
    assert.is(
      result(ring, (sqe) => prepCloseDirect(sqe, 2)),
      'EINVAL',
    )
    assert.is(readFileSync(fd, 'utf8'), 'still open', 'the descriptor is another thing')
    closeSync(fd)
  }),
)

test(
  'prepFilesUpdate() sets, skips and empties slots',
  needs({ opcode: 'IORING_OP_FILES_UPDATE' }, () => {
    using ring = openRing()
    const [one, two] = [
      openSync(written('update-one', 'one'), 'r'),
      openSync(written('update-two', 'two'), 'r'),
    ]
    registerFiles(ring, [one, -1, one])
    const fds = keep(Int32Array.of(two, IORING_REGISTER_FILES_SKIP))
    assert.is(
      must(ring, (sqe) => prepFilesUpdate(sqe, addressOf(fds), 2, 1)),
      2,
    )
    assert.equal([readDirect(ring, 0), readDirect(ring, 1), readDirect(ring, 2)], ['one', 'two', 'one'])
    const none = keep(Int32Array.of(-1))
    assert.is(
      must(ring, (sqe) => prepFilesUpdate(sqe, addressOf(none), 1, 0)),
      1,
    )
    const bytes = memory(4)
    const read = result(ring, (sqe) => prepRead(sqe, 0, addressOf(bytes), 4, 0).setFlags(IOSQE_FIXED_FILE))
    assert.is(read, 'EBADF')
    for (const fd of [one, two]) closeSync(fd)
  }),
)

test(
  'prepFilesUpdate() lets the kernel choose slots and writes them down',
  needs({ opcode: 'IORING_OP_FILES_UPDATE', linux: '6.0' }, () => {
    using ring = openRing()
    const fd = openSync(written('update-alloc', 'alloc'), 'r')
    registerFiles(ring, [fd, -1, -1])
    const fds = keep(Int32Array.of(fd, fd))
    assert.is(
      must(ring, (sqe) => prepFilesUpdate(sqe, addressOf(fds), 2, IORING_FILE_INDEX_ALLOC)),
      2,
    )
    assert.equal([...fds].sort(), [1, 2])
    assert.is(readDirect(ring, 2), 'alloc')
    closeSync(fd)
  }),
)

test(
  'prepFilesUpdate() fails without a table, past its end, on a bad descriptor',
  needs({ opcode: 'IORING_OP_FILES_UPDATE' }, () => {
    using ring = openRing()
    const fds = keep(Int32Array.of(9999))
    const update = (offset: number): number | string =>
      result(ring, (sqe) => prepFilesUpdate(sqe, addressOf(fds), 1, offset))
    assert.is(update(0), 'ENXIO')
    registerFiles(ring, [-1])
    assert.is(update(1), 'EINVAL')
    assert.is(update(0), 'EBADF')
  }),
)

test(
  'prepFixedFdInstall() makes a descriptor of a registered file',
  needs({ opcode: 'IORING_OP_FIXED_FD_INSTALL' }, () => {
    using ring = openRing()
    const fd = openSync(written('install', 'content'), 'r')
    registerFiles(ring, [-1, fd])
    closeSync(fd)
    const one = must(ring, (sqe) => prepFixedFdInstall(sqe, 1))
    const two = must(ring, (sqe) => prepFixedFdInstall(sqe, 1, IORING_FIXED_FD_NO_CLOEXEC))
    assert.equal([fcntl(one, F_GETFD, 0), fcntl(two, F_GETFD, 0)], [1, 0])
    assert.is(readFileSync(one, 'utf8'), 'content')
    for (const made of [one, two]) closeSync(made)
  }),
)

test(
  'prepFixedFdInstall() fails on an empty slot and an unknown flag',
  needs({ opcode: 'IORING_OP_FIXED_FD_INSTALL' }, () => {
    using ring = openRing()
    registerFiles(ring, [-1])
    assert.is(
      result(ring, (sqe) => prepFixedFdInstall(sqe, 0)),
      'EBADF',
    )
    assert.is(
      result(ring, (sqe) => prepFixedFdInstall(sqe, 0, 0x80)),
      'EINVAL',
    )
  }),
)

test.run()
