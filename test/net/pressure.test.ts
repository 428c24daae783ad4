// Many, fast, too many: what a server meets on a bad day.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { connect } from '../../src/net/index.js'
import { descriptorCount } from '../descriptors.js'
import { assert, needs, note, test } from '../harness.js'
import { scaled } from '../patience.js'
import { digest, echo, onRing, pattern, readAll, serve, serveNode, until } from './peers.js'

const child = (name: string): string => fileURLToPath(new URL(`./children/${name}.ts`, import.meta.url))

/** The command line that runs a program with that many descriptors at most. */
function limited(descriptors: number, ...args: string[]): [string, string[]] {
  const script = `ulimit -n ${descriptors} && exec "$@"`
  return ['/bin/sh', ['-c', script, 'sh', process.execPath, ...process.execArgv, ...args]]
}

function canHave(descriptors: number): true | string {
  const { stdout } = spawnSync('/bin/sh', ['-c', `ulimit -n ${descriptors} && ulimit -n`], {
    encoding: 'utf8',
  })
  return Number(stdout) === descriptors || `needs a limit of ${descriptors} descriptors`
}

/** A child whose standard output is lines that answer those of its input. */
function conversation(descriptors: number, name: string, ...args: string[]) {
  const process = spawn(...limited(descriptors, child(name), ...args), { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface(process.stdout)[Symbol.asyncIterator]()
  const next = async (): Promise<string> => (await lines.next()).value
  return {
    pid: process.pid!,
    next,
    ask: (line: string): Promise<string> => {
      process.stdin.write(`${line}\n`)
      return next()
    },
    end: async (): Promise<void> => {
      process.stdin.end()
      await once(process, 'exit')
    },
    // One that a failed test left would keep this process.
    [Symbol.dispose]: (): void => {
      process.kill('SIGKILL')
    },
  }
}

const CONNECTIONS = scaled(10_000)

test(
  `${CONNECTIONS} idle connections cost little, and any of them can talk at any time`,
  needs({ when: () => canHave(CONNECTIONS + 500) }, async () => {
    using server = conversation(CONNECTIONS + 500, 'many-server')
    const port = await server.next()
    const before = JSON.parse(await server.ask(''))
    using clients = conversation(CONNECTIONS + 500, 'many-clients', port, String(CONNECTIONS))
    assert.is(await clients.next(), 'connected')
    // One in a hundred, to have the last ones accepted.
    assert.is(await clients.ask('100'), String(Math.ceil(CONNECTIONS / 100)))
    // The last ones may still wait to be accepted.
    const all = async (): Promise<boolean> => JSON.parse(await server.ask('')).connections === CONNECTIONS
    await until(all, 'all are accepted')
    const { rss } = JSON.parse(await server.ask(''))
    const bytesEach = Math.round((rss - before.rss) / CONNECTIONS)
    note(`${CONNECTIONS} idle connections: ${bytesEach} bytes resident each`)
    // node:net's connections, where there is no ring, are larger.
    const bound = onRing.when?.() === true ? 8000 : 16_000
    assert.ok(bytesEach < bound, `${bytesEach} bytes each`)
    // All at once: more completions than the completion queue holds.
    assert.is(await clients.ask('1'), String(CONNECTIONS))
    assert.is(await clients.ask('7'), String(Math.ceil(CONNECTIONS / 7)))
    await clients.end()
    await until(async () => JSON.parse(await server.ask('')).connections === 0, 'all closed')
    await server.end()
  }),
)

test(
  'a server that is out of descriptors rests, and loses no connection',
  // libuv closes connections that it has no descriptor for.
  needs({ command: 'prlimit', ...onRing }, async () => {
    using server = conversation(1024, 'few-descriptors')
    const port = Number(await server.next())
    // Once it has started: what it takes to start is not the question.
    const { status } = spawnSync('prlimit', ['--pid', String(server.pid), '--nofile=64:1024'])
    assert.is(status, 0)
    const clients = Array.from({ length: 200 }, async (_, index) => {
      const socket = net.connect(port, '127.0.0.1')
      socket.write(`client ${index}`)
      return String(await readAll(socket as AsyncIterable<Buffer>)) === `client ${index}`
    })
    const answers = await Promise.all(clients)
    assert.is(answers.filter(Boolean).length, 200)
    assert.is(await server.ask(''), '200')
    await server.end()
  }),
)

test('a storm of connections is served to the last, and leaves nothing behind', async () => {
  const { server, port } = await serve(echo)
  const before = descriptorCount()
  for (let round = 0; round < 4; round++) {
    const clients = Array.from({ length: 250 }, async (_, index) => {
      const socket = net.connect(port, '127.0.0.1')
      socket.end(`storm ${index}`)
      return String(await readAll(socket as AsyncIterable<Buffer>)) === `storm ${index}`
    })
    assert.is((await Promise.all(clients)).filter(Boolean).length, 250)
  }
  await until(() => server.connections === 0, 'all connections closed')
  await until(() => descriptorCount() <= before, 'all descriptors closed')
  await server.close()
})

test('connections that come and go at once, half of them by a reset, leave nothing behind', async () => {
  const { server, port } = await serve(echo)
  const before = descriptorCount()
  for (let round = 0; round < 10; round++) {
    const sockets = await Promise.all(Array.from({ length: 50 }, () => connect({ port, host: '127.0.0.1' })))
    for (const [index, socket] of sockets.entries()) {
      socket.write(pattern(index * 1000))
      if (index % 2) socket.resetAndDestroy()
      else socket.destroy()
    }
    await Promise.all(sockets.map((socket) => socket.closed))
  }
  await until(() => server.connections === 0, 'all connections closed')
  await until(() => descriptorCount() <= before, 'all descriptors closed')
  await server.close()
})

test('receiving is stopped and started again and again while data comes, and not a byte is lost', async () => {
  // A mark of one byte: each arrival passes it, so that each cancel races with the next arrival.
  const data = pattern(6_000_000)
  const peer = await serveNode((socket) => {
    let at = 0
    const send = (): void => {
      const end = Math.min(data.length, at + 1 + ((at * 7) % 9000))
      socket.write(data.subarray(at, end))
      at = end
      if (at < data.length) setImmediate(send)
      else socket.end()
    }
    send()
  })
  const socket = await connect({ port: peer.port, host: '127.0.0.1', highWaterMark: 1 })
  const chunks: Buffer[] = []
  for await (const chunk of socket) {
    chunks.push(chunk)
    if (chunks.length % 3 === 0) await new Promise(setImmediate)
  }
  assert.is(digest(Buffer.concat(chunks)), digest(data))
  await peer.close()
})

test.run()
