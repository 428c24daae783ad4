// A user without a thread left (RLIMIT_NPROC), a process without a descriptor left (RLIMIT_NOFILE): what node:fs/promises
// can still do, uring/fs can, and what fails fails with the same error.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { assert, needs, test } from '../harness.js'
import { LINUX_WITHOUT_THREADS } from '../patience.js'
import type { Findings, Orders } from './children/exhausted.js'
import { asNewUser, othersCanRead } from './environment.js'

const CHILD = fileURLToPath(new URL('children/exhausted.ts', import.meta.url))
const TSX = import.meta.resolve('tsx')

function run(orders: Orders, ...limits: readonly string[]): Findings {
  const [command = '', ...launcher] = asNewUser(...limits)
  const args = [...launcher, process.execPath, '--import', TSX, CHILD, JSON.stringify(orders)]
  const { status, signal, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  assert.is(status, 0, `${signal} ${stderr}`)
  return JSON.parse(stdout) as Findings
}

const here = { root: true, ring: true, command: 'prlimit', when: othersCanRead } as const

test(
  'where no thread is left before the first ring, Node does it, and the reason is exact',
  needs({ ...here, linux: LINUX_WITHOUT_THREADS }, () => {
    const { ours, nodes, isExhausted, cause, reason } = run({ exhaust: 'threads', withRing: false })
    assert.ok(isExhausted)
    assert.equal(ours, nodes)
    assert.is(ours['readFile'], 150_007)
    assert.is(cause, 'thread-limit')
    assert.is(
      // Older kernels try again and again.
      reason.replace('an operation does not end', 'an operation ended in ECANCELED'),
      'io_uring: disabled because an operation ended in ECANCELED: the kernel cannot start a thread for operations ' +
        'that wait: this user or its cgroup (pids.max) has no thread left (RLIMIT_NPROC is 1)',
    )
  }),
)

test(
  'where no thread is left any more, the ring goes on',
  needs(here, () => {
    const { ours, nodes, isExhausted, cause } = run({ exhaust: 'threads', withRing: true })
    assert.ok(isExhausted)
    assert.equal(ours, nodes)
    assert.is(ours['readFile'], 150_007)
    assert.is(cause, 'enabled')
  }),
)

for (const withRing of [false, true]) {
  test(
    `where no descriptor is left ${withRing ? 'any more' : 'before the first ring'}, results and errors are Node's`,
    needs(here, () => {
      const { ours, nodes, isExhausted, cause, reason } = run(
        { exhaust: 'descriptors', withRing },
        '--nofile=256:256',
      )
      assert.ok(isExhausted)
      assert.equal(ours, nodes)
      assert.match(String(ours['readFile']), /^EMFILE: too many open files, open /)
      assert.is(ours['mkdir'], 'done')
      assert.is(ours['missing'], "ENOENT: no such file or directory, stat './missing'")
      assert.is(cause, withRing ? 'enabled' : 'open-files-limit')
      if (!withRing) {
        assert.match(
          reason,
          /^io_uring: disabled because io_uring_setup failed with EMFILE: RLIMIT_NOFILE is used up/,
        )
      }
    }),
  )
}

test.run()
