// How connections end: resets, destruction, in any order and more than once, time limits, what keeps the process alive.

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fstatSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { connect, createServer } from '../../src/net/index.js'
import { Uring } from '../../src/runtime/index.js'
import { descriptorCount } from '../descriptors.js'
import { assert, needs, test } from '../harness.js'
import { PATIENCE } from '../patience.js'
import { delay, dial, echo, onRing, pair, pattern, readAll, serveNode, until } from './peers.js'

test('a reset by the peer rejects the reader and is the error of the connection', async () => {
  const { ours, theirs, close } = await pair()
  const reading = ours.read()
  theirs.resetAndDestroy()
  await assert.rejects(reading, { code: 'ECONNRESET', syscall: 'read', message: 'read ECONNRESET' })
  assert.is((ours.error as NodeJS.ErrnoException).code, 'ECONNRESET')
  await ours.closed
  assert.is(ours.fd, -1)
  await assert.rejects(ours.read(), { code: 'ECONNRESET' })
  await assert.rejects(ours.write('x') as Promise<void>, (error) => error instanceof Error)
  await close()
})

test(
  'a ring that fails while it closes a connection leaves the number alone, which may be another file’s',
  needs(onRing, async () => {
    const uring = Uring.open()
    const { ours, theirs, close } = await pair({ uring })
    const { fd } = ours
    const others: number[] = []
    const { driver } = uring
    const submitMultishot = driver.submitMultishot.bind(driver)
    driver.submitMultishot = (...args) => {
      // From here on completions are lost: first of all that of the close.
      if (args[2] === 'close') Object.defineProperty(driver.ring, 'forEachCqe', { value: loseAll })
      return submitMultishot(...args)
    }
    const loseAll = (): never => {
      // The kernel has closed it: others get the number.
      while (!others.includes(fd) && others.length < 100) others.push(openSync('/dev/null', 'r'))
      throw new Error('lost')
    }
    ours.destroy()
    await ours.closed
    assert.ok(driver.hasFailed)
    assert.ok(others.includes(fd), 'the number is in use again')
    assert.ok(fstatSync(fd).isCharacterDevice())
    for (const other of others) closeSync(other)
    theirs.destroy()
    await close()
  }),
)

test('a reset while much is being written rejects the writers, and none is left waiting', async () => {
  const { ours, theirs, close } = await pair()
  theirs.pause()
  const writes = Array.from({ length: 40 }, () => Promise.resolve(ours.write(pattern(1 << 20))))
  const flushing = ours.flush()
  const ending = ours.end()
  await delay(20)
  theirs.resetAndDestroy()
  const outcomes = await Promise.allSettled([...writes, flushing, ending])
  const codes = new Set(
    outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : 'sent')),
  )
  assert.is(outcomes.at(-1)!.status, 'rejected')
  codes.delete('sent')
  for (const code of codes) assert.ok(['EPIPE', 'ECONNRESET'].includes(code), code)
  await ours.closed
  await close()
})

test('destroy() with data on its way in both directions closes, and leaves no descriptor', async () => {
  const before = descriptorCount()
  for (let round = 0; round < 20; round++) {
    const { ours, theirs, close } = await pair()
    theirs.write(pattern(500_000))
    const reading = ours.read().catch(() => null)
    const writing = Promise.resolve(ours.write(pattern(5_000_000))).catch(() => null)
    await delay(round % 5)
    ours.destroy()
    ours.destroy(new Error('too late to matter'))
    assert.is(ours.error, null)
    await Promise.all([reading, writing, ours.closed])
    assert.is(ours.pendingBytes, 0)
    await close()
  }
  await until(() => descriptorCount() <= before + 2, 'descriptors closed')
})

test('destroy(error) rejects the reader with that error', async () => {
  const { ours, close } = await pair()
  const reason = new Error('enough')
  const reading = ours.read()
  ours.destroy(reason)
  await assert.rejects(reading, (error) => error === reason)
  await ours.closed
  assert.is(ours.error, reason)
  await close()
})

test('what was written after end() and destroy() is refused', async () => {
  const { ours, theirs, close } = await pair()
  theirs.resume()
  await ours.end('all')
  await assert.rejects(ours.write('more') as Promise<void>, { code: 'ERR_STREAM_WRITE_AFTER_END' })
  await assert.rejects(ours.end('more'), { code: 'ERR_STREAM_WRITE_AFTER_END' })
  await ours.end()
  ours.destroy()
  await assert.rejects(ours.write('more') as Promise<void>, { code: 'ERR_STREAM_DESTROYED' })
  await ours.closed
  await ours.end()
  await close()
})

test('ends in every order, and twice, come to the same', async () => {
  type Step = (connection: Awaited<ReturnType<typeof pair>>) => unknown
  const end: Step = ({ ours }) => ours.end().catch(() => {})
  const destroy: Step = ({ ours }) => ours.destroy()
  const destroySoon: Step = ({ ours }) => ours.destroySoon()
  const reset: Step = ({ ours }) => ours.resetAndDestroy()
  const write: Step = ({ ours }) => ours.write('x')
  const theyEnd: Step = ({ theirs }) => theirs.end()
  const theyDestroy: Step = ({ theirs }) => theirs.destroy()
  const orders: readonly (readonly Step[])[] = [
    [theyEnd, end],
    [end, theyEnd],
    [theyDestroy, end],
    [theyDestroy, destroySoon],
    [destroy, theyEnd],
    [end, end, destroy],
    [destroySoon, destroySoon],
    [reset, reset],
    [end, reset],
    [write, destroySoon],
    [write, end, destroy, destroy],
  ]
  for (const order of orders) {
    const connection = await pair()
    connection.theirs.resume()
    const reading = readAll(connection.ours).catch(() => null)
    for (const step of order) void step(connection)
    await connection.ours.closed
    await connection.ours.closed
    await reading
    await connection.close()
  }
})

test('destroySoon() sends everything first', async () => {
  const { ours, theirs, close } = await pair()
  const data = pattern(3_000_000)
  const received = readAll(theirs as AsyncIterable<Buffer>)
  void ours.write(data)
  ours.destroySoon()
  assert.is((await received).length, data.length)
  await ours.closed
  await close()
})

test('resetAndDestroy() resets', async () => {
  const { ours, theirs, close } = await pair()
  theirs.resume()
  const [error] = await Promise.all([
    new Promise<NodeJS.ErrnoException>((resolve) => theirs.on('error', resolve)),
    ours.resetAndDestroy(),
  ])
  assert.is(error.code, 'ECONNRESET')
  await close()
})

test('a paused sink hears of the destruction at once, and of nothing that waited', async () => {
  const { ours, theirs, close } = await pair()
  const calls: string[] = []
  const over = new Promise<void>((resolve) => {
    ours.consume({
      onData: (chunk) => {
        calls.push(String(chunk))
        ours.pause()
      },
      onEnd: () => calls.push('end'),
      onClose: (error) => {
        calls.push(`close ${error?.message}`)
        resolve()
      },
    })
  })
  theirs.write('first')
  await until(() => calls.length === 1, 'the first chunk')
  theirs.end('waits')
  await delay(30)
  ours.destroy(new Error('enough'))
  await over
  ours.resume()
  assert.equal(calls, ['first', 'close enough'])
  await close()
})

test('setTimeout() tells of silence, and destroys without a listener', async () => {
  const { ours, theirs, close } = await pair()
  let calls = 0
  // Long enough for a machine that is busy with other things.
  ours.setTimeout(700, () => {
    calls++
  })
  const timer = setInterval(() => theirs.write('.'), 20)
  const reading = (async () => {
    for await (const _ of ours);
  })().catch((error) => error)
  await delay(1000)
  assert.is(calls, 0)
  clearInterval(timer)
  await until(() => calls === 1, 'the timeout')
  assert.is(ours.destroyed, false)
  ours.setTimeout(30, () => {
    calls++
  })
  ours.setTimeout(0)
  await delay(80)
  assert.is(calls, 1)
  ours.setTimeout(20)
  assert.is((await reading).code, 'ETIMEDOUT')
  await ours.closed
  await close()
})

test('flush() and end() after destroy() say whether all has gone', async () => {
  const { ours, theirs, close } = await pair()
  theirs.pause()
  ours.write('')
  await ours.flush()
  void ours.write(pattern(32 << 20))
  await delay(30)
  ours.destroy()
  // Nobody looks at these.
  void ours.flush()
  void ours.end()
  await assert.rejects(ours.flush(), { code: 'ERR_STREAM_DESTROYED' })
  await assert.rejects(ours.end(), { code: 'ERR_STREAM_DESTROYED' })
  await ours.closed
  await assert.rejects(ours.flush(), { code: 'ERR_STREAM_DESTROYED' })
  await close()

  const other = await pair()
  await other.ours.write('all of it')
  await other.ours.flush()
  other.ours.destroy()
  await other.ours.flush()
  await other.ours.end()
  await other.close()
})

test(
  'setTimeout() lets a long write to a slow reader be',
  // node:net says of a write that it is done, and nothing before.
  needs(onRing, async () => {
    const { ours, theirs, close } = await pair()
    theirs.pause()
    const reader = setInterval(() => theirs.read(), 10)
    try {
      // Longer than the limit, in one write: the peer takes some 6 MiB in a second.
      ours.setTimeout(1500 * PATIENCE)
      await ours.write(pattern(20 << 20))
      assert.is(ours.destroyed, false)
    } finally {
      clearInterval(reader)
      await close()
    }
  }),
)

test('an asyncDispose destroys', async () => {
  const { ours, close } = await pair()
  await ours[Symbol.asyncDispose]()
  assert.is(ours.destroyed, true)
  assert.is(ours.fd, -1)
  await close()
})

test('what came before the end can be read after the connection is closed', async () => {
  const { ours, theirs, close } = await pair({}, { allowHalfOpen: true })
  const first = ours.read()
  theirs.write('first')
  assert.is(String(await first), 'first')
  await ours.end()
  theirs.end(pattern(50_000))
  await ours.closed
  assert.is((await readAll(ours)).length, 50_000)
  assert.is(ours.readableEnded, true)
  await close()
})

test(
  'closing the ring destroys its connections and servers',
  needs(onRing, async () => {
    const uring = Uring.open()
    const server = createServer({ uring }, echo)
    await server.listen({ port: 0, host: '127.0.0.1' })
    const { port } = server.address() as { port: number }
    const peer = await serveNode(() => {})
    const ours = await connect({ port: peer.port, host: '127.0.0.1', uring })
    const client = await dial(port)
    client.write('x')
    await once(client, 'data')
    const reading = assert.rejects(ours.read(), { code: 'EBADF' })
    const gone = once(client, 'close')
    await uring.close()
    await reading
    await ours.closed
    await gone
    await server.close().catch(() => {})
    await assert.rejects(connect({ port, host: '127.0.0.1' }), { code: 'ECONNREFUSED' })
    await peer.close()
  }),
)

const CHILD = fileURLToPath(new URL('./children/lifetime.ts', import.meta.url))

function childOutput(mode: string): { status: number | null; stdout: string; stderr: string } {
  const child = spawnSync(process.execPath, [...process.execArgv, CHILD, mode], {
    timeout: 20_000 * PATIENCE,
    encoding: 'utf8',
  })
  return { status: child.status, stdout: child.stdout.trim(), stderr: child.stderr }
}

test('an open connection keeps the process alive, unref() lets it end', () => {
  assert.equal(childOutput('unref').stdout, 'unref')
  assert.equal(childOutput('ref').stdout, 'still here')
})

test('a listening server keeps the process alive, unref() lets it end', () => {
  assert.equal(childOutput('server-unref').stdout, 'unref')
  assert.equal(childOutput('server').stdout, 'still here')
})

test('process.exit() with connections open ends at once', () => {
  const { status, stdout, stderr } = childOutput('exit')
  assert.is(status, 7, stderr)
  assert.is(stdout, 'exit')
})

test.run()
