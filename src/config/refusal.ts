// Explains why the kernel refused a ring, from the errno and from what /proc says: the likely cause, and what
// to do about it. One errno has many causes here, so the number alone does not help a user.

import { errnoMessage, errnoName } from '../syscalls/errno.js'
import { isAtLeast, parseKernelRelease } from './kernel-version.js'
import type { Machine } from './machine.js'
import { memlockLimitBytes, openFilesLimit, processStatus, threadsLimit } from './process-status.js'

/** The likely cause of a refusal. */
export type RefusalCause =
  | 'not-implemented'
  | 'kernel-too-old'
  | 'sysctl'
  | 'seccomp-or-container'
  | 'privilege'
  | 'memlock-limit'
  | 'open-files-limit'
  | 'thread-limit'
  | 'invalid'
  | 'other'

/** A refusal in words. */
export interface Refusal {
  readonly cause: RefusalCause
  /** One line without a full stop. */
  readonly text: string
  /** RLIMIT_MEMLOCK in bytes, where it matters; null when unknown, Infinity when there is none. */
  readonly memlockLimitBytes?: number | null
}

const SYSCTL = '/proc/sys/kernel/io_uring_disabled'
const SYSCTL_GROUP = '/proc/sys/kernel/io_uring_group'

/**
 * The likely cause of an errno from io_uring_setup(2).
 *
 * @param errno - Of either sign.
 * @param mode - What was being set up: SQPOLL can be refused where a regular ring is not.
 */
export function explainRefusal(errno: number, mode: 'sqpoll' | 'regular', machine: Machine): Refusal {
  switch (errnoName(errno)) {
    case 'ENOSYS':
      return explainNotImplemented(machine)
    case 'EPERM':
    case 'EACCES':
      return explainNotPermitted(errno, mode, machine)
    case 'ENOMEM':
      return explainNoMemory(machine)
    case 'EAGAIN':
      return explainNoThread(errno, mode, machine)
    case 'EMFILE': {
      const limit = openFilesLimit(machine)
      // When no descriptor is left, the file that tells the limit cannot be opened either.
      const value = limit === null ? 'is used up' : `of ${limit} descriptors is used up`
      return {
        cause: 'open-files-limit',
        text: `RLIMIT_NOFILE ${value}: close files, or raise it (ulimit -n)`,
      }
    }
    case 'ENFILE':
      return {
        cause: 'open-files-limit',
        text: 'the system-wide limit on open files (sysctl fs.file-max) is reached',
      }
    case 'EINVAL': {
      const what = mode === 'sqpoll' ? 'SQPOLL with these flags' : 'these flags'
      return { cause: 'invalid', text: `the kernel (${release(machine)}) does not take ${what}` }
    }
    default:
      return { cause: 'other', text: errnoMessage(errno) }
  }
}

function release(machine: Machine): string {
  return machine.release || 'of unknown version'
}

function explainNotImplemented(machine: Machine): Refusal {
  if (machine.platform !== 'linux') {
    return { cause: 'not-implemented', text: `io_uring is a part of Linux, and this is ${machine.platform}` }
  }
  const version = parseKernelRelease(machine.release)
  if (version !== null && !isAtLeast(version, '5.1')) {
    return { cause: 'kernel-too-old', text: `kernel ${machine.release} is too old: io_uring came with 5.1` }
  }
  const filter = processStatus(machine)?.seccompFilter
    ? ', or the seccomp filter in force answers so'
    : ', or a sandbox such as gVisor or a seccomp filter answers so'
  const text = `the kernel (${release(machine)}) has no io_uring: it was built without CONFIG_IO_URING${filter}`
  return { cause: 'not-implemented', text }
}

/** The value of a sysctl, or null when there is no such file or it cannot be read. */
function readNumber(machine: Machine, path: string): number | null {
  const text = machine.readFile(path)?.trim() ?? ''
  return /^-?\d+$/.test(text) ? Number(text) : null
}

function explainNotPermitted(errno: number, mode: 'sqpoll' | 'regular', machine: Machine): Refusal {
  const disabled = readNumber(machine, SYSCTL)
  if (disabled === 2) {
    const text = 'the sysctl kernel.io_uring_disabled is 2: disabled for every process; set it to 0 to enable'
    return { cause: 'sysctl', text }
  }
  const status = processStatus(machine)
  if (disabled === 1) {
    const group = readNumber(machine, SYSCTL_GROUP)
    if (!isExempt(machine, group)) {
      const member =
        group === null || group < 0 ? 'kernel.io_uring_group (none is set)' : `the group ${group}`
      const text = `the sysctl kernel.io_uring_disabled is 1: only for CAP_SYS_ADMIN or members of ${member}`
      return { cause: 'sysctl', text }
    }
  }
  const version = parseKernelRelease(machine.release)
  if (mode === 'sqpoll' && version !== null && !isAtLeast(version, '5.13')) {
    const capability = isAtLeast(version, '5.11') ? 'CAP_SYS_NICE' : 'CAP_SYS_ADMIN'
    const text = `SQPOLL needs ${capability} on kernel ${machine.release}; from 5.13 it needs no privilege`
    return { cause: 'privilege', text }
  }
  const filter = status?.seccompFilter ? 'the seccomp filter in force' : 'a seccomp filter or security module'
  const what = mode === 'sqpoll' ? 'SQPOLL' : 'io_uring'
  const sysctl = disabled === null ? '' : `; kernel.io_uring_disabled is ${disabled} and not the cause`
  const text = `${filter} refuses ${what} with ${errnoName(errno)} (container runtimes do by default)${sysctl}`
  return { cause: 'seccomp-or-container', text }
}

/**
 * Whether io_uring_disabled 1 exempts this process: by capability in the initial user namespace, or by group.
 */
function isExempt(machine: Machine, group: number | null): boolean {
  const status = processStatus(machine)
  if (status === null) return false
  if (status.sysAdmin && isFirstNamespace(machine)) return true
  return group !== null && group >= 0 && status.groups.includes(group)
}

/** Whether this is the initial user namespace: capabilities in another one do not count for these checks. */
function isFirstNamespace(machine: Machine): boolean {
  return /^\s*0\s+0\s+4294967295\s*$/.test(machine.readFile('/proc/self/uid_map') ?? '')
}

/** Why RLIMIT_MEMLOCK cannot be the cause; null when it can. */
function memlockIsNotIt(limit: number | null, machine: Machine): string | null {
  if (limit === Number.POSITIVE_INFINITY) return 'RLIMIT_MEMLOCK is unlimited'
  if (processStatus(machine)?.ipcLock && isFirstNamespace(machine))
    return 'RLIMIT_MEMLOCK does not hold for CAP_IPC_LOCK'
  const version = parseKernelRelease(machine.release)
  if (version !== null && isAtLeast(version, '5.12') && !isAtLeast(version, '6.14'))
    return `kernel ${machine.release} does not count rings against RLIMIT_MEMLOCK`
  return null
}

function explainNoMemory(machine: Machine): Refusal {
  const limit = memlockLimitBytes(machine)
  const otherwise = memlockIsNotIt(limit, machine)
  if (otherwise !== null) {
    const text = `the kernel is short of memory, or the memory limit of the cgroup is reached: ${otherwise}`
    return { cause: 'other', text, memlockLimitBytes: limit }
  }
  const value = limit === null ? 'of unknown size' : `of ${limit} bytes`
  const text =
    `the memory of rings and registered buffers exceeds RLIMIT_MEMLOCK ${value}: ask for fewer entries, or raise it ` +
    '(ulimit -l in the shell, memlock in limits.conf, LimitMEMLOCK= in a systemd unit, --ulimit memlock= for a container)'
  return { cause: 'memlock-limit', text, memlockLimitBytes: limit }
}

function explainNoThread(errno: number, mode: 'sqpoll' | 'regular', machine: Machine): Refusal {
  if (mode === 'regular') return { cause: 'other', text: errnoMessage(errno) }
  return { cause: 'thread-limit', text: `the SQPOLL thread cannot be started: ${threadsSpent(machine)}` }
}

/** Explains why operations that wait do not complete: they end in ECANCELED uncancelled, or not at all. */
export function explainNoWorker(machine: Machine): Refusal {
  const text = `the kernel cannot start a thread for operations that wait: ${threadsSpent(machine)}`
  return { cause: 'thread-limit', text }
}

function threadsSpent(machine: Machine): string {
  const limit = threadsLimit(machine)
  const value =
    limit === null ? '' : ` (RLIMIT_NPROC is ${limit === Number.POSITIVE_INFINITY ? 'unlimited' : limit})`
  return `this user or its cgroup (pids.max) has no thread left${value}`
}
