// buildRing() row by row, on the real kernel and on kernels that refuse.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import {
  type BuiltRing,
  buildRing,
  DEFAULT_SETUP_FLAGS,
  disableSqpoll,
  ENOMEM_DELAYS_MS,
  forLargeFiles,
  type IoUringConfig,
  OPTIONAL_SETUP_FLAGS,
  sqpollFellBack,
} from '../../src/config/index.js'
import { resetProcessPolicyForTests } from '../../src/config/process-policy.js'
import {
  IORING_SETUP_COOP_TASKRUN,
  IORING_SETUP_CQSIZE,
  IORING_SETUP_NO_SQARRAY,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SQPOLL,
  IORING_SETUP_SUBMIT_ALL,
} from '../../src/syscalls/abi/index.js'
import { SystemError } from '../../src/syscalls/errno.js'
import type { UringCalls } from '../../src/syscalls/uring-calls.js'
import { assert, needs, test } from '../harness.js'
import {
  EAGAIN,
  EINVAL,
  EMFILE,
  ENOMEM,
  ENOSYS,
  EPERM,
  fakeMachine,
  knowing,
  limitsFile,
  refusing,
  setupAnswers,
} from './fake-machine.js'

const ring = { ring: true }
const sqpollRing = { setup: 'IORING_SETUP_SQPOLL' } as const

interface Outcome {
  readonly built: BuiltRing
  readonly refusals: { sqpoll: unknown; config: unknown }[]
  readonly announced: unknown[]
}

/** Builds in a fresh process state, listens to the channels, does one NOP and closes. */
function build(config: Partial<IoUringConfig>, calls?: UringCalls, machine = fakeMachine()): Outcome {
  const refusals: Outcome['refusals'] = []
  const announced: unknown[] = []
  const onRefusal = (message: unknown): void => void refusals.push(message as Outcome['refusals'][number])
  const onBuilt = (message: unknown): void => void announced.push(message)
  subscribe('uring:sqpoll-refused', onRefusal)
  subscribe('uring:ring-built', onBuilt)
  try {
    const built = buildRing(config, calls, machine)
    works(built)
    return { built, refusals, announced }
  } finally {
    unsubscribe('uring:sqpoll-refused', onRefusal)
    unsubscribe('uring:ring-built', onBuilt)
  }
}

/** The ring takes a NOP and completes it. */
function works({ ring: built }: BuiltRing): void {
  try {
    built.getSqe()!.setUserData(7)
    built.submitAndWait(1, 2000)
    const seen: number[] = []
    built.forEachCqe((low) => void seen.push(low))
    assert.equal(seen, [7])
  } finally {
    built.close()
  }
}

function thrownBy(body: () => unknown): SystemError {
  try {
    body()
  } catch (error) {
    assert.instance(error, SystemError)
    return error as SystemError
  }
  throw new Error('nothing was thrown')
}

/** An older kernel is asked several times, with ever fewer flags. */
const everyDefaultFlag = { linux: '6.0' } as const

test(
  'buildRing() builds a regular ring when SQPOLL is not asked for, whatever mmapBasisActive says',
  needs(ring, () => {
    resetProcessPolicyForTests()
    for (const mmapBasisActive of [false, true]) {
      const { built, refusals, announced } = build({ mmapBasisActive })
      assert.equal(built.report.sqpoll, { requested: false, granted: false, reason: 'not-requested' })
      assert.is(built.report.flags & IORING_SETUP_SQPOLL, 0)
      assert.is(refusals.length, 0)
      assert.is(announced.length, 1)
      assert.not(sqpollFellBack())
    }
  }),
)

test(
  'buildRing() suppresses SQPOLL for good once disableSqpoll() was called',
  needs(ring, () => {
    resetProcessPolicyForTests()
    disableSqpoll()
    disableSqpoll()
    for (const mmapBasisActive of [false, true]) {
      const { built, refusals } = build({ sqpoll: true, mmapBasisActive })
      const { sqpoll } = built.report
      assert.is(sqpoll.reason, 'disabled-by-policy')
      assert.ok(sqpoll.requested)
      assert.not(sqpoll.granted)
      assert.not(sqpollFellBack(), 'nothing fell back: it was switched off')
      assert.is(refusals.length, 1)
    }
    resetProcessPolicyForTests()
  }),
)

test(
  'buildRing() refuses SQPOLL beside an active mapped basis, and reports it',
  needs({ ...ring, ...everyDefaultFlag }, () => {
    resetProcessPolicyForTests()
    const { built, refusals } = build({ sqpoll: true, mmapBasisActive: true })
    const { report } = built
    assert.is(report.sqpoll.reason, 'mmap-basis-active')
    assert.is(
      report.sqpoll.hint,
      'warning: refusing SQPOLL because an mmap basis reader is active on this transfer plan; falling back to a regular ring',
    )
    assert.not(report.sqpoll.granted)
    assert.is(report.sqpoll.errno, undefined)
    assert.is(report.flags & IORING_SETUP_SQPOLL, 0)
    assert.is(report.attempts.length, 1, 'the kernel was not even asked')
    assert.ok(sqpollFellBack())
    assert.is(refusals.length, 1)
    assert.equal(refusals[0]!.sqpoll, report.sqpoll)
    // Sticky for the process, while the next report tells of its own ring.
    assert.is(build({}).built.report.sqpoll.reason, 'not-requested')
    assert.ok(sqpollFellBack())
  }),
)

test(
  'buildRing() keeps SQPOLL without a mapped basis, where the kernel grants it',
  needs({ ...sqpollRing, ...everyDefaultFlag }, () => {
    resetProcessPolicyForTests()
    const { built, refusals } = build({ sqpoll: true, sqpollIdleMs: 5 })
    const { report } = built
    assert.equal(report.sqpoll, { requested: true, granted: true, reason: 'granted' })
    assert.ok(report.flagNames.includes('IORING_SETUP_SQPOLL'))
    assert.is(report.flags & IORING_SETUP_COOP_TASKRUN, 0)
    assert.equal(report.droppedFlags, [], 'what SQPOLL excludes is no flag that the kernel does not know')
    assert.is(refusals.length, 0)
    assert.not(sqpollFellBack())
  }),
)

test(
  'buildRing() keeps SQPOLL beside a mapped basis that is pinned',
  needs(sqpollRing, () => {
    resetProcessPolicyForTests()
    const { built } = build({ sqpoll: true, mmapBasisActive: true, pinMmapBasis: true })
    assert.is(built.report.sqpoll.reason, 'granted')
    assert.not(sqpollFellBack())
  }),
)

const REFUSALS: [errno: number, code: string, release: string, hint: RegExp][] = [
  [EPERM, 'EPERM', '5.10.0', /CAP_SYS_ADMIN on kernel 5\.10\.0/],
  [EPERM, 'EPERM', '5.12.0', /CAP_SYS_NICE on kernel 5\.12\.0/],
  [EPERM, 'EPERM', '6.18.0', /seccomp filter or security module refuses SQPOLL/],
  [EAGAIN, 'EAGAIN', '6.18.0', /no thread left \(RLIMIT_NPROC is 12\)/],
  [ENOMEM, 'ENOMEM', '6.18.0', /RLIMIT_MEMLOCK/],
  [EINVAL, 'EINVAL', '6.18.0', /does not take SQPOLL/],
]

for (const [errno, code, release, hint] of REFUSALS) {
  test(
    `buildRing() falls back to a regular ring when the kernel (${release}) refuses SQPOLL with ${code}`,
    needs(ring, () => {
      resetProcessPolicyForTests()
      const calls = setupAnswers((flags) => (flags & IORING_SETUP_SQPOLL ? errno : null))
      const files = { '/proc/self/limits': limitsFile('Max processes', 12) }
      const { built, refusals } = build({ sqpoll: true }, calls, fakeMachine({ release, files }))
      const { report } = built
      assert.is(report.sqpoll.reason, 'kernel-refused')
      assert.is(report.sqpoll.errno, errno)
      assert.is(report.sqpoll.code, code)
      assert.match(report.sqpoll.hint!, hint)
      assert.match(report.sqpoll.hint!, code)
      assert.not(report.sqpoll.granted)
      assert.is(report.flags & IORING_SETUP_SQPOLL, 0)
      assert.is(report.attempts.at(-1)!.mode, 'regular')
      assert.is(report.attempts.at(-1)!.errno, undefined)
      assert.is(refusals.length, 1, 'announced once, however many setups were tried')
      assert.ok(sqpollFellBack())
    }),
  )
}

test(
  'buildRing() skips SQPOLL in a rootless container only before Linux 5.13',
  needs(sqpollRing, () => {
    resetProcessPolicyForTests()
    const files = { '/proc/self/uid_map': '0 1000 1\n' }
    const recent = build({ sqpoll: true }, undefined, fakeMachine({ release: '5.13.0', files }))
    assert.is(recent.built.report.sqpoll.reason, 'granted')
    assert.is(recent.built.report.rootless, 'non-identity-uid-map')
    assert.not(sqpollFellBack())
    const old = build({ sqpoll: true }, undefined, fakeMachine({ release: '5.12.19', files }))
    assert.is(old.built.report.sqpoll.reason, 'rootless-container')
    assert.ok(sqpollFellBack())
  }),
)

test(
  'buildRing() drops flags that the kernel does not know one by one, and names them',
  needs({ linux: '6.6' }, () => {
    resetProcessPolicyForTests()
    const wanted = DEFAULT_SETUP_FLAGS | IORING_SETUP_NO_SQARRAY
    const kernels: [known: number, dropped: string[], attempts: number][] = [
      [wanted, [], 1],
      [DEFAULT_SETUP_FLAGS, ['IORING_SETUP_NO_SQARRAY'], 2],
      [
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
        ['IORING_SETUP_SINGLE_ISSUER', 'IORING_SETUP_NO_SQARRAY'],
        3,
      ],
      [
        IORING_SETUP_SUBMIT_ALL,
        ['IORING_SETUP_COOP_TASKRUN', 'IORING_SETUP_SINGLE_ISSUER', 'IORING_SETUP_NO_SQARRAY'],
        4,
      ],
      [
        0,
        [
          'IORING_SETUP_SUBMIT_ALL',
          'IORING_SETUP_COOP_TASKRUN',
          'IORING_SETUP_SINGLE_ISSUER',
          'IORING_SETUP_NO_SQARRAY',
        ],
        5,
      ],
    ]
    for (const [known, dropped, attempts] of kernels) {
      const { report } = build({ setupFlags: wanted }, knowing(known)).built
      assert.equal(report.droppedFlags, dropped)
      assert.is(report.attempts.length, attempts)
      assert.ok(report.attempts.slice(0, -1).every(({ code }) => code === 'EINVAL'))
      assert.is(report.flags, wanted & known)
    }
    assert.not(sqpollFellBack(), 'a dropped flag has nothing to do with SQPOLL')
  }),
)

test(
  'buildRing() drops flags under SQPOLL too before it gives SQPOLL up',
  needs(sqpollRing, () => {
    resetProcessPolicyForTests()
    const { report } = build({ sqpoll: true }, knowing(IORING_SETUP_SQPOLL)).built
    assert.ok(report.sqpoll.granted)
    assert.equal(report.droppedFlags, ['IORING_SETUP_SUBMIT_ALL', 'IORING_SETUP_SINGLE_ISSUER'])
    assert.not(sqpollFellBack())
  }),
)

test('buildRing() never drops a flag that is a condition', () => {
  resetProcessPolicyForTests()
  const calls = knowing(OPTIONAL_SETUP_FLAGS.reduce((flags, flag) => flags | flag, 0))
  const error = thrownBy(() => buildRing({ cqEntries: 256 }, calls, fakeMachine()))
  assert.is(error.code, 'EINVAL')
  const asked: number[] = []
  const recording = setupAnswers((flags) => {
    asked.push(flags)
    return EINVAL
  })
  thrownBy(() => buildRing({ cqEntries: 256 }, recording, fakeMachine()))
  assert.ok(asked.every((flags) => flags & IORING_SETUP_CQSIZE))
  assert.is(asked.length, 4)
})

test('buildRing() tries a regular ring once after any refusal but EINVAL', () => {
  resetProcessPolicyForTests()
  for (const errno of [EPERM, ENOSYS, EMFILE]) {
    const asked: number[] = []
    const calls = setupAnswers((flags) => {
      asked.push(flags & IORING_SETUP_SQPOLL)
      return errno
    })
    thrownBy(() => buildRing({ sqpoll: true }, calls, fakeMachine()))
    assert.equal(asked, [IORING_SETUP_SQPOLL, 0])
  }
})

test('buildRing() throws when the regular ring fails too, and keeps the cause', () => {
  resetProcessPolicyForTests()
  const files = { '/proc/sys/kernel/io_uring_disabled': '2\n' }
  const error = thrownBy(() => buildRing({ sqpoll: true }, refusing(EPERM), fakeMachine({ files })))
  assert.is(error.code, 'EPERM')
  assert.is(error.errno, EPERM)
  assert.is(error.syscall, 'io_uring_setup')
  assert.match(error.message, /kernel\.io_uring_disabled is 2/)
  assert.match(error.message, /SQPOLL was refused before with EPERM/)
  assert.instance(error.cause, SystemError)
  assert.is((error.cause as SystemError).code, 'EPERM')
  assert.ok(sqpollFellBack(), 'as in the row before')
})

test('buildRing() throws without marking a fallback when SQPOLL was not asked for', () => {
  resetProcessPolicyForTests()
  const error = thrownBy(() => buildRing({}, refusing(ENOSYS), fakeMachine({ release: '4.19.0' })))
  assert.match(error.message, /^ENOSYS: .*kernel 4\.19\.0 is too old/)
  assert.not(sqpollFellBack())
})

test(
  'buildRing() waits out ENOMEM',
  needs({ ...ring, ...everyDefaultFlag }, () => {
    resetProcessPolicyForTests()
    for (const failures of [1, 3, 6]) {
      let left = failures
      const slept: number[] = []
      const calls = setupAnswers(() => (left-- > 0 ? ENOMEM : null))
      const { report } = build({}, calls, fakeMachine({ slept })).built
      assert.is(report.memoryRetries, failures)
      assert.equal(slept, ENOMEM_DELAYS_MS.slice(0, failures))
      assert.is(report.attempts.length, 1, 'a repeated setup is one attempt')
    }
  }),
)

test('buildRing() waits for memory at most six times in one build, 1 to 32 ms', () => {
  resetProcessPolicyForTests()
  for (const sqpoll of [false, true]) {
    let setups = 0
    const slept: number[] = []
    const calls = setupAnswers(() => {
      setups++
      return ENOMEM
    })
    const files = { '/proc/self/limits': limitsFile('Max locked memory', 8192) }
    const error = thrownBy(() => buildRing({ sqpoll }, calls, fakeMachine({ slept, files })))
    assert.is(error.code, 'ENOMEM')
    assert.match(error.message, /RLIMIT_MEMLOCK of 8192 bytes/)
    assert.equal(slept, [1, 2, 4, 8, 16, 32])
    assert.is(setups, sqpoll ? 8 : 7)
  }
})

test('buildRing() sleeps for real on the real machine', () => {
  resetProcessPolicyForTests()
  const start = performance.now()
  thrownBy(() => buildRing({}, refusing(ENOMEM)))
  const elapsedMs = performance.now() - start
  assert.ok(elapsedMs >= 60, `${elapsedMs} ms`)
})

test('buildRing() checks the config before it asks the kernel', () => {
  let setups = 0
  const calls = setupAnswers(() => {
    setups++
    return EPERM
  })
  assert.throws(
    () => buildRing({ sqEntries: 48 }, calls),
    (error: Error & { code: string }) => error instanceof RangeError && error.code === 'ERR_OUT_OF_RANGE',
  )
  assert.throws(
    () => buildRing({ sqPoll: true } as Partial<IoUringConfig>, calls),
    (error: Error & { code: string }) => error instanceof TypeError && error.code === 'ERR_INVALID_ARG_VALUE',
  )
  assert.is(setups, 0)
})

test(
  'buildRing() reports what was had',
  needs({ linux: '6.0' }, () => {
    resetProcessPolicyForTests()
    const { built, announced } = build({ ...forLargeFiles(), cqEntries: 1024 })
    const { report } = built
    assert.is(report.sqEntries, 256)
    assert.is(report.cqEntries, 1024)
    assert.is(report.flags, DEFAULT_SETUP_FLAGS | IORING_SETUP_CQSIZE)
    assert.ok(report.flagNames.includes('IORING_SETUP_SINGLE_ISSUER'))
    assert.is(report.flags & IORING_SETUP_SINGLE_ISSUER, IORING_SETUP_SINGLE_ISSUER)
    assert.ok(report.featureNames.includes('IORING_FEAT_NODROP'))
    assert.equal(report.wishes, {
      registerFiles: true,
      registerBuffers: true,
      registeredBufferCount: 16,
      bufferSize: 262144,
    })
    assert.is(report.rootless, 'not-rootless')
    assert.is(report.kernelRelease, '6.18.0')
    assert.equal(announced, [built])
    assert.equal(JSON.parse(JSON.stringify(report)), report)
  }),
)

test(
  'buildRing() can be called with nothing',
  needs(ring, () => {
    const built = buildRing()
    assert.is(built.report.sqEntries, 64)
    works(built)
  }),
)

test.run()
