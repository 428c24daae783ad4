// What io_uring the kernel offers this process. The kernel is asked, its version is not relied on: by
// REGISTER_PROBE, by REGISTER_QUERY where the kernel has it, and otherwise by trying setups and
// registrations.

import { queryKernel } from '../ring/register/query.js'
import { flagNames, IORING_SETUP_SQPOLL, opcodeName, registerOpcodeName } from '../syscalls/abi/index.js'
import { checkOptions } from '../syscalls/argument-errors.js'
import { errnoName, SystemError } from '../syscalls/errno.js'
import type { Fd } from '../syscalls/numbers.js'
import type { UringCalls } from '../syscalls/uring-calls.js'
import { type RootlessSignal, rootlessSignal } from './container.js'
import { type KernelVersion, parseKernelRelease } from './kernel-version.js'
import { type Machine, thisMachine } from './machine.js'
import { MemoryRetries } from './memory-retry.js'
import { memlockLimitBytes } from './process-status.js'
import { explainRefusal } from './refusal.js'
import { probeRing } from './ring-probe.js'
import { tryRegistrations, trySetup, trySetupFlags } from './trials.js'

/** How a list was obtained: the kernel said so (Linux 6.18), or each entry was tried. */
export type Evidence = 'query' | 'trials'

/** Whether a setup was accepted; if not, with which errno and for what likely cause. */
export interface TrialResult {
  readonly granted: boolean
  /** Negative, as in Node's system errors. */
  readonly errno?: number
  readonly code?: string
  /** `granted`, or the likely cause in one line. */
  readonly reason: string
}

/** What this kernel lets this process do. */
export interface Capabilities {
  readonly platform: string
  /** As `uname -r` prints it. */
  readonly kernelRelease: string
  /** null when the release cannot be parsed. It decides nothing that can be probed. */
  readonly kernelVersion: KernelVersion | null
  /** Whether a regular ring can be set up. When not, all the lists below are empty. */
  readonly ring: TrialResult
  /** Names of `IORING_FEAT_*` bits; a bit without a name is a hexadecimal number. */
  readonly features: readonly string[]
  /** Names of the SQE opcodes supported; one newer than this library is `IORING_OP_` and its number. */
  readonly opcodes: readonly string[]
  /** Names of the io_uring_register(2) opcodes known. */
  readonly registerOpcodes: readonly string[]
  /** Names of the setup flags known; a bit without a name is a hexadecimal number. */
  readonly setupFlags: readonly string[]
  /** Where `registerOpcodes` and `setupFlags` come from. */
  readonly evidence: Evidence
  /** Whether a ring with an SQPOLL thread can be set up. */
  readonly sqpoll: TrialResult
  /** Whether a provided-buffer ring can be registered. */
  readonly pbufRing: boolean
  /** The first sign of a rootless container. */
  readonly rootless: RootlessSignal
  /** RLIMIT_MEMLOCK in bytes; Infinity when unlimited, null when it cannot be read. */
  readonly memlockLimitBytes: number | null
}

const probed = new WeakMap<Machine, Capabilities>()

/**
 * Asks the kernel what it can do. Once per thread and cheap (about a millisecond); the answer is kept.
 *
 * It never throws for a kernel that refuses: then `ring.granted` is false and `ring.reason` says why.
 * `URING_DISABLE` is ignored.
 *
 * @param options - `refresh`: ask again, as after a limit was raised. `machine`: what to ask; tests replace it.
 * @throws TypeError `ERR_INVALID_ARG_TYPE` for options that are no object.
 * @see io_uring_register(2), io_uring_setup(2)
 */
export function probe(
  options: { readonly refresh?: boolean; readonly machine?: Machine } = {},
): Capabilities {
  checkOptions(options)
  const { refresh = false, machine = thisMachine } = options
  const known = refresh ? undefined : probed.get(machine)
  if (known !== undefined) return known
  const capabilities = Object.freeze(ask(machine))
  probed.set(machine, capabilities)
  return capabilities
}

function ask(machine: Machine): Capabilities {
  let knows: Knowledge = { evidence: 'query', setupFlags: [], registerOpcodes: [] }
  const ring = probeRing(machine, ({ fd }, canProbe) => {
    knows = askKernel(machine.calls) ?? tryKernel(machine, fd, canProbe)
  })
  const result = trialResult(ring.setup, 'regular', machine)
  return {
    platform: machine.platform,
    kernelRelease: machine.release,
    kernelVersion: parseKernelRelease(machine.release),
    ring: result,
    features: flagNames('IORING_FEAT_', ring.features),
    opcodes: ring.opcodes.map(opcodeName),
    registerOpcodes: knows.registerOpcodes,
    setupFlags: knows.setupFlags,
    evidence: knows.evidence,
    sqpoll: result.granted ? trySqpoll(machine) : result,
    pbufRing: ring.pbufRing,
    rootless: rootlessSignal(machine),
    memlockLimitBytes: memlockLimitBytes(machine),
  }
}

interface Knowledge {
  readonly evidence: Evidence
  readonly setupFlags: readonly string[]
  readonly registerOpcodes: readonly string[]
}

/** What the kernel says it knows; null from one that does not answer (before Linux 6.18). */
function askKernel(calls: UringCalls): Knowledge | null {
  try {
    const { value } = queryKernel(calls).opcodes
    if (value === undefined) return null
    return {
      evidence: 'query',
      setupFlags: flagNames('IORING_SETUP_', value.setupFlags),
      registerOpcodes: Array.from({ length: value.registerOpcodeCount }, (_, opcode) =>
        registerOpcodeName(opcode),
      ),
    }
  } catch (error) {
    if (error instanceof SystemError) return null
    throw error
  }
}

/**
 * What trials show. On a kernel that cannot be probed for opcodes (before 5.6) no registrations are tried.
 */
function tryKernel(machine: Machine, fd: Fd, canProbe: boolean): Knowledge {
  return {
    evidence: 'trials',
    setupFlags: flagNames('IORING_SETUP_', trySetupFlags(machine, fd)),
    registerOpcodes: canProbe ? tryRegistrations(machine, fd).map(registerOpcodeName) : [],
  }
}

/** Sets up a ring with an SQPOLL thread that sleeps at once, and closes it. */
function trySqpoll(machine: Machine): TrialResult {
  // The ring that was probed before is closed, but its memory may still count against the limit.
  const retries = new MemoryRetries((milliseconds) => machine.sleepMs(milliseconds))
  let result: number
  do result = trySetup(machine.calls, IORING_SETUP_SQPOLL, { sq_thread_idle: 1 })
  while (retries.again(result))
  if (result >= 0) machine.close(result)
  return trialResult(Math.min(result, 0), 'sqpoll', machine)
}

function trialResult(result: number, mode: 'sqpoll' | 'regular', machine: Machine): TrialResult {
  if (result >= 0) return { granted: true, reason: 'granted' }
  return {
    granted: false,
    errno: result,
    code: errnoName(result),
    reason: explainRefusal(result, mode, machine).text,
  }
}
