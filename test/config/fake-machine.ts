// Machines that this one is not: other kernels, containers, sysctls and limits, put in at the seam of `config/`. Rings
// that a fake grants are real ones.

import koffi from 'koffi'
import type { Machine } from '../../src/config/index.js'
import { thisMachine } from '../../src/config/index.js'
import { IO_URING_PARAMS } from '../../src/syscalls/abi/index.js'
import { kernelCalls, type UringCalls } from '../../src/syscalls/uring-calls.js'

export const EPERM = -1
export const EAGAIN = -11
export const ENOMEM = -12
export const EINVAL = -22
export const EMFILE = -24
export const ENOSYS = -38

/** A file system of a few files; all others do not exist. */
export type Files = Readonly<Record<string, string>>

/** This machine's calls on a machine with no files, no environment and no container, but for `different`. */
export function fakeMachine(
  different: Partial<Machine> & { readonly files?: Files; readonly slept?: number[] } = {},
): Machine {
  const { files = {}, slept = [], ...rest } = different
  return {
    platform: 'linux',
    release: '6.18.0',
    env: {},
    calls: kernelCalls,
    libcFailure: null,
    readFile: (path) => files[path] ?? null,
    readBytes: () => null,
    exists: (path) => path in files,
    close: (fd) => thisMachine.close(fd),
    sleepMs: (milliseconds) => {
      slept.push(milliseconds)
    },
    ...rest,
  }
}

/** The kernel, with io_uring_setup(2) answering what `answer` says: a negated errno, or null to let it pass. */
export function setupAnswers(answer: (flags: number, entries: number) => number | null): UringCalls {
  return {
    ...kernelCalls,
    setup(entries, params) {
      const flags = koffi.decode(BigInt(params), IO_URING_PARAMS.fields.flags.offset, 'uint32_t') as number
      return answer(flags, entries) ?? kernelCalls.setup(entries, params)
    },
  }
}

/** A kernel that knows only the setup flags of `known`. */
export function knowing(known: number): UringCalls {
  return setupAnswers((flags) => (flags & ~known ? EINVAL : null))
}

/** A kernel where every io_uring call answers `errno`. */
export function refusing(errno: number): UringCalls {
  return { setup: () => errno, enter: () => errno, register: () => errno }
}

/** What /proc/self/limits says of one limit. */
export function limitsFile(name: string, value: number | string): string {
  return `Limit                     Soft Limit           Hard Limit           Units     \n${name.padEnd(25)} ${value}                 unlimited            bytes     \n`
}

/** The members of /proc/self/status that are looked at. */
export function statusFile(
  fields: { gid?: number; groups?: number[]; capEff?: string; seccomp?: number } = {},
): string {
  const { gid = 0, groups = [], capEff = '0000000000000000', seccomp = 0 } = fields
  return `Name:\tnode\nGid:\t${gid}\t${gid}\t${gid}\t${gid}\nGroups:\t${groups.join(' ')} \nCapEff:\t${capEff}\nSeccomp:\t${seccomp}\n`
}

/** The user id map of the first namespace. */
export const IDENTITY_MAP = '         0          0 4294967295\n'
