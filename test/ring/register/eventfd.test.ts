import { prepNop } from '../../../src/ring/prep/index.js'
import { registerEventfd, registerEventfdAsync, unregisterEventfd } from '../../../src/ring/register/index.js'
import { Ring } from '../../../src/ring/ring.js'
import { IOSQE_ASYNC } from '../../../src/syscalls/abi/index.js'
import { close, eventfd, read } from '../../../src/syscalls/libc.js'
import { addressOf } from '../../../src/syscalls/memory.js'
import { assert, needs, test } from '../../harness.js'
import { nextSqe, openPipe, queueNops, reap } from '../drive.js'
import { completions, memory } from './fixture.js'

const SYSCALL = 'io_uring_register'
const EFD_NONBLOCK = 0x800
const EAGAIN = -11

/** What an eventfd has counted since the last look; 0 when it was not signalled. */
function counted(fd: number): number {
  const value = memory(8)
  const length = read(fd, addressOf(value), 8)
  if (length === EAGAIN) return 0
  assert.is(length, 8)
  return Number(new DataView(value.buffer).getBigUint64(0, true))
}

test(
  'registerEventfd() signals completions, until it is muted or unregistered',
  needs({ linux: '5.8' }, () => {
    using ring = Ring.open({ entries: 8 })
    const signal = eventfd(0, EFD_NONBLOCK)
    registerEventfd(ring, signal)
    queueNops(ring, 1)
    ring.submitAndWait(1)
    assert.is(counted(signal), 1)
    queueNops(ring, 2)
    ring.submitAndWait(1)
    queueNops(ring, 3)
    ring.submitAndWait(1)
    assert.is(counted(signal), 2)
    ring.eventfdEnabled = false
    queueNops(ring, 4)
    ring.submitAndWait(1)
    assert.is(counted(signal), 0)
    ring.eventfdEnabled = true
    unregisterEventfd(ring)
    queueNops(ring, 5)
    ring.submitAndWait(1)
    assert.is(counted(signal), 0)
    assert.equal(reap(ring), [1, 2, 3, 4, 5])
    close(signal)
  }),
)

test(
  'registerEventfd() throws EBUSY when there is one, and for what is no eventfd',
  needs({ ring: true }, () => {
    using ring = Ring.open({ entries: 8 })
    const signal = eventfd(0, EFD_NONBLOCK)
    const pipe = openPipe()
    assert.throws(() => registerEventfd(ring, pipe.readEnd), {
      code: 'EINVAL',
      syscall: SYSCALL,
      message: /no eventfd/,
    })
    assert.throws(() => registerEventfd(ring, 1_000_000), { code: 'EBADF', syscall: SYSCALL })
    assert.throws(() => registerEventfd(ring, -1), { code: 'ERR_OUT_OF_RANGE' })
    assert.throws(() => registerEventfd(ring, '3' as never), { code: 'ERR_INVALID_ARG_TYPE' })
    registerEventfd(ring, signal)
    assert.throws(() => registerEventfd(ring, signal), { code: 'EBUSY', syscall: SYSCALL })
    unregisterEventfd(ring)
    assert.throws(() => unregisterEventfd(ring), {
      code: 'ENXIO',
      syscall: SYSCALL,
      message: /no eventfd is/,
    })
    for (const fd of [signal, pipe.readEnd, pipe.writeEnd]) close(fd)
  }),
)

test(
  'registerEventfdAsync() signals what a worker completes, not what completes while submitted',
  needs({ linux: '5.6' }, () => {
    using ring = Ring.open({ entries: 8 })
    const signal = eventfd(0, EFD_NONBLOCK)
    registerEventfdAsync(ring, signal)
    prepNop(nextSqe(ring)).setUserData(1)
    assert.is(completions(ring, 1)[0]!.low, 1)
    assert.is(counted(signal), 0)
    prepNop(nextSqe(ring)).addFlags(IOSQE_ASYNC).setUserData(2)
    assert.is(completions(ring, 1)[0]!.low, 2)
    assert.is(counted(signal), 1)
    assert.throws(() => registerEventfdAsync(ring, signal), { code: 'EBUSY' })
    close(signal)
  }),
)

test.run()
