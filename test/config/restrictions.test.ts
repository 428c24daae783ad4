// Restricted rings on the real kernel: raw, and under the driver.

import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildRing, type IoUringConfig, probe, validateConfig } from '../../src/config/index.js'
import { Uring } from '../../src/index.js'
import {
  addressOf,
  IORING_OP_NOP,
  IORING_OP_READ,
  IORING_REGISTER_FILES,
  IOSQE_FIXED_FILE,
  prepNop,
  prepOpenat,
  prepRead,
  prepWrite,
  type Ring,
  registerFiles,
  type Sqe,
} from '../../src/ring/index.js'
import type { OpcodeName } from '../../src/syscalls/abi/index.js'
import { assert, needs, test } from '../harness.js'
import { ringDescriptors } from '../ring/drive.js'
import '../settled.js'

const here = needs.bind(null, { linux: '5.10' } as const)
const folder = mkdtempSync(join(tmpdir(), 'uring-restrictions-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const path = join(folder, 'file')
writeFileSync(path, 'x'.repeat(10_000))
const file = openSync(path, 'r+')
const EACCES = -13

/** The `res` of one operation. */
function resultOf(ring: Ring, prepare: (sqe: Sqe) => unknown): number {
  const sqe = ring.getSqe()!
  prepare(sqe)
  let result = 0
  ring.submitAndWait(1)
  ring.forEachCqe((_low, _high, res) => {
    result = res
  })
  return result
}

async function outcome(promise: Promise<unknown>): Promise<unknown> {
  try {
    return await promise
  } catch (error) {
    return (error as { code?: string }).code
  }
}

/** What a child has that was given nothing but its standard streams. */
function inherited(): Set<string> {
  const listed = execFileSync('ls', ['-l', '/proc/self/fd'], { stdio: ['ignore', 'pipe', 'ignore'] })
  const links = [...String(listed).matchAll(/ (\d+) -> (.*)$/gm)].map((match) => `${match[1]} ${match[2]}`)
  return new Set(links.filter((link) => Number.parseInt(link, 10) > 2 && !link.includes('/proc/')))
}

test('restrictions are checked before the kernel is asked', () => {
  const wrong: [unknown, string][] = [
    ['write-only', 'ERR_INVALID_ARG_VALUE'],
    [1, 'ERR_INVALID_ARG_TYPE'],
    [{}, 'ERR_INVALID_ARG_TYPE'],
  ]
  for (const [restrictions, code] of wrong) {
    assert.throws(() => validateConfig({ restrictions } as Partial<IoUringConfig>), { code })
  }
})

test(
  'lines that are none are named, and leave no ring behind',
  here(() => {
    const before = ringDescriptors()
    for (const [line, code] of [
      [{ sqeOp: 'READ' }, 'ERR_INVALID_ARG_TYPE'],
      [{ sqeOps: 1 }, 'ERR_INVALID_ARG_VALUE'],
      [{ sqeOp: 300 }, 'ERR_OUT_OF_RANGE'],
      [null, 'ERR_INVALID_ARG_TYPE'],
    ] as const) {
      assert.throws(() => buildRing({ restrictions: [line as never] }), { code })
    }
    assert.throws(() => buildRing({ restrictions: [{ sqeOp: 254 }] }), { code: 'EINVAL' })
    assert.equal(ringDescriptors(), before)
  }),
)

test(
  'a ring does what its lines allow, and nothing else',
  here(() => {
    const restrictions = [{ sqeOp: IORING_OP_NOP }, { sqeOp: IORING_OP_READ }] as const
    const { ring, report } = buildRing({ restrictions })
    assert.ok(report.restricted)
    assert.ok(ring.enabled)
    const buffer = Buffer.alloc(100)
    assert.is(
      resultOf(ring, (sqe) => prepNop(sqe)),
      0,
    )
    assert.is(
      resultOf(ring, (sqe) => prepRead(sqe, file, addressOf(buffer), 100, 0)),
      100,
    )
    assert.is(
      resultOf(ring, (sqe) => prepWrite(sqe, file, addressOf(buffer), 100, 0)),
      EACCES,
    )
    // No flag is allowed either, and no registration.
    assert.is(
      resultOf(ring, (sqe) => prepNop(sqe).setFlags(IOSQE_FIXED_FILE)),
      EACCES,
    )
    assert.throws(() => registerFiles(ring, [file]), { code: 'EACCES', message: /restrictions/ })
    assert.is(ring.register(IORING_REGISTER_FILES, 0, 0), EACCES)
    ring.close()
    assert.not(buildRing({}).report.restricted)
  }),
)

test(
  'a driver on a ring that may only read reads, waits, is cancelled and closed, and can do nothing else',
  here(async () => {
    const uring = Uring.open({ restrictions: 'read-only' })
    const buffer = Buffer.alloc(4096)
    assert.is(await uring.read(file, buffer, { offset: 0 }), 4096)
    assert.is(buffer.toString(), 'x'.repeat(4096))
    assert.is(await uring.readv(file, [Buffer.alloc(10), Buffer.alloc(10)], { offset: 0 }), 20)
    assert.is(Number((await uring.statx(path)).size), 10_000)
    assert.is(await outcome(uring.timeout(5)), undefined)
    // Links, time limits and cancels carry flags and operations of their own.
    assert.is(await outcome(uring.timeout(60_000, { timeoutMs: 5 })), 'ETIMEDOUT')
    const controller = new AbortController()
    const nap = outcome(uring.timeout(60_000, { signal: controller.signal }))
    await new Promise((resolve) => setImmediate(resolve))
    controller.abort()
    assert.is(await nap, 'ABORT_ERR')
    const pool = uring.registerBufferPool({ count: 2, size: 4096 })
    const lease = await pool.acquire()
    assert.is(await uring.read(file, lease.bytes, { offset: 0, bufferIndex: lease.index }), 4096)
    lease.release()
    pool.close()

    const victim = join(folder, 'victim')
    writeFileSync(victim, 'untouched')
    const attempts: [OpcodeName, () => Promise<unknown>][] = [
      ['IORING_OP_WRITE', () => uring.write(file, buffer, { offset: 0 })],
      ['IORING_OP_WRITEV', () => uring.writev(file, [buffer], { offset: 0 })],
      ['IORING_OP_OPENAT', () => uring.open(path, { flags: constants.O_RDONLY })],
      ['IORING_OP_OPENAT', () => uring.open(victim, { flags: constants.O_WRONLY | constants.O_TRUNC })],
      ['IORING_OP_CLOSE', () => uring.closeFd(file)],
      ['IORING_OP_UNLINKAT', () => uring.unlink(victim)],
      ['IORING_OP_RENAMEAT', () => uring.rename(victim, path)],
      ['IORING_OP_MKDIRAT', () => uring.mkdir(join(folder, 'made'))],
      ['IORING_OP_FTRUNCATE', () => uring.ftruncate(file, 0)],
      ['IORING_OP_FALLOCATE', () => uring.fallocate(file, 0, 0, 100_000)],
      ['IORING_OP_FSYNC', () => uring.fsync(file)],
      ['IORING_OP_SOCKET', () => uring.socket(2, 1)],
      ['IORING_OP_SEND', () => uring.send(file, buffer)],
      ['IORING_OP_SPLICE', () => uring.splice(file, 0, file, 0, 10)],
      ['IORING_OP_MSG_RING', () => uring.msgRing(uring.driver.ring.fd, 0, 0)],
      [
        'IORING_OP_OPENAT',
        () => uring.submit((sqe) => prepOpenat(sqe, -100, addressOf(Buffer.from(`${path}\0`)), 0, 0)),
      ],
    ]
    const { opcodes } = probe()
    assert.equal(
      await Promise.all(attempts.map(([, attempt]) => outcome(attempt()))),
      // What the kernel does not know it refuses for that.
      attempts.map(([opcode]) => (opcodes.includes(opcode) ? 'EACCES' : 'EINVAL')),
    )
    assert.is(readFileSync(victim, 'utf8'), 'untouched')
    assert.is(readFileSync(path, 'utf8').length, 10_000)
    await uring.close()
    closeSync(openSync(path, 'r'))
  }),
)

test(
  'the registered descriptor of a restricted ring is given back: rings can be made and closed for ever',
  here(async () => {
    for (let round = 0; round < 50; round++) {
      const uring = Uring.open({ restrictions: 'read-only' })
      assert.is(await uring.nop(), 0)
      assert.ok(uring.report.ringFdRegistered || round === 0 || !buildRing({}).report.ringFdRegistered)
      await uring.close()
    }
  }),
)

test(
  'SQPOLL and restrictions go together',
  needs({ linux: '5.13', setup: 'IORING_SETUP_SQPOLL' }, async () => {
    const uring = Uring.open({ sqpoll: true, restrictions: 'read-only' })
    assert.ok(uring.report.sqpoll.granted)
    assert.is(await uring.read(file, Buffer.alloc(10), { offset: 0 }), 10)
    assert.is(await outcome(uring.fsync(file)), 'EACCES')
    await uring.close()
  }),
)

test(
  'a ring that was set up disabled by hand is still refused by the driver until it is enabled',
  here(() => {
    const IORING_SETUP_R_DISABLED = 1 << 6
    assert.throws(() => Uring.open({ setupFlags: IORING_SETUP_R_DISABLED }), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /R_DISABLED/,
    })
  }),
)

test(
  'no descriptor of a ring, of its eventfd or of a file opened through it survives an exec',
  here(async () => {
    const { open } = await import('../../src/fs/index.js')
    const before = inherited()
    const uring = Uring.open()
    const handle = await open(path, 'r')
    const raw = await uring.open(path)
    const [readEnd, writeEnd] = await uring.pipe().catch(() => [-1, -1])
    const socket = await uring.socket(1, 1).catch(() => -1)
    const { ring } = buildRing({})
    assert.equal(
      [...inherited()].filter((one) => !before.has(one)),
      [],
    )
    const flags = (fd: number): number =>
      Number.parseInt(/flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))![1]!, 8)
    const O_CLOEXEC = 0o2000000
    for (const fd of [ring.fd, uring.driver.ring.fd, handle.fd, raw, readEnd, writeEnd, socket]) {
      if (fd >= 0) assert.ok(flags(fd) & O_CLOEXEC, `descriptor ${fd}`)
    }
    ring.close()
    await handle.close()
    await uring.close()
    for (const fd of [raw, readEnd, writeEnd, socket]) if (fd >= 0) closeSync(fd)
  }),
)

test.run()
