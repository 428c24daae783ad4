// What every test file imports: `test` and `assert` of uvu, and `needs`, which skips a test on a machine that cannot
// run it and says why. test/run.ts collects those reasons.

import { accessSync, constants, statSync } from 'node:fs'
import { release } from 'node:os'
import { delimiter, join } from 'node:path'
import { suite } from 'uvu'
import * as uvu from 'uvu/assert'
import type { FeatureName, OpcodeName, RegisterOpcodeName, SetupFlagName } from '../src/syscalls/abi/index.js'
import {
  constantNames,
  constantValue,
  flagNames,
  IO_URING_OP_SUPPORTED,
  IO_URING_PARAMS,
  IO_URING_PROBE,
  IO_URING_PROBE_OP,
  IO_URING_QUERY_HDR,
  IO_URING_QUERY_OPCODE,
  IO_URING_QUERY_OPCODES,
  IORING_REGISTER_PROBE,
  IORING_REGISTER_QUERY,
  IORING_SETUP_NO_MMAP,
  sinceOf,
} from '../src/syscalls/abi/index.js'
import { errnoName } from '../src/syscalls/errno.js'
import { close } from '../src/syscalls/libc.js'
import { addressOf } from '../src/syscalls/memory.js'
import { Struct } from '../src/syscalls/struct.js'
import { kernelCalls } from '../src/syscalls/uring-calls.js'
import { IS_EMULATED } from './patience.js'

interface ErrorShape {
  readonly name?: string
  readonly code?: string
  readonly errno?: number
  readonly syscall?: string
  readonly path?: string
  readonly message?: string | RegExp
}

// biome-ignore lint/suspicious/noExplicitAny: what is thrown can be anything, and a predicate names what it expects
type ThrownExpectation = RegExp | ErrorShape | (new (...args: any[]) => Error) | ((error: any) => boolean)

interface ThrowAssertions {
  /** Passes when `body` throws what is expected: a class, a pattern of the message, members, or a predicate. */
  throws(body: () => unknown, expected?: ThrownExpectation, message?: string): void
  /** The same for a promise that rejects. */
  rejects(promise: Promise<unknown> | (() => Promise<unknown>), expected?: ThrownExpectation): Promise<void>
}

function checkThrown(error: unknown, expected: ThrownExpectation | undefined, message?: string): void {
  // A failed assertion inside the body is not what it was to throw.
  if (error instanceof uvu.Assertion) throw error
  if (expected === undefined) return
  const prefix = message === undefined ? '' : `${message}: `
  if (expected instanceof RegExp) uvu.match(String((error as Error).message), expected, message)
  else if (typeof expected === 'object') {
    for (const [member, value] of Object.entries(expected)) {
      const actual = (error as Record<string, unknown>)[member]
      if (value instanceof RegExp) uvu.match(String(actual), value, message)
      else uvu.is(actual, value, `${prefix}expected ${member} ${value}, but it is ${actual}: ${error}`)
    }
  } else if (expected === Error || expected.prototype instanceof Error) {
    uvu.instance(error, expected, message)
  } else {
    const matches = (expected as (error: unknown) => boolean)(error)
    uvu.ok(matches, `${prefix}another error was expected than ${error}`)
  }
}

// uvu's `throws` calls whatever function it is given, so that an error class passes for any error, and it has no
// `rejects`. Everything else is uvu's own.
/** Assertions: those of `uvu/assert`, with stricter `throws` and with `rejects`. */
export const assert: Omit<typeof uvu, 'throws'> & ThrowAssertions = {
  ...uvu,
  throws(body, expected, message): void {
    try {
      body()
    } catch (error) {
      checkThrown(error, expected, message)
      return
    }
    uvu.unreachable(message ?? 'nothing was thrown')
  },
  async rejects(promise, expected): Promise<void> {
    try {
      await (typeof promise === 'function' ? promise() : promise)
    } catch (error) {
      checkThrown(error, expected)
      return
    }
    uvu.unreachable('nothing was rejected')
  },
}

/** The body of a test. */
export type TestBody = () => void | Promise<void>

/** What a test needs from the machine. `linux` and the io_uring ones also need a ring that can be set up. */
export interface Requirements {
  /** Oldest release whose io_uring this can be, such as `'6.7'`: older kernels may have a newer one's. */
  readonly linux?: string
  /** io_uring can be used here at all. */
  readonly ring?: boolean
  /** An SQE opcode, asked of IORING_REGISTER_PROBE. */
  readonly opcode?: OpcodeName
  /** An io_uring_register(2) opcode, asked of IORING_REGISTER_QUERY; before Linux 6.18, told by the release. */
  readonly register?: RegisterOpcodeName
  /** A bit of `io_uring_params.features`. */
  readonly feature?: FeatureName
  /** Setup flags with which a ring can be built: their names, or all in one word. */
  readonly setup?: SetupFlagName | readonly SetupFlagName[] | number
  /** Effective uid 0. */
  readonly root?: boolean
  /** A program found in PATH. */
  readonly command?: string
  /** No emulated processor: for what takes minutes there, and is the same under every kernel. */
  readonly swift?: boolean
  /** Any other condition: true, or the reason to skip. */
  readonly when?: () => true | string
}

interface Conditional {
  readonly requirements: Requirements
  readonly body: TestBody
}

/** Marks a test body with what it needs. Nothing is asked of the machine before `test` is given the result. */
export function needs(requirements: Requirements, body: TestBody): Conditional {
  return { requirements, body }
}

const tests = suite()
let registered = 0

/** Registers a test. One whose requirements are not met is skipped, with a line `# skip <name>: <reason>`. */
export function test(name: string, body: TestBody | Conditional): void {
  registered++
  if (typeof body === 'function') {
    tests(name, telling(name, body))
    return
  }
  const reason = unmet(body.requirements)
  if (reason === null) tests(name, telling(name, body.body))
  else skip(name, reason)
}

/** Tells of a failure at once: what failed may have left something open, so that the file has no end, and no report. */
function telling(name: string, body: TestBody): () => Promise<void> {
  return async () => {
    try {
      await body()
    } catch (error) {
      console.log(`# failed ${name}: ${error instanceof Error ? error.message : error}`)
      throw error
    }
  }
}

function skip(name: string, reason: string): void {
  console.log(`# skip ${name}: ${reason}`)
  tests.skip(name)
}

/** Says something that test/run.ts repeats though the file passes: what a test could not look at. */
export function note(text: string): void {
  console.log(`\n# note ${text}`)
}

/** Registers a test that does not run, for the reason given. */
test.skip = (name: string, reason: string): void => {
  registered++
  skip(name, reason)
}

/** Runs what was registered; the last line of every test file. */
test.run = (): void => {
  if (registered === 0) throw new Error('no test was registered before test.run()')
  tests.run()
}

/** The first requirement that this machine does not meet, in words; null when it meets all. */
export function unmet(requirements: Requirements): string | null {
  const { linux, ring, opcode, register, feature, setup, root, command, swift, when } = requirements
  if (swift && IS_EMULATED)
    return 'takes minutes on an emulated processor, and is the same under every kernel'
  if (root && process.geteuid?.() !== 0) return 'needs root'
  if (command !== undefined && !inPath(command)) return `needs the program ${command}`
  if (linux !== undefined && !ringIsAtLeast(linux)) return `needs Linux ${linux}, this is ${kernel()}`
  if (linux ?? ring ?? opcode ?? register ?? feature ?? setup) {
    const without = withoutRing()
    if (without !== null) return without
  }
  if (opcode !== undefined && !supportedOpcodes().has(constantValue(opcode))) {
    return `needs ${opcode}, which this kernel (${kernel()}) lacks`
  }
  if (register !== undefined && !knowsRegisterOpcode(register)) {
    return `needs ${register}, which this kernel (${kernel()}) lacks`
  }
  if (feature !== undefined && ((features ?? 0) & constantValue(feature)) === 0) {
    return `needs ${feature}, which this kernel (${kernel()}) lacks`
  }
  if (setup !== undefined) {
    const names = typeof setup === 'number' ? flagNames('IORING_SETUP_', setup) : [setup].flat()
    const flags = names.reduce((sum, name) => (sum | Number(constantValue(name))) >>> 0, 0)
    const fd = openRing(flags)
    // With NO_MMAP the memory would be the caller's: a kernel that knows it misses that alone.
    const knows = fd >= 0 || (fd === EFAULT && (flags & IORING_SETUP_NO_MMAP) !== 0)
    if (!knows) return `needs a ring with ${names.join(' | ')}, which ends in ${errnoName(fd)}`
    if (fd >= 0) close(fd)
  }
  const verdict = when?.() ?? true
  return verdict === true ? null : verdict
}

/** `'6.18'` for release 6.18.44. */
export function kernel(): string {
  return process.platform === 'linux' ? /^\d+\.\d+/.exec(release())![0] : process.platform
}

function isAtLeast(release: string, wanted: string): boolean {
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number)
  const [major = 0, minor = 0] = release.split('.').map(Number)
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}

/** Whether the running kernel is of this release or a newer one. */
export function kernelIsAtLeast(wanted: string): boolean {
  return process.platform === 'linux' && isAtLeast(kernel(), wanted)
}

/**
 * Whether io_uring is that of this release or a newer one. A distribution's kernel may have a newer io_uring than its
 * number says (Debian's 5.10 has that of 5.15): each feature bit tells the release that brought it.
 */
export function ringIsAtLeast(wanted: string): boolean {
  if (kernelIsAtLeast(wanted)) return true
  if (withoutRing() !== null) return false
  return constantNames().some(
    (name) =>
      name.startsWith('IORING_FEAT_') &&
      ((features ?? 0) & Number(constantValue(name as FeatureName))) !== 0 &&
      isAtLeast(sinceOf(name) ?? '0', wanted),
  )
}

function inPath(command: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      const path = join(folder, command)
      accessSync(path, constants.X_OK)
      return statSync(path).isFile()
    } catch {
      return false
    }
  })
}

const EFAULT = -14

// What the kernel says is asked once and kept; a ring is made for the question and closed.
let ringRefusal: string | null | undefined
let features: number | undefined
let opcodes: ReadonlySet<number> | undefined

/** Sets up a ring of two entries; returns its descriptor or a negated errno. */
function openRing(flags: number): number {
  const params = Struct.alloc(IO_URING_PARAMS).set('flags', flags)
  const fd = kernelCalls.setup(2, params.address)
  if (fd >= 0) features = params.get('features')
  return fd
}

function withoutRing(): string | null {
  if (ringRefusal !== undefined) return ringRefusal
  const fd = openRing(0)
  ringRefusal = fd < 0 ? `needs io_uring, which is not usable here: ${errnoName(fd)}` : null
  if (fd >= 0) close(fd)
  return ringRefusal
}

function supportedOpcodes(): ReadonlySet<number> {
  if (opcodes !== undefined) return opcodes
  const found = new Set<number>()
  const fd = openRing(0)
  const head = IO_URING_PROBE.size
  const memory = new Uint8Array(new ArrayBuffer(head + 256 * IO_URING_PROBE_OP.size))
  if (kernelCalls.register(fd, IORING_REGISTER_PROBE, addressOf(memory), 256) >= 0) {
    const operations = new Struct(IO_URING_PROBE_OP, memory.subarray(head))
    for (let index = 0; index < 256; index++) {
      if (operations.get('flags', index) & IO_URING_OP_SUPPORTED) found.add(operations.get('op', index))
    }
  }
  close(fd)
  opcodes = found
  return found
}

function knowsRegisterOpcode(name: RegisterOpcodeName): boolean {
  const answer = Struct.alloc(IO_URING_QUERY_OPCODE)
  const question = Struct.alloc(IO_URING_QUERY_HDR).assign({
    query_data: answer.address,
    query_op: IO_URING_QUERY_OPCODES,
    size: IO_URING_QUERY_OPCODE.size,
  })
  // Descriptor -1: this one register operation needs no ring.
  const result = kernelCalls.register(-1, IORING_REGISTER_QUERY, question.address, 0)
  if (result < 0 || question.get('result') < 0) return ringIsAtLeast(sinceOf(name))
  return constantValue(name) < answer.get('nr_register_opcodes')
}
