// A TCP proxy: whoever connects is connected to the target, and each side's data, back pressure and end are passed on to
// the other.
// Run: npx tsx examples/proxy.ts TARGET_HOST:PORT [PORT]     (in a project of your own, import from 'uring/net')

import { connect, createServer, type Lease, type Socket } from '../src/net/index.js'

const [target = 'localhost:7000', ownPort = '7001'] = process.argv.slice(2)
const colon = target.lastIndexOf(':')
const host = target.slice(0, colon)
const port = Number(target.slice(colon + 1))

/** Passes on all that comes from one side, and then its end. */
async function pump(from: Socket<Lease>, to: Socket<Lease>): Promise<void> {
  for await (const lease of from) {
    try {
      const taken = to.write(lease.bytes)
      // A promise: the data is sent from where it is, or the other side is slow. Nothing is read meanwhile.
      if (taken !== true) await taken
    } finally {
      lease.release()
    }
  }
  await to.end()
}

// allowHalfOpen: one direction may end while the other goes on.
const options = { allowHalfOpen: true, noDelay: true, chunks: 'lease' } as const
const server = createServer(options, async (client) => {
  let upstream: Socket<Lease>
  try {
    upstream = await connect({ ...options, host, port, timeoutMs: 5000 })
  } catch (error) {
    console.log(`no connection to ${target}: ${(error as Error).message}`)
    client.resetAndDestroy()
    return
  }
  try {
    await Promise.all([pump(client, upstream), pump(upstream, client)])
    console.log(`${upstream.bytesWritten} bytes there, ${client.bytesWritten} bytes back`)
  } catch (error) {
    // One side broke: the other is told in the same way.
    console.log(`cut off: ${(error as Error).message}`)
    client.resetAndDestroy()
    upstream.resetAndDestroy()
  }
})

await server.listen({ port: Number(ownPort), host: '127.0.0.1' })
console.log(`passing port ${server.port} on to ${target}, on ${server.backend}`)

process.once('SIGINT', () => server.close({ deadlineMs: 1000 }))
