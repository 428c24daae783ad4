// Refusals by this very kernel, each in a child process that has put itself under the restriction. What needs the
// machine as a whole to be changed (the sysctl) is tested at the seam, in availability.test.ts.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { assert, kernelIsAtLeast, needs, test, unmet } from '../harness.js'
import { LINUX_WITHOUT_THREADS, PATIENCE } from '../patience.js'
import type { Findings, Orders } from './children/restricted.js'
import { EAGAIN, EMFILE, ENOMEM, ENOSYS, EPERM } from './fake-machine.js'

const CHILD = fileURLToPath(new URL('./children/restricted.ts', import.meta.url))
const NODE = [process.execPath, '--import', import.meta.resolve('tsx'), CHILD]

interface Ending extends Findings {
  readonly stderr: string
}

/** Runs the child under `wrapper` (a command that runs another) and returns what it found. */
function run(orders: Orders, wrapper: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Ending {
  const [command = '', ...args] = [...wrapper, ...NODE, JSON.stringify(orders)]
  const { status, signal, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: 60_000 * PATIENCE,
    env: { ...process.env, ...env },
  })
  assert.is(signal, null, stderr)
  assert.is(status, 0, stderr)
  assert.not.match(stderr, /uncaught|Error:/i)
  const findings = JSON.parse(stdout) as Findings
  assert.ok(findings.alive)
  return { ...findings, stderr }
}

// The kernel charges memory and threads to a user, so each test has one of its own, which nobody else runs as.
let nextUid = 100_000 + (process.pid % 10_000) * 20
const freshUid = (): number => nextUid++

const root = { root: true, ring: true }
const limited = { ...root, command: 'prlimit' }
/** The release from which on SQPOLL needs no privilege. */
const unprivilegedSqpoll = { ...root, linux: '5.13' }

test(
  'an unprivileged user has rings, and SQPOLL',
  needs(unprivilegedSqpoll, () => {
    const { availability, probed, report, fellBack } = run({ uid: freshUid(), config: { sqpoll: true } })
    assert.ok(availability.available)
    assert.ok(probed.sqpoll.granted)
    assert.is(report!.sqpoll.reason, 'granted')
    assert.not(fellBack)
  }),
)

test(
  'no_new_privs takes no SQPOLL away',
  needs(unprivilegedSqpoll, () => {
    const { report } = run({ uid: freshUid(), noNewPrivileges: true, config: { sqpoll: true } })
    assert.is(report!.sqpoll.reason, 'granted')
  }),
)

test(
  'a user namespace is seen, and takes no SQPOLL away',
  needs(
    {
      ...unprivilegedSqpoll,
      command: 'unshare',
      when: () =>
        spawnSync('unshare', ['-U', '-r', 'true']).status === 0 || 'user namespaces are not allowed here',
    },
    () => {
      const { probed, report } = run({ config: { sqpoll: true } }, ['unshare', '-U', '-r', '--map-root-user'])
      assert.is(probed.rootless, 'non-identity-uid-map')
      assert.is(report!.rootless, 'non-identity-uid-map')
      // The policy goes by the kernel's number, whatever its io_uring could do.
      assert.is(report!.sqpoll.reason, kernelIsAtLeast('5.13') ? 'granted' : 'rootless-container')
    },
  ),
)

/** Rings are charged to RLIMIT_MEMLOCK, by the io_uring of kernels before 5.12 and again from 6.14 on. */
const isCharged = unmet({ feature: 'IORING_FEAT_NATIVE_WORKERS' }) !== null || kernelIsAtLeast('6.14')
const charged = {
  ...limited,
  when: () => isCharged || 'this kernel does not charge rings to RLIMIT_MEMLOCK',
}

if (!isCharged) {
  test(
    'a kernel that does not charge rings to RLIMIT_MEMLOCK gives one whatever it is',
    needs(limited, () => {
      const { availability, probed, refused } = run({ uid: freshUid() }, ['prlimit', '--memlock=0:0'])
      assert.is(availability.cause, 'enabled')
      assert.is(probed.memlockLimitBytes, 0)
      assert.is(refused, undefined)
    }),
  )
}

test(
  'RLIMIT_MEMLOCK too small for any ring is named with its value',
  needs(charged, () => {
    const { availability, report, refused } = run({ uid: freshUid() }, ['prlimit', '--memlock=4096:4096'])
    assert.not(availability.available)
    assert.is(availability.cause, 'memlock-limit')
    assert.is(availability.errno, ENOMEM)
    assert.is(availability.memlockLimitBytes, 4096)
    assert.match(
      availability.reason,
      /^io_uring: disabled because io_uring_setup failed with ENOMEM: .*RLIMIT_MEMLOCK of 4096 bytes/,
    )
    assert.is(report, undefined)
    assert.is(refused!.code, 'ENOMEM')
    assert.match(refused!.message, /RLIMIT_MEMLOCK of 4096 bytes.*raise it/)
    assert.is(refused!.causeCode, 'ENOMEM')
  }),
)

test(
  'RLIMIT_MEMLOCK too small for the entries asked for degrades nothing else',
  needs(charged, () => {
    const uid = freshUid()
    const many = run({ uid, config: { sqEntries: 4096 } }, ['prlimit', '--memlock=65536:65536'])
    assert.ok(many.availability.available)
    assert.is(many.refused!.code, 'ENOMEM')
    assert.is(many.probed.memlockLimitBytes, 65536)
    const few = run({ uid, config: { sqEntries: 64 } }, ['prlimit', '--memlock=65536:65536'])
    assert.is(few.refused, undefined)
  }),
)

test(
  'rings built and closed in a row fit a limit that one of them fills',
  needs(limited, () => {
    const { refused, memoryRetries } = run({ uid: freshUid(), config: { sqEntries: 64 }, rounds: 12 }, [
      'prlimit',
      '--memlock=16384:16384',
    ])
    assert.is(refused, undefined)
    assert.ok(memoryRetries >= 0)
  }),
)

test(
  'RLIMIT_NOFILE used up is named',
  needs(limited, () => {
    const { availability, refused, fellBack } = run({ fillFiles: true, config: { sqpoll: true } }, [
      'prlimit',
      '--nofile=128:128',
    ])
    assert.not(availability.available)
    assert.is(availability.cause, 'open-files-limit')
    assert.is(availability.errno, EMFILE)
    assert.match(availability.reason, /failed with EMFILE: RLIMIT_NOFILE/)
    assert.is(refused!.code, 'EMFILE')
    assert.match(refused!.message, /SQPOLL was refused before with EMFILE/)
    assert.ok(fellBack)
  }),
)

test(
  'RLIMIT_NPROC used up refuses SQPOLL with EAGAIN, and names what operations that wait end in',
  needs({ ...limited, linux: LINUX_WITHOUT_THREADS }, () => {
    const { availability, probed, report, fellBack, stderr } = run(
      { uid: freshUid(), config: { sqpoll: true } },
      ['prlimit', '--nproc=2:2'],
      { NODE_DEBUG: 'uring' },
    )
    // A ring can be had, and what does not wait works in it; so the fallback serves.
    assert.not(availability.available)
    assert.is(availability.cause, 'thread-limit')
    assert.match(
      // Older kernels try again and again.
      availability.reason.replace('an operation does not end', 'an operation ended in ECANCELED'),
      'an operation ended in ECANCELED: the kernel cannot start a thread for operations that wait: this user or its ' +
        'cgroup (pids.max) has no thread left (RLIMIT_NPROC is 2)',
    )
    assert.is(probed.sqpoll.granted, false)
    assert.is(probed.sqpoll.errno, EAGAIN)
    assert.is(report!.sqpoll.reason, 'kernel-refused')
    assert.is(report!.sqpoll.errno, EAGAIN)
    assert.is(report!.sqpoll.code, 'EAGAIN')
    assert.match(report!.sqpoll.hint!, /RLIMIT_NPROC is 2/)
    assert.ok(fellBack)
    assert.is(stderr.match(/^URING .*SQPOLL refused with EAGAIN/gm)?.length, 1, stderr)
  }),
)

for (const [errno, code, cause] of [
  [EPERM, 'EPERM', 'seccomp-or-container'],
  [ENOSYS, 'ENOSYS', 'not-implemented'],
] as const) {
  test(
    `a seccomp filter that answers ${code} is named`,
    needs(
      {
        ring: true,
        when: () => process.arch === 'x64' || process.arch === 'arm64' || `no filter for ${process.arch}`,
      },
      () => {
        const { availability, probed, refused } = run({ seccompErrno: -errno, config: { sqpoll: true } })
        assert.not(availability.available)
        assert.is(availability.cause, cause)
        assert.is(availability.errno, errno)
        assert.match(
          availability.reason,
          new RegExp(`^io_uring: disabled because io_uring_setup failed with ${code}: `),
        )
        assert.match(availability.reason, /the seccomp filter in force/)
        assert.is(probed.ring.code, code)
        assert.is(refused!.code, code)
        assert.is(refused!.syscall, 'io_uring_setup')
        assert.is(refused!.causeCode, code)
      },
    ),
  )
}

test('URING_DISABLE is read from the environment', () => {
  const { availability } = run({}, [], { URING_DISABLE: 'yes' })
  assert.is(availability.reason, 'io_uring: disabled by the environment variable URING_DISABLE=yes')
})

test(
  'NODE_DEBUG=uring shows one line for each build that refuses SQPOLL, and none otherwise',
  needs({ ring: true }, () => {
    const lines = (config: Orders['config'], rounds: number): string[] =>
      run({ ...(config && { config }), rounds }, [], { NODE_DEBUG: 'uring' })
        .stderr.split('\n')
        .filter((line) => line.startsWith('URING '))
        // An older kernel has this to say of every ring.
        .filter((line) => !/does not know [\w, ]+: the ring goes without$/.test(line))
    const warning =
      'warning: refusing SQPOLL because an mmap basis reader is active on this transfer plan; falling back to a regular ring'
    const refusals = lines({ sqpoll: true, mmapBasisActive: true }, 3)
    assert.is(refusals.length, 3)
    assert.ok(refusals.every((line) => line.endsWith(warning)))
    assert.equal(lines({ mmapBasisActive: true }, 2), [])
  }),
)

test.run()
