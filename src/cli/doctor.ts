// `uring doctor`: what this machine offers, and why it offers no more.

import { arch, cpus } from 'node:os'
import { availability, probe } from '../config/index.js'
import {
  opcodePreps,
  opcodesSince,
  registerSince,
  registrationFunctions,
  setupSince,
  sinceOf,
} from '../ring/index.js'

/** Everything that `uring doctor --json` prints. */
export interface Diagnosis {
  readonly available: boolean
  readonly reason: string
  readonly cause: string
  readonly backend: 'io_uring' | 'node'
  readonly kernel: string
  readonly node: string
  readonly arch: string
  readonly processor: string
  readonly features: readonly string[]
  readonly opcodes: readonly string[]
  readonly missingOpcodes: readonly string[]
  readonly registerOpcodes: readonly string[]
  readonly missingRegisterOpcodes: readonly string[]
  readonly setupFlags: readonly string[]
  readonly missingSetupFlags: readonly string[]
  readonly sqpoll: { readonly granted: boolean; readonly reason: string; readonly code?: string }
  readonly providedBufferRings: boolean
  readonly container: string
  /** Bytes; null when unlimited or unknown. */
  readonly memlockLimitBytes: number | null
}

type SinceTable = Readonly<Record<string, Readonly<Record<string, number>>>>

/** The names of `table` that count as `kind` and are not `present`. Without a ring nothing is known to be missing. */
function missing(table: SinceTable, present: readonly string[], kind: (name: string) => boolean): string[] {
  if (present.length === 0) return []
  return Object.values(table)
    .flatMap((names) => Object.keys(names))
    .filter((name) => kind(name) && !present.includes(name))
}

/** Asks the machine. It never throws. */
export function diagnose(): Diagnosis {
  const state = availability()
  const capabilities = probe()
  const limit = capabilities.memlockLimitBytes
  return {
    available: state.available,
    reason: state.reason,
    cause: state.cause,
    backend: state.available ? 'io_uring' : 'node',
    kernel: capabilities.kernelRelease,
    node: process.version,
    arch: arch(),
    processor: cpus()[0]?.model ?? 'unknown',
    features: capabilities.features,
    opcodes: capabilities.opcodes,
    missingOpcodes: missing(opcodesSince, capabilities.opcodes, (name) => name in opcodePreps),
    registerOpcodes: capabilities.registerOpcodes,
    missingRegisterOpcodes: missing(
      registerSince,
      capabilities.registerOpcodes,
      (name) => name in registrationFunctions && name !== 'IORING_REGISTER_USE_REGISTERED_RING',
    ),
    setupFlags: capabilities.setupFlags,
    missingSetupFlags: missing(setupSince, capabilities.setupFlags, (name) =>
      name.startsWith('IORING_SETUP_'),
    ),
    sqpoll: capabilities.sqpoll,
    providedBufferRings: capabilities.pbufRing,
    container: capabilities.rootless,
    memlockLimitBytes: limit === null || !Number.isFinite(limit) ? null : limit,
  }
}

function short(names: readonly string[], prefix: string): string {
  return names.map((name) => name.replace(prefix, '')).join(' ')
}

/** `NAME (6.19)`, the kernel that brought it, for each name. */
function dated(names: readonly string[], prefix: string): string {
  return names.map((name) => `${name.replace(prefix, '')} (${sinceOf(name) ?? '?'})`).join(', ')
}

const WIDTH = 100
const INDENT = 13

/** One labelled paragraph, wrapped. */
function paragraph(label: string, text: string): string[] {
  const lines: string[] = []
  let line = `${label}:`.padEnd(INDENT)
  for (const word of text.split(' ')) {
    if (line.length + word.length + 1 > WIDTH && line.trim() !== '') {
      lines.push(line.trimEnd())
      line = ' '.repeat(INDENT)
    }
    line += `${word} `
  }
  lines.push(line.trimEnd())
  return lines
}

/** The diagnosis for a person to read. */
export function doctorLines(diagnosis: Diagnosis): string[] {
  const d = diagnosis
  const limit = d.memlockLimitBytes === null ? 'unlimited' : `${d.memlockLimitBytes} bytes`
  const lines = [
    d.reason,
    ...paragraph('machine', `Linux ${d.kernel}, ${d.arch}, ${d.processor}, Node ${d.node}`),
    ...paragraph('backend', d.available ? 'io_uring' : "Node's own modules: same results, other speed"),
  ]
  if (!d.available) return lines
  return [
    ...lines,
    ...paragraph('features', short(d.features, 'IORING_FEAT_')),
    ...paragraph('opcodes', `${d.opcodes.length}: ${short(d.opcodes, 'IORING_OP_')}`),
    ...(d.missingOpcodes.length > 0 ? paragraph('  lacking', dated(d.missingOpcodes, 'IORING_OP_')) : []),
    ...paragraph('register', `${d.registerOpcodes.length} calls`),
    ...(d.missingRegisterOpcodes.length > 0
      ? paragraph('  lacking', dated(d.missingRegisterOpcodes, 'IORING_'))
      : []),
    ...paragraph('setup', short(d.setupFlags, 'IORING_SETUP_')),
    ...(d.missingSetupFlags.length > 0
      ? paragraph('  lacking', dated(d.missingSetupFlags, 'IORING_SETUP_'))
      : []),
    ...paragraph(
      'sqpoll',
      `${d.sqpoll.granted ? 'would be granted' : `would be refused: ${d.sqpoll.reason}`}; ` +
        'refused by policy beside a mapped basis that is not pinned (docs/decisions/sqpoll-and-mapped-basis.md)',
    ),
    ...paragraph('memlock', limit),
    ...paragraph('container', d.container),
  ]
}

/** Prints the diagnosis line by line. */
export function printDoctor(write: (line: string) => void): void {
  for (const line of doctorLines(diagnose())) write(line)
}
