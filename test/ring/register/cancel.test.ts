import { closeSync } from 'node:fs'
import { prepPollAdd, prepRead } from '../../../src/ring/prep/index.js'
import { registerFiles, registerSyncCancel, type SyncCancelMatch } from '../../../src/ring/register/index.js'
import { Ring } from '../../../src/ring/ring.js'
import {
  IO_URING_SYNC_CANCEL_REG,
  IORING_OP_NOP,
  IORING_OP_POLL_ADD,
  IOSQE_FIXED_FILE,
} from '../../../src/syscalls/abi/index.js'
import { viewMemory } from '../../../src/syscalls/libc.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { Struct } from '../../../src/syscalls/struct.js'
import { assert, needs, test } from '../../harness.js'
import { nextSqe, openPipe, spied } from '../drive.js'
import { completions, isQuiet, memory } from './fixture.js'

const SYSCALL = 'io_uring_register'
const POLLIN = 1
const ECANCELED = -125

interface Pipes {
  readonly one: number
  readonly two: number
  [Symbol.dispose](): void
}

function openPipes(): Pipes {
  const [one, two] = [openPipe(), openPipe()]
  const all = [one.readEnd, one.writeEnd, two.readEnd, two.writeEnd]
  return {
    one: one.readEnd,
    two: two.readEnd,
    [Symbol.dispose]: () => all.forEach((fd) => void closeSync(fd)),
  }
}

/** Polls that never come true: 1 and 2 on the first pipe, 3 (with a high half) on the second. */
function startPolls(ring: Ring, pipes: Pipes): void {
  prepPollAdd(nextSqe(ring), pipes.one, POLLIN).setUserData(1)
  prepPollAdd(nextSqe(ring), pipes.one, POLLIN).setUserData(2)
  prepPollAdd(nextSqe(ring), pipes.two, POLLIN).setUserData(3, 9)
  ring.submit()
}

/** What is cancelled of those polls, by the low half of user_data. */
function cancelled(match: SyncCancelMatch, count: number): number[] {
  using ring = Ring.open({ entries: 8 })
  using pipes = openPipes()
  registerFiles(ring, [pipes.two])
  startPolls(ring, pipes)
  prepPollAdd(nextSqe(ring), 0, POLLIN).addFlags(IOSQE_FIXED_FILE).setUserData(4)
  ring.submit()
  const named = { ...match }
  // The descriptors are not known before.
  if (match.fd !== undefined) named.fd = match.fd === 1 ? pipes.one : pipes.two
  assert.is(registerSyncCancel(ring, named), count)
  const found = count > 0 ? completions(ring, count) : []
  assert.ok(isQuiet(ring, 5))
  assert.ok(found.every((completion) => completion.res === ECANCELED))
  return found.map((completion) => completion.low).sort()
}

test(
  'registerSyncCancel() cancels by user_data, both halves of it',
  needs({ linux: '6.0' }, () => {
    assert.equal(cancelled({ userDataLow: 2 }, 1), [2])
    assert.equal(cancelled({ userDataLow: 3, userDataHigh: 9 }, 1), [3])
    assert.equal(cancelled({ userDataLow: 3 }, 0), [])
  }),
)

test(
  'registerSyncCancel() cancels by descriptor, the first or all',
  needs({ linux: '6.0' }, () => {
    assert.is(cancelled({ fd: 1 }, 1).length, 1)
    assert.equal(cancelled({ fd: 1, all: true }, 2), [1, 2])
    // The same file, whether named by its descriptor or by its slot.
    assert.equal(cancelled({ fd: 2, all: true }, 2), [3, 4])
    assert.equal(cancelled({ fixedFile: 0, all: true }, 2), [3, 4])
  }),
)

test(
  'registerSyncCancel() cancels by opcode',
  needs({ linux: '6.6' }, () => {
    assert.equal(cancelled({ opcode: IORING_OP_POLL_ADD, all: true }, 4), [1, 2, 3, 4])
    assert.equal(cancelled({ opcode: IORING_OP_NOP, all: true }, 0), [])
  }),
)

test(
  'registerSyncCancel() cancels what meets every criterion',
  needs({ linux: '6.6' }, () => {
    assert.equal(cancelled({ fd: 1, userDataLow: 2 }, 1), [2])
    assert.equal(cancelled({ fd: 2, userDataLow: 2 }, 0), [])
    assert.equal(cancelled({ fd: 1, userDataLow: 1, opcode: IORING_OP_POLL_ADD }, 1), [1])
  }),
)

test(
  'registerSyncCancel() cancels everything, and says when there is nothing',
  needs({ linux: '6.0' }, () => {
    assert.equal(cancelled({ any: true }, 4), [1, 2, 3, 4])
    using ring = Ring.open({ entries: 8 })
    assert.is(registerSyncCancel(ring, { any: true }), 0)
    assert.is(registerSyncCancel(ring, { userDataLow: 1 }), 0)
  }),
)

test(
  'registerSyncCancel() cancels a pending read within its time',
  needs({ linux: '6.0' }, () => {
    using ring = Ring.open({ entries: 8 })
    using pipes = openPipes()
    const target = memory(8)
    prepRead(nextSqe(ring), pipes.one, addressOf(target), 8, -1).setUserData(6)
    ring.submit()
    assert.is(registerSyncCancel(ring, { userDataLow: 6 }, { timeoutMs: 1000.5 }), 1)
    assert.equal(completions(ring, 1), [{ low: 6, high: 0, res: ECANCELED, flags: 0 }])
  }),
)

test(
  'registerSyncCancel() throws EBADF for a slot without a file, and what the kernel makes of a closed descriptor',
  needs({ linux: '6.0' }, () => {
    using ring = Ring.open({ entries: 8 })
    assert.throws(() => registerSyncCancel(ring, { fixedFile: 3 }), { code: 'EBADF', syscall: SYSCALL })
    assert.throws(() => registerSyncCancel(ring, { fd: 1_000_000 }), { code: 'EBADF', syscall: SYSCALL })
  }),
)

test(
  'registerSyncCancel() repeats an interrupted call, within a bound',
  needs({ ring: true }, () => {
    let interruptions = 3
    const calls = spied({ register: () => (interruptions-- > 0 ? -4 : 0) })
    const ring = Ring.open({ entries: 8 }, calls)
    assert.is(registerSyncCancel(ring, { userDataLow: 1 }), 1)
    assert.is(calls.counts.register, 4)
    interruptions = 1000
    assert.throws(() => registerSyncCancel(ring, { any: true }), { code: 'EINTR' })
    assert.ok(calls.counts.register < 50)
    interruptions = 0
    ring.close()
  }),
)

test(
  'registerSyncCancel() throws ETIME when an operation cannot be interrupted',
  needs({ ring: true }, () => {
    const seen: number[][] = []
    const register = (_fd: number, _opcode: number, address: number): number => {
      const bytes = new Uint8Array(viewMemory(address, IO_URING_SYNC_CANCEL_REG.size))
      const request = new Struct(IO_URING_SYNC_CANCEL_REG, bytes)
      seen.push([request.get('timeout.tv_sec'), request.get('timeout.tv_nsec')])
      return -62
    }
    using ring = Ring.open({ entries: 8 }, spied({ register }))
    assert.throws(() => registerSyncCancel(ring, { any: true }, { timeoutMs: 2500 }), {
      code: 'ETIME',
      message: /still running/,
    })
    assert.throws(() => registerSyncCancel(ring, { any: true }), { code: 'ETIME' })
    assert.equal(seen, [
      [2, 500_000_000],
      [-1, -1],
    ])
  }),
)

test(
  'registerSyncCancel() refuses bad arguments before the kernel is asked',
  needs({ ring: true }, () => {
    const calls = spied()
    using ring = Ring.open({ entries: 8 }, calls)
    const before = calls.counts.register
    const value = { code: 'ERR_INVALID_ARG_VALUE' }
    const range = { code: 'ERR_OUT_OF_RANGE' }
    const type = { code: 'ERR_INVALID_ARG_TYPE' }
    assert.throws(() => registerSyncCancel(ring, {}), value)
    assert.throws(() => registerSyncCancel(ring, { all: true }), value)
    assert.throws(() => registerSyncCancel(ring, { any: true, fd: 1 }), value)
    assert.throws(() => registerSyncCancel(ring, { fd: 1, fixedFile: 1 }), value)
    assert.throws(() => registerSyncCancel(ring, { fds: 1 } as never), value)
    assert.throws(() => registerSyncCancel(ring, { any: 1 as never }), type)
    assert.throws(() => registerSyncCancel(ring, null as never), type)
    assert.throws(() => registerSyncCancel(ring, { userDataLow: -1 }), range)
    assert.throws(() => registerSyncCancel(ring, { opcode: 256 }), range)
    assert.throws(() => registerSyncCancel(ring, { any: true }, { timeoutMs: -1 }), range)
    assert.throws(() => registerSyncCancel(ring, { any: true }, { timeoutMs: Number.NaN }), range)
    assert.throws(() => registerSyncCancel(ring, { any: true }, { timeoutMs: '1' as never }), type)
    assert.is(calls.counts.register, before)
  }),
)

test.run()
