// curl against HTTP and HTTPS servers of Node's on connections of ours.

import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createServer, type Server } from '../../src/net/index.js'
import { assert, needs, test } from '../harness.js'

const execute = promisify(execFile)
const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))

/** What curl prints, as it came. */
async function curl(...args: string[]): Promise<Buffer> {
  const run = execute('curl', ['--silent', '--show-error', '--fail', '--max-time', '20', ...args], {
    encoding: 'buffer',
    maxBuffer: 1 << 26,
  })
  return (await run).stdout
}

async function site(
  listener: RequestListener,
  options: { readonly path?: string; readonly isSecure?: boolean } = {},
): Promise<{ server: Server; origin: string }> {
  const { path, isSecure = false } = options
  const http = isSecure
    ? createHttpsServer(
        { cert: readFileSync(fixture('tls-cert.pem')), key: readFileSync(fixture('tls-key.pem')) },
        listener,
      )
    : createHttpServer(listener)
  const server = createServer({ allowHalfOpen: true }, (socket) => http.emit('connection', socket.stream()))
  await server.listen(path === undefined ? { port: 0, host: '127.0.0.1' } : { path })
  const address = server.address() as AddressInfo
  return { server, origin: `${isSecure ? 'https' : 'http'}://127.0.0.1:${address.port}` }
}

const needsCurl = (body: () => Promise<void>) => needs({ command: 'curl' }, body)

test(
  'curl gets a page, with the headers that Node sends',
  needsCurl(async () => {
    const { server, origin } = await site((incoming, response) => response.end(`hello ${incoming.url}\n`))
    const answer = (await curl('--include', `${origin}/world`)).toString()
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/)
    assert.match(answer, /hello \/world\n$/)
    await server.close({ deadlineMs: 0 })
  }),
)

test(
  'curl keeps a connection for several pages',
  needsCurl(async () => {
    const ports = new Set<number>()
    const { server, origin } = await site((incoming, response) => {
      ports.add(incoming.socket.remotePort!)
      response.end(`${incoming.url} `)
    })
    const urls = Array.from({ length: 5 }, (_, index) => `${origin}/${index}`)
    assert.is((await curl(...urls)).toString(), '/0 /1 /2 /3 /4 ')
    assert.is(ports.size, 1)
    await server.close({ deadlineMs: 0 })
  }),
)

test(
  'curl uploads and gets back what it sent, with Expect: 100-continue',
  needsCurl(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'uring-curl-'))
    try {
      const data = randomBytes(6 << 20)
      const file = join(folder, 'upload')
      writeFileSync(file, data)
      const { server, origin } = await site((incoming, response) => {
        incoming.pipe(response)
      })
      const answer = await curl('--header', 'Expect: 100-continue', '--data-binary', `@${file}`, origin)
      assert.ok(answer.equals(data))
      await server.close({ deadlineMs: 0 })
    } finally {
      rmSync(folder, { recursive: true })
    }
  }),
)

test(
  'curl gets chunks as they are made, and stops in the middle when it likes',
  needsCurl(async () => {
    const { server, origin } = await site((incoming, response) => {
      response.on('error', () => {})
      if (incoming.url === '/endless') {
        const block = Buffer.alloc(65536, 'x')
        const send = (): void => {
          while (!response.destroyed && response.write(block)) {}
        }
        response.on('drain', send)
        send()
        return
      }
      let count = 0
      const timer = setInterval(() => {
        response.write(`${++count}\n`)
        if (count < 5) return
        clearInterval(timer)
        response.end()
      }, 2)
    })
    assert.is((await curl(origin)).toString(), '1\n2\n3\n4\n5\n')
    // 28: the time was up. What had come by then is of no interest.
    const impatient = curl('--max-time', '0.3', '--output', '/dev/null', `${origin}/endless`)
    await assert.rejects(impatient, (error) => error.code === 28)
    await server.close({ deadlineMs: 1000 })
  }),
)

test(
  'curl talks HTTPS to a TLS server on our streams',
  needsCurl(async () => {
    const { server, origin } = await site((_incoming, response) => response.end('secret'), { isSecure: true })
    const { port } = new URL(origin)
    const resolve = `localhost:${port}:127.0.0.1`
    const args = ['--resolve', resolve, '--cacert', fixture('tls-cert.pem'), `https://localhost:${port}/`]
    assert.is((await curl(...args)).toString(), 'secret')
    await server.close({ deadlineMs: 0 })
  }),
)

test(
  'curl talks to a server on a path',
  needsCurl(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'uring-curl-'))
    try {
      const path = join(folder, 'socket')
      const { server } = await site((_incoming, response) => response.end('by path'), { path })
      assert.is((await curl('--unix-socket', path, 'http://localhost/')).toString(), 'by path')
      await server.close({ deadlineMs: 0 })
    } finally {
      rmSync(folder, { recursive: true })
    }
  }),
)

test.run()
