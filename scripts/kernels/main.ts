// `npm run test:kernels`: boots Debian's kernels under qemu, runs the tests there and writes docs/kernels.md.
//
//   npm run test:kernels [-- kernel...] [--only part-of-a-path]... [--minutes N] [--jobs N] [--cache FOLDER] [--no-docs]
//                       [--run COMMAND]
//
// Kernels: 5.10, 6.1, 6.12 and arm64 (6.1 on an emulated ARM processor, where the tests of the ABI and of the rings
// run). `--only` chooses test files; `--run` runs a shell command in place of the tests, to look around; docs/kernels.md is written when all were run, or with `--docs`.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { installPrograms } from './commands.js'
import { makeCheckoutDisk, prepareUserland, ROOT } from './disks.js'
import { runGuest } from './guest.js'
import { guestScript } from './guest-script.js'
import { type KernelChoice, prepareKernel } from './kernel.js'
import { findingsOf, type KernelFindings, mergeReport, summaryLine } from './report.js'

interface Choice extends KernelChoice {
  readonly parts: readonly string[]
}

const ALL = ['config', 'fs', 'net', 'transfer', 'environments', 'cli', 'runtime', 'ring', 'syscalls']
const RAW = ['syscalls', 'ring', 'config']
const inTest = (parts: readonly string[]): string[] =>
  parts.map((part) => `test/${part}/`).filter((folder) => hasTests(join(ROOT, folder)))

function hasTests(folder: string): boolean {
  return (
    existsSync(folder) &&
    readdirSync(folder, { recursive: true }).some((path) => String(path).endsWith('.test.ts'))
  )
}

const CHOICES: readonly Choice[] = [
  { name: '5.10', suite: 'bullseye', architecture: 'amd64', parts: inTest(ALL) },
  { name: '6.1', suite: 'bookworm', architecture: 'amd64', parts: inTest(ALL) },
  { name: '6.12', suite: 'trixie', architecture: 'amd64', parts: inTest(ALL) },
  { name: 'arm64', suite: 'bookworm', architecture: 'arm64', parts: inTest(RAW) },
]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', multiple: true },
    run: { type: 'string' },
    minutes: { type: 'string', default: '300' },
    jobs: { type: 'string', default: '2' },
    memory: { type: 'string', default: '3072' },
    cache: { type: 'string', default: join(ROOT, '.kernels') },
    docs: { type: 'boolean' },
    'no-docs': { type: 'boolean' },
  },
})

const unknown = positionals.filter((name) => !CHOICES.some((choice) => choice.name === name))
if (unknown.length > 0) {
  console.error(
    `no such kernel: ${unknown.join(', ')}; there are ${CHOICES.map(({ name }) => name).join(', ')}`,
  )
  process.exit(2)
}
const chosen = CHOICES.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
const cache = resolve(values.cache)
const writeDocs =
  !values['no-docs'] && (values.docs || (values.only === undefined && values.run === undefined))

async function testKernel(choice: Choice): Promise<KernelFindings> {
  const { name, architecture } = choice
  console.log(`== Linux ${name}: Debian's package`)
  const userland = prepareUserland(architecture, cache)
  const kernel = prepareKernel(choice, cache, userland.tree)
  const checkout = join(cache, 'runs', `checkout-${name}.img`)
  const parts = values.only ?? choice.parts
  const orders = {
    ...(values.run !== undefined && { command: values.run }),
    parts,
    timeoutMs: 20 * 60_000,
    jobs: Number(values.jobs),
  }
  makeCheckoutDisk(checkout, architecture, cache, guestScript(orders))
  console.log(`== Linux ${name}: booting ${kernel.release}`)
  const result = await runGuest(
    {
      kernel,
      architecture,
      userland: userland.image,
      checkout,
      folder: join(cache, 'runs', name),
      minutes: Number(values.minutes),
      memoryMegabytes: Number(values.memory),
    },
    (line) => console.log(`${name} | ${line}`),
  )
  return findingsOf(choice, kernel, result)
}

installPrograms({
  'qemu-system-x86_64': 'qemu-system-x86',
  ...(chosen.some(({ architecture }) => architecture === 'arm64') && {
    'qemu-system-aarch64': 'qemu-system-arm',
  }),
  'mkfs.ext4': 'e2fsprogs',
  depmod: 'kmod',
  'dpkg-deb': 'dpkg',
  xz: 'xz-utils',
})
mkdirSync(cache, { recursive: true })
// The cache keeps itself out of the repository.
writeFileSync(join(cache, '.gitignore'), '*\n')

/** Puts the results of one kernel into the page, at once: the next one may be interrupted. */
function document(one: KernelFindings): void {
  const path = join(ROOT, 'docs', 'kernels.md')
  const before = existsSync(path) ? readFileSync(path, 'utf8') : ''
  writeFileSync(path, mergeReport(before, [one]))
}

const findings: KernelFindings[] = []
for (const choice of chosen) {
  let one: KernelFindings
  try {
    one = await testKernel(choice)
  } catch (error) {
    one = findingsOf(choice, null, { failure: (error as Error).message, files: {}, elapsedMs: 0 })
  }
  if (writeDocs) document(one)
  findings.push(one)
}

if (writeDocs) console.log('\nwrote docs/kernels.md')
console.log(`\n${findings.map(summaryLine).join('\n')}`)
process.exitCode = findings.every(({ failure, failed }) => failure === null && failed.length === 0) ? 0 : 1
