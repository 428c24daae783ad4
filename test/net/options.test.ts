// Bad arguments are refused before anything is opened, with node:net's codes.

import { connect, createServer } from '../../src/net/index.js'
import { descriptorCount } from '../descriptors.js'
import { assert, test } from '../harness.js'
import { echo, pair } from './peers.js'

type Bad = readonly [options: unknown, code: string]

const SETTINGS: readonly Bad[] = [
  [{ noDelay: 1 }, 'ERR_INVALID_ARG_TYPE'],
  [{ keepAlive: 'yes' }, 'ERR_INVALID_ARG_TYPE'],
  [{ keepAliveInitialDelay: '1' }, 'ERR_INVALID_ARG_TYPE'],
  [{ allowHalfOpen: 0 }, 'ERR_INVALID_ARG_TYPE'],
  [{ highWaterMark: -1 }, 'ERR_OUT_OF_RANGE'],
  [{ highWaterMark: 1.5 }, 'ERR_OUT_OF_RANGE'],
  [{ chunks: 'buffers' }, 'ERR_INVALID_ARG_VALUE'],
  [{ uring: {} }, 'ERR_INVALID_ARG_TYPE'],
  [{ nodelay: true }, 'ERR_INVALID_ARG_VALUE'],
  [null, 'ERR_INVALID_ARG_TYPE'],
]

test('createServer() refuses bad options', () => {
  const bad: readonly Bad[] = [
    ...SETTINGS,
    [{ onError: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ maxConnections: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ workers: 1.5 }, 'ERR_OUT_OF_RANGE'],
    [{ workers: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ distribution: 'luck' }, 'ERR_INVALID_ARG_VALUE'],
  ]
  for (const [options, code] of bad) assert.throws(() => createServer(options as never, echo), { code })
  assert.throws(() => createServer({}, undefined as never), { code: 'ERR_INVALID_ARG_TYPE' })
  assert.throws(() => createServer(echo as never, {} as never), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('listen() refuses bad options', async () => {
  const bad: readonly Bad[] = [
    [{ port: 65536 }, 'ERR_SOCKET_BAD_PORT'],
    [{ port: -1 }, 'ERR_SOCKET_BAD_PORT'],
    [{ port: Number.NaN }, 'ERR_SOCKET_BAD_PORT'],
    [{ port: '80x' }, 'ERR_SOCKET_BAD_PORT'],
    [{ port: {} }, 'ERR_INVALID_ARG_TYPE'],
    [{ port: 0, host: 5 }, 'ERR_INVALID_ARG_TYPE'],
    [{ path: 5 }, 'ERR_INVALID_ARG_TYPE'],
    [{ path: '' }, 'ERR_INVALID_ARG_VALUE'],
    [{ path: 'a\0b' }, 'ERR_INVALID_ARG_VALUE'],
    [{ path: 'x'.repeat(108) }, 'ERR_INVALID_ARG_VALUE'],
    [{}, 'ERR_INVALID_ARG_VALUE'],
    [{ fd: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ port: 0, backlog: 'many' }, 'ERR_INVALID_ARG_TYPE'],
    [{ port: 0, reusePort: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ port: 0, signal: {} }, 'ERR_INVALID_ARG_TYPE'],
    [{ port: 0, hosts: '::' }, 'ERR_INVALID_ARG_VALUE'],
  ]
  const server = createServer({}, echo)
  for (const [options, code] of bad) await assert.rejects(server.listen(options as never), { code })
  await assert.rejects(server.close(), { code: 'ERR_SERVER_NOT_RUNNING' })
})

test('connect() refuses bad options, and opens nothing', async () => {
  const bad: readonly Bad[] = [
    ...SETTINGS.map(([options, code]) => [options && { port: 1, ...options }, code] as const),
    [{}, 'ERR_MISSING_ARGS'],
    [{ port: 65536 }, 'ERR_SOCKET_BAD_PORT'],
    [{ port: 'x' }, 'ERR_SOCKET_BAD_PORT'],
    [{ port: 1, host: 5 }, 'ERR_INVALID_ARG_TYPE'],
    [{ path: 5 }, 'ERR_INVALID_ARG_TYPE'],
    [{ fd: 'a' }, 'ERR_INVALID_ARG_TYPE'],
    [{ port: 1, localAddress: 'foo' }, 'ERR_INVALID_IP_ADDRESS'],
    [{ port: 1, localPort: 'z' }, 'ERR_SOCKET_BAD_PORT'],
    [{ port: 1, family: 9 }, 'ERR_INVALID_ARG_VALUE'],
    [{ port: 1, lookup: 5 }, 'ERR_INVALID_ARG_TYPE'],
    [{ port: 1, timeoutMs: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ port: 1, autoSelectFamily: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ port: 1, signal: 5 }, 'ERR_INVALID_ARG_TYPE'],
  ]
  const before = descriptorCount()
  for (const [options, code] of bad) await assert.rejects(connect(options as never), { code })
  assert.ok(descriptorCount() <= before)
})

test('the methods of a connection refuse bad arguments and leave it as it was', async () => {
  const { ours, theirs, close } = await pair()
  assert.throws(() => ours.write(5 as never), { code: 'ERR_INVALID_ARG_TYPE' })
  assert.throws(() => ours.write(['a', null] as never), { code: 'ERR_INVALID_ARG_TYPE' })
  const detached = [
    new DataView(new ArrayBuffer(8)),
    new Float64Array(8),
    new ArrayBuffer(8),
    new Uint8Array(8),
  ]
  const buffers = detached.map(
    (memory) => (ArrayBuffer.isView(memory) ? memory.buffer : memory) as ArrayBuffer,
  )
  structuredClone(buffers, { transfer: buffers })
  for (const memory of detached) {
    assert.throws(() => ours.write(['a', memory]), { code: 'ERR_INVALID_ARG_VALUE' })
    assert.throws(() => ours.write(memory), { code: 'ERR_INVALID_ARG_VALUE' })
  }
  const longer = Object.defineProperty(Buffer.alloc(8), 'length', { value: 4096 })
  assert.throws(() => ours.write(longer), { code: 'ERR_INVALID_ARG_VALUE' })
  assert.equal([ours.bytesWritten, ours.pendingBytes], [0, 0])
  assert.is(ours.write(new Uint8Array(new SharedArrayBuffer(0))), true)
  assert.throws(() => ours.setTimeout(-1), { code: 'ERR_OUT_OF_RANGE' })
  assert.throws(() => ours.setTimeout('1' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  assert.throws(() => ours.setTimeout(1, 5 as never), { code: 'ERR_INVALID_ARG_TYPE' })
  assert.throws(() => ours.consume(null as never), { code: 'ERR_INVALID_ARG_TYPE' })
  assert.throws(() => ours.consume({ onData() {} } as never), { code: 'ERR_INVALID_ARG_TYPE' })
  await assert.rejects(ours.shutdown('up' as never), { code: 'ERR_INVALID_ARG_TYPE' })
  await assert.rejects(ours.sendFile('/etc/hostname', { offset: -1 }), { code: 'ERR_OUT_OF_RANGE' })
  await assert.rejects(ours.sendFile({} as never), { code: 'ERR_INVALID_ARG_TYPE' })
  ours.write('still here')
  await ours.flush()
  const [data] = (await new Promise((resolve) => theirs.once('data', (...args) => resolve(args)))) as [Buffer]
  assert.is(String(data), 'still here')
  await close()
})

test.run()
