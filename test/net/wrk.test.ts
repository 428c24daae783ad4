// wrk against an HTTP server of Node's on connections of ours: many at once, for a second, without one error.

import { execFile } from 'node:child_process'
import { createServer as createHttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { parseWrk } from '../../bench/harness/wrk.js'
import { createServer } from '../../src/net/index.js'
import { descriptorCount } from '../descriptors.js'
import { assert, needs, test } from '../harness.js'
import { until } from './peers.js'

const execute = promisify(execFile)

test(
  'wrk with 100 connections sees no error, and leaves no descriptor behind',
  needs({ command: 'wrk' }, async () => {
    let served = 0
    const http = createHttpServer((_incoming, response) => {
      served++
      response.end('Hello, world!\n')
    })
    const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) =>
      http.emit('connection', socket.stream()),
    )
    await server.listen({ port: 0, host: '127.0.0.1' })
    const { port } = server.address() as AddressInfo
    const descriptors = descriptorCount()
    const { stdout } = await execute('wrk', ['-t2', '-c100', '-d1s', `http://127.0.0.1:${port}/`])
    // Throws where wrk has seen errors, or answers other than 2xx.
    const { ops } = parseWrk(stdout)
    assert.ok(ops > 100, `${ops} requests`)
    assert.ok(served >= ops)
    await until(() => server.connections === 0, 'wrk has gone')
    await until(() => descriptorCount() <= descriptors, 'descriptors are closed')
    await server.close()
  }),
)

test('parseWrk() reads what wrk prints, and throws for errors', () => {
  const output = [
    'Running 1s test @ http://127.0.0.1:8080/',
    '  2 threads and 64 connections',
    '  25012 requests in 1.01s, 3.1MB read',
    'Requests/sec:  24764.35',
    '',
  ].join('\n')
  assert.equal(parseWrk(output), { ops: 25012, seconds: 1.01, cpuMicros: 0 })
  assert.is(parseWrk(output.replace('1.01s', '980.00ms')).seconds, 0.98)
  const failed = output.replace(
    'Requests',
    '  Socket errors: connect 0, read 3, write 0, timeout 0\nRequests',
  )
  assert.throws(() => parseWrk(failed), /Socket errors: connect 0, read 3/)
  assert.throws(() => parseWrk('unable to connect'), /Not what wrk prints/)
})

test.run()
