// Caller mistakes: each is a TypeError or RangeError with Node's code that names the argument, the bound and the value,
// and no system call is made.

import { Ring } from '../../src/ring/ring.js'
import type { RingOptions } from '../../src/ring/setup.js'
import * as abi from '../../src/syscalls/abi/index.js'
import { addressOf } from '../../src/syscalls/memory.js'
import { assert, needs, test } from '../harness.js'
import { nextSqe, queueNops, reap, spied, thrown } from './drive.js'
import { FakeRing } from './fake-ring.js'

const TYPE = 'ERR_INVALID_ARG_TYPE'
const VALUE = 'ERR_INVALID_ARG_VALUE'
const RANGE = 'ERR_OUT_OF_RANGE'

type Case = readonly [options: unknown, code: string, message: RegExp]

const entriesBound = /"options\.entries".*an integer >= 1 and <= 32768\. Received /

const OPTIONS: readonly Case[] = [
  [undefined, TYPE, /"options" argument must be an object\. Received undefined/],
  [null, TYPE, /"options" argument must be an object\. Received null/],
  [8, TYPE, /"options" argument must be an object\. Received type number \(8\)/],
  [{}, TYPE, /"options\.entries" property must be of type number\. Received undefined/],
  [{ entries: '8' }, TYPE, /"options\.entries".*Received type string \('8'\)/],
  [{ entries: 8n }, TYPE, /"options\.entries".*Received type bigint \(8n\)/],
  [{ entries: 0 }, RANGE, entriesBound],
  [{ entries: -1 }, RANGE, entriesBound],
  [{ entries: 2.5 }, RANGE, entriesBound],
  [{ entries: Number.NaN }, RANGE, entriesBound],
  [{ entries: Number.POSITIVE_INFINITY }, RANGE, entriesBound],
  [{ entries: 32_769 }, RANGE, entriesBound],
  [{ entries: 40_000 }, RANGE, /Received 40000$/],
  [{ entries: 2 ** 32, flags: abi.IORING_SETUP_CLAMP }, RANGE, /<= 4294967295\. Received 4294967296$/],
  [{ entries: 8, entires: 8 }, VALUE, /'options\.entires' is not an option; known: entries, .*Received 8/],
  [{ entries: 8, cqentries: 8 }, VALUE, /'options\.cqentries'.*did you mean 'cqEntries'\?/],
  [{ entries: 8, cqEntries: '16' }, TYPE, /"options\.cqEntries".*Received type string/],
  [{ entries: 8, cqEntries: 0 }, RANGE, /"options\.cqEntries".*>= 1 and <= 65536\. Received 0/],
  [{ entries: 8, cqEntries: 1.5 }, RANGE, /"options\.cqEntries".*Received 1\.5/],
  [{ entries: 8, cqEntries: 4 }, RANGE, /"options\.cqEntries".*It must be >= 8\. Received 4/],
  [{ entries: 9, cqEntries: 8 }, RANGE, /"options\.cqEntries".*It must be >= 16\. Received 8/],
  [{ entries: 8, cqEntries: 65_537 }, RANGE, /"options\.cqEntries".*<= 65536\. Received 65537/],
  [{ entries: 8, flags: '1' }, TYPE, /"options\.flags".*Received type string/],
  [{ entries: 8, flags: -1 }, RANGE, /"options\.flags".*0 to 2097151\. Received -1/],
  [{ entries: 8, flags: 0.5 }, RANGE, /"options\.flags".*Received 0\.5/],
  [{ entries: 8, flags: Number.NaN }, RANGE, /"options\.flags".*Received NaN/],
  [{ entries: 8, flags: 0x20_0000 }, RANGE, /"options\.flags".*Received 2097152/],
  [{ entries: 8, flags: 2 ** 32 }, RANGE, /"options\.flags".*Received 4294967296/],
  [
    { entries: 8, flags: abi.IORING_SETUP_CQSIZE },
    VALUE,
    /IORING_SETUP_CQSIZE, which needs options\.cqEntries/,
  ],
  [
    { entries: 8, flags: abi.IORING_SETUP_ATTACH_WQ },
    VALUE,
    /IORING_SETUP_ATTACH_WQ, which needs options\.attachTo/,
  ],
  [
    { entries: 8, sqThreadIdleMs: 10 },
    VALUE,
    /'options\.sqThreadIdleMs'.*IORING_SETUP_SQPOLL only\. Received 10/,
  ],
  [{ entries: 8, sqThreadIdleMs: 0 }, VALUE, /'options\.sqThreadIdleMs'/],
  [{ entries: 8, sqThreadCpu: 0 }, VALUE, /IORING_SETUP_SQ_AFF needs IORING_SETUP_SQPOLL/],
  [{ entries: 8, flags: 2, sqThreadIdleMs: -1 }, RANGE, /"options\.sqThreadIdleMs".*Received -1/],
  [{ entries: 8, flags: 2, sqThreadIdleMs: 2 ** 32 }, RANGE, /"options\.sqThreadIdleMs".*<= 4294967295/],
  [{ entries: 8, flags: 2, sqThreadIdleMs: '1' }, TYPE, /"options\.sqThreadIdleMs"/],
  [{ entries: 8, flags: 2, sqThreadCpu: 1.5 }, RANGE, /"options\.sqThreadCpu".*Received 1\.5/],
  [{ entries: 8, attachTo: -1 }, RANGE, /"options\.attachTo".*>= 0.*Received -1/],
  [{ entries: 8, attachTo: '3' }, TYPE, /"options\.attachTo".*of type number/],
  [{ entries: 8, attachTo: {} }, TYPE, /"options\.attachTo".*Received undefined/],
  [{ entries: 8, attachTo: null }, TYPE, /"options\.attachTo".*Received null/],
]

for (const [options, code, message] of OPTIONS) {
  test(`Ring.open() refuses ${String(message)}`, () => {
    const calls = spied({ setup: () => -1 })
    const error = thrown(() => Ring.open(options as RingOptions, calls))
    assert.is(error.code, code)
    assert.ok(error instanceof (code === RANGE ? RangeError : TypeError))
    assert.match(error.message, message)
    assert.equal(calls.counts, { setup: 0, enter: 0, register: 0 })
  })
}

const PAIRS: readonly (readonly [abi.SetupFlagName, abi.SetupFlagName, number?])[] = [
  ['IORING_SETUP_SQPOLL', 'IORING_SETUP_DEFER_TASKRUN', abi.IORING_SETUP_SINGLE_ISSUER],
  ['IORING_SETUP_SQPOLL', 'IORING_SETUP_COOP_TASKRUN'],
  ['IORING_SETUP_SQPOLL', 'IORING_SETUP_TASKRUN_FLAG', abi.IORING_SETUP_COOP_TASKRUN],
  ['IORING_SETUP_SQPOLL', 'IORING_SETUP_SQ_REWIND', abi.IORING_SETUP_NO_SQARRAY],
  ['IORING_SETUP_CQE32', 'IORING_SETUP_CQE_MIXED'],
  ['IORING_SETUP_SQE128', 'IORING_SETUP_SQE_MIXED'],
]

const LONERS: readonly (readonly [abi.SetupFlagName, string])[] = [
  ['IORING_SETUP_SQ_AFF', 'IORING_SETUP_SQPOLL'],
  ['IORING_SETUP_DEFER_TASKRUN', 'IORING_SETUP_SINGLE_ISSUER'],
  ['IORING_SETUP_TASKRUN_FLAG', 'IORING_SETUP_COOP_TASKRUN or IORING_SETUP_DEFER_TASKRUN'],
  ['IORING_SETUP_REGISTERED_FD_ONLY', 'IORING_SETUP_NO_MMAP'],
  ['IORING_SETUP_HYBRID_IOPOLL', 'IORING_SETUP_IOPOLL'],
  ['IORING_SETUP_SQ_REWIND', 'IORING_SETUP_NO_SQARRAY'],
]

const REFUSED_FLAGS = [
  ...PAIRS.map(([first, second, also = 0]) => ({
    name: `${first} with ${second}`,
    flags: abi.constantValue(first) | abi.constantValue(second) | also,
    words: [first, 'excludes'],
  })),
  ...LONERS.map(([alone, needed]) => ({
    name: `${alone} alone`,
    flags: abi.constantValue(alone),
    words: [`${alone} needs ${needed}`],
  })),
]

for (const { name, flags, words } of REFUSED_FLAGS) {
  test(`Ring.open() refuses ${name}, in words`, () => {
    const calls = spied({ setup: () => -1 })
    const error = thrown(() => Ring.open({ entries: 8, flags }, calls))
    assert.is(error.code, VALUE)
    for (const word of words) assert.ok(error.message.includes(word), error.message)
    assert.is(calls.counts.setup, 0)
  })

  // An older kernel refuses the flag it does not know, with the same errno.
  test(
    `the kernel refuses ${name} too`,
    needs({ ring: true }, () => {
      const params = new Uint8Array(new ArrayBuffer(120))
      new DataView(params.buffer).setUint32(8, flags, true)
      assert.is(spied().setup(8, addressOf(params)), -22)
    }),
  )
}

test(
  'entries are rounded up to a power of two',
  needs({ ring: true }, () => {
    for (const [entries, granted] of [
      [1, 1],
      [3, 4],
      [5, 8],
      [4096, 4096],
      [32_767, 32_768],
    ] as const) {
      const ring = Ring.open({ entries })
      assert.equal([ring.sqEntries, ring.cqEntries], [granted, 2 * granted])
      ring.close()
      const tight = Ring.open({ entries, cqEntries: granted })
      assert.equal([tight.sqEntries, tight.cqEntries], [granted, granted])
      tight.close()
    }
    const rounded = Ring.open({ entries: 3, cqEntries: 3 })
    assert.equal([rounded.sqEntries, rounded.cqEntries], [4, 4])
    rounded.close()
    Ring.open({ entries: 8, cqEntries: undefined, flags: undefined, sqThreadIdleMs: undefined }).close()
  }),
)

type WaitCase = readonly [arguments: readonly unknown[], code: string, message: RegExp]

const WAITS: readonly WaitCase[] = [
  [[-1], RANGE, /"minComplete".*an integer >= 0 and <= 16\. Received -1/],
  [[17], RANGE, /"minComplete".*Received 17/],
  [[1.5], RANGE, /"minComplete".*Received 1\.5/],
  [[Number.NaN], RANGE, /"minComplete".*Received NaN/],
  [['1'], TYPE, /"minComplete" argument must be of type number\. Received type string \('1'\)/],
  [[undefined], TYPE, /"minComplete".*Received undefined/],
  [[2n], TYPE, /"minComplete".*Received type bigint/],
  [[1, -1], RANGE, /"timeoutMs".*>= 0 and <= 9007199254740991\. Received -1/],
  [[1, Number.NaN], RANGE, /"timeoutMs".*Received NaN/],
  [[1, Number.POSITIVE_INFINITY], RANGE, /"timeoutMs".*Received Infinity/],
  [[1, '10'], TYPE, /"timeoutMs" argument must be of type number\. Received type string/],
  [[1, null], TYPE, /"timeoutMs".*Received null/],
  [[1, 10n], TYPE, /"timeoutMs".*Received type bigint/],
  [[1, 10, 5], TYPE, /"options" argument must be an object/],
  [[1, 10, null], TYPE, /"options" argument must be an object/],
  [[1, 10, { minWait: 5 }], VALUE, /'options\.minWait' is not an option/],
  [[1, 10, { minwaitus: 5 }], VALUE, /did you mean 'minWaitUs'/],
  [[1, 10, { minWaitUs: -1 }], RANGE, /"options\.minWaitUs".*Received -1/],
  [[1, 10, { minWaitUs: 2 ** 32 }], RANGE, /"options\.minWaitUs".*<= 4294967295/],
  [[1, 10, { signalMask: -1 }], RANGE, /"options\.signalMask".*Received -1/],
  [[1, 10, { signalMask: '0' }], TYPE, /"options\.signalMask"/],
]

test('submitAndWait() refuses what is no wait, and submits nothing', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 8 }, fake)
  queueNops(ring, 1)
  for (const [rest, code, message] of WAITS) {
    const error = thrown(() => ring.submitAndWait(...(rest as [number])))
    assert.is(error.code, code, String(message))
    assert.ok(error instanceof (code === RANGE ? RangeError : TypeError))
    assert.match(error.message, message)
  }
  assert.is(fake.enters.length, 0)
  assert.is(fake.word('sq', 'tail'), 0)
  ring.submit()
  assert.equal(reap(ring), [1])
  ring.close()
  fake.dispose()
})

test('submitAndWaitRegistered(), resize() and the setters of an entry refuse bad numbers', () => {
  const fake = new FakeRing()
  const ring = Ring.open({ entries: 8 }, fake)
  const sqe = nextSqe(ring)
  const calls: readonly (readonly [() => unknown, string])[] = [
    [() => ring.submitAndWaitRegistered(17, 0), RANGE],
    [() => ring.submitAndWaitRegistered(1, -1), RANGE],
    [() => ring.submitAndWaitRegistered(1, 0x1_0000), RANGE],
    [() => ring.submitAndWaitRegistered('1' as unknown as number, 0), TYPE],
    [() => ring.resize({ entries: 0 }), RANGE],
    [() => ring.resize({ entries: 8, cqEntries: 4 }), RANGE],
    [() => ring.resize(undefined as unknown as { entries: number }), TYPE],
    [() => ring.resize({ entries: 8, size: 8 } as { entries: number }), VALUE],
    [() => sqe.setUserData(-1), RANGE],
    [() => sqe.setUserData(0, 2 ** 32), RANGE],
  ]
  for (const [call, code] of calls) assert.is(thrown(call).code, code)
  assert.equal([fake.enters.length, fake.registers.length], [0, 0])
  ring.close()
  fake.dispose()
})

test.run()
