// Has spin search every state of a model. `npm run model` runs this file: each model as it is must hold, and each of its
// broken variants must fail, or the model shows nothing.
//
//   npm run model               all variants, at full size
//   npm run model -- --quick    small sizes, as in `npm test`

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

export interface Model {
  /** File in this folder, without its ending. */
  readonly name: string
  /** What bounds the run: a macro, and its values for a full and a quick search. */
  readonly size: readonly [macro: string, full: number, quick: number]
  /** Macros that break the model, with what must then be found. */
  readonly broken: Readonly<Record<string, RegExp>>
}

const LOST_WAKEUP = /invalid end state/
const BAD_ENTRY = /assertion violated \(entry/
const STRAY_CQE = /assertion violated .*generation/
const WRONG_CANCEL = /assertion violated \(u==use\)/

export const MODELS: readonly Model[] = [
  {
    name: 'sqpoll-wakeup',
    size: ['TOTAL', 8, 4],
    broken: {
      NO_BARRIER: LOST_WAKEUP,
      WAKEUP_BEFORE_PUBLISH: LOST_WAKEUP,
      RELAXED_TAIL: BAD_ENTRY,
      REUSE_BEFORE_HEAD: BAD_ENTRY,
      NO_KERNEL_BARRIER: LOST_WAKEUP,
      NO_SECOND_LOOK: LOST_WAKEUP,
    },
  },
  {
    name: 'slot-life',
    size: ['USES', 4, 2],
    broken: {
      FREE_ON_CANCEL: STRAY_CQE,
      FREE_ON_FIRST_CQE: STRAY_CQE,
      UNCOUNTED_TIMEOUT: STRAY_CQE,
      NO_GENERATION: WRONG_CANCEL,
    },
  },
]

export interface Outcome {
  readonly model: string
  /** The macro that breaks it, or null. */
  readonly variant: string | null
  readonly states: number
  /** What spin found wrong; null when nothing is. */
  readonly error: string | null
  readonly expected: boolean
  readonly elapsedMs: number
}

/** Bytes the search may take: the largest one takes about a tenth. */
const MEMORY_MB = 8192

/**
 * Searches one variant of a model.
 *
 * @param size - How much of it, as in `Model.size`.
 * @throws Error when spin or gcc fail, and when the search was not complete.
 */
export function check(model: Model, variant: string | null, size: 'full' | 'quick'): Outcome {
  const start = performance.now()
  const folder = mkdtempSync(join(tmpdir(), 'uring-model-'))
  try {
    const [macro, full, quick] = model.size
    const defines = [`-D${macro}=${size === 'full' ? full : quick}`, ...(variant ? [`-D${variant}`] : [])]
    const source = fileURLToPath(new URL(`${model.name}.pml`, import.meta.url))
    const options = { cwd: folder, encoding: 'utf8', maxBuffer: 1 << 24 } as const
    execFileSync('spin', ['-a', ...defines, source], options)
    const compiler = ['-O1', '-w', '-DSAFETY', '-DCOLLAPSE', `-DMEMLIM=${MEMORY_MB}`]
    execFileSync('gcc', [...compiler, '-o', 'pan', 'pan.c'], options)
    const { stdout } = spawnSync('./pan', ['-m1000000'], options)
    const states = Number(/^\s*(\d+) states, stored/m.exec(stdout)?.[1] ?? Number.NaN)
    const errors = Number(/errors: (\d+)/.exec(stdout)?.[1] ?? Number.NaN)
    const isComplete = !/Search not completed|max search depth too small|reached -DMEMLIM/.test(stdout)
    if (Number.isNaN(states) || Number.isNaN(errors) || (errors === 0 && !isComplete)) {
      throw new Error(`The search of ${model.name} did not come to its end:\n${stdout}`)
    }
    const error = errors === 0 ? null : (/^pan:\d+: (.+) \(at depth/m.exec(stdout)?.[1] ?? 'an error')
    const wanted = variant === null ? null : model.broken[variant]!
    return {
      model: model.name,
      variant,
      states,
      error,
      expected: wanted === null ? error === null : error !== null && wanted.test(error),
      elapsedMs: performance.now() - start,
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function installed(command: string): boolean {
  return spawnSync(command, ['--version']).error === undefined
}

/** Installs spin where that is one command away. */
function provideSpin(): void {
  const missing = ['spin', 'gcc'].filter((command) => !installed(command))
  if (missing.length === 0) return
  const packages = ['spin', 'gcc', 'libc6-dev']
  if (process.geteuid?.() === 0 && installed('apt-get')) {
    spawnSync('apt-get', ['update', '-qq'], { stdio: 'inherit' })
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], {
      stdio: 'inherit',
    })
  }
  if (missing.some((command) => !installed(command))) {
    throw new Error(`The models need ${missing.join(' and ')}: apt-get install ${packages.join(' ')}`)
  }
}

function main(): void {
  provideSpin()
  const size = process.argv.includes('--quick') ? 'quick' : 'full'
  let unexpected = 0
  for (const model of MODELS) {
    for (const variant of [null, ...Object.keys(model.broken)]) {
      const outcome = check(model, variant, size)
      if (!outcome.expected) unexpected++
      const verdict = outcome.expected ? 'as it should' : 'UNEXPECTED'
      const found = outcome.error === null ? 'holds' : `fails: ${outcome.error}`
      const name = `${model.name} ${variant ?? '(as it is)'}`
      const cost = `${outcome.states} states, ${(outcome.elapsedMs / 1000).toFixed(1)} s`
      console.log(`${name.padEnd(40)} ${verdict.padEnd(12)} ${found} (${cost})`)
    }
  }
  const count = MODELS.reduce((sum, { broken }) => sum + 1 + Object.keys(broken).length, 0)
  console.log(`\n${count} variants of ${MODELS.length} models searched, ${unexpected} unexpected outcomes`)
  process.exitCode = unexpected > 0 ? 1 : 0
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main()
