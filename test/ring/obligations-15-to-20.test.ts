// What a binding owes the kernel (docs/obligations.md), obligations 15 to 20: refusals by name, teardown that leaves nothing,
// waking the SQPOLL thread, memory that stays while it is in use. Obligation 17 at length: leaks.test.ts.

import { prepRead } from '../../src/ring/prep/read-write.js'
import { Ring } from '../../src/ring/ring.js'
import {
  IORING_ENTER_SQ_WAKEUP,
  IORING_SETUP_SQPOLL,
  IORING_SQ_NEED_WAKEUP,
} from '../../src/syscalls/abi/index.js'
import { close, write } from '../../src/syscalls/libc.js'
import { addressOf, MappedRegion } from '../../src/syscalls/memory.js'
import { kernelCalls } from '../../src/syscalls/uring-calls.js'
import { assert, needs, test } from '../harness.js'
import {
  block,
  complete,
  eventually,
  nextSqe,
  openPipe,
  queueNops,
  reap,
  ringDescriptors,
  ringMappings,
  runChild,
  runWith,
  spied,
  sqpollThreads,
  thrown,
} from './drive.js'
import { FakeRing } from './fake-ring.js'

for (const [code, errno] of [
  ['ENOMEM', -12],
  ['EPERM', -1],
  ['ENOSYS', -38],
  ['EINVAL', -22],
  ['EMFILE', -24],
] as const) {
  test(`obligation 15, 20: a setup refused with ${code} is a SystemError that says so`, () => {
    const error = thrown(() => Ring.open({ entries: 4 }, spied({ setup: () => errno })))
    assert.is(error.code, code)
    assert.is(error.errno, errno)
    assert.is(error.syscall, 'io_uring_setup')
    assert.ok(error.message.startsWith(`${code}: `), error.message)
    assert.ok(error.message.endsWith(', io_uring_setup'), error.message)
  })
}

interface Report {
  readonly uid: number
  readonly seen: readonly number[][]
  readonly left: { readonly descriptors: number; readonly mappings: number; readonly threads: number }
  readonly opened: { readonly code?: string; readonly syscall?: string }
  readonly registered: number
}

let unprivileged: Report | undefined

/** What the child under a memory limit of 16 KiB reported; it runs once. */
function report(): Report {
  unprivileged ??= JSON.parse(
    runWith(['sh', '-c', 'ulimit -l 16 && exec "$@"', 'sh'], 'unprivileged.ts'),
  ) as Report
  return unprivileged
}

test(
  'obligation 15: an unprivileged user under RLIMIT_MEMLOCK gets ENOMEM, or a ring that counts none of it',
  needs({ root: true, setup: 'IORING_SETUP_SQPOLL', command: 'sh' }, () => {
    const { uid, opened, registered } = report()
    assert.is(uid, 65534)
    if (opened.code === undefined) assert.is(registered, -12)
    else assert.equal([opened.code, opened.syscall], ['ENOMEM', 'io_uring_setup'])
  }),
)

test(
  'obligation 16: a ring made as root is used and closed without any capability',
  needs({ root: true, setup: 'IORING_SETUP_SQPOLL', command: 'sh' }, () => {
    const { seen, left } = report()
    assert.equal(seen, [
      [1, 2],
      [1, 2],
    ])
    assert.equal(left, { descriptors: 0, mappings: 0, threads: 0 })
  }),
)

test(
  'obligation 17: close() unmaps every region and closes the descriptor, and the SQPOLL thread ends',
  needs({ setup: 'IORING_SETUP_SQPOLL' }, () => {
    const ring = Ring.open({ entries: 8, flags: IORING_SETUP_SQPOLL, sqThreadIdleMs: 1000 })
    // The thread takes its name when it first runs.
    assert.ok(eventually(() => sqpollThreads().length === 1))
    assert.equal([ringDescriptors().length, ringMappings().length], [1, 2])
    ring.close()
    assert.equal([ringDescriptors().length, ringMappings().length], [0, 0])
    assert.ok(eventually(() => sqpollThreads().length === 0))
  }),
)

test(
  'obligation 17: a mapping left behind would keep the SQPOLL thread alive',
  needs({ setup: 'IORING_SETUP_SQPOLL' }, () => {
    const ring = Ring.open({ entries: 8, flags: IORING_SETUP_SQPOLL })
    const forgotten = MappedRegion.ofFile(ring.fd, 4096, 0)
    assert.ok(eventually(() => sqpollThreads().length === 1))
    ring.close()
    assert.not(eventually(() => sqpollThreads().length === 0, 200))
    forgotten.unmap()
    assert.ok(eventually(() => sqpollThreads().length === 0))
  }),
)

test(
  'obligation 18: a sleeping SQPOLL thread is woken',
  needs({ setup: 'IORING_SETUP_SQPOLL' }, () => {
    let swallow = true
    let wakeups = 0
    const calls = spied({
      enter(fd, toSubmit, minComplete, flags, arg, argBytes) {
        if (flags & IORING_ENTER_SQ_WAKEUP) wakeups++
        return swallow ? toSubmit : kernelCalls.enter(fd, toSubmit, minComplete, flags, arg, argBytes)
      },
    })
    const ring = Ring.open({ entries: 8, flags: IORING_SETUP_SQPOLL, sqThreadIdleMs: 1 }, calls)
    assert.ok(eventually(() => (ring.sqFlags & IORING_SQ_NEED_WAKEUP) !== 0))
    queueNops(ring, 1)
    ring.submit()
    assert.is(wakeups, 1)
    // The wakeup did not get through: the thread sleeps on, the entry stays.
    block(30)
    assert.equal([ring.cqReady, ring.sqPending], [0, 1])
    swallow = false
    assert.is(ring.submit(), 1)
    assert.is(wakeups, 2)
    assert.ok(eventually(() => ring.cqReady === 1))
    assert.equal(reap(ring), [1])
    ring.close()
  }),
)

test('obligation 18: the flags are loaded after the tail is stored', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 4, flags: IORING_SETUP_SQPOLL }, fake)
  const order: string[] = []
  const { load, store } = Atomics
  queueNops(ring, 1)
  Atomics.load = ((array: Int32Array, index: number) => {
    if (index === fake.at('sq', 'flags')) order.push('load flags')
    return load(array, index)
  }) as typeof Atomics.load
  Atomics.store = ((array: Int32Array, index: number, value: number) => {
    if (index === fake.at('sq', 'tail')) order.push('store tail')
    return store(array, index, value)
  }) as typeof Atomics.store
  try {
    ring.submit()
  } finally {
    Object.assign(Atomics, { load, store })
  }
  assert.equal(order, ['store tail', 'load flags'])
  assert.is(fake.enters.length, 0, 'awake: no system call')
  fake.setWord('sq', 'flags', IORING_SQ_NEED_WAKEUP)
  queueNops(ring, 2)
  ring.submit()
  assert.equal(fake.enters.at(-1), {
    fd: ring.fd,
    toSubmit: 2,
    minComplete: 0,
    flags: IORING_ENTER_SQ_WAKEUP,
  })
  ring.close()
  fake.dispose()
})

test(
  'obligation 19: held memory stays where it is while the kernel may write to it',
  needs({ opcode: 'IORING_OP_READ' }, () => {
    const ring = Ring.open({ entries: 4 })
    const { readEnd, writeEnd } = openPipe()
    ring.hold('buffer', new Uint8Array(new ArrayBuffer(4096)))
    prepRead(nextSqe(ring), readEnd, addressOf(ring.held('buffer') as Uint8Array), 4096, 0).setUserData(1)
    ring.submit()
    // Churn, so that memory let go of would be used for something else.
    const churn: Uint8Array[] = []
    for (let round = 0; round < 200; round++) churn.push(new Uint8Array(new ArrayBuffer(4096)).fill(7))
    write(writeEnd, addressOf(Buffer.from('arrived')), 7)
    assert.equal([...complete(ring, 1)], [[1, 7]])
    const bytes = ring.held('buffer') as Uint8Array
    assert.is(Buffer.from(bytes.subarray(0, 7)).toString(), 'arrived')
    assert.ok(churn.every((block) => block.every((byte) => byte === 7)))
    ring.hold('buffer', undefined)
    assert.is(ring.held('buffer'), undefined)
    ring.close()
    close(readEnd)
    close(writeEnd)
  }),
)

for (const [code, errno] of [
  ['EPERM', 1],
  ['ENOSYS', 38],
] as const) {
  test(
    `obligation 20: a seccomp filter that answers ${code} is named`,
    needs({ ring: true }, () => {
      const error = JSON.parse(runChild('refused.ts', String(errno)))
      assert.is(error.code, code)
      assert.is(error.errno, -errno)
      assert.is(error.syscall, 'io_uring_setup')
      assert.is(error.name, 'Error')
    }),
  )
}

test.run()
