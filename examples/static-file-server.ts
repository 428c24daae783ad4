// Serves the files of a folder over HTTP: node:http does the talking on socket.stream(), and large files never pass
// through JavaScript: sendFile has the kernel move them from the page cache into the connection.
// Run: npx tsx examples/static-file-server.ts [FOLDER] [PORT]     (in a project of your own, import from 'uring/net')

import { createReadStream } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { extname, join, sep } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createServer, type Socket } from '../src/net/index.js'

const root = await realpath(process.argv[2] ?? '.')
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.md': 'text/markdown; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
}
/** Smaller files are not worth the detour around node:http. */
const SHORTEST_SEND_FILE = 65536

/** The connection under a request: the stream that node:http has knows nothing of it. */
const connections = new WeakMap<object, Socket>()

/** The file that a URL names, or null for one outside the folder. */
async function fileOf(url: string): Promise<string | null> {
  const path = decodeURIComponent(new URL(url, 'http://localhost').pathname)
  // Behind links and dots, what counts is where it lies.
  const file = await realpath(join(root, path))
  return file === root || file.startsWith(root + sep) ? file : null
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const file = await fileOf(request.url!)
  const size = file === null ? -1 : await stat(file).then((found) => (found.isFile() ? found.size : -1))
  if (file === null || size < 0) {
    response.writeHead(404).end('Not found\n')
    return
  }
  const headers = {
    'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream',
    'Content-Length': size,
  }
  const socket = connections.get(request.socket)
  if (request.method === 'HEAD') response.writeHead(200, headers).end()
  else if (socket === undefined || size < SHORTEST_SEND_FILE) {
    response.writeHead(200, headers)
    await pipeline(createReadStream(file), response)
  } else {
    response.writeHead(200, { ...headers, Connection: 'close' }).flushHeaders()
    // Behind the headers, which the stream has handed to the connection by now; and the last on it.
    await socket.sendFile(file, { length: size })
    await socket.end()
  }
}

const http = createHttpServer((request, response) => {
  answer(request, response).catch((error: NodeJS.ErrnoException) => {
    if (response.headersSent) response.destroy()
    else response.writeHead(error.code === 'ENOENT' || error.code === 'ENOTDIR' ? 404 : 500).end()
  })
})

// allowHalfOpen, as node:http wants it: a client may be done asking and still wait for the answer.
const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
  const stream = socket.stream()
  connections.set(stream, socket)
  http.emit('connection', stream)
})

await server.listen({ port: Number(process.argv[3] ?? 8080), host: '127.0.0.1' })
console.log(`serving ${root} on port ${server.port}, on ${server.backend}`)

process.once('SIGINT', () => server.close({ deadlineMs: 1000 }))
