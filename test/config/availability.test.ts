import { type Availability, availability, explainRefusal, type Machine } from '../../src/config/index.js'
import {
  IORING_REGISTER_PBUF_RING,
  IORING_REGISTER_PROBE,
  IORING_SETUP_SQPOLL,
} from '../../src/syscalls/abi/index.js'
import { kernelCalls, type UringCalls } from '../../src/syscalls/uring-calls.js'
import { assert, needs, test } from '../harness.js'
import {
  EAGAIN,
  EINVAL,
  EMFILE,
  ENOMEM,
  ENOSYS,
  EPERM,
  type Files,
  fakeMachine,
  IDENTITY_MAP,
  limitsFile,
  refusing,
  setupAnswers,
  statusFile,
} from './fake-machine.js'

const SYSCTL = '/proc/sys/kernel/io_uring_disabled'
const GROUP = '/proc/sys/kernel/io_uring_group'
const STATUS = '/proc/self/status'
const LIMITS = '/proc/self/limits'
const MAP = '/proc/self/uid_map'
const ALL_CAPABILITIES = '000001ffffffffff'

function ask(different: Parameters<typeof fakeMachine>[0]): Availability {
  const answer = availability({ machine: fakeMachine(different) })
  assert.ok(answer.reason.startsWith('io_uring: '), answer.reason)
  assert.not(answer.reason.includes('\n'), 'one line')
  return answer
}

function refused(errno: number, files: Files = {}, release = '6.18.0'): Availability {
  const answer = ask({ calls: refusing(errno), files, release })
  assert.not(answer.available)
  assert.is(answer.errno, errno)
  return answer
}

/** The kernel, with some registrations answered by an errno. */
function registerAnswers(answers: Readonly<Record<number, number>>): UringCalls {
  return {
    ...kernelCalls,
    register: (fd, opcode, address, count) =>
      answers[opcode] ?? kernelCalls.register(fd, opcode, address, count),
  }
}

test(
  'availability() tells kernel, operations and pbuf_ring when io_uring can be used',
  needs({ linux: '5.19' }, () => {
    const answer = ask({ release: '6.18.44-fc' })
    assert.ok(answer.available)
    assert.is(answer.cause, 'enabled')
    assert.is(answer.kernel, '6.18.44-fc')
    assert.ok(answer.operations! > 40)
    assert.is(answer.pbufRing, true)
    assert.match(answer.reason, /^io_uring: enabled \(kernel 6\.18\.44-fc, \d+ operations, pbuf_ring yes\)$/)
  }),
)

test(
  'availability() says that pbuf_ring is missing',
  needs({ ring: true }, () => {
    const answer = ask({ calls: registerAnswers({ [IORING_REGISTER_PBUF_RING]: EINVAL }), release: '5.10.0' })
    assert.ok(answer.available)
    assert.is(answer.pbufRing, false)
    assert.match(answer.reason, /pbuf_ring no\)$/)
  }),
)

test(
  'availability() goes by what the kernel can do, not by its version',
  needs({ ring: true }, () => {
    for (const release of ['4.18.0-553.el8_10.x86_64', '5.10.159-20950-g1', '6.1.0', '5', '']) {
      const answer = ask({ release })
      assert.ok(answer.available, release)
      assert.ok(answer.reason.includes(release || 'of unknown version'))
    }
  }),
)

test('availability() reads URING_DISABLE at each call', () => {
  const env: Record<string, string | undefined> = {}
  const machine: Machine = fakeMachine({ env, calls: refusing(ENOSYS) })
  for (const value of ['1', 'true', 'yes', 'on', 'TRUE', ' Yes ']) {
    env['URING_DISABLE'] = value
    const answer = availability({ machine })
    assert.is(answer.cause, 'disabled-by-environment', value)
    assert.is(answer.reason, `io_uring: disabled by the environment variable URING_DISABLE=${value.trim()}`)
    assert.not(answer.available)
    assert.is(answer.code, undefined)
  }
  for (const value of [undefined, '', '0', 'false', 'no', 'off', '2']) {
    env['URING_DISABLE'] = value
    assert.is(availability({ machine }).cause, 'not-implemented', String(value))
  }
})

test(
  'availability() reads URING_DISABLE of this process',
  needs({ ring: true }, () => {
    assert.ok(availability().available)
    process.env['URING_DISABLE'] = 'on'
    try {
      assert.is(availability().cause, 'disabled-by-environment')
    } finally {
      delete process.env['URING_DISABLE']
    }
    assert.ok(availability().available)
  }),
)

test('availability() asks the kernel once, and again when told to', () => {
  let setups = 0
  const calls = setupAnswers(() => {
    setups++
    return EPERM
  })
  const machine = fakeMachine({ calls })
  const first = availability({ machine })
  assert.is(availability({ machine }), first)
  assert.is(setups, 1)
  availability({ machine, refresh: true })
  assert.is(setups, 2)
})

test('availability() names the platform where it is not Linux', () => {
  const answer = ask({ platform: 'darwin', calls: refusing(ENOSYS) })
  assert.is(answer.cause, 'not-linux')
  assert.is(answer.reason, 'io_uring: disabled because this is not Linux but darwin')
})

test('availability() says when there is no C library, in one line', () => {
  const answer = ask({ libcFailure: new Error('cannot open\nlibc.so'), calls: refusing(ENOSYS) })
  assert.is(answer.cause, 'no-c-library')
  assert.match(answer.reason, /cannot be loaded: cannot open libc\.so$/)
})

test('availability() tells a kernel of unknown version from an old one when there is no io_uring', () => {
  const unreadable = refused(ENOSYS, {}, '')
  assert.is(unreadable.cause, 'kernel-version-unreadable')
  assert.match(unreadable.reason, /kernel version cannot be read/)
  const unparsable = refused(ENOSYS, {}, '5')
  assert.is(unparsable.cause, 'kernel-version-unparsable')
  assert.match(unparsable.reason, /kernel version '5' cannot be parsed/)
  const old = refused(ENOSYS, {}, '4.19.0-27-amd64')
  assert.is(old.cause, 'kernel-too-old')
  assert.match(
    old.reason,
    /kernel 4\.19\.0-27-amd64 is too old: io_uring came with 5\.1, and 5\.6 is the minimum here/,
  )
})

test('availability() blames the kernel, a sandbox or the seccomp filter for ENOSYS', () => {
  const plain = refused(ENOSYS, { [STATUS]: statusFile() }, '5.10.159-20950-g1')
  assert.is(plain.cause, 'not-implemented')
  assert.is(plain.code, 'ENOSYS')
  assert.match(plain.reason, /5\.10\.159-20950-g1.*CONFIG_IO_URING.*gVisor or a seccomp filter/)
  const filtered = refused(ENOSYS, { [STATUS]: statusFile({ seccomp: 2 }) })
  assert.match(filtered.reason, /the seccomp filter in force answers so/)
})

test(
  'availability() calls a kernel too old that has rings but cannot be probed',
  needs({ ring: true }, () => {
    const calls = registerAnswers({ [IORING_REGISTER_PROBE]: EINVAL })
    for (const release of ['5.4.0-190-generic', '5', '']) {
      const answer = ask({ calls, release })
      assert.is(answer.cause, 'kernel-too-old', release)
      assert.match(answer.reason, /is too old: 5\.6 is the minimum$/)
    }
  }),
)

test(
  'availability() suspects a filter when a recent kernel cannot be probed',
  needs({ ring: true }, () => {
    const answer = ask({ calls: registerAnswers({ [IORING_REGISTER_PROBE]: EPERM }) })
    assert.is(answer.cause, 'seccomp-or-container')
    assert.match(answer.reason, /io_uring_register failed with EPERM/)
  }),
)

test('availability() blames the sysctl when io_uring_disabled is 2', () => {
  const files = { [SYSCTL]: '2\n', [STATUS]: statusFile({ capEff: ALL_CAPABILITIES }), [MAP]: IDENTITY_MAP }
  const answer = refused(EPERM, files)
  assert.is(answer.cause, 'sysctl')
  assert.match(
    answer.reason,
    /failed with EPERM: the sysctl kernel\.io_uring_disabled is 2: disabled for every process/,
  )
})

test('availability() blames the sysctl when io_uring_disabled is 1 and this process is not exempt', () => {
  const unprivileged = {
    [SYSCTL]: '1\n',
    [GROUP]: '-1\n',
    [STATUS]: statusFile({ gid: 100 }),
    [MAP]: IDENTITY_MAP,
  }
  const answer = refused(EPERM, unprivileged)
  assert.is(answer.cause, 'sysctl')
  assert.match(
    answer.reason,
    /kernel\.io_uring_disabled is 1: only for CAP_SYS_ADMIN or members of kernel\.io_uring_group/,
  )
  const group = refused(EPERM, { ...unprivileged, [GROUP]: '995\n' })
  assert.match(group.reason, /or members of the group 995$/)
  // Root of a user namespace has every capability, but not where it counts.
  const namespaced = {
    ...unprivileged,
    [STATUS]: statusFile({ capEff: ALL_CAPABILITIES }),
    [MAP]: '0 1000 1\n',
  }
  assert.is(refused(EPERM, namespaced).cause, 'sysctl')
  assert.is(refused(EPERM, { [SYSCTL]: '1\n' }).cause, 'sysctl', 'nothing known of this process')
  // A process in no further group is not in the group of its own number, which is on the next line.
  const lonely = `Gid:\t100\t100\t100\t100\nGroups:\t \nNStgid:\t995\n`
  assert.is(refused(EPERM, { ...unprivileged, [GROUP]: '995\n', [STATUS]: lonely }).cause, 'sysctl')
})

test('availability() does not blame io_uring_disabled 1 when this process is exempt from it', () => {
  const base = { [SYSCTL]: '1\n', [GROUP]: '995\n', [MAP]: IDENTITY_MAP }
  for (const status of [
    statusFile({ capEff: ALL_CAPABILITIES, seccomp: 2 }),
    statusFile({ gid: 995, seccomp: 2 }),
    statusFile({ gid: 100, groups: [4, 995], seccomp: 2 }),
  ]) {
    const answer = refused(EPERM, { ...base, [STATUS]: status })
    assert.is(answer.cause, 'seccomp-or-container')
    assert.match(answer.reason, /the seccomp filter in force refuses io_uring/)
  }
})

test('availability() blames seccomp or a container for EPERM when the sysctl allows io_uring or is not there', () => {
  const allowed = refused(EPERM, { [SYSCTL]: '0\n', [STATUS]: statusFile({ seccomp: 2 }) })
  assert.is(allowed.cause, 'seccomp-or-container')
  assert.match(
    allowed.reason,
    /the seccomp filter in force.*EPERM.*kernel\.io_uring_disabled is 0 and not the cause$/,
  )
  const unknown = refused(EPERM)
  assert.is(unknown.cause, 'seccomp-or-container')
  assert.match(unknown.reason, /a seccomp filter or security module refuses io_uring with EPERM/)
})

test('availability() gives the limit for ENOMEM and says what to raise', () => {
  const limited = refused(ENOMEM, { [LIMITS]: limitsFile('Max locked memory', 8192) })
  assert.is(limited.cause, 'memlock-limit')
  assert.is(limited.memlockLimitBytes, 8192)
  assert.match(
    limited.reason,
    /RLIMIT_MEMLOCK of 8192 bytes: ask for fewer entries, or raise it \(ulimit -l.*LimitMEMLOCK=/,
  )
  const unlimited = refused(ENOMEM, { [LIMITS]: limitsFile('Max locked memory', 'unlimited') })
  assert.is(unlimited.cause, 'other')
  assert.match(unlimited.reason, /cgroup/)
  const unknown = refused(ENOMEM)
  assert.is(unknown.memlockLimitBytes, null)
  assert.match(unknown.reason, /RLIMIT_MEMLOCK of unknown size/)
})

test('availability() does not blame RLIMIT_MEMLOCK for ENOMEM where rings are not counted against it', () => {
  const files = {
    [LIMITS]: limitsFile('Max locked memory', 8192),
    [STATUS]: statusFile({ capEff: '0000000000004000' }),
    [MAP]: IDENTITY_MAP,
  }
  const capable = refused(ENOMEM, files)
  assert.is(capable.cause, 'other')
  assert.is(capable.memlockLimitBytes, 8192)
  assert.match(capable.reason, /short of memory.*cgroup.*CAP_IPC_LOCK$/)
  assert.is(refused(ENOMEM, { ...files, [MAP]: '0 1000 1\n' }).cause, 'memlock-limit')
  const limited = { [LIMITS]: limitsFile('Max locked memory', 8192) }
  for (const release of ['5.11.0', '6.14.0', ''])
    assert.is(refused(ENOMEM, limited, release).cause, 'memlock-limit', release)
  for (const release of ['5.12.0', '6.13.9'])
    assert.match(refused(ENOMEM, limited, release).reason, `kernel ${release} does not count rings`)
})

test('availability() names the descriptor limits', () => {
  assert.match(
    refused(EMFILE, { [LIMITS]: limitsFile('Max open files', 64) }).reason,
    /RLIMIT_NOFILE of 64 descriptors/,
  )
  assert.match(refused(EMFILE).reason, /RLIMIT_NOFILE is used up/)
  assert.match(refused(-23).reason, /fs\.file-max/)
})

test('availability() passes an errno on for which it knows no cause', () => {
  const answer = refused(-5)
  assert.is(answer.cause, 'other')
  assert.match(answer.reason, /failed with EIO: i\/o error$/)
})

test(
  'availability() tells where the kernel tries for ever to start a thread',
  needs({ ring: true }, () => {
    const isSqpoll = (flags: number): boolean => (flags & IORING_SETUP_SQPOLL) !== 0
    // Nothing that is submitted ends.
    const enter: UringCalls['enter'] = (_fd, toSubmit) => toSubmit
    const answer = ask({ calls: { ...setupAnswers((flags) => (isSqpoll(flags) ? EAGAIN : null)), enter } })
    assert.is(answer.cause, 'thread-limit')
    assert.match(
      answer.reason,
      /^io_uring: disabled because an operation does not end: the kernel cannot start a thread for/,
    )
    // A machine that is merely busy has one to give.
    assert.is(ask({ calls: { ...kernelCalls, enter } }).cause, 'enabled')
  }),
)

test('availability() does not throw when the kernel answers nonsense', () => {
  // Success, but nothing filled in.
  const calls: UringCalls = { ...kernelCalls, setup: () => 1_000_000 }
  const answer = ask({ calls })
  assert.is(answer.cause, 'other')
  assert.match(answer.reason, /cannot be relied on/)
})

test('explainRefusal() tells the privilege that SQPOLL needed before Linux 5.13', () => {
  const cause = (release: string) => explainRefusal(EPERM, 'sqpoll', fakeMachine({ release }))
  assert.match(cause('5.10.159-20950-g1').text, /CAP_SYS_ADMIN/)
  assert.match(cause('5.11.0').text, /CAP_SYS_NICE/)
  assert.is(cause('5.12.9').cause, 'privilege')
  assert.is(cause('5.13.0').cause, 'seccomp-or-container')
  assert.is(
    explainRefusal(EPERM, 'regular', fakeMachine({ release: '5.10.0' })).cause,
    'seccomp-or-container',
  )
})

test('explainRefusal() does not look for a Linux kernel elsewhere', () => {
  const { cause, text } = explainRefusal(
    ENOSYS,
    'regular',
    fakeMachine({ platform: 'darwin', release: '22.6.0' }),
  )
  assert.is(cause, 'not-implemented')
  assert.is(text, 'io_uring is a part of Linux, and this is darwin')
})

test('explainRefusal() tells a missing thread of SQPOLL from a mere EAGAIN', () => {
  const files = { [LIMITS]: limitsFile('Max processes', 'unlimited') }
  const thread = explainRefusal(EAGAIN, 'sqpoll', fakeMachine({ files }))
  assert.is(thread.cause, 'thread-limit')
  assert.match(thread.text, /pids\.max.*RLIMIT_NPROC is unlimited/)
  assert.is(explainRefusal(EAGAIN, 'regular', fakeMachine()).cause, 'other')
  assert.is(explainRefusal(11, 'sqpoll', fakeMachine()).cause, 'thread-limit', 'either sign')
})

test.run()
