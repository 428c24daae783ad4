// The socket opcodes as promises, against the real kernel and against node:net.

import { mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, connect as nodeConnect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  AF_INET,
  AF_UNIX,
  IPPROTO_TCP,
  kernelCalls,
  MSG_CMSG_CLOEXEC,
  MSG_PEEK,
  MSG_TRUNC,
  MSG_WAITALL,
  SCM_RIGHTS,
  SHUT_WR,
  SO_KEEPALIVE,
  SO_TYPE,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_NODELAY,
  type UringCalls,
} from '../../src/ring/index.js'
import type { Block } from '../../src/runtime/arena.js'
import { close } from '../../src/syscalls/libc.js'
import { assert, needs, test, unmet } from '../harness.js'
import { TestRing, withCalls } from './fixture.js'
import { bindUdp, connectPair, listenTcp, newSocket, openUring } from './open-uring.js'

const here = needs.bind(null, { ring: true } as const)

test(
  'bind(), listen(), connect(), accept() make a connection that carries data both ways',
  here(async () => {
    await using uring = openUring()
    const [client, server] = await connectPair(uring)
    assert.is(await uring.send(client, Buffer.from('ping')), 4)
    const buffer = Buffer.alloc(16)
    assert.is(await uring.recv(server, buffer), 4)
    assert.is(buffer.toString('utf8', 0, 4), 'ping')
    const echo = uring.recv(client, buffer, { length: 2 })
    assert.is(await uring.send(server, Buffer.from('pong'), { length: 3 }), 3)
    assert.is(await echo, 2)
    assert.is(buffer.toString('utf8', 0, 2), 'po')
    assert.is(await uring.recv(client, buffer), 1)
    await uring.shutdown(server, SHUT_WR)
    assert.is(await uring.recv(client, buffer), 0)
    close(client)
    close(server)
  }),
)

test(
  'connect() reaches a server of node:net, and rejects as the kernel says',
  here(async () => {
    await using uring = openUring()
    const received: Buffer[] = []
    const nodeServer = createServer((socket) =>
      socket.on('data', (data) => received.push(data)).on('end', () => socket.end('bye')),
    )
    await new Promise<void>((resolve) => nodeServer.listen(0, '127.0.0.1', resolve))
    const { port } = nodeServer.address() as AddressInfo
    const fd = await newSocket(uring, SOCK_STREAM)
    await uring.connect(fd, { family: 'IPv4', address: '127.0.0.1', port })
    await uring.send(fd, Buffer.from('hello'))
    await uring.shutdown(fd, SHUT_WR)
    const buffer = Buffer.alloc(8)
    assert.is(await uring.recv(fd, buffer, { flags: MSG_WAITALL, length: 3 }), 3)
    assert.is(buffer.toString('utf8', 0, 3), 'bye')
    assert.is(Buffer.concat(received).toString(), 'hello')
    close(fd)
    await new Promise((resolve) => nodeServer.close(resolve))
    const refused = await newSocket(uring, SOCK_STREAM)
    await assert.rejects(uring.connect(refused, { family: 'IPv4', address: '127.0.0.1', port }), {
      code: 'ECONNREFUSED',
      syscall: 'connect',
    })
    close(refused)
  }),
)

test(
  'acceptFrom() tells the address of the other end',
  here(async () => {
    await using uring = openUring()
    const listener = await listenTcp(uring)
    const accepted = uring.acceptFrom(listener.fd)
    const client = nodeConnect(listener.port, '127.0.0.1')
    const { fd, address } = await accepted
    assert.equal(address, { family: 'IPv4', address: '127.0.0.1', port: client.localPort })
    client.destroy()
    close(fd)
    close(listener.fd)
  }),
)

test(
  'acceptFrom() keeps a connection whose other end has an address of another family',
  here(async () => {
    // The kernels of tests have no such family whose sockets reach each other: its number is written over that of IPv4.
    const AF_VSOCK = 40
    let block: Block | null = null
    const enter: UringCalls['enter'] = (...args) => {
      const result = kernelCalls.enter(...args)
      block?.view.setUint16(0, AF_VSOCK, true)
      return result
    }
    await using uring = new TestRing({}, withCalls({ enter }))
    const listener = await listenTcp(uring)
    const client = await newSocket(uring, SOCK_STREAM)
    await uring.connect(client, { family: 'IPv4', address: '127.0.0.1', port: listener.port })
    const { arena } = uring
    const alloc = arena.alloc.bind(arena)
    arena.alloc = (bytes) => {
      block = alloc(bytes)
      return block
    }
    const accepted = uring.acceptFrom(listener.fd)
    arena.alloc = alloc
    const { fd, address } = await accepted
    block = null
    assert.is(address, null)
    await uring.send(client, Buffer.from('here'))
    assert.is(await uring.recv(fd, Buffer.alloc(8)), 4)
    for (const each of [fd, client, listener.fd]) close(each)
  }),
)

test(
  'accept() ends by signal and by timeoutMs',
  here(async () => {
    await using uring = openUring()
    const listener = await listenTcp(uring)
    const controller = new AbortController()
    const waiting = uring.accept(listener.fd, { signal: controller.signal })
    setTimeout(() => controller.abort(), 5)
    await assert.rejects(waiting, { name: 'AbortError', code: 'ABORT_ERR' })
    await assert.rejects(uring.accept(listener.fd, { timeoutMs: 5 }), {
      code: 'ETIMEDOUT',
      syscall: 'accept',
    })
    close(listener.fd)
  }),
)

test(
  'send({ to }) and recvmsg() carry datagrams with their sender',
  needs({ opcode: 'IORING_OP_SENDMSG_ZC' }, async () => {
    await using uring = openUring()
    const a = await bindUdp(uring)
    const b = await bindUdp(uring)
    const to = { family: 'IPv4', address: '127.0.0.1', port: b.port } as const
    assert.is(await uring.send(a.fd, Buffer.from('datagram'), { to }), 8)
    const [one, two] = [Buffer.alloc(4), Buffer.alloc(3)]
    const message = await uring.recvmsg(b.fd, [one, two])
    assert.is(message.length, 7)
    assert.is(Buffer.concat([one, two]).toString(), 'datagra')
    assert.equal(message.from, { family: 'IPv4', address: '127.0.0.1', port: a.port })
    assert.is(message.flags & MSG_TRUNC, MSG_TRUNC)
    assert.is(await uring.sendmsg(a.fd, { buffers: [Buffer.from('x'), Buffer.from('yz')], to }), 3)
    assert.is(await uring.recv(b.fd, one, { flags: MSG_PEEK }), 3)
    assert.is(await uring.recv(b.fd, one), 3)
    assert.is(one.toString('utf8', 0, 3), 'xyz')
    close(a.fd)
    close(b.fd)
  }),
)

test(
  'sendmsg() passes descriptors over a Unix socket',
  needs({ opcode: 'IORING_OP_LISTEN' }, async () => {
    await using uring = openUring()
    const folder = mkdtempSync(join(tmpdir(), 'uring-sockets-'))
    const path = join(folder, 'socket')
    const listener = await uring.socket(AF_UNIX, SOCK_STREAM)
    await uring.bind(listener, { family: 'unix', path })
    await uring.listen(listener)
    const client = await uring.socket(AF_UNIX, SOCK_STREAM)
    await uring.connect(client, { family: 'unix', path })
    const server = await uring.accept(listener)
    writeFileSync(join(folder, 'file'), 'passed on')
    const file = openSync(join(folder, 'file'), 'r')
    const data = new Uint8Array(new Int32Array([file]).buffer)
    const control = [{ level: SOL_SOCKET, type: SCM_RIGHTS, data }]
    await uring.sendmsg(client, { buffers: [Buffer.from('!')], control })
    close(file)
    const message = await uring.recvmsg(server, [Buffer.alloc(1)], {
      controlBytes: 64,
      flags: MSG_CMSG_CLOEXEC,
    })
    assert.is(message.control.length, 1)
    const received = new DataView(message.control[0]!.data.slice().buffer).getInt32(0, true)
    const text = Buffer.alloc(16)
    assert.is(readSync(received, text), 9)
    assert.is(text.toString('utf8', 0, 9), 'passed on')
    for (const fd of [received, client, server, listener]) close(fd)
    rmSync(folder, { recursive: true })
  }),
)

test(
  'sendZc() and sendmsgZc() resolve once the kernel has let go of the data',
  needs({ opcode: 'IORING_OP_SENDMSG_ZC' }, async () => {
    await using uring = openUring()
    const [client, server] = await connectPair(uring)
    const data = Buffer.alloc(65536, 'z')
    const reading = (async () => {
      const buffer = Buffer.alloc(65536)
      let total = 0
      while (total < 65536 + 6) {
        const count = await uring.recv(server, buffer)
        assert.ok(buffer.subarray(0, count).every((byte) => byte === 122))
        total += count
      }
    })()
    assert.is(await uring.sendZc(client, data, { flags: MSG_WAITALL }), 65536)
    assert.is(await uring.sendmsgZc(client, { buffers: [data.subarray(0, 2), data.subarray(0, 4)] }), 6)
    await reading
    assert.is(uring.driver.inFlight, 0)
    close(client)
    close(server)
  }),
)

test(
  'getsockopt() and setsockopt()',
  needs({ linux: '6.7', opcode: 'IORING_OP_SOCKET' }, async () => {
    await using uring = openUring()
    const fd = await uring.socket(AF_INET, SOCK_STREAM)
    assert.is((await uring.getsockopt(fd, SOL_SOCKET, SO_TYPE)).readInt32LE(), SOCK_STREAM)
    assert.is((await uring.getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE)).readInt32LE(), 0)
    await uring.setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, 1)
    assert.is((await uring.getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE)).readInt32LE(), 1)
    await uring.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, Buffer.from([1, 0, 0, 0]))
    await assert.rejects(uring.getsockopt(fd, IPPROTO_TCP, TCP_NODELAY), {
      code: 'ENOTSUP',
      syscall: 'getsockopt',
    })
    await assert.rejects(uring.setsockopt(fd, SOL_SOCKET, 12345, 1), { code: 'ENOPROTOOPT' })
    close(fd)
  }),
)

test(
  'a ring that copies, as in a worker, carries the same data through driver memory',
  here(async () => {
    await using uring = openUring({ copies: true })
    const [client, server] = await connectPair(uring)
    const data = Buffer.from('through the middle')
    const [one, two] = [Buffer.alloc(7), Buffer.alloc(20)]
    await uring.send(client, data, { length: 7 })
    assert.is(await uring.recv(server, one), 7)
    await uring.sendmsg(client, { buffers: [data.subarray(7, 11), data.subarray(11)] })
    assert.is(one.toString(), 'through')
    assert.is((await uring.recvmsg(server, [one, two])).length, 11)
    assert.is(one.toString() + two.toString('utf8', 0, 4), ' the middle')
    if (unmet({ opcode: 'IORING_OP_SEND_ZC' }) === null) {
      await uring.sendZc(client, data)
      assert.is(await uring.recv(server, two), 18)
      assert.is(two.toString('utf8', 0, 18), 'through the middle')
    }
    assert.is(uring.driver.arena.blocksInUse, 0)
    close(client)
    close(server)
  }),
)

test(
  'bad arguments throw before anything is submitted, and leak no driver memory',
  here(async () => {
    await using uring = openUring()
    assert.throws(() => uring.send(1, 'text' as never), { code: 'ERR_INVALID_ARG_TYPE' })
    assert.throws(() => uring.send(1, Buffer.alloc(1), { to: { family: 'IPv4', address: 'x', port: 1 } }), {
      code: 'ERR_INVALID_ARG_VALUE',
    })
    assert.throws(() => uring.bind(1, { family: 'IPv4', address: '127.0.0.1', port: 65536 }), {
      code: 'ERR_OUT_OF_RANGE',
    })
    assert.throws(() => uring.setsockopt(1, 1, 1, 'on' as never), { code: 'ERR_INVALID_ARG_TYPE' })
    assert.throws(() => uring.recvmsg(1, [Buffer.alloc(1)], { controlBytes: -1 }), {
      code: 'ERR_OUT_OF_RANGE',
    })
    await assert.rejects(uring.recv(-1, Buffer.alloc(1)), { code: 'EBADF', syscall: 'recv' })
    assert.is(uring.driver.arena.blocksInUse, 0)
  }),
)

for (const copies of [false, true]) {
  test(
    `views of shared memory are refused before anything is taken or received, ${copies ? 'with' : 'without'} copies`,
    here(async () => {
      await using uring = openUring({ copies })
      const [client, server] = await connectPair(uring)
      const shared = new Uint8Array(new SharedArrayBuffer(8)) as never
      const own = Buffer.alloc(8)
      await uring.send(client, Buffer.from('kept'))
      const calls = [
        () => uring.send(client, shared),
        () => uring.send(client, shared, { to: { family: 'IPv4', address: '127.0.0.1', port: 1 } }),
        () => uring.sendZc(client, shared),
        () => uring.recv(server, shared),
        () => uring.sendmsg(client, { buffers: [own, shared] }),
        () => uring.recvmsg(server, [own, shared]),
      ]
      for (const call of calls) {
        assert.throws(call, { code: 'ERR_INVALID_ARG_TYPE' })
        assert.is(uring.driver.arena.blocksInUse, 0)
      }
      assert.is(await uring.recv(server, own), 4)
      assert.is(own.toString('utf8', 0, 4), 'kept')
      assert.is(uring.driver.arena.blocksInUse, 0)
      close(client)
      close(server)
    }),
  )
}

test.run()
