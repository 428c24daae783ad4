// What the kernel under this process can do with io_uring, asked of the kernel and not read off its version:
// REGISTER_PROBE, REGISTER_QUERY where the kernel has it, setups and registrations tried where it has not.

import {
  flagNames,
  IO_URING_QUERY_HDR,
  IO_URING_QUERY_OPCODE,
  IO_URING_QUERY_OPCODES,
  IORING_REGISTER_QUERY,
  IORING_SETUP_SQPOLL,
  opcodeName,
  registerOpcodeName,
} from '../syscalls/abi/index.js'
import { errnoName } from '../syscalls/errno.js'
import { Struct } from '../syscalls/struct.js'
import type { UringCalls } from '../syscalls/uring-calls.js'
import { type RootlessSignal, rootlessSignal } from './container.js'
import { type KernelVersion, parseKernelRelease } from './kernel-version.js'
import { type Machine, thisMachine } from './machine.js'
import { MemoryRetries } from './memory-retry.js'
import { memlockLimitBytes } from './process-status.js'
import { explainRefusal } from './refusal.js'
import { probeRing, trySetup } from './ring-probe.js'
import { tryRegistrations, trySetupFlags } from './trials.js'

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
 * It never throws for a kernel that refuses: `ring.granted` is false then and says why. `URING_DISABLE` is not looked at.
 *
 * @param options - `refresh`: ask again, as after a limit was raised. `machine`: what to ask; tests replace it.
 * @see io_uring_register(2), io_uring_setup(2)
 */
export function probe(
  options: { readonly refresh?: boolean; readonly machine?: Machine } = {},
): Capabilities {
  const { refresh = false, machine = thisMachine } = options
  const known = refresh ? undefined : probed.get(machine)
  if (known !== undefined) return known
  const capabilities = Object.freeze(ask(machine))
  probed.set(machine, capabilities)
  return capabilities
}

function ask(machine: Machine): Capabilities {
  let knows: Knowledge = { evidence: 'query', setupFlags: [], registerOpcodes: [] }
  const ring = probeRing(machine, (fd) => {
    knows = query(machine.calls) ?? {
      evidence: 'trials',
      setupFlags: flagNames('IORING_SETUP_', trySetupFlags(machine, fd)),
      registerOpcodes: tryRegistrations(machine, fd).map(registerOpcodeName),
    }
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
function query(calls: UringCalls): Knowledge | null {
  const answer = Struct.alloc(IO_URING_QUERY_OPCODE)
  const question = Struct.alloc(IO_URING_QUERY_HDR).assign({
    query_data: answer.address,
    query_op: IO_URING_QUERY_OPCODES,
    size: IO_URING_QUERY_OPCODE.size,
  })
  // Descriptor -1: the one registration that needs no ring.
  const result = calls.register(-1, IORING_REGISTER_QUERY, question.address, 0)
  if (result < 0 || question.get('result') < 0) return null
  const count = answer.get('nr_register_opcodes')
  return {
    evidence: 'query',
    setupFlags: flagNames('IORING_SETUP_', answer.get('ring_setup_flags')),
    registerOpcodes: Array.from({ length: count }, (_, opcode) => registerOpcodeName(opcode)),
  }
}

/** Sets up a ring with an SQPOLL thread that sleeps at once, and closes it. */
function trySqpoll(machine: Machine): TrialResult {
  // The ring that was probed before is closed, but its memory may still be on the account.
  const retries = new MemoryRetries((milliseconds) => machine.sleepMs(milliseconds))
  let result: number
  do result = trySetup(machine.calls, IORING_SETUP_SQPOLL, { sq_thread_idle: 1 }).result
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
