// The decision and the plan, over every combination of what they depend on.

import type { CompleteConfig } from '../../src/config/config.js'
import {
  DEFAULT_SETUP_FLAGS,
  decideSqpoll,
  OPTIONAL_SETUP_FLAGS,
  type PolicyState,
  planSetup,
  type RootlessSignal,
  type SetupFacts,
  validateConfig,
} from '../../src/config/index.js'
import { parseKernelRelease } from '../../src/config/kernel-version.js'
import { setupParams } from '../../src/ring/setup.js'
import {
  IORING_SETUP_COOP_TASKRUN,
  IORING_SETUP_CQE32,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_NO_SQARRAY,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SQPOLL,
  IORING_SETUP_SUBMIT_ALL,
  IORING_SETUP_TASKRUN_FLAG,
  type SetupFlagName,
} from '../../src/syscalls/abi/index.js'
import { assert, test } from '../harness.js'

const QUIET: PolicyState = { sqpollDisabled: false, pinningOff: false }
const RECENT: SetupFacts = { kernelVersion: parseKernelRelease('6.18.0'), rootless: 'not-rootless' }
const BOOLEANS = [false, true]
const SIGNALS: RootlessSignal[] = [
  'not-rootless',
  'non-identity-uid-map',
  'podman-containerenv',
  'docker-env',
]
const RELEASES = ['5.10.159-20950-g1', '5.12.19', '5.13.0', '6.18.0', '5']
const ALL_OPTIONAL = OPTIONAL_SETUP_FLAGS.reduce((flags, flag) => flags | flag, 0)
const FLAGS = [0, DEFAULT_SETUP_FLAGS, ALL_OPTIONAL, ALL_OPTIONAL | IORING_SETUP_CQE32]

interface Combination {
  readonly config: CompleteConfig
  readonly facts: SetupFacts
  readonly policy: PolicyState
}

function* combinations(): Generator<Combination> {
  for (const sqpoll of BOOLEANS)
    for (const mmapBasisActive of BOOLEANS)
      for (const pinMmapBasis of BOOLEANS)
        for (const setupFlags of FLAGS)
          for (const sqpollDisabled of BOOLEANS)
            for (const pinningOff of BOOLEANS)
              for (const rootless of SIGNALS)
                for (const release of RELEASES)
                  yield {
                    config: validateConfig({ sqpoll, mmapBasisActive, pinMmapBasis, setupFlags }),
                    facts: { kernelVersion: parseKernelRelease(release), rootless },
                    policy: { sqpollDisabled, pinningOff },
                  }
}

/** The table, written once more and in another form. */
function expected({ config, facts, policy }: Combination): string {
  const { kernelVersion: version, rootless } = facts
  const old = version !== null && (version.major < 5 || (version.major === 5 && version.minor < 13))
  const pinned = config.pinMmapBasis && !policy.pinningOff
  if (!config.sqpoll) return 'not-requested'
  if (policy.sqpollDisabled) return 'disabled-by-policy'
  if (config.mmapBasisActive && !pinned) return 'mmap-basis-active'
  return rootless !== 'not-rootless' && old ? 'rootless-container' : 'attempt'
}

test('decideSqpoll() follows the table for every combination', () => {
  const seen = new Map<string, number>()
  for (const combination of combinations()) {
    const { config, facts, policy } = combination
    const decision = decideSqpoll(config, facts, policy)
    const outcome = decision.attempt ? 'attempt' : (decision.refusal?.reason ?? 'not-requested')
    assert.is(outcome, expected(combination), JSON.stringify(combination))
    seen.set(outcome, (seen.get(outcome) ?? 0) + 1)
  }
  assert.is(seen.size, 5, 'every row was met')
})

test('planSetup() always ends with a regular ring, and is a pure function', () => {
  for (const { config, facts, policy } of combinations()) {
    const plan = planSetup(config, facts, policy)
    const last = plan.attempts.at(-1)!
    assert.is(last.mode, 'regular')
    assert.is((last.options.flags ?? 0) & ALL_OPTIONAL, 0, 'nothing optional is left in the last attempt')
    const firstRegular = plan.attempts.findIndex(({ mode }) => mode === 'regular')
    assert.ok(
      plan.attempts.slice(firstRegular).every(({ mode }) => mode === 'regular'),
      'SQPOLL comes first',
    )
    assert.equal(planSetup(config, facts, policy), plan)
  }
})

test('planSetup() never tries SQPOLL beside a mapped basis that is not pinned, nor once it is disabled', () => {
  for (const { config, facts, policy } of combinations()) {
    const { attempts, refusals } = planSetup(config, facts, policy)
    const tried = attempts.some(
      ({ mode, options }) => mode === 'sqpoll' || (options.flags ?? 0) & IORING_SETUP_SQPOLL,
    )
    if (policy.sqpollDisabled || !config.sqpoll) assert.not(tried)
    if (config.mmapBasisActive && (!config.pinMmapBasis || policy.pinningOff)) assert.not(tried)
    assert.is(refusals.length, config.sqpoll && !tried ? 1 : 0)
  }
})

test('planSetup() plans only setups whose flags go together', () => {
  for (const { config, facts, policy } of combinations()) {
    for (const { mode, options } of planSetup(config, facts, policy).attempts) {
      // The validation that Ring.open begins with.
      setupParams(options)
      assert.is(((options.flags ?? 0) & IORING_SETUP_SQPOLL) !== 0, mode === 'sqpoll')
      assert.is(options.sqThreadIdleMs, mode === 'sqpoll' ? 1000 : undefined)
    }
  }
})

test('planSetup() says which refusal is a fallback and which is not', () => {
  const asked = (config: object, facts = RECENT, policy = QUIET) =>
    planSetup(validateConfig({ sqpoll: true, ...config }), facts, policy).refusals[0]
  const disabled = asked({ mmapBasisActive: true }, RECENT, { ...QUIET, sqpollDisabled: true })
  assert.equal(disabled, {
    reason: 'disabled-by-policy',
    fellBack: false,
    message: 'SQPOLL suppressed by policy; other features stay active',
  })
  assert.equal(asked({ mmapBasisActive: true }), {
    reason: 'mmap-basis-active',
    fellBack: true,
    message:
      'warning: refusing SQPOLL because an mmap basis reader is active on this transfer plan; falling back to a regular ring',
  })
  const old = asked({}, { kernelVersion: parseKernelRelease('5.10.0'), rootless: 'docker-env' })
  assert.is(old?.reason, 'rootless-container')
  assert.is(old?.fellBack, true)
  assert.match(old!.message, /docker-env/)
})

test('planSetup() gives up optional flags one by one, newest first, for each mode', () => {
  const setupFlags = ALL_OPTIONAL | IORING_SETUP_CQE32
  const { attempts } = planSetup(validateConfig({ sqpoll: true, setupFlags }), RECENT, QUIET)
  const unknown = (index: number): SetupFlagName[] =>
    attempts[index]!.gaveUp.flatMap(({ flag, because }) => (because === 'unknown-to-kernel' ? [flag] : []))
  const base = IORING_SETUP_CQE32
  const S = IORING_SETUP_SQPOLL | base
  assert.equal(
    attempts.map(({ options }) => options.flags),
    [
      S | IORING_SETUP_NO_SQARRAY | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_SUBMIT_ALL,
      S | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_SUBMIT_ALL,
      S | IORING_SETUP_SUBMIT_ALL,
      S,
      setupFlags,
      setupFlags & ~IORING_SETUP_NO_SQARRAY,
      setupFlags & ~(IORING_SETUP_NO_SQARRAY | IORING_SETUP_DEFER_TASKRUN),
      base | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
      base | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
      base | IORING_SETUP_SUBMIT_ALL,
      base,
    ],
  )
  assert.equal(
    attempts[0]!.gaveUp.map(({ flag }) => flag),
    ['IORING_SETUP_COOP_TASKRUN', 'IORING_SETUP_TASKRUN_FLAG', 'IORING_SETUP_DEFER_TASKRUN'],
  )
  assert.ok(attempts[0]!.gaveUp.every(({ because }) => because === 'excluded-by-sqpoll'))
  assert.equal(unknown(2), ['IORING_SETUP_SINGLE_ISSUER', 'IORING_SETUP_NO_SQARRAY'])
  assert.equal(attempts[4]!.gaveUp, [{ flag: 'IORING_SETUP_SQPOLL', because: 'refused' }])
  assert.is(unknown(10).length, 6)
})

test('planSetup() gives up TASKRUN_FLAG with the last flag that it reports on', () => {
  const setupFlags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG
  const { attempts } = planSetup(validateConfig({ setupFlags }), RECENT, QUIET)
  assert.equal(
    attempts.map(({ options }) => options.flags),
    [setupFlags, IORING_SETUP_SINGLE_ISSUER, 0],
  )
})

test('planSetup() hands entries and idle time to every attempt that can use them', () => {
  const config = validateConfig({ sqpoll: true, sqEntries: 32, cqEntries: 256, sqpollIdleMs: 7 })
  for (const { mode, options } of planSetup(config, RECENT, QUIET).attempts) {
    assert.is(options.entries, 32)
    assert.is(options.cqEntries, 256)
    assert.is(options.sqThreadIdleMs, mode === 'sqpoll' ? 7 : undefined)
  }
})

test.run()
