// Builds the package: `tsx scripts/build.ts [folder] [--js-only]`, `dist` by default. `--js-only` leaves out the
// declarations. tsc checks and writes the declarations; bundle.ts says what becomes of the code.

import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { bundle, ROOT } from './bundle.js'

const args = process.argv.slice(2)
const folder = join(ROOT, args.find((argument) => !argument.startsWith('--')) ?? 'dist')
const require = createRequire(import.meta.url)
const { exports } = require('../package.json') as {
  exports: Readonly<Record<string, string | { readonly default: string }>>
}

rmSync(folder, { recursive: true, force: true })

if (!args.includes('--js-only')) {
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')
  const declarations = ['-p', join(ROOT, 'tsconfig.build.json'), '--emitDeclarationOnly', '--outDir', folder]
  const { status } = spawnSync(process.execPath, [tsc, ...declarations], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

// Every entry of package.json, by the name of its source, and the command.
const entries: string[] = []
for (const entry of Object.values(exports)) {
  if (typeof entry !== 'string')
    entries.push(entry.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts'))
}
await bundle([...entries, 'src/cli/main.ts'], folder, 'src')
