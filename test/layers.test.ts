// The layers of src/: who may import whom, no cycles, no dead files, no drawers for odds and ends.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assert, test } from './harness.js'

// Each layer imports only from layers of a higher rank; layers of one rank are siblings and never import each other.
// The command line may use the public face, so it stands before it.
const RANKS: Readonly<Record<string, number>> = {
  cli: 0,
  index: 1,
  fs: 2,
  net: 2,
  transfer: 2,
  runtime: 3,
  config: 4,
  ring: 5,
  syscalls: 6,
}

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SRC = join(ROOT, 'src')

interface Import {
  /** As written: `'../ring/index.js'`, `'koffi'`, `'node:fs'`. */
  readonly specifier: string
  /** Erased by the compiler, or done lazily: no part in a cycle of module loading. */
  readonly loads: boolean
}

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
}

function importsOf(source: string): Import[] {
  const code = withoutComments(source)
  const found: Import[] = []
  const statements = [
    /^import\s+(type\s+)?(?:[\w$*{},\s]+\sfrom\s+)?['"]([^'"]+)['"]/gm,
    /^export\s+(type\s+)?(?:\*(?:\s+as\s+[\w$]+)?|\{[^}]*\})\s+from\s+['"]([^'"]+)['"]/gm,
  ]
  for (const pattern of statements) {
    for (const match of code.matchAll(pattern))
      found.push({ specifier: match[2]!, loads: match[1] === undefined })
  }
  // import('x'), require('x') and new URL('x', import.meta.url), as a worker is named.
  const lazy = /\b(?:import|require|new URL)\(\s*['"]([^'"]+)['"]/g
  for (const match of code.matchAll(lazy)) found.push({ specifier: match[1]!, loads: false })
  return found
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => join(SRC, path))
  .sort()

const name = (file: string): string => relative(ROOT, file)

function layerOf(file: string): string {
  const path = relative(SRC, file)
  return path === 'index.ts' ? 'index' : path.split('/')[0]!
}

/** The file that a relative specifier means; null for a package. */
function resolve(file: string, specifier: string): string | null {
  if (!specifier.startsWith('.')) return null
  return join(dirname(file), specifier).replace(/\.js$/, '.ts')
}

const imports = new Map(files.map((file) => [file, importsOf(readFileSync(file, 'utf8'))]))

function report(complaints: readonly string[]): void {
  if (complaints.length > 0) assert.unreachable(complaints.join('\n'))
}

test('importsOf() finds every form of import, and none in comments', () => {
  const source = `
import one from './one.js'
import type { A } from './two.js'
import { b,
  type C } from './three.js'
import './four.js'
export * from './five.js'
export type { D } from './six.js'
export const text = 1
export { e } from "./seven.js"
const lazy = await import('./eight.js')
const worker = new Worker(new URL('./nine.js', import.meta.url))
// import './no.js'
/* import './no.js' */
/** An example:
 * import { x } from './no.js'
 */
`
  const found = importsOf(source)
  const byNumber = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine']
  assert.equal(found.map((item) => item.specifier).sort(), byNumber.map((word) => `./${word}.js`).sort())
  const loading = found.filter((item) => item.loads).map((item) => item.specifier)
  assert.equal(loading, ['./one.js', './three.js', './four.js', './five.js', './seven.js'])
})

test('every file of src/ is in a layer', () => {
  report(
    files.filter((file) => RANKS[layerOf(file)] === undefined).map((file) => `${name(file)} is in no layer`),
  )
})

test('imports go to layers further down, never up or between siblings', () => {
  const complaints: string[] = []
  for (const [file, list] of imports) {
    const from = layerOf(file)
    for (const { specifier } of list) {
      const target = resolve(file, specifier)
      if (target === null) continue
      // Data about the package itself, which has no layer: the command line reads its own version there.
      if (name(target) === 'package.json') continue
      const to = layerOf(target)
      if (!existsSync(target)) complaints.push(`${name(file)}: ${specifier} does not exist`)
      else if (from !== to && !(RANKS[from]! < RANKS[to]!)) {
        complaints.push(`${name(file)} (${from}) must not import ${name(target)} (${to})`)
      }
    }
  }
  report(complaints)
})

/** Packages, and the one layer that imports each. */
const PACKAGES: Readonly<Record<string, string>> = {
  koffi: 'syscalls',
  'hash-wasm': 'transfer',
  'cli-progress': 'cli',
}

test('each package is imported in one layer alone, koffi in src/syscalls, and no other package anywhere', () => {
  const complaints: string[] = []
  for (const [file, list] of imports) {
    for (const { specifier } of list) {
      if (specifier.startsWith('.') || specifier.startsWith('node:')) continue
      if (PACKAGES[specifier] === layerOf(file)) continue
      complaints.push(`${name(file)} must not import ${specifier}`)
    }
  }
  report(complaints)
})

/** The files of one cycle of module loading, or null. */
function findCycle(): string[] | null {
  const done = new Set<string>()
  const path: string[] = []
  const visit = (file: string): string[] | null => {
    if (done.has(file)) return null
    const at = path.indexOf(file)
    if (at >= 0) return [...path.slice(at), file]
    path.push(file)
    for (const { specifier, loads } of imports.get(file) ?? []) {
      const target = resolve(file, specifier)
      const cycle = target !== null && loads ? visit(target) : null
      if (cycle !== null) return cycle
    }
    path.pop()
    done.add(file)
    return null
  }
  for (const file of files) {
    const cycle = visit(file)
    if (cycle !== null) return cycle
  }
  return null
}

test('no file imports itself through others', () => {
  const cycle = findCycle()
  if (cycle !== null) assert.unreachable(cycle.map(name).join('\n  -> '))
})

interface Manifest {
  readonly bin: Record<string, string>
  readonly exports: Record<string, string | Record<string, string>>
}

test('every file of src/ is reached from an entry point of package.json', () => {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest
  const toSource = (path: string): string =>
    join(ROOT, path.replace(/^\.\/dist\//, 'src/').replace(/\.js$/, '.ts'))
  const exported = Object.values(manifest.exports)
    .map((target) => (typeof target === 'string' ? target : target['default']!))
    .filter((target) => target.startsWith('./dist/'))
    .map(toSource)
  const missing = exported
    .filter((file) => !existsSync(file))
    .map((file) => `${name(file)} is exported and missing`)
  const entries = [...exported, ...Object.values(manifest.bin).map(toSource)]

  const reached = new Set<string>()
  const queue = entries.filter((file) => existsSync(file))
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (reached.has(file)) continue
    reached.add(file)
    for (const { specifier } of imports.get(file) ?? []) {
      const target = resolve(file, specifier)
      if (target !== null && imports.has(target)) queue.push(target)
    }
  }
  const dead = files
    .filter((file) => !reached.has(file))
    .map((file) => `${name(file)} is reached from nowhere`)
  report([...missing, ...dead])
})

test('files are named in kebab-case after what they own', () => {
  const complaints: string[] = []
  for (const file of files) {
    const stem = basename(file, '.ts')
    if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(stem)) complaints.push(`${name(file)} is not kebab-case`)
    if (/^(utils?|helpers?|common|types|misc|shared)$/.test(stem))
      complaints.push(`${name(file)} says nothing`)
  }
  report(complaints)
})

test.run()
