import {
  DEFAULT_SETUP_FLAGS,
  defaultConfig,
  forLargeFiles,
  forSmallFiles,
  type IoUringConfig,
  validateConfig,
} from '../../src/config/index.js'
import {
  IORING_SETUP_COOP_TASKRUN,
  IORING_SETUP_CQE_MIXED,
  IORING_SETUP_CQE32,
  IORING_SETUP_CQSIZE,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_HYBRID_IOPOLL,
  IORING_SETUP_IOPOLL,
  IORING_SETUP_REGISTERED_FD_ONLY,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SQE_MIXED,
  IORING_SETUP_SQE128,
  IORING_SETUP_SQPOLL,
  IORING_SETUP_TASKRUN_FLAG,
} from '../../src/syscalls/abi/index.js'
import { assert, test } from '../harness.js'

const PRESETS: [string, () => IoUringConfig][] = [
  ['defaultConfig', defaultConfig],
  ['forLargeFiles', forLargeFiles],
  ['forSmallFiles', forSmallFiles],
]

test('the presets have the values of the table', () => {
  const same = {
    directIo: false,
    registerFiles: true,
    registerBuffers: true,
    sqpoll: false,
    sqpollIdleMs: 1000,
    mmapBasisActive: false,
    zeroCopyPolicy: 'auto',
  }
  assert.equal(defaultConfig(), { ...same, sqEntries: 64, bufferSize: 65536, registeredBufferCount: 8 })
  assert.equal(forLargeFiles(), { ...same, sqEntries: 256, bufferSize: 262144, registeredBufferCount: 16 })
  assert.equal(forSmallFiles(), { ...same, sqEntries: 128, bufferSize: 16384, registeredBufferCount: 8 })
})

test('sqpoll and mmapBasisActive are false in every preset', () => {
  for (const [name, preset] of PRESETS) {
    assert.is(preset().sqpoll, false, name)
    assert.is(preset().mmapBasisActive, false, name)
    assert.is(validateConfig(preset()).pinMmapBasis, false, name)
  }
})

test('a preset is a fresh object at each call', () => {
  for (const [name, preset] of PRESETS) {
    const changed = preset()
    changed.sqpoll = true
    changed.sqEntries = 1
    assert.is(preset().sqpoll, false, name)
    assert.is.not(preset().sqEntries, 1, name)
  }
})

test('validateConfig() fills in what is missing or undefined and leaves its argument alone', () => {
  const given = Object.freeze({ sqEntries: 32, bufferSize: undefined } as unknown as Partial<IoUringConfig>)
  const whole = validateConfig(given)
  assert.is(whole.sqEntries, 32)
  assert.is(whole.bufferSize, 65536)
  assert.is(whole.cqEntries, undefined)
  assert.is(whole.setupFlags, DEFAULT_SETUP_FLAGS)
  assert.equal(validateConfig(whole), whole)
  assert.equal(validateConfig(), validateConfig(defaultConfig()))
})

test('validateConfig() takes every bound', () => {
  const accepted: Partial<IoUringConfig>[] = [
    { sqEntries: 1 },
    { sqEntries: 32768 },
    { sqEntries: 32768, cqEntries: 65536 },
    { sqEntries: 8, cqEntries: 8 },
    { bufferSize: 1 },
    { bufferSize: 2 ** 30 },
    { bufferSize: 512, directIo: true },
    { registeredBufferCount: 1 },
    { registeredBufferCount: 1024 },
    { registeredBufferCount: 0, registerBuffers: false },
    { sqpollIdleMs: 0 },
    { sqpollIdleMs: 0xffff_ffff },
    { zeroCopyPolicy: 'enabled' },
    { zeroCopyPolicy: 'disabled' },
    { setupFlags: 0 },
    { setupFlags: IORING_SETUP_IOPOLL },
    { setupFlags: IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG },
    { setupFlags: IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG },
  ]
  for (const config of accepted) validateConfig(config)
})

test('validateConfig() names the member, the value and the bound', () => {
  const refused: [config: object, code: string, ...parts: string[]][] = [
    [{ sqEntries: 0 }, 'ERR_OUT_OF_RANGE', 'config.sqEntries', '>= 1 and <= 32768', 'Received 0'],
    [{ sqEntries: 65536 }, 'ERR_OUT_OF_RANGE', 'config.sqEntries', '<= 32768', '65536'],
    [{ sqEntries: 48 }, 'ERR_OUT_OF_RANGE', 'config.sqEntries', 'a power of two', '48'],
    [{ sqEntries: 1.5 }, 'ERR_OUT_OF_RANGE', 'config.sqEntries', '1.5'],
    [{ sqEntries: Number.NaN }, 'ERR_OUT_OF_RANGE', 'config.sqEntries', 'NaN'],
    [{ sqEntries: '64' }, 'ERR_INVALID_ARG_TYPE', 'config.sqEntries', 'of type number', "'64'"],
    [{ bufferSize: 0 }, 'ERR_OUT_OF_RANGE', 'config.bufferSize', '>= 1'],
    [{ bufferSize: 2 ** 30 + 1 }, 'ERR_OUT_OF_RANGE', 'config.bufferSize', '1073741824', '1073741825'],
    [
      { bufferSize: 1000, directIo: true },
      'ERR_OUT_OF_RANGE',
      'config.bufferSize',
      'a multiple of 512',
      '1000',
    ],
    [{ registeredBufferCount: 1025 }, 'ERR_OUT_OF_RANGE', 'config.registeredBufferCount', '<= 1024', '1025'],
    [{ registeredBufferCount: 0 }, 'ERR_OUT_OF_RANGE', 'config.registeredBufferCount', '>= 1'],
    [{ directIo: 1 }, 'ERR_INVALID_ARG_TYPE', 'config.directIo', 'of type boolean'],
    [{ registerFiles: null }, 'ERR_INVALID_ARG_TYPE', 'config.registerFiles'],
    [{ registerBuffers: 'yes' }, 'ERR_INVALID_ARG_TYPE', 'config.registerBuffers'],
    [{ sqpoll: 'true' }, 'ERR_INVALID_ARG_TYPE', 'config.sqpoll', "'true'"],
    [{ sqpollIdleMs: -1 }, 'ERR_OUT_OF_RANGE', 'config.sqpollIdleMs', '-1'],
    [{ mmapBasisActive: 0 }, 'ERR_INVALID_ARG_TYPE', 'config.mmapBasisActive'],
    [{ pinMmapBasis: 1 }, 'ERR_INVALID_ARG_TYPE', 'config.pinMmapBasis'],
    [
      { zeroCopyPolicy: 'on' },
      'ERR_INVALID_ARG_VALUE',
      'config.zeroCopyPolicy',
      "'auto', 'enabled', 'disabled'",
      "'on'",
    ],
    [{ zeroCopyPolicy: true }, 'ERR_INVALID_ARG_TYPE', 'config.zeroCopyPolicy', 'of type string'],
    [{ cqEntries: 32 }, 'ERR_OUT_OF_RANGE', 'config.cqEntries', '>= 64 and <= 65536', '32'],
    [{ cqEntries: 65537 }, 'ERR_OUT_OF_RANGE', 'config.cqEntries', '65537'],
    [{ setupFlags: IORING_SETUP_SQPOLL }, 'ERR_INVALID_ARG_VALUE', 'config.setupFlags', "set 'sqpoll'"],
    [{ setupFlags: IORING_SETUP_CQSIZE }, 'ERR_INVALID_ARG_VALUE', 'config.setupFlags', "set 'cqEntries'"],
    [{ setupFlags: 0x4000_0000 }, 'ERR_INVALID_ARG_VALUE', 'config.setupFlags', '0x40000000'],
    [{ setupFlags: IORING_SETUP_DEFER_TASKRUN }, 'ERR_INVALID_ARG_VALUE', 'IORING_SETUP_SINGLE_ISSUER'],
    [{ setupFlags: IORING_SETUP_TASKRUN_FLAG }, 'ERR_INVALID_ARG_VALUE', 'IORING_SETUP_COOP_TASKRUN'],
    [
      { setupFlags: IORING_SETUP_CQE32 | IORING_SETUP_CQE_MIXED },
      'ERR_INVALID_ARG_VALUE',
      'config.setupFlags',
      'IORING_SETUP_CQE32 excludes IORING_SETUP_CQE_MIXED',
    ],
    [
      { setupFlags: IORING_SETUP_SQE128 | IORING_SETUP_SQE_MIXED },
      'ERR_INVALID_ARG_VALUE',
      'config.setupFlags',
      'IORING_SETUP_SQE128 excludes IORING_SETUP_SQE_MIXED',
    ],
    [
      { setupFlags: IORING_SETUP_HYBRID_IOPOLL },
      'ERR_INVALID_ARG_VALUE',
      'config.setupFlags',
      'needs IORING_SETUP_IOPOLL',
    ],
    [
      { setupFlags: IORING_SETUP_REGISTERED_FD_ONLY },
      'ERR_INVALID_ARG_VALUE',
      'config.setupFlags',
      'needs IORING_SETUP_NO_MMAP',
    ],
    [{ sqPoll: true }, 'ERR_INVALID_ARG_VALUE', 'config.sqPoll', "did you mean 'sqpoll'"],
    [{ depth: 8 }, 'ERR_INVALID_ARG_VALUE', 'config.depth', 'known: sqEntries'],
  ]
  for (const [config, code, ...parts] of refused) {
    try {
      validateConfig(config as Partial<IoUringConfig>)
    } catch (error) {
      const { code: actual, message } = error as Error & { code: string }
      assert.is(actual, code, message)
      for (const part of parts) assert.ok(message.includes(part), `${message} has no ${part}`)
      continue
    }
    assert.unreachable(`accepted ${JSON.stringify(config)}`)
  }
})

test('validateConfig() reads inherited members, and each member once', () => {
  let reads = 0
  class Wishes {
    get sqEntries(): number {
      reads++
      return 8
    }
  }
  assert.is(validateConfig(new Wishes()).sqEntries, 8)
  assert.is(reads, 1)
  assert.is(validateConfig(Object.create({ sqpoll: true }) as Partial<IoUringConfig>).sqpoll, true)
  const inherited = Object.create({ sqEntries: '8' }) as Partial<IoUringConfig>
  assert.throws(() => validateConfig(inherited), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('validateConfig() refuses what is no object', () => {
  for (const config of [null, 3, 'fast', [], true]) {
    assert.throws(
      () => validateConfig(config as unknown as Partial<IoUringConfig>),
      (error: Error & { code: string }) => error.code === 'ERR_INVALID_ARG_TYPE',
    )
  }
})

test.run()
