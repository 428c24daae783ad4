// Every example runs, and says what it promises.

import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { assert, needs, test } from '../harness.js'

const folder = fileURLToPath(new URL('../../examples/', import.meta.url))

const EXPECTED: Readonly<Record<string, readonly RegExp[]>> = {
  'raw-ring.ts': [/^piece 0: 4096 bytes$/m, /^piece 3: 4096 bytes$/m],
  'promises.ts': [/^64 reads, 262144 bytes, \d+ system calls$/m],
  'sqpoll-policy.ts': [
    /^io_uring: enabled/m,
    /^SQPOLL on its own: (granted|refused)/m,
    /^SQPOLL beside a mapped basis: refused \(mmap-basis-active\)$/m,
  ],
  'deltas.ts': [
    /^\d{1,5} bytes of delta, \d+ of the old file: true$/m,
    /^basis buffered, refused: none$/m,
    /^basis mapped, refused: mmap-basis-active$/m,
  ],
}

// Servers, which net.test.ts talks to.
const ELSEWHERE = ['echo-server.ts', 'proxy.ts', 'static-file-server.ts']

test('every example is tested', () => {
  assert.equal(
    readdirSync(folder)
      .filter((name) => name.endsWith('.ts'))
      .sort(),
    [...Object.keys(EXPECTED), ...ELSEWHERE].sort(),
  )
})

for (const [name, patterns] of Object.entries(EXPECTED)) {
  test(
    `examples/${name} runs`,
    needs({ linux: '5.6' }, () => {
      const run = spawnSync(process.execPath, ['--import', 'tsx', `${folder}${name}`], { encoding: 'utf8' })
      assert.is(run.status, 0, run.stderr)
      for (const pattern of patterns) assert.match(run.stdout, pattern)
    }),
  )
}

test.run()
