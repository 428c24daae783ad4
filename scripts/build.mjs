// Builds the package: `node scripts/build.mjs [folder] [--js-only]`, `dist` by default. `--js-only` leaves out the
// declarations.
//
// tsc checks and writes the declarations; esbuild joins the modules of each entry point into a few files. Joined, because
// a hundred small modules take Node some 30 ms to find and link, and because V8 folds constants of the same module but
// loads imported ones at each use (bench suites `startup` and `nop`).

import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const args = process.argv.slice(2)
const folder = join(root, args.find((argument) => !argument.startsWith('--')) ?? 'dist')
const require = createRequire(import.meta.url)
const { exports } = require('../package.json')

rmSync(folder, { recursive: true, force: true })

if (!args.includes('--js-only')) {
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')
  const declarations = ['-p', join(root, 'tsconfig.build.json'), '--emitDeclarationOnly', '--outDir', folder]
  const { status } = spawnSync(process.execPath, [tsc, ...declarations], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

// Every entry of package.json, by the name of its source, and the command.
const entries = Object.values(exports)
  .filter((entry) => typeof entry === 'object')
  .map((entry) => entry.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts'))

await build({
  absWorkingDir: root,
  entryPoints: [...entries, 'src/cli/main.ts'],
  outdir: folder,
  outbase: 'src',
  bundle: true,
  splitting: true,
  packages: 'external',
  format: 'esm',
  platform: 'node',
  target: 'node20.11',
  sourcemap: true,
  sourcesContent: false,
  chunkNames: 'chunks/[name]-[hash]',
  keepNames: false,
  logLevel: 'warning',
})
