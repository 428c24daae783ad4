// Servers with workers, and connections in workers, in the form that users run: joined JavaScript in a process of its own.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundle, ROOT } from '../../scripts/bundle.js'
import { assert, needs, test } from '../harness.js'
import { PATIENCE } from '../patience.js'
import { onRing } from './peers.js'

const folder = mkdtempSync(join(tmpdir(), 'uring-net-workers-'))
process.on('exit', () => rmSync(folder, { recursive: true }))
await bundle(['src/net/index.ts', 'src/index.ts'], join(folder, 'dist'), 'src')
symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))

writeFileSync(
  join(folder, 'handler.mjs'),
  `import { threadId, workerData } from 'node:worker_threads'
  export default async (socket) => {
    socket.write(threadId + ' ' + workerData + ' ' + socket.remoteAddress + '\\n')
    for await (const chunk of socket) {
      if (String(chunk) === 'throw') setImmediate(() => { throw new Error('on purpose') })
      const written = socket.write(chunk)
      if (written !== true) await written
    }
  }`,
)

/** Runs a program that imports what users import; returns what it prints. */
function run(body: string, env: Record<string, string> = {}): unknown {
  const program = join(folder, 'program.mjs')
  writeFileSync(
    program,
    `import assert from 'node:assert'
    import { readdirSync, writeFileSync } from 'node:fs'
    import { Worker } from 'node:worker_threads'
    import { bind, connect, createServer } from './dist/net/index.js'
    import { Uring } from './dist/index.js'
    const handler = new URL('./handler.mjs', import.meta.url)
    const descriptors = () => readdirSync('/proc/self/fd').length
    const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
    const until = async (condition) => {
      for (let round = 0; round < 1000 && !condition(); round++) await delay(10)
      assert.ok(condition(), String(condition))
    }
    ${body}`,
  )
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], {
    encoding: 'utf8',
    timeout: 30_000 * PATIENCE,
    env: { ...process.env, NODE_OPTIONS: '', ...env },
  })
  assert.is(status, 0, stderr)
  return JSON.parse(stdout)
}

const SERVE = `
  const server = createServer({ workers: 3, workerData: 'told', distribution: DISTRIBUTION }, handler)
  await server.listen(WHERE)
  const where = WHERE.path ? WHERE : { port: server.address().port, host: '127.0.0.1' }
  const sockets = []
  const threads = []
  for (let index = 0; index < 30; index++) {
    const socket = await connect(where)
    const [thread, data, address] = String(await socket.read()).trim().split(' ')
    threads.push(thread)
    assert.equal(data, 'told')
    if (!where.path) assert.equal(address, '127.0.0.1')
    sockets.push(socket)
  }
  const { connections } = server
  for (const [index, socket] of sockets.entries()) {
    socket.write('hello ' + index)
    assert.equal(String(await socket.read()), 'hello ' + index)
  }
  const big = Buffer.alloc(3_000_000, 'x')
  const sending = Promise.resolve(sockets[0].write(big)).then(() => sockets[0].end())
  let back = 0
  for await (const chunk of sockets[0]) back += chunk.length
  await sending
  assert.equal(back, big.length)
  const closing = server.close()
  await delay(300)
  await assert.rejects(connect(where))
  for (const socket of sockets) await socket.end()
  await closing
  console.log(JSON.stringify({ backend: server.backend, connections, threads: new Set(threads).size, left: server.connections }))`

function serve(distribution: string, where: string, env: Record<string, string> = {}): unknown {
  return run(SERVE.replaceAll('DISTRIBUTION', `'${distribution}'`).replaceAll('WHERE', `(${where})`), env)
}

const TCP = "{ port: 0, host: '127.0.0.1' }"

test(
  'connections are handed over to the workers in equal parts',
  needs(onRing, () => {
    assert.equal(serve('message', TCP), { backend: 'io_uring', connections: 30, threads: 3, left: 0 })
  }),
)

test(
  'connections of a Unix socket are handed over as well',
  needs(onRing, () => {
    const result = serve('message', `{ path: '${join(folder, 'socket')}' }`)
    assert.equal(result, { backend: 'io_uring', connections: 30, threads: 3, left: 0 })
  }),
)

test(
  'connections are handed over where rings may send each other no messages',
  needs({ ...onRing, opcode: 'IORING_OP_SEND_ZC' }, () => {
    const result = run(`
      const everything = { sqeFlagsAllowed: 0xff }
      const operations = Array.from({ length: 48 }, (_, sqeOp) => ({ sqeOp })).filter(({ sqeOp }) => sqeOp !== 40)
      const uring = Uring.open({ restrictions: [everything, ...operations] })
      await assert.rejects(uring.postMessage(uring.endpoint, {}), { code: 'EACCES' })
      const server = createServer({ workers: 2, workerData: 'told', uring }, handler)
      await server.listen({ port: 0, host: '127.0.0.1' })
      const threads = new Set()
      const sockets = []
      for (let index = 0; index < 20; index++) {
        const socket = await connect({ port: server.address().port, host: '127.0.0.1' })
        threads.add(String(await socket.read()).split(' ')[0])
        socket.write('hello ' + index)
        assert.equal(String(await socket.read()), 'hello ' + index)
        sockets.push(socket)
      }
      const { connections } = server
      const closing = server.close({ deadlineMs: 50 })
      for (const socket of sockets) while ((await socket.read().catch(() => null)) !== null);
      await closing
      await uring.close()
      await until(() => descriptors() <= 30)
      console.log(JSON.stringify({ backend: server.backend, connections, threads: threads.size }))`)
    assert.equal(result, { backend: 'io_uring', connections: 20, threads: 2 })
  }),
)

test(
  'a connection that arrives twice, for the ring that sent it does not know, is taken once',
  needs({ ...onRing, opcode: 'IORING_OP_MSG_RING' }, () => {
    const result = run(`
      const uring = Uring.open()
      uring.postMessage = async (...message) => {
        await Uring.prototype.postMessage.apply(uring, message)
        throw new Error('lost')
      }
      const server = createServer({ workers: 1, workerData: 'told', uring }, handler)
      await server.listen({ port: 0, host: '127.0.0.1' })
      const texts = []
      for (let index = 0; index < 3; index++) {
        const socket = await connect({ port: server.address().port, host: '127.0.0.1' })
        await socket.end('hello')
        let text = ''
        for await (const chunk of socket) text += chunk
        texts.push(text.slice(text.indexOf(' ')))
      }
      await until(() => server.connections <= 0)
      const { connections } = server
      await server.close()
      await uring.close()
      console.log(JSON.stringify({ texts, connections }))`)
    assert.equal(result, { texts: new Array(3).fill(' told 127.0.0.1\nhello'), connections: 0 })
  }),
)

test(
  'workers listen on one port with reusePort',
  needs(onRing, () => {
    const { threads, ...rest } = serve('reusePort', TCP) as { threads: number }
    assert.equal(rest, { backend: 'io_uring', connections: 30, left: 0 })
    // The kernel chooses by the address of the client.
    assert.ok(threads > 1)
  }),
)

test('without io_uring the workers share a listening socket', () => {
  const { threads, ...rest } = serve('message', TCP, { URING_DISABLE: '1' }) as { threads: number }
  assert.equal(rest, { backend: 'node:net', connections: 30, left: 0 })
  assert.ok(threads >= 1)
})

test(
  'a worker that dies takes its connections with it, leaves no descriptor, and is replaced',
  needs(onRing, () => {
    const result = run(`
      const errors = []
      process.on('uncaughtException', (error) => errors.push(error.message))
      const server = createServer({ workers: 2 }, handler)
      await server.listen({ port: 0, host: '127.0.0.1' })
      const where = { port: server.address().port, host: '127.0.0.1' }
      const open = async () => {
        const socket = await connect(where)
        return { socket, thread: String(await socket.read()).split(' ')[0] }
      }
      const clients = await Promise.all(Array.from({ length: 10 }, open))
      const victim = clients[0].thread
      clients[0].socket.write('throw')
      const gone = clients.filter(({ thread }) => thread === victim)
      for (const { socket } of gone) {
        try { while ((await socket.read()) !== null); } catch {}
        socket.destroy()
      }
      await until(() => server.connections === clients.length - gone.length)
      for (const { socket, thread } of clients) {
        if (thread === victim) continue
        socket.write('alive')
        assert.equal(String(await socket.read()), 'alive')
      }
      const again = []
      const threads = new Set()
      while (threads.size < 2) {
        const client = await open()
        again.push(client)
        threads.add(client.thread)
        await delay(20)
      }
      assert.ok(!threads.has(victim))
      for (const { socket } of [...clients, ...again]) socket.destroy()
      await server.close({ deadlineMs: 500 })
      await until(() => descriptors() <= 30)
      console.log(JSON.stringify({ errors, lost: gone.length, threads: threads.size }))`)
    assert.equal(result, { errors: ['on purpose'], lost: 5, threads: 2 })
  }),
)

test(
  'listen() rejects when the module of the workers cannot be loaded',
  needs(onRing, () => {
    const result = run(`
      const server = createServer({ workers: 2 }, new URL('./missing.mjs', import.meta.url))
      const error = await server.listen({ port: 0 }).then(() => null, (reason) => reason)
      await assert.rejects(server.close(), { code: 'ERR_SERVER_NOT_RUNNING' })
      console.log(JSON.stringify({ code: error.code }))`)
    assert.equal(result, { code: 'ERR_MODULE_NOT_FOUND' })
  }),
)

test(
  'a server of workers that cannot start leaves no descriptor and no thread',
  needs(onRing, () => {
    const result = run(`
      const broken = new URL('./broken.mjs', import.meta.url)
      writeFileSync(broken, 'throw new Error("on purpose")')
      const threads = () => readdirSync('/proc/self/task').length
      const taken = createServer(() => {})
      await taken.listen({ port: 0, host: '127.0.0.1' })
      const { port } = taken.address()
      const codes = []
      const attempts = async () => {
        for (const [options, module, where] of [
          [{ workers: 1 }, handler, { port, host: '127.0.0.1' }],
          [{ workers: 2, distribution: 'reusePort' }, broken, { port: 0, host: '127.0.0.1' }],
        ]) {
          await createServer(options, module).listen(where).catch((error) => codes.push(error.code ?? error.message))
        }
      }
      await attempts()
      await delay(100)
      const before = { descriptors: descriptors(), threads: threads() }
      await attempts()
      await attempts()
      await until(() => descriptors() <= before.descriptors && threads() <= before.threads)
      await taken.close()
      console.log(JSON.stringify(codes))`)
    assert.equal(result, ['EADDRINUSE', 'on purpose', 'EADDRINUSE', 'on purpose', 'EADDRINUSE', 'on purpose'])
  }),
)

for (const env of [{}, { URING_DISABLE: '1' }]) {
  test(
    `workers that accept for themselves keep to maxConnections together, and close() during listen() holds ${JSON.stringify(env)}`,
    needs('URING_DISABLE' in env ? {} : onRing, () => {
      const result = run(
        `
        const options = { workers: 2, distribution: 'reusePort', maxConnections: 3, workerData: 'told' }
        const server = createServer(options, handler)
        const listening = server.listen({ port: 0, host: 'localhost' })
        const closing = server.close()
        await Promise.all([listening, closing])
        assert.ok(!server.listening)
        await server.listen({ port: 0, host: '127.0.0.1' })
        const where = { port: server.address().port, host: '127.0.0.1' }
        const sockets = []
        const isServed = async () => {
          const socket = await connect(where)
          sockets.push(socket)
          return (await socket.read().catch(() => null)) !== null
        }
        // One after the other: of two that come at once both may be refused the last place.
        const served = []
        for (let index = 0; index < 5; index++) served.push(await isServed())
        for (const socket of sockets) socket.destroy()
        await until(() => server.connections === 0)
        // The places are free again.
        let again = false
        for (let round = 0; round < 100 && !again; round++) again = await isServed()
        for (const socket of sockets) socket.destroy()
        await server.close({ deadlineMs: 0 })
        console.log(JSON.stringify({ served, again }))`,
        env,
      )
      assert.equal(result, { served: [true, true, true, false, false], again: true })
    }),
  )
}

test(
  'a worker that dies right after it has destroyed a connection leaves it closed',
  needs(onRing, () => {
    const result = run(`
      const dying = new URL('./dying.mjs', import.meta.url)
      writeFileSync(dying, \`
        export default (socket) => {
          setTimeout(() => {
            socket.destroy()
            throw new Error('on purpose')
          }, 50)
        }\`)
      process.on('uncaughtException', () => {})
      const server = createServer({ workers: 1 }, dying)
      await server.listen({ port: 0, host: '127.0.0.1' })
      const socket = await connect({ port: server.address().port, host: '127.0.0.1' })
      const chunk = await socket.read().catch((error) => error.code)
      await server.close({ deadlineMs: 0 })
      console.log(JSON.stringify({ chunk }))`)
    assert.equal(result, { chunk: null })
  }),
)

test(
  'connections work in a worker, through memory of the driver, and survive none of its termination',
  needs(onRing, () => {
    const result = run(`
      const { port } = await new Promise((resolve) => {
        const server = createServer({}, async (socket) => { for await (const chunk of socket) await socket.write(chunk) })
        server.unref()
        server.listen({ port: 0, host: '127.0.0.1' }).then(() => resolve(server.address()))
      })
      const code = \`
        import { connect } from '\${new URL('./dist/net/index.js', import.meta.url).href}'
        import { parentPort, workerData } from 'node:worker_threads'
        const socket = await connect({ port: workerData, host: '127.0.0.1' })
        const data = Buffer.alloc(2_000_000, 'abc')
        const all = []
        const sending = Promise.resolve(socket.write(data)).then(() => socket.end())
        for await (const chunk of socket) all.push(chunk)
        await sending
        parentPort.postMessage(Buffer.concat(all).equals(data))
        const busy = await connect({ port: workerData, host: '127.0.0.1' })
        for (;;) { const written = busy.write(data); busy.read().catch(() => {}); if (written !== true) await written }\`
      let good = 0
      for (let round = 0; round < 5; round++) {
        const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(code)), { workerData: port })
        worker.on('message', (equal) => { if (equal) good++ })
        const before = good
        await until(() => good > before)
        await delay(20)
        await worker.terminate()
      }
      console.log(JSON.stringify({ good }))`)
    assert.equal(result, { good: 5 })
  }),
)

test(
  'a worker that is terminated while it connects leaves no socket',
  needs(onRing, () => {
    const result = run(`
      const server = createServer({}, async (socket) => { for await (const _ of socket); })
      await server.listen({ port: 0, host: '127.0.0.1' })
      const { port } = server.address()
      const code = \`
        import { connect } from '\${new URL('./dist/net/index.js', import.meta.url).href}'
        import { parentPort, workerData } from 'node:worker_threads'
        await (await connect({ port: workerData.port, host: '127.0.0.1' })).end()
        connect({ port: workerData.port, host: '127.0.0.1' })
        for (let step = 0; step < workerData.steps; step++) await null
        parentPort.postMessage('on its way')
        for (;;);\`
      // Somewhere among these it has the socket, and no connection yet.
      for (let steps = 0; steps < 24; steps += 2) {
        const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(code)), { workerData: { port, steps } })
        await new Promise((resolve) => worker.once('message', resolve))
        await worker.terminate()
      }
      await until(() => server.connections === 0)
      await server.close()
      console.log(JSON.stringify({ ended: true }))`)
    assert.equal(result, { ended: true })
  }),
)

test(
  'a worker that is terminated leaves no datagram socket',
  needs(onRing, () => {
    const result = run(`
      const code = \`
        import { bind } from '\${new URL('./dist/net/index.js', import.meta.url).href}'
        import { parentPort } from 'node:worker_threads'
        const socket = await bind({ address: '127.0.0.1' })
        const { port } = socket.address()
        await socket.send('one', { port })
        for await (const { data } of socket) parentPort.postMessage({ port, data: String(data) })\`
      const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(code)))
      const { port, data } = await new Promise((resolve) => worker.once('message', resolve))
      await worker.terminate()
      // Its ring, which holds the socket as well, is taken down by the kernel after its close.
      let socket = null
      for (let round = 0; socket === null; round++) {
        try {
          socket = await bind({ address: '127.0.0.1', port })
        } catch (error) {
          if (error.code !== 'EADDRINUSE' || round === 500) throw error
          await delay(10)
        }
      }
      await socket.close()
      console.log(JSON.stringify({ data }))`)
    assert.equal(result, { data: 'one' })
  }),
)

test.run()
