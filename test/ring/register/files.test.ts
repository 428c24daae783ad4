import { closeSync, writeFileSync } from 'node:fs'
import { prepOpenDirect, prepRead } from '../../../src/ring/prep/index.js'
import {
  registerFileAllocRange,
  registerFiles,
  registerFilesSparse,
  registerFilesUpdate,
  registerFilesUpdateTag,
  unregisterFiles,
} from '../../../src/ring/register/index.js'
import { Ring } from '../../../src/ring/ring.js'
import {
  IORING_FILE_INDEX_ALLOC,
  IORING_REGISTER_FILES,
  IORING_REGISTER_FILES_SKIP,
  IOSQE_FIXED_FILE,
} from '../../../src/syscalls/abi/index.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { assert, kernelIsAtLeast, needs, test } from '../../harness.js'
import { changingLength, countingRegister, nextSqe, openPipe, spied } from '../drive.js'
import { completions, fileWith, isQuiet, memory, result, temporary, text } from './fixture.js'

const SYSCALL = 'io_uring_register'

function readSlot(ring: Ring, slot: number): number | string {
  const target = memory(16)
  const length = result(ring, (sqe) =>
    prepRead(sqe, slot, addressOf(target), 16, 0).addFlags(IOSQE_FIXED_FILE),
  )
  return typeof length === 'number' ? text(target, length) : length
}

test(
  'registerFiles() makes slots that IOSQE_FIXED_FILE reads, also after the descriptor is closed',
  needs({ ring: true }, () => {
    using ring = Ring.open({ entries: 8 })
    const file = fileWith('one')
    using other = fileWith('two')
    registerFiles(ring, [file.fd, -1, other.fd])
    file[Symbol.dispose]()
    assert.equal([readSlot(ring, 0), readSlot(ring, 1), readSlot(ring, 2)], ['one', 'EBADF', 'two'])
    assert.is(readSlot(ring, 3), 'EBADF')
    unregisterFiles(ring)
    assert.is(readSlot(ring, 0), 'EBADF')
  }),
)

test(
  'registerFiles() throws EBUSY when there is a table, EBADF for what is no open file',
  needs({ ring: true }, () => {
    using ring = Ring.open({ entries: 8 })
    using file = fileWith('x')
    assert.throws(() => registerFiles(ring, [file.fd, 1_000_000]), { code: 'EBADF', syscall: SYSCALL })
    assert.throws(() => registerFiles(ring, [ring.fd]), { code: 'EBADF', message: /a ring cannot/ })
    assert.throws(() => unregisterFiles(ring), { code: 'ENXIO', message: /no files are/ })
    registerFiles(ring, [file.fd])
    assert.throws(() => registerFiles(ring, [file.fd]), { code: 'EBUSY', message: /unregister them/ })
  }),
)

test(
  'registerFiles() names RLIMIT_NOFILE when the kernel answers EMFILE',
  needs({ ring: true }, () => {
    using ring = Ring.open({ entries: 8 }, spied({ register: () => -24 }))
    assert.throws(() => registerFiles(ring, [0]), {
      code: 'EMFILE',
      message: /RLIMIT_NOFILE, which is (\d+|unlimited)/,
    })
  }),
)

test(
  'registration of files refuses bad arguments before the kernel is asked',
  needs({ ring: true }, () => {
    const calls = spied()
    using ring = Ring.open({ entries: 8 }, calls)
    const before = calls.counts.register
    const type = { code: 'ERR_INVALID_ARG_TYPE' }
    const range = { code: 'ERR_OUT_OF_RANGE' }
    const value = { code: 'ERR_INVALID_ARG_VALUE' }
    assert.throws(() => registerFiles(ring, 3 as never), type)
    assert.throws(() => registerFiles(ring, []), range)
    assert.throws(() => registerFiles(ring, [-2]), range)
    assert.throws(() => registerFiles(ring, [1.5]), range)
    assert.throws(() => registerFiles(ring, ['0' as never]), type)
    assert.throws(() => registerFiles(ring, [0], { tags: [1, 2] }), range)
    assert.throws(() => registerFiles(ring, [-1], { tags: [1] }), value)
    assert.throws(() => registerFiles(ring, [0], { tag: [1] } as never), value)
    assert.throws(() => registerFilesSparse(ring, 2 ** 20 + 1), range)
    assert.throws(() => registerFilesUpdate(ring, -1, [0]), range)
    assert.throws(() => registerFilesUpdate(ring, 0, [-3]), range)
    assert.throws(() => registerFilesUpdateTag(ring, 0, [IORING_REGISTER_FILES_SKIP], [1]), value)
    assert.throws(() => registerFileAllocRange(ring, 0, -1), range)
    assert.is(calls.counts.register, before)
  }),
)

test(
  'registerFilesUpdate() fills, skips and empties slots, and says how many',
  needs({ linux: '5.19' }, () => {
    using ring = Ring.open({ entries: 8 })
    using one = fileWith('one')
    using two = fileWith('two')
    registerFilesSparse(ring, 4)
    assert.is(readSlot(ring, 0), 'EBADF')
    assert.is(registerFilesUpdate(ring, 1, [one.fd, two.fd]), 2)
    assert.equal([readSlot(ring, 0), readSlot(ring, 1), readSlot(ring, 2)], ['EBADF', 'one', 'two'])
    assert.is(registerFilesUpdate(ring, 1, [IORING_REGISTER_FILES_SKIP, -1, one.fd]), 3)
    assert.equal([readSlot(ring, 1), readSlot(ring, 2), readSlot(ring, 3)], ['one', 'EBADF', 'one'])
    // The second descriptor is refused: the first was replaced.
    assert.is(registerFilesUpdate(ring, 1, [two.fd, 1_000_000]), 1)
    assert.is(readSlot(ring, 1), 'two')
    assert.throws(() => registerFilesUpdate(ring, 1, [1_000_000]), { code: 'EBADF' })
    assert.throws(() => registerFilesUpdate(ring, 3, [one.fd, two.fd]), { code: 'EINVAL' })
  }),
)

test(
  'registerFilesUpdate() throws ENXIO without a table',
  needs({ linux: '5.5' }, () => {
    using ring = Ring.open({ entries: 8 })
    assert.throws(() => registerFilesUpdate(ring, 0, [0]), { code: 'ENXIO', syscall: SYSCALL })
  }),
)

test(
  'the tag of a file comes back once the file is replaced, and once it is unregistered',
  needs({ linux: '5.13' }, () => {
    using ring = Ring.open({ entries: 8 })
    using one = fileWith('one')
    using two = fileWith('two')
    registerFiles(ring, [one.fd, one.fd, -1], { tags: [1, 0x1_0000_0002, 0] })
    assert.is(registerFilesUpdateTag(ring, 0, [two.fd, IORING_REGISTER_FILES_SKIP], [3, 0]), 2)
    assert.equal(completions(ring, 1), [{ low: 1, high: 0, res: 0, flags: 0 }])
    assert.equal([readSlot(ring, 0), readSlot(ring, 1)], ['two', 'one'])
    unregisterFiles(ring)
    // Before that only a file that is replaced has its tag posted.
    if (!kernelIsAtLeast('6.13')) {
      assert.ok(isQuiet(ring))
      return
    }
    const last = completions(ring, 2).sort((a, b) => a.low - b.low)
    assert.equal(last, [
      { low: 2, high: 1, res: 0, flags: 0 },
      { low: 3, high: 0, res: 0, flags: 0 },
    ])
  }),
)

test(
  'the tag of a file waits for the operation that uses it',
  needs({ linux: '5.13' }, () => {
    using ring = Ring.open({ entries: 8 })
    const pipe = openPipe()
    const target = memory(8)
    registerFiles(ring, [pipe.readEnd], { tags: [50] })
    prepRead(nextSqe(ring), 0, addressOf(target), 8, -1).addFlags(IOSQE_FIXED_FILE).setUserData(1)
    ring.submit()
    registerFilesUpdate(ring, 0, [-1])
    assert.ok(isQuiet(ring))
    closeSync(pipe.writeEnd)
    assert.equal(
      completions(ring, 2).map(({ low }) => low),
      [1, 50],
    )
    closeSync(pipe.readEnd)
  }),
)

test(
  'registerFileAllocRange() bounds where the kernel puts files that it opens',
  needs({ linux: '6.0' }, () => {
    using ring = Ring.open({ entries: 8 })
    const path = temporary('allocated')
    writeFileSync(path, 'here')
    const name = memory(path.length + 1)
    name.set(Buffer.from(path))
    const open = (): number | string =>
      result(ring, (sqe) => prepOpenDirect(sqe, addressOf(name), 0, 0, IORING_FILE_INDEX_ALLOC))
    assert.throws(() => registerFileAllocRange(ring, 0, 1), { code: 'EINVAL', message: /past the table/ })
    registerFilesSparse(ring, 8)
    registerFileAllocRange(ring, 5, 2)
    assert.equal([open(), open(), open()], [5, 6, 'ENFILE'])
    assert.is(readSlot(ring, 6), 'here')
    registerFileAllocRange(ring, 0, 1)
    assert.equal([open(), open()], [0, 'ENFILE'])
    assert.throws(() => registerFileAllocRange(ring, 7, 2), { code: 'EINVAL' })
  }),
)

test(
  'registerFilesSparse() throws EBUSY when there is a table',
  needs({ linux: '5.19' }, () => {
    using ring = Ring.open({ entries: 8 })
    registerFilesSparse(ring, 16)
    assert.is(readSlot(ring, 15), 'EBADF')
    assert.throws(() => registerFilesSparse(ring, 16), { code: 'EBUSY', syscall: SYSCALL })
  }),
)

test(
  'an array that grows while it is read: the kernel is told of as many files as there is memory for',
  needs({ ring: true }, () => {
    const { calls, counts } = countingRegister(IORING_REGISTER_FILES)
    using ring = Ring.open({ entries: 8 }, calls)
    const growing = changingLength([-1, -1, -1], [1, 1, 3, 3, 3, 3])
    registerFiles(ring, growing)
    assert.equal(counts, [1])
    unregisterFiles(ring)
  }),
)

test.run()
