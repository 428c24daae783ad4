// From a config to a ring: tries the setups of the plan in turn and reports what was asked, granted, given up
// and refused. A refusal of SQPOLL or of an optional flag degrades the ring but is never an error.

import { Ring } from '../ring/index.js'
import { flagNames, IORING_SETUP_SQPOLL, type SetupFlagName } from '../syscalls/abi/index.js'
import { errnoMessage, SystemError, systemError } from '../syscalls/errno.js'
import type { UringCalls } from '../syscalls/uring-calls.js'
import { log, ringBuilt, sqpollRefused } from './announcements.js'
import { type CompleteConfig, type PartialConfig, validateConfig } from './config.js'
import { type RootlessSignal, rootlessSignal } from './container.js'
import { parseKernelRelease } from './kernel-version.js'
import { type Machine, thisMachine } from './machine.js'
import { MemoryRetries } from './memory-retry.js'
import { noteSqpollFellBack, policyState } from './process-policy.js'
import { explainRefusal } from './refusal.js'
import { restrictRing } from './restrictions.js'
import { planSetup, type SetupAttempt, type SetupPlan, type SqpollReason } from './sqpoll-policy.js'

/** Whether SQPOLL was requested and granted, and why. */
export interface SqpollReport {
  readonly requested: boolean
  readonly granted: boolean
  readonly reason: SqpollReason
  /** With `kernel-refused`: the errno, negative. */
  readonly errno?: number
  /** Its name. */
  readonly code?: string
  /** Where SQPOLL was refused: the reason, or the likely cause, in one line. */
  readonly hint?: string
}

/** One setup that was tried. */
export interface AttemptReport {
  readonly mode: 'sqpoll' | 'regular'
  /** Names of the setup flags asked for. */
  readonly flags: readonly string[]
  /** With a refusal: the errno, negative. */
  readonly errno?: number
  readonly code?: string
}

/** What was asked for and what was granted. */
export interface RingReport {
  readonly sqpoll: SqpollReport
  /** Flags given up because the kernel does not know them, oldest first. */
  readonly droppedFlags: readonly SetupFlagName[]
  /** Every setup tried, in order; the last is the one that was granted. */
  readonly attempts: readonly AttemptReport[]
  /** How often a setup was repeated after ENOMEM. */
  readonly memoryRetries: number
  /** `IORING_SETUP_*` bits in force, and their names. */
  readonly flags: number
  readonly flagNames: readonly string[]
  /** `IORING_FEAT_*` bits that the kernel reported, and their names. */
  readonly features: number
  readonly featureNames: readonly string[]
  readonly sqEntries: number
  readonly cqEntries: number
  /** Whether the ring's descriptor is registered with this thread. Linux 5.18. */
  readonly ringFdRegistered: boolean
  /** Whether the ring does only what `config.restrictions` allow. */
  readonly restricted: boolean
  /** What the config asks of the layers above; `buildRing` itself registers none of it. */
  readonly wishes: {
    readonly registerFiles: boolean
    readonly registerBuffers: boolean
    readonly registeredBufferCount: number
    readonly bufferSize: number
  }
  /** The first sign of a rootless container. */
  readonly rootless: RootlessSignal
  readonly kernelRelease: string
}

/** A ring and how it came about. */
export interface BuiltRing {
  readonly ring: Ring
  readonly report: RingReport
}

/**
 * Builds the ring that `config` asks for, or the best this machine gives instead; `report` says which and why.
 *
 * SQPOLL may be refused by policy (`disableSqpoll`), for a mapped basis that is not pinned, in an old
 * rootless container, or by the kernel. Optional setup flags that the kernel does not know are given up one
 * by one. After ENOMEM this thread blocks and tries again: at most six waits, 63 ms in all.
 *
 * @param config - Members that are missing have the values of `defaultConfig()`.
 * @param calls - The three system calls; tests replace them.
 * @param machine - Everything else that is asked of the machine; tests replace it.
 * @throws TypeError, RangeError as `validateConfig`, before the kernel is asked; SystemError when a regular ring is
 *   refused too, with the likely cause in its message and the error of the last attempt as its `cause`.
 * @see io_uring_setup(2)
 */
export function buildRing(
  config: PartialConfig = {},
  calls?: UringCalls,
  machine: Machine = thisMachine,
): BuiltRing {
  const complete = validateConfig(config)
  const facts = { kernelVersion: parseKernelRelease(machine.release), rootless: rootlessSignal(machine) }
  const plan = planSetup(complete, facts, policyState())
  const refusedBefore = plan.refusals[0]
  if (refusedBefore !== undefined) {
    const { reason, fellBack, message } = refusedBefore
    if (fellBack) noteSqpollFellBack()
    announceRefusal({ requested: true, granted: false, reason, hint: message }, complete)
  }
  const walk = walkPlan(plan, calls ?? machine.calls, complete, machine)
  const { ring } = walk
  if (complete.restrictions !== undefined) {
    try {
      restrictRing(ring, complete.restrictions)
    } catch (error) {
      ring.close()
      throw error
    }
  }
  const sqpoll = walk.sqpoll ?? plannedSqpoll(plan, complete)
  // A ring in JavaScript never changes thread, so its descriptor is registered with this thread: each
  // enter(2) then costs some 45 ns less (measured by the `nop` bench). A refusal (Linux before 5.18, all 16
  // places taken) has no other effect.
  const ringFdRegistered = ring.registerRingFd() === 0
  const report: RingReport = {
    sqpoll,
    droppedFlags: walk.granted.gaveUp.flatMap(({ flag, because }) =>
      because === 'unknown-to-kernel' ? [flag] : [],
    ),
    attempts: walk.attempts,
    memoryRetries: walk.memoryRetries,
    flags: ring.flags,
    flagNames: flagNames('IORING_SETUP_', ring.flags),
    features: ring.features,
    featureNames: flagNames('IORING_FEAT_', ring.features),
    sqEntries: ring.sqEntries,
    cqEntries: ring.cqEntries,
    ringFdRegistered,
    restricted: complete.restrictions !== undefined,
    wishes: {
      registerFiles: complete.registerFiles,
      registerBuffers: complete.registerBuffers,
      registeredBufferCount: complete.registeredBufferCount,
      bufferSize: complete.bufferSize,
    },
    rootless: facts.rootless,
    kernelRelease: machine.release,
  }
  if (report.droppedFlags.length > 0) {
    log(`kernel ${machine.release} does not know ${report.droppedFlags.join(', ')}: the ring goes without`)
  }
  if (ringBuilt.hasSubscribers) ringBuilt.publish({ ring, report })
  return { ring, report }
}

/** What the report says about SQPOLL when the kernel was not asked for it. */
function plannedSqpoll(plan: SetupPlan, config: CompleteConfig): SqpollReport {
  const refusal = plan.refusals[0]
  if (refusal === undefined) return { requested: config.sqpoll, granted: false, reason: 'not-requested' }
  return { requested: true, granted: false, reason: refusal.reason, hint: refusal.message }
}

/** Announces why there is no SQPOLL; called once per build. */
function announceRefusal(sqpoll: SqpollReport, config: CompleteConfig): void {
  log(sqpoll.hint ?? sqpoll.reason)
  if (sqpollRefused.hasSubscribers) sqpollRefused.publish({ sqpoll, config })
}

interface Walk {
  readonly ring: Ring
  readonly granted: SetupAttempt
  /** What the kernel answered to SQPOLL; null when it was not asked. */
  readonly sqpoll: SqpollReport | null
  readonly attempts: readonly AttemptReport[]
  readonly memoryRetries: number
}

function walkPlan(plan: SetupPlan, calls: UringCalls, config: CompleteConfig, machine: Machine): Walk {
  const retries = new MemoryRetries((milliseconds) => machine.sleepMs(milliseconds))
  const attempts: AttemptReport[] = []
  let sqpoll: SqpollReport | null = null
  let index = 0
  for (;;) {
    const attempt = plan.attempts[index]!
    const { mode } = attempt
    const flags = flagNames('IORING_SETUP_', attempt.options.flags ?? 0)
    const outcome = tryOpen(attempt, calls, retries)
    if (outcome instanceof Ring) {
      attempts.push({ mode, flags })
      if (mode === 'sqpoll') sqpoll = { requested: true, granted: true, reason: 'granted' }
      return {
        ring: checked(outcome, attempt),
        granted: attempt,
        sqpoll,
        attempts,
        memoryRetries: retries.used,
      }
    }
    const { errno, code } = outcome
    attempts.push({ mode, flags, errno, code })
    const next = nextAttempt(plan, index, code)
    if (mode === 'sqpoll' && plan.attempts[next]?.mode !== 'sqpoll') {
      sqpoll = {
        requested: true,
        granted: false,
        reason: 'kernel-refused',
        errno,
        code,
        hint: kernelHint(outcome, machine),
      }
      noteSqpollFellBack()
      announceRefusal(sqpoll, config)
    }
    if (next === plan.attempts.length) throw explained(outcome, sqpoll, machine)
    index = next
  }
}

/**
 * Opens a ring for `attempt`, with retries after ENOMEM. Returns the kernel's refusal, throws other errors.
 */
function tryOpen(attempt: SetupAttempt, calls: UringCalls, retries: MemoryRetries): Ring | SystemError {
  for (;;) {
    try {
      return Ring.open(attempt.options, calls)
    } catch (error) {
      if (!(error instanceof SystemError)) throw error
      if (error.syscall !== 'io_uring_setup' || !retries.again(error.errno)) return error
    }
  }
}

/** The index of the attempt to make after a refusal; the number of attempts when there is none. */
function nextAttempt(plan: SetupPlan, index: number, code: string): number {
  if (code === 'EINVAL') return index + 1
  if (plan.attempts[index]!.mode === 'regular') return plan.attempts.length
  return plan.attempts.findIndex(({ mode }) => mode === 'regular')
}

/**
 * Checks that SQPOLL is in force exactly when asked for: a ring could wait for a thread that is not there.
 */
function checked(ring: Ring, attempt: SetupAttempt): Ring {
  const wanted = attempt.mode === 'sqpoll' ? IORING_SETUP_SQPOLL : 0
  if ((ring.flags & IORING_SETUP_SQPOLL) === wanted) return ring
  ring.close()
  throw new Error(
    'The kernel broke a promise of io_uring_setup(2): IORING_SETUP_SQPOLL is in force as asked for',
  )
}

/** The likely cause of `error` in words. Only refusals of io_uring_setup(2) are explained further. */
function likelyCause(error: SystemError, mode: 'sqpoll' | 'regular', machine: Machine): string {
  if (error.syscall === 'io_uring_setup') return explainRefusal(error.errno, mode, machine).text
  return `${error.syscall} failed after the kernel had granted the ring: ${errnoMessage(error.errno)}`
}

function kernelHint(error: SystemError, machine: Machine): string {
  const { code, errno } = error
  const cause = likelyCause(error, 'sqpoll', machine)
  return `SQPOLL refused with ${code} (${errno}); likely cause: ${cause}; falling back to a regular ring`
}

/** The refusal of the regular ring, with its likely cause in words. */
function explained(error: SystemError, sqpoll: SqpollReport | null, machine: Machine): SystemError {
  const before = sqpoll?.code === undefined ? '' : `; SQPOLL was refused before with ${sqpoll.code}`
  const hint = `${likelyCause(error, 'regular', machine)}${before}`
  return systemError(error.errno, error.syscall, { hint, cause: error })
}
