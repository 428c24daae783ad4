// Multishot operations as streams: delivery, back pressure, early ends, leaving, errors, and the races between them.

import { openSync } from 'node:fs'
import { connect as nodeConnect, type Socket } from 'node:net'
import {
  type Fd,
  IOSQE_BUFFER_SELECT,
  kernelCalls,
  prepRecv,
  prepRecvMultishot,
  SHUT_WR,
} from '../../src/ring/index.js'
import { Multishot } from '../../src/runtime/multishot.js'
import { close, write } from '../../src/syscalls/libc.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { descriptorCount } from '../descriptors.js'
import { assert, needs, ringIsAtLeast, test, unmet } from '../harness.js'
import { KINDS, outcome, pipe, TestRing, turns, until, withCalls } from './fixture.js'
import { bindUdp, connectPair, listenTcp, openUring, sendAll, startWorker } from './open-uring.js'
import '../settled.js'

const here = needs.bind(null, { ring: true } as const)
const hasBufferRings = unmet({ register: 'IORING_REGISTER_PBUF_RING' }) === null
const POLLIN = 1

/** Opens `count` connections to the port and waits until they stand. */
async function dial(port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  for (let index = 0; index < count; index++) {
    const socket = nodeConnect(port, '127.0.0.1')
    socket.on('error', () => {})
    sockets.push(socket)
    if (index % 64 === 63 || index === count - 1) {
      await Promise.all(
        sockets
          .slice(index - (index % 64))
          .map((s) => s.connecting && new Promise((r) => s.once('connect', r))),
      )
    }
  }
  return sockets
}

function put(fd: Fd, text: string): void {
  const bytes = Buffer.from(text)
  assert.is(write(fd, addressOf(bytes), bytes.length), bytes.length)
}

/** Counts the arms and cancels that the driver is asked for. */
function watch(uring: TestRing): { arms: number; cancels: number } {
  const counts = { arms: 0, cancels: 0 }
  const { driver } = uring
  const { submitMultishot, cancel } = driver
  driver.submitMultishot = (...args) => {
    counts.arms++
    return submitMultishot.apply(driver, args)
  }
  driver.cancel = (...args) => {
    counts.cancels++
    cancel.apply(driver, args)
  }
  return counts
}

test(
  'acceptMultishot() yields 1000 connections, and a break closes what was not delivered',
  here(async () => {
    await using uring = openUring()
    const counts = watch(uring)
    const listener = await listenTcp(uring)
    const before = descriptorCount()
    const dialled = dial(listener.port, 1000)
    const seen = new Set<Fd>()
    for await (const fd of uring.acceptMultishot(listener.fd)) {
      assert.not(seen.has(fd))
      seen.add(fd)
      if (seen.size === 1000) break
    }
    const sockets = await dialled
    if (ringIsAtLeast('5.19')) assert.ok(counts.arms < 500, `${counts.arms} arms`)
    for (const fd of seen) close(fd)
    for (const socket of sockets) socket.destroy()
    await until(() => descriptorCount() <= before, 'the descriptors being closed')
    assert.is(uring.driver.inFlight, 0)
    close(listener.fd)
  }),
)

test(
  'a slow consumer has the operation cancelled at the high-water mark, and loses nothing',
  needs({ linux: '5.19' }, async () => {
    await using uring = openUring()
    const counts = watch(uring)
    const listener = await listenTcp(uring)
    const connections = uring.acceptMultishot(listener.fd, { highWaterMark: 8 })
    const first = connections.next()
    const sockets = await dial(listener.port, 200)
    const fds = [(await first).value as Fd]
    await until(() => counts.cancels > 0 && uring.driver.inFlight === 0, 'the cancel')
    await turns(20)
    // It is not armed again while the queue is full.
    assert.is(uring.driver.inFlight, 0)
    assert.ok(counts.arms <= 2, `${counts.arms} arms`)
    while (fds.length < 200) {
      fds.push((await connections.next()).value as Fd)
      if (fds.length % 10 === 0) await turns(1)
    }
    assert.is(new Set(fds).size, 200)
    assert.ok(counts.arms >= 2, `${counts.arms} arms`)
    await connections.return()
    for (const fd of fds) close(fd)
    for (const socket of sockets) socket.destroy()
    close(listener.fd)
  }),
)

test(
  'return() awaits the last completion and closes what waits',
  here(async () => {
    await using uring = openUring()
    const listener = await listenTcp(uring)
    const before = descriptorCount()
    const connections = uring.acceptMultishot(listener.fd)
    const first = connections.next()
    const sockets = await dial(listener.port, 20)
    close((await first).value as Fd)
    await turns(5)
    assert.equal(await connections.return(), { value: undefined, done: true })
    assert.is(uring.driver.inFlight, 0)
    assert.equal(await connections.next(), { value: undefined, done: true })
    assert.equal(await connections.return(), { value: undefined, done: true })
    for (const socket of sockets) socket.destroy()
    await until(() => descriptorCount() <= before, 'the descriptors being closed')
    close(listener.fd)
  }),
)

test(
  'return() while next() waits ends it; throw() rejects with what it was given',
  here(async () => {
    await using uring = openUring()
    const listener = await listenTcp(uring)
    const one = uring.acceptMultishot(listener.fd)
    const [a, b] = [one.next(), one.next()]
    assert.is((await one.return()).done, true)
    assert.equal(
      [await a, await b],
      [
        { value: undefined, done: true },
        { value: undefined, done: true },
      ],
    )
    const two = uring.acceptMultishot(listener.fd)
    const waiting = two.next()
    await turns(1)
    await assert.rejects(two.throw(new Error('enough')), { message: 'enough' })
    assert.is((await waiting).done, true)
    // Never started: nothing to cancel.
    await uring.acceptMultishot(listener.fd).return()
    assert.is(uring.driver.inFlight, 0)
    close(listener.fd)
  }),
)

test(
  'cancelling races connections: each is delivered or closed',
  here(async () => {
    await using uring = openUring()
    const listener = await listenTcp(uring)
    const before = descriptorCount()
    for (let round = 0; round < 40; round++) {
      const connections = uring.acceptMultishot(listener.fd, { highWaterMark: 1 + (round % 3) })
      const sockets = Array.from({ length: 8 }, () =>
        nodeConnect(listener.port, '127.0.0.1').on('error', () => {}),
      )
      for (let taken = 0; taken < round % 4; taken++) {
        const { value } = await connections.next()
        close(value as Fd)
      }
      await turns(round % 5)
      await connections.return()
      // Connections that the kernel still holds are taken by the next round or closed with the listener.
      for (const socket of sockets) socket.destroy()
    }
    assert.is(uring.driver.inFlight, 0)
    close(listener.fd)
    await until(() => descriptorCount() < before, 'the descriptors being closed')
  }),
)

test(
  'acceptMultishot({ direct }) fills the table of registered files',
  needs({ linux: '5.19' }, async () => {
    await using uring = openUring()
    using table = uring.registerFileTable({ size: 64 })
    const listener = await listenTcp(uring)
    const sockets = await dial(listener.port, 3)
    const connections = uring.acceptMultishot(listener.fd, { direct: true })
    const file = table.adopt((await connections.next()).value as number)
    sockets[0]!.write('direct')
    const buffer = Buffer.alloc(16)
    assert.is(await uring.recv(file.index, buffer, { fixedFile: true }), 6)
    await file.close()
    // Two were not delivered: their slots are free again, or 64 more would not fit.
    await connections.return()
    const files = await Promise.all(Array.from({ length: 64 }, () => table.add(listener.fd)))
    for (const each of files) await each.close()
    for (const socket of sockets) socket.destroy()
    close(listener.fd)
  }),
)

test(
  'acceptMultishot({ direct }) ends with ENFILE when the table is full',
  needs({ linux: '5.19' }, async () => {
    await using uring = openUring()
    uring.registerFileTable({ size: 2 })
    const listener = await listenTcp(uring)
    const sockets = await dial(listener.port, 3)
    const seen: number[] = []
    await assert.rejects(
      (async () => {
        for await (const index of uring.acceptMultishot(listener.fd, { direct: true })) seen.push(index)
      })(),
      { code: 'ENFILE', syscall: 'accept' },
    )
    assert.equal(seen, [0, 1])
    for (const socket of sockets) socket.destroy()
    close(listener.fd)
  }),
)

test(
  'a signal drops what waits and rejects with AbortError, whenever it comes',
  here(async () => {
    await using uring = openUring()
    const listener = await listenTcp(uring)
    const before = descriptorCount()
    const reason = new Error('why')
    const aborted = uring.acceptMultishot(listener.fd, { signal: AbortSignal.abort(reason) })
    await assert.rejects(aborted.next(), (error) => error.name === 'AbortError' && error.cause === reason)
    assert.is((await aborted.next()).done, true)
    const controller = new AbortController()
    const connections = uring.acceptMultishot(listener.fd, { signal: controller.signal })
    const first = connections.next()
    const sockets = await dial(listener.port, 10)
    close((await first).value as Fd)
    controller.abort()
    await assert.rejects(connections.next(), { code: 'ABORT_ERR' })
    assert.is(uring.driver.inFlight, 0)
    assert.is((await connections.next()).done, true)
    for (const socket of sockets) socket.destroy()
    await until(() => descriptorCount() <= before, 'the descriptors being closed')
    close(listener.fd)
  }),
)

test(
  'an error ends the stream after the items before it',
  needs({ linux: '5.19' }, async () => {
    await using uring = openUring()
    const [client, server] = await connectPair(uring)
    await assert.rejects(uring.acceptMultishot(server).next(), { code: 'EINVAL', syscall: 'accept' })
    await assert.rejects(uring.acceptMultishot(-1).next(), { code: 'EBADF' })
    await assert.rejects(uring.acceptMultishot(1.5).next(), { code: 'ERR_OUT_OF_RANGE' })
    assert.throws(() => uring.acceptMultishot(server, { highWaterMark: 0 }), { code: 'ERR_OUT_OF_RANGE' })
    assert.throws(() => uring.acceptMultishot(server, { signal: 1 as never }), {
      code: 'ERR_INVALID_ARG_TYPE',
    })
    // Somebody else cancels: items first, then the error.
    const group = uring.createBufferGroup({ count: 4, size: 64 })
    const chunks = uring.recvMultishot(server, { group })
    const first = chunks.next()
    await uring.send(client, Buffer.from('a'))
    ;(await first).value!.release()
    await uring.send(client, Buffer.from('b'))
    await until(() => group.leaseCount === 1, 'the second chunk')
    assert.is(await uring.cancelFd(server), 1)
    const { value } = await chunks.next()
    assert.is(value!.bytes.toString(), 'b')
    value!.release()
    await assert.rejects(chunks.next(), { code: 'ECANCELED', syscall: 'recv' })
    assert.is((await chunks.next()).done, true)
    close(client)
    close(server)
  }),
)

test(
  'recvMultishot() yields every byte in order to the end of the stream',
  here(async () => {
    await using uring = openUring()
    const [client, server] = await connectPair(uring)
    const group = uring.createBufferGroup({ count: 8, size: 512 })
    const sent = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 7 + (index >> 8)) & 255))
    const sending = (async () => {
      for (let at = 0; at < sent.length; at += 3001)
        await sendAll(uring, client, sent.subarray(at, at + 3001))
      await uring.shutdown(client, SHUT_WR)
    })()
    const chunks: Buffer[] = []
    for await (const lease of uring.recvMultishot(server, { group })) {
      assert.is(lease.bytes.length, lease.length)
      chunks.push(lease.copy())
      lease.release()
    }
    await sending
    assert.ok(Buffer.concat(chunks).equals(sent))
    assert.is(group.leaseCount, 0)
    assert.is(group.available, 8)
    // Where they are no ring's, buffers go back by operations.
    await until(() => uring.driver.inFlight === 0, 'nothing in flight')
    close(client)
    close(server)
  }),
)

test(
  'an empty group pauses the stream until a lease comes back',
  needs({ linux: '6.0' }, async () => {
    await using uring = openUring()
    const counts = watch(uring)
    const [client, server] = await connectPair(uring)
    const group = uring.createBufferGroup({ count: 2, size: 4 })
    const chunks = uring.recvMultishot(server, { group })
    await uring.send(client, Buffer.from('aaaabbbbccccdd'))
    const a = (await chunks.next()).value!
    const b = (await chunks.next()).value!
    assert.equal([a.copy().toString(), b.copy().toString()], ['aaaa', 'bbbb'])
    let third: string | null = null
    const waiting = chunks.next().then(({ value }) => {
      third = value!.copy().toString()
      value!.release()
    })
    await turns(10)
    assert.is(third, null)
    assert.is(uring.driver.inFlight, 0, 'nothing is tried while there is no buffer')
    const { arms } = counts
    assert.ok(arms <= 3, `${arms} arms`)
    b.release()
    await waiting
    assert.is(third, 'cccc')
    const last = (await chunks.next()).value!
    assert.is(last.copy().toString(), 'dd')
    assert.is(a.bytes.toString(), 'aaaa', 'the lease that is held is left alone')
    last.release()
    a.release()
    await chunks.return()
    assert.is(group.available, 2)
    close(client)
    close(server)
  }),
)

test(
  'streams that share a group all recover from its being empty',
  here(async () => {
    await using uring = openUring({ entries: 64, cqEntries: 1024 })
    const group = uring.createBufferGroup({ count: 3, size: 64 })
    const pairs = await Promise.all(Array.from({ length: 20 }, () => connectPair(uring)))
    const totals = await Promise.all(
      pairs.map(async ([client, server], index) => {
        const sending = (async () => {
          for (let round = 0; round < 10; round++) await sendAll(uring, client, Buffer.alloc(100, index))
          await uring.shutdown(client, SHUT_WR)
        })()
        let total = 0
        for await (const lease of uring.recvMultishot(server, { group })) {
          await turns(1)
          assert.ok(lease.bytes.every((byte) => byte === index))
          total += lease.length
          lease.release()
        }
        await sending
        return total
      }),
    )
    assert.ok(totals.every((total) => total === 1000))
    assert.is(group.available, 3)
    for (const fd of pairs.flat()) close(fd)
  }),
)

test(
  'recvMultishot() with a slow consumer, in spite of a large group, holds a bounded number of leases',
  here(async () => {
    await using uring = openUring()
    const [client, server] = await connectPair(uring)
    const group = uring.createBufferGroup({ count: 256, size: 16 })
    const chunks = uring.recvMultishot(server, { group, highWaterMark: 4 })
    const first = chunks.next()
    const data = Buffer.from(Array.from({ length: 3000 }, (_, index) => index & 255))
    await sendAll(uring, client, data)
    const received = [(await first).value!]
    await until(() => uring.driver.inFlight === 0, 'the cancel')
    // The kernel fills the completion queue (of 128) before a cancel can be sent.
    assert.ok(group.leaseCount <= 132, `${group.leaseCount} leases`)
    let text = received[0]!.copy()
    received[0]!.release()
    while (text.length < 3000) {
      const { value } = await chunks.next()
      text = Buffer.concat([text, value!.bytes])
      value!.release()
    }
    assert.ok(text.equals(data))
    await chunks.return()
    assert.is(group.available, 256)
    close(client)
    close(server)
  }),
)

test(
  'leaving a recvMultishot() returns the leases that were not delivered',
  here(async () => {
    await using uring = openUring()
    const [client, server] = await connectPair(uring)
    const group = uring.createBufferGroup({ count: 16, size: 8 })
    for (let round = 0; round < 30; round++) {
      const chunks = uring.recvMultishot(server, { group })
      void uring.send(client, Buffer.alloc(64))
      const { value } = await chunks.next()
      value!.release()
      await turns(round % 3)
      await chunks.return()
      assert.is(group.leaseCount, 0)
      assert.is(group.available, 16)
      // Where operations provide the buffers, these may be on their way.
      if (!hasBufferRings) await until(() => uring.driver.inFlight === 0, 'the buffers being provided')
      assert.is(uring.driver.inFlight, 0)
      await uring.recv(server, Buffer.alloc(64), { flags: 0x40 }).catch(() => {})
    }
    close(client)
    close(server)
  }),
)

test(
  'a kernel without the multishot variant is served shot by shot',
  here(async () => {
    await using uring = openUring()
    const counts = watch(uring)
    const [client, server] = await connectPair(uring)
    const group = uring.createBufferGroup({ count: 4, size: 4, byOperations: true })
    // A flag that no kernel knows stands for the one that such a kernel does not know: both are answered with EINVAL.
    const stream = new Multishot<string>(
      uring.driver,
      {
        syscall: 'recv',
        owner: uring,
        group,
        prepare: (sqe) => prepRecvMultishot(sqe, server, 0, 0, 0).setIoprio(0x8000),
        prepareOnce: (sqe) =>
          prepRecv(sqe, server, 0, group.size, 0).addFlags(IOSQE_BUFFER_SELECT).setBufferGroup(group.id),
        take: (res, flags) => {
          if (res === 0) throw new Error('the end')
          const lease = group.lease(res, flags)
          const text = lease.copy().toString()
          lease.release()
          return text
        },
        discard: () => {},
      },
      {},
    )
    await uring.send(client, Buffer.from('onetwo'))
    assert.is((await stream.next()).value, 'onet')
    assert.is((await stream.next()).value, 'wo')
    await uring.send(client, Buffer.from('3'))
    assert.is((await stream.next()).value, '3')
    assert.ok(counts.arms >= 4)
    // What `take` throws ends the stream.
    const end = stream.next()
    await uring.shutdown(client, SHUT_WR)
    await assert.rejects(end, { message: 'the end' })
    assert.is(uring.driver.inFlight, 0)
    close(client)
    close(server)
  }),
)

test(
  'recvmsgMultishot() yields datagrams with sender, truncation and control data apart',
  needs({ linux: '6.0' }, async () => {
    await using uring = openUring()
    const a = await bindUdp(uring)
    const b = await bindUdp(uring)
    const group = uring.createBufferGroup({ count: 4, size: 16 + 128 + 8 })
    const to = { family: 'IPv4', address: '127.0.0.1', port: b.port } as const
    const messages = uring.recvmsgMultishot(b.fd, { group })
    for (const text of ['one', '', 'longer than eight', 'last'])
      await uring.send(a.fd, Buffer.from(text), { to })
    const seen: [string, number][] = []
    for await (const message of messages) {
      assert.equal(message.from, { family: 'IPv4', address: '127.0.0.1', port: a.port })
      assert.equal(message.control, [])
      seen.push([message.copy().toString(), message.flags & 0x20])
      assert.is(message.bytes.length, message.length)
      message.release()
      assert.throws(() => message.bytes, { code: 'ERR_INVALID_STATE' })
      if (seen.length === 4) break
    }
    assert.equal(seen, [
      ['one', 0],
      ['', 0],
      ['longer t', 0x20],
      ['last', 0],
    ])
    assert.is(group.available, 4)
    assert.is(uring.driver.arena.blocksInUse, 1, 'the group and nothing else')
    assert.throws(() => uring.recvmsgMultishot(b.fd, { group, nameBytes: 1000 }), {
      code: 'ERR_OUT_OF_RANGE',
    })
    close(a.fd)
    close(b.fd)
  }),
)

test(
  'recvmsgMultishot() on a stream socket ends with the stream',
  needs({ linux: '6.0' }, async () => {
    await using uring = openUring()
    const [client, server] = await connectPair(uring)
    const group = uring.createBufferGroup({ count: 4, size: 1024 })
    await uring.send(client, Buffer.from('stream'))
    const messages = uring.recvmsgMultishot(server, { group })
    const { value } = await messages.next()
    assert.is(value!.copy().toString(), 'stream')
    assert.is(value!.from, null)
    value![Symbol.dispose]()
    value![Symbol.dispose]()
    await uring.shutdown(client, SHUT_WR)
    assert.is((await messages.next()).done, true)
    assert.is(group.available, 4)
    close(client)
    close(server)
  }),
)

test(
  'readMultishot() reads a pipe to its end, and refuses a regular file',
  needs({ opcode: 'IORING_OP_READ_MULTISHOT' }, async () => {
    await using uring = openUring()
    const [readEnd, writeEnd] = pipe()
    const group = uring.createBufferGroup({ count: 4, size: 8 })
    put(writeEnd, 'first')
    let text = ''
    for await (const lease of uring.readMultishot(readEnd, { group })) {
      text += lease.bytes.toString()
      lease.release()
      if (text === 'first') put(writeEnd, 'and a second one')
      if (text.endsWith('one')) close(writeEnd)
    }
    assert.is(text, 'firstand a second one')
    close(readEnd)
    const file = openSync('/proc/self/exe', 'r')
    await assert.rejects(uring.readMultishot(file, { group }).next(), { code: 'EBADFD', syscall: 'read' })
    assert.is(group.available, 4)
    close(file)
  }),
)

test(
  'pollMultishot() reports readiness again and again; what nobody took is one item',
  here(async () => {
    await using uring = openUring()
    const [readEnd, writeEnd] = pipe()
    const events = uring.pollMultishot(readEnd, POLLIN)
    const first = events.next()
    put(writeEnd, 'x')
    assert.is((await first).value! & POLLIN, POLLIN)
    for (let round = 0; round < 5; round++) {
      put(writeEnd, 'y')
      await turns(2)
    }
    assert.is((await events.next()).value, POLLIN)
    let done = false
    const waiting = events.next().then((result) => {
      done = true
      return result
    })
    await turns(3)
    assert.is(done, false)
    put(writeEnd, 'z')
    assert.is((await waiting).value, POLLIN)
    await events.return()
    assert.is(uring.driver.inFlight, 0)
    close(readEnd)
    close(writeEnd)
  }),
)

test(
  'timeoutMultishot() ticks, counts what was missed, and ends after its count',
  here(async () => {
    await using uring = openUring()
    const start = performance.now()
    const ticks: number[] = []
    for await (const count of uring.timeoutMultishot(2, { count: 5 })) ticks.push(count)
    const took = performance.now() - start
    assert.is(
      ticks.reduce((sum, count) => sum + count, 0),
      5,
    )
    assert.ok(took >= 9, `${took} ms`)
    const endless = uring.timeoutMultishot(1)
    await endless.next()
    await new Promise((resolve) => setTimeout(resolve, 30))
    const missed = (await endless.next()).value!
    // Armed for each time, it fires once and waits to be armed again.
    assert.ok(ringIsAtLeast('6.4') ? missed > 1 : missed === 1, `${missed} ticks`)
    await endless.return()
    assert.throws(() => uring.timeoutMultishot(0), { code: 'ERR_OUT_OF_RANGE' })
    assert.throws(() => uring.timeoutMultishot(1, null as never), { code: 'ERR_INVALID_ARG_TYPE' })
    assert.throws(() => uring.pollMultishot(0, 1, null as never), { code: 'ERR_INVALID_ARG_TYPE' })
    assert.throws(() => uring.timeoutMultishot(Number.NaN), { code: 'ERR_OUT_OF_RANGE' })
    assert.is(uring.driver.inFlight, 0)
    assert.is(uring.driver.arena.blocksInUse, 0)
  }),
)

test(
  'a timer that fires while it is cancelled stops all the same',
  here(async () => {
    await using uring = openUring()
    for (let round = 0; round < 300; round++) {
      const ticks = uring.timeoutMultishot(0.02)
      await ticks.next()
      if (round % 3 === 0) await turns(1)
      await ticks.return()
    }
    assert.is(uring.driver.inFlight, 0)
  }),
)

test(
  'close() while streams are iterated ends them with AbortError and releases what they hold',
  here(async () => {
    const before = descriptorCount()
    const uring = openUring()
    const listener = await listenTcp(uring)
    const [client, server] = await connectPair(uring)
    const group = uring.createBufferGroup({ count: 1, size: 4 })
    const chunks = uring.recvMultishot(server, { group })
    await uring.send(client, Buffer.from('12345678'))
    const lease = (await chunks.next()).value!
    const starving = chunks.next()
    const accepting = uring.acceptMultishot(listener.fd)
    const first = accepting.next()
    const sockets = await dial(listener.port, 5)
    close((await first).value as Fd)
    await turns(2)
    const ticking = uring.timeoutMultishot(1000).next()
    const closing = uring.close()
    await assert.rejects(starving, { name: 'AbortError', message: 'The ring was closed' })
    await assert.rejects(ticking, { name: 'AbortError', message: 'The ring was closed' })
    await closing
    await assert.rejects(accepting.next(), { name: 'AbortError' })
    assert.throws(() => lease.bytes, { code: 'ERR_INVALID_STATE' })
    lease.release()
    for (const socket of sockets) socket.destroy()
    for (const fd of [client, server, listener.fd]) close(fd)
    await until(() => descriptorCount() <= before, 'the descriptors being closed')
  }),
)

test(
  'a stream that waits for room in the ring can be left',
  here(async () => {
    await using uring = openUring({ entries: 2, cqEntries: 2 })
    const [readEnd, writeEnd] = pipe()
    const full = [uring.poll(readEnd, POLLIN), uring.poll(readEnd, POLLIN)]
    const events = uring.pollMultishot(readEnd, POLLIN)
    const waiting = events.next()
    await turns(1)
    assert.is(uring.driver.waiting, 1)
    await events.return()
    assert.is((await waiting).done, true)
    put(writeEnd, '.')
    await Promise.all(full)
    assert.is(uring.driver.inFlight, 0)
    close(readEnd)
    close(writeEnd)
  }),
)

test(
  'more completions than the queue holds end a stream early, which goes on by itself',
  here(async () => {
    await using uring = openUring({ entries: 2, cqEntries: 4 })
    const listener = await listenTcp(uring)
    const sockets = await dial(listener.port, 100)
    const fds: Fd[] = []
    for await (const fd of uring.acceptMultishot(listener.fd)) {
      fds.push(fd)
      if (fds.length === 100) break
    }
    assert.is(new Set(fds).size, 100)
    for (const fd of fds) close(fd)
    for (const socket of sockets) socket.destroy()
    close(listener.fd)
  }),
)

for (const [kind, flags] of Object.entries(KINDS)) {
  test(
    `streams, chains and messages work on a ring of kind ${kind}`,
    needs({ setup: flags, opcode: 'IORING_OP_MSG_RING' }, async () => {
      await using uring = openUring({ flags })
      const [client, server] = await connectPair(uring)
      const group = uring.createBufferGroup({ count: 4, size: 256 })
      const data = Buffer.from(Array.from({ length: 10_000 }, (_, index) => (index * 13) & 255))
      const sending = sendAll(uring, client, data).then(() => uring.shutdown(client, SHUT_WR))
      const chunks: Buffer[] = []
      for await (const lease of uring.recvMultishot(server, { group, highWaterMark: 2 })) {
        chunks.push(lease.copy())
        lease.release()
      }
      await sending
      assert.ok(Buffer.concat(chunks).equals(data))
      const ticks: number[] = []
      for await (const count of uring.timeoutMultishot(0.5)) {
        ticks.push(count)
        if (ticks.length === 3) break
      }
      const outcomes = await uring.chain((op) => [op.nop(), op.closeFd(server), op.nop()])
      assert.ok(outcomes.every(({ status }) => status === 'fulfilled'))
      const messages = uring.messages()
      const waiting = messages.next()
      await uring.postMessage(uring.endpoint, { value: 42 })
      assert.is((await waiting).value!.value, 42)
      await messages.return()
      assert.is(uring.driver.inFlight, 0)
      close(client)
    }),
  )
}

test(
  'streams on a ring that fails reject with what it failed of, as promises do',
  here(async () => {
    let isBroken = false
    const calls = withCalls({ enter: (...args) => (isBroken ? -130 : kernelCalls.enter(...args)) })
    const uring = new TestRing({}, calls)
    const [readEnd, writeEnd] = pipe()
    const events = uring.pollMultishot(readEnd, POLLIN)
    const later = uring.pollMultishot(readEnd, POLLIN)
    const waiting = [events.next(), uring.poll(readEnd, POLLIN), uring.messages().next()]
    await turns(2)
    isBroken = true
    waiting.push(uring.nop())
    assert.equal(await Promise.all(waiting.map(outcome)), new Array(4).fill('EOWNERDEAD'))
    assert.is(await outcome(later.next()), 'EOWNERDEAD')
    assert.is((await events.next()).done, true)
    await uring.close()
    close(readEnd)
    close(writeEnd)
  }),
)

test(
  'a worker that is terminated while it streams leaves the process intact',
  here(async () => {
    const before = descriptorCount()
    const end = async (index: number): Promise<void> => {
      const worker = startWorker(new URL('./stream-worker.ts', import.meta.url), null)
      const failed = new Promise<never>((_, reject) => worker.once('error', reject))
      failed.catch(() => {})
      await Promise.race([new Promise((resolve) => worker.once('message', resolve)), failed])
      await new Promise((resolve) => setTimeout(resolve, index * 3))
      await worker.terminate()
    }
    for (let round = 0; round < 2; round++) await Promise.all([end(0), end(round), end(2)])
    // The workers' sockets stay open: nobody closes a descriptor for a thread that is gone, as in Node itself.
    await turns(5)
    assert.ok(descriptorCount() >= before)
    await using uring = openUring()
    assert.is(await uring.nop(), 0)
  }),
)

test.run()
