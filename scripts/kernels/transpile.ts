// The guest's TypeScript, made JavaScript before it boots: tsx would take eight seconds of an emulated processor for each
// test file and each of its children. Files keep their names, and a stand-in for tsx loads them as they are.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { transformSync } from 'esbuild'

const FOLDERS = ['src', 'test', 'examples', 'bench', 'scripts']

const STAND_IN: Readonly<Record<string, string>> = {
  'package.json':
    '{ "name": "tsx", "version": "0.0.0", "type": "module", "exports": { ".": "./register.js", "./esm/api": "./api.js" } }\n',
  'register.js': `import { register } from './api.js'
register()
`,
  'api.js': `import { register as registerHooks } from 'node:module'
export const register = () => registerHooks('./hooks.js', import.meta.url)
`,
  'hooks.js': `import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

export async function resolve(specifier, context, next) {
  if (/^[./]|^file:/.test(specifier) && specifier.endsWith('.js')) {
    const source = new URL(specifier, context.parentURL).href.slice(0, -2) + 'ts'
    if (existsSync(fileURLToPath(source))) return { url: source, format: 'module', shortCircuit: true }
  }
  if (/^[./]|^file:/.test(specifier) && /\\.m?ts$/.test(specifier)) {
    return { url: new URL(specifier, context.parentURL).href, format: 'module', shortCircuit: true }
  }
  return next(specifier, context)
}

export async function load(url, context, next) {
  if (!/\\.m?ts(\\?|$)/.test(url)) return next(url, context)
  return { format: 'module', source: await readFile(fileURLToPath(url)), shortCircuit: true }
}
`,
}

/** Transpiles a checkout in place. */
export function transpile(checkout: string): void {
  for (const folder of FOLDERS) {
    const names = readdirSync(join(checkout, folder), { recursive: true, encoding: 'utf8' })
    for (const name of names.filter((name) => name.endsWith('.ts'))) {
      const path = join(checkout, folder, name)
      const { code } = transformSync(readFileSync(path, 'utf8'), {
        loader: 'ts',
        format: 'esm',
        target: 'node20',
        keepNames: true,
        sourcefile: name,
        tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
      })
      writeFileSync(path, code)
    }
  }
  const standIn = join(checkout, 'node_modules', 'tsx')
  rmSync(standIn, { recursive: true, force: true })
  mkdirSync(standIn)
  for (const [name, text] of Object.entries(STAND_IN)) writeFileSync(join(standIn, name), text)
}
