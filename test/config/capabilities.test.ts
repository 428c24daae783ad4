import { type Capabilities, probe } from '../../src/config/index.js'
import {
  IORING_REGISTER_QUERY,
  IORING_SETUP_SQPOLL,
  IORING_SETUP_SUBMIT_ALL,
} from '../../src/syscalls/abi/index.js'
import { kernelCalls, type UringCalls } from '../../src/syscalls/uring-calls.js'
import { descriptorCount } from '../descriptors.js'
import { assert, needs, test } from '../harness.js'
import {
  EAGAIN,
  EINVAL,
  ENOMEM,
  EPERM,
  fakeMachine,
  limitsFile,
  refusing,
  setupAnswers,
} from './fake-machine.js'

/** The kernel without REGISTER_QUERY, as before Linux 6.18. */
const withoutQuery: UringCalls = {
  ...kernelCalls,
  register: (fd, opcode, address, count) =>
    opcode === IORING_REGISTER_QUERY ? EINVAL : kernelCalls.register(fd, opcode, address, count),
}

/** Without REGISTER_QUERY each setup flag is tried on a ring of its own. */
const MOST_SETUPS = 40

test(
  'probe() describes this machine',
  needs({ linux: '5.19' }, () => {
    const found = probe({ refresh: true })
    assert.is(found.platform, 'linux')
    assert.ok(found.kernelVersion!.major >= 5)
    assert.equal(found.ring, { granted: true, reason: 'granted' })
    assert.ok(found.features.includes('IORING_FEAT_NODROP'))
    assert.ok(found.opcodes.includes('IORING_OP_READ'))
    assert.ok(found.registerOpcodes.includes('IORING_REGISTER_PBUF_RING'))
    assert.ok(found.setupFlags.includes('IORING_SETUP_SUBMIT_ALL'))
    assert.is(found.pbufRing, true)
    assert.ok(found.memlockLimitBytes === null || found.memlockLimitBytes > 0)
  }),
)

test(
  'probe() asks once, and again when told to',
  needs({ ring: true }, () => {
    let setups = 0
    const machine = fakeMachine({
      calls: setupAnswers(() => {
        setups++
        return null
      }),
    })
    const first = probe({ machine })
    const needed = setups
    assert.is(probe({ machine }), first)
    assert.is(setups, needed)
    assert.is.not(probe({ machine, refresh: true }), first)
    assert.is(setups, 2 * needed)
    assert.ok(Object.isFrozen(first))
  }),
)

test('probe() refuses options that are no object', () => {
  for (const options of [null, 'all', 1] as unknown[])
    assert.throws(() => probe(options as object), { code: 'ERR_INVALID_ARG_TYPE' })
})

test(
  'probe() finds by trial what the kernel tells when asked',
  needs({ register: 'IORING_REGISTER_QUERY' }, () => {
    const asked = probe({ machine: fakeMachine() })
    const tried = probe({ machine: fakeMachine({ calls: withoutQuery }) })
    assert.is(asked.evidence, 'query')
    assert.is(tried.evidence, 'trials')
    assert.equal(tried.setupFlags, asked.setupFlags)
    // Trials know of nothing that has no name here, and QUERY itself was made to look unknown.
    const known = asked.registerOpcodes.filter(
      (name) => name !== 'IORING_REGISTER_QUERY' && !/\d$/.test(name.replace(/2$/, '')),
    )
    assert.equal(tried.registerOpcodes, known)
    assert.equal(tried.opcodes, asked.opcodes)
  }),
)

test(
  'probe() sets up few rings, and leaves nothing behind',
  needs({ ring: true }, () => {
    const before = descriptorCount()
    for (const calls of [kernelCalls, withoutQuery]) {
      let setups = 0
      const setup: UringCalls['setup'] = (entries, params) => {
        setups++
        return calls.setup(entries, params)
      }
      probe({ machine: fakeMachine({ calls: { ...calls, setup } }) })
      assert.ok(setups > 0 && setups <= MOST_SETUPS, `${setups} setups`)
    }
    assert.ok(descriptorCount() <= before)
  }),
)

test(
  'probe() learns from EINVAL alone that a flag is unknown',
  needs({ linux: '5.18' }, () => {
    const only = (errno: number): Capabilities =>
      probe({
        machine: fakeMachine({
          calls: {
            ...withoutQuery,
            setup: setupAnswers((flags) => (flags & IORING_SETUP_SUBMIT_ALL ? errno : null)).setup,
          },
        }),
      })
    assert.not(only(EINVAL).setupFlags.includes('IORING_SETUP_SUBMIT_ALL'))
    assert.ok(only(ENOMEM).setupFlags.includes('IORING_SETUP_SUBMIT_ALL'))
  }),
)

test(
  'probe() tells why SQPOLL is refused where a ring is not',
  needs({ ring: true }, () => {
    const slept: number[] = []
    const refused = (errno: number): Capabilities =>
      probe({
        machine: fakeMachine({
          slept,
          calls: setupAnswers((flags) => (flags & IORING_SETUP_SQPOLL ? errno : null)),
          files: { '/proc/self/limits': limitsFile('Max processes', 3) },
        }),
      })
    const { sqpoll, ring } = refused(EAGAIN)
    assert.ok(ring.granted)
    assert.is(sqpoll.granted, false)
    assert.is(sqpoll.errno, EAGAIN)
    assert.is(sqpoll.code, 'EAGAIN')
    assert.match(sqpoll.reason, /RLIMIT_NPROC is 3/)
    assert.is(slept.length, 0)
    assert.is(refused(ENOMEM).sqpoll.code, 'ENOMEM')
    assert.equal(slept, [1, 2, 4, 8, 16, 32])
  }),
)

test('probe() gives empty lists and the reason when there is no ring at all', () => {
  const found = probe({ machine: fakeMachine({ calls: refusing(EPERM) }) })
  assert.is(found.ring.granted, false)
  assert.is(found.ring.code, 'EPERM')
  assert.match(found.ring.reason, /seccomp/)
  assert.equal(found.sqpoll, found.ring)
  for (const list of [found.features, found.opcodes, found.registerOpcodes, found.setupFlags])
    assert.equal(list, [])
  assert.is(found.pbufRing, false)
})

test(
  'probe() asks a kernel before 5.6 nothing that it cannot answer',
  needs({ ring: true }, () => {
    const calls: UringCalls = { ...kernelCalls, register: () => EINVAL }
    const found = probe({ machine: fakeMachine({ calls, release: '5.4.0' }) })
    assert.ok(found.ring.granted)
    assert.equal(found.opcodes, [])
    assert.equal(found.registerOpcodes, [])
    assert.is(found.evidence, 'trials')
  }),
)

test(
  'probe() reports the limit and the container as /proc has them',
  needs({ ring: true }, () => {
    const files = {
      '/proc/self/limits': limitsFile('Max locked memory', 65536),
      '/proc/self/uid_map': '0 1000 1\n',
    }
    const found = probe({ machine: fakeMachine({ files, release: '5' }) })
    assert.is(found.memlockLimitBytes, 65536)
    assert.is(found.rootless, 'non-identity-uid-map')
    assert.is(found.kernelVersion, null)
    const unlimited = { '/proc/self/limits': limitsFile('Max locked memory', 'unlimited') }
    assert.is(
      probe({ machine: fakeMachine({ files: unlimited }) }).memlockLimitBytes,
      Number.POSITIVE_INFINITY,
    )
  }),
)

test.run()
