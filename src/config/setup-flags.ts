// Which setup flags a ring gets by default, which flags it can do without, and in which order these are given
// up when the kernel does not know them.

import {
  flagNames,
  IORING_SETUP_COOP_TASKRUN,
  IORING_SETUP_DEFER_TASKRUN,
  IORING_SETUP_NO_SQARRAY,
  IORING_SETUP_SINGLE_ISSUER,
  IORING_SETUP_SUBMIT_ALL,
  IORING_SETUP_TASKRUN_FLAG,
  type SetupFlagName,
} from '../syscalls/abi/index.js'

/**
 * The flags a ring gets unless `setupFlags` says otherwise. One thread submits (SINGLE_ISSUER, Linux 6.0).
 * That thread enters the kernel often enough, so it is not interrupted to run completions (COOP_TASKRUN,
 * 5.19). A bad SQE does not hold up those behind it (SUBMIT_ALL, 5.18).
 */
export const DEFAULT_SETUP_FLAGS: number =
  IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL

/**
 * The flags a ring can do without, in the order in which they are given up on EINVAL: newest first, so that
 * the first ring that a kernel accepts lacks only what that kernel does not know. Each affects how fast a
 * ring is or how it reports; none changes what an operation does. Any other flag is required and never given
 * up.
 */
export const OPTIONAL_SETUP_FLAGS: readonly number[] = [
  IORING_SETUP_NO_SQARRAY, // Linux 6.6
  IORING_SETUP_DEFER_TASKRUN, // 6.1; it needs SINGLE_ISSUER, so it goes before it
  IORING_SETUP_SINGLE_ISSUER, // 6.0
  IORING_SETUP_TASKRUN_FLAG, // 5.19; it needs COOP_TASKRUN or DEFER_TASKRUN, so it goes before the former
  IORING_SETUP_COOP_TASKRUN, // 5.19
  IORING_SETUP_SUBMIT_ALL, // 5.18
]

/** What io_uring_setup(2) refuses beside SQPOLL: the kernel thread runs its own task work, so these mean nothing. */
export const SQPOLL_EXCLUDES: number =
  IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG

/** One rung: the flags that are left, and the names of those given up to get there. */
export interface FlagRung {
  readonly flags: number
  readonly dropped: readonly SetupFlagName[]
}

/** The names of setup flags that are known by name, as a validated config's are. */
export function setupFlagNames(flags: number): SetupFlagName[] {
  return flagNames('IORING_SETUP_', flags) as SetupFlagName[]
}

/** Removes `flag`, and TASKRUN_FLAG too when no flag is left that it needs. */
function without(flags: number, flag: number): number {
  const rest = flags & ~flag
  const reports = rest & (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN)
  return reports === 0 ? rest & ~IORING_SETUP_TASKRUN_FLAG : rest
}

/** The flags as asked for, then one rung for each optional flag that is given up, down to those that are required. */
export function flagLadder(wanted: number): FlagRung[] {
  const rungs: FlagRung[] = [{ flags: wanted, dropped: [] }]
  let flags = wanted
  for (const flag of OPTIONAL_SETUP_FLAGS) {
    if (!(flags & flag)) continue
    flags = without(flags, flag)
    rungs.push({ flags, dropped: setupFlagNames(wanted & ~flags) })
  }
  return rungs
}
