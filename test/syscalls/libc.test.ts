// The libc calls: each answers with its value or a negated errno, never with an exception.

import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import {
  EFD_CLOEXEC,
  EFD_NONBLOCK,
  EFD_SEMAPHORE,
  F_GETFD,
  F_GETFL,
  FD_CLOEXEC,
  IORING_REGISTER_LAST,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  O_CLOEXEC,
  O_NONBLOCK,
  PROT_READ,
} from '../../src/syscalls/abi/index.js'
import {
  close,
  dup3,
  eventfd,
  fcntl,
  ioUringEnter,
  ioUringRegister,
  ioUringSetup,
  libcFailure,
  madvise,
  memfdCreate,
  mlock,
  mmap,
  munlock,
  munmap,
  pipe2,
  pointerTo,
  poll,
  read,
  viewMemory,
  write,
} from '../../src/syscalls/libc.js'
import { addressOf, MappedRegion, PAGE_BYTES } from '../../src/syscalls/memory.js'
import { kernelCalls } from '../../src/syscalls/uring-calls.js'
import { assert, needs, test } from '../harness.js'

const { EAGAIN, EBADF, EFAULT, EINVAL, ENOSYS } = constants.errno
const onLinux = { when: (): true | string => process.platform === 'linux' || 'needs Linux' }

function openPipe(flags = 0): [readEnd: number, writeEnd: number] {
  const fds = new Int32Array(2)
  assert.is(pipe2(addressOf(fds), flags), 0)
  return [fds[0]!, fds[1]!]
}

test('without a C library every call answers -ENOSYS', () => {
  if (libcFailure === null) return
  assert.is(close(0), -ENOSYS)
  assert.is(ioUringSetup(1, 0), -ENOSYS)
})

test(
  'a call that fails answers its negated errno',
  needs(onLinux, () => {
    assert.is(close(-1), -EBADF)
    assert.is(fcntl(-1, F_GETFL, 0), -EBADF)
    assert.is(dup3(-1, 5, 0), -EBADF)
    assert.is(read(-1, 0, 1), -EBADF)
    assert.is(write(-1, 0, 1), -EBADF)
    assert.is(pipe2(0, 0), -EFAULT)
    assert.is(pipe2(0, -1), -EINVAL)
    assert.is(eventfd(0, 0x10), -EINVAL)
    assert.is(memfdCreate('x', 0x4000_0000), -EINVAL)
    assert.is(mmap(0, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), -EINVAL)
    assert.is(mmap(0, PAGE_BYTES, PROT_READ, MAP_PRIVATE, -1, 0), -EBADF)
    assert.is(munmap(1, PAGE_BYTES), -EINVAL)
    assert.is(madvise(1, PAGE_BYTES, 0), -EINVAL)
    assert.is(madvise(0, PAGE_BYTES, 9999), -EINVAL)
  }),
)

test(
  'a success after a failure does not see the old errno',
  needs(onLinux, () => {
    assert.is(close(-1), -EBADF)
    const fd = eventfd(0, 0)
    assert.ok(fd >= 0)
    assert.is(close(fd), 0)
  }),
)

test(
  'eventfd() counts what is written and gives it back once',
  needs(onLinux, () => {
    const fd = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC)
    assert.is(fcntl(fd, F_GETFD, 0) & FD_CLOEXEC, FD_CLOEXEC)
    const value = new BigUint64Array(1)
    value[0] = 4n
    assert.is(write(fd, addressOf(value), 8), 8)
    assert.is(read(fd, addressOf(value), 8), 8)
    assert.is(value[0], 7n)
    assert.is(read(fd, addressOf(value), 8), -EAGAIN)
    close(fd)
  }),
)

test(
  'eventfd() as a semaphore gives one at a time',
  needs(onLinux, () => {
    const fd = eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE)
    const value = new BigUint64Array(1)
    for (const expected of [8, 8, -EAGAIN]) assert.is(read(fd, addressOf(value), 8), expected)
    assert.is(value[0], 1n)
    close(fd)
  }),
)

test(
  'pipe2() makes a pipe with the flags asked for',
  needs(onLinux, () => {
    const [readEnd, writeEnd] = openPipe(O_CLOEXEC | O_NONBLOCK)
    assert.is(fcntl(readEnd, F_GETFD, 0), FD_CLOEXEC)
    assert.is(fcntl(writeEnd, F_GETFL, 0) & O_NONBLOCK, O_NONBLOCK)
    const bytes = Buffer.alloc(5)
    assert.is(read(readEnd, addressOf(bytes), 5), -EAGAIN)
    assert.is(write(writeEnd, addressOf(Buffer.from('hello')), 5), 5)
    assert.is(read(readEnd, addressOf(bytes), 5), 5)
    assert.is(bytes.toString(), 'hello')
    assert.is(close(writeEnd), 0)
    assert.is(read(readEnd, addressOf(bytes), 5), 0, 'end of file')
    assert.is(close(readEnd), 0)
    assert.is(close(readEnd), -EBADF)
  }),
)

test(
  'dup3() makes a second descriptor of one file, and refuses the same number',
  needs(onLinux, () => {
    const [readEnd, writeEnd] = openPipe()
    const target = eventfd(0, 0)
    assert.is(dup3(writeEnd, target, O_CLOEXEC), target)
    assert.is(write(target, addressOf(Buffer.from('x')), 1), 1)
    assert.is(read(readEnd, addressOf(Buffer.alloc(1)), 1), 1)
    assert.is(dup3(readEnd, readEnd, 0), -EINVAL)
    for (const fd of [readEnd, writeEnd, target]) close(fd)
  }),
)

test(
  'memfdCreate() gives a descriptor that Node can use',
  needs(onLinux, () => {
    const fd = memfdCreate('libc-test', 0)
    assert.ok(fd > 2)
    closeSync(fd)
    assert.is(close(fd), -EBADF)
  }),
)

test(
  'poll() tells a readable descriptor from one that is not, and waits for the second',
  needs(onLinux, () => {
    const fd = eventfd(1, EFD_NONBLOCK)
    assert.is(poll(fd, 0), 1)
    read(fd, addressOf(new BigUint64Array(1)), 8)
    const start = performance.now()
    assert.is(poll(fd, 20), 0)
    assert.ok(performance.now() - start > 15)
    assert.is(poll(-1, 0), 0)
    close(fd)
  }),
)

test(
  'viewMemory() and pointerTo() are inverse',
  needs(onLinux, () => {
    using region = MappedRegion.anonymous(PAGE_BYTES)
    new Uint8Array(region.buffer)[100] = 42
    const part = viewMemory(region.address + 100, 4)
    assert.is(pointerTo(part), region.address + 100)
    assert.is(new Uint8Array(part)[0], 42)
  }),
)

test(
  'mlock() and munlock() answer 0 or a negated errno',
  needs(onLinux, () => {
    using region = MappedRegion.anonymous(PAGE_BYTES)
    assert.ok(mlock(region.address, PAGE_BYTES) <= 0)
    assert.ok(munlock(region.address, PAGE_BYTES) <= 0)
    // Nothing is mapped on the zero page.
    assert.ok(mlock(0, PAGE_BYTES) < 0)
  }),
)

test(
  'the io_uring calls answer negated errnos for nonsense',
  needs({ ring: true }, () => {
    const params = new Uint8Array(120)
    assert.is(ioUringSetup(0, addressOf(params)), -EINVAL)
    assert.is(ioUringSetup(1, 0), -EFAULT)
    assert.is(ioUringEnter(-1, 0, 0, 0, 0, 0), -EBADF)
    assert.is(ioUringEnter(-1, 0, 0, 0, addressOf(params), 8), -EBADF)
    const fd = kernelCalls.setup(1, addressOf(params))
    assert.ok(fd >= 0)
    assert.is(kernelCalls.enter(fd, 0, 0, 0x4000_0000, 0, 0), -EINVAL)
    assert.is(kernelCalls.enter(fd, 0, 0, 0, 0, 0), 0)
    assert.is(ioUringRegister(fd, IORING_REGISTER_LAST + 1000, 0, 0), -EINVAL)
    // Descriptor -1 would ask for the operations that need no ring.
    assert.is(kernelCalls.register(1_000_000, 0, 0, 0), -EBADF)
    assert.is(close(fd), 0)
  }),
)

test(
  'an enter flag of bit 31 and a register opcode of bit 31 arrive unsigned',
  needs({ linux: '6.3' }, () => {
    const params = new Uint8Array(120)
    const fd = ioUringSetup(1, addressOf(params))
    // Bit 31 of the opcode makes the descriptor an index of a registered ring; there is none.
    assert.is(ioUringRegister(fd, 0x8000_0008, 0, 0), -EINVAL)
    assert.is(ioUringEnter(fd, 0, 0, 0x8000_0000, 0, 0), -EINVAL)
    close(fd)
  }),
)

test.run()
