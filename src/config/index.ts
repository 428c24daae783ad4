// `uring/config`: what to ask of a ring, what this machine gives, and the ring built from both.

export type { SetupFlagName } from '../syscalls/abi/index.js'
export { type Availability, type AvailabilityCause, availability, MINIMUM_KERNEL } from './availability.js'
export {
  type AttemptReport,
  type BuiltRing,
  buildRing,
  type RingReport,
  type SqpollReport,
} from './build-ring.js'
export { type Capabilities, type Evidence, probe, type TrialResult } from './capabilities.js'
export {
  type CompleteConfig,
  defaultConfig,
  forLargeFiles,
  forSmallFiles,
  type IoUringConfig,
  type PartialConfig,
  validateConfig,
  type ZeroCopyPolicy,
} from './config.js'
export type { RootlessSignal } from './container.js'
export { isAtLeast, type KernelVersion, parseKernelRelease } from './kernel-version.js'
export { type Machine, thisMachine } from './machine.js'
export { ENOMEM_DELAYS_MS } from './memory-retry.js'
export {
  type LockCalls,
  MAX_PINNED_WINDOW_BYTES,
  type PinnableRegion,
  type PinnedWindow,
  type PinOutcome,
  pinWindow,
} from './pinned-basis.js'
export {
  disableSqpoll,
  type PinStatistics,
  type PolicyState,
  pinStatistics,
  policyState,
  sqpollFellBack,
} from './process-policy.js'
export { explainRefusal, type Refusal, type RefusalCause } from './refusal.js'
export type { RestrictionPreset } from './restrictions.js'
export { DEFAULT_SETUP_FLAGS, OPTIONAL_SETUP_FLAGS } from './setup-flags.js'
export {
  decideSqpoll,
  type GivenUp,
  planSetup,
  type SetupAttempt,
  type SetupFacts,
  type SetupPlan,
  type SqpollDecision,
  type SqpollReason,
  type SqpollRefusal,
} from './sqpoll-policy.js'
