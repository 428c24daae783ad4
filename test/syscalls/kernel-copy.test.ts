// Copies that the kernel makes; test/runtime/mapped-buffers.test.ts has those from mappings that were cut short.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { assert, note, test } from '../harness.js'
import { PATIENCE } from '../patience.js'

const child = fileURLToPath(new URL('./children/small-pipes.ts', import.meta.url))

test('copyThroughPipe() ends where the user has so many pipes that a new one is small', () => {
  const run = spawnSync(process.execPath, [...process.execArgv, child], {
    encoding: 'utf8',
    timeout: 20_000 * PATIENCE,
  })
  assert.is(run.status, 0, `${run.signal}: ${run.stderr}`)
  const { pipeBytes, copied, isEqual } = JSON.parse(run.stdout)
  if (pipeBytes === 65536) note('no pipe was small: is there no limit on the pages of pipes?')
  assert.equal([copied, isEqual], [200_001, true])
})

test.run()
