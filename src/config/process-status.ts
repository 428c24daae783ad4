// What /proc tells about this process that matters for io_uring: capabilities, groups, seccomp, limits, page
// size. Each function returns null when /proc does not tell.

import type { Machine } from './machine.js'

const CAP_IPC_LOCK = 14n
const CAP_SYS_ADMIN = 21n

/** Fields of /proc/self/status. */
export interface ProcessStatus {
  /** Effective capability CAP_SYS_ADMIN (in this process's own user namespace). */
  readonly sysAdmin: boolean
  /** Effective capability CAP_IPC_LOCK (likewise). */
  readonly ipcLock: boolean
  /** A seccomp filter is in force. */
  readonly seccompFilter: boolean
  /** Effective and supplementary group ids. */
  readonly groups: readonly number[]
}

/** @see proc_pid_status(5) */
export function processStatus(machine: Machine): ProcessStatus | null {
  const text = machine.readFile('/proc/self/status')
  if (text === null) return null
  // Match within one line only: a list may be empty, and the next line belongs to another field.
  const field = (name: string): string => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(text)?.[1] ?? ''
  const numbers = (list: string): number[] => list.split(/\s+/).filter(Boolean).map(Number)
  const capabilities = /^[0-9a-f]+$/i.test(field('CapEff')) ? BigInt(`0x${field('CapEff')}`) : 0n
  const hasCapability = (bit: bigint): boolean => ((capabilities >> bit) & 1n) === 1n
  const effectiveGroup = numbers(field('Gid')).slice(1, 2)
  return {
    sysAdmin: hasCapability(CAP_SYS_ADMIN),
    ipcLock: hasCapability(CAP_IPC_LOCK),
    seccompFilter: field('Seccomp') === '2',
    groups: [...effectiveGroup, ...numbers(field('Groups'))],
  }
}

/** A soft limit of /proc/self/limits by its first words; Infinity for `unlimited`. @see getrlimit(2) */
function softLimit(machine: Machine, name: string): number | null {
  const text = machine.readFile('/proc/self/limits')
  const word = text === null ? undefined : new RegExp(`^${name} +(\\S+)`, 'm').exec(text)?.[1]
  if (word === undefined) return null
  return word === 'unlimited' ? Number.POSITIVE_INFINITY : Number(word)
}

/** RLIMIT_MEMLOCK, in bytes: what an unprivileged uid may have in rings and registered buffers. */
export function memlockLimitBytes(machine: Machine): number | null {
  return softLimit(machine, 'Max locked memory')
}

/** RLIMIT_NOFILE, in descriptors. */
export function openFilesLimit(machine: Machine): number | null {
  return softLimit(machine, 'Max open files')
}

/** RLIMIT_NPROC, in threads of this uid. */
export function threadsLimit(machine: Machine): number | null {
  return softLimit(machine, 'Max processes')
}

/** AT_PAGESZ of the auxiliary vector. */
const PAGE_SIZE_ENTRY = 6n

/** The page size that the kernel runs with, in bytes. @see getauxval(3) */
export function pageBytes(machine: Machine): number | null {
  const bytes = machine.readBytes('/proc/self/auxv')
  if (bytes === null) return null
  const words = new BigUint64Array(
    Uint8Array.from(bytes.subarray(0, bytes.length - (bytes.length % 16))).buffer,
  )
  for (let at = 0; at < words.length; at += 2) {
    if (words[at] === PAGE_SIZE_ENTRY) return Number(words[at + 1])
  }
  return null
}
