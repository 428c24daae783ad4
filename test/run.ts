// `npm test`: every test file in a process of its own, with a timeout. uvu alone exits with 0 when a file crashes in a
// hook or forgets `.run()`, and a segfault takes all results with it; here each of these is a failure.
//
//   npm test [-- part-of-a-path...]      only the files whose path contains one of the parts
//   TEST_TIMEOUT_MS   per file, 300000 unless given (a file that takes 30 s takes 100 s beside a busy neighbour); a tenth
//                     of it, or 10000, is left to a file whose tests have ended
//   TEST_JOBS         files at a time: 2 unless given, or 1 on a single core
//   TEST_NO_SKIPS=1   a skipped test is a failure: for the machine that must be able to run everything

import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'

const TEST_FOLDER = dirname(fileURLToPath(import.meta.url))
const TSX = import.meta.resolve('tsx')

interface FileResult {
  readonly name: string
  readonly passed: number
  readonly failed: number
  readonly skips: readonly string[]
  /** What the file wants said although it passes. */
  readonly notes: readonly string[]
  /** Why the file failed; empty when it did not. */
  readonly problems: readonly string[]
  readonly output: string
  readonly elapsedMs: number
}

interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** After how many milliseconds it was given up: of its start, or of the end of its tests. */
  readonly timedOut: number | null
  readonly output: string
}

function positiveInteger(variable: string, fallback: number): number {
  const text = process.env[variable]
  if (text === undefined || text === '') return fallback
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`${variable} must be a positive integer, not ${text}`)
  return value
}

const timeoutMs = positiveInteger('TEST_TIMEOUT_MS', 300_000)
const graceMs = Math.max(10_000, Math.ceil(timeoutMs / 10))
const jobs = positiveInteger('TEST_JOBS', Math.min(2, availableParallelism()))
const noSkips = process.env['TEST_NO_SKIPS'] === '1'

function findFiles(parts: readonly string[]): string[] {
  const all = readdirSync(TEST_FOLDER, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts'))
    .map((path) => join(TEST_FOLDER, path))
    .sort()
  if (parts.length === 0) return all
  const chosen = new Set<string>()
  for (const part of parts) {
    const matches = all.filter((path) => path.includes(part))
    // A file from elsewhere can be named in full.
    if (matches.length === 0 && existsSync(part)) matches.push(resolve(part))
    if (matches.length === 0) throw new Error(`no test file matches ${part}`)
    for (const match of matches) chosen.add(match)
  }
  return [...chosen]
}

/** Files that change something of the whole machine, or may: each runs when no other does. */
const ALONE: readonly string[] = ['environments/sysctl.test.ts']

const running = new Set<number>()

// Each file leads a process group of its own, so that what it started ends with it.
function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // ESRCH: the group is gone, which is all that was wanted.
  }
}

function runProcess(file: string): Promise<Ending> {
  return new Promise((settle, fail) => {
    const child = spawn(process.execPath, ['--import', TSX, file], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, FORCE_COLOR: '0', NO_COLOR: '1' },
    })
    const pid = child.pid
    child.on('error', fail)
    if (pid === undefined) return
    running.add(pid)
    const chunks: Buffer[] = []
    let timedOut: number | null = null
    const giveUpAfter = (ms: number): NodeJS.Timeout =>
      setTimeout(() => {
        timedOut ??= ms
        killGroup(pid)
      }, ms)
    const timers = [giveUpAfter(timeoutMs)]
    child.stdout.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      if (timers.length === 1 && chunk.includes('  Total: ')) timers.push(giveUpAfter(graceMs))
    })
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
    // 'close' waits for the pipes, which a forgotten grandchild would hold open.
    child.on('exit', () => {
      for (const timer of timers) clearTimeout(timer)
      running.delete(pid)
      killGroup(pid)
    })
    child.on('close', (code, signal) => {
      const output = stripVTControlCharacters(Buffer.concat(chunks).toString())
      settle({ code, signal, timedOut, output })
    })
  })
}

async function runFile(file: string): Promise<FileResult> {
  const start = performance.now()
  const ending = await runProcess(file)
  const elapsedMs = Math.round(performance.now() - start)
  const { output } = ending

  const totals = [...output.matchAll(/^ {2}Total: +(\d+)\n {2}Passed: +(\d+)\n {2}Skipped: +(\d+)$/gm)].at(-1)
  const [total = 0, passed = 0, skipped = 0] = (totals ?? []).slice(1).map(Number)
  const skips = [...output.matchAll(/^# skip (.+)$/gm)].map((match) => match[1]!)
  const notes = [...output.matchAll(/^# note (.+)$/gm)].map((match) => match[1]!)

  const problems: string[] = []
  if (ending.timedOut !== null) {
    problems.push(
      `no end within ${ending.timedOut} ms${totals ? ', though its tests had ended: a handle is still open' : ''}`,
    )
  } else if (ending.signal !== null) {
    problems.push(`killed by ${ending.signal}`)
  } else if (ending.code !== 0) {
    problems.push(`exit code ${ending.code}`)
  }
  if (!totals) problems.push('printed no totals: it crashed, or .run() is missing')
  else if (total + skipped === 0) problems.push('has no tests')
  if (passed < total) problems.push(`${total - passed} of ${total} tests failed`)
  if (skipped > skips.length) problems.push(`${skipped - skips.length} tests were skipped without a reason`)
  if (noSkips && skips.length > 0)
    problems.push(`${skips.length} tests were skipped, and TEST_NO_SKIPS is set`)

  const failed = problems.length === 0 ? 0 : Math.max(1, total - passed)
  return { name: relative(TEST_FOLDER, file), passed, failed, skips, notes, problems, output, elapsedMs }
}

function report(result: FileResult): void {
  const { name, passed, failed, skips, notes, problems, output, elapsedMs } = result
  const counts = [`${passed} passed`]
  if (failed > 0) counts.push(`${failed} failed`)
  if (skips.length > 0) counts.push(`${skips.length} skipped`)
  console.log(`${failed > 0 ? 'FAIL' : 'ok  '} ${name}: ${counts.join(', ')} (${elapsedMs} ms)`)
  for (const text of notes) console.log(`     note: ${text}`)
  if (failed === 0) return
  console.log(output.replace(/^/gm, '    ').trimEnd())
  for (const problem of problems) console.log(`  ${name}: ${problem}`)
}

async function main(): Promise<void> {
  const files = findFiles(process.argv.slice(2))
  const isAlone = (file: string): boolean => ALONE.includes(relative(TEST_FOLDER, file))
  const [others, alone] = [files.filter((file) => !isAlone(file)), files.filter(isAlone)]
  const results: FileResult[] = []
  const runAll = async (queue: string[]): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const result = await runFile(file)
      report(result)
      results.push(result)
    }
  }
  await Promise.all(Array.from({ length: jobs }, () => runAll(others)))
  await runAll(alone)

  const skips = results.flatMap((result) => result.skips.map((skip) => `${result.name}: ${skip}`))
  if (skips.length > 0) console.log(`\nSkipped:\n${skips.map((skip) => `  ${skip}`).join('\n')}`)
  const broken = results.filter((result) => result.failed > 0)
  if (broken.length > 0) {
    console.log('\nFailed:')
    for (const { name, problems, output } of broken) {
      console.log(`  ${name}: ${problems.join('; ')}`)
      // Those of a suite that a test has run, too.
      for (const [, test] of output.matchAll(/# failed (.+)$/gm)) console.log(`    ${test}`)
    }
  }
  const sum = (count: (result: FileResult) => number): number =>
    results.reduce((n, result) => n + count(result), 0)
  const failed = sum((result) => result.failed) + (files.length === 0 ? 1 : 0)
  if (files.length === 0) console.log('There are no test files.')
  console.log(`\n${sum((result) => result.passed)} passed, ${failed} failed, ${skips.length} skipped`)
  process.exitCode = failed > 0 ? 1 : 0
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    for (const pid of running) killGroup(pid)
    process.exit(1)
  })
}

await main()
