// What a guest's results say, as docs/kernels.md has it. Each kernel has a section between two comments, so that testing
// one kernel again leaves the others' results in place.

import type { Diagnosis } from '../../src/cli/doctor.js'
import { NEEDS } from '../../src/fs/ring-choice.js'
import { sinceOf } from '../../src/ring/index.js'
import type { GuestResult } from './guest.js'
import type { BootableKernel, KernelChoice } from './kernel.js'

/** The results of one kernel. */
export interface KernelFindings {
  readonly choice: KernelChoice & { readonly parts: readonly string[] }
  readonly release: string
  readonly version: string
  readonly node: string
  readonly date: string
  readonly minutes: number
  /** Why the guest did not get to its end. */
  readonly failure: string | null
  /** Test files that were run, by folder. */
  readonly files: ReadonlyMap<string, number>
  /** Tests that passed, by folder. */
  readonly passed: ReadonlyMap<string, number>
  /** Files that failed, and why. */
  readonly failed: readonly string[]
  /** Reasons, and how many tests each kept from running. */
  readonly skipped: ReadonlyMap<string, number>
  /** What the tests of refused environments noted: a suite, an environment, and how it ended there. */
  readonly environments: readonly string[]
  readonly doctor: Diagnosis | null
  /** Lines of the kernel's log that tell of a fault in it. */
  readonly complaints: readonly string[]
}

function folderOf(file: string): string {
  return file.includes('/') ? file.split('/')[0]! : 'harness'
}

/** The line of a file in a list, before those of its tests. */
const FILE = /^\S+\.test\.ts: /

/** Counts the lines that test/run.ts prints. */
export function countTests(
  log: string,
): Pick<KernelFindings, 'files' | 'passed' | 'failed' | 'skipped' | 'environments'> {
  const files = new Map<string, number>()
  const passed = new Map<string, number>()
  for (const [, file, count] of log.matchAll(/^(?:ok {2}|FAIL) (\S+\.test\.ts): (\d+) passed/gm)) {
    const folder = folderOf(file!)
    files.set(folder, (files.get(folder) ?? 0) + 1)
    passed.set(folder, (passed.get(folder) ?? 0) + Number(count))
  }
  const section = (title: string): string[] => {
    const after = log.split(`\n${title}:\n`).at(1)?.split('\n') ?? []
    const end = after.findIndex((line) => !line.startsWith('  '))
    return (end < 0 ? after : after.slice(0, end)).map((line) => line.trim())
  }
  const skipped = new Map<string, number>()
  for (const line of section('Skipped')) {
    // `file: name of the test: reason`; a reason starts with what is needed and has no colon before that.
    const reason = /: (needs .*)$/.exec(line)?.[1] ?? line.split(': ').at(-1)!
    const general = reason
      .replace(/, this is [\d.]+$/, '')
      .replace(/, which this kernel \([^)]*\) lacks$/, '')
    skipped.set(general, (skipped.get(general) ?? 0) + 1)
  }
  const notes = log.matchAll(/^ +note: ([^\n]+: \d+ passed, \d+ failed, \d+ skipped)$/gm)
  const environments = [...notes].map((match) => match[1]!)
  return { files, passed, failed: section('Failed').filter((line) => FILE.test(line)), skipped, environments }
}

/** Reads the files that the guest left. */
export function findingsOf(
  choice: KernelFindings['choice'],
  kernel: BootableKernel | null,
  { failure, files, elapsedMs }: GuestResult,
): KernelFindings {
  const counts = countTests(files['tests.log'] ?? '')
  const ended = files['exit'] === undefined || /exit [01]\n/.test(files['exit'])
  return {
    choice,
    release: files['release']?.trim() ?? kernel?.release ?? 'unknown',
    version: kernel?.version ?? 'unknown',
    node: files['node']?.trim() ?? 'unknown',
    date: new Date().toISOString().slice(0, 10),
    minutes: Math.round(elapsedMs / 60_000),
    failure: failure ?? (ended ? null : `the test run ended with ${files['exit']!.trim()}`),
    ...counts,
    doctor: files['doctor.json'] === undefined ? null : (JSON.parse(files['doctor.json']) as Diagnosis),
    complaints: (files['kernel-complaints'] ?? '').split('\n').filter((line) => line !== ''),
  }
}

function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0)
}

/** One line for the end of the run. */
export function summaryLine(findings: KernelFindings): string {
  const { choice, release, failure, passed, failed, skipped, minutes } = findings
  const verdict =
    failure ?? `${total(passed)} passed, ${failed.length} files failed, ${total(skipped)} skipped`
  return `${failure === null && failed.length === 0 ? 'ok  ' : 'FAIL'} ${choice.name} (${release}): ${verdict} (${minutes} minutes)`
}

function dated(names: readonly string[]): string {
  return names.map((name) => `\`${name.replace('IORING_', '')}\` (${sinceOf(name) ?? '?'})`).join(', ')
}

/** What the library does another way on this kernel. */
function fallbacks(doctor: Diagnosis): string[] {
  if (!doctor.available) return [`io_uring is not to be had: ${doctor.reason}`]
  const opcodes = new Set(doctor.opcodes)
  const delegated = Object.entries(NEEDS)
    .filter(([, needs]) => needs.some((opcode) => !opcodes.has(opcode)))
    .map(
      ([call, needs]) =>
        `\`${call}\` (no ${needs
          .filter((opcode) => !opcodes.has(opcode))
          .map((name) => name.replace('IORING_OP_', ''))
          .join(', ')})`,
    )
  const lines = [
    delegated.length === 0
      ? '`uring/fs`: every call that has a ring operation goes through the ring.'
      : `\`uring/fs\`: by Node's own fs: ${delegated.join(', ')}.`,
  ]
  if (doctor.missingSetupFlags.length > 0)
    lines.push(`Set-up flags it lacks: ${dated(doctor.missingSetupFlags)}.`)
  if (!doctor.features.includes('IORING_FEAT_EXT_ARG')) {
    lines.push('Waits with a timeout: a timeout operation, for there is no `IORING_ENTER_EXT_ARG` (5.11).')
  }
  if (!doctor.providedBufferRings) lines.push('Buffer groups: no provided-buffer rings (5.19).')
  lines.push(`SQPOLL: ${doctor.sqpoll.granted ? 'granted' : `refused: ${doctor.sqpoll.reason}`}.`)
  return lines
}

function section(findings: KernelFindings): string {
  const {
    choice,
    release,
    version,
    node,
    date,
    minutes,
    failure,
    files,
    passed,
    failed,
    skipped,
    environments,
    doctor,
    complaints,
  } = findings
  const title = choice.architecture === 'arm64' ? `${release.replace(/-.*/, '')} on arm64` : choice.name
  const lines = [
    `<!-- kernel ${choice.name} -->`,
    `## ${title}`,
    '',
    `Linux ${release} (Debian ${version}), Node ${node}, ${date}, ${minutes} minutes in emulation.`,
    '',
    `**${failure ?? `${total(passed)} passed, ${failed.length} files failed, ${total(skipped)} skipped`}.**`,
    '',
    '| tests | files | passed |',
    '|---|---|---|',
    ...[...passed].sort().map(([folder, count]) => `| ${folder} | ${files.get(folder)} | ${count} |`),
    '',
  ]
  if (failed.length > 0) lines.push('Failed:', '', ...failed.map((line) => `- ${line}`), '')
  if (doctor !== null) {
    lines.push(
      `The doctor: \`${doctor.reason}\`.`,
      '',
      'What is done another way here:',
      '',
      ...fallbacks(doctor).map((line) => `- ${line}`),
      '',
    )
    if (doctor.missingOpcodes.length > 0) lines.push(`Opcodes it lacks: ${dated(doctor.missingOpcodes)}.`, '')
    if (doctor.missingRegisterOpcodes.length > 0)
      lines.push(`Registrations it lacks: ${dated(doctor.missingRegisterOpcodes)}.`, '')
  }
  if (environments.length > 0) {
    lines.push(
      'Where io_uring is refused, or limits are low, each suite as the tests in test/environments run it:',
      '',
    )
    lines.push(...environments.map((line) => `- ${line}`), '')
  }
  if (skipped.size > 0) {
    lines.push('Skipped, by what was missing:', '', '| reason | tests |', '|---|---|')
    const sorted = [...skipped].sort(([a, n], [b, m]) => m - n || a.localeCompare(b))
    for (const [reason, count] of sorted) lines.push(`| ${reason.replaceAll('|', '\\|')} | ${count} |`)
    lines.push('')
  }
  if (complaints.length > 0)
    lines.push('The kernel complained:', '', '```', ...complaints.slice(0, 20), '```', '')
  lines.push('<!-- end -->')
  return lines.join('\n')
}

const HEAD = `# Other kernels

\`npm run test:kernels\` writes this page. It boots Debian's own kernels under qemu, in software emulation (no KVM is
needed), and runs the tests there: 5.10, 6.1 and 6.12 on x64, and the tests of the ABI and of the raw rings, barriers
among them, on an arm64 processor. It fetches what it needs by apt, from the mirror that the machine is configured for.

\`\`\`sh
npm run test:kernels                        # all of them
npm run test:kernels -- 6.1 5.10            # some
npm run test:kernels -- 6.1 --only test/fs/ # some tests; this page is left alone
npm run test:kernels -- 6.1 --run 'cat /proc/version' # one command in the guest
\`\`\`

Only the kernel differs from guest to guest: the programs around it are the same, Node is that of this machine, and the
TypeScript is transpiled before the guest boots. An emulated processor is ten times slower than a real one and more:
timeouts are longer, and what is random or goes on for long is less. A whole run takes an
hour and a half on a machine that does nothing else; with \`--only\` and \`--docs\` the
page tells of a part, in the column of files. What a test needs and a kernel lacks is probed, and counted below by reason.
In the guests the tests also set the sysctl \`kernel.io_uring_disabled\`, where there is one (6.6).
V8 translates WebAssembly once there: qemu 7.2 at times crashes a process whose WebAssembly V8 replaces while it runs,
also without io_uring (\`scripts/kernels/one-wasm-compiler.cjs\`).

A row of a table is a folder of test/. The running kernel of a developer's machine is tested by \`npm test\`.

`

const SECTION = /<!-- kernel (\S+) -->[\s\S]*?<!-- end -->/g

/** The page with these results in place of older ones of the same kernels. */
export function mergeReport(before: string, findings: readonly KernelFindings[]): string {
  const sections = new Map<string, string>()
  for (const match of before.matchAll(SECTION)) sections.set(match[1]!, match[0])
  for (const one of findings) sections.set(one.choice.name, section(one))
  const rank = (name: string): number => {
    const [major = 0, minor = 0] = name.split('.').map(Number)
    // Architectures, which are no numbers, come last.
    return Number.isNaN(major) ? Number.POSITIVE_INFINITY : major * 1000 + minor
  }
  const ordered = [...sections].sort(([a], [b]) => rank(a) - rank(b)).map(([, text]) => text)
  return `${HEAD}${ordered.join('\n\n')}\n`
}
