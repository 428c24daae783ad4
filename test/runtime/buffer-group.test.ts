// Provided buffers as leases: life of a lease, sharing, incremental use, the older way of providing, closing.

import { SHUT_WR } from '../../src/ring/index.js'
import { BufferGroup } from '../../src/runtime/buffer-group.js'
import type { RingOperations } from '../../src/runtime/operations/ring.js'
import { close } from '../../src/syscalls/libc.js'
import { assert, needs, test, unmet } from '../harness.js'
import { turns, until } from './fixture.js'
import { bindUdp, connectPair, openUring, sendAll } from './open-uring.js'

/** Closed groups have given their memory back: at once, or where operations provide the buffers, after these. */
async function freed({ driver: { arena } }: RingOperations): Promise<void> {
  const byOperations = unmet({ register: 'IORING_REGISTER_PBUF_RING' }) !== null
  if (byOperations) await until(() => arena.blocksInUse === 0, 'the memory being given back')
  assert.is(arena.blocksInUse, 0)
}

const here = needs.bind(null, { ring: true } as const)

test(
  'a lease has its bytes until it is released, once',
  here(async () => {
    await using uring = openUring()
    const [client, server] = await connectPair(uring)
    const group = uring.createBufferGroup({ count: 2, size: 16 })
    assert.equal([group.count, group.size, group.available, group.leaseCount], [2, 16, 2, 0])
    const chunks = uring.recvMultishot(server, { group })
    await uring.send(client, Buffer.from('leased'))
    const lease = (await chunks.next()).value!
    assert.is(lease.length, 6)
    assert.is(lease.bytes.toString(), 'leased')
    assert.is(lease.bytes, lease.bytes)
    assert.is(lease.released, false)
    assert.equal([group.available, group.leaseCount], [1, 1])
    const copy = lease.copy()
    lease.release()
    assert.is(lease.released, true)
    assert.equal([group.available, group.leaseCount], [2, 0])
    assert.throws(() => lease.release(), { code: 'ERR_INVALID_STATE', message: /released already/ })
    assert.throws(() => lease.bytes, { code: 'ERR_INVALID_STATE' })
    assert.throws(() => lease.copy(), { code: 'ERR_INVALID_STATE' })
    lease[Symbol.dispose]()
    assert.equal([group.available, group.leaseCount], [2, 0])
    assert.is(copy.toString(), 'leased')
    await uring.send(client, Buffer.from('next'))
    {
      using next = (await chunks.next()).value!
      assert.is(next.bytes.toString(), 'next')
    }
    assert.is(group.leaseCount, 0)
    await chunks.return()
    close(client)
    close(server)
  }),
)

test(
  'groups of any size, several at once, each with its own number',
  here(async () => {
    await using uring = openUring()
    const groups = [1, 3, 64, 1000].map((count) => uring.createBufferGroup({ count, size: 100 }))
    assert.is(new Set(groups.map(({ id }) => id)).size, 4)
    const [client, server] = await connectPair(uring)
    for (const group of groups) {
      const chunks = uring.recvMultishot(server, { group })
      const data = Buffer.alloc(group.count * 250, group.count)
      const sending = sendAll(uring, client, data)
      let total = 0
      while (total < data.length) {
        const { value } = await chunks.next()
        assert.ok(value!.bytes.every((byte) => byte === (group.count & 255)))
        total += value!.length
        value!.release()
      }
      await sending
      await chunks.return()
      assert.is(group.available, group.count)
      group.close()
    }
    await freed(uring)
    // Numbers of closed groups serve again.
    assert.is(uring.createBufferGroup().id, groups[0]!.id)
    close(client)
    close(server)
  }),
)

test(
  'an incremental group fills a buffer by parts, and gives it back when all leases are',
  needs({ linux: '6.12' }, async () => {
    await using uring = openUring()
    const [client, server] = await connectPair(uring)
    const group = uring.createBufferGroup({ count: 2, size: 64, incremental: true })
    assert.is(group.incremental, true)
    const chunks = uring.recvMultishot(server, { group })
    const leases = []
    let text = ''
    for (let index = 0; index < 8; index++) {
      await uring.send(client, Buffer.alloc(12, 65 + index))
      while (text.length < (index + 1) * 12) {
        const { value } = await chunks.next()
        text += value!.bytes.toString()
        leases.push(value!)
      }
    }
    assert.is(text, [...'ABCDEFGH'].map((letter) => letter.repeat(12)).join(''))
    // The sixth was cut in two where the first buffer was full; the second buffer is the kernel's still.
    assert.is(leases.length, 9)
    assert.is(group.leaseCount, 9)
    assert.is(group.available, 1)
    for (const lease of leases.splice(0, 5)) lease.release()
    assert.is(group.available, 1)
    for (const lease of leases) lease.release()
    assert.is(group.available, 2)
    const rest = Buffer.alloc(1000, 'x')
    const sending = sendAll(uring, client, rest)
    let total = 0
    while (total < 1000) {
      const { value } = await chunks.next()
      total += value!.length
      value!.release()
    }
    await sending
    await uring.shutdown(client, SHUT_WR)
    assert.is((await chunks.next()).done, true)
    assert.is(group.leaseCount, 0)
    close(client)
    close(server)
  }),
)

test(
  'buffers provided by operations serve the same',
  here(async () => {
    await using uring = openUring()
    const [client, server] = await connectPair(uring)
    const group = uring.createBufferGroup({ count: 4, size: 128, byOperations: true })
    assert.is(group.incremental, false)
    const data = Buffer.from(Array.from({ length: 20_000 }, (_, index) => (index * 31) & 255))
    const sending = sendAll(uring, client, data).then(() => uring.shutdown(client, SHUT_WR))
    const chunks: Buffer[] = []
    let held = null
    for await (const lease of uring.recvMultishot(server, { group })) {
      chunks.push(lease.copy())
      // One lease is always out, so the order in which buffers come back varies.
      held?.release()
      held = lease
    }
    held!.release()
    await sending
    assert.ok(Buffer.concat(chunks).equals(data))
    await turns(1)
    assert.is(group.available, 4)
    group.close()
    await until(() => uring.driver.arena.blocksInUse === 0, 'the memory being given up')
    close(client)
    close(server)
  }),
)

test(
  'close() lets streams end and leases be read first',
  here(async () => {
    await using uring = openUring()
    const [client, server] = await connectPair(uring)
    const group = uring.createBufferGroup({ count: 2, size: 8 })
    const chunks = uring.recvMultishot(server, { group })
    await uring.send(client, Buffer.from('12345678'))
    const lease = (await chunks.next()).value!
    group.close()
    group.close()
    assert.is(group.closed, true)
    assert.is(lease.bytes.toString(), '12345678')
    assert.throws(() => uring.recvMultishot(server, { group }), { code: 'ERR_INVALID_STATE' })
    // The operation that is under way has one buffer left, then cannot be armed again.
    await uring.send(client, Buffer.from('abcdefghXYZ'))
    const last = (await chunks.next()).value!
    assert.is(last.bytes.toString(), 'abcdefgh')
    await assert.rejects(chunks.next(), { code: 'ERR_INVALID_STATE', message: /group is closed/ })
    assert.is(uring.driver.arena.blocksInUse, 1)
    lease.release()
    assert.is(uring.driver.arena.blocksInUse, 1)
    last.release()
    await freed(uring)
    close(client)
    close(server)
  }),
)

test(
  'the last item of a stream is good, though its group was closed and nothing else holds it',
  needs({ linux: '6.0' }, async () => {
    await using uring = openUring()
    const [a, b] = [await bindUdp(uring), await bindUdp(uring)]
    const group = uring.createBufferGroup({ count: 2, size: 256 })
    const messages = uring.recvmsgMultishot(b.fd, { group })
    const first = messages.next()
    await turns(1)
    group.close()
    // The kernel ends the operation with an empty datagram.
    await uring.send(a.fd, Buffer.alloc(0), { to: { family: 'IPv4', address: '127.0.0.1', port: b.port } })
    const message = (await first).value!
    assert.is(message.length, 0)
    assert.is(message.bytes.length, 0)
    message.release()
    await assert.rejects(messages.next(), { code: 'ERR_INVALID_STATE' })
    assert.is(uring.driver.arena.blocksInUse, 0)
    close(a.fd)
    close(b.fd)
  }),
)

test(
  'close() ends a stream that waits for a buffer',
  here(async () => {
    await using uring = openUring()
    const [client, server] = await connectPair(uring)
    const group = uring.createBufferGroup({ count: 1, size: 4 })
    const chunks = uring.recvMultishot(server, { group })
    await uring.send(client, Buffer.from('12345678'))
    const lease = (await chunks.next()).value!
    const waiting = chunks.next()
    await turns(3)
    group.close()
    await assert.rejects(waiting, { code: 'ERR_INVALID_STATE' })
    lease.release()
    await freed(uring)
    close(client)
    close(server)
  }),
)

test(
  'leases and groups of a closed ring are errors, not stale memory',
  here(async () => {
    const uring = openUring()
    const [client, server] = await connectPair(uring)
    const group = uring.createBufferGroup({ count: 2, size: 8 })
    const chunks = uring.recvMultishot(server, { group })
    await uring.send(client, Buffer.from('12345678abc'))
    const seen = (await chunks.next()).value!
    const unseen = (await chunks.next()).value!
    const { bytes } = seen
    await chunks.return()
    await uring.close()
    assert.is(bytes.length, 0)
    assert.throws(() => seen.bytes, { code: 'ERR_INVALID_STATE', message: /ring of this lease is closed/ })
    assert.throws(() => unseen.bytes, { code: 'ERR_INVALID_STATE' })
    seen.release()
    unseen.release()
    group.close()
    assert.throws(() => uring.createBufferGroup(), { code: 'EBADF' })
    close(client)
    close(server)
  }),
)

test(
  'bad options throw',
  here(async () => {
    await using uring = openUring()
    for (const options of [
      { count: 0 },
      { count: 32769 },
      { size: 0 },
      { size: 2 ** 25 },
      { count: 32768, size: 2 ** 20 },
    ]) {
      assert.throws(() => uring.createBufferGroup(options), { code: 'ERR_OUT_OF_RANGE' })
    }
    assert.throws(() => uring.createBufferGroup({ size: '1' as never }), { code: 'ERR_INVALID_ARG_TYPE' })
    assert.throws(() => uring.createBufferGroup({ sizes: 1 } as never), { code: 'ERR_INVALID_ARG_VALUE' })
    assert.throws(() => uring.recvMultishot(1, {} as never), { code: 'ERR_INVALID_ARG_TYPE' })
    assert.instance(uring.createBufferGroup(), BufferGroup)
    assert.is(uring.driver.arena.blocksInUse, 1)
  }),
)

test(
  'a group that gets no memory keeps no number',
  here(async () => {
    await using uring = openUring()
    const { id } = uring.createBufferGroup()
    const { arena } = uring.driver
    const { alloc } = arena
    arena.alloc = () => {
      throw new Error('no memory')
    }
    assert.throws(() => uring.createBufferGroup(), /no memory/)
    arena.alloc = alloc
    assert.is(uring.createBufferGroup().id, id - 1)
    assert.is(arena.blocksInUse, 2)
  }),
)

test(
  'a group of another ring is refused',
  needs({ opcode: 'IORING_OP_READ_MULTISHOT' }, async () => {
    await using own = openUring()
    await using other = openUring()
    own.createBufferGroup({ count: 4, size: 64 })
    const group = other.createBufferGroup({ count: 4, size: 64 })
    for (const start of [
      () => own.readMultishot(0, { group }),
      () => own.recvMultishot(0, { group }),
      () => own.recvmsgMultishot(0, { group }),
    ]) {
      assert.throws(start, { code: 'ERR_INVALID_ARG_VALUE' })
    }
  }),
)

test.run()
