// The tests of this folder without a ring; the longer ones are fallback-heavy.test.ts.

import { bind, createServer } from '../../src/net/index.js'
import { assert, test } from '../harness.js'
import { testWithoutRing } from './without-ring.js'

test('with URING_DISABLE=1 nothing is on a ring', async () => {
  const before = process.env['URING_DISABLE']
  process.env['URING_DISABLE'] = '1'
  try {
    assert.is(createServer(() => {}).backend, 'node:net')
    const socket = await bind({ address: '127.0.0.1' })
    assert.is(socket.backend, 'node:dgram')
    await socket.close()
  } finally {
    if (before === undefined) delete process.env['URING_DISABLE']
    else process.env['URING_DISABLE'] = before
  }
})

testWithoutRing(false)

test.run()
