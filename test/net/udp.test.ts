// bind(): datagrams, against node:dgram at the other end and against itself.

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { interfaceIndex, interfaceName } from '../../src/net/address.js'
import { bind, type UdpMessage, type UdpSocket } from '../../src/net/udp.js'
import {
  IP_MULTICAST_IF,
  IP_MULTICAST_LOOP,
  IP_MULTICAST_TTL,
  IP_TTL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MULTICAST_HOPS,
  IPV6_MULTICAST_IF,
  IPV6_MULTICAST_LOOP,
  IPV6_UNICAST_HOPS,
  SO_BROADCAST,
  SOL_SOCKET,
} from '../../src/syscalls/abi/index.js'
import { assert, needs, test } from '../harness.js'
import { descriptorOf, optionOf } from './socket-options.js'

const LOCALHOST = '127.0.0.1'

const hasIPv6 = (): true | string =>
  Object.values(networkInterfaces())
    .flat()
    .some((address) => address?.address === '::1') || 'needs IPv6'

async function dgram(type: 'udp4' | 'udp6' = 'udp4'): Promise<Socket> {
  const socket = createSocket(type)
  socket.bind(0, type === 'udp4' ? LOCALHOST : '::1')
  await once(socket, 'listening')
  return socket
}

async function take(socket: UdpSocket, count: number): Promise<UdpMessage[]> {
  const messages: UdpMessage[] = []
  for await (const message of socket) if (messages.push(message) === count) break
  return messages
}

const text = (messages: readonly UdpMessage[]): string[] => messages.map(({ data }) => data.toString())

test('bind() takes a free port, and address() says which', async () => {
  const socket = await bind({ address: LOCALHOST })
  const { address, family, port } = socket.address()
  assert.is(address, LOCALHOST)
  assert.is(family, 'IPv4')
  assert.ok(port > 0)
  assert.is(socket.type, 'udp4')
  assert.is(socket.backend, process.env['URING_DISABLE'] === '1' ? 'node:dgram' : socket.backend)
  assert.not(socket.closed)
  await socket.close()
  assert.ok(socket.closed)
})

test('messages() yields what node:dgram sends, with the sender', async () => {
  await using socket = await bind({ address: LOCALHOST })
  const peer = await dgram()
  const { port } = socket.address()
  for (const word of ['one', '', 'three']) peer.send(word, port, LOCALHOST)
  const messages = await take(socket, 3)
  assert.equal(text(messages), ['one', '', 'three'])
  for (const { address, family, port: from } of messages) {
    assert.is(address, LOCALHOST)
    assert.is(family, 'IPv4')
    assert.is(from, peer.address().port)
  }
  peer.close()
})

test('send() reaches node:dgram: text, views, several pieces, nothing', async () => {
  await using socket = await bind()
  const peer = await dgram()
  const received: string[] = []
  const senders = new Set<number>()
  peer.on('message', (data, { port }) => {
    received.push(data.toString())
    senders.add(port)
  })
  const to = { port: peer.address().port, address: LOCALHOST }
  const bytes = new Uint16Array([0x4241, 0x4443])
  assert.is(await socket.send('text', to), 4)
  assert.is(await socket.send(bytes, to), 4)
  assert.is(await socket.send(bytes.buffer, to), 4)
  assert.is(await socket.send(['a', Buffer.from('b'), new DataView(bytes.buffer, 2)], to), 4)
  assert.is(await socket.send('', { port: to.port }), 0)
  while (received.length < 5) await once(peer, 'message')
  assert.equal(received, ['text', 'ABCD', 'ABCD', 'abCD', ''])
  assert.equal([...senders], [socket.address().port])
  peer.close()
})

test('many sends of one turn all arrive, in order', async () => {
  await using sender = await bind({ address: LOCALHOST })
  await using receiver = await bind({ address: LOCALHOST, recvBufferSize: 1 << 20 })
  const to = { port: receiver.address().port, address: LOCALHOST }
  const count = 200
  const sums = await Promise.all(Array.from({ length: count }, (_, index) => sender.send(`${index}`, to)))
  assert.is(sums.length, count)
  assert.equal(
    text(await take(receiver, count)),
    Array.from({ length: count }, (_, index) => `${index}`),
  )
})

test('the longest datagram arrives whole, and one byte more is EMSGSIZE', async () => {
  await using sender = await bind({ address: LOCALHOST })
  await using receiver = await bind({ address: LOCALHOST })
  const { port } = receiver.address()
  const data = Buffer.alloc(65507, 'x')
  assert.is(await sender.send(data, { port, address: LOCALHOST }), data.length)
  const [message] = await take(receiver, 1)
  assert.ok(message!.data.equals(data))
  await assert.rejects(sender.send(Buffer.alloc(65508), { port, address: LOCALHOST }), {
    code: 'EMSGSIZE',
    syscall: 'send',
    message: `send EMSGSIZE ${LOCALHOST}:${port}`,
  })
})

test(
  'udp6 works, with a host name too',
  needs({ when: hasIPv6 }, async () => {
    await using socket = await bind({ address: '::1' })
    assert.is(socket.type, 'udp6')
    const peer = await dgram('udp6')
    peer.send('six', socket.address().port, '::1')
    const [message] = await take(socket, 1)
    assert.is(message!.family, 'IPv6')
    assert.is(message!.address, '::1')
    const answered = once(peer, 'message')
    await socket.send('back', { port: peer.address().port, address: '::1' })
    assert.is(String((await answered)[0]), 'back')
    peer.close()
  }),
)

test('a host name is looked up, by the function given', async () => {
  const asked: string[] = []
  await using socket = await bind({
    address: LOCALHOST,
    lookup: (host, _options, done) => {
      asked.push(host)
      done(null, LOCALHOST, 4)
    },
  })
  const peer = await dgram()
  const arrived = once(peer, 'message')
  await socket.send('x', { port: peer.address().port, address: 'some.host' })
  await arrived
  assert.equal(asked, ['some.host'])
  peer.close()
})

test('a lookup that fails rejects the send alone', async () => {
  const failure = new Error('no such name')
  await using socket = await bind({
    address: LOCALHOST,
    lookup: (_host, _options, done) => done(failure, ''),
  })
  await assert.rejects(
    socket.send('x', { port: 9, address: 'some.host' }),
    (error: unknown) => error === failure,
  )
  assert.is(await socket.send('x', { port: socket.address().port, address: LOCALHOST }), 1)
})

test('connect() limits a socket to one peer, disconnect() undoes it', async () => {
  const free = await bind({ address: LOCALHOST })
  const { port } = free.address()
  await free.close()
  // Linux takes a port that was not asked for away from a socket that disconnects.
  await using one = await bind({ address: LOCALHOST, port })
  await using two = await bind({ address: LOCALHOST })
  await using stranger = await bind({ address: LOCALHOST })
  assert.throws(() => one.remoteAddress(), { code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' })
  await assert.rejects(one.send('x'), { code: 'ERR_SOCKET_BAD_PORT' })
  await one.connect({ port: two.address().port, address: LOCALHOST })
  assert.equal(one.remoteAddress(), { address: LOCALHOST, family: 'IPv4', port: two.address().port })
  await assert.rejects(one.connect({ port: 1 }), { code: 'ERR_SOCKET_DGRAM_IS_CONNECTED' })
  await assert.rejects(one.send('x', { port: 1 }), { code: 'ERR_SOCKET_DGRAM_IS_CONNECTED' })
  await one.send('hello')
  assert.equal(text(await take(two, 1)), ['hello'])
  const to = { port: one.address().port, address: LOCALHOST }
  await stranger.send('from a stranger', to)
  await two.send('from the peer', to)
  assert.equal(text(await take(one, 1)), ['from the peer'])
  one.disconnect()
  assert.throws(() => one.disconnect(), { code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' })
  await stranger.send('now', to)
  assert.equal(text(await take(one, 1)), ['now'])
})

test('a peer that is not there ends the loop with ECONNREFUSED; the next loop goes on', async () => {
  const gone = await dgram()
  const { port } = gone.address()
  gone.close()
  await once(gone, 'close')
  await using socket = await bind({ address: LOCALHOST })
  await socket.connect({ port, address: LOCALHOST })
  const first = socket.messages().next()
  await socket.send('anyone?')
  await assert.rejects(first, { code: 'ECONNREFUSED', syscall: 'recvmsg', message: 'recvmsg ECONNREFUSED' })
  const back = createSocket('udp4')
  back.bind(port, LOCALHOST)
  await once(back, 'listening')
  const next = socket.messages().next()
  back.send('here', socket.address().port, LOCALHOST)
  assert.is((await next).value?.data.toString(), 'here')
  back.close()
})

test('one loop at a time; what comes between loops waits', async () => {
  await using socket = await bind({ address: LOCALHOST })
  const loop = socket.messages()
  const pending = loop.next()
  assert.throws(() => socket.messages(), { code: 'ERR_INVALID_STATE' })
  const to = { port: socket.address().port, address: LOCALHOST }
  await socket.send('1', to)
  assert.is((await pending).value?.data.toString(), '1')
  await loop.return?.()
  await socket.send('2', to)
  await sleep(20)
  assert.equal(text(await take(socket, 1)), ['2'])
})

test('close() ends the loop, resolves the pending next(), and frees the port', async () => {
  const socket = await bind({ address: LOCALHOST })
  const { port } = socket.address()
  const seen: UdpMessage[] = []
  const loop = (async () => {
    for await (const message of socket) seen.push(message)
  })()
  await sleep(5)
  const closing = socket.close()
  assert.is(socket.close(), closing)
  await closing
  await loop
  assert.is(seen.length, 0)
  await assert.rejects(socket.send('x', { port: 1 }), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' })
  assert.throws(() => socket.address(), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' })
  assert.throws(() => socket.messages(), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' })
  assert.throws(() => socket.setTTL(1), { code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' })
  await (await bind({ address: LOCALHOST, port })).close()
})

test('an abort closes the socket; one beforehand keeps it from opening', async () => {
  const controller = new AbortController()
  const socket = await bind({ address: LOCALHOST, signal: controller.signal })
  const pending = socket.messages().next()
  controller.abort()
  assert.equal(await pending, { value: undefined, done: true })
  await socket.close()
  assert.ok(socket.closed)
  await assert.rejects(bind({ signal: AbortSignal.abort() }), { name: 'AbortError', code: 'ABORT_ERR' })
})

test('an abort of a loop rejects it and leaves the socket open', async () => {
  await using socket = await bind({ address: LOCALHOST })
  const controller = new AbortController()
  const pending = socket.messages({ signal: controller.signal }).next()
  controller.abort()
  await assert.rejects(pending, { name: 'AbortError' })
  await socket.send('x', { port: socket.address().port, address: LOCALHOST })
  assert.equal(text(await take(socket, 1)), ['x'])
})

test('a loop that was aborted beforehand leaves the socket to the next one', async () => {
  await using socket = await bind({ address: LOCALHOST })
  const pending = socket.messages({ signal: AbortSignal.abort() }).next()
  await assert.rejects(pending, { name: 'AbortError' })
  await socket.send('x', { port: socket.address().port, address: LOCALHOST })
  assert.equal(text(await take(socket, 1)), ['x'])
})

test('a port that is taken is EADDRINUSE, in the words of node:dgram', async () => {
  await using socket = await bind({ address: LOCALHOST })
  const { port } = socket.address()
  await assert.rejects(bind({ address: LOCALHOST, port }), {
    code: 'EADDRINUSE',
    syscall: 'bind',
    message: `bind EADDRINUSE ${LOCALHOST}:${port}`,
  })
})

test('reuseAddr shares a port', async () => {
  await using one = await bind({ address: LOCALHOST, reuseAddr: true })
  await using two = await bind({ address: LOCALHOST, reuseAddr: true, port: one.address().port })
  assert.is(one.address().port, two.address().port)
})

test('multicast: a member gets what is sent to the group, until it leaves', async () => {
  const group = '239.255.77.77'
  await using receiver = await bind({ address: '0.0.0.0', reuseAddr: true })
  await using sender = await bind({ address: LOCALHOST })
  receiver.addMembership(group, LOCALHOST)
  sender.setMulticastInterface(LOCALHOST).setMulticastTTL(1).setMulticastLoopback(true)
  const to = { port: receiver.address().port, address: group }
  await sender.send('to all', to)
  assert.equal(text(await take(receiver, 1)), ['to all'])
  receiver.dropMembership(group, LOCALHOST)
  await sender.send('to nobody', to)
  await sender.send('directly', { port: to.port, address: LOCALHOST })
  assert.equal(text(await take(receiver, 1)), ['directly'])
  receiver.addSourceSpecificMembership(LOCALHOST, '232.1.1.1', LOCALHOST)
  await sender.send('from the source', { ...to, address: '232.1.1.1' })
  assert.equal(text(await take(receiver, 1)), ['from the source'])
  receiver.dropSourceSpecificMembership(LOCALHOST, '232.1.1.1', LOCALHOST)
})

test(
  'multicast works with IPv6',
  needs({ when: hasIPv6 }, async () => {
    const group = 'ff01::7777'
    await using receiver = await bind({ address: '::', reuseAddr: true })
    receiver.addMembership(group, '::1%lo')
    await using sender = await bind({ address: '::1' })
    sender.setMulticastInterface('::%lo').setMulticastTTL(0).setMulticastLoopback(true)
    receiver.dropMembership(group, '::1%lo')
  }),
)

test('what is set is what the kernel has', async () => {
  await using socket = await bind({ address: LOCALHOST })
  const fd = descriptorOf(socket.address().port)
  const values = (): number[] => [
    optionOf(fd, IPPROTO_IP, IP_TTL),
    optionOf(fd, IPPROTO_IP, IP_MULTICAST_TTL),
    optionOf(fd, IPPROTO_IP, IP_MULTICAST_LOOP),
    optionOf(fd, SOL_SOCKET, SO_BROADCAST),
  ]
  socket.setTTL(3).setMulticastTTL(7).setMulticastLoopback(false).setBroadcast(true)
  assert.equal(values(), [3, 7, 0, 1])
  socket.setTTL(200).setMulticastTTL(0).setMulticastLoopback(true).setBroadcast(false)
  assert.equal(values(), [200, 0, 1, 0])
  socket.setMulticastInterface(LOCALHOST)
  assert.is(optionOf(fd, IPPROTO_IP, IP_MULTICAST_IF), 0x0100_007f)
})

test(
  'what is set is what the kernel has, with IPv6',
  needs({ when: hasIPv6 }, async () => {
    await using socket = await bind({ address: '::1' })
    const fd = descriptorOf(socket.address().port)
    socket.setTTL(3).setMulticastTTL(7).setMulticastLoopback(false).setMulticastInterface('::%lo')
    const options = [IPV6_UNICAST_HOPS, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP, IPV6_MULTICAST_IF]
    const values = options.map((option) => optionOf(fd, IPPROTO_IPV6, option))
    // The index of the interface lo is 1.
    assert.equal(values, [3, 7, 0, 1])
  }),
)

test('interfaces have names and indices', () => {
  assert.is(interfaceIndex('lo'), 1)
  assert.is(interfaceName(1), 'lo')
  assert.is(interfaceIndex('7'), 7)
  // There are none of these.
  assert.is(interfaceIndex('x'.repeat(100)), 0)
  assert.is(interfaceName(0x7fff_ffff), '2147483647')
})

test('options of the socket: as node:dgram, errors too', async () => {
  await using socket = await bind({ address: LOCALHOST, recvBufferSize: 40_000 })
  assert.is(socket.getRecvBufferSize(), 80_000)
  assert.is(socket.setSendBufferSize(30_000).getSendBufferSize(), 60_000)
  socket.setBroadcast(true).setTTL(3)
  assert.throws(() => socket.setTTL(0), { code: 'EINVAL', syscall: 'setTTL', message: 'setTTL EINVAL' })
  assert.throws(() => socket.setMulticastTTL(256), { code: 'EINVAL', syscall: 'setMulticastTTL' })
  assert.throws(() => socket.addMembership('1.2.3.4'), { code: 'EINVAL', syscall: 'addMembership' })
  assert.throws(() => socket.addMembership('nonsense'), { code: 'EINVAL', syscall: 'addMembership' })
  // Which error it is depends on whether the machine has a route there.
  const node = createSocket('udp4').bind(0, LOCALHOST)
  await once(node, 'listening')
  let code: string | undefined
  try {
    node.dropMembership('239.1.1.1')
  } catch (error) {
    code = (error as NodeJS.ErrnoException).code
  }
  node.close()
  assert.ok(code === 'EADDRNOTAVAIL' || code === 'ENODEV', code)
  assert.throws(() => socket.dropMembership('239.1.1.1'), { code: code!, syscall: 'dropMembership' })
})

test('what is wrong with the arguments is said before anything is opened', async () => {
  const bad: [object, string][] = [
    [{ port: 65536 }, 'ERR_SOCKET_BAD_PORT'],
    [{ port: '1' }, 'ERR_SOCKET_BAD_PORT'],
    [{ type: 'udp5' }, 'ERR_SOCKET_BAD_TYPE'],
    [{ address: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ reuseAddr: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ highWaterMark: 0 }, 'ERR_OUT_OF_RANGE'],
    [{ signal: {} }, 'ERR_INVALID_ARG_TYPE'],
    [{ lookup: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ adress: LOCALHOST }, 'ERR_INVALID_ARG_VALUE'],
  ]
  for (const [options, code] of bad) assert.throws(() => bind(options), { code }, JSON.stringify(options))
  assert.throws(() => bind(null as never), { code: 'ERR_INVALID_ARG_TYPE' })
  await using socket = await bind({ address: LOCALHOST })
  await assert.rejects(socket.send('x', { port: 0 }), { code: 'ERR_SOCKET_BAD_PORT' })
  await assert.rejects(socket.send(1 as never, { port: 1 }), { code: 'ERR_INVALID_ARG_TYPE' })
  const elsewhere = { port: 9, host: '10.1.2.3' } as never
  await assert.rejects(socket.send('x', elsewhere), { code: 'ERR_INVALID_ARG_VALUE' })
  await assert.rejects(socket.connect(elsewhere), { code: 'ERR_INVALID_ARG_VALUE' })
  await assert.rejects(socket.send('x', { port: 1, address: 1 as never }), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('memory that is detached, or tells another length than it has, is refused; memory that is shared is sent', async () => {
  await using receiver = await bind({ address: LOCALHOST })
  await using sender = await bind({ address: LOCALHOST })
  const to = { port: receiver.address().port, address: LOCALHOST }
  const detached = new DataView(new ArrayBuffer(4))
  structuredClone(detached.buffer, { transfer: [detached.buffer] })
  const longer = Object.defineProperty(new Uint8Array(4), 'length', { value: 4096 })
  for (const data of [detached, longer, ['x', detached], [longer]]) {
    await assert.rejects(sender.send(data, to), { code: 'ERR_INVALID_ARG_VALUE' })
  }
  const shared = new Uint8Array(new SharedArrayBuffer(3)).fill(7)
  assert.is(await sender.send(shared, to), 3)
  for await (const { data } of receiver) {
    assert.equal([...data], [7, 7, 7])
    break
  }
})

test('a slow loop loses nothing that the system has room for', async () => {
  await using sender = await bind({ address: LOCALHOST })
  await using receiver = await bind({ address: LOCALHOST, highWaterMark: 2 })
  const to = { port: receiver.address().port, address: LOCALHOST }
  const loop = receiver.messages()
  const first = loop.next()
  for (let index = 0; index < 40; index++) await sender.send(`${index}`, to)
  const received = [(await first).value!.data.toString()]
  while (received.length < 40) {
    await sleep(1)
    received.push((await loop.next()).value!.data.toString())
  }
  assert.equal(
    received,
    Array.from({ length: 40 }, (_, index) => `${index}`),
  )
  await loop.return?.()
})

test.run()
