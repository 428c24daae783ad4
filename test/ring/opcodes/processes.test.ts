import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { futexWaitv, timespec } from '../../../src/ring/memory/index.js'
import {
  prepFutexWait,
  prepFutexWaitv,
  prepFutexWake,
  prepLinkTimeout,
  prepWaitid,
} from '../../../src/ring/prep/index.js'
import type { Ring } from '../../../src/ring/ring.js'
import {
  CLD_EXITED,
  FUTEX_32,
  FUTEX_BITSET_MATCH_ANY,
  FUTEX_PRIVATE_FLAG,
  IOSQE_IO_LINK,
  P_PID,
  WEXITED,
  WNOHANG,
  WNOWAIT,
} from '../../../src/syscalls/abi/index.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { assert, needs, test } from '../../harness.js'
import { complete, isQuiet, keep, memory, named, next, openRing, result } from './fixture.js'

const ANY = FUTEX_BITSET_MATCH_ANY
const PRIVATE_32 = FUTEX_32 | FUTEX_PRIVATE_FLAG

/** A `siginfo_t`, and what waitid(2) writes into it. */
function signalInfo(): { address: number; read(): { code: number; pid: number; status: number } } {
  const bytes = memory(128)
  const view = new DataView(bytes.buffer)
  return {
    address: addressOf(bytes),
    read: () => ({
      code: view.getInt32(8, true),
      pid: view.getInt32(16, true),
      status: view.getInt32(24, true),
    }),
  }
}

// These tests block the event loop, so Node cannot reap its child before waitid has seen it; WNOWAIT leaves it to Node.

test(
  'prepWaitid() completes when the child exits',
  needs({ opcode: 'IORING_OP_WAITID', command: 'sh' }, async () => {
    using ring = openRing()
    const child = spawn('sh', ['-c', 'sleep 0.1; exit 7'], { stdio: 'ignore' })
    const exited = once(child, 'exit')
    const info = signalInfo()
    prepWaitid(next(ring), P_PID, child.pid!, info.address, WEXITED | WNOWAIT)
    assert.ok(isQuiet(ring))
    assert.is(complete(ring, 1)[0]!.res, 0)
    assert.equal(info.read(), { code: CLD_EXITED, pid: child.pid!, status: 7 })
    assert.equal(await exited, [7, null])
  }),
)

test(
  'prepWaitid() with WNOHANG completes at once when nothing has happened',
  needs({ opcode: 'IORING_OP_WAITID', command: 'sh' }, async () => {
    using ring = openRing()
    const child = spawn('sh', ['-c', 'read line'], { stdio: ['pipe', 'ignore', 'ignore'] })
    const exited = once(child, 'exit')
    const info = signalInfo()
    const options = WEXITED | WNOWAIT | WNOHANG
    assert.is(
      result(ring, (sqe) => prepWaitid(sqe, P_PID, child.pid!, info.address, options)),
      0,
    )
    assert.is(info.read().pid, 0)
    child.stdin.end()
    await exited
  }),
)

test(
  'prepWaitid() fails on what is no child, and without a state to wait for',
  needs({ opcode: 'IORING_OP_WAITID' }, () => {
    using ring = openRing()
    const info = signalInfo()
    assert.is(
      result(ring, (sqe) => prepWaitid(sqe, P_PID, process.pid, info.address, WEXITED)),
      'ECHILD',
    )
    assert.is(
      result(ring, (sqe) => prepWaitid(sqe, P_PID, process.pid, info.address, 0)),
      'EINVAL',
    )
    assert.is(
      result(ring, (sqe) => prepWaitid(sqe, 9, process.pid, info.address, WEXITED)),
      'EINVAL',
    )
  }),
)

function wake(ring: Ring, address: number, count: number, mask = ANY): number | string {
  return result(ring, (sqe) => prepFutexWake(sqe, address, count, mask, PRIVATE_32).setUserData(99))
}

/** Starts a wait that is expected to last. */
function startWait(ring: Ring, address: number, value: number, userData: number, mask = ANY): void {
  prepFutexWait(next(ring), address, value, mask, PRIVATE_32).setUserData(userData)
  ring.submit()
}

test(
  'prepFutexWait() waits until prepFutexWake()',
  needs({ opcode: 'IORING_OP_FUTEX_WAIT' }, () => {
    using ring = openRing()
    const word = keep(new Uint32Array(new ArrayBuffer(4)))
    word[0] = 0xffff_fffe
    startWait(ring, addressOf(word), 0xffff_fffe, 1)
    assert.ok(isQuiet(ring))
    prepFutexWake(next(ring), addressOf(word), 1, ANY, PRIVATE_32).setUserData(2)
    const [woken, waking] = complete(ring, 2)
    assert.equal([woken!.res, waking!.res], [0, 1])
  }),
)

test(
  'prepFutexWake() wakes as many as it is told, and those its mask names',
  needs({ opcode: 'IORING_OP_FUTEX_WAKE' }, () => {
    using ring = openRing()
    const word = keep(new Uint32Array(new ArrayBuffer(4)))
    const address = addressOf(word)
    assert.is(wake(ring, address, 1), 0, 'nobody waits')
    startWait(ring, address, 0, 1, 1)
    startWait(ring, address, 0, 2, 2)
    startWait(ring, address, 0, 3, 2)
    prepFutexWake(next(ring), address, 64, 2n, PRIVATE_32).setUserData(9)
    assert.equal(
      complete(ring, 3).map(({ userData, res }) => [userData, res]),
      [
        [2, 0],
        [3, 0],
        [9, 2],
      ],
    )
    prepFutexWake(next(ring), address, 64, ANY, PRIVATE_32).setUserData(9)
    assert.equal(
      complete(ring, 2).map(({ userData, res }) => [userData, res]),
      [
        [1, 0],
        [9, 1],
      ],
    )
  }),
)

test(
  'prepFutexWait() fails on another value, in time, and when not aligned',
  needs({ opcode: 'IORING_OP_FUTEX_WAIT' }, () => {
    using ring = openRing()
    const word = keep(new Uint32Array(new ArrayBuffer(8)))
    const address = addressOf(word)
    assert.is(
      result(ring, (sqe) => prepFutexWait(sqe, address, 5, ANY, PRIVATE_32)),
      'EAGAIN',
    )
    assert.is(
      result(ring, (sqe) => prepFutexWait(sqe, address + 1, 0, ANY, PRIVATE_32)),
      'EINVAL',
    )
    assert.is(
      result(ring, (sqe) => prepFutexWait(sqe, address, 0, 0, PRIVATE_32)),
      'EINVAL',
      'a mask of nobody',
    )
    const limit = keep(timespec(5))
    prepFutexWait(next(ring), address, 0, ANY, PRIVATE_32).setFlags(IOSQE_IO_LINK).setUserData(1)
    prepLinkTimeout(next(ring), limit.address).setUserData(2)
    const [waited, limited] = complete(ring, 2)
    assert.is(named(waited!.res), 'ECANCELED')
    // Linux 6.18 says 1 here instead of -ETIME: the count of cancelled waits, which futex and waitid report.
    assert.ok(limited!.res === 1 || named(limited!.res) === 'ETIME')
  }),
)

test(
  'prepFutexWake() fails on an unknown flag and when not aligned',
  needs({ opcode: 'IORING_OP_FUTEX_WAKE' }, () => {
    using ring = openRing()
    const word = keep(new Uint32Array(new ArrayBuffer(8)))
    const address = addressOf(word)
    assert.is(
      result(ring, (sqe) => prepFutexWake(sqe, address, 1, ANY, 1 << 30)),
      'EINVAL',
    )
    assert.is(wake(ring, address + 2, 1), 'EINVAL')
  }),
)

test(
  'prepFutexWaitv() tells which of its futexes was woken',
  needs({ opcode: 'IORING_OP_FUTEX_WAITV' }, () => {
    using ring = openRing()
    const words = keep(new Uint32Array(new ArrayBuffer(8)))
    words[1] = 7
    const second = addressOf(words) + 4
    const waiters = keep(
      futexWaitv([
        { address: addressOf(words), value: 0 },
        { address: second, value: 7 },
      ]),
    )
    prepFutexWaitv(next(ring), waiters.address, 2).setUserData(1)
    assert.ok(isQuiet(ring))
    prepFutexWake(next(ring), second, 1, ANY, PRIVATE_32).setUserData(2)
    assert.equal(
      complete(ring, 2).map(({ res }) => res),
      [1, 1],
    )
  }),
)

test(
  'prepFutexWaitv() fails on another value, on bad memory, on none and too many',
  needs({ opcode: 'IORING_OP_FUTEX_WAITV' }, () => {
    using ring = openRing()
    const words = keep(new Uint32Array(new ArrayBuffer(8)))
    const waiters = keep(
      futexWaitv([
        { address: addressOf(words), value: 0 },
        { address: addressOf(words) + 4, value: 7 },
      ]),
    )
    assert.is(
      result(ring, (sqe) => prepFutexWaitv(sqe, waiters.address, 2)),
      'EAGAIN',
    )
    assert.is(
      result(ring, (sqe) => prepFutexWaitv(sqe, 4096, 2)),
      'EFAULT',
    )
    assert.is(
      result(ring, (sqe) => prepFutexWaitv(sqe, waiters.address, 0)),
      'EINVAL',
    )
    assert.is(
      result(ring, (sqe) => prepFutexWaitv(sqe, waiters.address, 129)),
      'EINVAL',
    )
  }),
)

test.run()
