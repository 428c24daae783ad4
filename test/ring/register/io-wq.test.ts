import { closeSync, readdirSync, readFileSync } from 'node:fs'
import { prepRead } from '../../../src/ring/prep/index.js'
import {
  registerIowqAff,
  registerIowqMaxWorkers,
  registerRestrictions,
  unregisterIowqAff,
} from '../../../src/ring/register/index.js'
import { Ring } from '../../../src/ring/ring.js'
import { IORING_SETUP_R_DISABLED, IOSQE_ASYNC } from '../../../src/syscalls/abi/index.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { assert, needs, test } from '../../harness.js'
import { eventually, nextSqe, openPipe, spied } from '../drive.js'
import { completions, memory } from './fixture.js'

const SYSCALL = 'io_uring_register'

/** Where each worker thread of this process may run, as the kernel writes it: `0-1`. */
function workerCpus(): string[] {
  return readdirSync('/proc/self/task').flatMap((task) => {
    try {
      const status = readFileSync(`/proc/self/task/${task}/status`, 'latin1')
      if (!/^Name:\s+iou-wrk/m.test(status)) return []
      return [/^Cpus_allowed_list:\s+(\S+)/m.exec(status)![1]!]
    } catch {
      return [] // It has ended since the folder was listed.
    }
  })
}

function firstCpu(): number {
  const status = readFileSync('/proc/self/status', 'latin1')
  return Number.parseInt(/^Cpus_allowed_list:\s+(\d+)/m.exec(status)![1]!, 10)
}

// First, while this process has no workers yet: they are shared by all rings of the thread.
test(
  'registerIowqAff() binds the workers, unregisterIowqAff() sets them free',
  needs({ linux: '5.14' }, () => {
    using ring = Ring.open({ entries: 8 })
    const pipe = openPipe()
    const cpu = firstCpu()
    const target = memory(1)
    registerIowqAff(ring, [cpu])
    prepRead(nextSqe(ring), pipe.readEnd, addressOf(target), 1, -1).addFlags(IOSQE_ASYNC)
    ring.submit()
    assert.ok(eventually(() => workerCpus().length > 0))
    assert.equal([...new Set(workerCpus())], [String(cpu)])
    unregisterIowqAff(ring)
    closeSync(pipe.writeEnd)
    completions(ring, 1)
    closeSync(pipe.readEnd)
  }),
)

test(
  'registerIowqMaxWorkers() sets bounds and returns the previous ones',
  needs({ linux: '5.15' }, () => {
    using ring = Ring.open({ entries: 8 })
    const initial = registerIowqMaxWorkers(ring)
    assert.ok(initial.bounded > 0 && initial.unbounded > 0)
    assert.equal(registerIowqMaxWorkers(ring, { bounded: 3, unbounded: 5 }), initial)
    assert.equal(registerIowqMaxWorkers(ring, { unbounded: 4 }), { bounded: 3, unbounded: 5 })
    assert.equal(registerIowqMaxWorkers(ring), { bounded: 3, unbounded: 4 })
  }),
)

test(
  'registerIowqMaxWorkers() bounds the threads that there are',
  needs({ linux: '5.15' }, () => {
    using ring = Ring.open({ entries: 8 })
    registerIowqMaxWorkers(ring, { unbounded: 1 })
    const pipe = openPipe()
    const targets = [memory(1), memory(1), memory(1)]
    for (const target of targets)
      prepRead(nextSqe(ring), pipe.readEnd, addressOf(target), 1, -1).addFlags(IOSQE_ASYNC)
    ring.submitAndWait(1, 50)
    assert.ok(workerCpus().length <= 1, `${workerCpus().length} workers`)
    closeSync(pipe.writeEnd)
    assert.is(completions(ring, 3).length, 3)
    closeSync(pipe.readEnd)
  }),
)

test(
  'registerIowqAff() and unregisterIowqAff() throw EACCES on a ring that is restricted',
  needs({ linux: '5.14' }, () => {
    using ring = Ring.open({ entries: 8, flags: IORING_SETUP_R_DISABLED })
    registerRestrictions(ring, [{ sqeOp: 0 }])
    ring.enable()
    assert.throws(() => registerIowqAff(ring, [firstCpu()]), { code: 'EACCES', syscall: SYSCALL })
    assert.throws(() => unregisterIowqAff(ring), { code: 'EACCES', syscall: SYSCALL })
    assert.throws(() => registerIowqMaxWorkers(ring), { code: 'EACCES', syscall: SYSCALL })
  }),
)

test(
  'registerIowqAff() names the cpuset when the kernel answers EINVAL',
  needs({ ring: true }, () => {
    using ring = Ring.open({ entries: 8 }, spied({ register: () => -22 }))
    assert.throws(() => registerIowqAff(ring, [0]), { code: 'EINVAL', message: /cpuset/ })
  }),
)

test(
  'worker settings refuse bad arguments before the kernel is asked',
  needs({ ring: true }, () => {
    const calls = spied()
    using ring = Ring.open({ entries: 8 }, calls)
    const before = calls.counts.register
    assert.throws(() => registerIowqAff(ring, 0 as never), { code: 'ERR_INVALID_ARG_TYPE' })
    assert.throws(() => registerIowqAff(ring, []), { code: 'ERR_OUT_OF_RANGE' })
    assert.throws(() => registerIowqAff(ring, [-1]), { code: 'ERR_OUT_OF_RANGE' })
    assert.throws(() => registerIowqAff(ring, [8192]), { code: 'ERR_OUT_OF_RANGE' })
    assert.throws(() => registerIowqMaxWorkers(ring, { bounded: -1 }), { code: 'ERR_OUT_OF_RANGE' })
    assert.throws(() => registerIowqMaxWorkers(ring, { bound: 1 } as never), {
      code: 'ERR_INVALID_ARG_VALUE',
    })
    assert.is(calls.counts.register, before)
  }),
)

test.run()
