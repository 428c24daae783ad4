// The public face: opening, defaults, what a ring reports, the shared ring and its absence, and the operations on paths,
// descriptors and other things.

import { spawn } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import fs from 'node:fs'
import { join } from 'node:path'
import { Uring } from '../../src/index.js'
import {
  IORING_SETUP_COOP_TASKRUN,
  IORING_SETUP_SQPOLL,
  IORING_SETUP_TASKRUN_FLAG,
  kernelCalls,
  POLLIN,
} from '../../src/ring/index.js'
import { defaultUring, openedDefaultUring } from '../../src/runtime/index.js'
import { takesAttributes } from '../file-systems.js'
import { assert, needs, test, unmet } from '../harness.js'
import { closeFd, eightBytes, outcome, pipe, Signal, temporaryFolder, turns } from './fixture.js'

const here = needs.bind(null, { ring: true } as const)
const folder = temporaryFolder()
const file = (name: string): string => join(folder, name)

test(
  'open() gives a ring of the default size and flags, and reports what it is',
  here(async () => {
    await using uring = Uring.open()
    assert.is(uring.backend, 'io_uring')
    assert.is(uring.driver.ring.sqEntries, 256)
    assert.is(uring.driver.ring.cqEntries, 4096)
    assert.is(uring.report.cqEntries, 4096)
    const all = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG
    const wanted = unmet({ setup: all }) === null ? all : 0
    assert.is(uring.report.flags & all, wanted)
    assert.ok(Uring.available)
    assert.not(uring.closed)
    assert.is(uring.inFlight, 0)
    assert.is(uring.waiting, 0)
    assert.is(uring.copies, false)
    assert.is(await uring.nop(), 0)
    const { counters } = uring
    assert.is(counters.submitted, 1)
    assert.is(counters.completed, 1)
    assert.is(counters.enters, 1)
    assert.is(counters.inlineCompletions, 1)
    assert.is.not(uring.counters, uring.counters)
  }),
)

test(
  'open() takes sizes, flags and SQPOLL, and completes what is left out',
  here(async () => {
    const sizes = async (options: object): Promise<number[]> => {
      await using uring = Uring.open(options)
      assert.is(await uring.nop(), 0)
      return [uring.report.sqEntries, uring.report.cqEntries]
    }
    assert.equal(await sizes({ sqEntries: 8 }), [8, 4096])
    assert.equal(await sizes({ sqEntries: 4096 }), [4096, 8192])
    assert.equal(await sizes({ sqEntries: 32_768 }), [32_768, 65_536])
    assert.equal(await sizes({ cqEntries: 64 }), [64, 64])
    assert.equal(await sizes({ cqEntries: 100 }), [64, 128])
    assert.equal(await sizes({ cqEntries: 1 }), [1, 1])
    assert.equal(await sizes({ sqEntries: 16, cqEntries: 32 }), [16, 32])
    assert.equal(await sizes({ setupFlags: 0 }), [256, 4096])
    await using polled = Uring.open({ sqpoll: true })
    if (polled.report.sqpoll.granted) assert.ok(polled.report.flags & IORING_SETUP_SQPOLL)
    assert.is(await polled.nop(), 0)
  }),
)

test(
  'open() makes do with less where there is no memory for a ring of the default size',
  here(async () => {
    const { setup } = kernelCalls
    const asked: number[] = []
    kernelCalls.setup = (entries, params) => {
      asked.push(entries)
      return entries > 64 ? -12 : setup(entries, params)
    }
    try {
      await using uring = Uring.open()
      assert.is(uring.report.sqEntries, 64)
      assert.is(uring.report.cqEntries, 512)
      assert.is(await uring.nop(), 0)
      assert.throws(() => Uring.open({ sqEntries: 128 }), { code: 'ENOMEM', syscall: 'io_uring_setup' })
      assert.is(asked[0], 256)
    } finally {
      kernelCalls.setup = setup
    }
  }),
)

test(
  'open() throws when the environment forbids io_uring',
  here(() => {
    process.env['URING_DISABLE'] = '1'
    try {
      assert.throws(() => Uring.open(), { code: 'ERR_URING_UNAVAILABLE', message: /URING_DISABLE=1/ })
      assert.not(Uring.available)
    } finally {
      delete process.env['URING_DISABLE']
    }
    void Uring.open().close()
  }),
)

test(
  'the shared ring is made once, again after a close, and not where io_uring cannot be had: that is told',
  here(async () => {
    const heard: unknown[] = []
    const listener = (message: unknown): void => void heard.push(message)
    subscribe('uring:fallback', listener)
    assert.is(openedDefaultUring(), null)
    const shared = defaultUring()!
    assert.is(defaultUring(), shared)
    assert.is(openedDefaultUring(), shared)
    process.env['URING_DISABLE'] = 'yes'
    assert.is(defaultUring(), null)
    assert.is(defaultUring(), null)
    delete process.env['URING_DISABLE']
    assert.is(defaultUring(), shared)
    assert.is(heard.length, 1)
    assert.equal(Object.keys(heard[0] as object), ['what', 'reason'])

    await shared.close()
    // A failure is not repeated by every caller: one that waits for memory takes its time.
    const { setup } = kernelCalls
    let builds = 0
    kernelCalls.setup = () => {
      builds++
      return -24
    }
    assert.is(defaultUring(), null)
    assert.ok(builds > 0)
    const once = builds
    assert.is(defaultUring(), null)
    assert.is(builds, once)
    kernelCalls.setup = setup
    assert.is(heard.length, 2)
    assert.match((heard[1] as { reason: string }).reason, 'EMFILE')
    unsubscribe('uring:fallback', listener)
    await new Promise((resolve) => setTimeout(resolve, 1050))
    const again = defaultUring()!
    assert.is.not(again, shared)
    assert.is(await again.nop(), 0)
    await again.close()
  }),
)

test(
  'files are opened, written, described, renamed, linked and removed',
  needs({ opcode: 'IORING_OP_LINKAT' }, async () => {
    await using uring = Uring.open()
    const { O_CREAT, O_RDWR, O_EXCL } = fs.constants
    assert.is(await uring.mkdir(file('folder'), { mode: 0o700 }), 0)
    const fd = await uring.open(file('folder/a'), { flags: O_CREAT | O_RDWR | O_EXCL, mode: 0o640 })
    assert.is(await uring.write(fd, Buffer.from('hello world'), { offset: 0 }), 11)
    assert.is(await uring.writev(fd, [Buffer.from('abc'), Buffer.from('de')], { offset: 11 }), 5)
    assert.is(await uring.fsync(fd), 0)
    assert.is(await uring.fdatasync(fd), 0)
    assert.is(await uring.fallocate(fd, 0, 0, 100), 0)
    assert.is(await uring.fadvise(fd, 0, 0, 1), 0)
    assert.is(await uring.syncFileRange(fd, 0, 0, 4), 0)
    const stat = await uring.statx(file('folder/a'))
    assert.is(stat.size, 100n)
    assert.is(stat.mode & 0o7777, fs.statSync(file('folder/a')).mode & 0o7777)
    assert.is(stat.mtimeNs, fs.statSync(file('folder/a'), { bigint: true }).mtimeNs)
    const byDescriptor = await uring.statx('', { dirFd: fd })
    assert.is(byDescriptor.ino, stat.ino)
    assert.is(await uring.rename(file('folder/a'), file('folder/b')), 0)
    assert.is(await uring.link(file('folder/b'), file('folder/c')), 0)
    assert.is(await uring.symlink('b', file('folder/d')), 0)
    assert.is(fs.readlinkSync(file('folder/d')), 'b')
    const at = await uring.open(file('folder'))
    const relative = await uring.open('c', { dirFd: at })
    assert.is(await uring.read(relative, eightBytes(), { offset: 0 }), 8)
    assert.is(await outcome(uring.open('../x', { dirFd: at, resolve: 8 })), 'EXDEV')
    const beneath = await uring.open('d', { dirFd: at, resolve: 8 })
    for (const descriptor of [fd, at, relative, beneath]) assert.is(await uring.closeFd(descriptor), 0)
    for (const name of ['b', 'c', 'd']) assert.is(await uring.unlink(file(`folder/${name}`)), 0)
    assert.is(await uring.unlink(file('folder'), { flags: 0x200 }), 0)
    const error = await uring.rename(file('x'), file('y')).catch((reason) => reason)
    assert.is(error.message, `ENOENT: no such file or directory, rename '${file('x')}' -> '${file('y')}'`)
    assert.is(error.dest, file('y'))
    assert.is(uring.driver.arena.blocksInUse, 0)
  }),
)

test(
  'extended attributes are set and read, by path and by descriptor',
  needs({ opcode: 'IORING_OP_FGETXATTR', when: takesAttributes }, async () => {
    await using uring = Uring.open()
    fs.writeFileSync(file('attributed'), '')
    assert.is(await uring.setxattr(file('attributed'), 'user.one', 'first'), 0)
    const fd = fs.openSync(file('attributed'), 'r+')
    assert.is(await uring.setxattr(fd, 'user.two', Buffer.from([1, 2, 3])), 0)
    assert.is(String(await uring.getxattr(fd, 'user.one')), 'first')
    assert.equal([...(await uring.getxattr(file('attributed'), 'user.two'))], [1, 2, 3])
    assert.is(await outcome(uring.getxattr(fd, 'user.none')), 'ENODATA')
    fs.closeSync(fd)
    assert.is(uring.driver.arena.blocksInUse, 0)
  }),
)

test(
  'timers, readiness, splices, futexes and child processes',
  here(async () => {
    await using uring = Uring.open()
    const start = performance.now()
    assert.is(await uring.timeout(20), undefined)
    assert.ok(performance.now() - start >= 19)
    assert.is(await outcome(uring.timeout(60_000, { timeoutMs: 5 })), 'ETIMEDOUT')

    using signal = new Signal()
    const readiness = uring.poll(signal.fd, POLLIN)
    signal.raise()
    assert.is(await readiness, POLLIN)

    const [readEnd, writeEnd] = pipe()
    const [readEnd2, writeEnd2] = pipe()
    assert.is(await uring.write(writeEnd, Buffer.from('spliced')), 7)
    assert.is(await uring.tee(readEnd, writeEnd2, 100), 7)
    const target = fs.openSync(file('spliced'), 'w+')
    assert.is(await uring.splice(readEnd, -1, target, 0, 100), 7)
    assert.is(fs.readFileSync(file('spliced'), 'utf8'), 'spliced')
    assert.is(await uring.read(readEnd2, eightBytes()), 7)
    for (const fd of [readEnd, writeEnd, readEnd2, writeEnd2, target]) closeFd(fd)
    await turns(1)
  }),
)

test(
  'futexes wait and wake',
  needs({ opcode: 'IORING_OP_FUTEX_WAIT' }, async () => {
    await using uring = Uring.open()
    const word = new Int32Array(new ArrayBuffer(4))
    assert.is(await outcome(uring.futexWait(word, 5)), 'EAGAIN')
    const waiting = uring.futexWait(word, 0)
    await turns(1)
    assert.is(await uring.futexWake(word, 1), 1)
    assert.is(await waiting, 0)
  }),
)

test(
  'child processes are waited for',
  needs({ opcode: 'IORING_OP_WAITID' }, async () => {
    await using uring = Uring.open()
    const P_PID = 1
    const WEXITED = 4
    const WNOWAIT = 0x0100_0000
    const child = spawn('sh', ['-c', 'exit 3'])
    const status = await uring.waitid(P_PID, child.pid!, WEXITED | WNOWAIT)
    assert.is(status.pid, child.pid)
    assert.is(status.status, 3)
    assert.is(status.code, 1)
  }),
)

test(
  'pipes are made',
  needs({ opcode: 'IORING_OP_PIPE' }, async () => {
    await using uring = Uring.open()
    const [readEnd, writeEnd] = await uring.pipe()
    assert.is(await uring.write(writeEnd, Buffer.from('x')), 1)
    assert.is(await uring.read(readEnd, eightBytes()), 1)
    closeFd(readEnd)
    closeFd(writeEnd)
  }),
)

test.run()
