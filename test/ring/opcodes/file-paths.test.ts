import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { StatxResult } from '../../../src/ring/memory/index.js'
import {
  prepLink,
  prepLinkat,
  prepMkdir,
  prepMkdirat,
  prepRename,
  prepRenameat,
  prepStatx,
  prepSymlink,
  prepSymlinkat,
  prepUnlink,
  prepUnlinkat,
} from '../../../src/ring/prep/index.js'
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  S_IFLNK,
  S_IFMT,
  STATX_BASIC_STATS,
  STATX_BTIME,
} from '../../../src/syscalls/abi/index.js'
import { assert, needs, test } from '../../harness.js'
import { at, keep, must, openRing, result, temporary } from './fixture.js'

function written(name: string, content = ''): string {
  const path = temporary(name)
  writeFileSync(path, content)
  return path
}

function folder(name: string): { fd: number; [Symbol.dispose](): void } {
  mkdirSync(temporary(name))
  const fd = openSync(temporary(name), 'r')
  return { fd, [Symbol.dispose]: () => closeSync(fd) }
}

test(
  'prepStatx() says what node:fs says',
  needs({ opcode: 'IORING_OP_STATX' }, () => {
    using ring = openRing()
    const path = written('statx', 'content')
    const answer = keep(new StatxResult())
    const mask = STATX_BASIC_STATS | STATX_BTIME
    assert.is(
      must(ring, (sqe) => prepStatx(sqe, AT_FDCWD, at(path), 0, mask, answer.address)),
      0,
    )
    const expected = statSync(path, { bigint: true })
    const fields = answer.read()
    assert.is(fields.mask & STATX_BASIC_STATS, STATX_BASIC_STATS)
    assert.is(fields.size, 7)
    assert.is(answer.inode, expected.ino)
    assert.is(BigInt(fields.mode), expected.mode)
    assert.is(BigInt(fields.nlink), expected.nlink)
    assert.is(BigInt(fields.blocks), expected.blocks)
    assert.is(fields.mtimeNs, expected.mtimeNs)
    assert.is(fields.ctimeNs, expected.ctimeNs)
    assert.is(fields.btimeNs, expected.birthtimeNs)
  }),
)

test(
  'prepStatx() takes a descriptor with AT_EMPTY_PATH, and a link itself',
  needs({ opcode: 'IORING_OP_STATX' }, () => {
    using ring = openRing()
    const path = written('statx-flags', 'four')
    symlinkSync(path, temporary('statx-link'))
    const fd = openSync(path, 'r')
    const answer = keep(new StatxResult())
    must(ring, (sqe) => prepStatx(sqe, fd, at(''), AT_EMPTY_PATH, STATX_BASIC_STATS, answer.address))
    assert.is(answer.read().size, 4)
    const link = at(temporary('statx-link'))
    must(ring, (sqe) =>
      prepStatx(sqe, AT_FDCWD, link, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, answer.address),
    )
    assert.is(answer.read().mode & S_IFMT, S_IFLNK)
    closeSync(fd)
  }),
)

test(
  'prepStatx() fails on a missing file and on bad memory',
  needs({ opcode: 'IORING_OP_STATX' }, () => {
    using ring = openRing()
    const answer = keep(new StatxResult())
    const missing = at(temporary('statx-missing'))
    assert.is(
      result(ring, (sqe) => prepStatx(sqe, AT_FDCWD, missing, 0, 1, answer.address)),
      'ENOENT',
    )
    assert.is(
      result(ring, (sqe) => prepStatx(sqe, AT_FDCWD, at('/'), 0, 1, 4096)),
      'EFAULT',
    )
  }),
)

test(
  'prepUnlink() and prepUnlinkat() remove a file and a directory',
  needs({ opcode: 'IORING_OP_UNLINKAT' }, () => {
    using ring = openRing()
    using parent = folder('unlink')
    const path = written('unlink/file')
    mkdirSync(temporary('unlink/sub'))
    assert.is(
      must(ring, (sqe) => prepUnlink(sqe, at(path))),
      0,
    )
    assert.is(
      must(ring, (sqe) => prepUnlinkat(sqe, parent.fd, at('sub'), AT_REMOVEDIR)),
      0,
    )
    assert.equal([existsSync(path), existsSync(temporary('unlink/sub'))], [false, false])
  }),
)

test(
  'prepUnlinkat() fails on a missing file, a directory, a full directory',
  needs({ opcode: 'IORING_OP_UNLINKAT' }, () => {
    using ring = openRing()
    using parent = folder('unlink-fail')
    written('unlink-fail/file')
    assert.is(
      result(ring, (sqe) => prepUnlinkat(sqe, parent.fd, at('missing'))),
      'ENOENT',
    )
    const path = at(temporary('unlink-fail'))
    assert.is(
      result(ring, (sqe) => prepUnlink(sqe, path)),
      'EISDIR',
    )
    assert.is(
      result(ring, (sqe) => prepUnlink(sqe, path, AT_REMOVEDIR)),
      'ENOTEMPTY',
    )
    assert.is(
      result(ring, (sqe) => prepUnlink(sqe, path, 1)),
      'EINVAL',
    )
  }),
)

test(
  'prepRename() and prepRenameat() rename, move and exchange',
  needs({ opcode: 'IORING_OP_RENAMEAT' }, () => {
    using ring = openRing()
    using from = folder('rename-from')
    using to = folder('rename-to')
    const path = written('rename-from/one', 'one')
    must(ring, (sqe) => prepRename(sqe, at(path), at(temporary('rename-from/two'))))
    must(ring, (sqe) => prepRenameat(sqe, from.fd, at('two'), to.fd, at('three')))
    assert.is(readFileSync(temporary('rename-to/three'), 'utf8'), 'one')
    written('rename-from/four', 'four')
    must(ring, (sqe) => prepRenameat(sqe, from.fd, at('four'), to.fd, at('three'), RENAME_EXCHANGE))
    assert.is(readFileSync(temporary('rename-to/three'), 'utf8'), 'four')
    assert.is(readFileSync(temporary('rename-from/four'), 'utf8'), 'one')
  }),
)

test(
  'prepRenameat() fails on a missing file and on a taken name',
  needs({ opcode: 'IORING_OP_RENAMEAT' }, () => {
    using ring = openRing()
    const [one, two] = [at(written('rename-one', '1')), at(written('rename-two', '2'))]
    assert.is(
      result(ring, (sqe) => prepRename(sqe, at(temporary('rename-missing')), one)),
      'ENOENT',
    )
    const flags = RENAME_NOREPLACE
    assert.is(
      result(ring, (sqe) => prepRenameat(sqe, AT_FDCWD, one, AT_FDCWD, two, flags)),
      'EEXIST',
    )
  }),
)

test(
  'prepMkdir() and prepMkdirat() make directories with their mode',
  needs({ opcode: 'IORING_OP_MKDIRAT' }, () => {
    using ring = openRing()
    must(ring, (sqe) => prepMkdir(sqe, at(temporary('mkdir')), 0o750))
    assert.is(statSync(temporary('mkdir')).mode & 0o777, 0o750 & ~process.umask())
    const parent = openSync(temporary('mkdir'), 'r')
    must(ring, (sqe) => prepMkdirat(sqe, parent, at('sub'), 0o700))
    assert.ok(statSync(temporary('mkdir/sub')).isDirectory())
    closeSync(parent)
  }),
)

test(
  'prepMkdir() fails on a taken name and a missing parent',
  needs({ opcode: 'IORING_OP_MKDIRAT' }, () => {
    using ring = openRing()
    assert.is(
      result(ring, (sqe) => prepMkdir(sqe, at(written('mkdir-taken')), 0o700)),
      'EEXIST',
    )
    assert.is(
      result(ring, (sqe) => prepMkdirat(sqe, AT_FDCWD, at(temporary('none/sub')), 0o700)),
      'ENOENT',
    )
  }),
)

test(
  'prepSymlink() and prepSymlinkat() make links to what need not exist',
  needs({ opcode: 'IORING_OP_SYMLINKAT' }, () => {
    using ring = openRing()
    using parent = folder('symlink')
    must(ring, (sqe) => prepSymlink(sqe, at('nowhere'), at(temporary('symlink/one'))))
    must(ring, (sqe) => prepSymlinkat(sqe, at('/else/where'), parent.fd, at('two')))
    assert.is(readlinkSync(temporary('symlink/one')), 'nowhere')
    assert.is(readlinkSync(temporary('symlink/two')), '/else/where')
  }),
)

test(
  'prepSymlink() fails on a taken name and an empty target',
  needs({ opcode: 'IORING_OP_SYMLINKAT' }, () => {
    using ring = openRing()
    assert.is(
      result(ring, (sqe) => prepSymlink(sqe, at('x'), at(written('symlink-taken')))),
      'EEXIST',
    )
    assert.is(
      result(ring, (sqe) => prepSymlinkat(sqe, at(''), AT_FDCWD, at(temporary('symlink-empty')))),
      'ENOENT',
    )
  }),
)

test(
  'prepLink() and prepLinkat() give a file further names',
  needs({ opcode: 'IORING_OP_LINKAT' }, () => {
    using ring = openRing()
    using parent = folder('link')
    const path = written('link/one', 'content')
    must(ring, (sqe) => prepLink(sqe, at(path), at(temporary('link/two'))))
    must(ring, (sqe) => prepLinkat(sqe, parent.fd, at('two'), parent.fd, at('three')))
    assert.is(statSync(path).nlink, 3)
    symlinkSync(path, temporary('link/symbolic'))
    const symbolic = at(temporary('link/symbolic'))
    must(ring, (sqe) => prepLinkat(sqe, AT_FDCWD, symbolic, parent.fd, at('four'), AT_SYMLINK_FOLLOW))
    assert.is(statSync(path).nlink, 4)
  }),
)

test(
  'prepLink() fails on a taken name and on a directory',
  needs({ opcode: 'IORING_OP_LINKAT' }, () => {
    using ring = openRing()
    const [one, two] = [at(written('link-one')), at(written('link-two'))]
    assert.is(
      result(ring, (sqe) => prepLink(sqe, one, two)),
      'EEXIST',
    )
    assert.is(
      result(ring, (sqe) => prepLink(sqe, at('/'), at(temporary('link-root')))),
      'EPERM',
    )
  }),
)

test.run()
