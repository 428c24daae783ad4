import { createHash } from 'node:crypto'
import { once } from 'node:events'
import nodeSync from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { type FileHandle, open } from '../../src/fs/index.js'
import { assert, test } from '../harness.js'
import { errorOf, scratch } from './scratch.js'

const CONTENT = Buffer.from(Uint8Array.from({ length: 1_000_003 }, (_, index) => (index * 17) >> 4))

async function opened(flags = 'r', content: string | Buffer = CONTENT): Promise<FileHandle> {
  const path = scratch(`stream-${Math.random().toString(36).slice(2)}`)
  nodeSync.writeFileSync(path, content)
  return open(path, flags)
}

async function collect(source: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of source) chunks.push(Buffer.from(chunk as Uint8Array))
  return Buffer.concat(chunks)
}

test('createReadStream() streams the file and closes the handle at its end', async () => {
  const handle = await opened()
  const stream = handle.createReadStream()
  assert.instance(stream, nodeSync.ReadStream)
  const closed = once(handle, 'close')
  assert.ok((await collect(stream)).equals(CONTENT))
  await closed
  assert.is(handle.fd, -1)
  assert.is(stream.bytesRead, CONTENT.length)
})

test('createReadStream() honours start, end, encoding, highWaterMark and autoClose', async () => {
  const handle = await opened('r', 'hello wörld')
  const stream = handle.createReadStream({
    start: 6,
    end: 9,
    encoding: 'utf8',
    highWaterMark: 2,
    autoClose: false,
  })
  let text = ''
  for await (const chunk of stream) text += chunk
  assert.is(text, 'wör')
  assert.ok(handle.fd > 0)
  await handle.close()
})

test('closing the handle ends its streams', async () => {
  const handle = await opened()
  const stream = handle.createReadStream()
  const [chunk] = await once(stream, 'data')
  assert.ok(chunk.length > 0)
  await handle.close()
  if (!stream.closed) await once(stream, 'close')
  assert.ok(stream.destroyed)
  assert.is(handle.fd, -1)
})

test('createWriteStream() writes through to the file and closes the handle', async () => {
  const path = scratch('written')
  const handle = await open(path, 'w')
  const source = await opened()
  await pipeline(source.createReadStream(), handle.createWriteStream({ highWaterMark: 1000 }))
  assert.is(handle.fd, -1)
  assert.ok(nodeSync.readFileSync(path).equals(CONTENT))
})

test('createWriteStream() writes corked chunks together, from start on, and flushes', async () => {
  const handle = await opened('r+', '0123456789')
  const stream = handle.createWriteStream({ start: 2, autoClose: false, flush: true })
  stream.cork()
  for (const text of ['a', 'b', 'c']) stream.write(text)
  stream.uncork()
  stream.end('d')
  await once(stream, 'finish')
  assert.is(stream.bytesWritten, 4)
  const { buffer, bytesRead } = await handle.read({ position: 0 })
  assert.is(buffer.toString('utf8', 0, bytesRead), '01abcd6789')
  await handle.close()
  // A device refuses to be synced.
  const device = (await open('/dev/null', 'w')).createWriteStream({ flush: true })
  device.end('x')
  const [error] = await once(device, 'error')
  assert.is(error.syscall, 'fsync')
})

test('errors of a stream reach it: wrong options at once, a failed read as an event', async () => {
  const handle = await opened('w', '')
  for (const options of [{ start: -1 }, { start: 5, end: 2 }, { encoding: 'nonsense' }, { end: 'x' }]) {
    const [ours, theirs] = [
      () => handle.createReadStream(options as object),
      () => nodeSync.createReadStream('/dev/null', options as object),
    ].map((create) => {
      try {
        create()
        return 'nothing'
      } catch (error) {
        return String(error)
      }
    })
    assert.is(ours, theirs)
  }
  const [error] = await once(handle.createReadStream({ autoClose: false }).resume(), 'error')
  assert.equal([error.code, error.syscall], ['EBADF', 'read'])
  await handle.close()
  assert.is(handle.fd, -1)
})

test('readLines() yields the lines', async () => {
  const handle = await opened('r', 'one\ntwo\r\n\nfour')
  const lines: string[] = []
  for await (const line of handle.readLines()) lines.push(line)
  assert.equal(lines, ['one', 'two', '', 'four'])
  await handle.close()
})

test('readableWebStream() yields the content, as a stream of bytes if asked', async () => {
  for (const options of [undefined, { type: 'bytes' }] as const) {
    const handle = await opened()
    const stream = handle.readableWebStream(options)
    assert.throws(() => handle.readableWebStream(), {
      code: 'ERR_INVALID_STATE',
      message: 'Invalid state: The FileHandle is locked',
    })
    const parts: Buffer[] = []
    for await (const part of stream) parts.push(Buffer.from(part as ArrayBuffer))
    assert.ok(Buffer.concat(parts).equals(CONTENT))
    assert.ok(handle.fd > 0, 'the handle stays open')
    await handle.close()
  }
  const handle = await opened('r', 'short')
  const reader = handle.readableWebStream({ type: 'bytes', autoClose: true }).getReader({ mode: 'byob' })
  const first = await reader.read(new Uint8Array(3))
  assert.is(Buffer.from(first.value!).toString(), 'sho')
  assert.is(Buffer.from((await reader.read(new Uint8Array(3))).value!).toString(), 'rt')
  assert.ok((await reader.read(new Uint8Array(3))).done)
  await handle.close()
  assert.is(handle.fd, -1)
})

test('closing or cancelling ends a web stream', async () => {
  for (const type of [undefined, 'bytes'] as const) {
    const handle = await opened()
    const reader = handle.readableWebStream(type && { type }).getReader()
    assert.not((await reader.read()).done)
    await handle.close()
    while (!(await reader.read()).done);
    assert.throws(() => handle.readableWebStream(), { message: 'Invalid state: The FileHandle is closed' })
    const other = await opened()
    const stream = other.readableWebStream(type && { type })
    await stream.cancel()
    await other.close()
    assert.is(other.fd, -1)
  }
})

test('a large file survives the way through streams', async () => {
  const source = await opened('r', Buffer.alloc(20_000_000, CONTENT))
  const path = scratch('copied')
  const target = await open(path, 'w')
  await pipeline(source.createReadStream(), target.createWriteStream())
  const digest = (data: Buffer): string => createHash('sha256').update(data).digest('hex')
  assert.is(digest(nodeSync.readFileSync(path)), digest(Buffer.alloc(20_000_000, CONTENT)))
  await assert.rejects(errorOf(Promise.resolve()), /nothing was rejected/)
})

test('readableWebStream() that cannot read ends with the error, and the handle can be closed', async () => {
  for (const type of [undefined, 'bytes'] as const) {
    const handle = await open(scratch('.'))
    const { fd } = handle
    const reading = collect(handle.readableWebStream({ type }) as AsyncIterable<unknown>)
    assert.is((await errorOf(reading))['code'], 'EISDIR')
    await handle.close()
    assert.throws(() => nodeSync.fstatSync(fd), { code: 'EBADF' })
  }
})

test('a close that fails is told to its caller alone when a web stream closes the handle, too', async () => {
  const unhandled: unknown[] = []
  const note = (error: unknown): number => unhandled.push(error)
  process.on('unhandledRejection', note)
  try {
    const handle = await opened()
    handle.readableWebStream({ autoClose: true })
    nodeSync.closeSync(handle.fd)
    assert.is((await errorOf(handle.close()))['code'], 'EBADF')
    // Node looks for them when the microtasks have run.
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(unhandled, [])
  } finally {
    process.off('unhandledRejection', note)
  }
})

test.run()
