// The table of registered files: allocation, a full table, use after close, moving between the two tables.

import { execFileSync } from 'node:child_process'
import { constants, fstatSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import {
  AF_INET,
  IORING_FEAT_RW_ATTR,
  IORING_REGISTER_FILES_UPDATE,
  IORING_UNREGISTER_FILES,
  kernelCalls,
  SOCK_STREAM,
} from '../../src/ring/index.js'
import { close } from '../../src/syscalls/libc.js'
import { descriptorCount } from '../descriptors.js'
import { assert, needs, test, unmet } from '../harness.js'
import { without } from '../ring/drive.js'
import { pipe, TestRing, temporaryFolder, turns, until } from './fixture.js'
import { openUring } from './open-uring.js'
import '../settled.js'
import { collectGarbage } from '../garbage.js'

const here = needs.bind(null, { ring: true } as const)
const canInstall = unmet({ opcode: 'IORING_OP_FIXED_FD_INSTALL' }) === null
const canMakeSockets = unmet({ opcode: 'IORING_OP_SOCKET' }) === null
const folder = temporaryFolder()
const path = join(folder, 'file')
writeFileSync(path, 'registered file')

for (const explicitSlots of [false, true]) {
  const kind = explicitSlots ? 'explicit slots' : 'slots of the kernel'

  test(
    `files are opened, read, installed and closed in ${kind}`,
    here(async () => {
      await using uring = openUring()
      using table = uring.registerFileTable({ size: 4, explicitSlots })
      assert.is(uring.fileTable, table)
      const before = descriptorCount()
      const file = await table.open(path)
      assert.is(descriptorCount(), before, 'no descriptor is made')
      assert.is(table.used, 1)
      const buffer = Buffer.alloc(32)
      assert.is(await uring.read(file.index, buffer, { fixedFile: true, offset: 11 }), 4)
      assert.is(buffer.toString('utf8', 0, 4), 'file')
      if (canInstall) {
        const fd = await file.install()
        assert.is(readSync(fd, buffer, 0, 10, 0), 10)
        close(fd)
      }
      assert.is(await uring.read(file.index, buffer, { fixedFile: true, offset: 0 }), 15)
      await file.close()
      assert.is(table.used, 0)
      if (canMakeSockets) {
        const socket = await table.socket(AF_INET, SOCK_STREAM)
        await socket.close()
      }
      const descriptor = openSync(path, 'r')
      const added = await table.add(descriptor)
      close(descriptor)
      assert.is(await uring.read(added.index, buffer, { fixedFile: true, offset: 0 }), 15)
      await added.close()
    }),
  )

  test(
    `a full table rejects with ENFILE and has room again after a close, with ${kind}`,
    here(async () => {
      await using uring = openUring()
      const table = uring.registerFileTable({ size: 3, explicitSlots })
      const files = await Promise.all([table.open(path), table.open(path), table.open(path)])
      assert.is(new Set(files.map(({ index }) => index)).size, 3)
      await assert.rejects(table.open(path), { code: 'ENFILE', syscall: 'open', message: /all 3 slots/ })
      await assert.rejects(table.add(0), { code: 'ENFILE', syscall: 'files_update' })
      await files[1]!.close()
      await assert.rejects(table.open(join(folder, 'missing')), { code: 'ENOENT', syscall: 'open' })
      const again = await table.open(path)
      assert.is(again.index, 1)
      assert.is(table.used, 3)
    }),
  )
}

test(
  'a file that was closed is of no use any more',
  here(async () => {
    await using uring = openUring()
    const table = uring.registerFileTable({ size: 4 })
    const file = await table.open(path)
    const { index } = file
    await file.close()
    assert.is(file.closed, true)
    assert.throws(() => file.index, { code: 'EBADF', message: /registered file was closed/ })
    await assert.rejects(file.close(), { code: 'EBADF', syscall: 'close' })
    await assert.rejects(file.install(), { code: 'EBADF' })
    await assert.rejects(uring.read(index, Buffer.alloc(1), { fixedFile: true }), { code: 'EBADF' })
    await file[Symbol.asyncDispose]()
    {
      await using scoped = await table.open(path)
      assert.is(scoped.index, 0)
    }
    assert.is(table.used, 0)
  }),
)

test(
  'a ring has one table; closing it closes its files and makes room for another',
  here(async () => {
    await using uring = openUring()
    const table = uring.registerFileTable({ size: 4 })
    assert.throws(() => uring.registerFileTable(), { code: 'EBUSY', syscall: 'io_uring_register' })
    assert.is(uring.fileTable, table)
    const file = await table.open(path)
    table.close()
    table.close()
    assert.is(uring.fileTable, null)
    assert.is(file.closed, true)
    assert.throws(() => file.index, { code: 'EBADF' })
    await assert.rejects(file.close(), { code: 'EBADF' })
    await assert.rejects(table.open(path), { code: 'ERR_INVALID_STATE', message: /table is closed/ })
    const next = uring.registerFileTable({ size: 8 })
    assert.is((await next.open(path)).index, 0)
  }),
)

test(
  'a table that is closed while one of its files is used is emptied where unregistering would wait for that',
  here(async () => {
    const made: number[] = []
    const calls = without(IORING_FEAT_RW_ATTR, {
      register: (fd, opcode, ...rest) => {
        made.push(opcode)
        return kernelCalls.register(fd, opcode, ...rest)
      },
    })
    await using uring = new TestRing({}, calls)
    const table = uring.registerFileTable({ size: 4 })
    const [readEnd, writeEnd] = pipe()
    const file = await table.add(readEnd)
    const { index } = file
    const buffer = Buffer.alloc(8)
    const reading = uring.read(index, buffer, { fixedFile: true })
    await turns(2)
    made.length = 0
    // One that is on its way meanwhile.
    const opening = table.open(path)
    table.close()
    assert.equal(made, [IORING_REGISTER_FILES_UPDATE])
    assert.equal([table.closed, file.closed, uring.fileTable], [true, true, null])
    assert.is((await opening).closed, true)
    for (const slot of [0, 1, 2, 3]) {
      await assert.rejects(uring.read(slot, Buffer.alloc(1), { fixedFile: true }), { code: 'EBADF' })
    }
    writeSync(writeEnd, 'kept')
    assert.is(await reading, 4)
    made.length = 0
    const next = uring.registerFileTable({ size: 8 })
    assert.is(made[0], IORING_UNREGISTER_FILES)
    await (await next.open(path)).close()
    // Nothing is in flight now.
    made.length = 0
    next.close()
    assert.equal(made, [IORING_UNREGISTER_FILES])
    close(readEnd)
    close(writeEnd)
  }),
)

test(
  'adopt() takes charge of a slot that an operation filled',
  needs({ opcode: 'IORING_OP_FIXED_FD_INSTALL' }, async () => {
    await using uring = openUring()
    const table = uring.registerFileTable({ size: 4 })
    const index = await uring.open(path, { direct: true })
    const file = table.adopt(index)
    const fd = await file.install()
    assert.is(fstatSync(fd).size, 15)
    close(fd)
    await file.close()
    assert.throws(() => table.adopt(4), { code: 'ERR_OUT_OF_RANGE' })
  }),
)

test(
  'a table of a closed ring is closed, and so are its files',
  here(async () => {
    const uring = openUring()
    const table = uring.registerFileTable({ size: 4 })
    const file = await table.open(path)
    await uring.close()
    assert.equal([table.closed, file.closed, uring.fileTable], [true, true, null])
    await assert.rejects(file.close(), { code: 'EBADF' })
    await assert.rejects(table.open(path), { code: 'ERR_INVALID_STATE' })
    await file[Symbol.asyncDispose]()
    table.close()
    assert.throws(() => uring.registerFileTable(), { code: 'EBADF' })
  }),
)

test(
  'a file that nobody holds any more is closed with a warning',
  here(async () => {
    await using uring = openUring()
    const table = uring.registerFileTable({ size: 1 })
    await table.open(path)
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve))
    await until(() => {
      collectGarbage()
      return table.used === 0
    }, 'the collection')
    assert.match((await warned).message, 'Closing registered file 0 on garbage collection')
    await (await table.open(path)).close()
  }),
)

test(
  'bad options throw',
  here(async () => {
    await using uring = openUring()
    for (const options of [{ size: 0 }, { size: 2 ** 20 + 1 }, { size: 1.5 }]) {
      assert.throws(() => uring.registerFileTable(options), { code: 'ERR_OUT_OF_RANGE' })
    }
    assert.throws(() => uring.registerFileTable({ slots: 1 } as never), { code: 'ERR_INVALID_ARG_VALUE' })
    const table = uring.registerFileTable({ size: 2, explicitSlots: true })
    assert.throws(() => table.adopt(0), { code: 'ERR_INVALID_STATE' })
    assert.throws(() => table.add(-2), { code: 'ERR_OUT_OF_RANGE' })
    await assert.rejects(table.add(999_999), { code: 'EBADF', syscall: 'files_update' })
    assert.is(table.used, 0)
  }),
)

test(
  'a table is not replaced while something is being opened into it',
  needs({ ring: true, command: 'mkfifo' }, async () => {
    const fifo = join(folder, 'fifo')
    execFileSync('mkfifo', [fifo])
    for (const explicitSlots of [false, true]) {
      await using uring = openUring()
      const table = uring.registerFileTable({ size: 2, explicitSlots })
      // Opening waits for a writer.
      const opening = table.open(fifo, { async: true })
      await turns(3)
      table.close()
      assert.throws(() => uring.registerFileTable({ size: 2 }), {
        code: 'EBUSY',
        syscall: 'io_uring_register',
      })
      const writer = openSync(fifo, constants.O_RDWR)
      await opening.catch(() => null)
      using next = uring.registerFileTable({ size: 2, explicitSlots })
      const file = await next.open(path)
      const buffer = Buffer.alloc(4)
      assert.is(await uring.read(file.index, buffer, { fixedFile: true, offset: 11 }), 4)
      assert.is(String(buffer), 'file')
      assert.is(next.used, 1)
      close(writer)
    }
  }),
)

test.run()
