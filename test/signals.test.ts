// Whatever takes an AbortSignal leaves no listener on it once it has settled: a program may use one signal for all its life.

import { spawnSync } from 'node:child_process'
import { getEventListeners } from 'node:events'
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { appendFile, open, readFile, readFiles, writeFile } from '../src/fs/index.js'
import { bind, connect, createServer } from '../src/net/index.js'
import { Uring } from '../src/runtime/index.js'
import { copyFile, copyTree, deltaFile, patchFile, signatureFile } from '../src/transfer/index.js'
import { assert, needs, test, unmet } from './harness.js'

const folder = mkdtempSync(join(tmpdir(), 'uring-signals-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const at = (name: string): string => join(folder, name)
mkdirSync(at('tree'))
for (const name of ['file', 'tree/one', 'tree/two']) writeFileSync(at(name), name.repeat(50_000))

type Wishes = { readonly signal: AbortSignal }
type Use = (wishes: Wishes) => Promise<unknown>

async function emptied(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

async function throughHandle(wishes: Wishes): Promise<void> {
  const handle = await open(at('by a handle'), 'w+')
  await handle.writeFile('content', wishes)
  await handle.readFile(wishes)
  await handle.close()
}

async function throughStreams(wishes: Wishes): Promise<void> {
  const handle = await open(at('file'))
  await emptied(handle.createReadStream(wishes))
  const output = (await open(at('of a stream'), 'w')).createWriteStream()
  await new Promise<void>((resolve) => output.end('content', resolve))
}

const FILES: Record<string, Use> = {
  readFile: (wishes) => readFile(at('file'), wishes),
  'readFile of what is missing': (wishes) => readFile(at('missing'), wishes).catch(() => {}),
  'readFile with direct': (wishes) => readFile(at('file'), { ...wishes, direct: true }),
  readFiles: (wishes) => emptied(readFiles([at('file'), at('tree/one'), at('tree/two')], wishes)),
  writeFile: (wishes) => writeFile(at('written'), 'content', wishes),
  'writeFile with durable': (wishes) => writeFile(at('written'), 'content', { ...wishes, durable: true }),
  'writeFile of pieces': (wishes) => writeFile(at('written'), ['some ', 'pieces'], wishes),
  appendFile: (wishes) => appendFile(at('written'), 'content', wishes),
  'a FileHandle': throughHandle,
  streams: throughStreams,
}

async function throughSockets(wishes: Wishes): Promise<void> {
  const server = createServer(async (socket) => {
    for await (const chunk of socket) await socket.write(chunk)
  })
  await server.listen({ port: 0, host: '127.0.0.1', ...wishes })
  const { port } = server.address() as AddressInfo
  const socket = await connect({ port, host: '127.0.0.1', ...wishes })
  await socket.sendFile(at('file'), { length: 1000, ...wishes })
  const ending = socket.end()
  await emptied(socket)
  await ending
  await socket.closed
  await connect({ port: 1, host: '127.0.0.1', ...wishes }).catch(() => {})
  await server.close()
}

async function throughDatagrams(wishes: Wishes): Promise<void> {
  const socket = await bind({ port: 0, address: '127.0.0.1', ...wishes })
  const messages = socket.messages(wishes)
  const { port } = socket.address() as AddressInfo
  const first = messages.next()
  await socket.send('a datagram', { port, address: '127.0.0.1' })
  await first
  await messages.return!()
  await socket.close()
}

async function throughDeltas(wishes: Wishes): Promise<void> {
  await signatureFile(at('file'), at('signature'), wishes)
  writeFileSync(at('changed'), 'begins differently ')
  appendFileSync(at('changed'), 'file'.repeat(50_000))
  await deltaFile(at('signature'), at('changed'), at('delta'), wishes)
  await patchFile(at('file'), at('delta'), at('patched'), wishes)
  await patchFile(at('file'), at('file'), at('patched'), wishes).catch(() => {})
}

const OTHERS: Record<string, Use> = {
  'TCP sockets': throughSockets,
  'UDP sockets': throughDatagrams,
  deltas: throughDeltas,
  copyFile: (wishes) => copyFile(at('file'), at('copied'), wishes),
  'copyFile on a ring': (wishes) =>
    copyFile(at('file'), at('copied'), { ...wishes, methods: ['ring', 'node'] }),
  copyTree: (wishes) => copyTree(at('tree'), at('tree copied'), wishes),
}

async function leavesNothing(use: Use): Promise<void> {
  const { signal } = new AbortController()
  for (let time = 0; time < 3; time++) await use({ signal })
  // Streams and sockets let go of theirs when they are closed.
  for (let turn = 0; turn < 100 && getEventListeners(signal, 'abort').length > 0; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  assert.is(getEventListeners(signal, 'abort').length, 0)
}

for (const [name, use] of Object.entries({ ...FILES, ...OTHERS })) {
  test(`no listener is left on a signal: ${name}`, () => leavesNothing(use))
}

test(
  'no listener is left on a signal: operations of the ring, its streams and pools',
  needs({ linux: '5.19', when: () => Uring.available || 'needs io_uring' }, () =>
    leavesNothing(async (wishes) => {
      await using uring = Uring.open()
      await uring.nop(wishes)
      await uring.chain((op) => [op.nop(wishes), op.nop(wishes)])
      await uring.timeout(1, wishes)
      await uring.timeout(1000, { ...wishes, timeoutMs: 1 }).catch(() => {})
      const pool = uring.registerBufferPool({ count: 1 })
      const buffer = await pool.acquire(wishes)
      const next = pool.acquire(wishes)
      buffer.release()
      ;(await next).release()
      pool.close()
      const messages = uring.messages(wishes)
      await messages.return!()
      if (unmet({ linux: '6.4' }) !== null) return
      for await (const _ of uring.timeoutMultishot(1, wishes)) break
    }),
  ),
)

if (process.env['URING_DISABLE'] === undefined) {
  test('all of that holds without a ring', () => {
    const args = ['--import', import.meta.resolve('tsx'), fileURLToPath(import.meta.url)]
    const env = { ...process.env, URING_DISABLE: '1' }
    const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', env })
    assert.is(status, 0, stdout)
  })
}

test.run()
