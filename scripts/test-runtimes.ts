// `npm run test:runtimes`: the test suite on every supported Node, a smoke test on Bun and Deno, and docs/runtimes.md with
// what came of it. The runtimes are npm packages, which are installed with npm into a folder that other users can read:
// some tests run as one of them.
//
//   npm run test:runtimes [-- runtime... [--only part-of-a-path]...]
//   npm run test:runtimes -- node24 bun       only these; the document keeps what it has of the others
//   npm run test:runtimes -- --only fs/       only these tests; the document is left alone
//   TEST_TIMEOUT_MS, TEST_JOBS                as for `npm test`

import { spawn, spawnSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))
const cache = join('/var/tmp', `uring-runtimes-${process.getuid!()}`)
const document = join(root, 'docs', 'runtimes.md')

interface Runtime {
  /** How it is named here and in the document. */
  readonly name: string
  readonly title: string
  /** The npm package that has the program for this platform, and where in it. */
  readonly specifier: string
  readonly program: string
  /** What the program is given before the path of a script. */
  readonly runs: readonly string[]
  /** Whether it runs the suite, or the smoke test alone. */
  readonly isNode: boolean
}

const { arch } = process
const node = (major: number): Runtime => ({
  name: `node${major}`,
  title: `Node ${major}`,
  specifier: `node-linux-${arch}@${major}`,
  program: `node_modules/node-linux-${arch}/bin/node`,
  runs: [],
  isNode: true,
})
const bunPackage = `@oven/bun-linux-${arch === 'arm64' ? 'aarch64' : arch}`
const denoPackage = `@deno/linux-${arch}-glibc`

const RUNTIMES: readonly Runtime[] = [
  node(20),
  node(22),
  node(24),
  node(26),
  {
    name: 'bun',
    title: 'Bun',
    specifier: `${bunPackage}@latest`,
    program: `node_modules/${bunPackage}/bin/bun`,
    runs: [],
    isNode: false,
  },
  {
    name: 'deno',
    title: 'Deno',
    specifier: `${denoPackage}@latest`,
    program: `node_modules/${denoPackage}/deno`,
    runs: ['run', '--allow-all', '--node-modules-dir=manual'],
    isNode: false,
  },
]

interface Result {
  readonly version: string
  readonly ok: boolean
  /** The cell of the table. */
  readonly outcome: string
  /** Lines that say more: skips, failures, parts. */
  readonly details: readonly string[]
}

function must(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stdout + stderr}`)
  return stdout
}

/** Makes the folder, in which nobody else may put programs. */
function makeCache(): void {
  mkdirSync(cache, { recursive: true, mode: 0o755 })
  const { mode, uid } = lstatSync(cache)
  if (uid !== process.getuid!() || (mode & 0o170022) !== 0o040000) {
    throw new Error(`${cache} is not a folder of this user alone`)
  }
}

/** @returns The path of the runtime's program, installed if it is not there yet or is not the newest. */
function install({ name, specifier, program }: Runtime): string {
  const folder = join(cache, name)
  mkdirSync(folder, { recursive: true })
  // Without a package.json npm would install into the next folder above that has one.
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  const quietly = ['--silent', '--no-audit', '--no-fund', '--ignore-scripts', '--no-package-lock']
  const path = join(folder, program)
  try {
    must('npm', ['install', ...quietly, specifier], folder)
  } catch (error) {
    if (!existsSync(path)) throw error
    console.log(`${specifier} cannot be asked for; using what is there`)
  }
  return path
}

function versionOf(program: string): string {
  const [line = ''] = must(program, ['--version'], root).split('\n')
  return /\d+(\.\d+)+/.exec(line)?.[0] ?? line
}

/** Runs the suite, showing its output. */
function runSuite(
  program: string,
  parts: readonly string[],
): Promise<{ code: number | null; output: string }> {
  const child = spawn(program, ['--import', 'tsx', 'test/run.ts', ...parts], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk
    process.stdout.write(chunk)
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
}

/** The lines that follow a heading, without their indentation. */
function listed(output: string, heading: string): string[] {
  const at = output.lastIndexOf(`\n${heading}:\n`)
  if (at < 0) return []
  const [text = ''] = output.slice(at + heading.length + 3).split('\n\n')
  return text.split('\n').map((line) => line.trim())
}

async function testNode(program: string, parts: readonly string[]): Promise<Result> {
  const { code, output } = await runSuite(program, parts)
  const counts = /^(\d+) passed, (\d+) failed, (\d+) skipped$/m.exec(output)
  const skips = listed(output, 'Skipped').map((line) => `skipped: ${line}`)
  const failures = listed(output, 'Failed').map((line) => `failed: ${line}`)
  return {
    version: versionOf(program),
    ok: code === 0,
    outcome: counts === null ? `ended with ${code} and no counts` : counts[0],
    details: [...failures, ...skips],
  }
}

function testOther(runtime: Runtime, program: string, consumer: string): Result {
  const args = [...runtime.runs, 'smoke.mjs']
  const { stdout, stderr, status, signal } = spawnSync(program, args, {
    cwd: consumer,
    encoding: 'utf8',
    timeout: 120_000,
  })
  const lines = stdout.split('\n').filter((line) => line.includes(': '))
  const working = lines.filter((line) => line.endsWith(': works')).length
  const details = [...lines]
  if (status !== 0) details.push(`ended with ${signal ?? status}: ${stderr.trim().split('\n').at(-1) ?? ''}`)
  return {
    version: versionOf(program),
    // Promised is that files work, on a ring or without.
    ok: lines.includes('uring/fs: works'),
    outcome: `${working} of ${lines.length} parts work`,
    details,
  }
}

/** A folder with the package as npm installs it, and the smoke test. */
function makeConsumer(): string {
  const folder = mkdtempSync(join(tmpdir(), 'uring-runtimes-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const packed = must('npm', ['pack', '--silent', '--pack-destination', folder], root).trim().split('\n')
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n')
  must('npm', ['install', '--silent', '--ignore-scripts', '--no-audit', join(folder, packed.at(-1)!)], folder)
  writeFileSync(join(folder, 'smoke.mjs'), readFileSync(join(root, 'scripts', 'runtime-smoke.mjs')))
  return folder
}

/** What the document has of a runtime, between comments that name it. */
function keptSection(text: string, name: string): string | undefined {
  return new RegExp(`<!-- ${name} -->\n[\\s\\S]*?<!-- /${name} -->`).exec(text)?.[0]
}

function section(runtime: Runtime, result: Result): string {
  const date = new Date().toISOString().slice(0, 10)
  const details = result.details.map((line) => `- ${line}`).join('\n')
  // A distribution's own name for its build says nothing to others.
  const kernel = /^[\d.]+/.exec(release())?.[0]
  return `<!-- ${runtime.name} -->
### ${runtime.title}

Version ${result.version}, ${date}, Linux ${kernel} ${arch}: ${result.outcome}.
${details === '' ? '' : `\n${details}\n`}<!-- /${runtime.name} -->`
}

function writeDocument(results: ReadonlyMap<string, Result>): void {
  const current = readFileSync(document, 'utf8')
  const marker = '<!-- Written by `npm run test:runtimes` from here on. -->'
  const [introduction] = current.split(marker)
  const sections = RUNTIMES.flatMap((runtime) => {
    const result = results.get(runtime.name)
    return result === undefined ? (keptSection(current, runtime.name) ?? []) : section(runtime, result)
  })
  const written = [marker, summaryTable(sections), ...sections].join('\n\n')
  writeFileSync(document, `${introduction!.trimEnd()}\n\n${written}\n`)
}

/** The first lines of all sections. */
function summaryTable(sections: readonly string[]): string {
  const rows = sections.map((text) => {
    const title = /^### (.+)$/m.exec(text)![1]
    const [, version, date, machine, outcome] = /^Version (\S+), (\S+), (.+?): (.+)\.$/m.exec(text)!
    return `| ${title} | ${version} | ${outcome} | ${date} | ${machine} |`
  })
  return ['| runtime | version | outcome | date | machine |', '|---|---|---|---|---|', ...rows].join('\n')
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { only: { type: 'string', multiple: true } },
  })
  const unknown = positionals.filter((name) => !RUNTIMES.some((runtime) => runtime.name === name))
  if (unknown.length > 0) {
    throw new Error(
      `no runtime is named ${unknown.join(', ')}: ${RUNTIMES.map(({ name }) => name).join(', ')}`,
    )
  }
  makeCache()
  const chosen = RUNTIMES.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
  const results = new Map<string, Result>()
  let consumer: string | undefined
  for (const runtime of chosen) {
    const program = install(runtime)
    console.log(`\n== ${runtime.title} ${versionOf(program)}`)
    if (runtime.isNode) results.set(runtime.name, await testNode(program, values.only ?? []))
    else {
      consumer ??= makeConsumer()
      const result = testOther(runtime, program, consumer)
      results.set(runtime.name, result)
      console.log(result.details.join('\n'))
    }
    if (values.only === undefined) writeDocument(results)
  }
  console.log('\nSummary')
  for (const { name, title } of chosen) {
    const { version, outcome, ok } = results.get(name)!
    console.log(`  ${ok ? 'ok  ' : 'FAIL'} ${title} (${version}): ${outcome}`)
  }
  if ([...results.values()].some(({ ok }) => !ok)) process.exitCode = 1
}

await main()
