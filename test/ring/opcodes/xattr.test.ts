import { closeSync, openSync, writeFileSync } from 'node:fs'
import { prepFgetxattr, prepFsetxattr, prepGetxattr, prepSetxattr } from '../../../src/ring/prep/index.js'
import type { Ring } from '../../../src/ring/ring.js'
import type { OpcodeName } from '../../../src/syscalls/abi/index.js'
import { XATTR_CREATE, XATTR_REPLACE } from '../../../src/syscalls/abi/index.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { assert, needs, type Requirements, test } from '../../harness.js'
import { at, memory, must, openRing, result, temporary, text } from './fixture.js'

const NAME = at('user.uring')

function setByPath(ring: Ring, path: string, value: string, flags = 0): number | string {
  const bytes = memory(value)
  return result(ring, (sqe) => prepSetxattr(sqe, NAME, addressOf(bytes), at(path), flags, bytes.byteLength))
}

function setByFd(ring: Ring, fd: number, value: string, flags = 0): number | string {
  const bytes = memory(value)
  return result(ring, (sqe) => prepFsetxattr(sqe, fd, NAME, addressOf(bytes), flags, bytes.byteLength))
}

function written(name: string): string {
  const path = temporary(name)
  writeFileSync(path, '')
  return path
}

// The file system of temporary files may have no user attributes (tmpfs before Linux 6.6).
function attributes(opcode: OpcodeName): Requirements {
  const when = (): true | string => {
    using ring = openRing()
    const outcome = setByPath(ring, written('xattr-probe'), 'x')
    return outcome === 0 || `needs extended attributes on temporary files, which end in ${outcome}`
  }
  return { opcode, when }
}

test(
  'prepSetxattr() writes, prepGetxattr() reads by path',
  needs(attributes('IORING_OP_SETXATTR'), () => {
    using ring = openRing()
    const path = written('xattr-path')
    assert.is(setByPath(ring, path, 'by path'), 0)
    const bytes = memory(32)
    assert.is(
      must(ring, (sqe) => prepGetxattr(sqe, NAME, addressOf(bytes), at(path), 32)),
      7,
    )
    assert.is(text(bytes, 7), 'by path')
    assert.is(
      must(ring, (sqe) => prepGetxattr(sqe, NAME, 0, at(path), 0)),
      7,
      'the size alone',
    )
  }),
)

test(
  'prepSetxattr() fails on a missing file, and as its flags say',
  needs(attributes('IORING_OP_SETXATTR'), () => {
    using ring = openRing()
    const path = written('xattr-set-fail')
    assert.is(setByPath(ring, temporary('xattr-missing'), 'x'), 'ENOENT')
    assert.is(setByPath(ring, path, 'x', XATTR_REPLACE), 'ENODATA')
    assert.is(setByPath(ring, path, 'x', XATTR_CREATE), 0)
    assert.is(setByPath(ring, path, 'x', XATTR_CREATE), 'EEXIST')
    assert.is(setByPath(ring, path, 'x', 0x80), 'EINVAL')
  }),
)

test(
  'prepGetxattr() fails without such an attribute, and with too little room',
  needs(attributes('IORING_OP_GETXATTR'), () => {
    using ring = openRing()
    const path = written('xattr-get-fail')
    const bytes = memory(4)
    const get = (): number | string =>
      result(ring, (sqe) => prepGetxattr(sqe, NAME, addressOf(bytes), at(path), 4))
    assert.is(get(), 'ENODATA')
    setByPath(ring, path, 'too long')
    assert.is(get(), 'ERANGE')
  }),
)

test(
  'prepFsetxattr() writes, prepFgetxattr() reads an open file',
  needs(attributes('IORING_OP_FSETXATTR'), () => {
    using ring = openRing()
    const fd = openSync(written('xattr-fd'), 'r+')
    assert.is(setByFd(ring, fd, 'by descriptor'), 0)
    const bytes = memory(32)
    assert.is(
      must(ring, (sqe) => prepFgetxattr(sqe, fd, NAME, addressOf(bytes), 32)),
      13,
    )
    assert.is(text(bytes, 13), 'by descriptor')
    closeSync(fd)
  }),
)

test(
  'prepFsetxattr() fails on a bad descriptor, and as its flags say',
  needs(attributes('IORING_OP_FSETXATTR'), () => {
    using ring = openRing()
    const fd = openSync(written('xattr-fset-fail'), 'r+')
    assert.is(setByFd(ring, -1, 'x'), 'EBADF')
    assert.is(setByFd(ring, fd, 'x', XATTR_REPLACE), 'ENODATA')
    closeSync(fd)
  }),
)

test(
  'prepFgetxattr() fails without such an attribute, and on a name of no namespace',
  needs(attributes('IORING_OP_FGETXATTR'), () => {
    using ring = openRing()
    const fd = openSync(written('xattr-fget-fail'), 'r')
    const bytes = memory(4)
    const get = (name: number): number | string =>
      result(ring, (sqe) => prepFgetxattr(sqe, fd, name, addressOf(bytes), 4))
    assert.is(get(NAME), 'ENODATA')
    assert.is(get(at('nowhere')), 'ENOTSUP')
    closeSync(fd)
  }),
)

test.run()
