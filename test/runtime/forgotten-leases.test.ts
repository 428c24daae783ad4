// Leases that are dropped without release(): their buffers come back when nobody can reach them any more.

import type { AddressInfo } from 'node:net'
import { connect, createServer } from '../../src/net/index.js'
import { leaseOf } from '../../src/runtime/buffer-lease.js'
import { type BufferLease, type Multishot, Uring } from '../../src/runtime/index.js'
import { close } from '../../src/syscalls/libc.js'
import { descriptorCount } from '../descriptors.js'
import { collectGarbage } from '../garbage.js'
import { assert, needs, test } from '../harness.js'
import { until } from './fixture.js'
import { connectPair, openUring } from './open-uring.js'

const here = needs.bind(null, { ring: true } as const)

/** Collects until `isSo`. */
async function collected(isSo: () => boolean, what: string): Promise<void> {
  await until(() => {
    collectGarbage()
    return isSo()
  }, what)
}

/** Takes chunks, and forgets them. */
async function forget(chunks: Multishot<BufferLease>, count: number): Promise<void> {
  for (let taken = 0; taken < count; taken++) assert.is((await chunks.next()).value!.length, 1)
}

test(
  'a stream that starves for forgotten leases goes on once they are collected, with a warning',
  here(async () => {
    await using uring = openUring()
    const [client, server] = await connectPair(uring)
    const group = uring.createBufferGroup({ count: 4, size: 16 })
    const chunks = uring.recvMultishot(server, { group })
    const warnings: string[] = []
    const onWarning = ({ name, message }: Error): void => {
      warnings.push(`${name}: ${message}`)
    }
    process.on('warning', onWarning)
    for (let sent = 0; sent < 4; sent++) {
      await uring.send(client, Buffer.from('x'))
      await forget(chunks, 1)
    }
    assert.equal([group.available, group.leaseCount], [0, 4])
    let last: BufferLease | null = null
    const next = chunks.next().then(({ value }) => {
      last = value!
    })
    await uring.send(client, Buffer.from('the last'))
    await collected(() => last !== null, 'a buffer')
    await next
    assert.is(last!.copy().toString(), 'the last')
    last!.release()
    assert.equal([group.available, group.leaseCount], [4, 0])
    assert.equal(warnings, ['RingLeak: Taking back 4 buffers on garbage collection; call lease.release()'])
    process.off('warning', onWarning)
    await chunks.return()
    close(client)
    close(server)
  }),
)

test(
  'a view holds its lease: nothing else is received into what it shows',
  here(async () => {
    await using uring = openUring()
    const [client, server] = await connectPair(uring)
    const group = uring.createBufferGroup({ count: 40, size: 16 })
    const chunks = uring.recvMultishot(server, { group })
    const view = await (async () => {
      await uring.send(client, Buffer.from('shown'))
      return (await chunks.next()).value!.bytes
    })()
    // The leases behind it, so that the group lets go of those before.
    for (let sent = 0; sent < 32; sent++) {
      await uring.send(client, Buffer.from('y'))
      await forget(chunks, 1)
    }
    await collected(() => group.leaseCount < 33, 'a collection')
    for (let round = 0; round < 5; round++) collectGarbage()
    assert.is(view.toString(), 'shown')
    assert.is(Object.keys(view).length, 5)
    assert.equal(Reflect.ownKeys(view), ['0', '1', '2', '3', '4'])
    assert.ok(group.leaseCount >= 1)
    assert.is(leaseOf(view).bytes, view)
    const before = group.leaseCount
    leaseOf(view).release()
    assert.is(group.leaseCount, before - 1)
    await chunks.return()
    close(client)
    close(server)
  }),
)

test(
  'a ring that is abandoned with leases out is collected',
  here(async () => {
    const before = descriptorCount()
    await (async () => {
      const uring = Uring.open()
      const [client, server] = await connectPair(uring)
      const chunks = uring.recvMultishot(server, { group: uring.createBufferGroup({ count: 4, size: 16 }) })
      await uring.send(client, Buffer.from('x'))
      await forget(chunks, 1)
      await chunks.return()
      close(client)
      close(server)
    })()
    assert.ok(descriptorCount() > before)
    await collected(() => descriptorCount() <= before, 'the ring')
  }),
)

test(
  'a server whose handlers forget their leases serves on',
  here(async () => {
    // More than all connections of a ring have buffers.
    const connections = 700
    const server = createServer({ chunks: 'lease' }, async (socket) => {
      for await (const lease of socket) {
        await socket.end(lease.copy())
        return
      }
    })
    await server.listen({ host: '127.0.0.1', port: 0 })
    const { port } = server.address() as AddressInfo
    const talk = async (): Promise<string> => {
      const socket = await connect({ host: '127.0.0.1', port })
      await socket.end('hello')
      let heard = ''
      for await (const chunk of socket) heard += chunk
      await socket.closed
      return heard
    }
    for (let served = 0; served < connections; served += 50) {
      const answers = await Promise.all(Array.from({ length: 50 }, talk))
      assert.ok(answers.every((answer) => answer === 'hello'))
      collectGarbage()
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    await server.close()
  }),
)

test.run()
