// The pool of registered buffers: lending, waiting, misuse, several pools in one table.

import { openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { IORING_REGISTER_BUFFERS, IORING_REGISTER_BUFFERS2, kernelCalls } from '../../src/ring/index.js'
import { close, write } from '../../src/syscalls/libc.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { assert, needs, test } from '../harness.js'
import { pipe, TestRing, temporaryFolder, turns, withCalls } from './fixture.js'
import { openUring } from './open-uring.js'

const here = needs.bind(null, { ring: true } as const)
const folder = temporaryFolder()
const EFAULT = -14
const EINVAL = -22

test(
  'a registered buffer is written from and read into by its index',
  here(async () => {
    await using uring = openUring()
    using pool = uring.registerBufferPool({ count: 2, size: 4096 })
    assert.equal([pool.count, pool.size, pool.available], [2, 4096, 2])
    const [one, two] = [pool.tryAcquire()!, pool.tryAcquire()!]
    assert.equal([one.index, two.index], [0, 1])
    assert.is(pool.tryAcquire(), null)
    const path = join(folder, 'file')
    const fd = openSync(path, 'w+')
    one.bytes.write('registered')
    const { index: bufferIndex } = one
    assert.is(await uring.write(fd, one.bytes, { bufferIndex, length: 10, offset: 0 }), 10)
    assert.is(readFileSync(path, 'utf8'), 'registered')
    // A part of the buffer, at any offset.
    const part = two.bytes.subarray(100, 110)
    assert.is(await uring.read(fd, part, { bufferIndex: two.index, offset: 0 }), 10)
    assert.is(part.toString(), 'registered')
    // The kernel holds a transfer to the buffer that was named.
    await assert.rejects(uring.read(fd, one.bytes, { bufferIndex: two.index, offset: 0 }), { code: 'EFAULT' })
    one.release()
    two.release()
    assert.is(pool.available, 2)
    close(fd)
  }),
)

test(
  'acquire() waits in line for what comes back',
  here(async () => {
    await using uring = openUring()
    using pool = uring.registerBufferPool({ count: 1, size: 64 })
    const first = await pool.acquire()
    const order: string[] = []
    const controller = new AbortController()
    const second = pool.acquire().then((buffer) => {
      order.push('second')
      return buffer
    })
    const aborted = pool.acquire({ signal: controller.signal })
    const third = pool.acquire({ signal: new AbortController().signal }).then((buffer) => {
      order.push('third')
      return buffer
    })
    controller.abort()
    await assert.rejects(aborted, { name: 'AbortError' })
    await assert.rejects(pool.acquire({ signal: AbortSignal.abort() }), { name: 'AbortError' })
    first.release()
    ;(await second).release()
    ;(await third).release()
    assert.equal(order, ['second', 'third'])
    assert.is(pool.available, 1)
  }),
)

test(
  'a buffer that was released is of no use any more',
  here(async () => {
    await using uring = openUring()
    using pool = uring.registerBufferPool({ count: 1, size: 64 })
    const buffer = await pool.acquire()
    buffer.release()
    assert.is(buffer.released, true)
    assert.throws(() => buffer.release(), { code: 'ERR_INVALID_STATE', message: /released already/ })
    assert.throws(() => buffer.index, { code: 'ERR_INVALID_STATE' })
    assert.throws(() => buffer.bytes, { code: 'ERR_INVALID_STATE' })
    buffer[Symbol.dispose]()
    assert.is(pool.available, 1)
    {
      using again = await pool.acquire()
      assert.is(again.index, 0)
    }
    assert.is(pool.available, 1)
  }),
)

test(
  'pools share the table of a ring, and leave room when they close',
  here(async () => {
    await using uring = openUring()
    const pools = [4, 1000, 20].map((count) => uring.registerBufferPool({ count, size: 128 }))
    assert.equal(
      pools.map((pool) => pool.tryAcquire()!.index),
      [0, 4, 1004],
    )
    assert.throws(() => uring.registerBufferPool({ count: 1, size: 128 }), {
      code: 'ERR_INVALID_STATE',
      message: /1024/,
    })
    const { blocksInUse } = uring.driver.arena
    assert.is(blocksInUse, 3)
    pools[0]!.close()
    // One buffer is lent still: it keeps the memory and the slots.
    assert.throws(() => uring.registerBufferPool({ count: 4, size: 128 }), { code: 'ERR_INVALID_STATE' })
    assert.throws(() => pools[0]!.tryAcquire(), { code: 'ERR_INVALID_STATE', message: /pool is closed/ })
  }),
)

test(
  'where every slot must have a buffer, one pool at a time has the table',
  here(async () => {
    const slots: number[] = []
    // As kernels answer that know neither sparse tables nor empty slots.
    const calls = withCalls({
      register(fd, opcode, arg, count) {
        if (opcode === IORING_REGISTER_BUFFERS2) return EINVAL
        if (opcode !== IORING_REGISTER_BUFFERS) return kernelCalls.register(fd, opcode, arg, count)
        slots.push(count)
        return count === 2 ? kernelCalls.register(fd, opcode, arg, count) : EFAULT
      },
    })
    await using uring = new TestRing({}, calls)
    const pool = uring.registerBufferPool({ count: 2, size: 64 })
    const buffers = [pool.tryAcquire()!, pool.tryAcquire()!]
    assert.equal(
      buffers.map(({ index }) => index),
      [0, 1],
    )
    assert.throws(() => uring.registerBufferPool({ count: 2, size: 64 }), { message: /Linux 5\.13/ })
    pool.close()
    for (const buffer of buffers) buffer.release()
    // The table is gone with the pool: there is room for the next one.
    assert.is(uring.registerBufferPool({ count: 2, size: 64 }).tryAcquire()!.index, 0)
    assert.equal(slots, [1024, 2, 1024, 2])
  }),
)

test(
  'close() turns away those who wait and unregisters with the last buffer',
  here(async () => {
    await using uring = openUring()
    const pool = uring.registerBufferPool({ count: 1, size: 64 })
    const buffer = await pool.acquire()
    const waiting = pool.acquire()
    pool.close()
    pool.close()
    await assert.rejects(waiting, { code: 'ERR_INVALID_STATE', message: /pool is closed/ })
    assert.is(uring.driver.arena.blocksInUse, 1)
    assert.is(buffer.bytes.length, 64)
    buffer.release()
    assert.is(uring.driver.arena.blocksInUse, 0)
    await assert.rejects(pool.acquire(), { code: 'ERR_INVALID_STATE' })
    const next = uring.registerBufferPool({ count: 1024, size: 64 })
    assert.is(next.tryAcquire()!.index, 0)
    const fd = openSync('/proc/self/stat', 'r')
    await assert.rejects(uring.read(fd, Buffer.alloc(8), { bufferIndex: 1023 }), { code: 'EFAULT' })
    close(fd)
  }),
)

test(
  'memory that was returned while an operation writes it serves nobody else before that has ended',
  here(async () => {
    await using uring = new TestRing()
    const { arena } = uring
    // A large block is unmapped when it is freed, a small one is used again.
    for (const size of [4096, 1 << 25]) {
      const [readEnd, writeEnd] = pipe()
      const pool = uring.registerBufferPool({ count: 1, size })
      const lent = pool.tryAcquire()!
      const { bytes } = lent
      const readings = [
        uring.read(readEnd, bytes.subarray(64, 72)),
        uring.readv(readEnd, [bytes.subarray(8, 16)]),
      ]
      await turns(2)
      lent.release()
      pool.close()
      assert.is(arena.blocksInUse, 2, 'that of the pool, and the vectors')
      const other = arena.alloc(size)
      assert.is.not(other.address, addressOf(bytes))
      arena.free(other)
      write(writeEnd, addressOf(Buffer.from('12345678abcdefgh')), 16)
      assert.equal(await Promise.all(readings), [8, 8])
      // The large one is unmapped by now.
      if (size === 4096)
        assert.equal([String(bytes.subarray(64, 72)), String(bytes.subarray(8, 16))].sort(), [
          '12345678',
          'abcdefgh',
        ])
      else assert.is(bytes.length, 0)
      await turns(1)
      assert.is(arena.blocksInUse, 0)
      close(readEnd)
      close(writeEnd)
    }
  }),
)

test(
  'closing the ring turns away those who wait and empties the buffers',
  here(async () => {
    const uring = openUring()
    const pool = uring.registerBufferPool({ count: 1, size: 64 })
    const buffer = await pool.acquire()
    const { bytes } = buffer
    const waiting = pool.acquire()
    await turns(1)
    await Promise.all([assert.rejects(waiting, { code: 'ERR_INVALID_STATE' }), uring.close()])
    assert.is(bytes.length, 0)
    assert.throws(() => buffer.bytes, { code: 'ERR_INVALID_STATE', message: /ring of this buffer is closed/ })
    buffer.release()
    pool.close()
    assert.throws(() => uring.registerBufferPool(), { code: 'EBADF' })
  }),
)

test(
  'bad options throw',
  here(async () => {
    await using uring = openUring()
    for (const options of [
      { count: 0 },
      { count: 1025 },
      { size: 0 },
      { size: 2 ** 31 },
      { count: 5, size: 2 ** 30 },
    ]) {
      assert.throws(() => uring.registerBufferPool(options), { code: 'ERR_OUT_OF_RANGE' })
    }
    assert.throws(() => uring.registerBufferPool({ count: 5, size: 2 ** 30 }), {
      code: 'ERR_OUT_OF_RANGE',
      message: /options\.count \* options\.size/,
    })
    assert.throws(() => uring.registerBufferPool({ counts: 1 } as never), { code: 'ERR_INVALID_ARG_VALUE' })
    using pool = uring.registerBufferPool()
    assert.throws(() => pool.acquire({ signal: 1 as never }), { code: 'ERR_INVALID_ARG_TYPE' })
  }),
)

test.run()
