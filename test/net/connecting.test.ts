// Where connections go to and come from: addresses, families, Unix sockets, descriptors, failures, time limits.

import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Uring } from '../../src/index.js'
import { connect, createServer } from '../../src/net/index.js'
import { AF_INET, IPPROTO_IPV6, IPV6_V6ONLY, SOCK_DGRAM, socketAddress } from '../../src/ring/index.js'
import * as libc from '../../src/syscalls/libc.js'
import { descriptorCount } from '../descriptors.js'
import { assert, needs, test } from '../harness.js'
import { plainSocket } from '../plain-sockets.js'
import {
  dial,
  echo,
  fullListener,
  onRing,
  pair,
  readAll,
  serve,
  serveNode,
  settledDescriptorCount,
} from './peers.js'
import { descriptorOf, optionOf } from './socket-options.js'

const hasIPv6 = {
  when: (): true | string =>
    Object.values(networkInterfaces()).some((list) => list?.some(({ family }) => family === 'IPv6')) ||
    'needs IPv6',
}

/** An address such as fe80::1%eth0. */
function linkLocal(): string | null {
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    const found = addresses.find(({ address }) => address.startsWith('fe80:'))
    if (found) return `${found.address}%${name}`
  }
  return null
}

async function asked(port: number, host: string): Promise<string> {
  const socket = net.connect({ port, host })
  socket.end('ping')
  let text = ''
  for await (const chunk of socket) text += chunk
  return text
}

test('a server of ours and a client of node:net talk over IPv4', async () => {
  const { server, port } = await serve(echo)
  assert.equal(await asked(port, '127.0.0.1'), 'ping')
  assert.equal(server.address(), { address: '127.0.0.1', family: 'IPv4', port })
  await server.close()
  assert.is(server.address(), null)
  assert.is(server.connections, 0)
})

test('a client of ours and a server of node:net talk, and know their addresses', async () => {
  const { ours, theirs, close } = await pair()
  assert.is(ours.remotePort, theirs.localPort)
  assert.is(ours.localPort, theirs.remotePort)
  assert.is(ours.remoteAddress, '127.0.0.1')
  assert.is(ours.remoteFamily, 'IPv4')
  assert.equal(ours.address(), { address: '127.0.0.1', family: 'IPv4', port: theirs.remotePort })
  theirs.end('from them')
  await ours.end('from us')
  assert.is(String(await readAll(ours)), 'from them')
  await ours.closed
  assert.is(ours.destroyed, true)
  assert.is(ours.error, null)
  await close()
})

test(
  'a server without a host takes IPv6 and IPv4, with ipv6Only IPv6 alone',
  needs(hasIPv6, async () => {
    const both = createServer({}, echo)
    await both.listen({ port: 0 })
    const { port, family } = both.address() as AddressInfo
    assert.is(family, 'IPv6')
    assert.is(await asked(port, '127.0.0.1'), 'ping')
    assert.is(await asked(port, '::1'), 'ping')
    await both.close()

    const one = createServer({}, echo)
    await one.listen({ port: 0, host: '::', ipv6Only: true })
    const { port: onePort } = one.address() as AddressInfo
    assert.is(await asked(onePort, '::1'), 'ping')
    // Asked of the kernel: another process may have the same port of IPv4.
    assert.is(optionOf(descriptorOf(onePort), IPPROTO_IPV6, IPV6_V6ONLY), 1)
    await one.close()
  }),
)

test(
  'connect() over IPv6 shows IPv6 addresses',
  needs(hasIPv6, async () => {
    const server = createServer({}, echo)
    await server.listen({ port: 0, host: '::1' })
    const socket = await connect({ port: (server.address() as AddressInfo).port, host: '::1' })
    assert.is(socket.remoteAddress, '::1')
    assert.is(socket.remoteFamily, 'IPv6')
    await socket.end('x')
    assert.is(String(await readAll(socket)), 'x')
    await server.close()
  }),
)

test('a Unix socket works by path, and its file goes with the server', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'uring-net-'))
  const path = join(folder, 'socket')
  const server = createServer({}, echo)
  await server.listen({ path })
  assert.is(server.address(), path)
  assert.ok(statSync(path).isSocket())
  const socket = await connect({ path })
  assert.is(socket.remoteAddress, undefined)
  assert.equal(socket.address(), {})
  await socket.end('over a path')
  assert.is(String(await readAll(socket)), 'over a path')
  const node = net.connect({ path })
  node.end('from node')
  assert.is(String(await readAll(node as AsyncIterable<Buffer>)), 'from node')
  await server.close()
  assert.throws(() => statSync(path), { code: 'ENOENT' })
  await assert.rejects(connect({ path }), { code: 'ENOENT', syscall: 'connect' })
  rmSync(folder, { recursive: true })
})

test('an abstract Unix socket works, and leaves no file', async () => {
  const path = `\0uring-net-${process.pid}`
  const server = createServer({}, echo)
  await server.listen({ path })
  assert.is(server.address(), path)
  const socket = await connect({ path })
  await socket.end('abstract')
  assert.is(String(await readAll(socket)), 'abstract')
  const second = createServer({}, echo)
  await assert.rejects(second.listen({ path }), { code: 'EADDRINUSE' })
  await server.close()
  await assert.rejects(connect({ path }), { code: 'ECONNREFUSED' })
})

test('connect() fails as node:net does when nobody listens', async () => {
  const { port, close } = await serveNode(() => {})
  await close()
  const node = net.connect({ port, host: '127.0.0.1' })
  const [expected] = (await once(node, 'error').catch((error) => [error])) as [NodeJS.ErrnoException]
  await assert.rejects(connect({ port, host: '127.0.0.1' }), {
    code: 'ECONNREFUSED',
    errno: expected.errno!,
    syscall: 'connect',
    message: expected.message,
  })
})

test('listen() fails as node:net does when the address is taken', async () => {
  const { server, port, close } = await serveNode(() => {})
  const rival = net.createServer()
  rival.listen(port, '127.0.0.1')
  const [expected] = (await once(rival, 'error').catch((error) => [error])) as [NodeJS.ErrnoException]
  const ours = createServer({}, echo)
  await assert.rejects(ours.listen({ port, host: '127.0.0.1' }), {
    code: 'EADDRINUSE',
    syscall: 'listen',
    message: expected.message,
  })
  assert.ok(server.listening)
  await close()
  // It can be tried again.
  await ours.listen({ port, host: '127.0.0.1' })
  await assert.rejects(ours.listen({ port: 0 }), { code: 'ERR_SERVER_ALREADY_LISTEN' })
  await ours.close()
})

test('two servers listen on one port with reusePort', async () => {
  const first = createServer({}, echo)
  await first.listen({ port: 0, host: '127.0.0.1', reusePort: true })
  const { port } = first.address() as AddressInfo
  const second = createServer({}, echo)
  await second.listen({ port, host: '127.0.0.1', reusePort: true })
  for (let round = 0; round < 8; round++) assert.is(await asked(port, '127.0.0.1'), 'ping')
  await first.close()
  assert.is(await asked(port, '127.0.0.1'), 'ping')
  await second.close()
})

test('host names are looked up, and the addresses tried one after the other', async () => {
  const { port, server } = await serve(echo)
  const lookups: string[] = []
  const lookup = ((host: string, _options: unknown, done: (error: null, list: unknown) => void) => {
    lookups.push(host)
    // Nobody listens at the first two.
    done(null, [
      { address: '127.0.0.7', family: 4 },
      { address: '127.0.0.8', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ])
  }) as unknown as net.LookupFunction
  const socket = await connect({ host: 'some.where', port, lookup })
  assert.equal(lookups, ['some.where'])
  assert.is(socket.remoteAddress, '127.0.0.1')
  await socket.end()
  await server.close()
})

test('a host name that leads nowhere rejects with the error of the lookup', async () => {
  await assert.rejects(connect({ host: 'nowhere.invalid', port: 1 }), { syscall: 'getaddrinfo' })
})

test('connect() binds to localAddress and localPort first', async () => {
  const { ours, theirs, close } = await pair({ localAddress: '127.0.0.9' })
  assert.is(theirs.remoteAddress, '127.0.0.9')
  assert.is(ours.localAddress, '127.0.0.9')
  await close()
  await assert.rejects(connect({ host: '127.0.0.1', port: 9, localAddress: '192.0.2.1' }), {
    code: 'EADDRNOTAVAIL',
    syscall: 'bind',
  })
})

test('an abort before, during and after connect() rejects or destroys', async () => {
  const before = AbortSignal.abort()
  await assert.rejects(connect({ port: 1, signal: before }), { name: 'AbortError' })

  const during = new AbortController()
  const full = await fullListener()
  const attempt = connect({ host: '127.0.0.1', port: full.port, signal: during.signal })
  setTimeout(() => during.abort(), 30)
  await assert.rejects(attempt, { name: 'AbortError' })
  full.close()

  const after = new AbortController()
  const { ours, close } = await pair({ signal: after.signal })
  const reading = ours.read()
  after.abort()
  await assert.rejects(reading, { name: 'AbortError' })
  await ours.closed
  await close()
})

test('connect() gives up after timeoutMs', async () => {
  const { port, close } = await fullListener()
  const before = await settledDescriptorCount()
  try {
    await assert.rejects(connect({ host: '127.0.0.1', port, timeoutMs: 60 }), {
      code: 'ETIMEDOUT',
      syscall: 'connect',
      message: `connect ETIMEDOUT 127.0.0.1:${port}`,
    })
    // Fewer: a descriptor of the loader, or of a test before this one, may have been closed meanwhile.
    assert.ok(descriptorCount() <= before)
  } finally {
    close()
  }
})

test('the time of connect() counts for the lookup as well', async () => {
  const lookup = (() => {}) as unknown as net.LookupFunction
  await assert.rejects(connect({ host: 'never.example', port: 9, timeoutMs: 40, lookup }), {
    code: 'ETIMEDOUT',
    syscall: 'connect',
  })
})

test('readableAll and writableAll give the name of a Unix socket permissions', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'uring-net-'))
  const path = join(folder, 'socket')
  const modeWith = async (options: object): Promise<number> => {
    const server = createServer(echo)
    await server.listen({ path, ...options })
    const { mode } = statSync(path)
    await server.close()
    return mode & 0o777
  }
  // From Node 22 on that of node:net has these permissions alone.
  const modeInNode = async (options: object): Promise<number> => {
    const server = net.createServer()
    await once(server.listen({ path, ...options }), 'listening')
    const { mode } = statSync(path)
    await once(server.close(), 'close')
    return mode & 0o777
  }
  const usual = await modeWith({})
  const isOnRing = createServer(echo).backend === 'io_uring'
  for (const [options, bits] of [
    [{ readableAll: true }, 0o444],
    [{ writableAll: true }, 0o222],
  ] as const) {
    assert.is(await modeWith(options), isOnRing ? usual | bits : await modeInNode(options))
  }
  rmSync(folder, { recursive: true })
})

test(
  'an address of one link has the name of its interface behind it',
  needs(
    {
      when: () => linkLocal() !== null || 'needs an IPv6 address of one link (fe80::)',
    },
    async () => {
      const host = linkLocal()!
      const server = createServer(echo)
      await server.listen({ port: 0, host })
      const { port } = server.address() as AddressInfo
      assert.is(await asked(port, host), 'ping')
      const socket = await connect({ port, host })
      await socket.write('x')
      assert.is(String(await socket.read()), 'x')
      socket.destroy()
      await server.close()
    },
  ),
)

test('a connected descriptor becomes a connection, and a bound one a server', async () => {
  const { server, port } = await serve(echo)
  const node = await dial(port)
  // node:net keeps its descriptor, so ours is a duplicate.
  const { fcntl } = await import('../../src/syscalls/libc.js')
  const F_DUPFD_CLOEXEC = 1030
  const handle = (node as unknown as { _handle: { fd: number; readStop(): void } })._handle
  // Or it would read what is meant for ours; pause() alone does not keep it from that.
  handle.readStop()
  const ours = await connect({ fd: fcntl(handle.fd, F_DUPFD_CLOEXEC, 0) })
  ours.write('through a duplicate')
  assert.is(String(await ours.read()), 'through a duplicate')
  node.destroy()
  ours.destroy()
  await ours.closed
  await server.close()

  const bound = net.createServer()
  bound.listen(0, '127.0.0.1')
  await once(bound, 'listening')
  const { port: boundPort } = bound.address() as AddressInfo
  const fd = fcntl((bound as unknown as { _handle: { fd: number } })._handle.fd, F_DUPFD_CLOEXEC, 0)
  bound.close()
  const adopted = createServer({}, echo)
  await adopted.listen({ fd })
  assert.is((adopted.address() as AddressInfo).port, boundPort)
  assert.is(await asked(boundPort, '127.0.0.1'), 'ping')
  await adopted.close()
  await assert.rejects(connect({ fd: 0x7fff_fff0 }), (error) => typeof error.code === 'string')
})

test(
  'a socket of a family that is neither IP nor Unix is refused, and stays open',
  needs(onRing, async () => {
    const AF_NETLINK = 16
    const fd = plainSocket(AF_NETLINK, SOCK_DGRAM)
    await assert.rejects(connect({ fd }), { code: 'EINVAL', syscall: 'open' })
    assert.is(libc.close(fd), 0)
  }),
)

test(
  'a connected socket of datagrams is refused, and stays open',
  needs(onRing, async () => {
    const fd = plainSocket(AF_INET, SOCK_DGRAM)
    const { address, length } = socketAddress({ family: 'IPv4', address: '127.0.0.1', port: 9 })
    assert.is(libc.connect(fd, address, length), 0)
    await assert.rejects(connect({ fd }), { code: 'EINVAL', syscall: 'open' })
    assert.is(libc.close(fd), 0)
  }),
)

test(
  'without memory to receive into there is no connection, and none of its descriptors',
  needs(onRing, async () => {
    const peer = await serveNode((socket) => socket.on('error', () => {}))
    await using uring = Uring.open()
    const shortage = Object.assign(new Error('no memory'), { code: 'ENOMEM' })
    uring.createBufferGroup = () => {
      throw shortage
    }
    const errors: unknown[] = []
    const { server, port } = await serve(echo, { uring, onError: (error) => errors.push(error) })
    const before = await settledDescriptorCount()
    await assert.rejects(connect({ host: '127.0.0.1', port: peer.port, uring }), { code: 'ENOMEM' })
    const client = net.connect({ host: '127.0.0.1', port })
    client.on('error', () => {})
    await once(client, 'close')
    assert.equal(errors, [shortage])
    assert.is(server.connections, 0)
    assert.ok((await settledDescriptorCount()) <= before)
    await server.close()
    await peer.close()
  }),
)

test.run()
