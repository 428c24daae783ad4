// The examples that are servers, each in a process of its own and talked to.

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { assert, test } from '../harness.js'

const folder = fileURLToPath(new URL('../../examples/', import.meta.url))

class Example {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(name: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#child = spawn(process.execPath, ['--import', 'tsx', `${folder}${name}`, ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]()
  }

  async line(): Promise<string> {
    return (await this.#lines.next()).value
  }

  /** The port that its first line names. */
  async port(): Promise<number> {
    return Number(/port (\d+)/.exec(await this.line())![1])
  }

  /** @returns The exit code. */
  async stop(): Promise<number | null> {
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGINT')
    return (await exit)[0]
  }
}

/** Sends `data`, ends, and collects the answer. */
async function converse(port: number, data: Buffer): Promise<Buffer> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.end(data)
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function refused(port: number): Promise<void> {
  await assert.rejects(converse(port, Buffer.alloc(0)), { code: 'ECONNREFUSED' })
}

for (const disabled of ['', '1']) {
  const env: Record<string, string> = disabled === '' ? {} : { URING_DISABLE: disabled }
  const where = disabled === '' ? '' : ' without a ring'

  test(`echo-server.ts echoes and closes${where}`, async () => {
    const example = new Example('echo-server.ts', ['0'], env)
    const port = await example.port()
    for (const size of [1, 5_000_000]) {
      const data = randomBytes(size)
      assert.ok((await converse(port, data)).equals(data))
      assert.match(await example.line(), /has come$/)
      assert.is(await example.line(), `${size} bytes came back`)
    }
    assert.is(await example.stop(), 0)
    assert.is(await example.line(), 'closed')
    await refused(port)
  })

  test(`proxy.ts passes data, ends and failures on${where}`, async () => {
    const echo = new Example('echo-server.ts', ['0'], env)
    const target = await echo.port()
    const proxy = new Example('proxy.ts', [`127.0.0.1:${target}`, '0'], env)
    const port = await proxy.port()
    const data = randomBytes(3_000_000)
    assert.ok((await converse(port, data)).equals(data))
    assert.is(await proxy.line(), '3000000 bytes there, 3000000 bytes back')
    assert.is(await echo.stop(), 0)
    await assert.rejects(converse(port, data), (error) => ['ECONNRESET', 'EPIPE'].includes(error.code))
    assert.match(await proxy.line(), /^no connection to 127\.0\.0\.1:\d+: connect ECONNREFUSED/)
    assert.is(await proxy.stop(), 0)
    await refused(port)
  })

  test(`static-file-server.ts serves small and large files, and nothing outside of its folder${where}`, async () => {
    const root = mkdtempSync(join(tmpdir(), 'uring-static-'))
    try {
      const large = randomBytes(3_000_000)
      mkdirSync(join(root, 'public'))
      writeFileSync(join(root, 'secret'), 'secret')
      writeFileSync(join(root, 'public', 'small.txt'), 'small\n')
      writeFileSync(join(root, 'public', 'large'), large)
      symlinkSync('../secret', join(root, 'public', 'link'))
      const example = new Example('static-file-server.ts', [join(root, 'public'), '0'], env)
      const port = await example.port()
      const ask = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${port}${path}`, { method })

      const small = await ask('/small.txt')
      assert.is(small.headers.get('content-type'), 'text/plain; charset=utf-8')
      assert.is(await small.text(), 'small\n')
      for (let round = 0; round < 2; round++) {
        const answer = await ask('/large')
        assert.is(answer.headers.get('content-length'), `${large.length}`)
        assert.ok(Buffer.from(await answer.arrayBuffer()).equals(large))
      }
      assert.is((await ask('/large', 'HEAD')).headers.get('content-length'), `${large.length}`)
      for (const path of ['/none', '/', '/link', '/%2e%2e/secret', '/small.txt/more']) {
        const answer = await ask(path)
        assert.is(answer.status, 404, path)
        await answer.arrayBuffer()
      }
      assert.is(await example.stop(), 0)
      await refused(port)
    } finally {
      rmSync(root, { recursive: true })
    }
  })
}

test.run()
