// Whether io_uring can be used by this process, and if not, exactly why: one line for a log, and a cause for a program.

import { checkOptions } from '../syscalls/argument-errors.js'
import { errnoName } from '../syscalls/errno.js'
import { isAtLeast, parseKernelRelease } from './kernel-version.js'
import { type Machine, thisMachine } from './machine.js'
import { explainNoWorker, explainRefusal, type RefusalCause } from './refusal.js'
import { probeRing, type RingProbe } from './ring-probe.js'

/** Why io_uring can or cannot be used. */
export type AvailabilityCause =
  | 'enabled'
  | 'disabled-by-environment'
  /** Another runtime than Node: rings work, the promise driver on them does not. */
  | 'foreign-event-loop'
  | 'not-linux'
  | 'no-c-library'
  | 'kernel-version-unreadable'
  | 'kernel-version-unparsable'
  | RefusalCause

/** The answer of `availability`. */
export interface Availability {
  readonly available: boolean
  /** One line that starts with `io_uring: `. */
  readonly reason: string
  readonly cause: AvailabilityCause
  /** The name of the errno, where the kernel refused. */
  readonly code?: string
  /** That errno, negative. */
  readonly errno?: number
  /** RLIMIT_MEMLOCK in bytes, where it is the cause; null when it cannot be read. */
  readonly memlockLimitBytes?: number | null
  /** The kernel release. */
  readonly kernel?: string
  /** SQE opcodes that the kernel supports. */
  readonly operations?: number
  /** Whether provided-buffer rings can be registered. */
  readonly pbufRing?: boolean
}

/** The first release that has the whole of the interface that this library is built on. */
export const MINIMUM_KERNEL = '5.6'

const DISABLE_VARIABLE = 'URING_DISABLE'
const TRUTHY: readonly string[] = ['1', 'true', 'yes', 'on']

const known = new WeakMap<Machine, Availability>()

/**
 * Tells whether io_uring can be used. The variable `URING_DISABLE` (1, true, yes or on) is read at each call;
 * the kernel is asked once per thread, and its answer is kept.
 *
 * It never throws for what the kernel answers. Features are probed; the kernel's version serves only to word
 * the reason, since distributions backport features.
 *
 * @param options - `refresh`: ask the kernel again, as after a limit was raised. `machine`: what to ask; tests
 *   replace it.
 * @throws TypeError `ERR_INVALID_ARG_TYPE` for options that are no object.
 */
export function availability(
  options: { readonly refresh?: boolean; readonly machine?: Machine } = {},
): Availability {
  checkOptions(options)
  const { refresh = false, machine = thisMachine } = options
  const wish = machine.env[DISABLE_VARIABLE]
  if (wish !== undefined && TRUTHY.includes(wish.trim().toLowerCase())) {
    return unavailable(
      'disabled-by-environment',
      `by the environment variable ${DISABLE_VARIABLE}=${wish.trim()}`,
    )
  }
  let answer = refresh ? undefined : known.get(machine)
  if (answer === undefined) {
    answer = Object.freeze(askMachine(machine))
    known.set(machine, answer)
  }
  return answer
}

function unavailable(cause: AvailabilityCause, why: string, more: Partial<Availability> = {}): Availability {
  // The reason must stay one line, also when a text from elsewhere in it has line breaks.
  return { available: false, reason: `io_uring: disabled ${why.replace(/\s+/g, ' ')}`, cause, ...more }
}

function askMachine(machine: Machine): Availability {
  const { platform, release: kernel, libcFailure } = machine
  if (platform !== 'linux') return unavailable('not-linux', `because this is not Linux but ${platform}`)
  if (libcFailure !== null) {
    return unavailable('no-c-library', `because the C library cannot be loaded: ${libcFailure.message}`)
  }
  let ring: RingProbe
  try {
    ring = probeRing(machine)
  } catch (error) {
    return unavailable('other', `because the kernel cannot be relied on: ${(error as Error).message}`, {
      kernel,
    })
  }
  if (ring.setup < 0) return refused(ring.setup, machine)
  if (ring.probe < 0) return withoutProbe(ring.probe, machine)
  if (isRefusal(ring.thread)) return withoutThread(ring.thread, machine)
  const operations = ring.opcodes.length
  const details = `kernel ${kernel || 'of unknown version'}, ${operations} operations, pbuf_ring ${ring.pbufRing ? 'yes' : 'no'}`
  return {
    available: true,
    reason: `io_uring: enabled (${details})`,
    cause: 'enabled',
    kernel,
    operations,
    pbufRing: ring.pbufRing,
  }
}

/** The kernel has no io_uring, or will not give us a ring. */
function refused(errno: number, machine: Machine): Availability {
  const code = errnoName(errno)
  const { release: kernel } = machine
  if (code === 'ENOSYS') {
    const doubt = versionDoubt(machine)
    if (doubt !== null) return { ...doubt, code, errno, kernel }
  }
  const { cause, text, ...more } = explainRefusal(errno, 'regular', machine)
  const tooOld = cause === 'kernel-too-old' ? `, and ${MINIMUM_KERNEL} is the minimum here` : ''
  return unavailable(cause, `because io_uring_setup failed with ${code}: ${text}${tooOld}`, {
    code,
    errno,
    kernel,
    ...more,
  })
}

/**
 * Whether the errno is a lasting refusal. Others may be temporary and say nothing about the next operation.
 */
function isRefusal(errno: number): boolean {
  return ['ECANCELED', 'ETIME', 'EPERM', 'EACCES', 'ENOSYS'].includes(errnoName(errno))
}

/** A ring can be set up, but an operation that waits in it fails or does not end. */
function withoutThread(errno: number, machine: Machine): Availability {
  const code = errnoName(errno)
  const more = { code, errno, kernel: machine.release }
  if (code === 'ECANCELED' || code === 'ETIME') {
    const { cause, text } = explainNoWorker(machine)
    const ending = code === 'ETIME' ? 'does not end' : 'ended in ECANCELED'
    return unavailable(cause, `because an operation ${ending}: ${text}`, more)
  }
  const text = `because io_uring_enter failed with ${code}: a seccomp filter or sandbox allows rings but not their use`
  return unavailable('seccomp-or-container', text, more)
}

/** The answer where the kernel's age is the likely cause but cannot be determined; null where it can. */
function versionDoubt(machine: Machine): Availability | null {
  if (machine.release === '') {
    return unavailable(
      'kernel-version-unreadable',
      'because io_uring_setup failed with ENOSYS, and the kernel version cannot be read',
    )
  }
  if (parseKernelRelease(machine.release) !== null) return null
  const text = `because io_uring_setup failed with ENOSYS, and the kernel version '${machine.release}' cannot be parsed`
  return unavailable('kernel-version-unparsable', text)
}

/**
 * A ring can be set up, but not asked for its opcodes: Linux 5.1 to 5.5, or something forbids the question.
 */
function withoutProbe(errno: number, machine: Machine): Availability {
  const code = errnoName(errno)
  const { release: kernel } = machine
  const version = parseKernelRelease(kernel)
  const more = { code, errno, kernel }
  if (code === 'EINVAL' && (version === null || !isAtLeast(version, MINIMUM_KERNEL))) {
    const text = `because kernel ${kernel || 'of unknown version'} is too old: ${MINIMUM_KERNEL} is the minimum`
    return unavailable('kernel-too-old', text, more)
  }
  const text = `because io_uring_register failed with ${code}: a seccomp filter or sandbox allows rings but not questions`
  return unavailable('seccomp-or-container', text, more)
}
