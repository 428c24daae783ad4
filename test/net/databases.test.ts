// Clients of databases on connections of ours: ioredis against a real Redis, mysql2 against its own server behind a server
// of ours. They look for a net.Socket's members, pipeline, and reconnect.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { Redis } from 'ioredis'
import mysql from 'mysql2'
import mysqlPromises from 'mysql2/promise'
import { createConnection, createServer } from '../../src/net/index.js'
import { assert, needs, test } from '../harness.js'
import { PATIENCE } from '../patience.js'

interface RunningRedis {
  readonly path: string
  [Symbol.asyncDispose](): Promise<void>
}

/** A Redis of the test's own, on a Unix socket, that keeps nothing. */
async function startRedis(): Promise<RunningRedis> {
  const folder = mkdtempSync(join(tmpdir(), 'uring-redis-'))
  const path = join(folder, 'redis.sock')
  const args = ['--port', '0', '--unixsocket', path, '--save', '', '--dir', folder]
  const server = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'ignore'] })
  let output = ''
  for await (const chunk of server.stdout) {
    output += chunk
    if (/ready to accept connections/i.test(output)) break
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      const ended = once(server, 'exit')
      server.kill()
      await ended
      rmSync(folder, { recursive: true })
    },
  }
}

/** A client whose connections are ours; they are added to `streams`. */
function redisClient(path: string, streams: Duplex[]): Redis {
  const Connector = class {
    check(): boolean {
      return true
    }
    connect(): Promise<Duplex> {
      const stream = createConnection({ path })
      streams.push(stream)
      return Promise.resolve(stream)
    }
    disconnect(): void {
      streams.at(-1)?.end()
    }
  }
  // Its types know connectors that make a net.Socket.
  const Client = Redis as unknown as new (options: object) => Redis
  return new Client({ Connector, retryStrategy: () => 5 })
}

test(
  'ioredis: commands, pipelines, large values, publishing, reconnecting',
  needs({ command: 'redis-server' }, async () => {
    await using server = await startRedis()
    const streams: Duplex[] = []
    const client = redisClient(server.path, streams)
    await client.set('key', 'value')
    assert.is(await client.get('key'), 'value')

    const pipeline = client.pipeline()
    for (let index = 0; index < 2000; index++) pipeline.incr('counter')
    const answers = await pipeline.exec()
    assert.equal(answers?.at(-1), [null, 2000])

    const large = Buffer.alloc(3_000_000, 'some bytes of it ')
    await client.set('large', large)
    assert.ok((await client.getBuffer('large'))?.equals(large))

    const listener = redisClient(server.path, streams)
    await listener.subscribe('news')
    const heard = once(listener, 'message')
    await client.publish('news', 'something')
    assert.equal(await heard, ['news', 'something'])

    // A connection that breaks is made anew, and what was asked meanwhile is answered.
    const before = streams.length
    const closed = once(client, 'close')
    streams[0]!.destroy()
    await closed
    assert.is(await client.incr('counter'), 2001)
    assert.is(streams.length, before + 1)
    await Promise.all([client.quit(), listener.quit()])
  }),
)

test('mysql2: many statements, large rows, errors, on connections and a server of ours', async () => {
  const authority = mysql.createServer(() => {})
  authority.on('connection', (connection) => {
    connection.serverHandshake({
      protocolVersion: 10,
      serverVersion: '8.0.0',
      connectionId: 1,
      statusFlags: 2,
      characterSet: 8,
      capabilityFlags: 0xffffff ^ 0x800 ^ 0x20,
    })
    connection.on('query', (sql: string) => {
      const [, text] = /^select (.*)$/.exec(sql) ?? []
      // biome-ignore lint/suspicious/noExplicitAny: the server half of mysql2 has few types.
      const peer = connection as any
      if (text === undefined) {
        peer.writeError({ code: 1064, message: `no such statement: ${sql}` })
        peer._resetSequenceId()
        return
      }
      const column = { catalog: 'def', schema: '', table: '', orgTable: '', name: 'value', orgName: 'value' }
      const kind = { characterSet: 33, columnLength: 2 ** 31, columnType: 253, flags: 0, decimals: 0 }
      peer.writeTextResult([{ value: text.repeat(text === 'large' ? 200_000 : 1) }], [{ ...column, ...kind }])
      // Packets of the next command are counted from 0 again, which is the server's to see to.
      peer._resetSequenceId()
    })
    connection.on('error', () => {})
  })
  // The library's server takes streams as it takes sockets.
  const server = createServer({ noDelay: true }, (socket) => {
    // biome-ignore lint/suspicious/noExplicitAny: as above
    ;(authority as any)._handleConnection(socket.stream())
  })
  await server.listen({ port: 0, host: '127.0.0.1' })
  const { port } = server.address() as AddressInfo
  const client = await mysqlPromises.createConnection({
    user: 'anyone',
    stream: () => createConnection({ port, host: '127.0.0.1', noDelay: true }),
  })
  const rowsOf = async (sql: string): Promise<unknown> => (await client.query(sql))[0]
  assert.equal(JSON.stringify(await rowsOf('select word')), '[{"value":"word"}]')
  const [{ value }] = (await rowsOf('select large')) as [{ value: string }]
  assert.is(value.length, 1_000_000)
  await assert.rejects(rowsOf('drop it'), { message: 'no such statement: drop it' })
  const many = await Promise.all(Array.from({ length: 200 }, (_, index) => rowsOf(`select ${index}`)))
  assert.equal(
    many.map((rows) => (rows as [{ value: string }])[0].value),
    Array.from({ length: 200 }, (_, index) => String(index)),
  )
  await client.end()
  await server.close({ deadlineMs: 2000 * PATIENCE })
})

test.run()
