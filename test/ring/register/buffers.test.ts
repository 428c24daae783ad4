import { spawnSync } from 'node:child_process'
import { closeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { prepPollAdd, prepReadFixed, prepWriteFixed } from '../../../src/ring/prep/index.js'
import {
  cloneBuffers,
  cloneBuffersOffset,
  registerBuffers,
  registerBuffersSparse,
  registerBuffersUpdateTag,
  releaseBufferTag,
  unregisterBuffers,
} from '../../../src/ring/register/index.js'
import { Ring } from '../../../src/ring/ring.js'
import {
  IORING_REGISTER_BUFFERS,
  IORING_REGISTER_DST_REPLACE,
  IORING_SETUP_NO_MMAP,
  IORING_SETUP_REGISTERED_FD_ONLY,
  IORING_SETUP_SINGLE_ISSUER,
} from '../../../src/syscalls/abi/index.js'
import { addressOf, MappedRegion } from '../../../src/syscalls/memory.js'
import type { UringCalls } from '../../../src/syscalls/uring-calls.js'
import { assert, kernelIsAtLeast, needs, test } from '../../harness.js'
import { PATIENCE } from '../../patience.js'
import { changingLength, countingRegister, nextSqe, openPipe, spied } from '../drive.js'
import { collectGarbage, completions, fileWith, isQuiet, memory, result, text } from './fixture.js'

const SYSCALL = 'io_uring_register'

/** The release from which on an unregister posts the tags of what it removes; before, only a replacement does. */
const UNREGISTER_POSTS_TAGS = '6.13'

test(
  'registerBuffers() makes buffers that READ_FIXED and WRITE_FIXED use',
  needs({ ring: true }, () => {
    using ring = Ring.open({ entries: 8 })
    using file = fileWith('0123456789')
    const source = memory(16)
    const target = memory(16)
    const region = MappedRegion.anonymous(4096)
    registerBuffers(ring, [source, target.buffer, region, new DataView(memory(8).buffer, 4, 2)])
    assert.is(
      result(ring, (sqe) => prepReadFixed(sqe, file.fd, addressOf(source), 10, 0, 0)),
      10,
    )
    assert.is(text(source, 10), '0123456789')
    source.set(Buffer.from('abc'))
    assert.is(
      result(ring, (sqe) => prepWriteFixed(sqe, file.fd, addressOf(source), 3, 4, 0)),
      3,
    )
    assert.is(
      result(ring, (sqe) => prepReadFixed(sqe, file.fd, addressOf(target) + 2, 10, 0, 1)),
      10,
    )
    assert.is(text(target.subarray(2), 10), '0123abc789')
    assert.is(
      result(ring, (sqe) => prepReadFixed(sqe, file.fd, region.address, 4, 0, 2)),
      4,
    )
    assert.is(text(new Uint8Array(region.buffer), 4), '0123')
    // A range past the end of the buffer, and a slot past the end of the table.
    assert.is(
      result(ring, (sqe) => prepReadFixed(sqe, file.fd, addressOf(target), 17, 0, 1)),
      'EFAULT',
    )
    assert.is(
      result(ring, (sqe) => prepReadFixed(sqe, file.fd, addressOf(target), 1, 0, 4)),
      'EFAULT',
    )
    unregisterBuffers(ring)
    assert.is(
      result(ring, (sqe) => prepReadFixed(sqe, file.fd, addressOf(target), 1, 0, 1)),
      'EFAULT',
    )
    region.unmap()
  }),
)

test(
  'registerBuffers() throws EBUSY when there is a table, EFAULT for a mapped file',
  needs({ ring: true }, () => {
    using ring = Ring.open({ entries: 8 })
    registerBuffers(ring, [memory(8)])
    assert.throws(() => registerBuffers(ring, [memory(8)]), {
      code: 'EBUSY',
      syscall: SYSCALL,
      message: /unregister them/,
    })
    unregisterBuffers(ring)
    assert.throws(() => unregisterBuffers(ring), {
      code: 'ENXIO',
      syscall: SYSCALL,
      message: /no buffers are/,
    })
    using file = fileWith('x'.repeat(4096))
    const region = MappedRegion.ofFile(file.fd, 4096, 0, { prot: 1 })
    assert.throws(() => registerBuffers(ring, [region]), {
      code: 'EFAULT',
      syscall: SYSCALL,
      message: /file-backed/,
    })
    region.unmap()
    // What failed left no table behind.
    registerBuffers(ring, [memory(8)])
  }),
)

test(
  'registerBuffers() names RLIMIT_MEMLOCK and its value when the kernel answers ENOMEM',
  needs({ ring: true }, () => {
    const calls = spied({ register: () => -12 } satisfies Partial<UringCalls>)
    using ring = Ring.open({ entries: 8 }, calls)
    assert.throws(() => registerBuffers(ring, [memory(8)]), {
      code: 'ENOMEM',
      message: /RLIMIT_MEMLOCK, which is (\d+ bytes|unlimited)/,
    })
  }),
)

test(
  'registerBuffers() throws ENOMEM with the limit when an unprivileged user passes it',
  needs({ linux: '5.12', root: true, command: 'sh' }, () => {
    const script = fileURLToPath(new URL('children/memlock.ts', import.meta.url))
    const command = 'ulimit -l 256; exec "$0" --import "$1" "$2"'
    const child = spawnSync('sh', ['-c', command, process.execPath, import.meta.resolve('tsx'), script], {
      encoding: 'utf8',
      timeout: 30_000 * PATIENCE,
    })
    assert.is(child.status, 0, child.stderr)
    const { message, ...error } = JSON.parse(child.stdout)
    assert.equal(error, { code: 'ENOMEM', errno: -12, syscall: SYSCALL })
    assert.match(message, /RLIMIT_MEMLOCK, which is 262144 bytes/)
  }),
)

test(
  'registerBuffers() names the kernel that is needed when the kernel answers EINVAL',
  needs({ ring: true }, () => {
    using ring = Ring.open({ entries: 8 }, spied({ register: () => -22 }))
    assert.throws(() => registerBuffersSparse(ring, 4), {
      code: 'EINVAL',
      message: /IORING_REGISTER_BUFFERS2.*5\.13/,
    })
  }),
)

test(
  'registerBuffers() refuses bad arguments before the kernel is asked',
  needs({ ring: true }, () => {
    const calls = spied()
    using ring = Ring.open({ entries: 8 }, calls)
    const before = calls.counts.register
    const type = { code: 'ERR_INVALID_ARG_TYPE' }
    const range = { code: 'ERR_OUT_OF_RANGE' }
    const value = { code: 'ERR_INVALID_ARG_VALUE' }
    assert.throws(() => registerBuffers(ring, memory(8) as never), type)
    assert.throws(() => registerBuffers(ring, []), range)
    assert.throws(() => registerBuffers(ring, ['x' as never]), type)
    assert.throws(() => registerBuffers(ring, [new SharedArrayBuffer(8) as never]), type)
    assert.throws(() => registerBuffers(ring, [memory(0)]), range)
    assert.throws(() => registerBuffers(ring, [{ address: 4096, length: 2 ** 30 + 1 }]), range)
    assert.throws(() => registerBuffers(ring, [{ address: 0, length: 1 }]), range)
    assert.throws(() => registerBuffers(ring, new Array(16385).fill(null)), range)
    assert.throws(() => registerBuffers(ring, [null], { tag: [1] } as never), value)
    assert.throws(() => registerBuffers(ring, [memory(8)], { tags: [] }), range)
    assert.throws(() => registerBuffers(ring, [memory(8)], { tags: [-1] }), range)
    assert.throws(() => registerBuffers(ring, [memory(8)], { tags: [1n << 64n] }), range)
    assert.throws(() => registerBuffers(ring, [memory(8)], { tags: ['1' as never] }), type)
    assert.throws(() => registerBuffers(ring, [null], { tags: [1] }), value)
    assert.throws(() => registerBuffersSparse(ring, 0), range)
    assert.throws(() => registerBuffersUpdateTag(ring, -1, [memory(8)]), range)
    assert.throws(() => registerBuffersUpdateTag(ring, 16383, [null, null]), range)
    assert.throws(() => releaseBufferTag(ring, -1), range)
    assert.is(calls.counts.register, before)
  }),
)

test(
  'any registration throws ERR_INVALID_STATE when the ring is closed',
  needs({ ring: true }, () => {
    const ring = Ring.open({ entries: 8 })
    ring.close()
    assert.throws(() => registerBuffers(ring, [memory(8)]), { code: 'ERR_INVALID_STATE' })
    assert.throws(() => unregisterBuffers(ring), { code: 'ERR_INVALID_STATE' })
    assert.is(releaseBufferTag(ring, 1), false)
  }),
)

test(
  'registerBuffersSparse() makes empty slots that an update fills and empties',
  needs({ linux: '5.19' }, () => {
    using ring = Ring.open({ entries: 8 })
    using file = fileWith('sparse')
    registerBuffersSparse(ring, 4)
    const target = memory(8)
    const read = (slot: number): number | string =>
      result(ring, (sqe) => prepReadFixed(sqe, file.fd, addressOf(target), 6, 0, slot))
    assert.is(read(2), 'EFAULT')
    assert.is(registerBuffersUpdateTag(ring, 2, [target, null]), 2)
    assert.is(read(2), 6)
    assert.is(text(target, 6), 'sparse')
    assert.is(registerBuffersUpdateTag(ring, 2, [null]), 1)
    assert.is(read(2), 'EFAULT')
    assert.throws(() => registerBuffersUpdateTag(ring, 3, [target, target]), {
      code: 'EINVAL',
      syscall: SYSCALL,
    })
  }),
)

test(
  'registerBuffersUpdateTag() throws ENXIO without a table, and replaces up to a refused buffer',
  needs({ linux: '5.19' }, () => {
    using ring = Ring.open({ entries: 8 })
    assert.throws(() => registerBuffersUpdateTag(ring, 0, [memory(8)]), { code: 'ENXIO' })
    using file = fileWith('partial')
    const region = MappedRegion.ofFile(file.fd, 4096, 0, { prot: 1 })
    registerBuffersSparse(ring, 3)
    const first = memory(8)
    assert.is(registerBuffersUpdateTag(ring, 0, [first, region, memory(8)]), 1)
    assert.is(
      result(ring, (sqe) => prepReadFixed(sqe, file.fd, addressOf(first), 7, 0, 0)),
      7,
    )
    assert.throws(() => registerBuffersUpdateTag(ring, 1, [region]), { code: 'EFAULT' })
    region.unmap()
  }),
)

test(
  'a tag comes back as user_data once its buffer is replaced, and once it is unregistered',
  needs({ linux: '5.13' }, () => {
    using ring = Ring.open({ entries: 8 })
    const big = 0xfedc_ba98_7654_3210n
    registerBuffers(ring, [memory(8), memory(8), memory(8)], { tags: [big, 7, 0] })
    assert.ok(isQuiet(ring))
    assert.is(registerBuffersUpdateTag(ring, 0, [memory(8)], [11n]), 1)
    assert.equal(completions(ring, 1), [{ low: 0x7654_3210, high: 0xfedc_ba98, res: 0, flags: 0 }])
    assert.is(releaseBufferTag(ring, 0x7654_3210, 0xfedc_ba98), true)
    assert.is(releaseBufferTag(ring, 0x7654_3210, 0xfedc_ba98), false)
    assert.is(releaseBufferTag(ring, 7), false)
    unregisterBuffers(ring)
    if (!kernelIsAtLeast(UNREGISTER_POSTS_TAGS)) {
      assert.ok(isQuiet(ring))
      return
    }
    const tags = completions(ring, 2).map((completion) => completion.low)
    assert.equal(
      tags.sort((a, b) => a - b),
      [7, 11],
    )
    assert.is(releaseBufferTag(ring, 7), true)
    assert.is(releaseBufferTag(ring, 11), true)
  }),
)

test(
  'the tag of a replaced buffer waits for the operation that uses it',
  needs({ linux: '6.13' }, () => {
    using ring = Ring.open({ entries: 8 })
    const pipe = openPipe()
    const target = memory(8)
    registerBuffers(ring, [target], { tags: [99] })
    prepReadFixed(nextSqe(ring), pipe.readEnd, addressOf(target), 8, -1, 0).setUserData(1)
    ring.submit()
    registerBuffersUpdateTag(ring, 0, [memory(8)])
    assert.ok(isQuiet(ring))
    prepWriteFixed(nextSqe(ring), pipe.writeEnd, addressOf(target), 4, -1, 0).setUserData(2)
    const seen = completions(ring, 1)
    // The range is not inside the new buffer.
    assert.equal([seen[0]!.low, seen[0]!.res], [2, -14])
    const other = memory(4)
    registerBuffersUpdateTag(ring, 0, [other])
    prepWriteFixed(nextSqe(ring), pipe.writeEnd, addressOf(other), 4, -1, 0).setUserData(3)
    const order = completions(ring, 3).map((completion) => completion.low)
    assert.equal(
      [...order].sort((a, b) => a - b),
      [1, 3, 99],
    )
    assert.ok(order.indexOf(99) > order.indexOf(1), 'the tag comes after the read')
    closeSync(pipe.readEnd)
    closeSync(pipe.writeEnd)
  }),
)

interface Dropped {
  readonly weak: WeakRef<ArrayBuffer>
  readonly address: number
}

// In functions of their own, so that no variable of the test refers to the memory.
function registerDropped(ring: Ring, tag?: number): Dropped {
  const view = memory(65536)
  registerBuffers(ring, [view], tag === undefined ? {} : { tags: [tag] })
  return { weak: new WeakRef(view.buffer), address: addressOf(view) }
}

function contentOf(dropped: Dropped, length: number): string {
  return text(new Uint8Array(dropped.weak.deref()!, 0, length))
}

test(
  'a registered buffer outlives its last JavaScript reference, until it is unregistered',
  needs({ ring: true }, async () => {
    const ring = Ring.open({ entries: 8 })
    using file = fileWith('kept alive')
    const dropped = registerDropped(ring)
    await collectGarbage()
    assert.is(
      result(ring, (sqe) => prepReadFixed(sqe, file.fd, dropped.address, 10, 0, 0)),
      10,
    )
    assert.is(contentOf(dropped, 10), 'kept alive')
    unregisterBuffers(ring)
    await collectGarbage()
    assert.is(dropped.weak.deref(), undefined)
    ring.close()
  }),
)

test(
  'a replaced buffer is let go of, and close() lets go of the rest',
  needs({ linux: '5.13' }, async () => {
    const ring = Ring.open({ entries: 8 })
    const first = registerDropped(ring)
    registerBuffersUpdateTag(ring, 0, [memory(8)])
    await collectGarbage()
    assert.is(first.weak.deref(), undefined)
    unregisterBuffers(ring)
    const second = registerDropped(ring)
    await collectGarbage()
    assert.ok(second.weak.deref() !== undefined)
    ring.close()
    await collectGarbage()
    assert.is(second.weak.deref(), undefined)
  }),
)

test(
  'a tagged buffer is held until releaseBufferTag()',
  needs({ linux: UNREGISTER_POSTS_TAGS }, async () => {
    using ring = Ring.open({ entries: 8 })
    const dropped = registerDropped(ring, 5)
    unregisterBuffers(ring)
    await collectGarbage()
    assert.ok(dropped.weak.deref() !== undefined)
    assert.is(completions(ring, 1)[0]!.low, 5)
    assert.is(releaseBufferTag(ring, 5), true)
    await collectGarbage()
    assert.is(dropped.weak.deref(), undefined)
  }),
)

test(
  'two buffers under one tag are held until both CQEs',
  needs({ linux: UNREGISTER_POSTS_TAGS }, () => {
    using ring = Ring.open({ entries: 8 })
    registerBuffers(ring, [memory(8), memory(8)], { tags: [3, 3] })
    unregisterBuffers(ring)
    assert.equal(
      completions(ring, 2).map((completion) => completion.low),
      [3, 3],
    )
    assert.equal(
      [releaseBufferTag(ring, 3), releaseBufferTag(ring, 3), releaseBufferTag(ring, 3)],
      [true, true, false],
    )
  }),
)

test(
  'cloneBuffers() copies the table, and the destination keeps the memory alive',
  needs({ linux: '6.12' }, async () => {
    const source = Ring.open({ entries: 8 })
    using destination = Ring.open({ entries: 8 })
    using file = fileWith('cloned')
    const dropped = registerDropped(source)
    cloneBuffers(destination, source)
    assert.throws(() => cloneBuffers(destination, source), { code: 'EBUSY', message: /DST_REPLACE/ })
    source.close()
    await collectGarbage()
    assert.is(
      result(destination, (sqe) => prepReadFixed(sqe, file.fd, dropped.address, 6, 0, 0)),
      6,
    )
    assert.is(contentOf(dropped, 6), 'cloned')
    unregisterBuffers(destination)
    await collectGarbage()
    assert.is(dropped.weak.deref(), undefined)
  }),
)

test(
  'cloneBuffers() throws ENXIO without a source table, ERR_INVALID_STATE for a closed source',
  needs({ linux: '6.12' }, () => {
    const source = Ring.open({ entries: 8 })
    using destination = Ring.open({ entries: 8 })
    assert.throws(() => cloneBuffers(destination, source), { code: 'ENXIO', syscall: SYSCALL })
    source.close()
    assert.throws(() => cloneBuffers(destination, source), { code: 'ERR_INVALID_STATE' })
  }),
)

test(
  'cloneBuffersOffset() copies a range to where it is told',
  needs({ linux: '6.13' }, () => {
    using source = Ring.open({ entries: 8 })
    using destination = Ring.open({ entries: 8 })
    using file = fileWith('range')
    const buffers = [memory(8), memory(8), memory(8), memory(8)]
    registerBuffers(source, buffers)
    cloneBuffersOffset(destination, source, 5, 1, 2)
    const read = (buffer: number, slot: number): number | string =>
      result(destination, (sqe) => prepReadFixed(sqe, file.fd, addressOf(buffers[buffer]!), 5, 0, slot))
    assert.equal([read(1, 5), read(2, 6)], [5, 5])
    assert.equal([read(0, 4), read(2, 5), read(3, 7)], ['EFAULT', 'EFAULT', 'EFAULT'])
    cloneBuffersOffset(destination, source, 6, 3, 1, IORING_REGISTER_DST_REPLACE)
    assert.equal([read(1, 5), read(3, 6), read(2, 6)], [5, 5, 'EFAULT'])
    assert.throws(() => cloneBuffersOffset(destination, source, 0, 3, 2, IORING_REGISTER_DST_REPLACE), {
      code: 'EOVERFLOW',
    })
    assert.throws(() => cloneBuffersOffset(destination, source, 0, 0, 0, 4), { code: 'ERR_OUT_OF_RANGE' })
  }),
)

test(
  'cloneBuffersOffset() posts the tag of a buffer that it replaces',
  needs({ linux: '6.13' }, () => {
    using source = Ring.open({ entries: 8 })
    using destination = Ring.open({ entries: 8 })
    registerBuffers(source, [memory(8)])
    registerBuffers(destination, [memory(8), memory(8)], { tags: [21, 22] })
    cloneBuffersOffset(destination, source, 1, 0, 1, IORING_REGISTER_DST_REPLACE)
    assert.equal(
      completions(destination, 1).map((completion) => completion.low),
      [22],
    )
    assert.equal([releaseBufferTag(destination, 22), releaseBufferTag(destination, 21)], [true, false])
    unregisterBuffers(destination)
    assert.equal(
      completions(destination, 1).map((completion) => completion.low),
      [21],
    )
  }),
)

test(
  'cloneBuffers() finds a source that has no descriptor',
  needs({ linux: '6.12' }, () => {
    using source = Ring.open({ entries: 8, flags: IORING_SETUP_NO_MMAP | IORING_SETUP_REGISTERED_FD_ONLY })
    using destination = Ring.open({ entries: 8, flags: IORING_SETUP_SINGLE_ISSUER })
    using file = fileWith('hidden')
    const target = memory(8)
    registerBuffers(source, [target])
    cloneBuffers(destination, source)
    assert.is(
      result(destination, (sqe) => prepReadFixed(sqe, file.fd, addressOf(target), 6, 0, 0)),
      6,
    )
  }),
)

test(
  'unregisterBuffers() leaves an operation in flight its buffer',
  needs({ linux: '6.13' }, () => {
    using ring = Ring.open({ entries: 8 })
    const fifo = openPipe()
    const target = memory(8)
    registerBuffers(ring, [target])
    prepReadFixed(nextSqe(ring), fifo.readEnd, addressOf(target), 8, -1, 0).setUserData(1)
    prepPollAdd(nextSqe(ring), fifo.writeEnd, 4).setUserData(2)
    assert.equal(completions(ring, 1)[0]!.low, 2)
    unregisterBuffers(ring)
    closeSync(fifo.writeEnd)
    assert.equal(completions(ring, 1), [{ low: 1, high: 0, res: 0, flags: 0 }])
    closeSync(fifo.readEnd)
  }),
)

test(
  'an array that grows while it is read: the kernel is told of as many buffers as there is memory for',
  needs({ ring: true }, () => {
    const { calls, counts } = countingRegister(IORING_REGISTER_BUFFERS)
    using ring = Ring.open({ entries: 8 }, calls)
    const growing = changingLength<null>([null, null, null], [1, 1, 3])
    registerBuffers(ring, growing)
    // The third reading of its length was the count, and the memory was that of one.
    assert.is(counts[0], 1)
    unregisterBuffers(ring)
  }),
)

test.run()
