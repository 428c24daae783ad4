import { closeSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { registerSyncMsg } from '../../../src/ring/register/index.js'
import { Ring } from '../../../src/ring/ring.js'
import {
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_NO_MMAP,
  IORING_SETUP_R_DISABLED,
  IORING_SETUP_REGISTERED_FD_ONLY,
  IORING_SETUP_SINGLE_ISSUER,
} from '../../../src/syscalls/abi/index.js'
import { assert, needs, test } from '../../harness.js'
import { openPipe } from '../drive.js'
import { completions } from './fixture.js'

const SYSCALL = 'io_uring_register'

test(
  'registerSyncMsg() posts a CQE to a ring',
  needs({ linux: '6.13' }, () => {
    using ring = Ring.open({ entries: 8 })
    registerSyncMsg(ring, { userDataLow: 1, userDataHigh: 0xffff_ffff, res: -5 })
    registerSyncMsg(ring.fd, { userDataLow: 0xffff_fffe, res: 0x7fff_ffff, cqeFlags: 0x30 })
    assert.equal(completions(ring, 2), [
      { low: 1, high: 0xffff_ffff, res: -5, flags: 0 },
      { low: 0xffff_fffe, high: 0, res: 0x7fff_ffff, flags: 0x30 },
    ])
  }),
)

test(
  'registerSyncMsg() reaches a ring with DEFER_TASKRUN',
  needs({ linux: '6.13' }, () => {
    using ring = Ring.open({ entries: 8, flags: IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER })
    registerSyncMsg(ring, { userDataLow: 4 })
    assert.is(completions(ring, 1)[0]!.low, 4)
  }),
)

test(
  'registerSyncMsg() wakes a ring from a thread that has none',
  needs({ linux: '6.13' }, async () => {
    using ring = Ring.open({ entries: 8 })
    const script = `
    const { register } = await import(${JSON.stringify(import.meta.resolve('tsx/esm/api'))})
    register()
    const { registerSyncMsg } = await import(${JSON.stringify(new URL('../../../src/ring/register/index.ts', import.meta.url).href)})
    registerSyncMsg(${ring.fd}, { userDataLow: 12, res: 34 })
  `
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`))
    const ended = new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject))
    assert.equal(completions(ring, 1, 20_000), [{ low: 12, high: 0, res: 34, flags: 0 }])
    await ended
  }),
)

test(
  'registerSyncMsg() throws EBADFD for what is no enabled ring',
  needs({ linux: '6.13' }, () => {
    using disabled = Ring.open({ entries: 8, flags: IORING_SETUP_R_DISABLED })
    const pipe = openPipe()
    const message = { userDataLow: 1 }
    assert.throws(() => registerSyncMsg(disabled, message), {
      code: 'EBADFD',
      syscall: SYSCALL,
      message: /not enabled/,
    })
    assert.throws(() => registerSyncMsg(pipe.readEnd, message), { code: 'EBADFD' })
    assert.throws(() => registerSyncMsg(1_000_000, message), { code: 'EBADF' })
    closeSync(pipe.readEnd)
    closeSync(pipe.writeEnd)
  }),
)

test(
  'registerSyncMsg() refuses bad arguments',
  needs({ linux: '6.5' }, () => {
    const ring = Ring.open({ entries: 8 })
    const range = { code: 'ERR_OUT_OF_RANGE' }
    const type = { code: 'ERR_INVALID_ARG_TYPE' }
    assert.throws(() => registerSyncMsg(-1, { userDataLow: 1 }), range)
    assert.throws(() => registerSyncMsg({} as never, { userDataLow: 1 }), type)
    assert.throws(() => registerSyncMsg(ring, {} as never), type)
    assert.throws(() => registerSyncMsg(ring, null as never), type)
    assert.throws(() => registerSyncMsg(ring, { userDataLow: -1 }), range)
    assert.throws(() => registerSyncMsg(ring, { userDataLow: 1, res: 2 ** 31 }), range)
    assert.throws(() => registerSyncMsg(ring, { userDataLow: 1, flags: 1 } as never), {
      code: 'ERR_INVALID_ARG_VALUE',
    })
    using hidden = Ring.open({ entries: 8, flags: IORING_SETUP_NO_MMAP | IORING_SETUP_REGISTERED_FD_ONLY })
    assert.throws(() => registerSyncMsg(hidden, { userDataLow: 1 }), { code: 'ERR_INVALID_ARG_VALUE' })
    ring.close()
    assert.throws(() => registerSyncMsg(ring, { userDataLow: 1 }), { code: 'ERR_INVALID_STATE' })
  }),
)

test.run()
