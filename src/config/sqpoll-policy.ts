// Decides whether SQPOLL is tried, and plans the setup of a ring. Pure functions turn a config, facts about
// the machine and the state of the process into an ordered list of setups, which build-ring.ts tries.

import type { RingOptions } from '../ring/index.js'
import { IORING_SETUP_SQPOLL, type SetupFlagName } from '../syscalls/abi/index.js'
import type { CompleteConfig } from './config.js'
import type { RootlessSignal } from './container.js'
import { isAtLeast, type KernelVersion } from './kernel-version.js'
import type { PolicyState } from './process-policy.js'
import { flagLadder, SQPOLL_EXCLUDES, setupFlagNames } from './setup-flags.js'

/** Whether SQPOLL was granted, or why not. */
export type SqpollReason =
  | 'not-requested'
  | 'disabled-by-policy'
  | 'mmap-basis-active'
  | 'rootless-container'
  | 'kernel-refused'
  | 'granted'

/** The facts about the machine that affect a plan. `probe()` gives all of them and more. */
export interface SetupFacts {
  /**
   * null when the release could not be read: the kernel is then assumed to be recent, and SQPOLL is tried.
   */
  readonly kernelVersion: KernelVersion | null
  readonly rootless: RootlessSignal
}

/** Why SQPOLL is not even tried. */
export interface SqpollRefusal {
  readonly reason: 'disabled-by-policy' | 'mmap-basis-active' | 'rootless-container'
  /** Whether `sqpollFellBack()` is true from here on. */
  readonly fellBack: boolean
  /** One line for the log. */
  readonly message: string
}

/** Whether SQPOLL is tried; if not, whether that is a refusal or nobody asked. */
export type SqpollDecision =
  | { readonly attempt: true }
  | { readonly attempt: false; readonly refusal: SqpollRefusal | null }

/** A requested flag that one setup goes without. */
export interface GivenUp {
  readonly flag: SetupFlagName
  /** Refused together with SQPOLL; unknown to the kernel; or, for SQPOLL itself, refused. */
  readonly because: 'excluded-by-sqpoll' | 'unknown-to-kernel' | 'refused'
}

/** One setup to try. */
export interface SetupAttempt {
  readonly mode: 'sqpoll' | 'regular'
  /** For `Ring.open`. */
  readonly options: RingOptions
  readonly gaveUp: readonly GivenUp[]
}

/**
 * What to try, in order. After EINVAL follows the next attempt; after any other refusal of an SQPOLL attempt,
 * the first regular one; after any other refusal of a regular attempt, none.
 */
export interface SetupPlan {
  readonly attempts: readonly SetupAttempt[]
  /** What was requested but is not tried. */
  readonly refusals: readonly SqpollRefusal[]
}

const MMAP_BASIS_WARNING =
  'refusing SQPOLL because an mmap basis reader is active on this transfer plan; falling back to a regular ring'

/** The first release with unprivileged SQPOLL; before it, a rootless container cannot have SQPOLL. */
const UNPRIVILEGED_SQPOLL = '5.13'

/**
 * Decides whether SQPOLL is tried. The first of these that holds decides: it was not asked for; `disableSqpoll()` was
 * called; a mapped basis is active and not pinned; the process is in a rootless container on a kernel before 5.13.
 */
export function decideSqpoll(config: CompleteConfig, facts: SetupFacts, policy: PolicyState): SqpollDecision {
  if (!config.sqpoll) return { attempt: false, refusal: null }
  if (policy.sqpollDisabled) {
    const message = 'SQPOLL suppressed by policy; other features stay active'
    return refused({ reason: 'disabled-by-policy', fellBack: false, message })
  }
  if (config.mmapBasisActive && !(config.pinMmapBasis && !policy.pinningOff)) {
    return refused({ reason: 'mmap-basis-active', fellBack: true, message: `warning: ${MMAP_BASIS_WARNING}` })
  }
  const { kernelVersion, rootless } = facts
  if (
    rootless !== 'not-rootless' &&
    kernelVersion !== null &&
    !isAtLeast(kernelVersion, UNPRIVILEGED_SQPOLL)
  ) {
    const message = `SQPOLL skipped in a rootless container (${rootless}): before Linux ${UNPRIVILEGED_SQPOLL} it needs a privilege`
    return refused({ reason: 'rootless-container', fellBack: true, message })
  }
  return { attempt: true }
}

function refused(refusal: SqpollRefusal): SqpollDecision {
  return { attempt: false, refusal }
}

/**
 * Plans the setup of a ring. Pure: the same arguments give the same plan, and nothing is touched.
 *
 * @returns Attempts of which the last is always a regular ring with no optional flag left.
 */
export function planSetup(config: CompleteConfig, facts: SetupFacts, policy: PolicyState): SetupPlan {
  const decision = decideSqpoll(config, facts, policy)
  if (decision.attempt)
    return { attempts: [...sqpollAttempts(config), ...regularAttempts(config)], refusals: [] }
  return { attempts: regularAttempts(config), refusals: decision.refusal === null ? [] : [decision.refusal] }
}

function givenUp(flags: readonly SetupFlagName[], because: GivenUp['because']): GivenUp[] {
  return flags.map((flag) => ({ flag, because }))
}

function regularAttempts(config: CompleteConfig): SetupAttempt[] {
  const lost = config.sqpoll ? givenUp(['IORING_SETUP_SQPOLL'], 'refused') : []
  const { sqEntries: entries, cqEntries } = config
  return flagLadder(config.setupFlags).map(({ flags, dropped }) => ({
    mode: 'regular',
    options: { entries, cqEntries, flags },
    gaveUp: [...lost, ...givenUp(dropped, 'unknown-to-kernel')],
  }))
}

function sqpollAttempts(config: CompleteConfig): SetupAttempt[] {
  const excluded = givenUp(setupFlagNames(config.setupFlags & SQPOLL_EXCLUDES), 'excluded-by-sqpoll')
  const { sqEntries: entries, cqEntries, sqpollIdleMs: sqThreadIdleMs } = config
  return flagLadder(config.setupFlags & ~SQPOLL_EXCLUDES).map(({ flags, dropped }) => ({
    mode: 'sqpoll',
    options: { entries, cqEntries, flags: flags | IORING_SETUP_SQPOLL, sqThreadIdleMs },
    gaveUp: [...excluded, ...givenUp(dropped, 'unknown-to-kernel')],
  }))
}
