import { closeSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import {
  prepFadvise,
  prepFadvise64,
  prepFallocate,
  prepFsync,
  prepFtruncate,
  prepMadvise,
  prepMadvise64,
  prepPipe,
  prepSyncFileRange,
  setFsyncRange,
} from '../../../src/ring/prep/index.js'
import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  IORING_FSYNC_DATASYNC,
  MADV_DONTNEED,
  POSIX_FADV_DONTNEED,
  SYNC_FILE_RANGE_WAIT_AFTER,
  SYNC_FILE_RANGE_WAIT_BEFORE,
  SYNC_FILE_RANGE_WRITE,
} from '../../../src/syscalls/abi/index.js'
import { addressOf, MappedRegion } from '../../../src/syscalls/memory.js'
import { assert, needs, test } from '../../harness.js'
import { closeAll, keep, must, openRing, result, temporary } from './fixture.js'

const SYNC_FILE_RANGE_ALL = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER
const NO_SUCH_ADVICE = 99

function file(name: string, content: string): { fd: number; path: string; [Symbol.dispose](): void } {
  const path = temporary(name)
  writeFileSync(path, content)
  const fd = openSync(path, 'r+')
  return { fd, path, [Symbol.dispose]: () => closeSync(fd) }
}

test(
  'prepFsync() flushes, whole, data only or a part',
  needs({ opcode: 'IORING_OP_FSYNC' }, () => {
    using ring = openRing()
    using target = file('fsync', 'content')
    assert.is(
      must(ring, (sqe) => prepFsync(sqe, target.fd)),
      0,
    )
    assert.is(
      must(ring, (sqe) => prepFsync(sqe, target.fd, IORING_FSYNC_DATASYNC)),
      0,
    )
    assert.is(
      must(ring, (sqe) => setFsyncRange(prepFsync(sqe, target.fd), 2, 3)),
      0,
    )
  }),
)

test(
  'prepFsync() fails on an unknown flag and a bad descriptor',
  needs({ opcode: 'IORING_OP_FSYNC' }, () => {
    using ring = openRing()
    using target = file('fsync-fail', 'content')
    assert.is(
      result(ring, (sqe) => prepFsync(sqe, target.fd, 0x80)),
      'EINVAL',
    )
    assert.is(
      result(ring, (sqe) => prepFsync(sqe, -1)),
      'EBADF',
    )
  }),
)

test(
  'prepSyncFileRange() writes a range out',
  needs({ opcode: 'IORING_OP_SYNC_FILE_RANGE' }, () => {
    using ring = openRing()
    using target = file('sync-range', 'content')
    assert.is(
      must(ring, (sqe) => prepSyncFileRange(sqe, target.fd, 4, 2, SYNC_FILE_RANGE_ALL)),
      0,
    )
  }),
)

test(
  'prepSyncFileRange() fails on an unknown flag',
  needs({ opcode: 'IORING_OP_SYNC_FILE_RANGE' }, () => {
    using ring = openRing()
    using target = file('sync-range-fail', 'content')
    assert.is(
      result(ring, (sqe) => prepSyncFileRange(sqe, target.fd, 4, 0, 0x80)),
      'EINVAL',
    )
  }),
)

test(
  'prepFallocate() extends a file and punches a hole',
  needs({ opcode: 'IORING_OP_FALLOCATE' }, () => {
    using ring = openRing()
    using target = file('fallocate', 'content')
    assert.is(
      must(ring, (sqe) => prepFallocate(sqe, target.fd, 0, 0, 8192)),
      0,
    )
    assert.is(statSync(target.path).size, 8192)
    const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
    assert.is(
      must(ring, (sqe) => prepFallocate(sqe, target.fd, mode, 2, 3n)),
      0,
    )
    assert.is(readFileSync(target.path, 'utf8').slice(0, 7), 'co\0\0\0nt')
  }),
)

test(
  'prepFallocate() fails on an empty range and beyond the largest file',
  needs({ opcode: 'IORING_OP_FALLOCATE' }, () => {
    using ring = openRing()
    using target = file('fallocate-fail', 'content')
    assert.is(
      result(ring, (sqe) => prepFallocate(sqe, target.fd, 0, 0, 0)),
      'EINVAL',
    )
    assert.is(
      result(ring, (sqe) => prepFallocate(sqe, target.fd, 0, 2n ** 63n - 1n, 1)),
      'EFBIG',
    )
  }),
)

test(
  'prepFtruncate() shortens and lengthens',
  needs({ opcode: 'IORING_OP_FTRUNCATE' }, () => {
    using ring = openRing()
    using target = file('ftruncate', 'content')
    must(ring, (sqe) => prepFtruncate(sqe, target.fd, 3))
    assert.is(readFileSync(target.path, 'utf8'), 'con')
    must(ring, (sqe) => prepFtruncate(sqe, target.fd, 2 ** 32 + 1))
    assert.is(statSync(target.path).size, 2 ** 32 + 1)
    must(ring, (sqe) => prepFtruncate(sqe, target.fd, 5n))
    assert.is(readFileSync(target.path, 'utf8'), 'con\0\0')
  }),
)

test(
  'prepFtruncate() fails on a descriptor open for reading',
  needs({ opcode: 'IORING_OP_FTRUNCATE' }, () => {
    using ring = openRing()
    using target = file('ftruncate-fail', 'content')
    const readOnly = openSync(target.path, 'r')
    assert.is(
      result(ring, (sqe) => prepFtruncate(sqe, readOnly, 0)),
      'EINVAL',
    )
    assert.is(readFileSync(target.path, 'utf8'), 'content')
    closeSync(readOnly)
  }),
)

test(
  'prepFadvise() and prepFadvise64() are taken',
  needs({ opcode: 'IORING_OP_FADVISE', linux: '6.11' }, () => {
    using ring = openRing()
    using target = file('fadvise', 'content')
    assert.is(
      must(ring, (sqe) => prepFadvise(sqe, target.fd, 0, 4096, POSIX_FADV_DONTNEED)),
      0,
    )
    assert.is(
      must(ring, (sqe) => prepFadvise64(sqe, target.fd, 0, 2 ** 34, POSIX_FADV_DONTNEED)),
      0,
    )
  }),
)

test(
  'prepFadvise() fails on unknown advice and on a pipe',
  needs({ opcode: 'IORING_OP_FADVISE', linux: '6.16' }, () => {
    using ring = openRing()
    using target = file('fadvise-fail', 'content')
    assert.is(
      result(ring, (sqe) => prepFadvise(sqe, target.fd, 0, 0, NO_SUCH_ADVICE)),
      'EINVAL',
    )
    assert.is(
      result(ring, (sqe) => prepFadvise64(sqe, target.fd, 0, 0, NO_SUCH_ADVICE)),
      'EINVAL',
    )
    const fds = keep(new Int32Array(2))
    must(ring, (sqe) => prepPipe(sqe, addressOf(fds)))
    assert.is(
      result(ring, (sqe) => prepFadvise(sqe, fds[0]!, 0, 0, POSIX_FADV_DONTNEED)),
      'ESPIPE',
    )
    closeAll(...fds)
  }),
)

test(
  'prepMadvise() and prepMadvise64() discard the pages they name',
  needs({ opcode: 'IORING_OP_MADVISE', linux: '6.11' }, () => {
    using ring = openRing()
    // Memory of its own: discarding a page of the JavaScript heap would be the end of this process.
    using region = MappedRegion.anonymous(8192)
    const bytes = new Uint8Array(region.buffer)
    bytes.fill(1)
    assert.is(
      must(ring, (sqe) => prepMadvise(sqe, region.address, 4096, MADV_DONTNEED)),
      0,
    )
    assert.equal([bytes[0], bytes[4095], bytes[4096]], [0, 0, 1])
    assert.is(
      must(ring, (sqe) => prepMadvise64(sqe, region.address + 4096, 4096, MADV_DONTNEED)),
      0,
    )
    assert.equal([bytes[4096], bytes[8191]], [0, 0])
  }),
)

test(
  'prepMadvise() fails on an address that is not aligned, prepMadvise64() on unknown advice',
  needs({ opcode: 'IORING_OP_MADVISE', linux: '6.11' }, () => {
    using ring = openRing()
    using region = MappedRegion.anonymous(4096)
    assert.is(
      result(ring, (sqe) => prepMadvise(sqe, region.address + 1, 1, MADV_DONTNEED)),
      'EINVAL',
    )
    assert.is(
      result(ring, (sqe) => prepMadvise64(sqe, region.address, 4096, NO_SUCH_ADVICE)),
      'EINVAL',
    )
  }),
)

test.run()
